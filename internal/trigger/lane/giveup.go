package lane

import (
	"slices"
	"time"
)

// DropReason is why records were given up, in AWS's words.
type DropReason string

// The reasons.
const (
	RetryAttemptsExhausted DropReason = "RetryAttemptsExhausted"
	RecordAgeExceeded      DropReason = "RecordAgeExceeded"
	RecursionLimit         DropReason = "RecursionLimit" // AWS has no word for it: it is parked, and no document is written
	GivenUp                DropReason = "GivenUp"        // by a person; AWS has no word for it
)

// Loss is what was given up of a batch, and why.
type Loss struct {
	Reason   DropReason
	Records  []Record // none when it is the closing call of Window
	Window   *Window
	Attempts int    // invocations of these records as one batch
	Error    string // of the last of them
	// Of the last invocation; empty when there was none. Unhandled: the function failed,
	// and did not just report failures.
	RequestID, Version string
	Unhandled          bool
}

// loss is a Loss that a destination is being told of.
type loss struct {
	Loss
	inFlight bool
	fails    int
	retryAt  time.Duration
}

// A destination that fails at the first call is told again for deliverFor: the records are set
// aside for it, and hold nobody up. Then they are parked. When there
// is no room to set them aside, they stay where they are and hold back what follows them.
const (
	deliverFor         = time.Hour
	maxDeliveryBackoff = 5 * time.Minute
)

// giveUp gives up the first n records of a batch, or a window's closing call. With a
// destination they end when it has been told; what is left after them is a
// new batch with a retry budget of its own.
func (s *step) giveUp(b *batch, n int, why DropReason) {
	l := s.lossOf(b, n, why)
	if b.closing {
		s.becomes(ThenDropped)
		s.do(Drop{l})
		s.windowClosed(b)
		return
	}
	b.search.unsure()
	b.loss = &loss{Loss: l}
	s.conclude(b)
}

// conclude tells a destination of what is given up of a batch, or parks it, or drops it, as the mapping
// asks.
func (s *step) conclude(b *batch) {
	switch {
	case s.p.Destination != "":
		s.deliver(b)
	case s.p.OnFailure == BlockShard && b.loss.fails == 0:
		s.drop(b, b.loss.Loss)
	case !s.asideLoss(b, Parked):
		s.loseLater(b, s.noRoom(b.loss.Error), parkAgain)
		s.putBack(b)
	}
}

// putBack forgets what a batch with a window has behind the records that it waits to give up; they are read again. Held
// records of the same keys wait for the batch, and the room for what is given up may have to come from them.
func (s *step) putBack(b *batch) {
	n := len(b.loss.Records)
	if b.window == nil || b.closing || len(b.entries) == n && len(b.rest) == 0 {
		return
	}
	back := b.entries[n:]
	for _, part := range slices.Backward(b.rest) {
		back = append(back[:len(back):len(back)], part...)
	}
	b.entries, b.rest, b.mask = b.entries[:n:n], nil, 0
	b.cover(b.entries)
	var lanes uint64
	for i := range back {
		lanes |= 1 << back[i].lane
	}
	s.forget(lanes)
	for _, e := range slices.Backward(back) {
		s.have[e.lane] = e.before()
	}
	if s.p.Factor == 1 {
		s.forgetPending() // what is pending now comes after them
	}
}

// asideLoss sets aside what is given up of a batch, as far as there is room. It reports
// whether that was all of it.
func (s *step) asideLoss(b *batch, kind AsideKind) bool {
	l := b.loss.Loss
	n, k := len(l.Records), 0
	for k < n && s.putAside(b.entries[k:k+1], kind, &l) {
		k++
	}
	if k > 0 {
		s.becomes(ThenParked)
		put := l
		put.Records = l.Records[:k]
		s.do(PutAside{Kind: kind, Shard: s.shard, Loss: put})
	}
	if k < n {
		s.end(b, k)
		b.loss.Records = l.Records[k:]
		return false
	}
	s.endLoss(b, n)
	return true
}

func (s *step) loseLater(b *batch, why string, wait time.Duration) {
	if b.fails == 0 && b.loss.fails == 0 {
		b.since = s.now.Wall
	}
	b.loss.fails++
	b.err = why
	b.loss.retryAt = s.now.Mono + wait
}

// drop ends the records of a loss at the head of their batch.
func (s *step) drop(b *batch, l Loss) {
	s.becomes(ThenDropped)
	s.counters.Dropped += uint64(len(l.Records))
	s.do(Drop{l})
	s.endLoss(b, len(l.Records))
}

func (s *step) endLoss(b *batch, n int) {
	b.loss = nil
	b.renew()
	b.requestID, b.version, b.unhandled = "", "", false
	b.at = s.now.Mono
	s.end(b, n)
}

func (s *step) deliver(b *batch) {
	s.becomes(ThenDelivered)
	b.loss.inFlight = true
	s.do(Deliver{Batch: b.id, Shard: s.shard, Destination: s.p.Destination, Loss: b.loss.Loss})
}

// deliverDue tells destinations again that have failed.
func (s *step) deliverDue() {
	for _, b := range slices.Clone(s.batches) {
		if l := b.loss; l != nil && !l.inFlight && l.retryAt <= s.now.Mono {
			s.conclude(b) // the destination may have been taken away meanwhile
		}
	}
}

func (s *step) delivered(ev Delivered) {
	i := slices.IndexFunc(s.batches, func(b *batch) bool { return b.id == ev.Batch && b.loss != nil && b.loss.inFlight })
	if i < 0 {
		return // stopped meanwhile: the records will come again
	}
	b := s.batches[i]
	l := b.loss
	l.inFlight = false
	if ev.Error == "" || b.applied {
		b.applied = false
		s.counters.Delivered += uint64(len(l.Records))
		s.endLoss(b, len(l.Records))
		return
	}
	s.counters.DestinationFailures++
	l.Error = "the on-failure destination: " + ev.Error
	if !s.asideLoss(b, Telling) {
		s.loseLater(b, s.noRoom(l.Error), backoff(l.fails+1, maxDeliveryBackoff, s.jitter))
		s.putBack(b)
	}
}
