package turns

import (
	"sync/atomic"
	"time"
)

// Most is the longest wait that is told.
const Most = 5 * time.Second

// Turns is the queue of those who were refused. Nothing holds them: a turn that nobody
// comes for passes. The zero value is ready, and safe for concurrent use.
type Turns struct {
	mean atomic.Int64 // nanoseconds for which a place has been taken, a moving average
	next atomic.Int64 // the last turn that was given, in nanoseconds of the caller's clock
}

// Took notes for how long a place was taken.
func (t *Turns) Took(d time.Duration) {
	mean := t.mean.Load()
	if mean == 0 {
		t.mean.Store(int64(d))
		return
	}
	// Of two that end together one may be lost: it is an average.
	t.mean.Store(mean + (int64(d)-mean)/32)
}

// Wait returns when to come back to one of a number of places, all of which are taken:
// a whole number of milliseconds, at least 1, at most Most. now is a time that never
// goes back.
func (t *Turns) Wait(now time.Duration, places int) time.Duration {
	step := max(t.mean.Load()/int64(max(places, 1)), 1)
	for {
		last := t.next.Load()
		turn := min(max(last, int64(now))+step, int64(now+Most))
		if t.next.CompareAndSwap(last, turn) {
			wait := time.Duration(turn) - now
			return max((wait + time.Millisecond - 1).Truncate(time.Millisecond), time.Millisecond)
		}
	}
}
