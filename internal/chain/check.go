package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millstreamdb/millstream/internal/backup"
)

// behind says what a segment that is not whole means.
const behind = ": what was written behind it can be restored from a later backup only"

// Check reads every segment that a restore may need, and compares it with its sum and with the one before. It returns how many there are, what is wrong, and the
// files that segments name. An error says that it could not look.
func Check(ctx context.Context, p backup.Place, all []backup.Manifest) (segments int64, faults []string, files []backup.File, err error) {
	var bases []uint64
	for _, m := range all {
		if m.Chained {
			bases = append(bases, m.Chain)
		}
	}
	if len(bases) == 0 {
		return 0, nil, nil, nil
	}
	first := slices.Min(bases)
	if low, err := floor(ctx, p); err != nil {
		return 0, nil, nil, err
	} else if low > first {
		first = low // what is before it is being removed
	}
	last := slices.Max(bases)
	names, err := p.List(ctx, "chain")
	if err != nil {
		return 0, nil, nil, err
	}
	for _, name := range names {
		var number uint64
		if _, err := fmt.Sscanf(name, "chain/%016x", &number); err == nil && nameOf(number) == name {
			last = max(last, number)
		}
	}
	var previous uint64 // 0: not known
	for number := first; number <= last; number++ {
		h, hash, _, err := read(ctx, p, number)
		switch {
		case ctx.Err() != nil:
			return segments, faults, files, ctx.Err()
		case errors.Is(err, backup.ErrAbsent):
			low, err := floor(ctx, p)
			if err != nil {
				return segments, faults, files, err
			}
			if low <= number { // else it is too old to be kept, and was removed meanwhile
				faults = append(faults, fmt.Sprintf("segment %s of %s is missing%s", nameOf(number), p, behind))
			}
			previous = 0
			continue
		case errors.Is(err, errTorn):
			faults = append(faults, err.Error()+behind)
			previous = 0
			continue
		case err != nil:
			return segments, faults, files, err
		}
		if previous != 0 && h.Previous != previous {
			faults = append(faults, fmt.Sprintf("segment %s of %s does not follow the one before it", nameOf(number), p))
		}
		segments, previous = segments+1, hash
		files = append(files, h.Files...)
	}
	return segments, faults, files, nil
}
