package lane

import "time"

// Failure is a call that has failed, or some of whose records have.
type Failure struct {
	FunctionARN string
	RequestID   string // of the call; may be empty
	Error       string
	// Records counts those of the call, Failed those that its answer names, or all. First is the first that failed; nil
	// for the closing call of a window.
	Records, Failed int
	First           Record
	// Undelivered: the call has not reached the function, and no attempt was used.
	Undelivered bool
	// Attempt counts from 1 what was used of the attempts of these records, with this one; Of is how many there are, 0
	// when they have no end or this one does not count, since the batch was cut. Calls counts the calls.
	Attempt, Of, Calls int
	Then               Then
	RetryAt            time.Duration // with Again; Instant.Mono
}

// Then is what becomes of records after a call has failed on them.
type Then byte

// The values.
const (
	ThenAgain     Then = iota // they are tried again
	ThenCut                   // the batch is cut in two, and its parts are tried
	ThenHeld                  // they are tried again on their own, set aside
	ThenRefused               // changed filters do not want them any more
	ThenDropped               // given up, and nobody is told
	ThenDelivered             // given up; the on-failure destination is told
	ThenParked                // given up, and kept for a person
)

// String is a word or two for people.
func (t Then) String() string {
	return [...]string{"tried again", "cut in two", "held", "filtered out", "dropped", "destination", "parked"}[t]
}

// GivenUp reports whether records are not tried again.
func (t Then) GivenUp() bool { return t >= ThenDropped }

// failure describes a failure of a batch, before what follows it.
func (s *step) failure(b *batch, v verdict) Failure {
	n := len(b.entries)
	f := Failure{FunctionARN: s.p.FunctionARN, RequestID: b.requestID, Error: v.err, Records: n, Failed: n, Attempt: b.attempts + 1, Calls: b.calls}
	if v.named > 0 {
		f.Failed = v.named
	}
	if v.done < n {
		f.First = b.entries[v.done].rec
	}
	cuts := n > 1 && (s.p.Bisect || s.isolates(b)) && v.named == 0
	if s.p.MaxRetries >= 0 && !cuts {
		f.Of = s.p.MaxRetries + 1
	}
	return f
}

// becomes notes what becomes of the records of the batch at hand. What is given up counts for more than what goes on.
func (s *step) becomes(t Then) { s.then = max(s.then, t) }

// report tells of a failure, and of what follows it.
func (s *step) report(b *batch, f Failure) {
	f.Then = s.then
	if f.Then == ThenAgain {
		f.RetryAt = b.at
	}
	s.do(CallFailed{Shard: s.shard, Failure: f})
}
