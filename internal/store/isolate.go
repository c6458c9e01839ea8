package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// A damaged table is met again by every compaction that needs it, and in the end no
// write would go on. So what is damaged is taken out of the database: the smallest
// range of keys that covers what cannot be read of the table is put in quarantine.
// In this order, each step durable before the next:
//
//  1. the database's files of that range, of all levels, are linked into a folder of
//     their own: nothing that can still be read is destroyed;
//  2. QUARANTINE lists the range, and from then on reads that meet it fail;
//  3. the range is excised from the database.
//
// No batch is applied between 1 and 3, so that each is either in the copy or after
// the excision. A crash on the way is taken up at the next open, before anything
// is written.

// isolations is how many ranges of one file are put in quarantine for what was met in it.
const isolations = 16

// takeOutFor is how long taking a range out may last. Writers wait for it, and it may wait for them:
// at l0Stop they hang inside the engine until a merge is done, and the merge rests until this has ended.
const takeOutFor = time.Minute

// isolate looks at a table in which damage was met and puts in quarantine what it has
// destroyed: lost, unless it is there already. It returns what became of it, in words for the log, if there is
// anything to tell; again says that a range of the table is in quarantine already.
func (s *Store) isolate(path string, bounds pebble.KeyRange, again bool) (lost *Quarantined, became string, err error) {
	spot, err := s.locate(path, bounds)
	switch {
	case oserror.IsNotExist(err):
		return nil, "", nil // the database has no use for it any more: who met it had begun to read before
	case err != nil:
		return nil, "", err
	case spot.passing:
		return nil, "it was read again and is whole: the damage was not on the disk, but in memory or on the way; test the memory", nil
	case spot.harmless && again:
		return nil, "", nil // who met it had begun to read before
	case spot.harmless:
		return nil, "every key in it can be read: the damage is in a part that only makes reads quicker; look at the disk", nil
	}
	timer := time.AfterFunc(takeOutFor, func() {
		_ = s.poison("quarantine", fmt.Errorf("a damaged range of %s could not be taken out of the database in %s, and every write waits for it", path, takeOutFor))
	})
	defer timer.Stop()
	s.excising.Lock()
	defer s.excising.Unlock()
	// So that the copy has little of the log to take along. At l0Stop the engine would flush nothing.
	if s.db.Metrics().Levels[0].Sublevels < l0Stop {
		if err := s.db.Flush(); err != nil {
			return nil, "", err
		}
	}
	q := Quarantined{From: spot.from, To: spot.to, File: databasePath + "/" + s.space.fs.PathBase(path), Since: time.Now().UTC()}
	list := s.Quarantine()
	at := slices.IndexFunc(list, func(b Quarantined) bool {
		return bytes.Compare(b.From, q.From) <= 0 && bytes.Compare(q.To, b.To) <= 0
	})
	switch {
	case at < 0:
		at, list = len(list), append(list, q)
	case list[at].Removed:
		return nil, "", nil // who met it had begun to read before
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	if err := s.takeOut(list, at); err != nil {
		return nil, "", err
	}
	return &s.Quarantine()[at], "its range of keys is in quarantine: reads that meet it are answered with InternalServerError, all else is served; look at the disk, and restore the folder from a backup", nil
}

// takeOut takes a range out of the database; list holds all ranges, with this one, which may be new. The caller holds
// excising and applying. After an error the copy stays: the range may be listed, and is then taken out later.
func (s *Store) takeOut(list []Quarantined, at int) error {
	q := &list[at]
	span := pebble.KeyRange{Start: q.From, End: q.To}
	if err := s.canExcise(span); err != nil {
		return err
	}
	// Of a range that is listed already there is a copy. Writes may have come since, so one more is made.
	name, err := s.keepCopy(span)
	if err != nil {
		return err
	}
	if q.Copy == "" {
		q.Copy = quarantinedPath + "/" + name
	}
	if err := s.enclose(slices.Clone(list)); err != nil {
		return err
	}
	err = s.db.Excise(context.Background(), span)
	for _, c := range s.changes {
		c.Lose() // no batch has what it did
	}
	if err != nil {
		return fmt.Errorf("store: take a damaged range out of the database: %w", err)
	}
	q.Removed = true
	return s.enclose(list)
}

// canExcise says why a range cannot be excised. The engine looks in each table that reaches
// beyond the range for its last key before it and its first after it, and takes an error for
// there being none: what could be read there would be gone without a word.
func (s *Store) canExcise(span pebble.KeyRange) error {
	levels, err := s.db.SSTables()
	if err != nil {
		return fmt.Errorf("store: list the tables: %w", err)
	}
	for _, tables := range levels {
		for _, t := range tables {
			from, to := t.Smallest.UserKey, t.Largest.UserKey
			if bytes.Compare(to, span.Start) < 0 || bytes.Compare(from, span.End) >= 0 {
				continue
			}
			before, after := bytes.Compare(from, span.Start) < 0, bytes.Compare(to, span.End) >= 0
			if !before && !after {
				continue // it goes whole
			}
			name := t.BackingSSTNum.String() + ".sst"
			r, err := s.openTable(s.space.fs.PathJoin(s.space.fs.PathJoin(s.space.dir, databasePath), name))
			if err != nil {
				return fmt.Errorf("store: look at the table %s, which reaches beyond a damaged range: %w", name, err)
			}
			well := (!before || endsAt(r, span.Start)) && (!after || beginsAt(r, span.End))
			if err := r.Close(); err != nil || !well {
				return fmt.Errorf("%w: the table %s is damaged at the edge of the range", ErrDamaged, name)
			}
		}
	}
	return nil
}

// endsAt says whether a table can be read up to a key, and beginsAt from one on. An iterator
// that comes to its bound may look into the next block before it knows.
func endsAt(r *sstable.Reader, upper []byte) bool {
	it, err := r.NewIter(sstable.NoTransforms, nil, upper, sstable.AssertNoBlobHandles)
	if err != nil {
		return false
	}
	defer it.Close()
	if it.SeekLT(upper, 0) != nil {
		it.Next()
	}
	return it.Error() == nil
}

func beginsAt(r *sstable.Reader, lower []byte) bool {
	it, err := r.NewIter(sstable.NoTransforms, lower, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return false
	}
	defer it.Close()
	if it.SeekGE(lower, 0) != nil {
		it.Prev()
	}
	return it.Error() == nil
}

// openTable opens a table beside the engine.
func (s *Store) openTable(path string) (*sstable.Reader, error) {
	file, err := s.space.fs.Open(path)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(tableFile{file})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return sstable.NewReader(context.Background(), readable, s.tables) // closes readable when it fails
}

// keepCopy links what the database has of a range into a new folder, and returns its name.
func (s *Store) keepCopy(span pebble.KeyRange) (name string, err error) {
	f := s.space.fs
	parent := f.PathJoin(s.space.dir, quarantinedPath)
	if err := makeFolder(f, parent); err != nil {
		return "", fmt.Errorf("store: make %s: %w", parent, err)
	}
	for n := 1; ; n++ {
		name = strconv.Itoa(n)
		if _, err := f.Stat(f.PathJoin(parent, name)); err != nil {
			break
		}
	}
	err = s.checkpoint(f.PathJoin(parent, name), pebble.WithRestrictToSpans([]pebble.CheckpointSpan{{Start: span.Start, End: span.End}}), pebble.WithFlushedWAL())
	if err != nil {
		return "", errors.Join(fmt.Errorf("store: keep a copy of a damaged range: %w", err), f.RemoveAll(f.PathJoin(parent, name)))
	}
	return name, nil
}

// resumeQuarantine reads the list at the open, has it follow the rows that say what was lost elsewhere, and takes out what a crash has left in.
func (s *Store) resumeQuarantine() error {
	list, err := ReadQuarantine(s.space.fs, s.space.dir)
	if err != nil {
		return err
	}
	if list != nil {
		s.quarantine.Store(&list)
	}
	if err := s.followRows(); err != nil {
		return err
	}
	list = s.Quarantine()
	for i, q := range list {
		s.log.Error("a range of keys is in quarantine: reads that meet it are answered with InternalServerError, all else is served; restore the folder from a backup",
			"file", q.File, "from", fmt.Sprintf("%x", q.From), "to", fmt.Sprintf("%x", q.To), "kept_in", q.Copy, "since", q.Since)
		if q.Removed {
			continue
		}
		if err := s.takeOut(s.Quarantine(), i); err != nil {
			s.log.Error("a damaged range cannot be taken out of the database; its keys stay unreadable", "file", q.File, "error", err)
		}
	}
	return nil
}

// spot is what cannot be read of a table.
type spot struct {
	from, to []byte // to is not included
	passing  bool   // the whole file can be read
	harmless bool   // all keys can be read, though a part of the file is damaged
}

// locate finds the stretch between the first and the last key of a table that cannot be
// read, within bounds. It reads the file from the disk, and not through the engine.
func (s *Store) locate(path string, bounds pebble.KeyRange) (spot, error) {
	all := spot{from: bytes.Clone(bounds.Start), to: bytes.Clone(bounds.End)}
	r, err := s.openTable(path)
	if err != nil && !pebble.IsCorruptionError(err) {
		return all, fmt.Errorf("store: look at a damaged table: %w", err)
	} else if err != nil {
		return all, nil
	}
	ctx := context.Background()
	defer r.Close()
	if spans, err := r.NewRawRangeDelIter(ctx, sstable.NoFragmentTransforms, sstable.NoReadEnv); err != nil {
		return all, nil
	} else if spans != nil {
		for sp, err := spans.First(); sp != nil || err != nil; sp, err = spans.Next() {
			if err != nil {
				spans.Close()
				return all, nil
			}
		}
		spans.Close()
	}
	it, err := r.NewIter(sstable.NoTransforms, bounds.Start, bounds.End, sstable.AssertNoBlobHandles)
	if err != nil {
		return all, nil
	}
	defer it.Close()
	var before []byte // the last key before the stretch
	for kv := it.SeekGE(bounds.Start, 0); kv != nil; kv = it.Next() {
		before = append(before[:0], kv.K.UserKey...)
	}
	if err := it.Error(); err != nil && !pebble.IsCorruptionError(err) {
		return all, fmt.Errorf("store: look at a damaged table: %w", err)
	} else if err == nil {
		whole := r.ValidateBlockChecksums() == nil
		return spot{passing: whole, harmless: !whole}, nil
	}
	var after []byte
	back, err := r.NewIter(sstable.NoTransforms, bounds.Start, bounds.End, sstable.AssertNoBlobHandles)
	if err != nil {
		return all, nil
	}
	defer back.Close()
	for kv := back.SeekLT(bounds.End, 0); kv != nil; kv = back.Prev() {
		after = append(after[:0], kv.K.UserKey...)
	}
	if err := back.Error(); err == nil {
		return spot{harmless: true}, nil // only from one side the walk has looked beyond its bounds
	}
	// Where no key fits between the last whole one and the damaged block, that one goes along.
	if before != nil {
		if all.from = append(bytes.Clone(before), 0); !endsAt(r, all.from) {
			all.from = before
		}
	}
	if after != nil {
		if all.to = after; !beginsAt(r, after) {
			all.to = append(bytes.Clone(after), 0)
		}
	}
	if bytes.Compare(all.from, all.to) >= 0 {
		return all, fmt.Errorf("store: look at a damaged table: the unreadable stretch from %x to %x is none", all.from, all.to)
	}
	return all, nil
}
