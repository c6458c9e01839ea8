package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// Report takes what a check finds: part is what was looked at, n how much of it there is, and
// faults what is wrong.
type Report func(part string, n int64, faults []string)

// faultsMax bounds how many faults of a part are told one by one.
const faultsMax = 10

// finding gathers the faults of one part.
type finding struct {
	n, wrong int64
	told     []string
}

func (f *finding) fault(format string, args ...any) {
	if f.wrong++; f.wrong <= faultsMax {
		f.told = append(f.told, fmt.Sprintf(format, args...))
	}
}

func (f *finding) report(to Report, part string) {
	if more := f.wrong - int64(len(f.told)); more > 0 {
		f.told = append(f.told, fmt.Sprintf("and %d more", more))
	}
	to(part, f.n, f.told)
}

// checksum is a sum over a set of rows that does not ask for their order.
type checksum struct {
	n    int64
	a, b uint64
}

func (c *checksum) add(key, value []byte) {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(binary.BigEndian.AppendUint32(nil, uint32(len(key)))) // never fails
	_, _ = d.Write(key)
	_, _ = d.Write(value)
	h := d.Sum64()
	c.n++
	c.a += h
	_, _ = d.Write([]byte{1})
	c.b += d.Sum64() * (h | 1)
}

// census is what the items of a table ask for.
type census struct {
	items, size int64
	indexes     []checksum // by the definition's order
	ttl         checksum
	counts      []indexCount   // of the indexes
	parts       []indexCount   // items and bytes by partition
	indexParts  [][]indexCount // by partition
}

// Check looks at all tables: every item has the form and the key that it should, and the
// entries of indexes and of time to live, and all counts, are what the items ask for.
// Nothing else may be written meanwhile.
func (db *DB) Check(ctx context.Context, to Report) error {
	for _, t := range db.sorted() {
		if _, _, err := db.checkTable(ctx, t, to); err != nil {
			return err
		}
		if err := db.checkRecovery(ctx, t, to); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) sorted() []*Table {
	var all []*Table
	for _, t := range *db.tables.Load() {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *Table) int { return int(a.id) - int(b.id) })
	return all
}

// damaged has damage told as a fault of a part, and returns other errors.
func (f *finding) damaged(err error) error {
	if errors.Is(err, store.ErrDamaged) {
		f.fault("%v", err)
		return nil
	}
	return err
}

// checkTable returns what the items ask for, nil when damage of them keeps that unknown, and whether what is derived
// from them is right.
func (db *DB) checkTable(ctx context.Context, t *Table, to Report) (_ *census, right bool, err error) {
	d := &t.desc.Load().def
	var items finding
	c, err := db.takeCensus(ctx, t, &items, nil)
	cut := errors.Is(err, store.ErrDamaged)
	if err := items.damaged(err); err != nil {
		return nil, false, err
	}
	items.report(to, "items of table "+d.Name)
	if cut {
		return nil, false, nil
	}
	right = true
	entries := func(part string, prefix []byte, want checksum) error {
		var f finding
		got, err := db.sum(ctx, prefix)
		if err := f.damaged(err); err != nil {
			return err
		}
		f.n = got.n
		if f.wrong == 0 && got != want {
			f.fault("there are %d entries, and the items ask for %d, or for others", got.n, want.n)
		}
		right = right && f.wrong == 0
		f.report(to, part)
		return nil
	}
	for i := range d.Indexes {
		if x := &d.Indexes[i]; !x.Backfilling {
			if err := entries("index "+d.Name+"/"+x.Name, indexPrefix(nil, t.id, x.ID), c.indexes[i]); err != nil {
				return nil, false, err
			}
		}
	}
	if d.TTL != nil && d.TTL.Filled {
		if err := entries("time to live of table "+d.Name, d.TTL.prefix(), c.ttl); err != nil {
			return nil, false, err
		}
	}
	var counts finding
	counts.n = int64(1 + len(d.Indexes))
	var has indexCount
	kept := make([]indexCount, len(d.Indexes))
	for _, p := range t.parts {
		has.items, has.bytes = has.items+p.items, has.bytes+p.bytes
		for _, n := range p.indexes {
			if i := slices.IndexFunc(d.Indexes, func(x index) bool { return x.ID == n.id }); i >= 0 {
				kept[i].items, kept[i].bytes = kept[i].items+n.items, kept[i].bytes+n.bytes
			}
		}
	}
	if has.items != c.items || has.bytes != c.size {
		counts.fault("%d items of %d bytes are counted, and there are %d of %d", has.items, has.bytes, c.items, c.size)
	}
	for i := range d.Indexes {
		if x := &d.Indexes[i]; !x.Backfilling && (kept[i].items != c.counts[i].items || kept[i].bytes != c.counts[i].bytes) {
			counts.fault("index %s: %d entries of %d bytes are counted, and there are %d of %d", x.Name, kept[i].items, kept[i].bytes, c.counts[i].items, c.counts[i].bytes)
		}
	}
	counts.report(to, "counts of table "+d.Name)
	return &c, right && counts.wrong == 0, nil
}

