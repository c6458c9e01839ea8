package worker

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// manual is a clock that stands still until Advance moves it. Advance goes from one
// due moment to the next: it sets the time, fires what is due, and goes on only when the work
// that this has begun is done. So a chain of retries, or several windows, come out
// within one call as they would in time.
//
// Work is what is bracketed by Begin and End, the functions of timers, and the
// rounds of Every. While work goes on the time does not move, so what it reads of
// the clock is exact.
type manual struct {
	start time.Time // wall time at 0; in whole milliseconds

	turn chan struct{} // holds a token while nobody advances

	mu     sync.Mutex // guards what follows
	now    time.Duration
	timers timerHeap
	rounds []*round
	busy   int           // work under way
	begun  uint64        // counts beginnings of work
	idle   chan struct{} // closed when busy becomes 0; nil: nobody waits
}

// NewManualClock returns a clock that stands at start, cut to milliseconds, until
// Advance moves it. It never suspends ageing.
func NewManualClock(start time.Time) *Clock {
	m := &manual{start: time.UnixMilli(start.UnixMilli()), turn: make(chan struct{}, 1)}
	m.turn <- struct{}{}
	return &Clock{now: func() time.Time { return m.at(m.mono()) }, manual: m}
}

// Manual reports whether the clock is moved by Advance.
func (c *Clock) Manual() bool { return c.manual != nil }

// Begin says that work begins that a manual clock has to wait for; End, that it is
// over. With a clock that goes by itself they do nothing.
func (c *Clock) Begin() {
	if c.manual != nil {
		c.manual.begin()
	}
}

// End ends what Begin began.
func (c *Clock) End() {
	if c.manual != nil {
		c.manual.end()
	}
}

// MaxAdvance is how far a manual clock goes in one call at most.
const MaxAdvance = 10 * 366 * 24 * time.Hour

// ErrNotManual is Advance's error on a clock that goes by itself.
var ErrNotManual = errors.New("the clock goes by itself")

// ErrTimeStands is the error of who waits for what only the advance of a manual clock brings.
var ErrTimeStands = errors.New("the clock stands still until it is advanced")

// Advance moves a manual clock on by d, from due moment to due moment, and waits at
// each, the first and the last included, until the work is done. tidy, unless nil,
// is called when there is none under way: it does what has only been put off, and reports whether there was any
// such thing. When ctx ends before, the clock stands at the moment that it has reached, and the
// error is ctx's; what is due at that moment has begun. Calls wait for each other.
func (c *Clock) Advance(ctx context.Context, d time.Duration, tidy func() (bool, error)) error {
	m := c.manual
	if m == nil {
		return ErrNotManual
	}
	if d < 0 || d > MaxAdvance {
		return errors.New("want a duration of 0 to " + MaxAdvance.String())
	}
	select {
	case <-m.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { m.turn <- struct{}{} }()
	target := m.mono() + d
	for {
		if err := m.quiet(ctx, tidy); err != nil {
			return err
		}
		if m.mono() >= target {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		m.step(target)
	}
}

func (m *manual) mono() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *manual) at(mono time.Duration) time.Time { return m.start.Add(mono) }

func (m *manual) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beginLocked()
}

func (m *manual) beginLocked() {
	m.busy++
	m.begun++
}

func (m *manual) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endLocked()
}

func (m *manual) endLocked() {
	m.busy--
	if m.busy == 0 && m.idle != nil {
		close(m.idle)
		m.idle = nil
	}
}

// quiet returns when no work is under way and tidy finds nothing to do.
func (m *manual) quiet(ctx context.Context, tidy func() (bool, error)) error {
	for {
		m.mu.Lock()
		for m.busy > 0 {
			if m.idle == nil {
				m.idle = make(chan struct{})
			}
			idle := m.idle
			m.mu.Unlock()
			select {
			case <-idle:
			case <-ctx.Done():
				return ctx.Err()
			}
			m.mu.Lock()
		}
		begun := m.begun
		m.mu.Unlock()
		did := false
		if tidy != nil {
			var err error
			if did, err = tidy(); err != nil {
				return err
			}
		}
		m.mu.Lock()
		same := m.busy == 0 && m.begun == begun // nothing has happened since tidy looked
		m.mu.Unlock()
		if same && !did {
			return nil
		}
	}
}

