// Package awserr is the one home of AWS's error values: the type, and one
// constructor per AWS text. Rooms return these; the doors of the protocols
// (api/dynamodb, api/streams, api/lambda) put them on the wire.
//
// It imports nothing of the project.
package awserr

import (
	"iter"
	"net/http"
	"strconv"
	"time"
)

// Error is an AWS error. It is a value to be returned and never changed after.
type Error struct {
	// Code is the type as clients switch on it, such as
	// "ConditionalCheckFailedException".
	Code string
	// Message is AWS's text; it may be empty where AWS sends none.
	Message string
	// Status is the HTTP status; 0 means 400.
	Status int
	// Item is the binary form (package item) of the stored item that a failed
	// condition returns on request; nil when absent. The door renders it.
	Item []byte
	// Lower: the text's member is "message" although that of the code is "Message", as SearchVectors has it.
	Lower bool
	// Hashed: the sets of numbers in Item are shown in Java's order, as PartiQL does.
	Hashed bool
	// Reasons are the cancellation reasons of a transaction, in order.
	Reasons []Reason
	// RetryAfter, when above 0, is how long the caller should stay away.
	RetryAfter time.Duration
	// ThrottlingReasons say what a throttled request has exceeded.
	ThrottlingReasons []ThrottlingReason
	// Reason is Lambda's throttling reason, such as
	// "ReservedFunctionConcurrentInvocationLimitExceeded".
	Reason string

	cause error // for errors.Is, see WhenFull
}

// Unwrap returns what the error comes from where callers tell it apart, nil elsewhere.
func (e *Error) Unwrap() error { return e.cause }

// ThrottlingReason is one entry of ThrottlingException.throttlingReasons.
type ThrottlingReason struct {
	Reason   string `json:"reason"`   // such as "TableWriteAccountLimitExceeded"
	Resource string `json:"resource"` // an ARN
}

// SetRetryAfter tells the wait as SDKs read it: x-amz-retry-after in milliseconds, and
// Retry-After in whole seconds.
func (e *Error) SetRetryAfter(h http.Header) {
	for name, value := range e.RetryHeaders() {
		h.Set(name, value)
	}
}

// RetryHeaders yields the headers that SetRetryAfter sets.
func (e *Error) RetryHeaders() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if e.RetryAfter <= 0 {
			return
		}
		in := func(unit time.Duration) string { return strconv.FormatInt(int64((e.RetryAfter+unit-1)/unit), 10) }
		_ = yield("x-amz-retry-after", in(time.Millisecond)) && yield("Retry-After", in(time.Second))
	}
}

// Reason is one entry of TransactionCanceledException.CancellationReasons.
type Reason struct {
	Code    string // "None", "ConditionalCheckFailed", ...
	Message string
	Item    []byte
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// HTTPStatus returns the status to answer with.
func (e *Error) HTTPStatus() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Validation returns a ValidationException with AWS's text as it is.
func Validation(text string) *Error { return &Error{Code: "ValidationException", Message: text} }

// InvalidParameter returns a ValidationException with the prefix that AWS puts
// before most of its checks of values.
func InvalidParameter(text string) *Error {
	return Validation("One or more parameter values were invalid: " + text)
}

// Serialization returns a SerializationException. An empty text stands for
// malformed JSON, for which AWS sends no message.
func Serialization(text string) *Error {
	return &Error{Code: "SerializationException", Message: text}
}

// Internal returns the error for a fault of the server itself. The cause is
// for the log; the client sees AWS's generic text.
func Internal() *Error {
	return &Error{Code: "InternalServerError", Message: "The request processing has failed because of an unknown error, exception or failure.", Status: http.StatusInternalServerError}
}
