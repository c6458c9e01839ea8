package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// An index is written in the batch of the item, so it is never behind its table.
// Its entries are derived from the items, old and new, under the item's stripe, in
// Tx.commit alone. While an index is back-filled an item's entry may not be there
// yet, so that a writer looks for it before it counts it as removed.

// index is a secondary index as the definition of its table stores it.
type index struct {
	schema.Index
	Throughput  *request.Throughput         `json:"throughput,omitempty"` // of a global one, unless on demand
	OnDemand    *request.OnDemandThroughput `json:"onDemand,omitempty"`
	Warm        *request.Throughput         `json:"warm,omitempty"`
	Backfilling bool                        `json:"backfilling,omitempty"`
	Changes     unitChanges                 `json:"changes,omitzero"`
	Passing     *passing                    `json:"passing,omitempty"` // status.go
	Warming     *passing                    `json:"warming,omitempty"`
}

// newIndex makes an index as a request asks for it. The types of its key come
// from attributes.
func newIndex(id uint64, r *request.Index, local bool, attributes []schema.Attribute) index {
	x := index{
		Index:      schema.Index{ID: id, Name: r.Name, Local: local, Projection: r.Projection, NonKey: r.NonKeyAttributes},
		Throughput: r.Throughput, OnDemand: someCaps(r.OnDemand), Warm: newWarm(r.Warm, r.Throughput == nil, unitsOf(r.Throughput)),
	}
	for _, k := range r.Keys {
		a := attributes[slices.IndexFunc(attributes, func(a schema.Attribute) bool { return a.Name == k.Attribute })]
		if k.Range {
			x.Range = append(x.Range, a)
		} else {
			x.Hash = append(x.Hash, a)
		}
	}
	return x
}

// compile makes the indexes of a definition ready for use.
func (d *definition) compile() {
	for i := range d.Indexes {
		d.Indexes[i].Compile(&d.Keys)
	}
}

func (d *definition) index(name string) *index {
	for i := range d.Indexes {
		if d.Indexes[i].Name == name {
			return &d.Indexes[i]
		}
	}
	return nil
}

func (d *definition) indexByID(id uint64) *index {
	for i := range d.Indexes {
		if d.Indexes[i].ID == id {
			return &d.Indexes[i]
		}
	}
	return nil
}

func (d *definition) hasLocal() bool {
	return slices.ContainsFunc(d.Indexes, func(x index) bool { return x.Local })
}

// indexPrefix begins the keys of the entries of one index; without an id, of all
// indexes of a table.
func indexPrefix(dst []byte, table uint64, ids ...uint64) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, store.SpaceIndex), table)
	for _, id := range ids {
		dst = binary.BigEndian.AppendUint64(dst, id)
	}
	return dst
}

// indexDelta is what a write adds to the counts of one index.
type indexDelta struct {
	part         int
	table        *Table
	id           uint64
	items, bytes int64
}

// index derives the entries of one operation and puts what changes of them into b.
func (tx *Tx) index(b *store.Batch, o *op) error {
	var oldBuf, newBuf [256]byte
	for i := range o.desc.def.Indexes {
		x := &o.desc.def.Indexes[i]
		prefix := indexPrefix(oldBuf[:0], o.table.id, x.ID)
		oldKey, had := x.AppendEntryKey(prefix, o.old)
		if had && x.Backfilling {
			var err error
			if had, err = tx.db.store.Has(oldKey); err != nil {
				return err
			}
		}
		newKey, has := x.AppendEntryKey(indexPrefix(newBuf[:0], o.table.id, x.ID), o.new)
		d := indexDelta{part: o.part, table: o.table, id: x.ID}
		var old, new item.Item
		if had {
			old = x.Project(o.old)
		}
		if has {
			new = x.Project(o.new)
		}
		same := had && has && string(oldKey) == string(newKey)
		if same && item.Equal(item.Value(old), item.Value(new)) {
			continue
		}
		if had {
			d.items--
			d.bytes -= int64(old.Size())
			if !same {
				b.Delete(oldKey)
			}
		}
		if has {
			d.items++
			d.bytes += int64(new.Size())
			b.Set(newKey, new)
		}
		if d.items != 0 || d.bytes != 0 {
			tx.deltas = append(tx.deltas, d)
		}
	}
	return nil
}

