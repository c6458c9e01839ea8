package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// checkMost is how many bytes of items a check of a recovery log holds. The log is read again for those of which there was no room: it lies in the order
// of time, and nothing may be written to put it into that of the items.
const checkMost = 64 << 20

// undoCheck is a check of a recovery log, the newest row first: each row has what its item was whole, or makes it of what came of it.
type undoCheck struct {
	db  *DB
	t   *Table
	r   *recovery
	f   finding
	key []byte

	from, to []byte // the items of this round, by their keys after the table's id; no to: all
	items    map[string]*undoneItem
	held     int
	more     bool // there are differences of items from to on
	made     item.Item
}

// undoneItem is an item, of which some rows have been undone.
type undoneItem struct {
	is    item.Item // what it was then, unless row has it
	row   []byte    // the key of the row, the last one, that has all of it
	parts bool      // some had not
	unfit []byte    // the key of the row from which on nothing can be undone, up to one that has all of it; nil: none
	why   string    // of unfit
	wrong []string  // at most faultsMax: no more are told
	texts int       // bytes of those
	more  int64     // faults beside them
}

// undoneItemRow is what one takes beside its key, the item and its faults.
const undoneItemRow = 200

func (it *undoneItem) size() int {
	return undoneItemRow + cap(it.is) + len(it.unfit) + len(it.why) + it.texts
}

// checkRecovery looks at a table's recovery log: every row can be read, has an item of this key, and can be undone.
func (db *DB) checkRecovery(ctx context.Context, t *Table, to Report) error {
	d := &t.desc.Load().def
	if d.Recovery == nil {
		return nil
	}
	c := &undoCheck{db: db, t: t, r: d.Recovery}
	for first := true; first || c.more; first = false {
		c.from, c.to, c.more, c.held, c.items = c.to, nil, false, 0, map[string]*undoneItem{}
		err := c.round(ctx, first)
		damaged := errors.Is(err, store.ErrDamaged)
		if err := c.f.damaged(err); err != nil {
			return err
		}
		for _, tail := range slices.Sorted(maps.Keys(c.items)) {
			it := c.items[tail]
			if it.unfit != nil {
				it.lost(nil)
			}
			for _, text := range it.wrong {
				c.f.fault("%s", text)
			}
			c.f.wrong += it.more
		}
		if damaged {
			break
		}
	}
	c.f.report(to, "recovery log of table "+d.Name)
	return nil
}

// round reads the log once. Only the first time each row is looked at for itself, too.
func (c *undoCheck) round(ctx context.Context, first bool) (err error) {
	it, err := c.db.store.NewIter(c.r.prefix(), store.PrefixEnd(c.r.prefix()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.Last(); ok; ok = it.Prev() {
		value, err := it.Value()
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		tail, was, parsed := parseUndo(value)
		if first {
			c.f.n++
			c.row(it.Key(), tail, was, parsed)
		}
		if parsed != nil || len(it.Key()) != undoPrefix+8+seqnum.Size || bytes.Compare(tail, c.from) < 0 {
			continue
		}
		if c.to != nil && bytes.Compare(tail, c.to) >= 0 {
			c.more = c.more || was.version == undoPart
			continue
		}
		if err := c.undo(it.Key(), tail, was); err != nil {
			return err
		}
	}
	return nil
}

// row looks at a row by itself.
func (c *undoCheck) row(row, tail []byte, was undone, parsed error) {
	f := &c.f
	switch {
	case len(row) != undoPrefix+8+seqnum.Size:
		f.fault("the row under %x has no moment", row)
	case parsed != nil:
		f.fault("the row under %x cannot be read: %v", row, parsed)
	case momentOf(row) < c.r.FromMS:
		f.fault("the row under %x is older than what can be restored", row)
	case was.version == undoWhole && len(was.body) > 0:
		if err := item.Item(was.body).Validate(); err != nil {
			f.fault("the item of the row under %x cannot be read: %v", row, err)
		} else if c.key = c.t.desc.Load().def.Keys.AppendKey(c.key[:0], item.Item(was.body)); !bytes.Equal(c.key, tail) {
			f.fault("the item of the row under %x belongs under %x, and not under %x", row, c.key, tail)
		}
	}
}

func momentOf(row []byte) int64 { return int64(binary.BigEndian.Uint64(row[undoPrefix:])) }

// undo undoes a row of an item.
func (c *undoCheck) undo(row, tail []byte, was undone) error {
	it, known := c.items[string(tail)]
	if known {
		c.held -= it.size()
	} else {
		it = &undoneItem{}
		c.items[string(tail)] = it
		c.held += len(tail)
	}
	err := c.undoItem(it, known, row, tail, was)
	c.held += it.size()
	c.bound()
	return err
}

func (c *undoCheck) undoItem(it *undoneItem, known bool, row, tail []byte, was undone) error {
	if was.version == undoWhole {
		if it.unfit != nil {
			it.lost(row)
		}
		it.is, it.row = nil, bytes.Clone(row)
		return nil
	}
	it.parts = true
	if it.unfit != nil {
		return nil
	}
	if !known || it.row != nil {
		if err := c.load(tail, it); errors.Is(err, store.ErrDamaged) {
			it.unfit, it.why = bytes.Clone(row), fmt.Sprintf("what came of the item under %x cannot be read (%v), and the row under %x is a difference from it", c.under(tail), err, row)
			return nil
		} else if err != nil {
			return err
		}
	}
	before, err := was.of(c.made, it.is)
	if err != nil {
		it.is = nil
		it.unfit, it.why = bytes.Clone(row), fmt.Sprintf("the row under %x does not fit what came of its item under %x", row, c.under(tail))
		return nil
	}
	if c.made = before; cap(it.is) > 2*len(before) {
		it.is = nil
	}
	it.is = append(it.is[:0], before...)
	return nil
}

// load reads what an item was before its row that has all of it, or what it is.
func (c *undoCheck) load(tail []byte, it *undoneItem) error {
	key := it.row
	if key == nil {
		key = c.under(tail)
	}
	v, _, err := c.db.store.Get(nil, key)
	if err == nil && it.row != nil {
		var was undone
		_, was, err = parseUndo(v)
		v, it.row = was.body, nil
	}
	if err == nil {
		it.is = v
	}
	return err
}

func (c *undoCheck) under(tail []byte) []byte { return append(c.t.itemPrefix(), tail...) }

// lost notes which moments of an item are lost: those before its row that cannot be undone, down to that of the older row that has all of it.
func (it *undoneItem) lost(whole []byte) {
	text := func(row []byte) string { return time.UnixMilli(momentOf(row)).UTC().Format(time.RFC3339Nano) }
	moments := "any moment before " + text(it.unfit)
	if whole != nil {
		moments = "a moment from " + text(whole) + " on and before " + text(it.unfit)
	}
	fault := it.why + ": the table cannot be restored to " + moments
	if it.why, it.unfit = "", nil; len(it.wrong) == faultsMax {
		it.more++
		return
	}
	it.wrong, it.texts = append(it.wrong, fault), it.texts+len(fault)
}

// bound leaves items to the next round when there is no room for them.
func (c *undoCheck) bound() {
	if c.held <= c.db.checkMost || len(c.items) < 2 {
		return
	}
	tails := slices.Sorted(maps.Keys(c.items))
	for n := len(tails) - 1; n > 0 && c.held > c.db.checkMost/2; n-- {
		it := c.items[tails[n]]
		c.more = c.more || it.parts
		c.held -= len(tails[n]) + it.size()
		delete(c.items, tails[n])
		c.to = []byte(tails[n])
	}
}
