package worker

import (
	"context"
	"sync"
	"time"
)

// maxStep is how far the wall clock may move against elapsed time before it is doubted: time daemons
// correct a clock by less, and a restart takes less.
const maxStep = 5 * time.Minute

// maxOff is how long a machine may have been off for its clock to be believed when it starts again: nobody is there
// to ask, and machines are switched off for nights, weekends and a holiday beside one. It is a limit since
// clocks that lost their time are usually off by years.
const maxOff = 4 * 24 * time.Hour

// Clock tells workers the wall time and whether they may age things by it, and
// wakes them. What age removes is gone for good, and a clock that was set a year
// ahead would remove everything. So a clock that is more than five minutes ahead of
// what it was known to be, and of the time that has passed since, ages nothing until
// it has agreed with itself for as long as it is ahead, or a person says that it is right
// (Accept). Keep and Resume carry what is known from one run to the next. A step is seen between
// two looks: who relies on the clock looks at least every few minutes.
//
// A clock that is behind ages by the wall time: that removes nothing too early. What is stamped meanwhile has the time that is
// believed (Stamp), so that it is no older than it is once the clock is set right.
//
// While a machine is off, no time passes that it could measure. Of a clock that is ahead after the machine's start, up to
// four days count as time in which it was off; and when the machine says that its clock is synchronized
// (Synchronized), all of it does.
//
// All time that a test may want to skip is measured by a Clock: windows, backoffs,
// ages, and the rounds of workers. What guards the machine (timeouts of functions,
// pauses between commits) is measured by the time package. A manual clock
// (NewManualClock) stands still until Advance moves it, and is never doubted.
//
// Safe for concurrent use.
type Clock struct {
	now    func() time.Time
	boot   Boot
	synced Synchronized
	start  time.Time // monotonic
	booted int64     // ms from the machine's start to start; of no meaning without boot
	manual *manual   // nil: the clock goes by itself

	// Times in ms. An offset is wall time minus elapsed time: it stays the same as long as
	// nobody sets the clock.
	mu     sync.Mutex
	known  int64 // the offset as it was last confirmed
	offset int64 // the offset at the last look
	since  int64 // elapsed time at which that began
	slept  int64 // what the machine had slept when boot was asked last
	// boot is asked again when the machine has been awake for so long since the clock was made.
	askBoot time.Duration
	// The machine was started since known was confirmed, and has not said since that its clock is synchronized.
	restarted bool
}

// NewClock begins to watch now, which gives wall times.
func NewClock(now func() time.Time) *Clock { return NewMachineClock(now, nil, nil) }

// NewMachineClock is NewClock for a machine that tells how long it has been running: then time that it
// slept, or in which the program did not run, has passed, too. boot and synced may be nil.
func NewMachineClock(now func() time.Time, boot Boot, synced Synchronized) *Clock {
	c := &Clock{now: now, boot: boot, synced: synced, start: time.Now()}
	if boot != nil {
		c.booted = sinceBoot(boot)
	}
	c.offset = now().UnixMilli()
	c.known = c.offset
	return c
}

func sinceBoot(boot Boot) int64 {
	_, since := boot()
	return since.Milliseconds()
}

// askBootEvery is how long an answer of boot is good for: it costs a call of the system, and each record asks.
const askBootEvery = 10 * time.Millisecond

// elapsedLocked is the time in ms since the clock was made, with what the machine slept.
func (c *Clock) elapsedLocked() int64 {
	awake := time.Since(c.start)
	if c.boot != nil && awake >= c.askBoot {
		c.slept = max(0, sinceBoot(c.boot)-c.booted-awake.Milliseconds())
		c.askBoot = awake + askBootEvery
	}
	return awake.Milliseconds() + c.slept
}

// Wall returns the wall time as it is.
func (c *Clock) Wall() time.Time { return c.now() }