// fillEntry puts the entry of an item into an index that is back-filled, unless it
// is there. It reports whether anything was written.
func (tx *Tx) fillEntry(b *store.Batch, o *op) (bool, error) {
	x := o.desc.def.indexByID(o.fill)
	key, has := x.AppendEntryKey(indexPrefix(nil, o.table.id, x.ID), o.old)
	if !has {
		return false, nil
	}
	there, err := tx.db.store.Has(key)
	if err != nil || there {
		return false, err
	}
	entry := x.Project(o.old)
	b.Set(key, entry)
	tx.deltas = append(tx.deltas, indexDelta{part: o.part, table: o.table, id: x.ID, items: 1, bytes: int64(entry.Size())})
	return true, nil
}

// indexCount is what one partition has in an index.
type indexCount struct {
	id           uint64
	items, bytes int64
}

// count adds to the counts of an index. p.mu is held.
func (p *partition) count(d *indexDelta) {
	for i := range p.indexes {
		if c := &p.indexes[i]; c.id == d.id {
			c.items += d.items
			c.bytes += d.bytes
			return
		}
	}
	p.indexes = append(p.indexes, indexCount{d.id, d.items, d.bytes})
}

const headIndexes = 'x' // SpaceHead, table id, 'x', partition number

func indexHeadKey(table uint64, no int) []byte {
	k := binary.BigEndian.AppendUint64([]byte{store.SpaceHead}, table)
	return binary.BigEndian.AppendUint32(append(k, headIndexes), uint32(no))
}

// appendIndexHead appends the row of a partition's index counts: version, then for
// each index its id, items and bytes (8 each).
func appendIndexHead(dst []byte, counts []indexCount) []byte {
	dst = append(dst, headVersion)
	for _, c := range counts {
		dst = binary.BigEndian.AppendUint64(dst, c.id)
		dst = binary.BigEndian.AppendUint64(dst, uint64(c.items))
		dst = binary.BigEndian.AppendUint64(dst, uint64(c.bytes))
	}
	return dst
}

// loadIndexCounts reads the counts of a table's indexes.
func (db *DB) loadIndexCounts(t *Table) error {
	for no := range t.parts {
		v, found, err := db.store.Get(nil, indexHeadKey(t.id, no))
		if errors.Is(err, store.ErrDamaged) {
			db.log.Warn("the counts of a table's indexes are lost to damage and begin at zero; millstream repair counts again",
				"table", t.desc.Load().def.Name, "error", err)
		} else if err != nil {
			return err
		}
		if !found {
			continue
		}
		if len(v)%24 != 1 || v[0] != headVersion {
			return fmt.Errorf("table: the counts of the indexes of %s are damaged", t.desc.Load().def.Name)
		}
		for v = v[1:]; len(v) > 0; v = v[24:] {
			t.parts[no].indexes = append(t.parts[no].indexes, indexCount{
				binary.BigEndian.Uint64(v), int64(binary.BigEndian.Uint64(v[8:])), int64(binary.BigEndian.Uint64(v[16:])),
			})
		}
	}
	return nil
}

// checkIndexKeys checks an item that is to be stored against all indexes.
func checkIndexKeys(d *descriptor, it item.Item) *awserr.Error {
	var first firstError
	for i := range d.def.Indexes {
		first.add(&d.def.Indexes[i], d.def.Indexes[i].CheckItem(it))
	}
	if first.e != nil {
		return first.e
	}
	if !fits(d, it) {
		return awserr.ItemTooLarge()
	}
	return nil
}

