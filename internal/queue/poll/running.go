package poll

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/counter"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/setting"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

const (
	// usualCalls is how many calls a mapping makes at once when it is not told: as many as AWS begins with.
	usualCalls = 5
	// maxPayload is how large an event may be, in bytes.
	maxPayload = 6 << 20
	// missingPause is how long a mapping waits before it looks again for a queue that is not there.
	missingPause = 5 * time.Second
	// firstBackoff and maxBackoff are between calls that do not reach the function.
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 10 * time.Second
)

// running is a mapping with its worker.
type running struct {
	m    *Mappings
	busy atomic.Int32 // batches under way, and one while messages are gathered
	open atomic.Int32 // those of them that are gathered until their window's end
	last atomic.Int32 // a mapping.LastResult

	limits limits // of the newest worker; guarded by the lock of Mappings
	calls  calls

	mu       sync.Mutex // guards what follows
	def      mapping.Definition
	cancel   context.CancelFunc // of the worker; nil: there is none
	counters counter.Mapping
	failure  string // of the newest call
}

// limits are those of calls, by a mapping, its function, and the tags of both.
type limits struct {
	calls   int           // at once
	rate    float64       // a second; 0: no limit
	timeout time.Duration // of the function; 0: not known
}

// limitsNow looks the tags up.
func (r *running) limitsNow(def mapping.Definition) limits {
	var function map[string]string
	if r.m.o.Tags != nil {
		function = r.m.o.Tags(def.FunctionARN)
	}
	v := setting.Read(function, def.Tags)
	l := limits{usualCalls, v.Rate, time.Duration(r.m.o.Timeout(def.FunctionARN)) * time.Second}
	if def.MaximumConcurrency > 0 {
		l.calls = def.MaximumConcurrency
	}
	if v.MaxInFlight > 0 {
		l.calls = v.MaxInFlight
	}
	// What the function has no place for would only wait, invisible to everybody.
	if places := r.m.o.Places(def.FunctionARN); places > 0 {
		l.calls = min(l.calls, places)
	}
	return l
}

func newRunning(m *Mappings, def mapping.Definition) *running { return &running{m: m, def: def} }

func (r *running) definition() mapping.Definition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.def
}

func (r *running) view(state mapping.State) mapping.View {
	v := mapping.View{Definition: r.definition(), State: state, LastProcessingResult: mapping.LastResult(r.last.Load()).Text()}
	if state == "" {
		v.State = mapping.Disabled
		if v.Enabled {
			v.State = mapping.Enabled
		}
	}
	return v
}

// start begins to poll, if the mapping is to. The lock of Mappings is held.
func (r *running) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.m.begun || !r.def.Enabled || r.def.Paused || r.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(r.m.ctx)
	r.cancel = cancel
	def := r.def
	r.limits = r.limitsNow(def)
	limits := r.limits
	r.m.o.Clock.Begin()
	r.m.work.Go(func() {
		defer r.m.o.Clock.End()
		newPoller(r, def, limits).run(ctx)
	})
}

// stop ends the worker. Calls under way end by themselves.
func (r *running) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		r.cancel()
		r.cancel = nil
	}
}

// change puts another definition in force: with a new worker.
func (r *running) change(def mapping.Definition) {
	r.stop()
	r.mu.Lock()
	r.def = def
	r.mu.Unlock()
	r.start()
}

// poller is the worker of one definition.
type poller struct {
	r       *running
	o       *Options
	def     mapping.Definition
	limits  limits
	filters []*pattern.Pattern
}

// turnIn is how long the next call has to wait for its turn. With take, the turn is the caller's.
func (p *poller) turnIn(take bool) time.Duration {
	now, _, _ := p.o.Clock.Instant()
	return p.r.calls.wait(now, p.limits.rate, take)
}

// await waits until a call may be made; false: ctx has ended. It takes no turn: messages are received first.
func (p *poller) await(ctx context.Context) bool {
	for {
		wait := p.turnIn(false)
		if wait <= 0 {
			return true
		}
		if p.o.Clock.Wait(ctx, wait, nil) != nil {
			return false
		}
	}
}

func newPoller(r *running, def mapping.Definition, l limits) *poller {
	p := &poller{r: r, o: &r.m.o, def: def, limits: l}
	for _, text := range def.Filters {
		if f, err := pattern.Parse(text); err == nil { // checked when it was made
			p.filters = append(p.filters, f)
		}
	}
	return p
}

