package wire

import (
	"encoding/json"
	"time"
)

// ActivityKind says what happened.
type ActivityKind string

// The kinds.
const (
	Request ActivityKind = "request" // to the front door; Name is "METHOD /path"
	Call    ActivityKind = "call"    // of a function; Name is the function's
	Write   ActivityKind = "write"   // to a table, or messages to a queue; Name is the operation
	// MissedEvents: so many events (Records) came faster than they were read, and are left out.
	MissedEvents ActivityKind = "missed"
	Judged       ActivityKind = "judged" // a trigger's call with that ID has failed, or records of it have; Verdict says what follows
)

// Activity is something that the server did: it has ended.
type Activity struct {
	Kind   ActivityKind `json:"kind"`
	ID     string       `json:"id,omitempty"` // of a request, or a call's request id
	By     string       `json:"by,omitempty"` // ID of what caused it; empty: somebody outside
	Name   string       `json:"name"`
	Began  time.Time    `json:"began"`
	Millis float64      `json:"millis"`
	// Status is the HTTP status of a request or a write, 0 for a call.
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
	// Log is what the function printed in the call, at most the last 4 KB.
	Log string `json:"log,omitempty"`
	// Answer is a call's error document.
	Answer json.RawMessage `json:"answer,omitempty"`
	// Changes are the records that a trigger's call was given, at most the first 100;
	// Records counts all.
	Changes []CalledFor `json:"changes,omitempty"`
	Records int         `json:"records,omitempty"`
	// Failed are the sequence numbers that the answer to a trigger's call names as failed
	// (batchItemFailures), at most 100. They count only for a mapping that reports item failures.
	Failed  []string `json:"failed,omitempty"`
	Verdict *Verdict `json:"verdict,omitempty"`
	// Sent are the ids of the messages that a write has sent, at most 10.
	Sent []string `json:"sent,omitempty"`
	// Body is a write's request, when it is not too long.
	Body json.RawMessage `json:"body,omitempty"`
}

// Verdict is what a trigger makes of a call that failed, or of whose records some did.
type Verdict struct {
	Failed int `json:"failed"` // records
	// Attempt counts from 1, of as many as there are; Of is 0 when they have no end, or when this one does not count.
	Attempt int `json:"attempt"`
	Of      int `json:"of,omitempty"`
	// Then is what becomes of the records: "tried again", "cut in two", "held", "filtered out", and when they are given up
	// "dropped", "destination" or "parked".
	Then    string    `json:"then"`
	GivenUp bool      `json:"givenUp,omitempty"`
	RetryAt time.Time `json:"retryAt,omitzero"`
}

// CalledFor is a stream record, or a message of a queue, that a function was called for.
type CalledFor struct {
	Queue          string          `json:"queue,omitempty"`   // of a message, which has no other member but
	Message        string          `json:"message,omitempty"` // its id
	Table          string          `json:"table"`
	Event          string          `json:"event"` // INSERT, MODIFY or REMOVE
	Keys           json.RawMessage `json:"keys"`
	SequenceNumber string          `json:"sequenceNumber,omitempty"`
}
