package table

import (
	"context"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
)

// single is what the three single-item writes differ in.
type single struct {
	common    *request.Common
	metrics   bool      // of the item collection are asked for
	attrs     item.Item // holds the key attributes
	isNew     bool      // the item is probably not there
	deletes   bool
	check     func(d *descriptor) *awserr.Error
	condition *expr.Condition
	returnOld bool // with the error of a failed condition
	compute   func(d *descriptor, old item.Item) (item.Item, *awserr.Error)
}

// writeSingle checks the key, locks and loads the item, tests the condition,
// computes the new item and commits. An error that tells of the stored item is
// answered only when that is durable.
func (db *DB) writeSingle(ctx context.Context, scope schema.Scope, w single) (res *WriteResult, old, new item.Item, err error) {
	tx, t, d, err := db.enter(ctx, scope, w.common.TableName, w.deletes)
	if err != nil {
		return nil, nil, nil, err
	}
	e := w.common.Late.Error()
	if e == nil {
		e = w.check(d)
	}
	if e == nil {
		e = checkCondition(d, w.condition)
	}
	if e != nil {
		return nil, nil, nil, tx.fail(e)
	}
	i := tx.add(t, d, w.attrs)
	tx.lock()
	if old, err = tx.load(i, w.isNew); err != nil {
		return nil, nil, nil, tx.fail(err)
	}
	holds, e := w.condition.Eval(old)
	if e == nil && !holds {
		e = awserr.ConditionFailed(nil)
		if w.returnOld {
			e.Item = old
		}
	}
	if e == nil {
		new, e = w.compute(d, old)
	}
	if e != nil {
		return nil, nil, nil, tx.refuse(e)
	}
	tx.put(i, new)
	if err := tx.commit(); err != nil {
		return nil, nil, nil, err
	}
	res = &WriteResult{}
	if w.common.ReturnConsumedCapacity != request.CapacityNone {
		units := writeUnits{d: d}
		units.add(old, new, 1)
		res.Capacity = units.capacity(w.common.TableName, w.common.ReturnConsumedCapacity)
	}
	if w.metrics {
		var c TableCollections
		if c.add(t, d, w.attrs); len(c.Metrics) > 0 {
			if err := db.estimate([]TableCollections{c}); err != nil {
				return nil, nil, nil, err
			}
			res.Collection = &c.Metrics[0]
		}
	}
	return res, old, new, nil
}

// PutItem replaces an item.
func (db *DB) PutItem(ctx context.Context, scope schema.Scope, r *request.PutItem) (*WriteResult, error) {
	res, old, _, err := db.writeSingle(ctx, scope, single{
		common:  &r.Common,
		metrics: r.ReturnItemCollectionMetrics,
		attrs:   r.Item,
		isNew:   true,
		check: func(d *descriptor) *awserr.Error {
			if e := d.def.Keys.CheckItem(r.Item); e != nil {
				return e
			}
			return checkIndexKeys(d, r.Item)
		},
		condition: r.Condition,
		returnOld: r.ReturnOldOnConditionFailure,
		compute:   func(*descriptor, item.Item) (item.Item, *awserr.Error) { return r.Item, nil },
	})
	if err != nil {
		return nil, err
	}
	if r.ReturnValues == request.ReturnAllOld {
		res.Attributes = old
	}
	return res, nil
}

// DeleteItem removes an item; one that is not there is no error.
func (db *DB) DeleteItem(ctx context.Context, scope schema.Scope, r *request.DeleteItem) (*WriteResult, error) {
	res, old, _, err := db.writeSingle(ctx, scope, single{
		common:    &r.Common,
		metrics:   r.ReturnItemCollectionMetrics,
		attrs:     r.Key,
		deletes:   true,
		check:     func(d *descriptor) *awserr.Error { return d.def.Keys.CheckKey(r.Key) },
		condition: r.Condition,
		returnOld: r.ReturnOldOnConditionFailure,
		compute:   func(*descriptor, item.Item) (item.Item, *awserr.Error) { return nil, nil },
	})
	if err != nil {
		return nil, err
	}
	if r.ReturnValues == request.ReturnAllOld {
		res.Attributes = old
	}
	return res, nil
}

// UpdateItem changes an item, or creates it.
func (db *DB) UpdateItem(ctx context.Context, scope schema.Scope, r *request.UpdateItem) (*WriteResult, error) {
	res, old, new, err := db.writeSingle(ctx, scope, single{
		common:  &r.Common,
		metrics: r.ReturnItemCollectionMetrics,
		attrs:   r.Key,
		check: func(d *descriptor) *awserr.Error {
			if e := d.def.Keys.CheckKey(r.Key); e != nil {
				return e
			}
			return checkTargets(d, r.Update)
		},
		condition: r.Condition,
		returnOld: r.ReturnOldOnConditionFailure,
		compute: func(d *descriptor, old item.Item) (item.Item, *awserr.Error) {
			return updated(d, r, old)
		},
	})
	if err != nil {
		return nil, err
	}
	switch r.ReturnValues {
	case request.ReturnAllOld:
		res.Attributes = old
	case request.ReturnAllNew:
		res.Attributes = new
	case request.ReturnUpdatedOld:
		if old != nil && r.Update != nil {
			res.Attributes = r.Update.UpdatedOld(old)
		}
	case request.ReturnUpdatedNew:
		if new != nil && r.Update != nil {
			res.Attributes = r.Update.UpdatedNew(old, new)
		}
	}
	return res, nil
}