// fits reports whether an item and its entries in the local indexes of its table
// together keep to the limit of an item's size.
func fits(d *descriptor, it item.Item) bool {
	size := it.Size()
	if size*(1+len(d.def.Indexes)) <= schema.MaxItemSize {
		return true // no entry is larger than its item
	}
	var key [256]byte
	for i := range d.def.Indexes {
		x := &d.def.Indexes[i]
		if !x.Local {
			continue
		}
		if _, has := x.AppendEntryKey(key[:0], it); has {
			size += x.Project(it).Size()
		}
	}
	return size <= schema.MaxItemSize
}

// checkIndexUpdate checks what an update made of an item against all indexes.
func checkIndexUpdate(d *descriptor, old, new item.Item) *awserr.Error {
	if new == nil {
		return nil
	}
	var first firstError
	for i := range d.def.Indexes {
		first.add(&d.def.Indexes[i], d.def.Indexes[i].CheckUpdate(old, new))
	}
	return first.e
}

// checkIndexLiterals checks the values of a request that an update gives to key
// attributes of indexes, which AWS does before it looks at the item.
func checkIndexLiterals(d *descriptor, u *expr.Update) *awserr.Error {
	var first firstError
	for i := range d.def.Indexes {
		x := &d.def.Indexes[i]
		for n := range x.Len() {
			a := x.At(n)
			if v := u.Literal(a.Name); v != nil && v.Type() != a.Type {
				first.add(x, awserr.IndexKeyTypeMismatch(a.Name, a.Type.String(), v.Type().String(), x.Name))
			}
		}
	}
	return first.e
}

// checkEmptyIndexKeys refuses empty values that a put or an update gives to key
// attributes of indexes. Transactions refuse them before all else about keys.
func checkEmptyIndexKeys(d *descriptor, w *request.TransactWrite) *awserr.Error {
	var first firstError
	for i := range d.def.Indexes {
		x := &d.def.Indexes[i]
		for n := range x.Len() {
			a := x.At(n)
			v := w.Item.Get(a.Name)
			if w.Action == request.TransactUpdate {
				v = w.Update.Literal(a.Name)
			}
			switch {
			case v.Type() != a.Type || a.Type == item.N || v.Len() > 0:
			case w.Action == request.TransactUpdate:
				first.add(x, awserr.EmptyIndexKeyUpdate(a.Type == item.B))
			case w.Action == request.TransactPut:
				first.add(x, awserr.EmptyIndexKey(a.Name, a.Type == item.B, x.Name))
			}
		}
	}
	return first.e
}

// firstError is the error of several indexes that AWS reports: that of the first by
// name.
type firstError struct {
	e    *awserr.Error
	name string
}

func (f *firstError) add(x *index, e *awserr.Error) {
	if e != nil && (f.e == nil || x.Name < f.name) {
		f.e, f.name = e, x.Name
	}
}

// writeUnits is what writes used of a table and, by their place in its definition,
// of its indexes.
type writeUnits struct {
	d       *descriptor
	table   float64
	indexes []float64
}

// add adds the write that makes new of old. The table's share is multiplied by
// factor; those of the indexes are not, also in a transaction.
func (u *writeUnits) add(old, new item.Item, factor float64) {
	u.table += factor * schema.WriteUnits(sizeOf(old), sizeOf(new))
	list := u.d.def.Indexes
	if len(list) == 0 || item.Equal(item.Value(old), item.Value(new)) {
		return
	}
	if u.indexes == nil {
		u.indexes = make([]float64, len(list))
	}
	for i := range list {
		x := &list[i]
		oldKey, had := x.AppendEntryKey(nil, old)
		newKey, has := x.AppendEntryKey(nil, new)
		oldSize, newSize := 0, 0
		var before, after item.Item
		if had {
			before = x.Project(old)
			oldSize = before.Size()
		}
		if has {
			after = x.Project(new)
			newSize = after.Size()
		}
		switch {
		case had && has && string(oldKey) == string(newKey):
			if !item.Equal(item.Value(before), item.Value(after)) {
				u.indexes[i] += schema.WriteUnits(oldSize, newSize)
			}
		default:
			if had {
				u.indexes[i] += schema.WriteUnits(oldSize, 0)
			}
			if has {
				u.indexes[i] += schema.WriteUnits(0, newSize)
			}
		}
	}
}

