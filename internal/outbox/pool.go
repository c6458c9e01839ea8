package outbox

import (
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

// How many deliveries are made at once: of one source that are not ordered, to receivers of this server, to others, and to others that take
// long. A delivery is in memory only while it is made, so these also bound what that takes.
const (
	sourceWidth = 4
	ownWidth    = 16
	farWidth    = 64
	slowWidth   = 128
)

// slowAfter is how long a receiver may take until others no longer wait for it.
const slowAfter = time.Second

// fullPause is the time before deliveries for which the disk had no room are made again.
const fullPause = time.Second

// pool makes deliveries of the lines that wait for their turn, one of each, so that none is held up by how much another has.
type pool struct {
	width, busy int     // workers
	turn        []*line // each once
	pause       *worker.Timer
	paused      bool // the disk is nearly full
}

// way is what a line is of: a source's deliveries to this server, or to others.
type way struct {
	source string
	far    bool
}

// line is the deliveries of a way that are ready. An ordered one whose next attempt is not due stays first, and none is made meanwhile.
type line struct {
	way     way
	ready   []*owed
	working int
	waiting bool
	listed  bool // it is in a pool's turn
	rests   bool // the next may not begin yet, by PerSecond
}

func (b *Outbox) line(e *owed) *line {
	w := way{e.source, e.far}
	l := b.lines[w]
	if l == nil {
		l = &line{way: w}
		b.lines[w] = l
	}
	return l
}

// ready puts a delivery into its line. The caller holds mu.
func (b *Outbox) ready(e *owed) {
	if b.closed {
		return
	}
	e.timer = nil
	l := b.line(e)
	if e.ordered && l.waiting && l.ready[0] == e {
		l.waiting = false
	} else {
		l.ready = append(l.ready, e)
	}
	b.list(l)
}

// isSlow says whether a line's receiver took long when it was last asked. The caller holds mu.
func (b *Outbox) isSlow(l *line) bool {
	of := b.shares[l.way.source]
	return l.way.far && of != nil && of.slow
}

func (b *Outbox) poolOf(l *line) *pool {
	switch {
	case !l.way.far:
		return &b.own
	case b.isSlow(l):
		return &b.slow
	}
	return &b.far
}

// list has a line wait for its turn, if one more of its deliveries may be made now. The caller holds mu.
func (b *Outbox) list(l *line) {
	if l.listed || l.waiting || l.rests || len(l.ready) == 0 {
		return
	}
	width := sourceWidth
	if l.ready[0].ordered || b.isSlow(l) {
		width = 1
	}
	if l.working >= width {
		return
	}
	l.listed = true
	p := b.poolOf(l)
	p.turn = append(p.turn, l)
	b.work(p)
}

// work has one more worker for a pool, when there may be one. The caller holds mu. A manual clock does not move while there are any, and each
// goes on until no line waits.
func (b *Outbox) work(p *pool) {
	if len(p.turn) > 0 && p.busy < p.width && !p.paused && !b.closed {
		p.busy++
		b.active++
		b.o.Clock.Begin()
		b.workers.Go(func() { b.run(p) })
	}
}

// next is the delivery whose turn it is; nil: there is none. The caller holds mu.
func (b *Outbox) next(p *pool) (*line, *owed) {
	for len(p.turn) > 0 && !p.paused && !b.closed && p.busy <= p.width {
		l := p.turn[0]
		p.turn[0] = nil
		p.turn = p.turn[1:]
		l.listed = false
		if b.poolOf(l) != p || len(l.ready) == 0 || l.waiting || l.rests { // it has become slow or quick meanwhile
			b.list(l)
			continue
		}
		e := l.ready[0]
		l.ready[0] = nil
		l.ready = l.ready[1:]
		l.working++
		if e.every > 0 {
			b.space(l, e.every)
		}
		b.list(l)
		return l, e
	}
	return nil, nil
}

// run is a worker: it makes deliveries until no line waits.
func (b *Outbox) run(p *pool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		l, e := b.next(p)
		if e == nil {
			b.rest(p)
			return
		}
		var lent *lent
		if e.far {
			lent = b.lend(p, e)
		}
		b.mu.Unlock()
		then, wait := b.make(e)
		b.mu.Lock()
		if lent != nil {
			p = lent.end(b, then != unsent)
		}
		b.after(p, l, e, then, wait)
		l.working--
		b.leave(l)
	}
}

// leave goes on with a line, or forgets it when there is nothing of it. The caller holds mu.
func (b *Outbox) leave(l *line) {
	if l.working == 0 && len(l.ready) == 0 && !l.listed && !l.rests {
		delete(b.lines, l.way)
	} else {
		b.list(l)
	}
}

// space has no delivery of a line begin for a while. The caller holds mu.
func (b *Outbox) space(l *line, pause time.Duration) {
	l.rests = true
	b.o.Clock.AfterFunc(pause, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if l.rests = false; !b.closed {
			b.leave(l)
		}
	})
}

// after does with a delivery what an attempt has left to do. The caller holds mu.
func (b *Outbox) after(p *pool, l *line, e *owed, then outcome, wait time.Duration) {
	front := func() {
		if to := b.line(e); to != l { // it goes to the dead-letter queue now
			to.ready = append(to.ready, e)
		} else {
			l.ready = append([]*owed{e}, l.ready...)
		}
	}
	switch then {
	case unsent:
		front()
		b.stop(p)
	case again:
		switch {
		case wait > 0 && e.ordered:
			front()
			l.waiting = true
			b.later(e, wait)
		case wait > 0:
			b.later(e, wait)
		default:
			front()
			b.list(b.line(e))
		}
	}
}

// stop has a pool wait for room on the disk. The caller holds mu.
func (b *Outbox) stop(p *pool) {
	if p.paused || b.closed {
		return
	}
	p.paused = true
	p.pause = b.o.Clock.AfterFunc(fullPause, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		p.paused = false
		for range p.turn {
			b.work(p)
		}
	})
}

// rest ends a worker. The caller holds mu.
func (b *Outbox) rest(p *pool) {
	p.busy--
	b.o.Clock.End()
	if b.active--; b.active == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
	}
}

// lent is the place of a delivery to another server: when that takes long the place is another's, and the delivery has one among the slow ones, if
// there is one.
type lent struct {
	p     *pool
	e     *owed
	slow  bool
	ended bool
	timer *time.Timer // of the machine: a manual clock stands still while anything is made
}

// lend notes a place. The caller holds mu.
func (b *Outbox) lend(p *pool, e *owed) *lent {
	x := &lent{p: p, e: e}
	x.timer = time.AfterFunc(slowAfter, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if x.ended {
			return
		}
		x.slow = true
		if of := b.shares[e.source]; of != nil {
			of.slow = true
		}
		if x.p == &b.far && b.slow.busy < b.slow.width {
			x.p = &b.slow
			b.far.busy--
			b.slow.busy++
			b.work(&b.far)
		}
	})
	return x
}

// end is the pool to which the worker belongs now. The caller holds mu.
func (x *lent) end(b *Outbox, asked bool) *pool {
	x.ended = true
	x.timer.Stop()
	if of := b.shares[x.e.source]; of != nil && asked {
		of.slow = x.slow
	}
	return x.p
}
