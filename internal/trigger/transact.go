package trigger

import (
	"context"
	"errors"
	"slices"
)

// Exactly-once writes. An answer's writes, the position behind its records (or the removal
// of the held rows that they are) and a window's state become durable in one batch.
//
//  1. The machine has the answer and asks for a Transact; the records are still under way.
//  2. When the backend has the items' locks and the conditions hold, the position is built as it will be (stage) under
//     the committer's lock and put into the batch. So no position that was built before is written after it, and
//     other mappings' positions wait for no item.
//  3. Once the batch is visible, and before that lock is released, the machine takes the end
//     of the records in (apply): every position that is built from then on is behind them.
//  4. When it is durable the machine goes on (TransactDone).
//
// Between 2 and 3 the machine is not stopped or started: whether the writes are made is not known then.

// stager is a machine with a batch whose answer has writes.
type stager interface {
	asideOwner
	// stage returns what is to be stored with the writes; ok is false when the batch is not this
	// machine's any more.
	stage(batch uint64) (row *Row, own, removed []AsideChange, ok bool)
	// apply takes the end of the batch's records in.
	apply(batch uint64, row *Row)
	// unstage takes back that the batch is being committed.
	unstage(batch uint64)
}

// transact commits the writes of an answer, in a goroutine of its own, and tells of the end.
func (m *mapping) transact(t Transact, st stager, shelf *shelf, ended func(Event)) {
	m.e.calls.Add(1)
	started := m.e.spawn(func() {
		done := TransactDone{Batch: t.Batch}
		err := m.e.commit.transact(m, t, st, shelf)
		if r, ok := errors.AsType[*Refused](err); ok {
			done.Refused = r.Why
		} else if err != nil {
			done.Undelivered = "the writes of its answer: " + err.Error()
		}
		m.e.callEnded()
		ended(done)
	})
	if !started {
		m.e.callEnded()
	}
}

var errAbandoned = errors.New("the mapping was stopped")

func (c *committer) transact(m *mapping, t Transact, st stager, shelf *shelf) error {
	var row *Row
	var own, others []AsideChange
	locked, staged, applied := false, false, false
	err := c.e.opts.Backend.Transact(context.WithoutCancel(c.e.ctx), Transaction{
		Scope: m.definition().Scope, Items: t.Items, Cause: t.Cause,
		Build: func() (rows []Row, aside []AsideRows, err error) {
			c.writing.Lock()
			locked = true
			var removed []AsideChange
			if row, own, removed, staged = st.stage(t.Batch); !staged || m.gone() || m.over(shelf.epoch) {
				return nil, nil, errAbandoned
			}
			others = shelf.aside.take()
			if planted == bugTransactApart {
				return nil, nil, nil
			}
			if row != nil {
				rows = []Row{*row}
			}
			for _, changes := range [][]AsideChange{own, others, removed} {
				if len(changes) > 0 {
					aside = append(aside, AsideRows{m.uuid, changes})
				}
			}
			return rows, aside, nil
		},
		Applied: func() {
			applied = true
			st.apply(t.Batch, row)
			locked = false
			c.writing.Unlock()
		},
	})
	if !applied {
		if staged {
			st.unstage(t.Batch)
			st.backChanges(own)
			if len(others) > 0 {
				shelf.backChanges(others)
			}
		}
		if locked {
			c.writing.Unlock()
		}
		return err
	}
	if err == nil {
		if len(own) > 0 {
			st.storedChanges(own)
		}
		if len(others) > 0 {
			shelf.storedChanges(others)
		}
	}
	return err
}

// causeOf is the depth of a function's writes about records.
func causeOf(records []Record) int {
	depth := 0
	for _, r := range records {
		depth = max(depth, r.Cause())
	}
	return depth + 1
}

// transact asks for the writes of an answer.
func (s *step) transact(b *batch, v verdict) {
	b.inFlight, b.verdict = true, v
	s.do(Transact{Batch: b.id, Items: v.transact, Cause: causeOf(records(b.entries))})
}

// answered finds a batch whose answer has writes that are not made yet, or just now.
func (m *Machine) answered(id uint64) *batch {
	i := slices.IndexFunc(m.batches, func(b *batch) bool { return b.id == id && b.inFlight && b.verdict.transact != nil })
	if i < 0 {
		return nil
	}
	return m.batches[i]
}

