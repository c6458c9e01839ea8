package trigger

import (
	"context"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/worker"
)

// machine is a pure state machine: a lane.Machine or a lane.Aside.
type machine interface {
	Step(now lane.Instant, ev lane.Event, actions []lane.Action) []lane.Action
	Heed() uint64
}

// driver runs one machine of a mapping. It has a goroutine only while there are events
// to handle: whoever posts an event to a driver at rest starts it. What is read is read
// by that goroutine; invocations have one each, so a slow read or a
// function that hangs holds up nobody else.
//
// What was posted before a read ended is handled before its answer. So a change of the mapping
// that has been answered counts for every record that is written after it.
type driver struct {
	e     *Engine
	m     *running
	epoch uint64 // of the mapping, when the machine was made
	// commit stores what the machine has to store, and held is the claim by which it runs; nil: for ever.
	commit *committer
	held   *held
	owner  owner
	aside  *asideWork // the mapping's, of the same epoch

	// mu guards the machine; it is held over a step, never over a read, an
	// invocation or a commit.
	mu      sync.Mutex
	machine machine
	timer   *worker.Timer // made once; guarded by mu

	// qmu guards the queue; it is never held over anything that takes time.
	qmu     sync.Mutex
	queue   []lane.Event
	seen    lane.Wake // the newest
	unheard bool      // the machine has not been told of it
	heed    uint64    // the machine's, when the driver came to rest
	atWork  bool
}

// owner is what has a driver: the work on a shard, or on what is set aside.
type owner interface {
	// act does what only this kind of machine asks for. The answer of a read comes back at once.
	act(lane.Action) lane.Event
	stager
}

// post tells the machine of an event, soon.
func (d *driver) post(ev lane.Event) {
	if d.enqueue(ev) {
		d.start()
	}
}

// finish is post for a goroutine that has nothing else to do: it handles the
// event itself when the driver is at rest.
func (d *driver) finish(ev lane.Event) {
	if d.enqueue(ev) {
		d.run()
	}
}

// enqueue reports whether the caller is to run the driver.
func (d *driver) enqueue(ev lane.Event) bool {
	d.qmu.Lock()
	defer d.qmu.Unlock()
	d.queue = append(d.queue, ev)
	if _, ok := ev.(lane.Start); ok {
		d.seen, d.unheard, d.heed = lane.Wake{}, false, 0 // the machine wants to be told the head again
	}
	return d.claim()
}

// wake tells the shard's head. Only the newest matters, so wakes do not queue; one that the machine need not heed waits
// for its next event.
func (d *driver) wake(w lane.Wake) {
	d.qmu.Lock()
	start := false
	if w != d.seen && !w.Head.Less(d.seen.Head) {
		d.seen, d.unheard = w, true
		start = (w.Closed || w.Records >= d.heed) && d.claim()
	}
	d.qmu.Unlock()
	if start {
		d.start()
	}
}

// wakeClosed tells that the shard has got no further and is closed.
func (d *driver) wakeClosed() {
	d.qmu.Lock()
	w := d.seen
	d.qmu.Unlock()
	w.Closed = true
	d.wake(w)
}

// claim is called with qmu held. It reports whether the driver was at rest; now it is at work.
func (d *driver) claim() bool {
	rested := !d.atWork
	d.atWork = true
	return rested
}

func (d *driver) start() {
	if !d.e.spawn(d.runAlone) {
		d.qmu.Lock()
		d.atWork = false
		d.qmu.Unlock()
	}
}

// take returns the events that wait, and then the answers of reads that have just ended. It keeps the room of
// answers for the queue. When there are none the driver is at rest. heed is the machine's.
func (d *driver) take(answers []lane.Event, heed uint64) []lane.Event {
	d.qmu.Lock()
	events := append(d.queue, answers...)
	clear(answers)
	d.queue, d.heed = answers[:0], heed
	if d.unheard && (len(events) > 0 || d.seen.Closed || d.seen.Records >= heed) {
		events = append(events, d.seen)
		if _, ok := events[0].(lane.Timer); ok && len(events) == 2 {
			events[0], events[1] = events[1], events[0] // what has come goes with what the timer is for
		}
		d.unheard = false
	}
	d.atWork = len(events) > 0
	d.qmu.Unlock()
	return events
}

// runAlone is run in a new goroutine.
func (d *driver) runAlone() {
	growStack()
	d.run()
}

// run handles events until there are none.
func (d *driver) run() {
	var events []lane.Event
	var actions []lane.Action
	var heed uint64
	for {
		if events = d.take(events, heed); len(events) == 0 {
			if d.held != nil {
				d.e.progress.notify() // who lets go of the claim waits for drivers at rest
			}
			return
		}
		d.mu.Lock()
		for _, ev := range events {
			n := len(actions)
			actions = d.machine.Step(d.e.instant(), ev, actions)
			d.m.noteResult(ev, actions[n:])
		}
		heed = d.machine.Heed()
		d.mu.Unlock()
		clear(events)
		events = events[:0]
		for _, a := range actions {
			if ev := d.act(a); ev != nil {
				events = append(events, ev)
			}
		}
		clear(actions)
		actions = actions[:0]
		d.e.progress.notify()
	}
}

// act does what a machine asks for.
func (d *driver) act(a lane.Action) lane.Event {
	switch a := a.(type) {
	case lane.Invoke:
		d.m.invoke(a, d)
	case lane.Transact:
		d.transact(a)
	case lane.Deliver:
		d.deliver(a)
	case lane.CallFailed:
		d.m.callFailed(a)
	case lane.PutAside:
		d.m.logPutAside(a)
	case lane.SetTimer:
		d.setTimer(a.At)
	default:
		return d.owner.act(a)
	}
	return nil
}

// context ends with the engine, and with the claim.
func (d *driver) context() context.Context {
	if d.held != nil {
		return d.held.ctx
	}
	return d.e.ctx
}

// rests reports whether there is nothing to handle.
func (d *driver) rests() bool {
	d.qmu.Lock()
	defer d.qmu.Unlock()
	return !d.atWork
}

func (d *driver) setTimer(at time.Duration) {
	wait := max(at-d.e.clock.instant().Mono, 0)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil {
		d.timer = d.e.clock.AfterFunc(wait, func() { d.post(lane.Timer{}) })
		return
	}
	d.timer.Reset(wait)
}

func (d *driver) stopTimer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}
