package lane

import "time"

// Waits between attempts. AWS does not document its schedule; the one recorded
// data point (8 invocations within a record age limit of 60 s) fits a start of
// half a second, doubled each time, with jitter.
const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = time.Minute
	// What did not reach the function is tried again sooner: it costs the
	// function nothing, and a concurrency limit frees without notice.
	maxThrottleBackoff = 10 * time.Second
	maxRetryAfter      = 15 * time.Minute
	maxReadBackoff     = 30 * time.Second
)

// ReadBackoff is the wait after so many failures in a row (1 or more) to read or to store.
func ReadBackoff(fails int, jitter func() float64) time.Duration {
	return backoff(fails, maxReadBackoff, jitter)
}

// backoff is the wait after so many failures in a row (1 or more): half of it
// fixed, half random.
func backoff(fails int, limit time.Duration, jitter func() float64) time.Duration {
	d := limit
	if shift := fails - 1; shift < 16 {
		d = min(limit, firstBackoff<<shift)
	}
	return d/2 + time.Duration(jitter()*float64(d/2))
}
