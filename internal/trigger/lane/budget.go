package lane

import (
	"cmp"
	"time"
)

// trouble is a run of failures: what fails, since when, and when it is tried again.
type trouble struct {
	fails int           // in a row, for the backoff
	since int64         // wall time of the first of them
	err   string        // of the newest
	at    time.Duration // not before
}

// putOff notes a failure, and puts the next attempt off: by the backoff, which ends at limit, or
// for as long as the receiver has asked for.
func (t *trouble) putOff(now Instant, why string, limit, retryAfter time.Duration, jitter func() float64) {
	if t.fails == 0 {
		t.since = now.Wall
	}
	t.fails++
	t.err = why
	t.at = now.Mono + max(backoff(t.fails, limit, jitter), min(retryAfter, maxRetryAfter))
}

// budget is what has been used of the attempts of records that are sent together: of a part of a batch, or of the
// first row of a held key.
type budget struct {
	attempts int // deliveries that counted, for MaximumRetryAttempts
	trouble
}

// exhausted reports whether records have had all attempts that the mapping gives them.
func (p *Params) exhausted(b *budget) bool {
	return p.MaxRetries >= 0 && b.attempts > p.MaxRetries
}

// tooOld reports whether a record of this time is past MaximumRecordAgeInSeconds.
func (p *Params) tooOld(now Instant, ms int64) bool {
	return p.MaxAge >= 0 && !now.NoAgeing && now.Wall-ms > p.MaxAge.Milliseconds()
}

// answered reads the end of an invocation of records, and counts it. reached is false
// when the call has not reached the function: then there is no verdict, and no attempt is used.
// windowed: the answer is to carry a window's state. took is how long the call has been away.
func (p *Params) answered(c *Counters, r *Result, records sent, windowed bool, took time.Duration) (v verdict, reached bool) {
	n := records.count()
	if r.Outcome == NotDelivered {
		c.NotDelivered++
		c.FailedInvoke += uint64(n)
		return v, false
	}
	c.Invocations++
	c.CallTimes.Add(took)
	c.Invoked += uint64(n)
	if r.Outcome == Succeeded {
		return judge(records, r.Payload, p.ReportFailures, windowed, p.ExactlyOnce), true
	}
	c.Errors++
	return verdict{err: cmp.Or(r.Error, "the function failed")}, true
}
