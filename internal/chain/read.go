package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// timeout is how long a call to the place may take.
const timeout = time.Minute

// fetch reads a segment as it lies there.
func fetch(ctx context.Context, p backup.Place, number uint64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := p.Get(ctx, nameOf(number))
	if err != nil {
		return nil, err
	}
	segment, err := io.ReadAll(io.LimitReader(r, segmentMost))
	return segment, errors.Join(err, r.Close())
}

// tries is how often a segment is read that comes damaged, or does not come.
const tries = 5

// read reads a segment. What comes damaged is asked for again: it may be the way.
func read(ctx context.Context, p backup.Place, number uint64) (h Head, hash uint64, changes []store.Change, err error) {
	for n := range tries {
		if n > 1 {
			select {
			case <-ctx.Done():
				return h, 0, nil, ctx.Err()
			case <-time.After(time.Duration(n) * time.Second):
			}
		}
		var segment []byte
		segment, err = fetch(ctx, p, number)
		if err == nil {
			if h, hash, changes, err = decode(segment); err == nil && h.Number != number {
				err = fmt.Errorf("%w: it is number %d", errTorn, h.Number)
			}
		}
		if err == nil || errors.Is(err, backup.ErrAbsent) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("segment %s of %s: %w", nameOf(number), p, err)
	}
	return h, hash, changes, err
}

// exists asks for a segment more than once, since who takes a place over needs many answers in a row.
func exists(ctx context.Context, p backup.Place, number uint64) (there bool, err error) {
	err = patient{p, listTries}.try(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		r, err := p.Get(ctx, nameOf(number))
		if there = err == nil; there {
			return r.Close()
		}
		if errors.Is(err, backup.ErrAbsent) {
			return nil
		}
		return err
	})
	return there && err == nil, err
}

// lost reports whether a place lacks a segment for good: one that is not too old to be kept, and has later ones behind it. What was put a moment ago
// may not be seen yet, so it is asked for again for a while.
func lost(ctx context.Context, p backup.Place, number uint64) (is bool, err error) {
	later := false
	for step := uint64(1); !later && step <= 1<<12; step *= 2 {
		if later, err = exists(ctx, p, number+step); err != nil {
			return false, err
		}
	}
	if !later {
		return false, nil
	}
	for n := range tries + 1 {
		if there, err := exists(ctx, p, number); err != nil || there {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Duration(n) * time.Second):
		}
	}
	low, err := floor(ctx, p)
	return err == nil && low <= number, err
}

// newest returns the newest backup with a place in the chain that ok accepts, nil when there is none.
func newest(ctx context.Context, p backup.Place, ok func(*backup.Manifest) bool) (found *backup.Manifest, err error) {
	err = backup.EachNewest(ctx, p, func(m backup.Manifest) bool {
		if m.Chained && ok(&m) {
			found = &m
		}
		return found == nil
	})
	return found, err
}

// Newest returns the head of a chain's newest segment.
func Newest(ctx context.Context, p backup.Place) (h Head, err error) {
	number, _, err := end(ctx, p)
	if err == nil && number == 0 {
		err = fmt.Errorf("no server replicates to %s", p)
	}
	if err != nil {
		return h, err
	}
	h, _, _, err = read(ctx, p, number-1)
	return h, err
}

// end returns the number after that of the newest segment. Numbers have no gap from a backup's on, so it asks for some of them, in
// steps that double and then halve; no listing has to be right.
func end(ctx context.Context, p backup.Place) (number uint64, base *backup.Manifest, err error) {
	base, err = newest(ctx, p, func(*backup.Manifest) bool { return true })
	if err != nil {
		return 0, nil, err
	}
	there, err := floor(ctx, p)
	if err != nil {
		return 0, nil, err
	}
	if base != nil {
		there = max(there, base.Chain)
	}
	ok, err := exists(ctx, p, there)
	if err != nil || !ok && base == nil && there == 0 {
		return 0, nil, err
	}
	if !ok && base == nil {
		return 0, nil, fmt.Errorf("%s lacks the segment %s, and all backups: it is damaged; replicate to another place", p, nameOf(there))
	}
	if !ok {
		return 0, base, fmt.Errorf("%s lacks the segment %s, which the backup %s names: it is damaged; replicate to another place", p, nameOf(there), base.ID)
	}
	absent := there + 1
	for step := uint64(1); ; step *= 2 {
		ok, err := exists(ctx, p, absent)
		if err != nil {
			return 0, nil, err
		}
		if !ok {
			break
		}
		there, absent = absent, absent+step
	}
	for absent-there > 1 {
		middle := there + (absent-there)/2
		ok, err := exists(ctx, p, middle)
		if err != nil {
			return 0, nil, err
		}
		if ok {
			there = middle
		} else {
			absent = middle
		}
	}
	return absent, base, nil
}
