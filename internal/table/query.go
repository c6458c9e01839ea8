package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// maxPageBytes is the size of evaluated items at which a page ends; the item
// that crosses it is still in.
const maxPageBytes = 1 << 20

// bounds is a range of storage keys.
type bounds struct{ lower, upper []byte }

// Query reads the items of one partition key in order of the sort key.
func (db *DB) Query(ctx context.Context, scope schema.Scope, r *request.Query) (*QueryResult, error) {
	return db.QueryEach(ctx, scope, r, nil)
}

// QueryEach is Query that calls each, unless it is nil, with the items, of which the result has none then. They are the store's until each returns,
// and each may have been called when there is an error in the end.
func (db *DB) QueryEach(ctx context.Context, scope schema.Scope, r *request.Query, each func(item.Item)) (*QueryResult, error) {
	t, err := db.lookup(ctx, scope, r.TableName)
	if err != nil {
		return nil, err
	}
	s, e := db.source(t, r.IndexName)
	if e != nil {
		return nil, e
	}
	if e := s.checkConsistent(r.ConsistentRead); e != nil {
		return nil, e
	}
	hash, terms, e := s.keyTerms(r.KeyCondition)
	if e != nil {
		return nil, e
	}
	partition := s.appendPartition(bytes.Clone(s.prefix), hash)
	b := termBounds(partition, terms)
	if r.ExclusiveStartKey != nil {
		start, e := s.startKey(r.ExclusiveStartKey)
		if e != nil && s.x == nil {
			if empty := s.d.def.Keys.CheckEmpty(r.ExclusiveStartKey); empty != nil {
				return nil, empty
			}
		}
		if e != nil {
			return nil, awserr.InvalidStartKey()
		}
		if e := s.checkQueryStart(r.ExclusiveStartKey, hash, partition, len(terms) > 0, b); e != nil {
			return nil, e
		}
		if r.Descending {
			b.upper = start
		} else {
			b.lower = append(start, 0)
		}
	}
	fetch, e := s.check(&reading{r.Select, r.Filter, r.Projection, r.EntryFilter})
	if e != nil {
		return nil, e
	}
	if e := checkCondition(s.d, r.Filter); e != nil {
		return nil, e
	}
	if e := checkProjection(s.d, r.Projection); e != nil {
		return nil, e
	}
	for _, a := range slices.Concat(s.hash, s.rng) {
		if !r.FilterKeys && r.Filter.Reads(a.Name) != expr.Unused {
			if r.Filter.FromComparisons() {
				return nil, awserr.QueryFilterOnKey(a.Name)
			}
			return nil, awserr.FilterOnKey(a.Name)
		}
	}
	return db.page(ctx, s, b, pageOptions{
		each: each, common: &r.Common, filter: r.Filter, projection: r.Projection, countOnly: r.Select == request.SelectCount,
		limit: r.Limit, one: s.one(), descending: r.Descending, consistent: r.ConsistentRead, fetch: fetch, whole: r.Select == request.SelectAllAttributes, entryFilter: r.EntryFilter,
	})
}

// checkQueryStart checks that a starting key lies in the range b of a query, in AWS's
// order: the attributes of the partition key but the last, the conditions on the sort
// key, the last attribute of the partition key. A table without a sort key has one item
// at most for a query, so that none begins behind it.
func (s *source) checkQueryStart(key item.Item, hash []item.Value, partition []byte, ranged bool, b bounds) *awserr.Error {
	if s.one() {
		return awserr.StartKeyOfOneItem()
	}
	differs := func(i int) bool { return !item.Equal(key.Get(s.hash[i].Name), hash[i]) }
	last := len(s.hash) - 1
	for i := range last {
		if differs(i) {
			return awserr.QueryOfOneRow()
		}
	}
	if ranged {
		at := bytes.Clone(partition)
		for _, a := range s.rng {
			at = item.AppendKey(at, key.Get(a.Name))
		}
		if bytes.Compare(at, b.lower) < 0 || bytes.Compare(at, b.upper) >= 0 {
			return awserr.StartKeyOutsideRange()
		}
	}
	switch {
	case !differs(last):
		return nil
	case ranged:
		return awserr.QueryOfOneRow()
	}
	return awserr.StartKeyOutsideQuery()
}

