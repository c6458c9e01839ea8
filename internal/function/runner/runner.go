// Package runner is what package function and the ways to run a function agree
// on: what is to be run, one call of it, and what came of it. It imports nothing
// of the project but the scope and the form of ARNs.
package runner

import (
	"context"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/schema"
)

const (
	// MaxResponse is the longest answer of a function in bytes.
	MaxResponse = 6291556
	// MaxStreamed is the longest streamed answer.
	MaxStreamed = 200 << 20
)

// Latest is the version that a function's changes go to.
const Latest = arn.Latest

// Spec is one revision of a function, as a runner needs it. It never changes.
type Spec struct {
	Scope    schema.Scope
	Name     string
	ARN      string // unqualified
	Version  string // a number, or Latest
	Revision string
	Handler  string
	Runtime  string   // of AWS's names; "" for HTTP functions
	URL      string   // of HTTP functions
	CodeDir  string   // unpacked package of process functions
	Layers   []string // unpacked layers, in their order
	Timeout  time.Duration
	MemoryMB int
	// EphemeralMB is the size of /tmp, where functions have one of their own.
	EphemeralMB int
	Env         map[string]string // the user's variables
	LogGroup    string
	LogJSON     bool
	// Note returns what the log of a call that failed or timed out is to say; "": nothing. nil: nothing too. It may take
	// long the first time.
	Note func() string
	// AppLevel and SystemLevel are the lowest levels that are logged, with LogJSON; empty: INFO.
	AppLevel, SystemLevel string
}

// Call is one invocation.
type Call struct {
	RequestID     string
	ARN           string // as invoked, with a qualifier if one was given
	Payload       []byte
	ClientContext string // decoded JSON, may be empty
	TraceID       string // X-Ray's trace header
	// Tail says that the result is to have the end of the log; it then waits until the function
	// asks for its next event, or a moment.
	Tail bool
	// Stream takes an answer that the function streams; nil: it is gathered in Payload.
	Stream Stream
	// Late, when it is closed, takes back a call that still waits for a process: it is then throttled. nil: never.
	Late <-chan struct{}
}

// Stream takes an answer piece by piece, from one goroutine. A Write that fails says that nobody
// reads any more: what the function still writes is then dropped.
type Stream interface {
	// Begin is called once, before anything is written, with the answer's content type.
	Begin(contentType string)
	Write(piece []byte) (int, error)
}

// Status says what came of a call.
type Status byte

const (
	// OK: the function answered with Payload.
	OK Status = iota
	// Failed: the function ran, or tried to start, and failed; Payload is the
	// error document.
	Failed
	// NotDelivered: the function cannot have seen the event.
	NotDelivered
	// Unknown: the caller's context ended first; the function may still be running.
	Unknown
)

// Result is what came of one call.
type Result struct {
	Status  Status
	Payload []byte
	// Replaced: not delivered because the runner was closed; a newer one may do it.
	Replaced bool
	// Throttled: not delivered because the receiver said that it is busy.
	Throttled  bool
	RetryAfter time.Duration // what a busy receiver asked for
	// Err tells people why, for every status but OK.
	Err string
	// LogTail is the end of this call's log, at most 4 KB, if it was asked for.
	LogTail []byte
	// Streamed: the answer went to the call's Stream, up to a failure if there was one.
	Streamed bool
}

// Runner runs one revision of a function. Its methods may be called by many
// goroutines at once.
type Runner interface {
	// Invoke runs the function once. The payload is not used after it returns,
	// except with Status Unknown. done, unless nil, is called once when the
	// function has really ended, which is later than the return when ctx ended first.
	Invoke(ctx context.Context, c Call, done func()) Result
	// SetLimit tells how many calls may run at once.
	SetLimit(n int)
	// Close takes no more calls, frees what is idle at once, lets running calls
	// end, and returns when all is freed. Kill does the same but ends running
	// calls now; it may follow a Close that still waits.
	Close()
	Kill()
}

// ErrorPayload returns Lambda's error document.
func ErrorPayload(errorType, message string) []byte {
	b := make([]byte, 0, 40+len(errorType)+len(message))
	b = append(b, `{"errorType":`...)
	b = AppendJSONString(b, errorType)
	b = append(b, `,"errorMessage":`...)
	b = AppendJSONString(b, message)
	return append(b, '}')
}

// TimeoutPayload is the error document of a call that ran out of time.
func TimeoutPayload(requestID string, timeout time.Duration) []byte {
	return ErrorPayload("Sandbox.Timedout", "RequestId: "+requestID+" Error: "+TimeoutText(timeout))
}

// TimeoutText is AWS's text for a call that ran out of time.
func TimeoutText(timeout time.Duration) string {
	return "Task timed out after " + strconv.FormatFloat(timeout.Seconds(), 'f', 2, 64) + " seconds"
}

// TooLargePayload is the error document of an over-long answer.
func TooLargePayload() []byte {
	return []byte(`{"errorMessage":"Response payload size exceeded maximum allowed payload size (` +
		strconv.Itoa(MaxResponse) + ` bytes).","errorType":"Function.ResponseSizeTooLarge"}`)
}