// takeCensus reads all items of a table. each, unless nil, is called with every whole one.
func (db *DB) takeCensus(ctx context.Context, t *Table, f *finding, each func(key []byte, it item.Item) error) (c census, err error) {
	d := &t.desc.Load().def
	c.indexes, c.counts = make([]checksum, len(d.Indexes)), make([]indexCount, len(d.Indexes))
	c.parts, c.indexParts = make([]indexCount, len(t.parts)), make([][]indexCount, len(t.parts))
	for i := range c.indexParts {
		c.indexParts[i] = make([]indexCount, len(d.Indexes))
		for x := range d.Indexes {
			c.indexParts[i][x].id = d.Indexes[x].ID
		}
	}
	prefix := t.itemPrefix()
	it, err := db.store.NewIter(prefix, store.PrefixEnd(prefix))
	if err != nil {
		return c, err
	}
	defer it.Close()
	var key []byte
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		v, err := it.Value()
		if err != nil {
			return c, err
		}
		f.n++
		one := item.Item(v)
		if err := one.Validate(); err != nil {
			f.fault("the item under %x cannot be read: %v", it.Key(), err)
			continue
		}
		key = d.Keys.AppendKey(append(key[:0], prefix...), one)
		if !bytes.Equal(key, it.Key()) {
			f.fault("the item under %x belongs under %x", it.Key(), key)
			continue
		}
		size := int64(one.Size())
		if size > schema.MaxItemSize {
			f.fault("the item under %x has %d bytes", key, size)
		}
		part := d.partition(binary.BigEndian.Uint64(key[itemPrefix:]))
		c.items, c.size = c.items+1, c.size+size
		c.parts[part].items, c.parts[part].bytes = c.parts[part].items+1, c.parts[part].bytes+size
		for i := range d.Indexes {
			x := &d.Indexes[i]
			if entry, has := x.AppendEntryKey(indexPrefix(nil, t.id, x.ID), one); has {
				value := x.Project(one)
				c.indexes[i].add(entry, value)
				for _, n := range []*indexCount{&c.counts[i], &c.indexParts[part][i]} {
					n.items, n.bytes = n.items+1, n.bytes+int64(value.Size())
				}
			}
		}
		if d.TTL != nil {
			if second, expires := d.TTL.expiry(one); expires {
				c.ttl.add(d.TTL.appendExpiryKey(nil, second, key), nil)
			}
		}
		if each != nil {
			if err := each(key, one); err != nil {
				return c, err
			}
		}
	}
	return c, it.Close()
}

func (db *DB) sum(ctx context.Context, prefix []byte) (c checksum, err error) {
	it, err := db.store.NewIter(prefix, store.PrefixEnd(prefix))
	if err != nil {
		return c, err
	}
	defer it.Close()
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return c, err
		}
		c.add(it.Key(), v)
	}
	return c, errors.Join(it.Close(), ctx.Err())
}

// repairPiece is how many entries go in one batch.
const repairPiece = 1000

