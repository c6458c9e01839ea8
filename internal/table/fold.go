package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
)

// foldFrom is how many bytes a restore puts into its space before it is folded for the first time: of each item whose changes take more than twice as
// much as the item and foldLeast there is then what it was before them, in place of the changes. It is folded again when it has twice as much as was left.
const foldFrom = 256 << 20

const foldLeast = 1 << 10

// fitsNone is a difference that fits no item: it makes nothing, and has not the sum of that.
var fitsNone = make([]byte, 8)

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
	whole  int  // size of the oldest item that it has whole; -1: none
	ends   bool // with that one, which is before
	before []byte
}

// fold replaces the changes of items by what these were before them, where that takes less, and returns how many bytes are left.
func (db *DB) fold(ctx context.Context, space []byte, base lookup) (left int, err error) {
	it, err := db.store.NewIter(space, store.PrefixEnd(space))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	was := db.undoneIn(space)
	b := db.store.NewBatch()
	defer b.Close()
	write := func() error {
		if err := errors.Join(db.store.Admit(), ctx.Err()); err != nil || b.Empty() {
			return err
		}
		err := db.store.Write(b)
		b.Reset()
		return err
	}
	var c changes
	for n, ok := 0, it.First(); ok; n++ {
		if ok, err = c.read(it, len(space)); err == nil && n%1000 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		left += c.size
		if c.size <= foldLeast+2*max(c.whole, 0) {
			continue
		}
		var now item.Item // of no use when they have all of it
		if c.whole < 0 {
			if now, err = base(ctx, c.tail); err != nil {
				return 0, err
			}
			if c.size <= foldLeast+2*len(now) {
				continue
			}
		}
		version, before := byte(undoWhole), item.Item(c.before)
		if !c.ends {
			there, err := was.seek(space, c.tail)
			if err != nil || !there {
				return 0, errors.Join(err, errUndo)
			}
			before, err = was.undo(ctx, c.tail, now)
			if errors.Is(err, errUnfit) { // only an older row that has all of it helps: the differences between need not be kept
				version, before = undoPart, fitsNone
			} else if err != nil {
				return 0, err
			}
		}
		value := binary.BigEndian.AppendUint64(make([]byte, 0, momentSize+stepHead+len(before)), uint64(c.moment))
		value = append(binary.AppendUvarint(append(value, version), uint64(len(before))), before...)
		b.Set(c.keys[0], value)
		for _, key := range c.keys[1:] {
			b.Delete(key)
		}
		left += len(c.keys[0]) + len(value) + undoneRow - c.size
		if b.Len() >= pastPiece {
			if err := write(); err != nil {
				return 0, err
			}
		}
	}
	return left, write()
}

// read reads what there is of the item at hand, and moves on behind it, if there is another.
func (c *changes) read(it *store.Iter, space int) (more bool, err error) {
	c.keys, c.size, c.whole, c.ends = c.keys[:0], 0, -1, false
	for more = true; more; more = it.Next() {
		key := it.Key()
		value, err := it.Value()
		if err != nil {
			return false, err
		}
		if len(key) < space+pieceSize || len(value) < momentSize {
			return false, errUndo
		}
		switch tail := key[space : len(key)-pieceSize]; {
		case len(c.keys) == 0:
			c.tail, c.moment = append(c.tail[:0], tail...), int64(binary.BigEndian.Uint64(value))
		case !bytes.Equal(tail, c.tail):
			return true, nil
		}
		c.keys = append(c.keys, bytes.Clone(key))
		c.size += len(key) + len(value) + undoneRow
		for steps := value[momentSize:]; len(steps) > 0; {
			was, rest, err := cutStep(steps)
			if err != nil {
				return false, err
			}
			steps = rest
			if c.ends = was.version == undoWhole; c.ends {
				c.whole, c.before = len(was.body), append(c.before[:0], was.body...)
			}
		}
	}
	return false, nil
}

// cutStep takes the first of what is to be undone in turn off.
func cutStep(steps []byte) (was undone, rest []byte, err error) {
	n, size := binary.Uvarint(steps[1:])
	if size <= 0 || n > uint64(len(steps)-1-size) {
		return undone{}, nil, errUndo
	}
	return undone{steps[0], steps[1+size:][:n]}, steps[1+size:][n:], nil
}
