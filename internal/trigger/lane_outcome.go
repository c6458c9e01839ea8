package trigger

import (
	"cmp"
	"slices"
	"time"
)

// invocationDone takes the end of an invocation in: what of the batch has ended,
// and when the rest is tried again.
func (s *step) invocationDone(ev InvocationDone) {
	if i := slices.IndexFunc(s.abandoned, func(b *batch) bool { return b.id == ev.Batch }); i >= 0 {
		if planted == bugLateCompletion {
			s.markEnded(s.abandoned[i].entries)
			for _, e := range s.abandoned[i].entries {
				s.have[e.lane] = mark{seq: e.seq}
			}
		}
		s.abandoned = slices.Delete(s.abandoned, i, i+1)
		return
	}
	i := slices.IndexFunc(s.batches, func(b *batch) bool { return b.id == ev.Batch && b.inFlight })
	if i < 0 {
		return
	}
	b, r := s.batches[i], ev.Result
	b.inFlight = false
	b.requestID, b.version, b.unhandled = r.RequestID, r.Version, r.Outcome == FunctionError
	n := len(b.entries)
	if r.Outcome == NotDelivered {
		s.counters.NotDelivered++
		s.counters.FailedInvoke += uint64(n)
		s.backOff(b, r.Error, maxThrottleBackoff, r.RetryAfter)
		return
	}
	s.counters.Invocations++
	s.counters.Invoked += uint64(n)
	var v verdict
	if r.Outcome == Succeeded {
		v = judge(b.entries, r.Payload, s.p.ReportFailures, b.window != nil && !b.closing, s.p.ExactlyOnce)
	} else {
		s.counters.Errors++
		v.err = cmp.Or(r.Error, "the function failed")
	}
	if v.err == "" && s.isolates(b) {
		s.timed(b, s.now.Mono-b.sent)
	}
	if v.err == "" && v.transact != nil {
		s.transact(b, v)
		return
	}
	s.judged(b, v)
}

// judged takes in what an answer says of a batch.
func (s *step) judged(b *batch, v verdict) {
	n := len(b.entries)
	switch {
	case v.err == "" && b.closing:
		s.windowClosed(b)
	case v.err == "":
		s.streak, s.pauseUntil = 0, 0
		s.passed(b, v)
	case v.done > 0:
		// Progress: what is left is a batch of its own, with a new budget.
		s.counters.FailedInvoke += uint64(v.named)
		s.passed(b, v)
		b.renew()
		if s.isolates(b) {
			s.failedKey(b, v.err, true)
			return
		}
		s.backOff(b, v.err, maxBackoff, 0)
	default:
		s.counters.FailedInvoke += uint64(n)
		if s.isolates(b) {
			s.failedKey(b, v.err, v.named > 0)
			return
		}
		s.failed(b, v.err)
	}
}

// passed ends the records of a batch that the verdict says are done.
func (s *step) passed(b *batch, v verdict) {
	if b.window != nil {
		s.windowMoved(b, v.done, v.state)
	}
	if planted == bugPartialTooFar && v.done < len(b.entries) {
		v.done++
	}
	s.end(b, v.done)
}

// failed is the failure of a whole batch: it is cut in two, tried again, or given up.
func (s *step) failed(b *batch, why string) {
	if s.p.Bisect && len(b.entries) > 1 {
		s.bisect(b)
	} else if b.attempts++; s.exhausted(b) {
		b.err = why
		s.giveUp(b, len(b.entries), RetryAttemptsExhausted)
		return
	}
	s.backOff(b, why, maxBackoff, 0)
}

// bisect cuts the part that failed in two, of which the first goes first. Cutting costs no attempt, and
// each half has a budget of its own; only a single record uses it up.
func (s *step) bisect(b *batch) {
	s.counters.Bisected++
	half := len(b.entries) / 2
	if planted != bugLostHalf {
		b.rest = append(b.rest, b.entries[half:])
	}
	b.entries = b.entries[:half:half]
	fails := b.fails
	b.renew()
	b.fails = fails
}

// backOff puts the next attempt off.
func (s *step) backOff(b *batch, why string, limit, retryAfter time.Duration) {
	if b.fails == 0 {
		b.since = s.now.Wall
	}
	b.fails++
	b.err = why
	b.retryAt = s.now.Mono + max(backoff(b.fails, limit, s.jitter), min(retryAfter, maxRetryAfter))
}

func (s *step) exhausted(b *batch) bool {
	return s.p.MaxRetries >= 0 && b.attempts > s.p.MaxRetries
}

// tooOld counts the records at the head of the batch that are past
// MaximumRecordAgeInSeconds. Times never decrease within a shard.
func (s *step) tooOld(b *batch) int {
	n := 0
	for n < len(b.entries) && s.past(b.entries[n].rec.Time()) {
		n++
	}
	return n
}

// past reports whether a record of this time is past MaximumRecordAgeInSeconds.
func (s *step) past(ms int64) bool {
	return s.p.MaxAge >= 0 && !s.now.NoAgeing && s.now.Wall-ms > s.p.MaxAge.Milliseconds()
}
