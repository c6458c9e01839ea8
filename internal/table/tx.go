package table

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trace"
)

const stripeCount = 4096

// stripe guards the items whose key hashes to it.
type stripe struct {
	mu sync.Mutex
	// last is the newest commit that wrote an item of the stripe, set before it is
	// applied. Read without mu.
	last atomic.Pointer[store.Commit]
}

// wait returns when what the last commit of the stripe wrote is durable.
func (s *stripe) wait() error {
	if c := s.last.Load(); c != nil && !c.Done() {
		return c.Wait()
	}
	return nil
}

// partition is a range of a table's hash space: the unit of counting and, with a
// stream, of the log.
type partition struct {
	// mu is held while numbers are taken and the batch that carries them is
	// applied, and nothing else.
	mu    sync.Mutex
	items int64 // as of what was applied
	bytes int64
	head  []byte // key of the head row
	// indexes are the counts of the indexes' entries of these items.
	indexes   []indexCount
	indexHead []byte // key of their row
}

// Tx is the one write path: every write of an item, whatever its request, goes
// through it. A Tx is used by one goroutine: join the tables, add the items, lock,
// load, put, then commit or release. It comes from a pool and must not be used
// after commit or release.
type Tx struct {
	db      *DB
	ops     []op
	tables  []*Table         // locked, ascending by id
	stripes []uint16         // locked, ascending
	keys    []byte           // storage keys of ops, back to back
	parts   []opPart         // partitions to be written, in lock order; scratch of commit
	deltas  []indexDelta     // of the indexes' counts; scratch of commit
	recs    []*stream.Record // one an op, nil for none; scratch of commit
	undo    []byte           // values of rows of recovery logs, back to back
	probes  store.Probes     // by which new items are looked for, if there are several; made by the first, closed by unlock
	locked  bool

	// What a caller commits in the same batch beside items (a client token, a
	// position), and when it learns that the batch is visible.
	rows    []Row
	build   func(*store.Batch) error
	applied func(*store.Commit)
	// cause, expired and trace are noted in the stream records.
	cause   uint8
	expired bool
	trace   trace.ID
}

// Row is a row of another key space.
type Row struct{ Key, Value []byte }

// op is one item of a Tx.
type op struct {
	desc      *descriptor
	table     *Table
	keyStart  int // in Tx.keys
	keyEnd    int
	keyHash   uint64
	part      int
	old, new  item.Item
	oldSize   int
	newSize   int
	changed   bool
	undo      int    // in Tx.undo, with point-in-time recovery
	undoEnd   int    // in Tx.undo
	undoWhole bool   // old follows
	fill      uint64 // the index into which the item's entry is back-filled; 0: none
}

type opPart struct {
	table *Table
	no    int
}

var txPool = sync.Pool{New: func() any { return new(Tx) }}

func (db *DB) begin() *Tx {
	tx := txPool.Get().(*Tx)
	tx.db = db
	return tx
}

func (tx *Tx) recycle() {
	clear(tx.ops)
	clear(tx.tables)
	clear(tx.parts)
	clear(tx.rows)
	clear(tx.deltas)
	clear(tx.recs)
	if cap(tx.undo) > 64<<10 {
		tx.undo = nil
	}
	*tx = Tx{undo: tx.undo[:0], deltas: tx.deltas[:0], recs: tx.recs[:0], ops: tx.ops[:0], tables: tx.tables[:0], stripes: tx.stripes[:0], keys: tx.keys[:0], parts: tx.parts[:0], rows: tx.rows[:0]}
	if cap(tx.keys) <= 64<<10 {
		txPool.Put(tx)
	}
}

// join takes the shared lock of a table and returns its descriptor, nil when
// the table is not there. Tables must be joined in ascending order of id.
func (tx *Tx) join(t *Table) *descriptor {
	t.mu.RLock()
	d := t.desc.Load()
	if d.dropped {
		t.mu.RUnlock()
		return nil
	}
	tx.tables = append(tx.tables, t)
	return d
}