// Repair makes what is derived from the items anew, of the tables in which Check finds it wrong: the
// entries of indexes and of time to live, and the counts. It returns the names of those tables, and why
// others cannot be mended, in which nothing was changed. begin is called before the first write to each table: from then on
// until Repair has returned without err, reads of indexes may miss what is there. When some of an earlier Repair
// that was cut short may be among those that are left, that is so still.
// The counts of a table with a stream take effect at the next open. Nothing else may be written meanwhile.
func (db *DB) Repair(ctx context.Context, begin func() error) (mended []string, left []error, err error) {
	for _, t := range db.sorted() {
		name := t.desc.Load().def.Name
		c, right, err := db.checkTable(ctx, t, func(string, int64, []string) {})
		if err != nil {
			return mended, left, err
		}
		if right {
			continue
		}
		if c == nil {
			left = append(left, fmt.Errorf("table %s: items of it are damaged, so what they ask for is not known: restore the folder from a backup", name))
			continue
		}
		last, err := db.lastOfRepair(t, c)
		if errors.Is(err, store.ErrDamaged) {
			left = append(left, fmt.Errorf("table %s: the end of its stream is damaged, so its counts cannot be mended: %w", name, err))
			continue
		}
		if err == nil {
			err = db.store.Admit()
		}
		if err == nil {
			err = begin()
		}
		if err == nil {
			err = db.repairTable(ctx, t, c, last)
		}
		if err != nil {
			return mended, left, fmt.Errorf("table: repair %s: %w", name, err)
		}
		last.Close()
		mended = append(mended, name)
	}
	return mended, left, nil
}

// lastOfRepair makes the batch that ends the repair of a table: its counts. It reads all that the repair
// needs and that may be damaged, except the items, which have just been read.
func (db *DB) lastOfRepair(t *Table, c *census) (*store.Batch, error) {
	d, b := t.desc.Load(), db.store.NewBatch()
	for no, p := range t.parts {
		n := c.parts[no]
		b.Set(p.indexHead, appendIndexHead(nil, c.indexParts[no]))
		b.Set(p.head, appendHead(nil, n.items, n.bytes))
		if d.open != nil {
			if err := d.open[no].Recount(b, n.items, n.bytes); err != nil {
				b.Close()
				return nil, err
			}
		}
	}
	return b, nil
}

func (db *DB) repairTable(ctx context.Context, t *Table, c *census, last *store.Batch) error {
	d := t.desc.Load()
	b := db.store.NewBatch()
	defer b.Close()
	prefixes := [][]byte{indexPrefix(nil, t.id)}
	if d.def.TTL != nil {
		prefixes = append(prefixes, d.def.TTL.prefix())
	}
	for _, prefix := range prefixes {
		b.DeleteRange(prefix, store.PrefixEnd(prefix))
	}
	n := 0
	_, err := db.takeCensus(ctx, t, &finding{}, func(key []byte, it item.Item) error {
		for i := range d.def.Indexes {
			x := &d.def.Indexes[i]
			if entry, has := x.AppendEntryKey(indexPrefix(nil, t.id, x.ID), it); has {
				b.Set(entry, x.Project(it))
				n++
			}
		}
		if d.def.TTL != nil {
			if second, expires := d.def.TTL.expiry(it); expires {
				b.Set(d.def.TTL.appendExpiryKey(nil, second, key), nil)
				n++
			}
		}
		if n < repairPiece {
			return nil
		}
		n = 0
		if err := db.store.Admit(); err != nil {
			return err
		}
		return db.store.Write(b)
	})
	if err == nil {
		err = db.store.Write(b)
	}
	if err == nil {
		err = db.store.Write(last)
	}
	if err != nil {
		return err
	}
	for no, p := range t.parts {
		p.items, p.bytes, p.indexes = c.parts[no].items, c.parts[no].bytes, c.indexParts[no]
	}
	for _, prefix := range prefixes { // what was lost of them to damage is there again
		if err := db.store.Rebuilt(prefix, store.PrefixEnd(prefix)); err != nil {
			return err
		}
	}
	return nil
}
