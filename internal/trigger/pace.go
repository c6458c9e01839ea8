package trigger

import (
	"math"
	"runtime"
	"sync/atomic"
	"time"
)

// pace keeps many busy mappings from taking the machine away from the writers
// that feed them. Under load every mapping could invoke its function for one or
// two records at a time, as fast as it returns; the processor then goes to
// calls, and writers slow down. So when the engine makes more calls a second than
// the machine has to spare, lanes that are not behind pause after each call, for a
// few milliseconds at most, and send what has gathered. A lane that was quiet for that long,
// a full batch and a backlog never wait; below the limit nothing does.
//
// The rate counts calls, not time spent in them: functions that hang or back off
// make nobody else wait.
type pace struct {
	limit  float64      // calls a second
	calls  atomic.Int64 // since
	since  atomic.Int64 // monotonic nanoseconds
	pause  atomic.Int64 // nanoseconds
	period int64        // between adjustments
}

const (
	// A call and what it takes to receive it on the same machine cost a few tenths
	// of a millisecond of processor. One function that is called for each of 1,000
	// writes a second is to stay below the limit.
	quickCalls             = 1500 // a second, at least
	quickCallsPerProcessor = 750
	maxPause               = 10 * time.Millisecond
	minPause               = 50 * time.Microsecond
	// paceTime is the time in which the pause follows the rate. A quicker one chases
	// the chance of a few calls more or less, and lanes then wait twice as long as
	// others for no reason.
	paceTime = 100 * time.Millisecond
)

// newPace returns one that makes nobody pause yet; with a manual clock it never will, since a pause would last
// until a person moves the clock.
func newPace(manual bool) *pace {
	p := &pace{limit: float64(max(quickCalls, quickCallsPerProcessor*runtime.GOMAXPROCS(0))), period: int64(20 * time.Millisecond)}
	if manual {
		p.limit = math.Inf(1)
	}
	return p
}

// called counts a call, and now and then sets the pause anew: in proportion to how
// far the rate is from the limit.
func (p *pace) called(now time.Duration) {
	n := p.calls.Add(1)
	since := p.since.Load()
	took := int64(now) - since
	if took < p.period || !p.since.CompareAndSwap(since, int64(now)) {
		return
	}
	p.calls.Store(0)
	follow := 1 - math.Exp(-float64(took)/float64(paceTime))
	over := float64(n) / time.Duration(took).Seconds() / p.limit
	pause := float64(p.pause.Load()) * math.Pow(over, follow)
	if over > 1 {
		pause += float64(200*time.Microsecond) * (over - 1) * follow
	}
	if pause < float64(minPause) {
		pause = 0
	}
	p.pause.Store(int64(min(pause, float64(maxPause))))
}

func (p *pace) gather() time.Duration { return time.Duration(p.pause.Load()) }
