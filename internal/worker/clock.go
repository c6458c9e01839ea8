package worker

import (
	"sync"
	"time"
)

// A forward step of the wall clock past maxStep, seen against the monotonic clock,
// suspends ageing for stepPause.
const (
	maxStep   = 5 * time.Minute
	stepPause = time.Hour
)

// Clock tells workers the wall time and whether they may age things by it. What
// age removes is gone for good, and a clock that was set a year ahead would remove
// everything; so after a forward step nothing ages for an hour, or until a person
// says that the clock is right. A step is seen between two calls of Now: who
// relies on the clock calls it at least every few minutes. Safe for concurrent use.
type Clock struct {
	now   func() time.Time
	start time.Time // monotonic

	mu     sync.Mutex
	offset time.Duration // wall minus monotonic at the last look
	until  time.Duration // ageing is suspended until this monotonic moment
}

// NewClock begins to watch now, which gives wall times.
func NewClock(now func() time.Time) *Clock {
	return &Clock{now: now, start: time.Now(), offset: sinceEpoch(now())}
}

func sinceEpoch(t time.Time) time.Duration { return time.Duration(t.UnixMilli()) * time.Millisecond }

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