// run takes batches until ctx ends. It counts as work under way but while it waits for messages.
func (p *poller) run(ctx context.Context) {
	for ctx.Err() == nil {
		q := p.o.Queues.FindARN(p.def.StreamARN)
		if q == nil {
			if p.o.Clock.Wait(ctx, missingPause, nil) != nil {
				return
			}
			continue
		}
		if !p.r.calls.enter(ctx, p.o.Clock, p.limits.calls) {
			return
		}
		if !p.await(ctx) {
			p.r.calls.leave(p.o.Clock)
			return
		}
		batch := p.gather(ctx, q)
		if len(batch) == 0 {
			p.r.calls.leave(p.o.Clock)
			continue
		}
		wanted, unwanted := p.sift(batch)
		wait := time.Duration(0)
		if len(wanted) > 0 {
			wait = p.turnIn(true)
		}
		p.o.Clock.Begin()
		p.r.m.work.Go(func() {
			defer p.o.Clock.End()
			p.r.count(counter.Mapping{Polled: uint64(len(batch)), FilteredOut: uint64(len(unwanted))})
			p.delete(q, unwanted)
			p.process(ctx, q, wanted, wait)
			p.r.busy.Add(-1)
			p.r.calls.leave(p.o.Clock)
			p.r.m.ended()
		})
	}
}

// gather takes a batch: as many messages as there are at once, and those of the window, but not more than one event may have: what is
// taken is in memory. With a batch, running.busy counts one more.
func (p *poller) gather(ctx context.Context, q *queue.Queue) []*queue.Received {
	forever := queue.Forever
	taken := false
	batch, err := q.Receive(ctx, queue.ReceiveRequest{Max: p.def.BatchSize, MaxBytes: maxPayload, Wait: &forever, Worker: true, Taken: func() {
		taken = true
		p.r.busy.Add(1) // before anybody can see that they are gone from the queue
	}})
	if err != nil || len(batch) == 0 {
		if taken {
			p.r.busy.Add(-1)
			p.r.m.ended()
		}
		p.failed(ctx, err)
		return nil
	}
	if window := time.Duration(p.def.BatchingWindowSeconds) * time.Second; window > 0 {
		batch = p.window(ctx, q, window, batch)
		if batch = p.extend(q, batch); len(batch) == 0 {
			p.r.busy.Add(-1)
			p.r.m.ended()
		}
	}
	return batch
}

// window waits for more messages until a batch is full or its time is over. That is at most half of the time for which those that it has are
// invisible: the rest is the function's, and none comes twice into a batch.
func (p *poller) window(ctx context.Context, q *queue.Queue, window time.Duration, batch []*queue.Received) []*queue.Received {
	left := time.Duration(earliest(batch)-p.o.Queues.Now()) * time.Millisecond
	window = min(window, left/2)
	p.r.open.Add(1)
	defer p.r.open.Add(-1)
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	timer := p.o.Clock.AfterFunc(window, func() {
		cancel()
		<-over // until this has gone on, it counts as work
	})
	defer func() {
		close(over)
		timer.Stop()
		cancel()
	}()
	size := 0
	for _, m := range batch {
		size += estimate(m)
	}
	for len(batch) < p.def.BatchSize && size < maxPayload {
		forever := queue.Forever
		more, err := q.Receive(ctx, queue.ReceiveRequest{Max: p.def.BatchSize - len(batch), MaxBytes: maxPayload - size, Wait: &forever, Worker: true})
		if err != nil || len(more) == 0 {
			break
		}
		for _, m := range more {
			size += estimate(m)
		}
		batch = append(batch, more...)
	}
	return batch
}

// extend makes messages invisible for the queue's visibility timeout from now on, if the window has left less of it than the function's timeout: they
// would be visible again, and taken for another call, while the function has them. It returns those that are still the worker's: the others were
// removed in the window, or are another receiver's.
func (p *poller) extend(q *queue.Queue, batch []*queue.Received) []*queue.Received {
	now, seconds := p.o.Queues.Now(), q.VisibilitySeconds()
	if earliest(batch)-now >= p.limits.timeout.Milliseconds() {
		return batch
	}
	changes := make([]queue.Visibility, len(batch))
	for i, m := range batch {
		changes[i] = queue.Visibility{Handle: m.Handle, Seconds: seconds}
	}
	errs, err := q.ChangeVisibility(changes)
	if err != nil {
		p.o.Log.Warn("messages could not be made invisible for longer after a batching window, and may come twice", "mapping", p.def.UUID, "queue", p.def.StreamARN, "error", err)
		return batch
	}
	kept := batch[:0]
	for i, m := range batch {
		if errs[i] == nil {
			m.DueMS = now + int64(seconds)*1000
			kept = append(kept, m)
		}
	}
	return kept
}

