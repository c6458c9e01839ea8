package table

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// source is what Query and Scan read: a table, or one of its indexes.
type source struct {
	t      *Table
	d      *descriptor
	x      *index // nil: the table
	prefix []byte // of its keys
	hash   []schema.Attribute
	rng    []schema.Attribute
}

// source finds what a request reads; nil when there is no such index. One cannot be
// read before it is whole, which is an error too.
func (db *DB) source(t *Table, indexName string) (*source, *awserr.Error) {
	s := &source{t: t, d: t.desc.Load()}
	if indexName == "" {
		k := &s.d.def.Keys
		s.prefix = t.itemPrefix()
		s.hash = []schema.Attribute{k.Hash}
		if k.HasRange() {
			s.rng = []schema.Attribute{k.Range}
		}
		return s, nil
	}
	if s.x = s.d.def.index(indexName); s.x == nil {
		return nil, awserr.NoSuchIndex(indexName)
	}
	if x := s.x; x.Backfilling || x.Passing != nil && x.Passing.Status == statusCreating && x.Passing.on(db.now().UnixMilli()) {
		return s, awserr.IndexBackfilling(indexName)
	}
	s.prefix = indexPrefix(nil, t.id, s.x.ID)
	s.hash, s.rng = s.x.Hash, s.x.Range
	return s, nil
}

// appendPartition appends what the keys of one partition key begin with.
func (s *source) appendPartition(dst []byte, hash []item.Value) []byte {
	if s.x != nil {
		return s.x.AppendPartition(dst, hash)
	}
	return s.d.def.Keys.AppendPartition(dst, hash[0])
}

// startKey returns the storage key of an ExclusiveStartKey: of an index, it has the
// key attributes of the index and of the table.
func (s *source) startKey(key item.Item) ([]byte, *awserr.Error) {
	k := &s.d.def.Keys
	if s.x == nil {
		if e := k.CheckKey(key); e != nil {
			return nil, awserr.InvalidStartKeyBecause(e)
		}
		return k.AppendKey(bytes.Clone(s.prefix), key), nil
	}
	count := 0
	for _, a := range s.x.Attributes() {
		v := key.Get(a.Name)
		if v == nil {
			return nil, awserr.InvalidStartKey()
		}
		if v.Type() != a.Type {
			return nil, awserr.InvalidStartKeyBecause(awserr.KeySchemaMismatch())
		}
		count++
	}
	if count != key.Len() {
		return nil, awserr.InvalidStartKey()
	}
	start, ok := s.x.AppendEntryKey(bytes.Clone(s.prefix), key)
	if !ok {
		return nil, awserr.InvalidStartKey()
	}
	return start, nil
}

// lastKey returns what LastEvaluatedKey shows.
func (s *source) lastKey(entry item.Item) item.Item {
	if s.x != nil {
		return s.x.ExtractKey(entry)
	}
	return s.d.def.Keys.Extract(entry)
}

// reading is what a Query and a Scan ask for in the same way.
type reading struct {
	sel        request.Select
	filter     *expr.Condition
	projection *expr.Projection
	entries    bool // the filter sees the entries of an index only
}

// checkConsistent refuses a consistent read of a global index.
func (s *source) checkConsistent(consistent bool) *awserr.Error {
	if consistent && s.x != nil && !s.x.Local {
		return awserr.ConsistentGlobalIndex()
	}
	return nil
}

// check holds what is asked for against the source. fetch says that entries of a
// local index do not hold all of it: the items do.
func (s *source) check(r *reading) (fetch bool, e *awserr.Error) {
	switch {
	case s.x == nil:
		return false, nil
	case s.x.Projection == schema.ProjectAll:
		return false, nil
	case s.x.Local:
		return r.sel == request.SelectAllAttributes || len(s.missing(r.projection.Attributes())) > 0 ||
			!r.entries && len(s.missing(r.filter.Attributes())) > 0, nil
	case r.sel == request.SelectAllAttributes:
		return false, awserr.AllAttributesOfPartialIndex(s.x.Name)
	}
	if list := s.missing(r.projection.Attributes()); len(list) > 0 {
		return false, awserr.NotProjected(s.x.Name, list)
	}
	if list := s.missing(r.filter.Attributes()); len(list) > 0 && !r.entries {
		return false, awserr.FilterNotProjected(s.x.Name, list)
	}
	return false, nil
}

// dropped reports that the index was removed before or while it was read: then a
// page may lack entries.
func (s *source) dropped() bool {
	if s.x == nil {
		return false
	}
	s.t.mu.RLock() // until a batch that removes it has been applied
	defer s.t.mu.RUnlock()
	return s.t.desc.Load().def.indexByID(s.x.ID) == nil
}

// missing returns the attributes that entries of the index do not hold.
func (s *source) missing(attributes []string) []string {
	return slices.DeleteFunc(slices.Clone(attributes), s.x.Projects)
}

// item returns the item of an entry, as of the moment at which the entry is seen.
func (s *source) item(items *store.Iter, entry item.Item) (item.Item, error) {
	key := s.d.def.Keys.AppendKey(s.t.itemPrefix(), entry)
	if !items.SeekGE(key) || !bytes.Equal(items.Key(), key) {
		if err := items.Close(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("table: an entry of the index %s of %s has no item", s.x.Name, s.d.def.Name)
	}
	v, err := items.Value()
	return item.Item(v), err
}

// partitions is how many of the partitions that AWS gives a table on demand a scan has looked at, from b's beginning to
// the key at which it stopped; nil: to b's end. A scan of a tiny table costs a block in each.
func (s *source) partitions(b bounds, stopped []byte) int {
	hash := func(key []byte) (uint64, bool) {
		if !bytes.HasPrefix(key, s.prefix) || len(key) < len(s.prefix)+8 {
			return 0, false
		}
		return binary.BigEndian.Uint64(key[len(s.prefix):]), true
	}
	first, last := 0, schema.OnDemandPartitions-1
	if h, ok := hash(b.lower); ok {
		first = schema.Partition(h, schema.OnDemandPartitions)
	}
	if h, ok := hash(stopped); ok {
		last = schema.Partition(h, schema.OnDemandPartitions)
	} else if h, ok := hash(b.upper); ok {
		last = schema.Partition(h-1, schema.OnDemandPartitions)
	}
	return last - first + 1
}

// capacity is what a page used: units of the source, and of the table for what
// was fetched from there.
func (s *source) capacity(o *pageOptions, units, fetched float64) *Capacity {
	c := capacity(o.common.TableName, o.common.ReturnConsumedCapacity, units)
	if s.x == nil {
		return c
	}
	c.Units, c.Table = units+fetched, fetched
	part := []IndexCapacity{{Index: s.x.Name, Units: units}}
	if s.x.Local {
		c.Local = part
	} else {
		c.Global = part
	}
	return c
}
