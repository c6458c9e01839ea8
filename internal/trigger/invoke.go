package trigger

import (
	"time"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// invoke runs the function on a batch, in a goroutine of its own, and tells of
// the end.
func (m *running) invoke(a lane.Invoke, d *driver) {
	if !m.enter(d.epoch) {
		return
	}
	m.e.calls.Add(1)
	d.held.callBegins()
	m.e.pace.called(m.e.clock.instant().Mono)
	started := m.e.spawn(func() {
		growStack()
		d.finish(m.call(&a, d))
		d.held.callEnded(m.e)
	})
	if !started {
		d.held.callEnded(m.e)
		m.leave()
		m.e.callEnded()
	}
}

// growStack lets a new goroutine's stack grow to what a call and the step after it take, while there is nothing on it to
// be moved. Otherwise it grows twice amid the step.
//
//go:noinline
func growStack() {
	var room [3 << 10]byte
	stackRoom(&room)
}

//go:noinline
func stackRoom(*[3 << 10]byte) {}

// call makes one call of the function when its turn has come. What it needs of the stack is free again
// when the machine goes on with its end, in the same goroutine: a stack that has to grow costs more
// than all else here.
//
//go:noinline
func (m *running) call(a *lane.Invoke, d *driver) lane.Event {
	defer m.e.callEnded()
	if !m.gate.enter(m.e.ctx, m.e.opts.Clock, func() bool { return m.wants(d.epoch) }) {
		m.leave()
		return lane.InvocationDone{Batch: a.Batch, Result: lane.Result{Outcome: lane.NotDelivered, Error: "stopped before its turn", Withdrawn: true}}
	}
	if !d.held.valid() {
		m.gate.leave()
		m.leave()
		return lane.InvocationDone{Batch: a.Batch, Result: lane.Result{Outcome: lane.NotDelivered, Error: "this node has not the right to run it any more", Withdrawn: true}}
	}
	ctx, ended := d.context(), (func(lane.Result))(nil)
	if m.e.opts.Trace != nil {
		ctx, ended = m.e.opts.Trace(ctx, a.FunctionARN, a.Records)
	}
	res := m.e.opts.Invoker.Invoke(ctx, a.FunctionARN, a.Payload(m.stream))
	if ended != nil {
		ended(res)
	}
	m.gate.leave()
	m.leave()
	if d.context().Err() != nil && res.Outcome != lane.Succeeded {
		// The engine cancelled the call: that is no failure of the function.
		res = lane.Result{Outcome: lane.NotDelivered, Error: "cancelled at shutdown", Withdrawn: true}
	}
	return lane.InvocationDone{Batch: a.Batch, Result: res}
}

// noteResult keeps how the newest call has ended, by what the machine makes of its answer.
func (m *running) noteResult(ev lane.Event, actions []lane.Action) {
	result := mapping.ResultOK
	switch ev := ev.(type) {
	case lane.InvocationDone:
		switch {
		case ev.Result.Withdrawn:
			return
		case ev.Result.Outcome != lane.Succeeded:
			result = mapping.ResultFailed // also when it counts for nothing, since the mapping was stopped
		}
	case lane.TransactDone:
		if ev.Undelivered != "" {
			return
		}
	default:
		return
	}
	for _, a := range actions {
		switch a.(type) {
		case lane.CallFailed:
			result = mapping.ResultFailed
		case lane.Transact:
			return // it is known once the writes are made
		}
	}
	m.last.Store(int32(result))
}

// Failure is a call of a mapping's function that has failed, or some of whose records have.
type Failure struct {
	UUID, Shard string
	lane.Failure
	RetryAt time.Time // zero when the records are not tried again as they are
}

// callFailed tells people, and whoever has asked for it, of a call that has failed.
func (m *running) callFailed(a lane.CallFailed) {
	f := FailedCall{
		At: m.e.opts.Now(), RequestID: a.RequestID, Error: clip(a.Error), Records: a.Records, Failed: a.Failed, Attempt: a.Attempt, Of: a.Of, Then: a.Then,
	}
	if a.Failure.RetryAt > 0 {
		f.RetryAt = wallOf(m.e.clock.instant(), a.Failure.RetryAt)
	}
	if a.First != nil {
		f.First, f.Keys = a.First.Seq(), lane.KeysOf(a.First)
	}
	m.memory.failed(f)
	if failed := m.e.opts.Failed; failed != nil {
		failed(Failure{UUID: m.uuid, Shard: a.Shard, Failure: a.Failure, RetryAt: f.RetryAt})
	}
	if a.Calls == 1 && m.mayLog() {
		args := []any{"mapping", m.uuid, "shard", a.Shard, "function", a.FunctionARN, "records", a.Records, "failed", a.Failed, "error", a.Error}
		if a.First != nil {
			args = append(args, "first", f.First.String(), "keys", f.Keys)
		}
		m.e.log.Warn("a function failed on a batch", args...)
	}
}

// wants reports whether a call that waits for its turn is still to be made.
func (m *running) wants(epoch uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.over(epoch) && m.delivers()
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
