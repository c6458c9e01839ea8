package chain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// Restored is what a restore has made.
type Restored struct {
	Backup   backup.Manifest
	Segments int
	Batches  int
	To       time.Time // all that was acknowledged by then is there, and nothing that was written later
	// Short says why it ends before what was asked for, when it does.
	Short string
	// Over is what the server that replicated says there, as its last, of another that goes on elsewhere.
	Over string
}

// Has says whether a place has a chain that leads further than its newest backup does.
func Has(ctx context.Context, p backup.Place) (bool, error) {
	var last *backup.Manifest
	if err := backup.EachNewest(ctx, p, func(m backup.Manifest) bool { last = &m; return false }); err != nil || last == nil {
		return false, err
	}
	if last.Chained {
		return true, nil
	}
	number, base, err := end(ctx, p)
	if err != nil || base == nil {
		return false, err
	}
	h, _, _, err := read(ctx, p, number-1)
	return h.AtMS > last.Made.UnixMilli(), err
}

// Restore makes a data folder of what a server had at a moment: of the newest backup before it, and of the chain from there on. A zero time
// is the chain's end. The folder is absent or empty, and opens once Restore has returned nil.
func Restore(ctx context.Context, p backup.Place, to time.Time, dir string, o backup.Options) (r Restored, err error) {
	base, err := newest(ctx, p, func(m *backup.Manifest) bool { return to.IsZero() || !m.Made.After(to) })
	if err != nil {
		return r, err
	}
	if base == nil {
		return r, fmt.Errorf("%s has no backup with a chain from before %s", p, to.UTC().Format(time.RFC3339))
	}
	r.Backup = *base
	o.Finish = func() error { return r.replay(ctx, p, to, dir) }
	err = backup.Restore(ctx, p, *base, dir, o)
	return r, err
}

// whole says what can be restored before a segment that is not as it should be. That one may have more of the last millisecond.
func (r *Restored) whole() string {
	to := r.To
	if r.Batches > 0 {
		to = to.Add(-time.Millisecond)
	}
	return fmt.Sprintf("what was written up to %s can be restored with --to-time", to.UTC().Format(time.RFC3339Nano))
}

func (r *Restored) replay(ctx context.Context, p backup.Place, to time.Time, dir string) (err error) {
	folder, err := store.OpenReplay(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	r.To = r.Backup.Made
	until := int64(1<<63 - 1)
	if !to.IsZero() {
		until = to.UnixMilli()
	}
	var previous, end uint64
	for number := r.Backup.Chain; ; number++ {
		h, hash, changes, err := read(ctx, p, number)
		if errors.Is(err, backup.ErrAbsent) {
			if low, ferr := floor(ctx, p); ferr != nil {
				return ferr
			} else if low > number {
				return fmt.Errorf("the segment %s of %s was removed while this restore was under way, since it is too old to be kept: restore a later moment", nameOf(number), p)
			}
		}
		if errors.Is(err, backup.ErrAbsent) && number > r.Backup.Chain {
			is, lerr := lost(ctx, p, number)
			if lerr != nil {
				return lerr
			}
			if !is {
				return nil // to.After(r.To) is no shortfall: nothing was written since
			}
			err = fmt.Errorf("segment %s of %s is missing, and later ones are there", nameOf(number), p)
		}
		if err != nil {
			return fmt.Errorf("%w (%s)", err, r.whole())
		}
		if number > r.Backup.Chain {
			if h.Previous != previous {
				return fmt.Errorf("segment %s of %s does not follow the one before it: one of the two is another server's (%s)", nameOf(number), p, r.whole())
			}
			if h.Gap {
				r.Short = fmt.Sprintf("the chain has a gap from %s to %s, and no backup from behind it and before the moment asked for", r.To.UTC().Format(time.RFC3339), time.UnixMilli(h.AtMS).UTC().Format(time.RFC3339))
				return nil
			}
		}
		if number > r.Backup.Chain && h.Renumber {
			if err := folder.Renumber(end, h.First); err != nil {
				return fmt.Errorf("segment %s: %w", nameOf(number), err)
			}
		}
		previous, end, r.Over = hash, h.End, h.Over
		for _, f := range h.Files {
			if err := backup.GetFile(ctx, p, f, filepath.Join(dir, filepath.FromSlash(f.Name))); err != nil {
				return err
			}
		}
		r.Segments++
		for _, c := range changes {
			if c.AtMS > until {
				return nil
			}
			if err := folder.Add(c); err != nil {
				return fmt.Errorf("segment %s: %w", nameOf(number), err)
			}
			r.Batches++
			if at := time.UnixMilli(c.AtMS); at.After(r.To) {
				r.To = at
			}
		}
	}
}
