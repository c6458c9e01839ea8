package store

import (
	"context"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Barrier returns when everything that was applied before the call is durable,
// whoever applied it and whether or not its Sync has been called. Concurrent
// callers share one log sync; with nothing in flight it is free. In the
// durabilities Periodic and NoSync it returns at once.
//
// Why it is right:
//
//   - Free: inflight is raised before a batch enters the log and lowered after
//     its SyncWait returned nil. So when it reads 0 at a moment after the call
//     began, every batch whose Apply had returned by then has been synced.
//   - Otherwise an empty record is appended to the log and synced, after the
//     call began. A batch whose Apply returned before the call is earlier in the
//     log than that record, and a log is durable as a prefix. Whether the writer
//     of the batch has called Sync does not matter: nobody waits for it here, so
//     a writer may even call Barrier between its own Apply and Sync.
//   - A round is joined only before its record is appended, so that its record
//     comes after all that any of its callers has seen.
//
// A read that must not show what a crash could take back therefore makes its
// iterator first and calls Barrier after: what the iterator sees was applied, and
// its Apply may be about to return. That last gap is closed by inflight too (it is
// raised before the batch is visible) and by the log's order (visible means that
// it is in the log already).
func (s *Store) Barrier(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	if s.durability != Sync || s.inflight.Load() == 0 {
		return nil
	}
	r := s.barrier.join(s)
	select {
	case <-r.done:
		return r.err
	case <-s.poisonedCh:
		return s.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// barriers batches callers into rounds. At most two rounds are in the engine at
// once: one that is being synced and one that waits for the next sync; who comes
// later gathers in a third, which starts when one of them ends.
type barriers struct {
	mu      sync.Mutex
	running int
	next    *round // gathering, not yet appended; nil when nobody waits
	idle    sync.WaitGroup
}

type round struct {
	done chan struct{}
	err  error
}

func (b *barriers) join(s *Store) *round {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = &round{done: make(chan struct{})}
		if b.running < 2 {
			b.running++
			b.idle.Add(1)
			go b.run(s)
		}
	}
	return b.next
}

// run runs rounds until nobody gathers.
func (b *barriers) run(s *Store) {
	defer b.idle.Done()
	for {
		b.mu.Lock()
		r := b.next
		if r == nil {
			b.running--
			b.mu.Unlock()
			return
		}
		b.next = nil
		b.mu.Unlock()
		r.err = s.syncLog()
		close(r.done)
	}
}

// MakeDurable returns when everything that was applied before the call is durable, whatever the durability of commits. It comes before
// files are removed that no row names any more: a crash must not bring the row back, and find nothing.
func (s *Store) MakeDurable() error {
	if s.durability == Sync {
		return s.check() // Write has returned
	}
	return s.syncLog()
}

// Still holds back whatever would be applied from now on, until release is called. All that was applied before is durable when it returns, and can be
// taken from Changes.
func (s *Store) Still() (release func(), err error) {
	s.applying.Lock()
	if err := s.syncLog(); err != nil {
		s.applying.Unlock()
		return nil, err
	}
	return s.applying.Unlock, nil
}

// syncLog appends an empty record to the log and returns when it is durable, and
// with it everything before it.
func (s *Store) syncLog() error {
	if err := s.Err(); err != nil {
		return err
	}
	var applied [2]uint64 // most often of none, and hardly ever of more
	ends := applied[:0]
	for _, c := range s.changes {
		ends = append(ends, c.Applied())
	}
	if err := s.guard("barrier", func() error { return s.db.LogData(nil, pebble.Sync) }); err != nil {
		return err
	}
	for i, c := range s.changes {
		c.reached(ends[i])
	}
	return s.Err()
}
