package table

import (
	"context"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/trace"
)

// Every request that locks items begins alike: its tables are looked up, a write is
// admitted while there is room on the disk, and the tables are joined. enter and
// enterAll are that beginning; what they return has no item yet. On an error nothing is
// left to release.

// admit refuses writes while the disk has no room for them; deletes have some longer.
func (db *DB) admit(deletes bool) error {
	admit := db.store.Admit
	if deletes {
		admit = db.store.AdmitDelete
	}
	err := admit()
	if err != nil {
		db.refused.Add(1)
	}
	return awserr.WhenFull(err, store.ErrDiskFull, awserr.Internal().Code)
}

// RefusedWrites returns how many writes were refused since the start.
func (db *DB) RefusedWrites() uint64 { return db.refused.Load() }

// enter begins a write of one table, which deletes or not.
func (db *DB) enter(ctx context.Context, scope schema.Scope, name string, deletes bool) (*Tx, *Table, *descriptor, error) {
	t, err := db.lookup(ctx, scope, name)
	if err == nil {
		err = db.admit(deletes)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	tx := db.begin()
	tx.trace = trace.From(ctx)
	d := tx.join(t)
	if d == nil {
		return nil, nil, nil, db.gone(ctx, tx)
	}
	return tx, t, d, nil
}

// enterAll begins a request of n elements; name tells the table of each, and there may be
// equal ones.
func (db *DB) enterAll(ctx context.Context, scope schema.Scope, write bool, n int, name func(i int) string) (*Tx, []*Table, []*descriptor, error) {
	tables := make([]*Table, n)
	for i := range tables {
		var err error
		if tables[i], err = db.lookup(ctx, scope, name(i)); err != nil {
			return nil, nil, nil, err
		}
	}
	if write {
		if err := db.admit(false); err != nil {
			return nil, nil, nil, err
		}
	}
	tx := db.begin()
	tx.trace = trace.From(ctx)
	descs := tx.joinAll(tables)
	if descs == nil {
		return nil, nil, nil, db.gone(ctx, tx)
	}
	return tx, tables, descs, nil
}

// gone ends a Tx one of whose tables was removed since it was looked up.
func (db *DB) gone(ctx context.Context, tx *Tx) error {
	_ = tx.release()
	return db.whenDurable(ctx, awserr.ResourceNotFound())
}

// fail ends a Tx with an error that tells nothing of what it has read.
func (tx *Tx) fail(err error) error {
	_ = tx.release()
	return err
}

// refuse ends a Tx with an error that may tell of what it has read, which is durable
// then.
func (tx *Tx) refuse(e *awserr.Error) error {
	if err := tx.release(); err != nil {
		return err
	}
	return e
}

// joinAll joins tables, among which there may be equal ones, and returns their
// descriptors; nil when one is not there any more.
func (tx *Tx) joinAll(tables []*Table) []*descriptor {
	order := joinOrder(tables)
	descs := make([]*descriptor, len(tables))
	for n, i := range order {
		if n > 0 && tables[order[n-1]] == tables[i] {
			descs[i] = descs[order[n-1]]
			continue
		}
		if descs[i] = tx.join(tables[i]); descs[i] == nil {
			return nil
		}
	}
	return descs
}

// joinOrder returns the places of tables in ascending order of id.
func joinOrder(tables []*Table) []int {
	order := make([]int, len(tables))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case tables[a].id < tables[b].id:
			return -1
		case tables[a].id > tables[b].id:
			return 1
		}
		return 0
	})
	return order
}
