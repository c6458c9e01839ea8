package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
)

// The back-fill walks a table's items in pieces. Under the stripes of a piece's
// items it reads each again and writes the entry that the item asks for then, in
// one batch with how far it has come. A writer of the item comes before, and is
// seen, or after, and derives the entry anew: no entry is missed, and none stays
// that its item does not ask for.

const (
	controlFill   = 'x' // SpaceControl, 'x', internal id: how far a back-fill has come
	fillVersion   = 1
	fillPiece     = 50
	fillPieceSize = 1 << 20
	fillRetry     = time.Minute // after the disk was nearly full
)

// cursorKey is the row that says how far the back-fill of an index, or of a time
// to live, has come.
func cursorKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceControl, controlFill}, id)
}

// unfilled returns the internal ids of what a table has to be filled.
func (d *descriptor) unfilled() (ids []uint64) {
	if ttl := d.def.TTL; ttl != nil && !ttl.Filled {
		ids = append(ids, ttl.ID)
	}
	for i := range d.def.Indexes {
		if x := &d.def.Indexes[i]; x.Backfilling {
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// fillSoon wakes the back-fill, whose work begins here.
func (db *DB) fillSoon() {
	db.streams.Clock().Begin()
	select {
	case db.fill <- struct{}{}:
	default:
		db.streams.Clock().End()
	}
}

// Fill is the worker that brings the items of a table into an index that was made
// later, and into its time to live once that is turned on. It goes on after a
// restart where it was. It returns when ctx is done or the store has failed. The
// caller's work (worker.Clock.Begin) does not count while there is nothing to fill.
func (db *DB) Fill(ctx context.Context) error {
	told := false
	for {
		var later <-chan time.Time
		err := db.fillAll(ctx)
		_ = store.Spare(db.log, &told, "an index or time to live does not get all items", err)
		if errors.Is(err, store.ErrDiskFull) || errors.Is(err, store.ErrDamaged) {
			later = time.After(fillRetry)
		} else if err != nil {
			return err
		}
		db.streams.Clock().End()
		select {
		case <-ctx.Done():
			db.streams.Clock().Begin()
			return nil
		case <-db.fill: // whoever filled it has begun
		case <-later:
			db.streams.Clock().Begin()
		}
	}
}

// fillAll runs all back-fills that there are to do. A nearly full disk holds back
// none but those that met it.
func (db *DB) fillAll(ctx context.Context) error {
	var full error
	for _, t := range *db.tables.Load() {
		for _, id := range t.desc.Load().unfilled() {
			err := db.fillTable(ctx, t, id)
			if errors.Is(err, store.ErrDiskFull) || errors.Is(err, store.ErrDamaged) {
				full = err
			} else if err != nil {
				return err
			}
		}
	}
	return full
}

// fillTable runs one back-fill of a table. Between pieces it leaves the machine to
// others for three times as long as a piece took: on two processors a million items
// take two minutes, and the slowest of 2,000 writes a second meanwhile take less
// than twice as long (twice as fast, with pieces of 200, they took three times).
func (db *DB) fillTable(ctx context.Context, t *Table, id uint64) error {
	after, _, err := db.store.Get(nil, cursorKey(id))
	if err != nil {
		return err
	}
	lower := t.itemPrefix()
	if len(after) > 0 {
		lower = append(after[1:], 0)
	}
	for ctx.Err() == nil {
		began := time.Now()
		if err := db.store.Admit(); err != nil {
			return err
		}
		items, err := db.readPiece(lower, store.PrefixEnd(t.itemPrefix()))
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return db.filled(ctx, t, id)
		}
		last, err := db.fillItems(t, id, items)
		if last == nil || err != nil {
			return err // it was turned off
		}
		lower = append(last, 0)
		select {
		case <-ctx.Done():
		case <-time.After(3 * time.Since(began)):
		}
	}
	return nil
}

// readPiece reads the next items of a range.
func (db *DB) readPiece(lower, upper []byte) (items []item.Item, err error) {
	it, err := db.store.NewIter(lower, upper)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	size := 0
	for ok := it.First(); ok && len(items) < fillPiece && size < fillPieceSize; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return nil, err
		}
		items = append(items, bytes.Clone(v))
		size += len(v)
	}
	return items, it.Close()
}

// fillItems brings a piece in and returns the storage key of its last item; nil
// when what is filled has been turned off, or the table is gone.
func (db *DB) fillItems(t *Table, id uint64, items []item.Item) (last []byte, err error) {
	tx := db.begin()
	d := tx.join(t)
	if d == nil || !slices.Contains(d.unfilled(), id) {
		return nil, tx.release()
	}
	for _, it := range items {
		tx.add(t, d, it)
	}
	tx.lock()
	for i := range items {
		it, err := tx.load(i, false)
		if err != nil {
			_ = tx.release()
			return nil, err
		}
		ttl := d.def.TTL
		if ttl == nil || ttl.ID != id {
			tx.ops[i].fill = id
		} else if second, expires := ttl.expiry(it); expires {
			tx.rows = append(tx.rows, Row{ttl.appendExpiryKey(nil, second, tx.key(i)), nil})
		}
	}
	last = bytes.Clone(tx.key(len(items) - 1))
	tx.rows = append(tx.rows, Row{cursorKey(id), append([]byte{fillVersion}, last...)})
	return last, tx.commit()
}

// filled notes that a back-fill is done, unless what was filled is gone.
func (db *DB) filled(ctx context.Context, t *Table, id uint64) error {
	err := db.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		next := *t.desc.Load()
		if next.dropped || !slices.Contains(next.unfilled(), id) {
			return func(bool) {}, nil
		}
		if ttl := next.def.TTL; ttl != nil && ttl.ID == id {
			done := *ttl
			done.Filled = true
			next.def.TTL = &done
		} else {
			next.def.Indexes = slices.Clone(next.def.Indexes)
			next.def.indexByID(id).Backfilling = false
		}
		b.Delete(cursorKey(id))
		if err := putDefinition(b, &next.def); err != nil {
			return nil, err
		}
		return func(applied bool) {
			if applied {
				t.desc.Store(&next)
			}
		}, nil
	})
	if _, full := errors.AsType[*awserr.Error](err); full {
		return store.ErrDiskFull
	}
	return err
}