// add names an item by a value that holds its key attributes (a key, or the item
// itself), already checked against the schema. It returns the item's place.
func (tx *Tx) add(t *Table, d *descriptor, attrs item.Item) int {
	start := len(tx.keys)
	tx.keys = append(tx.keys, store.SpaceItem)
	tx.keys = binary.BigEndian.AppendUint64(tx.keys, t.id)
	tx.keys = d.def.Keys.AppendKey(tx.keys, attrs)
	return tx.addKey(t, d, start)
}

// addStored is add by the item's storage key after its table id.
func (tx *Tx) addStored(t *Table, d *descriptor, key []byte) int {
	start := len(tx.keys)
	tx.keys = append(tx.keys, store.SpaceItem)
	tx.keys = binary.BigEndian.AppendUint64(tx.keys, t.id)
	tx.keys = append(tx.keys, key...)
	return tx.addKey(t, d, start)
}

// addKey adds the item whose storage key is at the end of tx.keys, from start on.
func (tx *Tx) addKey(t *Table, d *descriptor, start int) int {
	key := tx.keys[start:]
	tx.ops = append(tx.ops, op{
		desc: d, table: t, keyStart: start, keyEnd: len(tx.keys),
		keyHash: xxhash.Sum64(key),
		part:    d.def.partition(binary.BigEndian.Uint64(key[itemPrefix:])),
	})
	return len(tx.ops) - 1
}

func (tx *Tx) key(i int) []byte { return tx.keys[tx.ops[i].keyStart:tx.ops[i].keyEnd] }

// lock takes the stripes of all added items.
func (tx *Tx) lock() {
	for i := range tx.ops {
		tx.stripes = append(tx.stripes, uint16(tx.ops[i].keyHash%stripeCount))
	}
	if len(tx.stripes) > 1 {
		slices.Sort(tx.stripes)
		tx.stripes = slices.Compact(tx.stripes)
	}
	for _, s := range tx.stripes {
		tx.db.stripes[s].mu.Lock()
	}
	tx.locked = true
}

// load reads the stored item, nil when there is none. isNew says that it is put, so that there may be
// none: then what the last puts of the table have met tells which is more likely.
func (tx *Tx) load(i int, isNew bool) (item.Item, error) {
	o, read := &tx.ops[i], tx.db.store.Get
	switch probably := isNew && !o.table.replacing.likely(); {
	case probably && len(tx.ops) > 1:
		if tx.probes == (store.Probes{}) {
			var err error
			if tx.probes, err = tx.db.store.NewProbes(); err != nil {
				return nil, err
			}
		}
		read = tx.probes.Get
	case probably:
		read = tx.db.store.Probe
	}
	v, found, err := read(nil, tx.key(i))
	if isNew && err == nil {
		o.table.replacing.met(found)
	}
	if err != nil || !found {
		return nil, err
	}
	o.old = v
	o.oldSize = o.old.Size()
	return o.old, nil
}

// replacing counts by how much more puts have met an item than not, up to replacingMost. An absent item is cheaper to see by
// Store.Probe, one that is there by Store.Get: a put of 1 KB that replaces an item takes a sixth less.
type replacing struct{ n atomic.Int32 }

const replacingMost = 32

func (r *replacing) likely() bool { return r.n.Load() > replacingMost/2 }

// met counts roughly: what another put counts at the same time may be lost. At either end it writes nothing that others would have to read again.
func (r *replacing) met(found bool) {
	switch n := r.n.Load(); {
	case found && n < replacingMost:
		r.n.Store(n + 1)
	case !found && n > 0:
		r.n.Store(n - 1)
	}
}

// put sets what the item becomes, nil to delete it. It must have been loaded.
func (tx *Tx) put(i int, new item.Item) {
	o := &tx.ops[i]
	o.new = new
	// Equal bytes are equal items: the binary form is canonical.
	o.changed = !item.Equal(item.Value(o.old), item.Value(new))
	if o.changed && new != nil {
		o.newSize = new.Size()
	}
}