// staged is the checkpoint as it will be when a batch has ended.
func (m *Machine) staged(batch uint64) (Checkpoint, bool) {
	b := m.answered(batch)
	if b == nil {
		return Checkpoint{}, false
	}
	ended, window, own := m.ended, m.window, b.window
	m.applyBatch(b)
	cp := m.Checkpoint()
	m.ended, m.window, b.window, b.applied = ended, window, own, false
	b.deciding = true
	m.deciding++
	return cp, true
}

// applyBatch takes the end of a batch's part in, ahead of its TransactDone.
func (m *Machine) applyBatch(b *batch) {
	b.applied = true
	switch {
	case b.closing:
		m.window = nil
	case b.window != nil:
		m.windowMoved(b, len(b.entries), b.verdict.state)
	}
	for i := range b.entries {
		e := &b.entries[i]
		if m.ended[e.lane].Less(e.seq) {
			m.ended[e.lane] = e.seq
		}
	}
}

func (m *Machine) unstage(batch uint64) {
	if b := m.answered(batch); b != nil && b.deciding {
		b.deciding = false
		m.deciding--
	}
}

func (s *step) transactDone(ev TransactDone) {
	b := s.answered(ev.Batch)
	if b == nil {
		// Stopped before its turn came, or after it was applied: what has ended is in the position.
		s.abandoned = slices.DeleteFunc(s.abandoned, func(b *batch) bool { return b.id == ev.Batch })
		return
	}
	v := b.verdict
	b.inFlight, b.verdict = false, verdict{}
	switch {
	case b.applied:
		b.applied = false
		s.streak, s.pauseUntil = 0, 0
		if b.closing {
			s.windowClosed(b)
			return
		}
		s.end(b, v.done)
	case ev.Refused != "":
		s.counters.Errors++
		b.unhandled = true
		s.judged(b, verdict{err: ev.Refused})
	default:
		s.backOff(b, ev.Undelivered, maxThrottleBackoff, 0)
	}
}

func (r *runner) stage(batch uint64) (row *Row, own, removed []AsideChange, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cp, ok := r.machine.staged(batch)
	if !ok {
		return nil, nil, nil, false
	}
	row = &Row{UUID: r.m.uuid, Shard: r.shard, Checkpoint: cp, WindowEnded: cp.Window == nil && r.committed.Window != nil}
	return row, r.machine.takeChanges(), nil, true
}

func (r *runner) apply(batch uint64, row *Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.machine.answered(batch)
	r.machine.applyBatch(b)
	b.deciding = false
	r.machine.deciding--
	r.committed = row.Checkpoint
}

func (r *runner) unstage(batch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machine.unstage(batch)
}

func (s *shelf) stage(batch uint64) (row *Row, own, removed []AsideChange, ok bool) {
	a := s.aside
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.calls[batch]
	if c == nil || c.abandoned {
		return nil, nil, nil, false
	}
	for i := range c.rows {
		removed = append(removed, AsideChange{Key: c.rows[i].AsideKey})
	}
	return nil, nil, removed, true
}

func (s *shelf) apply(batch uint64, _ *Row) {
	s.aside.mu.Lock()
	defer s.aside.mu.Unlock()
	s.aside.applyCall(s.aside.calls[batch])
}

func (s *shelf) unstage(uint64) {}

// applyCall takes the removal of a call's rows in, which is stored.
func (a *Aside) applyCall(c *asideCall) {
	c.applied = true
	st := asideStep{Aside: a}
	for i := range c.rows {
		a.add(&c.rows[i], -1)
		st.passed(c.key, &c.rows[i])
	}
}

func (s *asideStep) transactDone(ev TransactDone) {
	c := s.calls[ev.Batch]
	if c == nil || c.task != transacting {
		return
	}
	delete(s.calls, ev.Batch)
	switch {
	case c.applied:
		s.judged(c, verdict{done: len(c.rows)}, Result{})
	case c.abandoned:
		s.release(c.key)
	case ev.Refused != "":
		s.counters.Errors++
		s.judged(c, verdict{err: ev.Refused}, Result{Outcome: FunctionError})
	default:
		s.putOff(c.key, ev.Undelivered, maxThrottleBackoff, 0)
	}
}
