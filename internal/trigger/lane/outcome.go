package lane

import (
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// invocationDone decides at the end of an invocation what of the batch has ended,
// and when the rest is tried again.
func (s *step) invocationDone(ev *InvocationDone) {
	if i := slices.IndexFunc(s.abandoned, func(b *batch) bool { return b.id == ev.Batch }); i >= 0 {
		s.abandoned = slices.Delete(s.abandoned, i, i+1)
		return
	}
	i := slices.IndexFunc(s.batches, func(b *batch) bool { return b.id == ev.Batch && b.inFlight })
	if i < 0 {
		return
	}
	b, r := s.batches[i], &ev.Result
	b.inFlight = false
	b.requestID, b.version, b.unhandled = r.RequestID, r.Version, r.Outcome == FunctionError
	v, reached := s.p.answered(&s.counters, r, b, b.window != nil && !b.closing, s.now.Mono-b.sent)
	if !reached {
		s.undelivered(b, r)
		return
	}
	if v.err == "" && s.isolates(b) {
		s.timed(b, s.now.Mono-b.sent)
	}
	if v.err == "" && v.writes.any() {
		s.transact(b, v)
		return
	}
	s.judged(b, v)
}

// judged goes on with a batch as its answer says.
func (s *step) judged(b *batch, v verdict) {
	switch {
	case v.err == "" && b.closing:
		s.windowClosed(b)
	case v.err == "":
		s.streak, s.pauseUntil = 0, 0
		s.passed(b, v)
	default:
		s.judgedFailed(b, v)
	}
}

// undelivered puts a batch off whose call has not reached the function.
//
//go:noinline
func (s *step) undelivered(b *batch, r *Result) {
	f := s.failure(b, verdict{err: r.Error})
	f.Undelivered, s.then = true, ThenAgain
	s.backOff(b, r.Error, maxThrottleBackoff, r.RetryAfter)
	if !r.Withdrawn {
		s.report(b, f)
	}
}

// judgedFailed is judged for a batch of which something has failed. Like undelivered it is no part of its caller, whose
// need of the stack would be that of what seldom happens.
//
//go:noinline
func (s *step) judgedFailed(b *batch, v verdict) {
	if !b.unhandled {
		s.counters.PartialFailures++
	}
	f := s.failure(b, v)
	s.then = ThenAgain
	s.goesOn(b, v)
	s.report(b, f)
}

// goesOn tries what has failed again, or gives it up.
func (s *step) goesOn(b *batch, v verdict) {
	if v.done > 0 {
		// Progress: what is left is a batch of its own, with a new budget.
		s.counters.FailedInvoke += uint64(v.named)
		s.passed(b, v)
		b.renew()
		switch {
		case s.judgeAgain(b):
		case s.isolates(b):
			s.failedKey(b, v.err, true)
		default:
			s.backOff(b, v.err, maxBackoff, 0)
		}
		return
	}
	s.counters.FailedInvoke += uint64(len(b.entries))
	switch {
	case s.judgeAgain(b):
	case s.isolates(b):
		s.failedKey(b, v.err, v.named > 0)
	default:
		s.failed(b, v.err)
	}
}

// passed ends the records of a batch that the verdict says are done.
func (s *step) passed(b *batch, v verdict) {
	if b.window != nil {
		s.windowMoved(b, v.done, v.state)
	}
	s.end(b, v.done)
}

// failed is the failure of a whole batch: it is cut in two, tried again, or given up.
func (s *step) failed(b *batch, why string) {
	if s.p.Bisect && len(b.entries) > 1 {
		s.bisect(b)
	} else if b.attempts++; s.p.exhausted(&b.budget) {
		b.err = why
		s.giveUp(b, len(b.entries), RetryAttemptsExhausted)
		return
	}
	s.backOff(b, why, maxBackoff, 0)
}

// bisect cuts the part that failed in two, of which the first goes first. Cutting costs no attempt, and
// each half has a budget of its own; only a single record uses it up.
func (s *step) bisect(b *batch) {
	s.becomes(ThenCut)
	s.counters.Bisected++
	half := len(b.entries) / 2
	b.rest = append(b.rest, b.entries[half:])
	b.entries = b.entries[:half:half]
	fails := b.fails
	b.renew()
	b.fails = fails
}

func (b *batch) count() int           { return len(b.entries) }
func (b *batch) seq(i int) seqnum.Num { return b.entries[i].seq }

// backOff puts the batch's next attempt off.
func (s *step) backOff(b *batch, why string, limit, retryAfter time.Duration) {
	b.putOff(s.now, why, limit, retryAfter, s.jitter)
}

// tooOld counts the records at the head of the batch that are past
// MaximumRecordAgeInSeconds. Times never decrease within a shard.
func (s *step) tooOld(b *batch) int {
	n := 0
	for n < len(b.entries) && s.p.tooOld(s.now, b.entries[n].rec.Time()) {
		n++
	}
	return n
}
