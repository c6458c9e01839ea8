package process

import (
	"context"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
)

// settleGrace is how long a call waits for an environment that has answered but
// not yet asked for more, before another process is started for it. Without it
// a caller that is quicker than the function's loop would start a second process.
const settleGrace = 100 * time.Millisecond

// Pool is the runner of one revision of a function.
//
// Every environment of envs is in one of these states: starting (its process has
// not asked for work yet), idle (its /next waits, and it is on the idle stack),
// busy, settling (answered, or it hung up; its next /next is awaited) or ending.
// Calls wait in arrival order. Whenever a call waits, as many environments
// are starting or settling as calls wait, or the limit is reached, or the grace
// timer runs.
type Pool struct {
	host *Host
	spec runner.Spec
	log  *logs.Log

	mu      sync.Mutex // guards what follows; taken before an environment's own
	limit   int
	envs    map[*environment]struct{}
	idle    []*environment // the last used on top, so that the others can end
	waiting []*invocation
	starts  int // environments in state starting
	settles int // environments in state settling
	grace   *time.Timer
	reaper  *time.Timer // stops environments that idle too long
	closed  bool
	gone    sync.WaitGroup // one for each environment
}

var _ runner.Runner = (*Pool)(nil)

// invocation is one call on its way.
type invocation struct {
	runner.Call
	result            chan runner.Result // one slot: whoever ends the call never blocks
	done              func()
	started, deadline time.Time // set when handed over

	status  string        // how it ended, for its REPORT; set when it was answered
	outcome runner.Result // what the process answered, until it is given to the caller
}

func (inv *invocation) end(r runner.Result) {
	inv.result <- r
	if inv.done != nil {
		inv.done()
	}
}

