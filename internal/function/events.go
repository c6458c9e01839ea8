package function

import (
	"container/list"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/trace"
	"github.com/millstreamdb/millstream/internal/worker"
)

// How Event invocations are tried again. The numbers are AWS's.
const (
	eventRetries    = 2             // MaximumRetryAttempts when nobody set it
	eventMaxAge     = 6 * time.Hour // MaximumEventAgeInSeconds likewise
	eventRetryDelay = time.Minute   // after the first failure; twice that after the second
	eventMaxBackoff = 5 * time.Minute
	// eventTellAge is how long a destination is tried to be told of an end; ours, and as long as queues and topics try.
	eventTellAge = 14 * 24 * time.Hour
)

// tellWidth is how many documents about one function's events are on their way to
// destinations at once.
const tellWidth = 4

// eventQueue holds the Event invocations that were accepted and have not ended. Each has
// its rows on the disk before it is accepted, and they go when it has ended; the memory
// holds a few words of each, and the payloads of those that run.
//
// An event is in one of three states: ready (in a line, in the order of arrival),
// being worked on, or waiting for its timer.
type eventQueue struct {
	s    *Service
	rows eventRows

	workers sync.WaitGroup
	said    seldom

	mu     sync.Mutex // guards what follows
	closed bool
	nextID uint64
	events map[*event]struct{} // all of them
	placed map[string]*event   // those of a SharedEvents, by log and key
	toRun  *eventRoom
	toTell *eventRoom // those that have ended
	lines  map[lineKey]*eventLine
	untold uint64   // ends that were dropped for want of room
	undone []*event // that were not accepted, and may be in SharedEvents all the same
	// holding has all that is ready wait in heldBack, until GoOn.
	holding  bool
	heldBack []*event
}

// event is one invocation. While it is ready or waits, mu of the queue guards it;
// otherwise it belongs to who works on it.
type event struct {
	id   uint64
	head eventHead
	at   place // of a SharedEvents
	// version is that of its row there, as it was stored last; 0: not yet.
	version atomic.Uint64
	// payload and document are nil when they are on the disk only.
	payload, document []byte
	backoff           time.Duration // the next one, of waits that are no retries
	timer             *worker.Timer // nil: it is not waiting
	missing           bool          // it waits for its function to be there
	waits             bool          // it is in a line, or waits for its timer: nobody works on it

	room  *eventRoom // guarded by mu of the queue, as place
	place *list.Element
}

// lineKey names a line: events of one function that are to be invoked, or those that
// have ended and whose destinations have to be told.
type lineKey struct {
	id
	telling bool
}

type eventLine struct {
	ready   []*event
	working int
}

func newEventQueue(s *Service) *eventQueue {
	return &eventQueue{
		s: s, rows: newEventRows(s), placed: map[string]*event{}, toRun: newEventRoom(), toTell: newEventRoom(),
		events: map[*event]struct{}{}, lines: map[lineKey]*eventLine{}, holding: s.opts.HoldEvents,
	}
}

// InvokeEvent accepts an invocation of type Event and returns its request id. On
// return the event is durable: it will be tried, also after a restart, until it has
// succeeded or its function's settings for events (EventConfig) say that it has failed.
func (s *Service) InvokeEvent(scope schema.Scope, inv Invocation) (requestID string, err error) {
	return s.InvokeEventWith(scope, inv, nil)
}