// one reports whether a query finds one item at most.
func (s *source) one() bool { return s.x == nil && len(s.rng) == 0 }

// keyTerms holds a key condition against the key: equality on every attribute of
// the partition key, and conditions on the sort key's attributes from the left, of
// which all but the last are equalities. AWS's texts are others as soon as the partition
// or the sort key has several attributes.
func (s *source) keyTerms(kc *expr.KeyCondition) (hash []item.Value, rng []*expr.KeyTerm, e *awserr.Error) {
	if given, defined := len(kc.Conditions), len(s.hash)+len(s.rng); given > defined {
		return nil, nil, awserr.TooManyKeyConditions(given, defined)
	}
	term := func(a schema.Attribute) *expr.KeyTerm {
		for i := range kc.Conditions {
			if kc.Conditions[i].Attribute == a.Name {
				return &kc.Conditions[i]
			}
		}
		return nil
	}
	if e := s.checkHashTerms(term); e != nil {
		return nil, nil, e
	}
	found, last := len(s.hash), -1
	for i, a := range s.rng {
		if term(a) != nil {
			found, last = found+1, i
		}
	}
	if found < len(kc.Conditions) { // a condition on another attribute takes one's place
		i := slices.IndexFunc(s.rng, func(a schema.Attribute) bool { return term(a) == nil })
		return nil, nil, awserr.MissedKeyElement(s.rng[i].Name)
	}
	for i := range kc.Conditions {
		if kc.Conditions[i].Op == expr.KeyOther {
			return nil, nil, awserr.KeyNotIndexable()
		}
	}
	var gaps []string
	for i := range last + 1 {
		t := term(s.rng[i])
		if i < last && (t == nil || t.Op != expr.KeyEQ) {
			gaps = append(gaps, s.rng[i].Name)
		}
		rng = append(rng, t)
	}
	if gaps != nil {
		return nil, nil, awserr.RangeKeysNeedEquality(gaps, s.rng[last].Name)
	}
	for _, a := range s.hash {
		t := term(a)
		if e := checkTerm(t, a, schema.MaxHashKeySize, awserr.HashKeyTooLarge); e != nil {
			return nil, nil, e
		}
		hash = append(hash, t.Values[0])
	}
	for i, t := range rng {
		if e := checkTerm(t, s.rng[i], schema.MaxRangeKeySize, awserr.RangeKeyTooLarge); e != nil {
			return nil, nil, e
		}
	}
	return hash, rng, nil
}

// checkHashTerms asks for an equality on every attribute of the partition key.
func (s *source) checkHashTerms(term func(schema.Attribute) *expr.KeyTerm) *awserr.Error {
	var missing []string
	for _, a := range s.hash {
		if t := term(a); t == nil || t.Op != expr.KeyEQ {
			missing = append(missing, a.Name)
		}
	}
	switch {
	case missing == nil:
		return nil
	case len(s.hash) > 1 || len(s.rng) > 1:
		return awserr.HashKeysNeedEquality(missing)
	}
	switch t := term(s.hash[0]); {
	case t == nil:
		return awserr.MissedKeyElement(missing[0])
	case t.Op == expr.KeyOther:
		return awserr.KeyNotIndexable()
	}
	return awserr.KeyConditionNotSupported()
}

func checkTerm(t *expr.KeyTerm, a schema.Attribute, limit int, tooLarge func() *awserr.Error) *awserr.Error {
	for _, v := range t.Values {
		switch {
		case v.Type() != a.Type:
			return awserr.ConditionTypeMismatch()
		case a.Type == item.N:
		case v.Len() == 0 && t.Op != expr.KeyBeginsWith:
			return awserr.EmptyKeyValue(a.Name, a.Type == item.B)
		case v.Len() > limit:
			return tooLarge()
		}
	}
	return nil
}

