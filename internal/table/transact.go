package table

import (
	"context"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// Transactions never conflict here: those that meet on an item wait for each
// other at its stripe, which nobody holds over a sync, and stripes are taken in one
// order, so that there is no deadlock.

// Rider is what a caller commits in the same batch as a transaction.
type Rider struct {
	// Build puts rows of key spaces that are not the tables' into the batch. It is called
	// once, when only the commit is left: the items are locked and read, and every
	// condition holds. So what it locks is not held while others are waited for. Its error
	// ends the transaction.
	Build func(b *store.Batch) error
	// Applied is called with the commit once the batch is visible, before the wait for its
	// sync: what Build has locked is unlocked there. It is not called when the transaction
	// ends before.
	Applied func(c *store.Commit)
	// Cause is the depth of function-made writes that led to this one.
	Cause uint8
}

// TransactWriteItems does all of its writes, or none and says why in one reason
// for each (TransactionCanceledException). With a client token it is done once.
func (db *DB) TransactWriteItems(ctx context.Context, scope schema.Scope, r *request.TransactWriteItems) (*TransactWriteResult, error) {
	return db.TransactWith(ctx, scope, r, nil)
}

// TransactWith is TransactWriteItems whose batch carries a rider. The rider's
// rows are written also when no item changes, and not when a token's transaction
// was done before.
func (db *DB) TransactWith(ctx context.Context, scope schema.Scope, r *request.TransactWriteItems, rider *Rider) (*TransactWriteResult, error) {
	if r.Token.Text == "" {
		return db.transact(ctx, scope, r, rider, nil)
	}
	return db.once(ctx, scope, r, func(token *token) (*TransactWriteResult, error) {
		return db.transact(ctx, scope, r, rider, token)
	})
}

func (db *DB) transact(ctx context.Context, scope schema.Scope, r *request.TransactWriteItems, rider *Rider, token *token) (*TransactWriteResult, error) {
	tx, tables, descs, err := db.enterAll(ctx, scope, true, len(r.Writes), func(i int) string { return r.Writes[i].TableName })
	if err != nil {
		return nil, err
	}
	refused, e := tx.addActions(r, tables, descs)
	if e != nil {
		return nil, tx.fail(e)
	}
	tx.lock()
	use := usage{kind: "Write", asked: r.ReturnConsumedCapacity}
	reads := usage{kind: "Read"}
	e, err = tx.perform(r, refused, &use, &reads)
	if err != nil {
		return nil, tx.fail(err)
	}
	if e != nil {
		return nil, tx.refuse(e)
	}
	if rider != nil {
		tx.build, tx.applied, tx.cause = rider.Build, rider.Applied, rider.Cause
	}
	if token != nil {
		tx.rows = append(tx.rows, token.rows(db.now(), reads.tables)...)
	}
	if err := tx.commit(); err != nil {
		return nil, err
	}
	res := &TransactWriteResult{Capacity: use.capacity()}
	if r.ReturnItemCollectionMetrics {
		res.Collections = collectionsOf(r.Writes, tables, descs)
	}
	return res, db.estimate(res.Collections)
}

// collectionsOf lists the item collections that a transaction wrote, by table.
func collectionsOf(writes []request.TransactWrite, tables []*Table, descs []*descriptor) []TableCollections {
	var list []TableCollections
	for i := range writes {
		w := &writes[i]
		if w.Action == request.TransactCheck || !descs[i].def.hasLocal() {
			continue
		}
		n := slices.IndexFunc(list, func(t TableCollections) bool { return t.Requested == w.TableName })
		if n < 0 {
			n = len(list)
			list = append(list, TableCollections{Requested: w.TableName})
		}
		list[n].add(tables[i], descs[i], w.Attributes())
	}
	return list
}

// refusedAction is an action that the schema does not allow, of a transaction that gives a reason for each.
type refusedAction struct {
	why    *awserr.Error // nil: it is allowed
	absent bool          // its key is none, so that no item was added
}

// addActions checks what needs the schema, in AWS's order, and adds one item for
// each action. Where there is to be a reason for each, refused has those of the actions that are not
// allowed, nil when all are; a key of the wrong type is told alone.
func (tx *Tx) addActions(r *request.TransactWriteItems, tables []*Table, descs []*descriptor) (refused []refusedAction, e *awserr.Error) {
	writes := r.Writes
	for i := range writes {
		if e := descs[i].def.Keys.CheckEmpty(writes[i].Attributes()); e != nil {
			return nil, e
		}
		if e := checkEmptyIndexKeys(descs[i], &writes[i]); e != nil {
			return nil, e
		}
	}
	var invalid *awserr.Error
	for i := range writes {
		w := &writes[i]
		keys := &descs[i].def.Keys
		e := checkActionKey(keys, w)
		absent := e != nil
		if e == nil {
			tx.add(tables[i], descs[i], w.Attributes())
			e = checkAction(descs[i], w)
		}
		switch {
		case e == nil || invalid != nil:
		case !r.EveryReason || absent && keys.Mistyped(w.Attributes()):
			invalid = invalidAction(len(writes), i, e)
		default:
			if refused == nil {
				refused = make([]refusedAction, len(writes))
			}
			refused[i] = refusedAction{e, absent}
		}
	}
	if tx.hasDuplicates() {
		return nil, awserr.MultipleOperations()
	}
	return refused, invalid
}

func checkActionKey(k *schema.Keys, w *request.TransactWrite) *awserr.Error {
	if w.Action == request.TransactPut {
		return k.CheckItem(w.Item)
	}
	return k.CheckKey(w.Key)
}

// checkAction checks an action's expressions against the schema.
func checkAction(d *descriptor, w *request.TransactWrite) *awserr.Error {
	switch w.Action {
	case request.TransactPut:
		if e := checkIndexKeys(d, w.Item); e != nil {
			return e
		}
	case request.TransactUpdate:
		if e := checkTargets(d, w.Update); e != nil {
			return e
		}
	}
	return checkCondition(d, w.Condition)
}

// invalidAction cancels for action i of n. AWS looks at no further action then, and
// gives no reason for the others.
func invalidAction(n, i int, e *awserr.Error) *awserr.Error {
	reasons := noReasons(n)
	reasons[i] = awserr.ValidationReason(e)
	return awserr.TransactionCanceled(reasons)
}

func noReasons(n int) []awserr.Reason {
	reasons := make([]awserr.Reason, n)
	for i := range reasons {
		reasons[i] = awserr.NoReason()
	}
	return reasons
}

// perform loads all items, tests all conditions and puts what the actions make of
// the items. The error of AWS's is the cancellation.
func (tx *Tx) perform(r *request.TransactWriteItems, refused []refusedAction, use, reads *usage) (*awserr.Error, error) {
	if refused != nil {
		return tx.explain(r, refused)
	}
	writes := r.Writes
	var reasons []awserr.Reason
	for i := range writes {
		w := &writes[i]
		old, err := tx.load(i, w.Action == request.TransactPut)
		if err != nil {
			return nil, err
		}
		reason, e := test(w, old)
		new := old
		if e == nil && reason.Code == "" {
			new, e = outcome(tx.ops[i].desc, w, old)
		}
		if e != nil && !r.EveryReason {
			return invalidAction(len(writes), i, e), nil
		}
		if e != nil {
			reason = awserr.ValidationReason(e)
		}
		if reason.Code != "" {
			if reasons == nil {
				reasons = noReasons(len(writes))
			}
			reasons[i] = reason
			continue
		}
		tx.put(i, new)
		if use.asked != request.CapacityNone {
			use.of(w.TableName, tx.ops[i].desc).add(old, new, 2)
		}
		reads.of(w.TableName, tx.ops[i].desc).table += 2 * schema.ReadUnits(sizeOf(new), true)
	}
	if reasons == nil {
		return nil, nil
	}
	for i := range writes {
		if w := &writes[i]; w.Existence == request.MaybeItem && w.Condition != nil && tx.ops[i].old == nil {
			reasons[i] = awserr.ConditionReason(nil)
		}
	}
	return awserr.TransactionCanceled(reasons), nil
}

// explain is perform for a transaction of which some actions are refused: it writes nothing, and says
// what is wrong with the others.
func (tx *Tx) explain(r *request.TransactWriteItems, refused []refusedAction) (*awserr.Error, error) {
	reasons := noReasons(len(r.Writes))
	op := -1
	for i := range r.Writes {
		if !refused[i].absent {
			op++
		}
		if e := refused[i].why; e != nil {
			reasons[i] = awserr.ValidationReason(e)
			continue
		}
		w := &r.Writes[i]
		old, err := tx.load(op, w.Action == request.TransactPut)
		if err != nil {
			return nil, err
		}
		reason, e := test(w, old)
		if e == nil && reason.Code == "" {
			_, e = outcome(tx.ops[op].desc, w, old)
		}
		switch {
		case e != nil:
			reasons[i] = awserr.ValidationReason(e)
		case reason.Code != "":
			reasons[i] = reason
		case w.Existence == request.MaybeItem && w.Condition != nil && old == nil:
			reasons[i] = awserr.ConditionReason(nil)
		}
	}
	return awserr.TransactionCanceled(reasons), nil
}

// test returns why an action fails on the stored item; without a code, it does not.
func test(w *request.TransactWrite, old item.Item) (awserr.Reason, *awserr.Error) {
	if w.Existence == request.NoItem && old != nil {
		return awserr.DuplicateReason(), nil
	}
	if w.Existence == request.MaybeItem && old == nil {
		return awserr.Reason{}, nil
	}
	holds, e := w.Condition.Eval(old)
	if e != nil || holds && (w.Existence != request.SomeItem || old != nil) {
		return awserr.Reason{}, e
	}
	if !w.ReturnOldOnConditionFailure {
		old = nil
	}
	return awserr.ConditionReason(old), nil
}

// outcome computes what an action makes of the stored item.
func outcome(d *descriptor, w *request.TransactWrite, old item.Item) (item.Item, *awserr.Error) {
	switch w.Action {
	case request.TransactPut:
		return w.Item, nil
	case request.TransactUpdate:
		return updated(d, &request.UpdateItem{Key: w.Key, Update: w.Update}, old)
	case request.TransactDelete:
		return nil, nil
	}
	return old, nil
}

// TransactGetItems reads items of one moment: no write comes between two of them.
func (db *DB) TransactGetItems(ctx context.Context, scope schema.Scope, r *request.TransactGetItems) (*TransactGetResult, error) {
	tx, tables, descs, err := db.enterAll(ctx, scope, false, len(r.Gets), func(i int) string { return r.Gets[i].TableName })
	if err != nil {
		return nil, err
	}
	if e := tx.addGets(r.Gets, tables, descs); e != nil {
		return nil, tx.fail(e)
	}
	tx.lock()
	res := &TransactGetResult{Items: make([]item.Item, len(r.Gets))}
	use := usage{kind: "Read", asked: r.ReturnConsumedCapacity}
	size := 0
	for i := range r.Gets {
		it, err := tx.load(i, false)
		if err != nil {
			return nil, tx.fail(err)
		}
		res.Items[i] = it
		size += sizeOf(it)
		use.of(r.Gets[i].TableName, descs[i]).table += 2 * schema.ReadUnits(sizeOf(it), true)
	}
	if err := tx.release(); err != nil {
		return nil, err
	}
	if size > request.MaxTransactBytes {
		return nil, awserr.TransactionTooLarge()
	}
	for i := range r.Gets {
		if p := r.Gets[i].Projection; p != nil && res.Items[i] != nil {
			if res.Items[i] = p.Apply(res.Items[i]); res.Items[i].Len() == 0 {
				res.Items[i] = nil
			}
		}
	}
	res.Capacity = use.capacity()
	return res, nil
}

func (tx *Tx) addGets(gets []request.TransactGet, tables []*Table, descs []*descriptor) *awserr.Error {
	for i := range gets {
		if e := descs[i].def.Keys.CheckEmpty(gets[i].Key); e != nil {
			return e
		}
	}
	var invalid *awserr.Error
	for i := range gets {
		e := descs[i].def.Keys.CheckKey(gets[i].Key)
		if e == nil {
			tx.add(tables[i], descs[i], gets[i].Key)
			e = checkProjection(descs[i], gets[i].Projection)
		}
		if e != nil && invalid == nil {
			invalid = invalidAction(len(gets), i, e)
		}
	}
	if tx.hasDuplicates() {
		return awserr.MultipleOperations()
	}
	return invalid
}

// usage adds up the capacity of a transaction by table.
type usage struct {
	kind   string
	asked  request.ReturnConsumedCapacity
	tables []tableUnits
}

type tableUnits struct {
	name string
	writeUnits
}

// of returns the units of one table, to be added to.
func (u *usage) of(table string, d *descriptor) *writeUnits {
	for i := range u.tables {
		if u.tables[i].name == table {
			return &u.tables[i].writeUnits
		}
	}
	u.tables = append(u.tables, tableUnits{table, writeUnits{d: d}})
	return &u.tables[len(u.tables)-1].writeUnits
}

// capacity is nil unless it was asked for.
func (u *usage) capacity() []*Capacity {
	if u.asked == request.CapacityNone {
		return nil
	}
	list := make([]*Capacity, len(u.tables))
	for i := range u.tables {
		list[i] = u.tables[i].capacity(u.tables[i].name, u.asked)
		list[i].Kind = u.kind
	}
	return list
}
