package store

import (
	"sync"
	"time"
)

// periodic syncs the log once an interval while there is something to sync. The
// timer is armed by the first commit after a sync, so that an idle store sleeps.
type periodic struct {
	interval time.Duration // 0 when the durability is not Periodic

	mu     sync.Mutex // guards the following
	armed  *time.Timer
	closed bool
	idle   sync.WaitGroup
}

// syncSoon makes sure that what has been applied is synced within the interval.
func (s *Store) syncSoon() {
	p := &s.periodic
	if p.interval == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed != nil || p.closed {
		return
	}
	p.idle.Add(1)
	p.armed = time.AfterFunc(p.interval, func() {
		defer p.idle.Done()
		p.mu.Lock()
		// Before the sync, not after: a commit applied during it needs another.
		p.armed = nil
		p.mu.Unlock()
		_ = s.syncLog() // an error has poisoned the store
	})
}

// stop returns when no sync runs or will run.
func (p *periodic) stop() {
	p.mu.Lock()
	p.closed = true
	if p.armed != nil && p.armed.Stop() {
		p.armed = nil
		p.idle.Done()
	}
	p.mu.Unlock()
	p.idle.Wait()
}