// InvokeEventWith is InvokeEvent for who has something to store in the same batch; also, unless nil, puts it there.
func (s *Service) InvokeEventWith(scope schema.Scope, inv Invocation, also func(*store.Batch)) (requestID string, err error) {
	f, _, err := s.resolveLatest(scope, inv.Name, inv.Qualifier)
	if err != nil {
		return "", err
	}
	if also != nil && s.rows.shared != nil { // what tells so is not there at a node
		return "", s.refuseShared("An invocation with something to store is not supported")
	}
	if err := inv.check(MaxEventPayload); err != nil {
		return "", err
	}
	if err := s.rows.admit(false); err != nil {
		return "", err
	}
	name, _ := arn.ParseFunction(inv.Name) // it was resolved
	e := &event{payload: inv.Payload, head: eventHead{
		Scope: scope, Name: name.Name, Qualifier: name.Qualifier, RequestID: inv.RequestID,
		AcceptedMS: s.opts.Clock.Stamp(), Size: len(inv.Payload), Trace: trace.Parse(inv.TraceID).Header(),
	}}
	if e.head.Qualifier == "" {
		e.head.Qualifier = inv.Qualifier
	}
	if err := s.events.accept(e, also); err != nil {
		if errors.Is(err, errFull) {
			// Room is made as fast as the function's calls end.
			err = awserr.LambdaThrottled(awserr.ThrottleRate, s.turn(f.live))
		}
		return "", err
	}
	return inv.RequestID, nil
}

// open brings the events of an earlier run back.
func (q *eventQueue) open() error {
	found, err := q.rows.all()
	if err != nil {
		return err
	}
	for _, e := range found {
		q.nextID = max(q.nextID, e.id+1)
		q.hold(e)
	}
	if q.holding {
		q.heldBack = found
		return nil
	}
	for _, e := range found {
		q.begin(e)
	}
	return nil
}

// GoOn ends HoldEvents: what was accepted begins.
func (s *Service) GoOn() {
	q := s.events
	q.mu.Lock()
	q.holding = false
	found := q.heldBack
	q.heldBack = nil
	q.mu.Unlock()
	for _, e := range found {
		q.begin(e)
	}
}

// begin has an event of before go on.
func (q *eventQueue) begin(e *event) {
	// A clock that was set back must not make an event wait for longer than ever.
	wait := min(time.UnixMilli(e.head.DueMS).Sub(q.s.opts.Clock.Wall()), q.longestWait())
	if e.head.DueMS == 0 || wait <= 0 {
		q.ready(e)
	} else {
		q.later(e, wait)
	}
}

func (q *eventQueue) longestWait() time.Duration {
	return max(eventMaxBackoff, eventRetries*eventRetryDelay)
}

func (q *eventQueue) accept(e *event, also func(*store.Batch)) error {
	q.mu.Lock()
	if q.closed || !q.toRun.fits(e.of(), e.head.Size) {
		q.mu.Unlock()
		return errFull
	}
	e.id = q.nextID
	q.nextID++
	if q.rows.shared != nil { // it is known before it is stored, so that nobody here takes it over
		e.at = place{log: q.rows.shared.Log(), key: fmt.Sprintf("%020d", e.id)}
	}
	q.hold(e)
	q.mu.Unlock()
	// The clock of a test waits for the event from here on.
	q.s.opts.Clock.Begin()
	defer q.s.opts.Clock.End()
	if err := q.rows.add(e, also); err != nil {
		if q.rows.shared == nil || e.at.log == "" {
			q.forget(e)
		} else {
			q.undo(e)
		}
		return err
	}
	q.ready(e)
	return nil
}

// forget drops an event from memory.
func (q *eventQueue) forget(e *event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forgetLocked(e)
}

func (q *eventQueue) forgetLocked(e *event) {
	if _, there := q.events[e]; there {
		delete(q.events, e)
		if q.placed[e.at.name()] == e {
			delete(q.placed, e.at.name())
		}
		e.room.leave(e)
	}
}

// hold counts an event. The caller holds mu, or is alone.
func (q *eventQueue) hold(e *event) {
	q.events[e] = struct{}{}
	if e.at.log != "" {
		q.placed[e.at.name()] = e
	}
	if e.line().telling {
		q.toTell.enter(e)
	} else {
		q.toRun.enter(e)
	}
}

// held is how many events the queue has, and how many ends were dropped.
func (q *eventQueue) held() (events int, untold uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events), q.untold
}

// close returns when nobody works on an event any more. The service's context has
// ended. Events stay on the disk.
func (q *eventQueue) close() {
	q.mu.Lock()
	q.closed = true
	for e := range q.events {
		if e.timer != nil {
			e.timer.Stop()
		}
	}
	q.mu.Unlock()
	q.workers.Wait()
}

// of is the function of an event.
func (e *event) of() id { return id{e.head.Scope, e.head.Name} }