// capacity shows the units in the form that was asked for.
func (u *writeUnits) capacity(table string, asked request.ReturnConsumedCapacity) *Capacity {
	c := capacity(table, asked, u.table)
	for i, units := range u.indexes {
		if units == 0 {
			continue
		}
		c.Units += units
		part := IndexCapacity{Index: u.d.def.Indexes[i].Name, Units: units}
		if u.d.def.Indexes[i].Local {
			c.Local = append(c.Local, part)
		} else {
			c.Global = append(c.Global, part)
		}
	}
	return c
}

// describeIndexes shows the indexes of a table with their exact counts.
func describeIndexes(t *Table, d *descriptor, desc *Description, v view) {
	if len(d.def.Indexes) == 0 && len(d.def.Leaving) == 0 {
		return
	}
	counts := map[uint64]indexCount{}
	for i := range t.parts {
		p := t.parts[i]
		p.mu.Lock()
		for _, c := range p.indexes {
			sum := counts[c.id]
			sum.items += c.items
			sum.bytes += c.bytes
			counts[c.id] = sum
		}
		p.mu.Unlock()
	}
	for i := range d.def.Indexes {
		x := &d.def.Indexes[i]
		shown := x.describe(d, desc, v)
		shown.ItemCount, shown.SizeBytes = counts[x.ID].items, counts[x.ID].bytes
		if x.Local {
			desc.Local = append(desc.Local, shown)
		} else {
			desc.Global = append(desc.Global, shown)
		}
	}
	for i := range d.def.Leaving {
		l := &d.def.Leaving[i]
		if !l.Until.seen(v) {
			continue
		}
		shown := l.Index.describe(d, desc, v)
		shown.Status, shown.Backfilling = statusDeleting, false
		desc.Global = append(desc.Global, shown)
	}
}

// describe shows one index without its counts, and adds the attributes of its key to
// those of the table.
func (x *index) describe(d *descriptor, desc *Description, v view) IndexDescription {
	shown := IndexDescription{
		Index: request.Index{
			Name: x.Name, Projection: x.Projection, NonKeyAttributes: x.NonKey, Throughput: x.Throughput, OnDemand: x.OnDemand,
		},
		ARN: desc.ARN + "/index/" + x.Name,
	}
	for n := range x.Len() {
		a := x.At(n)
		shown.Keys = append(shown.Keys, request.KeyElement{Attribute: a.Name, Range: n >= len(x.Hash)})
		if !slices.ContainsFunc(desc.Attributes, func(b schema.Attribute) bool { return b.Name == a.Name }) {
			desc.Attributes = append(desc.Attributes, a)
		}
	}
	if x.Local {
		return shown
	}
	warm := x.warm(d.def.Settings.PayPerRequest)
	shown.Status, shown.WarmUnits, shown.WarmStatus = statusActive, &warm, statusActive
	today := x.Changes.today(v.now)
	switch p := x.Passing; {
	case p.seen(v):
		shown.Status = p.Status
		if p.Throughput != nil {
			shown.Throughput, today = p.Throughput, p.Decreases
		}
	case d.def.Passing.seen(v) && d.def.Passing.Status == statusCreating:
		shown.Status, shown.WarmStatus = statusCreating, statusUpdating
	case x.Backfilling:
		shown.Status, shown.Backfilling = statusCreating, true
	}
	if p := x.Warming; p.seen(v) {
		shown.WarmUnits, shown.WarmStatus = p.Warm, statusUpdating
	}
	shown.Changes = x.Changes.describe(today)
	return shown
}

// warm returns the warm throughput of a global index.
func (x *index) warm(onDemand bool) request.Throughput {
	return warmOf(x.Warm, onDemand, unitsOf(x.Throughput))
}

// unitsOf returns a throughput that may not be there.
func unitsOf(t *request.Throughput) request.Throughput {
	if t == nil {
		return request.Throughput{}
	}
	return *t
}