// termBounds returns the storage keys that conditions on the sort key admit. Encoded
// attributes delimit themselves, so that none is a prefix of another; in an index,
// further attributes and the item's key follow.
func termBounds(prefix []byte, terms []*expr.KeyTerm) bounds {
	if len(terms) == 0 {
		return bounds{prefix, store.PrefixEnd(prefix)}
	}
	prefix = bytes.Clone(prefix)
	last := len(terms) - 1
	for _, t := range terms[:last] {
		prefix = item.AppendKey(prefix, t.Values[0])
	}
	t := terms[last]
	key := func(v item.Value) []byte { return item.AppendKey(bytes.Clone(prefix), v) }
	after := func(v item.Value) []byte { return store.PrefixEnd(key(v)) }
	end := store.PrefixEnd(prefix)
	v := t.Values[0]
	switch t.Op {
	case expr.KeyLT:
		return bounds{prefix, key(v)}
	case expr.KeyLE:
		return bounds{prefix, after(v)}
	case expr.KeyGT:
		return bounds{after(v), end}
	case expr.KeyGE:
		return bounds{key(v), end}
	case expr.KeyBetween:
		return bounds{key(v), after(t.Values[1])}
	case expr.KeyBeginsWith:
		begin := item.AppendKeyPrefix(bytes.Clone(prefix), v)
		return bounds{begin, store.PrefixEnd(begin)}
	}
	return bounds{key(v), after(v)}
}

// Scan reads a table or an index, or a segment of it, in order of the key's hash.
// The filter sees what the entries of an index hold, and no more.
func (db *DB) Scan(ctx context.Context, scope schema.Scope, r *request.Scan) (*QueryResult, error) {
	return db.ScanEach(ctx, scope, r, nil)
}

// ScanEach is to Scan as QueryEach is to Query.
func (db *DB) ScanEach(ctx context.Context, scope schema.Scope, r *request.Scan, each func(item.Item)) (*QueryResult, error) {
	t, err := db.lookup(ctx, scope, r.TableName)
	if err != nil {
		return nil, err
	}
	s, e := db.source(t, r.IndexName)
	if e != nil {
		return nil, e
	}
	if e := s.checkConsistent(r.ConsistentRead); e != nil {
		return nil, e
	}
	fetch, e := s.check(&reading{r.Select, r.Filter, r.Projection, true})
	if e != nil {
		return nil, e
	}
	b := bounds{s.prefix, store.PrefixEnd(s.prefix)}
	if r.TotalSegments > 0 {
		b.lower = binary.BigEndian.AppendUint64(bytes.Clone(s.prefix), schema.PartitionStart(r.Segment, r.TotalSegments))
		if r.Segment+1 < r.TotalSegments {
			b.upper = binary.BigEndian.AppendUint64(bytes.Clone(s.prefix), schema.PartitionStart(r.Segment+1, r.TotalSegments))
		}
	}
	if r.ExclusiveStartKey != nil {
		start, e := s.startKey(r.ExclusiveStartKey)
		if e != nil {
			return nil, e
		}
		if bytes.Compare(start, b.lower) < 0 || bytes.Compare(start, b.upper) >= 0 {
			return nil, awserr.StartKeyOfOtherSegment(r.TotalSegments, r.Segment)
		}
		b.lower = append(start, 0)
	}
	if e := checkCondition(s.d, r.Filter); e != nil {
		return nil, e
	}
	if e := checkProjection(s.d, r.Projection); e != nil {
		return nil, e
	}
	return db.page(ctx, s, b, pageOptions{
		each: each, common: &r.Common, filter: r.Filter, projection: r.Projection, countOnly: r.Select == request.SelectCount,
		limit: r.Limit, consistent: r.ConsistentRead, fetch: fetch, whole: r.Select == request.SelectAllAttributes, entryFilter: true,
		spread: s.x == nil && s.d.def.Settings.PayPerRequest,
	})
}

// itemBounds are the bounds of a table's items.
func (t *Table) itemBounds() (lower, upper []byte) {
	lower = t.itemPrefix()
	return lower, store.PrefixEnd(lower)
}

