package lane

import "time"

// Outcome is how an invocation ended (reference event-source-mapping §4.2).
type Outcome byte

// The outcomes.
const (
	Succeeded     Outcome = iota // the function returned
	FunctionError                // the function failed: it counts as an attempt
	NotDelivered                 // throttle, no function, service fault: no attempt
)

// Result is what came of one invocation.
type Result struct {
	Outcome Outcome
	Payload []byte // the function's answer or error document
	Error   string // for people: why it failed
	// RetryAfter is the wait that the receiver asked for, with NotDelivered.
	RetryAfter time.Duration
	// Withdrawn: NotDelivered because the engine made no call or ended it, which is nobody's failure.
	Withdrawn bool
	RequestID string
	Version   string // of the function that ran; empty: $LATEST
}
