package store

import (
	"cmp"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// A batch is committed in two steps, so that a writer holds its locks only over
// the first: Apply appends the batch to the log and makes it visible; Sync waits
// until the log is on disk up to there. They stand on a pair that Pebble marks
// experimental (DB.ApplyNoSyncWait, Batch.SyncWait); what is relied on, and is
// held by commit_test.go, is:
//
//   - when ApplyNoSyncWait returns, the batch is visible, and so is every batch
//     before it in the log; a batch whose apply begins after that return is later
//     in the log. So a writer that applies under a lock gives the log the order
//     of that lock.
//   - SyncWait returns nil only when the batch, and everything before it in the
//     log, is on disk. After a crash the log is a prefix.
//   - a sync that failed fails every later one.
//
// No other file calls the pair.

// Commit is the fate of one batch: applied (visible), then durable or failed.
// The writer makes it with Begin, publishes it where readers of the same keys
// look, applies, releases its locks, and calls Sync once. Anyone may Wait.
type Commit struct {
	s *Store
	// pb is the engine's batch between Apply and Sync; it belongs to the writer.
	pb *pebble.Batch
	// end is the number of the batch after this one; set by Apply, when changes are collected.
	end uint64

	done atomic.Bool // set last: err may then be read
	err  error

	mu sync.Mutex    // guards the making and closing of ch
	ch chan struct{} // closed when done; nil until someone has to wait
}

// Begin makes the Commit of a batch to come. Every Commit that others may see
// must end in Sync or Abandon.
func (s *Store) Begin() *Commit { return &Commit{s: s} }

// Apply appends the batch to the log and makes it visible, after every earlier
// batch in the log; it is not yet durable. It empties b, which may be used again
// or closed at once. Apply may stall for tens of milliseconds while memory is
// flushed.
//
// After an error the batch counts as neither applied nor absent, and those who
// wait for c have been told.
func (s *Store) Apply(c *Commit, b *Batch) error {
	if err := s.check(); err != nil {
		c.finish(err)
		return err
	}
	pb := b.take()
	if pb == nil {
		c.finish(nil)
		return nil
	}
	size := uint64(pb.Len())
	if s.durability != Sync {
		return s.applyUnsynced(c, pb, size)
	}

	repr := s.repr(pb)
	s.inflight.Add(1)
	if err := s.enterLog(c, pb, repr, true); err != nil {
		// Counted in flight for ever: a barrier must not find it durable.
		c.finish(err)
		return err
	}
	c.pb = pb
	s.commits.Add(1)
	s.space.spend(size)
	return nil
}

// applyUnsynced applies without waiting for the disk, now or later.
func (s *Store) applyUnsynced(c *Commit, pb *pebble.Batch, size uint64) error {
	repr := s.repr(pb)
	err := s.enterLog(c, pb, repr, false)
	if err == nil {
		_ = pb.Close() // returns it to the engine's pool; never fails
		s.commits.Add(1)
		s.space.spend(size)
		s.syncSoon()
		err = s.Err() // the store may have ended meanwhile
	}
	c.finish(err)
	return err
}

// enterLog applies a batch, unless the store has ended since it was checked: who took its applying (isolate, Still) may have ended it.
func (s *Store) enterLog(c *Commit, pb *pebble.Batch, repr []byte, synced bool) error {
	var refused error
	err := s.guard("apply", func() error {
		s.applying.RLock()
		defer s.applying.RUnlock()
		if refused = s.check(); refused != nil {
			return nil
		}
		var err error
		if synced {
			err = s.db.ApplyNoSyncWait(pb, pebble.Sync)
		} else {
			err = s.db.Apply(pb, pebble.NoSync)
		}
		if err != nil {
			return err
		}
		if repr != nil {
			c.end = s.collect(repr)
		}
		return nil
	})
	return cmp.Or(err, refused)
}

// repr returns a batch as the log will have it, nil when nobody collects changes. It is asked before the batch is applied, since the
// engine lets go of a large one then; its number is in it after that.
func (s *Store) repr(pb *pebble.Batch) []byte {
	if s.changes == nil {
		return nil
	}
	return pb.Repr()
}

// collect gives a batch that has been applied to who takes changes, and returns its end.
func (s *Store) collect(repr []byte) (end uint64) {
	ch := changeOf(repr)
	for _, c := range s.changes {
		c.add(ch)
	}
	return ch.End
}

// Sync waits until c is durable, then releases those who wait for it. It must be
// called exactly once for each applied Commit, also when the client has gone; it
// cannot be cancelled. In the durabilities Periodic and NoSync it returns at once.
func (s *Store) Sync(c *Commit) error {
	pb := c.pb
	if pb == nil {
		return c.Wait() // empty, unsynced or failed: done in Apply
	}
	c.pb = nil
	err := s.guard("sync", pb.SyncWait)
	if err == nil {
		s.inflight.Add(-1)
		for _, ch := range s.changes {
			ch.reached(c.end)
		}
		_ = pb.Close() // returns it to the engine's pool; never fails
		err = s.Err()
	}
	c.finish(err)
	return err
}

// Abandon ends a Commit that was published but will not be applied: those who
// wait for it are released without error.
func (s *Store) Abandon(c *Commit) { c.finish(nil) }

func (c *Commit) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done.Load() {
		return
	}
	c.err = err
	c.done.Store(true)
	if c.ch != nil {
		close(c.ch)
	}
}

// Wait returns once c is durable or abandoned, or with the store's error when it
// is poisoned, even if c itself was well.
func (c *Commit) Wait() error {
	if !c.done.Load() {
		c.mu.Lock()
		if !c.done.Load() && c.ch == nil {
			c.ch = make(chan struct{})
		}
		ch := c.ch
		c.mu.Unlock()
		if ch != nil {
			select {
			case <-ch:
			case <-c.s.poisonedCh:
			}
		}
	}
	if err := c.s.Err(); err != nil {
		return err
	}
	return c.err
}

// Done says that there is nothing to wait for, nor any error to be learnt from
// Wait.
func (c *Commit) Done() bool {
	return c.done.Load() && c.err == nil && c.s.Err() == nil
}

// Write applies and syncs in one call, for control-plane rows. It empties b.
func (s *Store) Write(b *Batch) error {
	c := s.Begin()
	if err := s.Apply(c, b); err != nil {
		return err
	}
	return s.Sync(c)
}
