package stream

import (
	"context"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Who waits is woken by every commit of the stream, so there may not be many.
const (
	maxAwaiting       = 1024 // of all streams
	maxAwaitingStream = 64
)

// Await returns once GetRecords has something to answer: a record, the shard's end, an error. It returns before that when
// ctx or EndWaits ends it. It reports whether it could wait; with too many who wait already it returns false at once.
// after is the number behind which GetRecords reads; zero when it has an error to tell.
func (ss *Streams) Await(ctx context.Context, scope schema.Scope, r *request.GetRecords) (after seqnum.Num, could bool) {
	s, sh, it, e := ss.locate(scope, r.Iterator, ss.now())
	if e != nil {
		return after, true
	}
	if after = it.after; it.horizon {
		after = sh.Horizon()
	}
	if ss.awaiting.Add(1) > maxAwaiting {
		ss.awaiting.Add(-1)
		return after, false
	}
	defer ss.awaiting.Add(-1)
	if s.awaiting.Add(1) > maxAwaitingStream {
		s.awaiting.Add(-1)
		return after, false
	}
	defer s.awaiting.Add(-1)

	over := ss.waits.Over()
	woken := make(chan struct{}, 1)
	defer s.Watch(func() {
		select {
		case woken <- struct{}{}:
		default: // a wake that was not seen yet stands for this one too
		}
	})()
	for !sh.answers(it) && ss.ByID(s.ID) == s {
		select {
		case <-woken:
		case <-ctx.Done():
			return after, true
		case <-over:
			return after, true
		}
	}
	return after, true
}

// answers reports whether a read from an iterator on finds something, or has an end or an error to tell.
func (sh *Shard) answers(it iterator) bool {
	end := sh.end.Load() // before the mark, as in Read
	durable := sh.durable.Load()
	after := it.after
	if it.horizon {
		after = sh.Horizon()
	}
	return sh.broken != nil || after.Less(sh.at(durable)) || end != nil && durable >= end.ordinal
}

// Waiting is how many wait for records of the stream.
func (s *Stream) Waiting() int { return int(s.awaiting.Load()) }

// EndWaits has those who wait for records wait no more, until resume is called: a server is about to end.
func (ss *Streams) EndWaits() (resume func()) { return ss.waits.End() }