func (e *event) line() lineKey { return lineKey{e.of(), len(e.head.Tell) > 0} }

// ready puts an event into its line.
func (q *eventQueue) ready(e *event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.readyLocked(e)
}

func (q *eventQueue) readyLocked(e *event) {
	if q.closed {
		return
	}
	if q.holding {
		if q.rows.durable() {
			e.payload, e.document = nil, nil
		}
		q.heldBack = append(q.heldBack, e)
		return
	}
	e.timer, e.missing, e.waits = nil, false, false
	q.s.opts.Clock.Begin() // until it was worked on
	k := e.line()
	l := q.lines[k]
	if l == nil {
		l = &eventLine{}
		q.lines[k] = l
	}
	if l.working < q.width(k) {
		l.working++
		q.workers.Go(func() { q.work(k, l, e) })
		return
	}
	if q.rows.durable() {
		e.payload, e.document = nil, nil
	}
	e.waits = true
	l.ready = append(l.ready, e)
}

// width is how many of a line may be worked on at once.
func (q *eventQueue) width(k lineKey) int {
	if k.telling {
		return tellWidth
	}
	if f := q.s.lookup(k.scope, k.name); f != nil {
		return max(1, q.s.limitOf(f.def.Load()))
	}
	return 1
}

// work deals with e and then with what is ready in its line.
func (q *eventQueue) work(k lineKey, l *eventLine, e *event) {
	for e != nil {
		if k.telling {
			q.tell(e)
		} else {
			q.attempt(e)
		}
		q.s.opts.Clock.End()
		e = q.next(k, l)
	}
}

// next takes the first of a line; nil ends the worker that asks.
func (q *eventQueue) next(k lineKey, l *eventLine) *event {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(l.ready) == 0 || l.working > q.width(k) {
		if l.working--; l.working == 0 && len(l.ready) == 0 {
			delete(q.lines, k)
		}
		return nil
	}
	return l.pop()
}

func (l *eventLine) pop() *event {
	e := l.ready[0]
	l.ready[0] = nil
	l.ready = l.ready[1:]
	e.waits = false
	return e
}

// later puts an event into its line after a while.
func (q *eventQueue) later(e *event, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.laterLocked(e, wait)
}

func (q *eventQueue) laterLocked(e *event, wait time.Duration) {
	if q.closed {
		return
	}
	if q.rows.durable() {
		e.payload, e.document = nil, nil
	}
	e.waits = true
	e.timer = q.s.opts.Clock.AfterFunc(wait, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if e.timer != nil { // otherwise functionChanged was first
			q.readyLocked(e)
		}
	})
}

// takeOut takes an event from where it waits. It reports false when it is being worked on. The caller holds mu.
func (q *eventQueue) takeOut(e *event) bool {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil // should it have fired already
		return true
	}
	if l := q.lines[e.line()]; e.waits && l != nil && l.remove(e) {
		q.s.opts.Clock.End() // it will not be worked on
		return true
	}
	return false
}

// remove takes an event out of a line, from wherever in it.
func (l *eventLine) remove(e *event) bool {
	i := slices.Index(l.ready, e)
	if i >= 0 {
		l.ready = slices.Delete(l.ready, i, i+1)
	}
	return i >= 0
}

// functionChanged has the events that wait for a function to be there look again, and
// uses room that there may be now.
func (q *eventQueue) functionChanged(scope schema.Scope, name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := range q.events {
		if e.missing && e.timer != nil && e.head.Scope == scope && e.head.Name == name {
			e.timer.Stop()
			q.readyLocked(e)
		}
	}
	k := lineKey{id{scope, name}, false}
	if l := q.lines[k]; l != nil && !q.closed {
		for l.working < q.width(k) && len(l.ready) > 0 {
			l.working++
			e := l.pop()
			q.workers.Go(func() { q.work(k, l, e) })
		}
	}
}

