package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
)

// What is older than what a restore to any moment within Options.Keep needs is removed: the backups for replication before the newest that is
// older than that, and the segments before those that the oldest kept backup needs.
//
// First a floor is put: floor/N says that segments below N may be gone. Only then backups are removed, then segments, the oldest
// first, then earlier floors, and in the end contents (backup.Sweep). Whoever is cut short is followed by one who does the rest. So a segment that is
// absent is the chain's end only if no floor is above it: a restore that was overtaken fails, and an owner that was
// suspended, whose number was taken and then removed, does not believe in its put. Floors are put where none is and never
// changed, so that none is ever lowered.

// KeepLeast is the shortest time for which segments and backups are kept: whoever was suspended for less never meets the removal of what it knew.
const KeepLeast = 24 * time.Hour

// keepEvery is how often it is looked for what can be removed, and keepRetry when again after a failure.
const keepEvery, keepRetry = 6 * time.Hour, 10 * time.Minute

// unsure is how long an owner may rely on what it knew of the place at its last put.
const unsure = 10 * time.Minute

const floorPath, filesPath = "floor", "files"

func floorName(n uint64) string { return fmt.Sprintf("%s/%016x", floorPath, n) }

// floors returns the numbers of floors, rising.
func floors(ctx context.Context, p backup.Place) (all []uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	names, err := p.List(ctx, floorPath)
	if err != nil {
		return nil, fmt.Errorf("list the floors of %s: %w", p, err)
	}
	for _, name := range names {
		if n, err := strconv.ParseUint(path.Base(name), 16, 64); err == nil {
			all = append(all, n)
		}
	}
	return all, nil
}

// floor returns the number below which segments may be gone.
func floor(ctx context.Context, p backup.Place) (uint64, error) {
	all, err := floors(ctx, p)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[len(all)-1], nil
}

// retire says which backups may go, and below which number segments may. oldest is the first moment that can be restored then. A backup
// that was made by hand is never among them. Nor does one with damage, or with ranges in quarantine, take the place of an older one.
func retire(all []backup.Manifest, now time.Time, keep time.Duration) (gone []string, below uint64, oldest time.Time) {
	from := -1
	for i := range all {
		if all[i].Chained && all[i].Doubts() == "" && !all[i].Made.After(now.Add(-keep)) {
			from = i
		}
	}
	first := true
	for i := range all {
		m := &all[i]
		switch {
		case !m.Chained:
		case i < from && !m.Made.After(now.Add(-KeepLeast)):
			gone = append(gone, m.ID)
		case first:
			first, below, oldest = false, m.Chain, m.Made
		default:
			below = min(below, m.Chain)
			if m.Made.Before(oldest) {
				oldest = m.Made
			}
		}
	}
	if len(gone) == 0 {
		below = 0
	}
	return gone, below, oldest
}

// remove removes what need not be kept, and returns the first moment that can be restored.
func (o *Options) remove(ctx context.Context) (oldest time.Time, err error) {
	p, now := patient{Place: o.Place}, time.Now()
	all, faults, err := backup.List(ctx, p)
	if err = errors.Join(err, errors.Join(faults...)); err != nil {
		return oldest, fmt.Errorf("nothing is removed while a backup cannot be read: %w", err)
	}
	gone, below, oldest := retire(all, now, o.Keep)
	if o.Doubted != nil && o.Doubted() { // what is removed is gone for good
		return oldest, errors.New("nothing is removed while the clock is not believed")
	}
	was, err := floors(ctx, p)
	if err != nil {
		return oldest, err
	}
	if len(was) == 0 {
		if err := raise(ctx, o.Place, 0); err != nil {
			return oldest, err
		}
		was = []uint64{0}
	}
	if below > was[len(was)-1] {
		if err := raise(ctx, o.Place, below); err != nil {
			return oldest, err
		}
		was = append(was, below)
	}
	if err := backup.RemoveManifests(ctx, o.Place, gone); err != nil {
		return oldest, err
	}
	below = was[len(was)-1]
	var names []string
	for n := was[0]; n < below; n++ {
		if names = append(names, nameOf(n)); len(names) == 1000 || n == below-1 {
			if err := backup.Remove(ctx, o.Place, names); err != nil {
				return oldest, err
			}
			names = names[:0]
		}
	}
	lists, err := p.List(ctx, filesPath)
	if err != nil {
		return oldest, err
	}
	for _, name := range lists {
		if filesNumber(name) < below {
			names = append(names, name)
		}
	}
	for _, n := range was[:len(was)-1] {
		names = append(names, floorName(n))
	}
	if err := backup.Remove(ctx, o.Place, names); err != nil {
		return oldest, err
	}
	swept, err := backup.Sweep(ctx, p, now, func(ctx context.Context) ([]backup.File, error) { return namedFiles(ctx, o.Place) })
	if err == nil {
		err = backup.Tidy(ctx, o.Place)
	}
	if len(gone) > 0 || swept.Removed > 0 {
		o.Logger.Info("removed from the place what is too old to be kept", "place", o.Place.String(), "backups", len(gone), "segments", below-was[0], "contents", swept.Removed, "keep", o.Keep)
	}
	return oldest, err
}