// unlock releases all locks.
func (tx *Tx) unlock() {
	tx.probes.Close()
	if tx.locked {
		for _, s := range tx.stripes {
			tx.db.stripes[s].mu.Unlock()
		}
		tx.locked = false
	}
	for _, t := range tx.tables {
		t.mu.RUnlock()
	}
}

// release ends a Tx that writes nothing, and returns when everything that its
// reads showed is durable.
func (tx *Tx) release() error {
	tx.unlock()
	var err error
	for _, s := range tx.stripes {
		if e := tx.db.stripes[s].wait(); e != nil {
			err = e
		}
	}
	tx.recycle()
	return err
}

// commit writes what was put: items, counters and stream records in one batch,
// with the caller's rows. It returns once that, and everything that the reads
// showed, is durable. What changes nothing is not written; a Tx in which nothing
// changes, without rows, is released.
//
// The order is what P1 to P3 stand on: the commit is noted in the stripes before it
// is applied, so that whoever sees it can wait for it; numbers are taken and applied
// under one lock, so that their order is the log's; locks go before the sync.
func (tx *Tx) commit() error {
	b := tx.db.store.NewBatch()
	changed, err := tx.derive(b)
	if err != nil || !changed {
		b.Close()
		if e := tx.release(); err == nil {
			err = e
		}
		return err
	}

	told := tx.began()
	c := tx.announce()
	tx.lockParts()
	tx.stamp(b)
	err = tx.db.store.Apply(c, b)
	tx.unlockParts()
	tx.unlock()
	if tx.applied != nil {
		tx.applied(c)
	}

	if err == nil {
		err = tx.db.store.Sync(c)
	}
	b.Close()
	if err == nil {
		tx.show()
	}
	if told != nil {
		told(err)
	}
	tx.recycle()
	return err
}

// began begins the span of a commit; nil when nobody asks for it.
func (tx *Tx) began() (end func(error)) {
	tracer := tx.db.tracer
	if tracer == nil || tx.trace.IsZero() {
		return nil
	}
	s := tracer.Begin(tx.trace, "commit", trace.Internal, time.Now(), nil)
	s.Note("millstream.items", len(tx.ops))
	return func(err error) {
		failure := ""
		if err != nil {
			failure = err.Error()
		}
		s.End(time.Now(), failure)
	}
}

// derive puts all that follows from the items into the batch but what needs the
// partitions' locks: the caller's rows, the items, their entries in indexes. The
// stream records are built, and wait for their numbers in tx.recs, one an op.
// changed reports whether there is anything to write.
func (tx *Tx) derive(b *store.Batch) (changed bool, err error) {
	changed = len(tx.rows) > 0
	for _, r := range tx.rows {
		b.Set(r.Key, r.Value)
	}
	for i := range tx.ops {
		o := &tx.ops[i]
		var r *stream.Record
		if o.changed {
			changed = true
			if r, err = tx.deriveItem(b, i); err != nil {
				return changed, err
			}
		}
		if o.fill != 0 {
			wrote, err := tx.fillEntry(b, o)
			if err != nil {
				return changed, err
			}
			if wrote {
				tx.touch(o.table, o.part)
			}
		}
		tx.recs = append(tx.recs, r)
	}
	if tx.build != nil { // last: what it locks waits for nothing that may fail
		return true, tx.build(b)
	}
	return changed, nil
}

// deriveItem puts an item that changes into the batch, with its entries, and builds
// its record; nil when its table has no stream.
func (tx *Tx) deriveItem(b *store.Batch, i int) (r *stream.Record, err error) {
	o := &tx.ops[i]
	if o.new == nil {
		b.Delete(tx.key(i))
	} else {
		b.Set(tx.key(i), o.new)
	}
	tx.putExpiry(b, i)
	if st := o.desc.stream; st != nil {
		if err := o.desc.open[o.part].Broken(); err != nil {
			return nil, err
		}
		attrs := o.new
		if attrs == nil {
			attrs = o.old
		}
		r = st.NewRecord(stream.Change{
			Keys: o.desc.def.Keys.Extract(attrs), Old: o.old, New: o.new, KeyHash: o.keyHash, Expired: tx.expired, Cause: tx.cause, Trace: tx.trace,
		})
	}
	if o.desc.def.Recovery != nil {
		tx.deriveUndo(i)
	}
	tx.touch(o.table, o.part)
	if len(o.desc.def.Indexes) > 0 {
		err = tx.index(b, o)
	}
	return r, err
}

