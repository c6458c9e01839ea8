package function

import (
	"container/list"
	"sync"
	"time"
)

// Bounds of the queue: of the events that are to be run, and as much again of those that have ended and whose ends are still to be told.
// A function may have as much as is left for all others, so one function's events leave room for every other's. There is
// an eighth more for those that have little. An event beyond is refused with 429; when an end is beyond, its function's oldest ones that
// are still to be told are dropped: a destination that is gone never has its function refuse events.
const (
	eventMaxCount = 200_000
	eventMaxBytes = 2 << 30 // of payloads, and of what destinations are told

	eventLeastCount = 100
	eventLeastBytes = 4 << 20
)

// eventRoom is one of the two bounds, with what is held of it. The queue's mu guards it.
type eventRoom struct {
	maxCount, maxBytes int
	count, bytes       int
	shares             map[id]*eventShare // of functions that have events in it
}

// eventShare is what a function has in a room; order holds its events, the first that came first.
type eventShare struct {
	bytes int
	order list.List
}

func newEventRoom() *eventRoom {
	return &eventRoom{maxCount: eventMaxCount, maxBytes: eventMaxBytes, shares: map[id]*eventShare{}}
}

// fits says whether there is room for one more event of a function, of so many bytes.
func (r *eventRoom) fits(of id, bytes int) bool {
	hasCount, hasBytes := 0, 0
	if s := r.shares[of]; s != nil {
		hasCount, hasBytes = s.order.Len(), s.bytes
	}
	within := func(all, used, more, has, least int) bool {
		return has+more <= max(all-used, least) && used+more <= all+all/8
	}
	return within(r.maxCount, r.count, 1, hasCount, eventLeastCount) && within(r.maxBytes, r.bytes, bytes, hasBytes, eventLeastBytes)
}

// enter counts an event that is in no room.
func (r *eventRoom) enter(e *event) {
	s := r.shares[e.of()]
	if s == nil {
		s = &eventShare{}
		r.shares[e.of()] = s
	}
	e.room, e.place = r, s.order.PushBack(e)
	s.bytes += e.head.bytes()
	r.count, r.bytes = r.count+1, r.bytes+e.head.bytes()
}

// leave has an event be in no room.
func (r *eventRoom) leave(e *event) {
	s := r.shares[e.of()]
	s.order.Remove(e.place)
	s.bytes -= e.head.bytes()
	r.count, r.bytes = r.count-1, r.bytes-e.head.bytes()
	if s.order.Len() == 0 {
		delete(r.shares, e.of())
	}
	e.room, e.place = nil, nil
}

// roomToTell moves an event that has ended, and whose document was made, to those that are to be told. Where it does not fit, the oldest of its
// function are taken out of the queue, for the caller to remove from the disk. It reports false when that was not enough.
func (q *eventQueue) roomToTell(e *event) (out []*event, fits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := e.head.Size + len(e.document)
	for !q.toTell.fits(e.of(), size) {
		old := q.oldestToTell(e.of())
		if old == nil {
			return out, false
		}
		q.forgetLocked(old)
		out = append(out, old)
	}
	e.room.leave(e)
	e.head.ToldSize = len(e.document)
	q.toTell.enter(e)
	return out, true
}

// oldestToTell takes the first of a function's events that are to be told from where it waits; those that are just being told are passed over.
// nil: there is none. The caller holds mu.
func (q *eventQueue) oldestToTell(of id) *event {
	s := q.toTell.shares[of]
	if s == nil {
		return nil
	}
	for p := s.order.Front(); p != nil; p = p.Next() {
		if e := p.Value.(*event); q.takeOut(e) {
			return e
		}
	}
	return nil
}

// seldom lets what is said again and again about one thing through once in a while.
type seldom struct {
	mu   sync.Mutex
	said map[string]*saying
}

type saying struct {
	at   time.Duration // when it was said last, on the clock that goes by itself
	held int           // how often it was not, since
}

// sayPause is how long the same is not said again.
const sayPause = eventMaxBackoff

// may says whether something may be said about a thing, and how often it was held back since the last time.
func (s *seldom) may(about string, now time.Duration) (held int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.said[about]
	if last == nil {
		for k, old := range s.said {
			if now-old.at > 2*sayPause {
				delete(s.said, k)
			}
		}
		if s.said == nil {
			s.said = map[string]*saying{}
		}
		s.said[about] = &saying{at: now}
		return 0, true
	}
	if now-last.at < sayPause {
		last.held++
		return 0, false
	}
	held, last.at, last.held = last.held, now, 0
	return held, true
}
