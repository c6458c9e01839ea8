package poll

import (
	"context"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

// calls counts the calls under way of a mapping, and says when the next may be made. It outlives workers: a change of the mapping adds
// none to what its definition allows, and skips no turn.
type calls struct {
	mu      sync.Mutex // guards what follows
	n       int
	waiting int           // workers that wait for one to end: the newest, and those that are ending
	left    chan struct{} // closed when one has ended; nil: nobody waits
	turn    time.Duration // the newest; monotonic
	turns   bool          // there was one
}

// enter counts one more call, once fewer than most are under way; false: ctx has ended. The caller counts as no work while it waits: a
// call may wait for the clock.
func (c *calls) enter(ctx context.Context, clock *worker.Clock, most int) bool {
	for ctx.Err() == nil {
		c.mu.Lock()
		if c.n < most {
			c.n++
			c.mu.Unlock()
			return true
		}
		if c.left == nil {
			c.left = make(chan struct{})
		}
		left := c.left
		c.waiting++
		clock.End()
		c.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			c.mu.Lock()
			if c.left == left { // nobody has left, and taken up the work for it
				c.waiting--
				clock.Begin()
			}
			c.mu.Unlock()
		}
	}
	return false
}

func (c *calls) leave(clock *worker.Clock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	for ; c.waiting > 0; c.waiting-- {
		clock.Begin()
	}
	if c.left != nil {
		close(c.left)
		c.left = nil
	}
}

// wait is how long the next call has to wait for its turn at now. With take, the turn is the caller's. rate is calls a second; 0: no limit.
func (c *calls) wait(now time.Duration, rate float64, take bool) time.Duration {
	if rate == 0 {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := now
	if c.turns {
		at = max(now, c.turn+time.Duration(float64(time.Second)/rate))
	}
	if take {
		c.turn, c.turns = at, true
	}
	return at - now
}
