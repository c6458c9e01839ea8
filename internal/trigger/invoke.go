package trigger

import (
	"time"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// invoke runs the function on a batch, in a goroutine of its own, and tells of
// the end.
func (m *running) invoke(a lane.Invoke, epoch uint64, ended func(lane.Event)) {
	if !m.enter(epoch) {
		return
	}
	m.e.calls.Add(1)
	m.e.pace.called(m.e.clock.instant().Mono)
	started := m.e.spawn(func() { ended(m.call(&a, epoch)) })
	if !started {
		m.leave()
		m.e.callEnded()
	}
}

// call makes one call of the function when its turn has come. What it needs of the stack is free again
// when the machine goes on with its end, in the same goroutine: a stack that has to grow costs more
// than all else here.
//
//go:noinline
func (m *running) call(a *lane.Invoke, epoch uint64) lane.Event {
	defer m.e.callEnded()
	if !m.gate.enter(m.e.ctx, m.e.opts.Clock, func() bool { return m.wants(epoch) }) {
		m.leave()
		return lane.InvocationDone{Batch: a.Batch, Result: Result{Outcome: NotDelivered, Error: "stopped before its turn"}}
	}
	began := time.Now()
	res := m.e.opts.Invoker.Invoke(m.e.ctx, a.FunctionARN, a.Payload(m.stream))
	m.gate.leave()
	m.leave()
	if m.e.ctx.Err() != nil && res.Outcome != Succeeded {
		// The engine cancelled the call: that is no failure of the function.
		res = Result{Outcome: NotDelivered, Error: "cancelled at shutdown"}
	}
	m.invoked(a, began, &res)
	return lane.InvocationDone{Batch: a.Batch, Result: res}
}

// invoked tells people, and whoever observes, of an invocation that has ended.
func (m *running) invoked(a *lane.Invoke, began time.Time, res *Result) {
	if observe := m.e.opts.Observe; observe != nil {
		observe(Invocation{
			UUID: m.uuid, FunctionARN: a.FunctionARN, Records: len(a.Records), Newest: newest(a), Attempt: a.Attempt,
			Started: began, Took: time.Since(began), Outcome: res.Outcome,
		})
	}
	if res.Outcome == Succeeded {
		m.last.Store(int32(mapping.ResultOK))
		return
	}
	m.last.Store(int32(mapping.ResultFailed))
	if a.Attempt == 1 && m.mayLog() {
		m.e.log.Warn("a function failed on a batch", "mapping", m.uuid, "shard", a.Shard, "function", a.FunctionARN,
			"records", len(a.Records), "first", first(a.Records), "error", res.Error)
	}
}

// wants reports whether a call that waits for its turn is still to be made.
func (m *running) wants(epoch uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.over(epoch) && m.delivers()
}

// newest is the time of the newest record, or of the newest that a closed window knows.
func newest(a *lane.Invoke) int64 {
	if len(a.Records) == 0 {
		return a.Window.Newest
	}
	return a.Records[len(a.Records)-1].Time()
}

// first is the number of the first record, for the log.
func first(records []lane.Record) string {
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
