package trigger

import (
	"context"
	"errors"
	"slices"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// Exactly-once writes. An answer's writes and messages, the position behind its records (or the removal
// of the held rows that they are) and a window's state become durable in one batch. So do what a queue of the
// server's own is told of records that are given up (a Deliver), and their end.
//
//  1. The machine has the answer and asks for a Transact; the records are still under way.
//  2. The backend has the items' locks, and the conditions hold. Under the committer's lock the position is
//     built as it will be (stage), and goes into the batch. So no position that was built before
//     is written after it, and other mappings' positions wait for no item. The ends of the mapping's shards that are
//     not stored yet go with it: a child's position is never on the disk before its parent's end.
//  3. The batch is visible. Before that lock is released, the machine ends the
//     records (apply): every position that is built from then on is behind them.
//  4. It is durable, and the machine goes on (TransactDone).
//
// Between 2 and 3 the machine is not stopped or started: whether the writes are made is not known then.

// stager is a machine with a batch whose answer has writes.
type stager interface {
	changeOwner
	// stage returns what is to be stored with the writes or the message; ok is false when the batch is not this
	// machine's any more.
	stage(batch uint64) (row *backend.Row, own, removed []lane.AsideChange, ok bool)
	// apply ends the batch's records.
	apply(batch uint64, row *backend.Row)
	// unstage takes back that the batch is being committed.
	unstage(batch uint64)
}

// transact commits the writes of an answer of the driver's machine, in a goroutine of its own, and tells
// the machine of the end.
func (d *driver) transact(t lane.Transact) {
	d.e.calls.Add(1)
	d.held.callBegins()
	started := d.e.spawn(func() {
		done := lane.TransactDone{Batch: t.Batch}
		err := d.commitWith(t.Batch, backend.Transaction{Items: t.Items, Messages: t.Messages, Cause: t.Cause})
		if r, ok := errors.AsType[*backend.Refused](err); ok {
			done.Refused = r.Why
		} else if err != nil {
			done.Undelivered = "the writes of its answer: " + err.Error()
		}
		d.e.callEnded()
		d.finish(done)
		d.held.callEnded(d.e)
	})
	if !started {
		d.held.callEnded(d.e)
		d.e.callEnded()
	}
}

// commitWith commits writes or messages with the end of a batch's records.
func (d *driver) commitWith(batch uint64, with backend.Transaction) error {
	return (&transaction{d: d, c: d.commit, batch: batch}).commit(with)
}

var errAbandoned = errors.New("the mapping was stopped")

// transaction is one such commit.
type transaction struct {
	d     *driver
	c     *committer
	batch uint64

	locked, staged, applied bool

	ends   ends // of shards before this one
	row    *backend.Row
	own    []lane.AsideChange // of the machine
	others []lane.AsideChange // of the mapping's Aside; stored with every position
}

func (t *transaction) commit(with backend.Transaction) error {
	with.Scope, with.Build, with.Applied = t.d.m.definition().Scope, t.build, t.apply
	ctx := context.WithoutCancel(t.c.e.ctx)
	var err error
	if t.c.claim == nil {
		err = t.c.e.opts.Backend.Transact(ctx, with)
	} else {
		err = t.c.e.shared.TransactUnder(ctx, t.c.claim, t.d.m.uuid, with)
	}
	switch {
	case !t.applied:
		t.takeBack()
	case err == nil:
		t.ends.changesStored()
		if len(t.own) > 0 {
			t.d.owner.changesStored(t.own)
		}
		if len(t.others) > 0 {
			t.d.aside.changesStored(t.others)
		}
	}
	return err
}

// build takes the committer's lock, which apply or takeBack releases, and returns what is stored with the writes.
func (t *transaction) build() (rows []backend.Row, aside []backend.AsideRows, err error) {
	t.c.writing.Lock()
	t.locked = true
	m := t.d.m
	var removed []lane.AsideChange
	if t.row, t.own, removed, t.staged = t.d.owner.stage(t.batch); !t.staged || m.gone() || m.over(t.d.epoch) {
		t.takeBack() // now: the backend may wait for the disk before it returns
		return nil, nil, errAbandoned
	}
	t.ends = m.ends()
	t.others = t.d.aside.rows.TakeChanges()
	rows, aside = slices.Clone(t.ends.rows), slices.Clone(t.ends.aside)
	if t.row != nil {
		rows = append(rows, *t.row)
	}
	for i, changes := range [][]lane.AsideChange{t.own, t.others, removed} {
		if len(changes) > 0 {
			aside = append(aside, backend.AsideRows{UUID: m.uuid, Changes: changes, With: i == 2})
		}
	}
	return rows, aside, nil
}

// apply ends the records: the writes are visible.
func (t *transaction) apply() {
	t.applied = true
	t.ends.stored()
	t.d.owner.apply(t.batch, t.row)
	t.unlock()
}

// takeBack undoes build: nothing was written.
func (t *transaction) takeBack() {
	if t.staged {
		t.staged = false
		t.d.owner.unstage(t.batch)
		t.ends.putBack()
		t.d.owner.putBack(t.own)
		if len(t.others) > 0 {
			t.d.aside.putBack(t.others)
		}
	}
	t.unlock()
}

func (t *transaction) unlock() {
	if t.locked {
		t.locked = false
		t.c.writing.Unlock()
	}
}
