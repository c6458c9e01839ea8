package wire

import (
	"encoding/json"
	"time"
)

// Passed tells what the triggers of a stream have made of one of its records.
type Passed struct {
	Shard    string    `json:"shard"`
	Triggers []Outcome `json:"triggers"`
}

// Outcome is what one trigger has made of a record.
type Outcome struct {
	UUID     string `json:"uuid"`
	Function string `json:"function"`
	// Outcome is one of: waits (for its turn), fails (it is tried again, and what comes after it waits), taken, filtered out (by the
	// filters as they are now), held, telling, parked, dropped, destination (given up, and the on-failure destination was told), skipped,
	// removed (before the trigger read it), ended (before the server's start: how is not known any more).
	Outcome string `json:"outcome"`
	// Reason and Error say why it was not taken; Attempts counts the calls that failed with it.
	Reason   string `json:"reason,omitempty"`
	Error    string `json:"error,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
}

// FailedCall is a call of a trigger's function that has failed, or some of whose records have.
type FailedCall struct {
	At        time.Time `json:"at"`
	RequestID string    `json:"requestId,omitempty"`
	Error     string    `json:"error"`
	Records   int       `json:"records"` // of the call
	// SequenceNumber and Keys are of the first record that failed.
	SequenceNumber string          `json:"sequenceNumber,omitempty"`
	Keys           json.RawMessage `json:"keys,omitempty"`
	Verdict
}

// Noted is what a person has done to records that a trigger had set aside.
type Noted struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"` // dropped or given up
	Records int       `json:"records"`
	Reason  string    `json:"reason,omitempty"`
}