// announce notes a new commit in the stripes, before it can be seen.
func (tx *Tx) announce() *store.Commit {
	c := tx.db.store.Begin()
	for _, s := range tx.stripes {
		tx.db.stripes[s].last.Store(c)
	}
	return c
}

// stamp gives the records their numbers, and puts them and the new counts into the
// batch. The partitions' locks are held until it is applied.
func (tx *Tx) stamp(b *store.Batch) {
	nowMS, moment := tx.db.now().UnixMilli(), int64(0)
	for i := range tx.ops {
		o := &tx.ops[i]
		if !o.changed {
			continue
		}
		p := o.table.parts[o.part]
		p.bytes += int64(o.newSize - o.oldSize)
		if o.old == nil {
			p.items++
		}
		if o.new == nil {
			p.items--
		}
		if r := tx.recs[i]; r != nil {
			o.desc.open[o.part].Append(b, r, nowMS, p.items, p.bytes)
		}
		if r := o.desc.def.Recovery; r != nil {
			if moment == 0 {
				moment = tx.db.moment()
			}
			tx.putUndo(b, r, moment, o)
		}
	}
	for i := range tx.deltas {
		d := &tx.deltas[i]
		d.table.parts[d.part].count(d)
	}
	for _, op := range tx.parts {
		p := op.table.parts[op.no]
		if tx.indexed(op) {
			b.Set(p.indexHead, appendIndexHead(nil, p.indexes))
		}
		if op.table.desc.Load().stream == nil {
			b.Set(p.head, appendHead(nil, p.items, p.bytes))
		}
	}
}

// show lets readers of the streams see the records.
func (tx *Tx) show() {
	for i, r := range tx.recs {
		if r != nil {
			o := &tx.ops[i]
			o.desc.open[o.part].Committed(r)
		}
	}
}

func (tx *Tx) lockParts() {
	for _, p := range tx.parts {
		p.table.parts[p.no].mu.Lock()
	}
}

func (tx *Tx) unlockParts() {
	for _, p := range tx.parts {
		p.table.parts[p.no].mu.Unlock()
	}
}

// indexed reports whether counts of indexes change in a partition.
func (tx *Tx) indexed(p opPart) bool {
	for i := range tx.deltas {
		if tx.deltas[i].table == p.table && tx.deltas[i].part == p.no {
			return true
		}
	}
	return false
}

// touch notes a partition to be locked, keeping the list in lock order.
func (tx *Tx) touch(t *Table, no int) {
	cmp := func(p opPart, _ struct{}) int {
		switch {
		case p.table.id != t.id:
			if p.table.id < t.id {
				return -1
			}
			return 1
		default:
			return p.no - no
		}
	}
	at, found := slices.BinarySearchFunc(tx.parts, struct{}{}, cmp)
	if !found {
		tx.parts = slices.Insert(tx.parts, at, opPart{t, no})
	}
}

const (
	itemPrefix  = 1 + 8 // SpaceItem, table id
	headTable   = 'p'   // SpaceHead, table id, 'p', partition number
	headVersion = 1
)

func partitionHeadKey(table uint64, no int) []byte {
	k := binary.BigEndian.AppendUint64([]byte{store.SpaceHead}, table)
	k = append(k, headTable)
	return binary.BigEndian.AppendUint32(k, uint32(no))
}

// appendHead appends a partition's head row: version, items (8), bytes (8).
func appendHead(dst []byte, items, bytes int64) []byte {
	dst = append(dst, headVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(items))
	return binary.BigEndian.AppendUint64(dst, uint64(bytes))
}
