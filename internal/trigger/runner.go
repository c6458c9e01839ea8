package trigger

import (
	"errors"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

// runner drives one lane machine. It has a goroutine only while there are events
// to handle: whoever posts an event to a runner at rest starts it. Reads are made
// by that goroutine, invocations by one each, so a slow read or a
// function that hangs holds up nobody else.
type runner struct {
	e     *Engine
	m     *mapping
	epoch uint64
	shelf *shelf // the mapping's, of this epoch
	shard string

	// qmu guards the queue; it is never held over anything that takes time.
	qmu    sync.Mutex
	queue  []Event
	seen   Wake
	woken  bool
	atWork bool

	// mu guards the machine; it is held over a step, never over a read, an
	// invocation or a commit.
	mu        sync.Mutex
	machine   *Machine
	committed Checkpoint // as last made durable
	dirty     bool       // in the committer's list; guarded by the committer
	windowAt  time.Time  // of the last commit with a window; guarded by the committer

	timer *worker.Timer // made once; guarded by mu
}

func newRunner(m *mapping, shard string, cp Checkpoint) *runner {
	shelf := m.shelf.Load()
	return &runner{e: m.e, m: m, epoch: m.epoch.Load(), shelf: shelf, shard: shard, machine: NewMachine(cp, shard, shelf.aside, m.e.opts.Jitter), committed: cp}
}

// post tells the machine of an event, soon.
func (r *runner) post(ev Event) {
	r.qmu.Lock()
	r.queue = append(r.queue, ev)
	if _, ok := ev.(Start); ok {
		r.seen, r.woken = Wake{}, false // the machine wants to be told the head again
	}
	start := r.startLocked()
	r.qmu.Unlock()
	if start {
		r.start()
	}
}

// finish is post for a goroutine that has nothing else to do: it handles the
// event itself when the runner is at rest.
func (r *runner) finish(ev Event) {
	r.qmu.Lock()
	r.queue = append(r.queue, ev)
	start := r.startLocked()
	r.qmu.Unlock()
	if start {
		r.run()
	}
}

// wake tells the shard's head. Only the newest matters, so wakes do not queue.
func (r *runner) wake(w Wake) {
	r.qmu.Lock()
	start := false
	if !w.stale(r.seen) {
		r.seen, r.woken = w, true
		start = r.startLocked()
	}
	r.qmu.Unlock()
	if start {
		r.start()
	}
}

// wakeClosed tells that the shard has got no further and is closed.
func (r *runner) wakeClosed() {
	r.qmu.Lock()
	w := r.seen
	r.qmu.Unlock()
	w.Closed = true
	r.wake(w)
}

// stale reports whether w tells nothing that o did not.
func (w Wake) stale(o Wake) bool { return w == o || w.Head.Less(o.Head) }

func (r *runner) startLocked() bool {
	if r.atWork {
		return false
	}
	r.atWork = true
	return true
}

func (r *runner) start() {
	if !r.e.spawn(r.run) {
		r.qmu.Lock()
		r.atWork = false
		r.qmu.Unlock()
	}
}

// run handles events until there are none.
func (r *runner) run() {
	var events []Event
	var actions []Action
	for {
		r.qmu.Lock()
		events = append(events[:0], r.queue...)
		clear(r.queue)
		r.queue = r.queue[:0]
		if r.woken {
			events = append(events, r.seen)
			r.woken = false
		}
		if len(events) == 0 {
			r.atWork = false
			r.qmu.Unlock()
			return
		}
		r.qmu.Unlock()
		for len(events) > 0 {
			actions = actions[:0]
			r.mu.Lock()
			for _, ev := range events {
				actions = r.machine.Step(r.e.instant(), ev, actions)
			}
			r.mu.Unlock()
			clear(events)
			events = events[:0]
			for _, a := range actions {
				if ev := r.act(a); ev != nil {
					events = append(events, ev)
				}
			}
			clear(actions)
		}
	}
}

// act carries an action out; the answer of a read comes back at once.
func (r *runner) act(a Action) Event {
	switch a := a.(type) {
	case Invoke:
		r.m.invoke(a, r.shard, r.epoch, r.finish)
	case Read:
		page, err := r.e.opts.Backend.Read(r.e.ctx, r.m.stream, r.shard, a.After, a.MaxRecords, a.MaxBytes)
		if errors.Is(err, ErrNoStream) {
			page, err = Page{End: true}, nil // it is past its retention, and so are its records
		}
		if err != nil && r.e.ctx.Err() == nil {
			r.e.log.Error("cannot read a stream for a mapping; trying again", "mapping", r.m.uuid, "shard", r.shard, "error", err)
		}
		return PageRead{Token: a.Token, Page: page, Err: err}
	case SetTimer:
		r.setTimer(a.At)
	case Commit:
		r.e.commit.add(r)
		r.e.progress.notify()
	case Drop:
		r.dropped(a)
	case Put:
		r.m.logPut(a, r.shard)
	case Transact:
		r.m.transact(a, r, r.shelf, r.finish)
	case Poke:
		r.shelf.post(Timer{})
	case Deliver:
		r.m.deliver(a, r.shard, r.finish)
	case Expire:
		r.e.log.Warn("records were gone before they were read", "mapping", r.m.uuid, "shard", r.shard,
			"records", a.Missed.Count, "first", a.Missed.First.String(), "last", a.Missed.Last.String())
	case Done:
		r.m.shardDone(r)
	}
	return nil
}

// invoke runs the function on a batch of a shard, in a goroutine of its own, and tells of
// the end.
func (m *mapping) invoke(a Invoke, shard string, epoch uint64, ended func(Event)) {
	if !m.enter(epoch) {
		return
	}
	m.e.calls.Add(1)
	m.e.pace.called(m.e.clock.instant().Mono)
	started := m.e.spawn(func() {
		if !m.gate.enter(m.e.ctx, m.e.opts.Clock, func() bool { return m.wants(epoch) }) {
			m.leave()
			m.e.callEnded()
			ended(InvocationDone{Batch: a.Batch, Result: Result{Outcome: NotDelivered, Error: "stopped before its turn"}})
			return
		}
		began := time.Now()
		res := m.e.opts.Invoker.Invoke(m.e.ctx, a.FunctionARN, payload(a, shard, m.stream))
		m.gate.leave()
		m.leave()
		if m.e.ctx.Err() != nil && res.Outcome != Succeeded {
			// The engine cancelled the call: that is no failure of the function.
			res = Result{Outcome: NotDelivered, Error: "cancelled at shutdown"}
		}
		if observe := m.e.opts.Observe; observe != nil {
			observe(Invocation{
				UUID: m.uuid, FunctionARN: a.FunctionARN, Records: len(a.Records), Newest: a.newest(), Attempt: a.Attempt,
				Started: began, Took: time.Since(began), Outcome: res.Outcome,
			})
		}
		if res.Outcome != Succeeded && a.Attempt == 1 && m.mayLog() {
			m.e.log.Warn("a function failed on a batch", "mapping", m.uuid, "shard", shard, "function", a.FunctionARN,
				"records", len(a.Records), "first", first(a.Records), "error", res.Error)
		}
		if res.Outcome == Succeeded {
			m.last.Store(int32(resultOK))
		} else {
			m.last.Store(int32(resultFailed))
		}
		m.e.callEnded()
		ended(InvocationDone{Batch: a.Batch, Result: res})
	})
	if !started {
		m.leave()
		m.e.callEnded()
	}
}

// wants reports whether a call that waits for its turn is still to be made.
func (m *mapping) wants(epoch uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.over(epoch) && m.delivers()
}

// newest is the time of the newest record, or of the newest that a closed window knows.
func (a *Invoke) newest() int64 {
	if len(a.Records) == 0 {
		return a.Window.Newest
	}
	return a.Records[len(a.Records)-1].Time()
}

// first is the number of the first record, for the log.
func first(records []Record) string {
	if len(records) == 0 {
		return ""
	}
	return records[0].Seq().String()
}

func (e *Engine) callEnded() {
	if e.calls.Add(-1) == 0 {
		e.idle.notify()
	}
}

func (r *runner) setTimer(at time.Duration) {
	wait := max(at-r.e.clock.instant().Mono, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer == nil {
		r.timer = r.e.clock.AfterFunc(wait, func() { r.post(Timer{}) })
		return
	}
	r.timer.Reset(wait)
}

func (r *runner) stopTimer() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
}

func (r *runner) checkpoint() Checkpoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.Checkpoint()
}

// stored is the checkpoint that was last made durable.
func (r *runner) stored() Checkpoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.committed
}

func (r *runner) counters() Counters {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.counters
}