// failed is for a queue that gives no messages: after a fault, or while it is being deleted, it is not asked again at once.
func (p *poller) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		p.o.Log.Warn("a queue could not be read", "mapping", p.def.UUID, "queue", p.def.StreamARN, "error", err)
	}
	_ = p.o.Clock.Wait(ctx, time.Second, nil) // the caller looks at ctx
}

// sift parts a batch by the filters.
func (p *poller) sift(batch []*queue.Received) (wanted, unwanted []*queue.Received) {
	for _, m := range batch {
		if p.matches(m) {
			wanted = append(wanted, m)
		} else {
			unwanted = append(unwanted, m)
		}
	}
	return wanted, unwanted
}

// process invokes the function for messages, in as many calls as their size needs, the first after wait, and deletes what was done. What is not
// invisible any more when its call comes is left out: it comes again. After a call of which not all is done, or with some left out, no further call
// is made for a FIFO queue, since what follows in a group may not come before it. When ctx, the worker's, has ended, no further call is made: what
// no call has reached goes back to the queue. So does what the function had no place for in time.
func (p *poller) process(ctx context.Context, q *queue.Queue, wanted []*queue.Received, wait time.Duration) {
	for first := true; len(wanted) > 0; first = false {
		if !first {
			wait = p.turnIn(true)
		}
		if wait > 0 {
			_ = p.o.Clock.Wait(ctx, wait, nil) // ctx is looked at next
		}
		if ctx.Err() != nil {
			p.release(q, wanted)
			return
		}
		if wait > 0 && earliest(wanted) <= p.o.Queues.Now() {
			return // the rest is visible to others again
		}
		payload, n := p.render(wanted)
		done, back := p.call(ctx, q, payload, wanted[:n])
		if back {
			p.release(q, wanted)
			return
		}
		wanted = wanted[n:]
		now, before := p.o.Queues.Now(), len(wanted)
		wanted = slices.DeleteFunc(wanted, func(m *queue.Received) bool { return m.DueMS <= now })
		if q.FIFO() && (!done || len(wanted) < before) {
			return
		}
	}
}

// release gives messages back that no call has reached, as if they had never been received. At the end of the server they are left as they
// are: a call may have been cut off.
func (p *poller) release(q *queue.Queue, messages []*queue.Received) {
	if p.r.m.ctx.Err() != nil {
		return
	}
	if err := q.Release(handles(messages)); err != nil {
		p.o.Log.Warn("messages that no call has reached could not be given back, and come again after their visibility timeout", "mapping", p.def.UUID, "queue", p.def.StreamARN, "error", err)
	}
}

func handles(messages []*queue.Received) []string {
	all := make([]string, len(messages))
	for i, m := range messages {
		all[i] = m.Handle
	}
	return all
}

// earliest is when the first of messages is visible again.
func earliest(batch []*queue.Received) int64 {
	until := batch[0].DueMS
	for _, m := range batch {
		until = min(until, m.DueMS)
	}
	return until
}