// Believed returns what the time must be as far as is known, in ms since 1970: the wall time while the clock is not doubted.
func (c *Clock) Believed() int64 {
	if c.manual != nil {
		return c.now().UnixMilli()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed, _ := c.lookLocked()
	return c.known + elapsed
}

// Stamp returns the later of the wall time and the believed one, in ms since 1970. It is for what is kept to judge an age by: a clock that is
// behind would make that too old as soon as the clock is set right.
func (c *Clock) Stamp() int64 {
	if c.manual != nil {
		return c.now().UnixMilli()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed, wall := c.lookLocked()
	return max(wall, c.known+elapsed)
}

// StampTime is Stamp as a time.
func (c *Clock) StampTime() time.Time { return time.UnixMilli(c.Stamp()) }

// Now returns the wall time, and whether it may be used to age things.
func (c *Clock) Now() (now time.Time, ageing bool) {
	wall, ageing := c.look()
	return time.UnixMilli(wall), ageing
}

// Instant is Now as numbers: the time since the clock was made, which never steps,
// and the wall time in milliseconds since 1970.
func (c *Clock) Instant() (mono time.Duration, wallMS int64, ageing bool) {
	mono, wallMS, _, ageing = c.Reading()
	return mono, wallMS, ageing
}

// Reading is Instant with the time that is believed: see Believed.
func (c *Clock) Reading() (mono time.Duration, wallMS, believedMS int64, ageing bool) {
	if c.manual != nil {
		mono = c.manual.mono()
		wallMS = c.manual.at(mono).UnixMilli()
		return mono, wallMS, wallMS, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed, wallMS := c.lookLocked()
	return time.Since(c.start), wallMS, c.known + elapsed, c.offset <= c.known
}

func (c *Clock) look() (wallMS int64, ageing bool) {
	if c.manual != nil {
		return c.now().UnixMilli(), true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, wallMS = c.lookLocked()
	return wallMS, c.offset <= c.known
}

// lookLocked compares the clock with what is known. When it returns, the two offsets differ
// exactly while the clock is not believed; only one that is ahead stops what goes by age.
func (c *Clock) lookLocked() (elapsed, wallMS int64) {
	elapsed, wallMS = c.elapsedLocked(), c.now().UnixMilli()
	offset := wallMS - elapsed
	if beyond(offset, c.offset) { // the machine may have slept since it was asked
		c.askBoot = 0
		elapsed = c.elapsedLocked()
		offset = wallMS - elapsed
	}
	if beyond(offset, c.offset) {
		c.since = elapsed
	}
	c.offset = offset
	if !beyond(offset, c.known) || elapsed-c.since >= max(offset-c.known, c.known-offset) {
		c.known = offset
	}
	return elapsed, wallMS
}

// askLocked asks the machine whether its clock is right, until it has said so once since its start. It is asked no more then: a
// clock that jumps while the machine runs is doubted whatever the machine says.
func (c *Clock) askLocked() {
	if c.restarted && c.synced != nil && c.synced() {
		c.known, c.restarted = c.offset, false
	}
}

// beyond reports whether two offsets are further apart than maxStep.
func beyond(a, b int64) bool { return max(a-b, b-a) > maxStep.Milliseconds() }

// Accept ends all doubt: a person says that the clock is right.
func (c *Clock) Accept() {
	if c.manual != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookLocked()
	c.known = c.offset
}

// Doubt says how far the clock is from what it was known to be.
type Doubt struct {
	// Ahead is 0 while the clock is believed, and below 0 while it is behind: only
	// a clock that is ahead stops what removes by age. At most 292 years.
	Ahead time.Duration
	// Left is how long it still has to agree with itself.
	Left time.Duration
}

// Doubt looks at the clock.
func (c *Clock) Doubt() Doubt {
	if c.manual != nil {
		return Doubt{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed, _ := c.lookLocked()
	c.askLocked()
	ahead := c.offset - c.known
	if ahead == 0 {
		return Doubt{}
	}
	return Doubt{Ahead: milliseconds(ahead), Left: milliseconds(max(ahead, -ahead) - (elapsed - c.since))}
}

// milliseconds is a duration of so many, at most the longest that there is.
func milliseconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(max(n, -most), most)) * time.Millisecond
}

// Kept is what a later run has to know of a clock to see what it did in between. Times are in ms.
type Kept struct {
	Known  int64  `json:"knownMs"`  // since 1970: what the time must be, as far as is known
	Wall   int64  `json:"wallMs"`   // since 1970: what the clock said
	Agreed int64  `json:"agreedMs"` // how long it had agreed with itself
	Boot   string `json:"boot,omitempty"`
	Booted int64  `json:"bootedMs,omitempty"` // how long the machine had been running
	// Restarted says that the machine had not yet said that its clock is synchronized, since it was started.
	Restarted bool `json:"restarted,omitempty"`
}

// Keep returns what a later run has to know. A manual clock has nothing to keep.
func (c *Clock) Keep() Kept {
	if c.manual != nil {
		return Kept{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.askBoot = 0 // what is kept goes together
	elapsed, wall := c.lookLocked()
	k := Kept{Known: c.known + elapsed, Wall: wall, Agreed: elapsed - c.since, Restarted: c.restarted}
	if c.boot != nil {
		id, since := c.boot()
		k.Boot, k.Booted = id, since.Milliseconds()
	}
	return k
}

// Resume has the clock go on from what an earlier run kept. What explains the time between
// is that the machine has been running, or that it was off, for four days at most; a gap beyond that is doubted unless the
// machine says that its clock is synchronized. Where machines do not tell their runs apart, each start is
// taken for one of the machine. A manual clock takes no notice.
func (c *Clock) Resume(k Kept) {
	if c.manual != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := c.elapsedLocked()
	away, offset, agreed := c.awayLocked(k)
	c.known = k.Known + away - elapsed
	c.offset = k.Wall + offset - elapsed
	c.since = elapsed - away - agreed
	c.lookLocked()
	c.askLocked()
}

// awayLocked is how much time is known to have passed since k was kept, and how far the clock may have gone on since without that its
// agreement with itself begins anew, which is agreed; all in ms.
func (c *Clock) awayLocked(k Kept) (away, offset, agreed int64) {
	if c.boot != nil {
		if id, since := c.boot(); id != "" && id == k.Boot {
			c.restarted = k.Restarted
			away = max(0, since.Milliseconds()-k.Booted)
			return away, away, k.Agreed
		}
	}
	c.restarted = true
	wall, from := c.now().UnixMilli(), k.Known
	if k.Wall > k.Known && wall >= k.Wall-maxStep.Milliseconds() {
		from = k.Wall // it was ahead, and has not been set right since
	}
	switch gap := wall - from; {
	case gap <= maxStep.Milliseconds(): // a quick restart; or the clock is behind, which lookLocked sees
		return 0, 0, k.Agreed
	case gap <= maxOff.Milliseconds():
		return gap, gap, k.Agreed
	case k.Wall > k.Known:
		// Doubted already: what is left of that doubt goes on, and the gap is added to it.
		return 0, gap, k.Agreed
	}
	return 0, 0, 0
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