// checkTargets refuses an update that writes key attributes.
func checkTargets(d *descriptor, u *expr.Update) *awserr.Error {
	k := &d.def.Keys
	for i := range k.Len() {
		if name := k.At(i).Name; u.Writes(name) == expr.Whole {
			return awserr.KeyUpdate(name)
		}
	}
	e := checkPaths(d, func(name string) bool { return u.Writes(name) == expr.Inside || u.Reads(name) == expr.Inside })
	if e != nil {
		return e
	}
	return checkIndexLiterals(d, u)
}

// checkPaths refuses paths that lead into a key attribute of the table or of an
// index.
func checkPaths(d *descriptor, inside func(attribute string) bool) *awserr.Error {
	k := &d.def.Keys
	for i := range k.Len() {
		if name := k.At(i).Name; inside(name) {
			return awserr.NestedKeyPath(name)
		}
	}
	for n := range d.def.Indexes {
		x := &d.def.Indexes[n]
		for i := range x.Len() {
			if name := x.At(i).Name; inside(name) {
				return awserr.NestedIndexKeyPath(name)
			}
		}
	}
	return nil
}

// checkCondition refuses a condition with paths into key attributes.
func checkCondition(d *descriptor, c *expr.Condition) *awserr.Error {
	if c == nil {
		return nil
	}
	return checkPaths(d, func(name string) bool { return c.Reads(name) == expr.Inside })
}

// checkProjection refuses a projection with paths into key attributes.
func checkProjection(d *descriptor, p *expr.Projection) *awserr.Error {
	if p == nil {
		return nil
	}
	return checkPaths(d, func(name string) bool { return p.Reads(name) == expr.Inside })
}

// updated computes what an update makes of the stored item.
func updated(d *descriptor, r *request.UpdateItem, old item.Item) (item.Item, *awserr.Error) {
	if r.Update == nil {
		if old == nil {
			return r.Key, nil
		}
		return old, nil
	}
	new, e := r.Update.Apply(old, r.Key)
	if e != nil {
		return nil, e
	}
	if old == nil && r.Update.RemovesOnly() {
		return nil, nil // nothing to remove from: no item is made
	}
	if e := checkIndexUpdate(d, old, new); e != nil {
		return nil, e
	}
	if !fits(d, new) {
		return nil, awserr.UpdateTooLarge()
	}
	return new, nil
}

// BatchWriteItem makes all its writes in one transaction. AWS promises less
// (each item on its own), which a client cannot tell.
func (db *DB) BatchWriteItem(ctx context.Context, scope schema.Scope, r *request.BatchWriteItem) (*BatchWriteResult, error) {
	tx, tables, descs, err := db.enterAll(ctx, scope, true, len(r.Tables), func(i int) string { return r.Tables[i].TableName })
	if err != nil {
		return nil, err
	}
	for i := range r.Tables {
		for _, w := range r.Tables[i].Writes {
			if e := checkWrite(descs[i], w); e != nil {
				return nil, tx.fail(e)
			}
			attrs := w.Item
			if attrs == nil {
				attrs = w.Key
			}
			tx.add(tables[i], descs[i], attrs)
		}
	}
	if tx.hasDuplicates() {
		return nil, tx.fail(awserr.DuplicateKeys())
	}
	tx.lock()
	res := &BatchWriteResult{}
	n := 0
	for i := range r.Tables {
		units := writeUnits{d: descs[i]}
		collections := TableCollections{Requested: r.Tables[i].Requested}
		for _, w := range r.Tables[i].Writes {
			old, err := tx.load(n, w.Item != nil)
			if err != nil {
				return nil, tx.fail(err)
			}
			tx.put(n, w.Item)
			if r.ReturnConsumedCapacity != request.CapacityNone {
				units.add(old, w.Item, 1)
			}
			if r.ReturnItemCollectionMetrics {
				attrs := w.Item
				if attrs == nil {
					attrs = w.Key
				}
				collections.add(tables[i], descs[i], attrs)
			}
			n++
		}
		if r.ReturnConsumedCapacity != request.CapacityNone {
			res.Capacity = append(res.Capacity, units.capacity(r.Tables[i].TableName, r.ReturnConsumedCapacity))
		}
		if len(collections.Metrics) > 0 {
			res.Collections = append(res.Collections, collections)
		}
	}
	if err := tx.commit(); err != nil {
		return nil, err
	}
	return res, db.estimate(res.Collections)
}

// checkWrite checks one element of a batch. AWS answers a put with a missing or
// mistyped key here as it answers a bad key.
func checkWrite(d *descriptor, w request.WriteRequest) *awserr.Error {
	k := &d.def.Keys
	if w.Item == nil {
		return k.CheckKey(w.Key)
	}
	e := k.CheckItem(w.Item)
	if e != nil && (w.Item.Get(k.Hash.Name).Type() != k.Hash.Type || k.HasRange() && w.Item.Get(k.Range.Name).Type() != k.Range.Type) {
		return awserr.KeySchemaMismatch()
	}
	if e == nil {
		e = checkIndexKeys(d, w.Item)
	}
	return e
}

func (tx *Tx) hasDuplicates() bool {
	seen := make(map[string]struct{}, len(tx.ops))
	for i := range tx.ops {
		seen[string(tx.key(i))] = struct{}{}
	}
	return len(seen) != len(tx.ops)
}

func sizeOf(it item.Item) int {
	if it == nil {
		return 0
	}
	return it.Size()
}