// call invokes the function once, and again as long as a call does not reach it and the messages are invisible to others and the
// worker goes on. It reports whether all messages are done, and whether they are to go back to the queue at once: no call has reached the
// function, since the worker has ended or the function had no place for one in time.
func (p *poller) call(worker context.Context, q *queue.Queue, payload []byte, batch []*queue.Received) (all, back bool) {
	until := earliest(batch)
	late := make(chan struct{})
	timer := p.o.Clock.AfterFunc(p.startWithin(until), func() { close(late) })
	defer timer.Stop()
	n := uint64(len(batch))
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		ctx, ended := p.r.m.ctx, (func(lane.Result))(nil)
		if p.o.Trace != nil {
			ctx, ended = p.o.Trace(ctx, p.def.FunctionARN, len(batch), func(i int) string { return batch[i].Message.Trace })
		}
		began, _, _ := p.o.Clock.Instant()
		result := p.o.Invoker.InvokeUnlessLate(ctx, p.def.FunctionARN, payload, late)
		if ended != nil {
			ended(result)
		}
		now, _, _ := p.o.Clock.Instant()
		var times counter.CallTimes
		times.Add(now - began)
		switch result.Outcome {
		case lane.Succeeded:
			done, failed := p.judge(result.Payload, batch)
			d := counter.Mapping{Invocations: 1, Invoked: n, CallTimes: times}
			if failed == 0 {
				p.r.called(mapping.ResultOK, "")
			} else {
				d.PartialFailures, d.FailedInvoke = 1, uint64(failed)
				p.r.called(mapping.ResultFailed, fmt.Sprintf("the function named %d of %d messages as failed, or its answer cannot be read", failed, n))
			}
			p.r.count(d)
			if failed > 0 {
				p.o.Log.Warn("a function has named messages that failed", "mapping", p.def.UUID, "function", p.def.FunctionARN, "messages", failed)
			}
			p.delete(q, done)
			return failed == 0, false
		case lane.FunctionError:
			p.r.called(mapping.ResultFailed, result.Error)
			p.r.count(counter.Mapping{Invocations: 1, Invoked: n, Errors: 1, FailedInvoke: n, CallTimes: times})
			p.o.Log.Warn("a function has failed for messages of a queue", "mapping", p.def.UUID, "function", p.def.FunctionARN, "messages", len(batch), "error", result.Error)
			return false, false
		}
		p.r.called(mapping.ResultFailed, result.Error)
		p.r.count(counter.Mapping{NotDelivered: 1})
		if closed(late) {
			p.o.Log.Warn("messages of a queue waited for a place in the function until it was too late, and go back", "mapping", p.def.UUID, "function", p.def.FunctionARN, "messages", len(batch))
			return false, true
		}
		wait := max(backoff, result.RetryAfter, p.turnIn(true))
		if p.o.Queues.Now()+wait.Milliseconds() >= until || p.o.Clock.Wait(worker, wait, late) != nil || worker.Err() != nil { // both may have come
			p.o.Log.Warn("messages of a queue did not reach the function, and come again", "mapping", p.def.UUID, "function", p.def.FunctionARN, "messages", len(batch), "error", result.Error)
			return false, worker.Err() != nil
		}
		if closed(late) { // a call from here on might still run when the messages are visible again
			p.o.Log.Warn("messages of a queue did not reach the function until it was too late, and come again", "mapping", p.def.UUID, "function", p.def.FunctionARN, "messages", len(batch), "error", result.Error)
			return false, false
		}
	}
}

// startWithin is how long a call may wait until the function begins with messages that are visible again at until: so long that the
// function's whole timeout is left, or half of the time when there is not that much. Otherwise they would be received again while it runs.
func (p *poller) startWithin(until int64) time.Duration {
	left := time.Duration(until-p.o.Queues.Now()) * time.Millisecond
	keep := left / 2
	if p.limits.timeout > 0 {
		keep = min(keep, p.limits.timeout)
	}
	return max(left-keep, firstBackoff)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// judge tells which messages a function that has succeeded was done with, and how many failed.
func (p *poller) judge(answer []byte, batch []*queue.Received) (done []*queue.Received, failed int) {
	if !p.def.ReportItemFailures {
		return batch, 0
	}
	named, whole := failures(answer)
	if whole {
		return nil, len(batch)
	}
	ids := map[string]bool{}
	for _, m := range batch {
		ids[m.IDText()] = true
	}
	wrong := map[string]bool{}
	for _, id := range named {
		if !ids[id] {
			return nil, len(batch)
		}
		wrong[id] = true
	}
	for _, m := range batch {
		if !wrong[m.IDText()] {
			done = append(done, m)
		}
	}
	return done, len(wrong)
}

// failures reads batchItemFailures; whole: the answer says that everything has failed.
func failures(answer []byte) (ids []string, whole bool) {
	if len(answer) == 0 {
		return nil, false
	}
	var value any
	if json.Unmarshal(answer, &value) != nil {
		return nil, true
	}
	members, ok := value.(map[string]any)
	if !ok || members["batchItemFailures"] == nil {
		return nil, false
	}
	list, ok := members["batchItemFailures"].([]any)
	if !ok {
		return nil, true
	}
	for _, e := range list {
		item, _ := e.(map[string]any)
		id, ok := item["itemIdentifier"].(string)
		if !ok || id == "" {
			return nil, true
		}
		ids = append(ids, id)
	}
	return ids, false
}

func (p *poller) delete(q *queue.Queue, messages []*queue.Received) {
	if len(messages) == 0 {
		return
	}
	errs, err := q.Delete(handles(messages))
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	if err != nil {
		p.o.Log.Warn("messages that a function was done with could not all be deleted, and may come again", "mapping", p.def.UUID, "queue", p.def.StreamARN, "error", err)
	}
}
