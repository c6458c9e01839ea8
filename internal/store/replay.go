package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Replay is a data folder that is being restored, to which changes are added. It is for one goroutine.
type Replay struct {
	db   *pebble.DB
	next uint64
}

// metaReplayed is the row with which a replay begins: its number tells where the folder ends.
const metaReplayed = "replayed"

// OpenReplay opens a folder to add changes to it. Nobody else has it open, and until Close has returned it is not whole.
func OpenReplay(dir string) (*Replay, error) {
	r, err := openReplay(dir, true)
	if err != nil {
		return nil, err
	}
	if r.next, err = r.mark(pebble.NoSync); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	return r, nil
}

func openReplay(dir string, withoutLog bool) (*Replay, error) {
	f := privateFS{vfs.Default, dir}
	path := f.PathJoin(dir, databasePath)
	po := &pebble.Options{
		FS: f, Logger: quiet{}, EventListener: onlyErrors(), FormatMajorVersion: formatVersion, MemTableSize: memTableSize, DisableWAL: withoutLog,
		ErrorIfNotExists: true,
	}
	db, err := pebble.Open(path, po)
	if err != nil {
		return nil, fmt.Errorf("store: open %s to add changes: %w", path, err)
	}
	return &Replay{db: db}, nil
}

// mark writes a row, and returns the number that the engine gave it: all that it had before is below that.
func (r *Replay) mark(o *pebble.WriteOptions) (uint64, error) {
	mark := r.db.NewBatch()
	err := errors.Join(mark.Set(metaKey(metaReplayed), []byte{metaVersion}, nil), r.db.Apply(mark, o))
	number := uint64(mark.SeqNum())
	return number, errors.Join(err, mark.Close())
}

// Next is the number of the change that comes next.
func (r *Replay) Next() uint64 { return r.next }

// Add adds a change; one that is there already is passed over. It keeps c.Batch. ErrGap says that changes are missing before it.
func (r *Replay) Add(c Change) error {
	if c.End <= r.next {
		return nil
	}
	if c.First != r.next {
		return fmt.Errorf("%w: the folder ends at %d, and the next change begins at %d", ErrGap, r.next, c.First)
	}
	if len(c.Batch) < batchHeader {
		return fmt.Errorf("%w: a change of %d bytes", ErrDamaged, len(c.Batch))
	}
	clear(c.Batch[:8]) // the engine gives its own numbers, and panics over a large batch that has one
	b := r.db.NewBatch()
	if err := b.SetRepr(c.Batch); err != nil {
		return errors.Join(fmt.Errorf("%w: change %d: %w", ErrDamaged, c.First, err), b.Close())
	}
	if err := r.db.Apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("store: add change %d: %w", c.First, err)
	}
	r.next = c.End
	return b.Close()
}

// Renumber says that the changes that follow have numbers of their own, from next on. end is that of the last one before them: the folder ends
// there, or else it has more than what was before.
func (r *Replay) Renumber(end, next uint64) error {
	if r.next != end {
		return fmt.Errorf("%w: the folder ends at %d, and what goes on from there begins after %d", ErrGap, r.next, end)
	}
	r.next = next
	return nil
}

// metaPosition is the row of a standby's position: what who follows has added, in their own encoding.
const metaPosition = "standby"

// KeepPosition stores a position, so that the folder can be opened by OpenStandby. durable: it is on the disk when it returns, and not only after Close;
// the folder was opened by OpenStandby then.
func (r *Replay) KeepPosition(position []byte, durable bool) error {
	o := pebble.NoSync
	if durable {
		o = pebble.Sync
	}
	if err := r.db.Set(metaKey(metaPosition), append([]byte{metaVersion}, position...), o); err != nil {
		return fmt.Errorf("store: keep a position: %w", err)
	}
	return nil
}

// OpenStandby opens a folder to go on adding changes to it, where KeepPosition or AddAll has left off, and returns that position. The next change
// is the one that Continue names.
func OpenStandby(dir string) (*Replay, []byte, error) {
	r, err := openReplay(dir, false)
	if err != nil {
		return nil, nil, err
	}
	v, closer, err := r.db.Get(metaKey(metaPosition))
	if err == nil {
		v = append([]byte(nil), v...)
		err = closer.Close()
	}
	if err == nil && (len(v) == 0 || v[0] != metaVersion) {
		err = ErrDamaged
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("store: the position of the standby %s: %w", dir, err), r.db.Close())
	}
	return r, v[1:], nil
}

// Continue says which change comes next.
func (r *Replay) Continue(next uint64) { r.next = next }

// AddAll adds changes, and the position behind them that is made of the number of the next one, all or nothing. They are durable when it
// returns. Changes that are there already are passed over.
func (r *Replay) AddAll(changes []Change, position func(next uint64) ([]byte, error)) error {
	all, next := r.db.NewBatch(), r.next
	for _, c := range changes {
		if c.End <= next {
			continue
		}
		if c.First != next {
			return errors.Join(fmt.Errorf("%w: the folder ends at %d, and the next change begins at %d", ErrGap, next, c.First), all.Close())
		}
		b := r.db.NewBatch()
		var err error
		if len(c.Batch) < batchHeader {
			err = fmt.Errorf("%d bytes", len(c.Batch))
		}
		if err == nil {
			err = b.SetRepr(c.Batch)
		}
		if err == nil {
			err = all.Apply(b, nil)
		}
		if err = errors.Join(err, b.Close()); err != nil {
			return errors.Join(fmt.Errorf("%w: change %d: %w", ErrDamaged, c.First, err), all.Close())
		}
		next = c.End
	}
	row, err := position(next)
	if err == nil {
		err = all.Set(metaKey(metaPosition), append([]byte{metaVersion}, row...), nil)
	}
	if err == nil {
		err = r.db.Apply(all, pebble.Sync)
	}
	if err = errors.Join(err, all.Close()); err != nil {
		return fmt.Errorf("store: add changes: %w", err)
	}
	r.next = next
	return nil
}

// Opens returns the number of the first change of who opens the folder next, if nothing is added to it any more.
func (r *Replay) Opens() (uint64, error) {
	number, err := r.mark(pebble.Sync)
	return number + 1, err
}

// Close makes all of it durable.
func (r *Replay) Close() error { return errors.Join(r.db.Flush(), r.db.Close()) }
