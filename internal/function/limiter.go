package function

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxQueued bounds the calls that wait for room in one function, as the account's
// concurrency does on AWS.
const maxQueued = 1000

var errFull = errors.New("function: no room for another invocation")

// limiter lets at most limit invocations of a function run at once. Calls that
// wait are let in in the order of their arrival.
type limiter struct {
	mu      sync.Mutex // guards what follows
	limit   int
	running int
	waiting []chan struct{} // one slot each, filled when let in
}

// enter takes a place, which leave gives back. Without wait it returns errFull
// when there is none free; with it, when too many wait already, or when late is closed before one is free.
func (l *limiter) enter(ctx context.Context, wait bool, late <-chan struct{}) error {
	l.mu.Lock()
	if l.running < l.limit && len(l.waiting) == 0 {
		l.running++
		l.mu.Unlock()
		return nil
	}
	if !wait || len(l.waiting) >= maxQueued {
		l.mu.Unlock()
		return errFull
	}
	turn := make(chan struct{}, 1)
	l.waiting = append(l.waiting, turn)
	l.mu.Unlock()
	err := errFull
	select {
	case <-turn:
		return nil
	case <-late:
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, turn); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	} else { // it was let in in the meantime
		l.running--
		l.admit()
	}
	return err
}

func (l *limiter) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.admit()
}

// set changes the limit; what runs goes on.
func (l *limiter) set(limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = limit
	l.admit()
}

// admit lets waiting calls in while there is room. mu is held.
func (l *limiter) admit() {
	for l.running < l.limit && len(l.waiting) > 0 {
		l.waiting[0] <- struct{}{}
		l.waiting = slices.Delete(l.waiting, 0, 1)
		l.running++
	}
}
