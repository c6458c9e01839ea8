package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/millstreamdb/millstream/internal/item"
)

// foldFrom is how many bytes a restore puts into its space before it is folded for the first time: of each item whose changes take more than the item
// there is then what it was before them, in place of the changes. It is folded again when it has twice as much as was left.
const foldFrom = 64 << 20

// foldLeast is what the changes of one item may take in any case.
const foldLeast = 1 << 10

// lookup returns what an item is before anything is undone, nil for none; it holds until the next call. Keys rise from call to call.
type lookup func(ctx context.Context, tail []byte) (item.Item, error)

// itemsOf looks items up where they lie.
func itemsOf(from Source, lower, upper []byte) lookup {
	is := &rows{from: from, lower: lower, upper: upper}
	key := bytes.Clone(lower[:itemPrefix])
	return func(_ context.Context, tail []byte) (item.Item, error) {
		key = append(key[:itemPrefix], tail...)
		k, now, ok, err := is.seek(key)
		if err != nil || !ok || !bytes.Equal(k, key) {
			return nil, err
		}
		is.found++
		return now, nil
	}
}

// undoing looks up what items were before what replay has put into a space.
func (db *DB) undoing(space []byte, is lookup) lookup {
	was := db.undoneIn(space)
	return func(ctx context.Context, tail []byte) (item.Item, error) {
		now, err := is(ctx, tail)
		if err != nil {
			return nil, err
		}
		if there, err := was.seek(space, tail); err != nil || !there {
			return now, err
		}
		return was.undo(ctx, tail, now)
	}
}

// changes is what a space has of one item.
type changes struct {
	tail   []byte
	moment int64
	keys   [][]byte
	size   int
	whole  int // size of the oldest item that it has whole; -1: none
}

// fold replaces the changes of items by what these were before them, where that takes less, and returns how many bytes are left.
func (db *DB) fold(ctx context.Context, space []byte, base lookup) (left int, err error) {
	all, was := db.undoneIn(space), db.undoneIn(space)
	b := db.store.NewBatch()
	defer b.Close()
	write := func(least int) error {
		if b.Len() <= least {
			return nil
		}
		if err := errors.Join(db.store.Admit(), ctx.Err()); err != nil {
			return err
		}
		err := db.store.Write(b)
		b.Reset()
		return err
	}
	for {
		c, err := all.changes(ctx)
		if err != nil {
			return 0, err
		}
		if c == nil {
			return left, write(0)
		}
		left += c.size
		if c.size <= foldLeast+max(c.whole, 0) {
			continue
		}
		now, err := base(ctx, c.tail)
		if err != nil {
			return 0, err
		}
		if c.whole < 0 && c.size <= foldLeast+len(now) {
			continue
		}
		there, err := was.seek(space, c.tail)
		if err != nil || !there {
			return 0, errors.Join(err, errUndo)
		}
		before, err := was.undo(ctx, c.tail, now)
		if errors.Is(err, errUnfit) { // an older row may have all of it
			continue
		}
		if err != nil {
			return 0, err
		}
		value := binary.BigEndian.AppendUint64(make([]byte, 0, momentSize+stepHead+len(before)), uint64(c.moment))
		value = append(binary.AppendUvarint(append(value, undoWhole), uint64(len(before))), before...)
		b.Set(c.keys[0], value)
		for _, key := range c.keys[1:] {
			b.Delete(key)
		}
		left += len(c.keys[0]) + len(value) + undoneRow - c.size
		if err := write(pastPiece); err != nil {
			return 0, err
		}
	}
}

// changes returns what there is of the item at hand, and moves on behind it; nil at the end.
func (u *undoneRows) changes(ctx context.Context) (c *changes, err error) {
	for {
		tail, moment, ok, err := u.next()
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if !ok || c != nil && !bytes.Equal(c.tail, tail) {
			return c, nil
		}
		if c == nil {
			c = &changes{tail: bytes.Clone(tail), moment: moment, whole: -1}
		}
		key, value := u.rows.keys[u.rows.at], u.rows.values[u.rows.at]
		c.keys = append(c.keys, key)
		c.size += len(key) + len(value) + undoneRow
		for steps := value[momentSize:]; len(steps) > 0; {
			was, rest, err := cutStep(steps)
			if err != nil {
				return nil, err
			}
			if steps = rest; was.version == undoWhole {
				c.whole = len(was.body)
			}
		}
		u.rows.step()
	}
}

// cutStep takes the first of what is to be undone in turn off.
func cutStep(steps []byte) (was undone, rest []byte, err error) {
	n, size := binary.Uvarint(steps[1:])
	if size <= 0 || n > uint64(len(steps)-1-size) {
		return undone{}, nil, errUndo
	}
	return undone{steps[0], steps[1+size:][:n]}, steps[1+size:][n:], nil
}
