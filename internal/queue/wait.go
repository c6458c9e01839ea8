package queue

import (
	"math"
	"slices"
	"time"
)

// waiter is one who waits for messages. Who is woken tries to receive, and wakes the next.
type waiter struct {
	woken  chan struct{}
	worker bool // a manual clock waits for it while it does not wait
	called bool // woken is closed; guarded by the queue's lock
}

// wait adds a waiter. The caller holds the lock, and has found nothing to receive.
func (q *Queue) wait(worker bool) *waiter {
	w := &waiter{woken: make(chan struct{}), worker: worker}
	q.waiters = append(q.waiters, w)
	if worker {
		q.s.clock.End()
	}
	q.arm(q.s.now())
	return w
}

// wake calls a waiter, which is no longer in the list.
func (s *Service) wake(w *waiter) {
	w.called = true
	if w.worker {
		s.clock.Begin()
	}
	close(w.woken)
}

// leave takes a waiter out that waits no more. If it was woken meanwhile, the next one is.
func (q *Queue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.called {
		q.rouse(q.s.now())
		return
	}
	if w.worker {
		q.s.clock.Begin()
	}
	if i := slices.Index(q.waiters, w); i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
	}
}

// rouse wakes one who waits when something may be due, and sees to it that one is woken when the next thing is.
// The caller holds the lock.
func (q *Queue) rouse(now int64) {
	if len(q.waiters) == 0 {
		return
	}
	if q.due() <= now {
		w := q.waiters[0]
		q.waiters = slices.Delete(q.waiters, 0, 1)
		q.s.wake(w)
		return
	}
	q.arm(now)
}

// due is the moment before which nothing becomes visible.
func (q *Queue) due() int64 {
	due := min(q.ready.due(), q.delayed.due())
	switch {
	case q.stale:
		return 0 // nobody knows
	case len(q.flights.all) >= MaxInFlight:
		return max(due, q.flights.due())
	}
	return due
}

// arm sets the timer to the next moment at which something may become visible.
func (q *Queue) arm(now int64) {
	due := q.due()
	if due == math.MaxInt64 || len(q.waiters) == 0 || q.timerAt != 0 && q.timerAt <= due {
		return
	}
	if q.timer != nil {
		q.timer.Stop()
	}
	q.timerAt = due
	q.timer = q.s.clock.AfterFunc(time.Duration(max(1, due-now))*time.Millisecond, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.timerAt = 0
		if q.s.ending.Err() == nil && !q.deleted {
			q.rouse(q.s.now())
		}
	})
}