func (t *Table) itemPrefix() []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceItem}, t.id)
}

// pageOptions is what Query and Scan share.
type pageOptions struct {
	each       func(item.Item) // unless nil, gets the items
	common     *request.Common
	filter     *expr.Condition
	projection *expr.Projection
	countOnly  bool
	limit      int  // 0: none
	one        bool // there is one item at most, behind which nothing can begin
	descending bool
	consistent bool
	fetch      bool // the items of a local index's entries are looked at
	whole      bool // and answered, not only what the entries hold

	entryFilter bool // the filter sees the entries all the same
	spread      bool // each partition that is looked at costs a block
}

// page evaluates the items of a range until the limit, 1 MB or the end.
func (db *DB) page(ctx context.Context, s *source, b bounds, o pageOptions) (*QueryResult, error) {
	res := &QueryResult{CountOnly: o.countOnly}
	var kept copies
	var stopped []byte // the key at which the page ends, before the range does
	size, fetched := 0, 0.0
	if bytes.Compare(b.lower, b.upper) < 0 {
		it, err := db.store.NewIter(b.lower, b.upper)
		if err != nil {
			return nil, err
		}
		defer it.Close()
		var items *store.Iter
		if o.fetch {
			if items, err = it.Clone(s.t.itemBounds()); err != nil {
				return nil, err
			}
			defer items.Close()
		}
		first, next := it.First, it.Next
		if o.descending {
			first, next = it.Last, it.Prev
		}
		for ok := first(); ok; ok = next() {
			v, err := it.Value()
			if err != nil {
				return nil, err
			}
			entry := item.Item(v) // shared with the iterator
			stored := entry
			res.ScannedCount++
			size += entry.Size()
			if o.fetch {
				if stored, err = s.item(items, entry); err != nil {
					return nil, err
				}
				fetched += schema.ReadUnits(stored.Size(), o.consistent)
			}
			filtered := stored
			if o.entryFilter {
				filtered = entry
			}
			matches, e := o.filter.Eval(filtered)
			if e != nil {
				return nil, e
			}
			if matches {
				res.Count++
				switch {
				case o.countOnly:
				case o.projection != nil:
					stored = o.projection.Apply(stored) // built anew
				case !o.whole:
					stored = entry
				}
				switch {
				case o.countOnly:
				case o.each != nil:
					o.each(stored)
				case o.projection != nil:
					res.Items = append(res.Items, stored)
				default:
					res.Items = append(res.Items, kept.add(stored))
				}
			}
			if res.ScannedCount == o.limit || size >= maxPageBytes {
				if !o.one {
					res.LastEvaluatedKey = s.lastKey(entry)
				}
				if o.spread {
					stopped = bytes.Clone(it.Key())
				}
				break
			}
		}
		if err := it.Close(); err != nil {
			return nil, err
		}
	}
	if o.consistent {
		if err := db.store.Barrier(ctx); err != nil {
			return nil, err
		}
	}
	if err := db.checkThere(ctx, s.t); err != nil {
		return nil, err
	}
	if s.dropped() {
		return nil, db.whenDurable(ctx, awserr.NoSuchIndex(s.x.Name))
	}
	if o.common.ReturnConsumedCapacity != request.CapacityNone {
		units := schema.ReadUnits(size, o.consistent)
		if o.spread {
			units = max(units, float64(s.partitions(b, stopped))*schema.ReadUnits(0, o.consistent))
		}
		res.Capacity = s.capacity(&o, units, fetched)
	}
	return res, nil
}

// copies holds copies of the items of one page: many share an allocation, the
// more of them there are.
type copies struct {
	free []byte
	last int // size of the newest allocation
}

func (c *copies) add(it item.Item) item.Item {
	n := len(it)
	if n > len(c.free) {
		c.last = min(max(2*c.last, 1<<10), 32<<10)
		if n > c.last/2 {
			return bytes.Clone(it)
		}
		c.free = make([]byte, c.last)
	}
	dst := c.free[:n:n]
	c.free = c.free[n:]
	copy(dst, it)
	return dst
}
