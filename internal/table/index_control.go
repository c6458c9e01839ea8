package table

import (
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

const maxGlobalIndexes = 20

// changeIndexes makes the changes of indexes that UpdateTable asks for in next. When
// it makes or removes one, it returns what else is to be written once no write of the
// table runs. Only one index may be made at a time; removing one is done at once,
// so that it may be asked for meanwhile.
func (db *DB) changeIndexes(b *store.Batch, t *Table, next *descriptor, r *request.UpdateTable, wasOnDemand bool, now int64) (func(*store.Batch), error) {
	if e := checkIndexBilling(next, r, wasOnDemand); e != nil {
		return nil, e
	}
	if len(r.Indexes) == 0 {
		return nil, nil
	}
	def := &next.def
	def.Indexes = slices.Clone(def.Indexes)
	var change func(*store.Batch)
	for i := range r.Indexes {
		u := &r.Indexes[i]
		switch {
		case u.Update != nil:
			x := def.index(u.Update.Name)
			if x == nil {
				return nil, awserr.IndexNotFound(u.Update.Name, def.Name)
			}
			if x.Local {
				return nil, awserr.NotAGlobalIndexToUpdate(u.Update.Name)
			}
			if e := db.updateIndex(x, u.Update, def.Settings.PayPerRequest, now); e != nil {
				return nil, e
			}
		case u.Create != nil:
			x, e := db.createIndex(b, def, u.Create, r)
			if e != nil {
				return nil, e
			}
			x.Passing = db.pass(now, statusCreating, "")
			def.Indexes = append(def.Indexes, x)
			def.compile()
			def.Passing = db.pass(now, statusUpdating, changeIndex)
			def.Passing.Indexes = []string{x.Name}
			change = func(*store.Batch) {}
		default:
			x := def.index(u.Delete)
			if x == nil {
				return nil, awserr.IndexNotFound(u.Delete, def.Name)
			}
			if x.Local {
				return nil, awserr.NotAGlobalIndex(u.Delete)
			}
			id := x.ID
			gone := leavingIndex{*x, *db.pass(now, statusDeleting, "")}
			gone.Index.Passing, gone.Index.Warming = nil, nil
			def.Leaving = append(slices.Clone(def.Leaving), gone)
			def.Passing = db.pass(now, statusUpdating, changeIndex)
			def.Passing.Indexes = []string{x.Name}
			def.Indexes = slices.DeleteFunc(def.Indexes, func(x index) bool { return x.ID == id })
			change = func(b *store.Batch) { dropIndex(b, t, id) }
		}
	}
	return change, nil
}

// createIndex checks a new global index and makes it.
func (db *DB) createIndex(b *store.Batch, def *definition, create *request.Index, r *request.UpdateTable) (index, *awserr.Error) {
	if def.index(create.Name) != nil {
		return index{}, awserr.IndexExists()
	}
	global, filling, projected := 0, false, len(create.NonKeyAttributes)
	for i := range def.Indexes {
		x := &def.Indexes[i]
		if !x.Local {
			global++
		}
		filling = filling || x.Backfilling
		projected += len(x.NonKey)
	}
	x := newIndex(0, create, false, r.Attributes)
	if e := def.checkRedefined(&x); e != nil {
		return index{}, e
	}
	switch {
	case filling:
		return index{}, awserr.OneIndexAtOnce()
	case global >= maxGlobalIndexes:
		return index{}, awserr.GlobalIndexesFull()
	case projected > maxProjected:
		return index{}, awserr.TooManyProjected()
	case def.Settings.PayPerRequest && create.Throughput != nil:
		return index{}, awserr.IndexThroughputNotAllowed(create.Name)
	case !def.Settings.PayPerRequest && create.Throughput == nil:
		return index{}, awserr.IndexThroughputRequired(create.Name)
	}
	x.ID, x.Backfilling = db.takeID(b), true
	return x, nil
}

// checkRedefined refuses an index whose key gives an attribute another type than the
// table's key or an index that is there, or still shown, gives it. An item could not
// satisfy both. What a request defines without using it is no concern: the type that
// is in use stays.
func (d *definition) checkRedefined(x *index) *awserr.Error {
	schemas := [][]schema.Attribute{d.Keys.Attributes()}
	ranges := []int{1}
	add := func(x *index) {
		schemas, ranges = append(schemas, slices.Concat(x.Hash, x.Range)), append(ranges, len(x.Hash))
	}
	for i := range d.Indexes {
		add(&d.Indexes[i])
	}
	for i := range d.Leaving {
		add(&d.Leaving[i].Index)
	}
	for i, attributes := range schemas {
		for _, a := range attributes {
			for n := range x.Len() {
				if b := x.At(n); b.Name == a.Name && b.Type != a.Type {
					return awserr.AttributeRedefined(showSchema(attributes, ranges[i]), showSchema(slices.Concat(x.Hash, x.Range), len(x.Hash)))
				}
			}
		}
	}
	return nil
}

// showSchema shows a key, whose attributes from the given one are of the sort key, as
// AWS does in one error.
func showSchema(attributes []schema.Attribute, firstRange int) string {
	shown := make([]string, len(attributes))
	for i, a := range attributes {
		kind := "HASH"
		if i >= firstRange {
			kind = "RANGE"
		}
		shown[i] = "SchemaElement: key{" + a.Name + ":" + a.Type.String() + ":" + kind + "}"
	}
	return "Schema:[" + strings.Join(shown, ", ") + "]"
}

// maxProjected is the number of non-key attributes that all indexes of a table
// name together.
const maxProjected = 100

// checkIndexBilling holds a change of the billing mode against the throughput of
// the global indexes.
func checkIndexBilling(next *descriptor, r *request.UpdateTable, wasOnDemand bool) *awserr.Error {
	if r.PayPerRequest == nil || *r.PayPerRequest == wasOnDemand {
		return nil
	}
	list := slices.Clone(next.def.Indexes)
	next.def.Indexes = list
	for i := range list {
		x := &list[i]
		if x.Local {
			continue
		}
		warm := x.warm(wasOnDemand)
		x.Warm, x.OnDemand = &warm, nil
		if *r.PayPerRequest {
			x.Throughput = nil
			continue
		}
		given := slices.ContainsFunc(r.Indexes, func(u request.IndexUpdate) bool {
			return u.Update != nil && u.Update.Name == x.Name && u.Update.Throughput != nil
		})
		if x.Throughput == nil && !given {
			return awserr.IndexThroughputNeeded(x.Name)
		}
	}
	return nil
}

// updateIndex changes the throughput of a global index.
func (db *DB) updateIndex(x *index, r *request.Index, onDemand bool, now int64) *awserr.Error {
	caps := r.OnDemand != nil && *r.OnDemand != request.OnDemandThroughput{}
	switch {
	case r.Throughput != nil && onDemand:
		return awserr.IndexUnitsOnDemand(x.Name)
	case r.Throughput == nil && !caps && r.Warm == nil && onDemand:
		return awserr.IndexUpdateOnDemand(x.Name)
	case r.Throughput == nil && !caps && r.Warm == nil:
		return awserr.IndexUnitsRequired(x.Name)
	}
	if r.Throughput != nil {
		x.Passing = db.pass(now, statusUpdating, "")
		if was := x.Throughput; was != nil {
			if *was == *r.Throughput {
				return awserr.IndexThroughputUnchanged(x.Name, was.Read, was.Write)
			}
			x.Passing.Throughput, x.Passing.Decreases = was, x.Changes.today(now)
			if e := x.Changes.note(*was, *r.Throughput, now); e != nil {
				return e
			}
		}
		warm := warmOf(x.Warm, false, unitsOf(x.Throughput))
		warm = warmOf(&warm, false, *r.Throughput)
		x.Warm, x.Throughput = &warm, r.Throughput
	}
	if e := checkCaps(r.OnDemand, onDemand, " for index : "+x.Name); e != nil {
		return e
	}
	if caps {
		x.Passing = db.pass(now, statusUpdating, "")
		x.OnDemand = withCaps(x.OnDemand, r.OnDemand)
	}
	if r.Warm != nil {
		was := x.warm(onDemand)
		warm, e := raiseWarm(was, r.Warm, "index "+x.Name)
		if e != nil {
			return e
		}
		x.Warm = &warm
		x.Warming = db.pass(now, statusUpdating, "")
		x.Warming.Warm = &was
	}
	return nil
}

// dropIndex removes the entries of an index and its counts. No write of the table
// runs.
func dropIndex(b *store.Batch, t *Table, id uint64) {
	prefix := indexPrefix(nil, t.id, id)
	b.DeleteRange(prefix, store.PrefixEnd(prefix))
	b.Delete(cursorKey(id))
	for i := range t.parts {
		p := t.parts[i]
		p.mu.Lock()
		p.indexes = slices.DeleteFunc(p.indexes, func(c indexCount) bool { return c.id == id })
		b.Set(p.indexHead, appendIndexHead(nil, p.indexes))
		p.mu.Unlock()
	}
}

// dropIndexes removes the entries of all indexes of a table that is removed.
func (d *descriptor) dropIndexes(b *store.Batch, t *Table) {
	if len(d.def.Indexes) == 0 {
		return
	}
	prefix := indexPrefix(nil, t.id)
	b.DeleteRange(prefix, store.PrefixEnd(prefix))
	for i := range d.def.Indexes {
		if d.def.Indexes[i].Backfilling {
			b.Delete(cursorKey(d.def.Indexes[i].ID))
		}
	}
}