// raise puts a floor.
func raise(ctx context.Context, p backup.Place, n uint64) error {
	var err error
	for range 2 { // once more after an error: it may be there
		once, cancel := context.WithTimeout(ctx, timeout)
		err = p.PutNew(once, floorName(n), []byte("segments below this number may be gone\n"))
		cancel()
		if err == nil || errors.Is(err, backup.ErrExists) {
			return nil
		}
	}
	return err
}

// A segment's files are also told in an object of their own, files/N-LINEAGE.json, put before the segment: so that it is known without reading all
// segments what contents they name.

func filesNumber(name string) uint64 {
	number, _, _ := strings.Cut(path.Base(name), "-")
	n, err := strconv.ParseUint(number, 16, 64)
	if err != nil {
		return ^uint64(0) // not ours
	}
	return n
}

func (s *Shipper) tellFiles(ctx context.Context, h *Head) error {
	if len(h.Files) == 0 {
		return nil
	}
	text, err := json.Marshal(h.Files)
	if err != nil {
		return err
	}
	once, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.o.Place.Put(once, fmt.Sprintf("%s/%016x-%s.json", filesPath, h.Number, h.Lineage), bytes.NewReader(text), int64(len(text)))
}

// namedFiles returns the files that segments name.
func namedFiles(ctx context.Context, p backup.Place) (all []backup.File, err error) {
	names, err := patient{Place: p}.List(ctx, filesPath)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var some []backup.File
		once, cancel := context.WithTimeout(ctx, timeout)
		r, err := p.Get(once, name)
		if err == nil {
			var text []byte
			text, err = io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err == nil {
				err = json.Unmarshal(text, &some)
			}
		}
		cancel()
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", name, p, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// mine returns ErrFenced when another has taken over. It may be called while a segment is put.
func (s *Shipper) mine(ctx context.Context) error {
	s.mu.Lock()
	number := s.status.Segment
	s.mu.Unlock()
	there, err := exists(ctx, s.o.Place, number)
	if err != nil {
		return err
	}
	if !there { // or it was, and is so old that it was removed
		return s.notRemoved(ctx, number)
	}
	h, _, _, err := read(ctx, s.o.Place, number)
	if _, is := s.o.Store.Lineage(); err != nil || h.Lineage == is { // put by now
		return err
	}
	return fencedBy(s.o.Place, h)
}

// stillMine is mine, tried again when the place does not answer.
func (s *Shipper) stillMine(ctx context.Context) (err error) {
	answered := patient{Place: s.o.Place}.try(ctx, func(ctx context.Context) error {
		if err = s.mine(ctx); errors.Is(err, ErrFenced) {
			return nil
		}
		return err
	})
	if answered != nil {
		return answered
	}
	return err
}

func fencedBy(p backup.Place, h Head) error {
	return fmt.Errorf("%w: a server on %q took over %s with its segment %s", ErrFenced, h.Host, p, nameOf(h.Number))
}

// notRemoved returns ErrFenced when what was put as a segment, or is about to follow one, lies where another's was removed.
func (s *Shipper) notRemoved(ctx context.Context, number uint64) error {
	switch low, err := floor(ctx, patient{s.o.Place, listTries}); {
	case err != nil:
		return err
	case low > number:
		return fmt.Errorf("%w: it took over %s, and what it put as the segment %s is so old that it was removed", ErrFenced, s.o.Place, nameOf(number))
	}
	return nil
}

// startKeeping looks for what can be removed when it is time to, beside all else.
func (s *Shipper) startKeeping(ctx context.Context) {
	if s.keepDone != nil || s.o.Keep <= 0 || s.base == nil || time.Now().Before(s.nextKeep) {
		return
	}
	done := make(chan error, 1)
	s.keepDone = done
	go func() {
		err := s.stillMine(ctx)
		if err == nil {
			var oldest time.Time
			oldest, err = s.o.remove(ctx)
			s.update(func() {
				if !oldest.IsZero() {
					s.status.Oldest = oldest
				}
			})
		}
		done <- err
	}()
}

// kept takes the end of what startKeeping has begun.
func (s *Shipper) kept(ctx context.Context, err error) error {
	s.nextKeep = time.Now().Add(keepEvery)
	s.update(func() { s.status.NotRemoved = "" })
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if errors.Is(err, ErrFenced) {
		s.failing("look for what is too old", err)
		return err
	}
	s.nextKeep = time.Now().Add(keepRetry)
	s.update(func() { s.status.NotRemoved = err.Error() })
	s.o.Logger.Warn("what is too old to be kept could not be removed, which is tried again", "place", s.o.Place.String(), "in", keepRetry, "error", err)
	return nil
}
