package worker

import (
	"context"
	"sync"
	"time"
)

// A forward step of the wall clock past maxStep, seen against the monotonic clock,
// suspends ageing for stepPause.
const (
	maxStep   = 5 * time.Minute
	stepPause = time.Hour
)

// Clock tells workers the wall time and whether they may age things by it, and
// wakes them. What age removes is gone for good, and a clock that was set a year
// ahead would remove everything; so after a forward step nothing ages for an hour,
// or until a person says that the clock is right. A step is seen between two calls
// of Now: who relies on the clock calls it at least every few minutes.
//
// All time that a test may want to skip is measured by a Clock: windows, backoffs,
// ages, and the rounds of workers. What guards the machine (timeouts of functions,
// pauses between commits) is measured by the time package. A manual clock
// (NewManualClock) stands still until Advance moves it.
//
// Safe for concurrent use.
type Clock struct {
	now    func() time.Time
	start  time.Time // monotonic
	manual *manual   // nil: the clock goes by itself

	mu     sync.Mutex
	offset time.Duration // wall minus monotonic at the last look
	until  time.Duration // ageing is suspended until this monotonic moment
}

// NewClock begins to watch now, which gives wall times.
func NewClock(now func() time.Time) *Clock {
	return &Clock{now: now, start: time.Now(), offset: sinceEpoch(now())}
}

func sinceEpoch(t time.Time) time.Duration { return time.Duration(t.UnixMilli()) * time.Millisecond }

// Wall returns the wall time as it is.
func (c *Clock) Wall() time.Time { return c.now() }

// Now returns the wall time, and whether it may be used to age things.
func (c *Clock) Now() (now time.Time, ageing bool) {
	wall, ageing, _ := c.look()
	return time.UnixMilli(wall), ageing
}

// Instant is Now as numbers: the time since the clock was made, which never steps,
// and the wall time in milliseconds since 1970.
func (c *Clock) Instant() (mono time.Duration, wallMS int64, ageing bool) {
	wallMS, ageing, mono = c.look()
	return mono, wallMS, ageing
}

func (c *Clock) look() (wallMS int64, ageing bool, mono time.Duration) {
	if c.manual != nil {
		mono = c.manual.mono()
		return c.manual.at(mono).UnixMilli(), true, mono
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	mono, wall := time.Since(c.start), sinceEpoch(c.now())
	offset := wall - mono
	if offset-c.offset > maxStep {
		c.until = mono + stepPause
	}
	c.offset = offset
	return wall.Milliseconds(), mono >= c.until, mono
}

// Accept ends a suspension: a person says that the clock is right.
func (c *Clock) Accept() {
	_, _, mono := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = mono
}

// Timer is what AfterFunc returns. Its methods are those of a time.Timer of
// time.AfterFunc.
type Timer struct {
	real *time.Timer
	hand *handTimer
}

// AfterFunc calls f in a goroutine of its own once d has passed.
func (c *Clock) AfterFunc(d time.Duration, f func()) *Timer {
	if c.manual != nil {
		h := &handTimer{m: c.manual, f: f, index: -1}
		h.reset(d)
		return &Timer{hand: h}
	}
	return &Timer{real: time.AfterFunc(d, f)}
}

// Reset has the timer fire once d has passed from now. It reports whether it was still to fire.
func (t *Timer) Reset(d time.Duration) bool {
	if t.hand != nil {
		return t.hand.reset(d)
	}
	return t.real.Reset(d)
}

// Stop has the timer not fire. It reports whether it was still to fire.
func (t *Timer) Stop() bool {
	if t.hand != nil {
		return t.hand.stop()
	}
	return t.real.Stop()
}

// Wait returns nil once d has passed, or when early is closed (nil: never); or
// ctx's error when that ends before. The caller's work (Begin) does not count meanwhile.
func (c *Clock) Wait(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	if c.manual != nil {
		return c.manual.wait(ctx, d, early)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Every calls run again and again, every so often, until ctx ends (nil) or run
// fails (its error). The caller's work (Begin) does not count between. next, unless nil, tells a manual clock when there will be
// something to do at the earliest, false for never as things stand: rounds before
// that are left out.
func (c *Clock) Every(ctx context.Context, every time.Duration, next func() (time.Time, bool), run func() error) error {
	if c.manual != nil {
		return c.manual.every(ctx, every, next, run)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := run(); err != nil {
			return err
		}
	}
}