// Invoke implements runner.Runner.
func (p *Pool) Invoke(ctx context.Context, c runner.Call, done func()) runner.Result {
	inv := &invocation{Call: c, result: make(chan runner.Result, 1), done: done}
	if c.Stream != nil {
		g := &gate{to: c.Stream}
		inv.Stream = g
		defer g.close()
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		refuse([]*invocation{inv})
		return <-inv.result
	}
	if n := len(p.idle); n > 0 {
		e := p.idle[n-1]
		p.idle = p.idle[:n-1]
		e.pooled = busy
		e.assigned <- inv
	} else {
		p.waiting = append(p.waiting, inv)
		p.grow()
	}
	p.mu.Unlock()

	select {
	case r := <-inv.result:
		return r
	case <-c.Late:
		if p.withdraw(inv) {
			inv.end(runner.Result{Status: runner.NotDelivered, Throttled: true, Err: "no process was ready in time"})
			return <-inv.result
		}
		select { // a process has it: it is not late any more
		case r := <-inv.result:
			return r
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	if p.withdraw(inv) {
		inv.end(runner.Result{Status: runner.NotDelivered, Err: ctx.Err().Error()})
		return <-inv.result
	}
	select { // it may have ended in the meantime
	case r := <-inv.result:
		return r
	default:
		return runner.Result{Status: runner.Unknown, Err: ctx.Err().Error()}
	}
}

// withdraw takes back a call that no environment has yet.
func (p *Pool) withdraw(inv *invocation) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.waiting {
		if w == inv {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// grow starts environments for calls that wait: at least one whatever the limit,
// for calls that were let in before it was lowered to 0. mu is held.
func (p *Pool) grow() {
	if p.closed {
		return
	}
	for p.starts+p.settles < len(p.waiting) && len(p.envs) < max(p.limit, 1) {
		p.start(false)
	}
	if p.settles > 0 && p.starts < len(p.waiting) && len(p.envs) < max(p.limit, 1) && p.grace == nil {
		p.grace = time.AfterFunc(settleGrace, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.grace = nil
			for !p.closed && p.starts < len(p.waiting) && len(p.envs) < max(p.limit, 1) {
				p.start(false)
			}
		})
	}
}

// start makes one environment. suppressed says that its init repeats one that
// overran, inside the time of the call. mu is held.
func (p *Pool) start(suppressed bool) {
	e := newEnvironment(p, suppressed)
	p.envs[e] = struct{}{}
	p.starts++
	p.gone.Add(1)
	go e.run()
}

// ready is called by an environment whose process asks for work. It returns the
// call to hand over, or puts the environment on the idle stack and returns nil.
// ok is false when the environment is to end.
func (p *Pool) ready(e *environment) (inv *invocation, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave(e)
	if p.closed || len(p.envs) > max(p.limit, 1) {
		return nil, false
	}
	if len(p.waiting) > 0 {
		inv = p.waiting[0]
		p.waiting = append(p.waiting[:0], p.waiting[1:]...)
		p.enter(e, busy)
		return inv, true
	}
	p.enter(e, idle)
	e.idleSince = p.host.opts.Now()
	p.idle = append(p.idle, e)
	if p.reaper == nil {
		p.reaper = time.AfterFunc(p.host.opts.IdleTimeout, p.reap)
	}
	return nil, true
}

// enter and leave keep the counts of states. mu is held.
func (p *Pool) enter(e *environment, s state) {
	e.pooled = s
	switch s {
	case starting:
		p.starts++
	case settling:
		p.settles++
	}
}

func (p *Pool) leave(e *environment) {
	switch e.pooled {
	case starting:
		p.starts--
	case settling:
		p.settles--
	}
	e.pooled = busy
}

// settling is called when an environment has ended its call and is expected to
// ask for the next.
func (p *Pool) settling(e *environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.pooled == busy {
		p.enter(e, settling)
	}
}

// hungUp is called when an idle environment's /next was given up by the process.
// A call that was being handed over goes back to the front of the queue.
func (p *Pool) hungUp(e *environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.idle {
		if other == e {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			p.enter(e, settling)
			return
		}
	}
	select {
	case inv := <-e.assigned:
		p.waiting = append([]*invocation{inv}, p.waiting...)
	default:
	}
	if e.pooled == idle || e.pooled == busy {
		p.enter(e, settling)
	}
	p.grow()
}

// requeue takes back a call that was handed over to an environment which has
// ended.
func (p *Pool) requeue(inv *invocation) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		refuse([]*invocation{inv})
		return
	}
	p.waiting = append([]*invocation{inv}, p.waiting...)
	p.grow()
	p.mu.Unlock()
}

// failed is called when an environment ended before it asked for work. The call
// that has waited longest gets the result that make returns for it.
func (p *Pool) failed(make func(*invocation) runner.Result) {
	p.mu.Lock()
	var inv *invocation
	if len(p.waiting) > 0 {
		inv = p.waiting[0]
		p.waiting = append(p.waiting[:0], p.waiting[1:]...)
	}
	p.mu.Unlock()
	if inv != nil {
		inv.end(make(inv))
	}
}

// restart replaces an environment whose init overran, if a call still waits.
func (p *Pool) restart(e *environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave(e)
	if !p.closed && len(p.waiting) > p.starts+p.settles {
		p.start(true)
	}
}

// remove forgets an environment that has ended.
func (p *Pool) remove(e *environment) {
	p.mu.Lock()
	p.leave(e)
	delete(p.envs, e)
	for i, other := range p.idle {
		if other == e {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	select {
	case inv := <-e.assigned: // handed over, but its process never got it
		p.waiting = append([]*invocation{inv}, p.waiting...)
	default:
	}
	var orphans []*invocation
	if p.closed {
		orphans, p.waiting = p.waiting, nil
	}
	p.grow()
	p.mu.Unlock()
	refuse(orphans)
	p.gone.Done()
}

// refuse ends calls that this pool will not run; its successor may.
func refuse(calls []*invocation) {
	for _, inv := range calls {
		inv.end(runner.Result{Status: runner.NotDelivered, Replaced: true, Err: "the function was changed or removed"})
	}
}

// reap stops environments that have idled too long and plans its next run.
func (p *Pool) reap() {
	p.mu.Lock()
	now := p.host.opts.Now()
	var stop []*environment
	for len(p.idle) > 0 && now.Sub(p.idle[0].idleSince) >= p.host.opts.IdleTimeout {
		stop = append(stop, p.idle[0])
		p.idle = p.idle[1:]
	}
	p.reaper = nil
	if len(p.idle) > 0 {
		p.reaper = time.AfterFunc(max(time.Millisecond, p.host.opts.IdleTimeout-now.Sub(p.idle[0].idleSince)), p.reap)
	}
	p.mu.Unlock()
	for _, e := range stop {
		e.end(spindown)
	}
}

// SetLimit implements runner.Runner. Environments beyond a lower limit end when
// they next ask for work.
func (p *Pool) SetLimit(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = n
	p.grow()
}

// Close implements runner.Runner.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	stop := p.idle
	p.idle = nil
	for e := range p.envs {
		if e.pooled == starting || e.pooled == settling {
			stop = append(stop, e)
		}
	}
	calls := p.waiting
	p.waiting = nil
	p.stopTimers()
	p.mu.Unlock()
	for _, e := range stop {
		e.end(spindown)
	}
	refuse(calls)
	p.gone.Wait()
}

// Kill implements runner.Runner.
func (p *Pool) Kill() {
	p.mu.Lock()
	p.closed = true
	envs := make([]*environment, 0, len(p.envs))
	for e := range p.envs {
		envs = append(envs, e)
	}
	calls := p.waiting
	p.waiting = nil
	p.stopTimers()
	p.mu.Unlock()
	for _, e := range envs {
		e.end(spindown)
	}
	refuse(calls)
	p.gone.Wait()
}

func (p *Pool) stopTimers() {
	if p.grace != nil {
		p.grace.Stop()
	}
	if p.reaper != nil {
		p.reaper.Stop()
	}
}

// Environments returns how many processes there are, and how many of them idle.
func (p *Pool) Environments() (all, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.envs), len(p.idle)
}
