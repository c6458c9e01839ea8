package topic

import (
	"sync"
	"time"
)

// dedupWindow is how long a deduplication id is remembered, in ms.
const dedupWindow = 5 * 60_000

// sweepPiece is how many deduplication ids one batch removes at most.
const sweepPiece = 1000

// earlier is what is remembered of a deduplication id.
type earlier struct {
	UntilMS int64
	ID, Seq string
}

// fifo is what a FIFO topic has in memory. Its lock is held while a message is taken, so that messages are owed in order.
type fifo struct {
	mu    sync.Mutex
	known map[string]earlier
	order []string // ids, the one that is forgotten first in front
	gone  bool     // the topic was deleted
}

// fifoOf is a topic's; the caller holds mu for writing, or nobody else is there yet.
func (s *Service) fifoOf(topicARN string) *fifo {
	f := s.fifo[topicARN]
	if f == nil {
		f = &fifo{known: map[string]earlier{}}
		s.fifo[topicARN] = f
	}
	return f
}

func (f *fifo) note(id string, e earlier) {
	f.known[id] = e
	f.order = append(f.order, id)
}

// expired are ids whose time is over, at most so many.
func (f *fifo) expired(now int64, most int) []string {
	n := 0
	for n < min(len(f.order), most) && f.known[f.order[n]].UntilMS <= now {
		n++
	}
	return f.order[:n]
}

// forget drops the first ids.
func (f *fifo) forget(ids []string) {
	for _, id := range ids {
		delete(f.known, id)
	}
	f.order = f.order[len(ids):]
	if len(f.order) == 0 {
		f.order = nil // a new one begins small
		f.known = map[string]earlier{}
	}
}

// sweepLater has ids whose topic gets no more messages removed when their time is over.
func (s *Service) sweepLater() {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	if s.sweeper == nil && !s.closed {
		s.sweeper = s.o.Clock.AfterFunc(dedupWindow*time.Millisecond, s.sweep)
	}
}

// sweep removes ids whose time is over, and looks again later if any are left.
func (s *Service) sweep() {
	s.sweeping.Lock()
	s.sweeper = nil
	if s.closed {
		s.sweeping.Unlock()
		return
	}
	s.swept.Add(1)
	s.sweeping.Unlock()
	defer s.swept.Done()
	s.mu.RLock()
	all := make(map[string]*fifo, len(s.fifo))
	for topicARN, f := range s.fifo {
		all[topicARN] = f
	}
	s.mu.RUnlock()
	left := false
	for topicARN, f := range all {
		if !s.sweepOne(topicARN, f) {
			left = true
		}
	}
	if left {
		s.sweepLater()
	}
}

// sweepOne removes the ids of a topic whose time is over; false: there are others, or the store did not take it.
func (s *Service) sweepOne(topicARN string, f *fifo) (empty bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for now := s.now(); ; {
		gone := f.expired(now, sweepPiece)
		if len(gone) == 0 || f.gone {
			return f.gone || len(f.order) == 0
		}
		b := s.o.Store.NewBatch()
		for _, id := range gone {
			b.Delete(dedupKey(topicARN, id))
		}
		err := s.o.Store.Write(b)
		b.Close()
		if err != nil {
			s.o.Logger.Error("deduplication ids could not be removed and are tried again", "topic", topicARN, "error", err)
			return false
		}
		f.forget(gone)
	}
}

// dedupKey is of a deduplication id's row.
func dedupKey(topicARN, id string) []byte { return key(rowDedup, topicARN+"\x00"+id) }

// Close ends what is done by itself. It is called before the store is closed.
func (s *Service) Close() {
	s.sweeping.Lock()
	s.closed = true
	if s.sweeper != nil {
		s.sweeper.Stop()
	}
	s.sweeping.Unlock()
	s.swept.Wait()
}