// step moves the clock to the next due moment, at most to target, and fires what is
// due there.
func (m *manual) step(target time.Duration) {
	m.mu.Lock()
	rounds := slices.Clone(m.rounds)
	m.mu.Unlock()
	next := target
	dues := make([]time.Duration, len(rounds))
	for i, r := range rounds {
		dues[i] = r.due() // may read the database: not under mu
		next = min(next, dues[i])
	}

	m.mu.Lock()
	if len(m.timers) > 0 {
		next = min(next, m.timers[0].due)
	}
	m.now = max(m.now, next)
	now := m.now
	for len(m.timers) > 0 && m.timers[0].due <= now {
		heap.Pop(&m.timers).(*handTimer).fireLocked()
	}
	m.mu.Unlock()
	for i, r := range rounds {
		if dues[i] <= now {
			r.turn(now)
		}
	}
}

// handTimer is a timer of a manual clock.
type handTimer struct {
	m     *manual
	f     func()
	due   time.Duration
	index int // in the heap; -1: it is not to fire
}

func (t *handTimer) reset(d time.Duration) bool {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	active := t.stopLocked()
	if d <= 0 {
		t.fireLocked()
		return active
	}
	t.due = t.m.now + d
	heap.Push(&t.m.timers, t)
	return active
}

func (t *handTimer) stop() bool {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	return t.stopLocked()
}

func (t *handTimer) stopLocked() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.m.timers, t.index)
	return true
}

func (t *handTimer) fireLocked() {
	t.m.beginLocked()
	go func() {
		defer t.m.end()
		t.f()
	}()
}

// wait is Clock.Wait. Work that was put aside while it waited is taken up again by
// who wakes it, so that there is no moment between in which all seems quiet.
func (m *manual) wait(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	passed := make(chan struct{})
	t := &handTimer{m: m, index: -1, f: func() {
		m.begin() // on behalf of who waits
		close(passed)
	}}
	t.reset(d)
	m.end()
	var err error
	select {
	case <-passed:
		return nil
	case <-early:
	case <-ctx.Done():
		err = ctx.Err()
	}
	m.mu.Lock()
	if t.stopLocked() {
		m.beginLocked()
		m.mu.Unlock()
	} else {
		m.mu.Unlock()
		<-passed // it fires just now, and has begun the work
	}
	return err
}

// round is a caller of Every on a manual clock.
type round struct {
	m     *manual
	every time.Duration
	next  func() (time.Time, bool)
	run   func() error

	mu    sync.Mutex // held over run; guards what follows
	at    time.Duration
	ended bool
	err   chan error
}

const never = time.Duration(1<<63 - 1)

// due is the moment of the round's next turn.
func (r *round) due() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return never
	}
	if r.next == nil {
		return r.at
	}
	next, some := r.next()
	if !some {
		return never
	}
	return max(r.at, next.Sub(r.m.start))
}

func (r *round) turn(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.at = now + r.every
	if err := r.run(); err != nil {
		r.ended = true
		r.err <- err
	}
}

func (m *manual) every(ctx context.Context, every time.Duration, next func() (time.Time, bool), run func() error) error {
	r := &round{m: m, every: every, next: next, run: run, err: make(chan error, 1)}
	m.mu.Lock()
	r.at = m.now + every
	m.rounds = append(m.rounds, r)
	m.endLocked()
	m.mu.Unlock()
	var err error
	select {
	case <-ctx.Done():
		r.mu.Lock() // a turn under way ends first
		r.ended = true
		r.mu.Unlock()
	case err = <-r.err:
	}
	m.mu.Lock()
	m.rounds = slices.DeleteFunc(m.rounds, func(o *round) bool { return o == r })
	m.beginLocked()
	m.mu.Unlock()
	return err
}

// timerHeap has the timer that is due first at its root.
type timerHeap []*handTimer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*handTimer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.index = -1
	*h = old[:len(old)-1]
	return t
}
