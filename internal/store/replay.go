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
	f := privateFS{vfs.Default, dir}
	path := f.PathJoin(dir, databasePath)
	po := &pebble.Options{
		FS: f, Logger: quiet{}, EventListener: onlyErrors(), FormatMajorVersion: formatVersion, MemTableSize: memTableSize, DisableWAL: true,
		ErrorIfNotExists: true,
	}
	db, err := pebble.Open(path, po)
	if err != nil {
		return nil, fmt.Errorf("store: open %s to add changes: %w", path, err)
	}
	mark := db.NewBatch()
	err = errors.Join(mark.Set(metaKey(metaReplayed), []byte{metaVersion}, nil), db.Apply(mark, pebble.NoSync))
	r := &Replay{db: db, next: uint64(mark.SeqNum())}
	if err = errors.Join(err, mark.Close()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return r, nil
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

// Close makes all of it durable.
func (r *Replay) Close() error { return errors.Join(r.db.Flush(), r.db.Close()) }