// attempt invokes the function once and decides what follows.
func (q *eventQueue) attempt(e *event) {
	s := q.s
	target, arn, err := s.resolveLatest(e.head.Scope, e.head.Name, e.head.Qualifier)
	config := EventConfig{}
	if err == nil {
		config = target.def.Load().eventConfig(e.head.Qualifier)
	}
	if q.left(e, config) <= 0 {
		q.end(e, config, ending{condition: conditionAge})
		return
	}
	if err != nil {
		q.backOff(e, config, 0, err)
		return
	}
	payload := e.payload
	if payload == nil {
		if payload, err = q.rows.payload(e); errors.Is(err, errTaken) || err != nil && s.ctx.Err() != nil {
			q.stuck(e, err)
			return
		} else if err != nil {
			// It stays where it is: a damaged disk is no reason to forget an event.
			s.opts.Logger.Error("an Event invocation cannot be read and waits for the next start", "function", arn, "requestId", e.head.RequestID, "error", err)
			return
		}
	}
	out, err := s.call(s.ctx, target.pick(), arn, &Invocation{Payload: payload, RequestID: e.head.RequestID, TraceID: e.head.Trace, Trusted: true}, true)
	switch {
	case err == nil && out.FunctionError == "":
		e.payload = payload
		q.end(e, config, ending{condition: conditionSuccess, outcome: &out})
	case err == nil:
		e.payload = payload
		q.failed(e, config, &out)
	case s.ctx.Err() != nil: // the server is ending: the next one goes on
	case stopped(target.live):
		e.payload = payload
		q.end(e, config, ending{condition: conditionZero})
	default:
		q.backOff(e, config, out.RetryAfter, err)
	}
}

func stopped(f *live) bool {
	d := f.def.Load()
	return d.Reserved != nil && *d.Reserved == 0
}

// deadline is when an event is too old to be tried.
func (e *event) deadline(c EventConfig) time.Time {
	return time.UnixMilli(e.head.AcceptedMS).Add(c.maxAge())
}

// left is how long an event may still be tried. While the clock is doubted, it does not get less than
// what a wait needs: no event is given up by it.
func (q *eventQueue) left(e *event, c EventConfig) time.Duration {
	now, ageing := q.s.opts.Clock.Now()
	if !ageing {
		return eventMaxAge
	}
	return e.deadline(c).Sub(now)
}

// failed counts an error of the function.
func (q *eventQueue) failed(e *event, config EventConfig, out *Outcome) {
	e.head.Failures++
	e.backoff = 0
	delay := time.Duration(e.head.Failures) * eventRetryDelay
	switch {
	case e.head.Failures > config.retries():
		q.end(e, config, ending{condition: conditionRetries, outcome: out})
	case delay >= q.left(e, config):
		q.end(e, config, ending{condition: conditionAge, outcome: out})
	default:
		e.head.DueMS = q.s.opts.Clock.Wall().Add(delay).UnixMilli()
		if err := q.rows.update(e); err != nil {
			q.stuck(e, err)
			return
		}
		q.later(e, delay)
	}
}

// backOff has an event wait that its function cannot have seen. Such waits are not
// counted, and known in memory only.
func (q *eventQueue) backOff(e *event, config EventConfig, asked time.Duration, cause error) {
	e.backoff = min(max(2*e.backoff, time.Second), eventMaxBackoff)
	wait := max(e.backoff, asked)
	left := q.left(e, config)
	q.s.opts.Logger.Debug("an Event invocation waits", "function", e.head.Name, "requestId", e.head.RequestID, "wait", wait, "error", cause)
	q.mu.Lock()
	defer q.mu.Unlock()
	e.missing = IsNotFound(cause)
	q.laterLocked(e, min(wait, left))
}

// stuck is for a store that has failed: nothing more can be said of an event, and the
// server ends. The next one finds the event as it was last stored.
func (q *eventQueue) stuck(e *event, err error) {
	if errors.Is(err, errTaken) { // this node was silent for too long, or another has ended it
		q.forget(e)
		return
	}
	if q.rows.shared != nil && q.s.ctx.Err() != nil { // another node goes on
		return
	}
	q.s.opts.Logger.Error("the state of an Event invocation could not be stored", "function", e.head.Name, "requestId", e.head.RequestID, "error", err)
}
