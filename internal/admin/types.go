package admin

import (
	"encoding/json"
	"time"
)

// Version is the answer of the server about itself.
type Version struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Protocol int    `json:"protocol"`
}

// Status is the state of the server.
type Status struct {
	Version    string    `json:"version"`
	Started    time.Time `json:"started"`
	Account    string    `json:"account"`
	Region     string    `json:"region"`
	Durability string    `json:"durability"`
	Data       string    `json:"data"` // the folder; "" when in memory
	Healthy    bool      `json:"healthy"`
	Problem    string    `json:"problem,omitempty"`
	Tables     int       `json:"tables"`
	Functions  int       `json:"functions"`
	Triggers   int       `json:"triggers"`
}

// Trigger is an event source mapping and how far it has got.
type Trigger struct {
	UUID        string `json:"uuid"`
	Account     string `json:"account"`
	Region      string `json:"region"`
	Table       string `json:"table"`
	Function    string `json:"function"`
	StreamARN   string `json:"streamArn"`
	FunctionARN string `json:"functionArn"`

	State      string    `json:"state"`
	Paused     bool      `json:"paused,omitempty"` // enabled, and delivers nothing for now
	LastResult string    `json:"lastResult"`
	Modified   time.Time `json:"modified"`

	LagRecords uint64  `json:"lagRecords"`
	LagSeconds float64 `json:"lagSeconds"`

	BatchSize             int    `json:"batchSize"`
	BatchingWindowSeconds int    `json:"batchingWindowSeconds"`
	ParallelizationFactor int    `json:"parallelizationFactor"`
	StartingPosition      string `json:"startingPosition"`
	MaximumRetryAttempts  int    `json:"maximumRetryAttempts"`    // -1: endless
	MaximumRecordAge      int    `json:"maximumRecordAgeSeconds"` // -1: endless

	Filters               []string `json:"filters,omitempty"`
	When                  string   `json:"when,omitempty"` // a condition on the change that must hold besides
	ReportItemFailures    bool     `json:"reportBatchItemFailures,omitempty"`
	BisectOnError         bool     `json:"bisectBatchOnFunctionError,omitempty"`
	TumblingWindowSeconds int      `json:"tumblingWindowSeconds,omitempty"`
	Destination           string   `json:"onFailureDestination,omitempty"`
	OnFailure             string   `json:"onFailure"` // block-shard, block-key or park

	SetAside SetAside `json:"setAside"`

	Counts Counts         `json:"counts"`
	Shards []TriggerShard `json:"shards,omitempty"`
	// Unread are the newest losses, oldest first.
	Unread []Unread `json:"unread,omitempty"`
}

// Unread is a range of records of a shard that were removed before the trigger had
// read them. Those that it held in memory then may have been handed over after all.
type Unread struct {
	Shard   string    `json:"shard"`
	First   string    `json:"first"`
	Last    string    `json:"last"`
	Records uint64    `json:"records"`
	Reason  string    `json:"reason"` // retention, log cap, stream or skipped
	Removed time.Time `json:"removed"`
}

// Counts count records since the server started, by AWS's names of a mapping's
// metrics, and invocations.
type Counts struct {
	Polled       uint64 `json:"polled"`
	FilteredOut  uint64 `json:"filteredOut"`
	Invoked      uint64 `json:"invoked"`
	FailedInvoke uint64 `json:"failedInvoke"`
	Dropped      uint64 `json:"dropped"`   // given up, and no destination was told
	Delivered    uint64 `json:"delivered"` // given up, and the on-failure destination was told
	Expired      uint64 `json:"expired"`
	Skipped      uint64 `json:"skipped"` // passed by `triggers skip`
	Invocations  uint64 `json:"invocations"`
	Errors       uint64 `json:"errors"`
	NotDelivered uint64 `json:"notDelivered"` // calls that did not reach the function
	Bisected     uint64 `json:"bisected"`     // batches cut in two
	// DestinationFailures counts documents that the destination did not take.
	DestinationFailures uint64 `json:"destinationFailures"`

	Held          uint64 `json:"held"`   // set aside to be retried, or behind such a record of their key
	Parked        uint64 `json:"parked"` // given up and kept for a person
	ParkedExpired uint64 `json:"parkedExpired"`
}

// TriggerShard is a mapping's place in one shard.
type TriggerShard struct {
	Shard      string  `json:"shard"`
	Position   string  `json:"position"`
	LagRecords uint64  `json:"lagRecords"`
	LagSeconds float64 `json:"lagSeconds"`
	Done       bool    `json:"done"` // the shard was closed and all of it has ended
	// WaitsForParent: the records of the shard that it came from are first.
	WaitsForParent bool `json:"waitsForParent"`
	InFlight       int  `json:"inFlight"` // calls of the function under way
	// Error is why the last attempt failed, while it is being retried; Blocked tells
	// more of it.
	Error   string   `json:"error,omitempty"`
	Blocked *Blocked `json:"blocked,omitempty"`
}

// Blocked tells what holds a shard up.
type Blocked struct {
	Since          time.Time `json:"since"`
	SequenceNumber string    `json:"sequenceNumber"` // of the first record of the failing batch
	Records        int       `json:"records"`
	Attempts       int       `json:"attempts"`
	Error          string    `json:"error"`
	RetryAt        time.Time `json:"retryAt"` // zero while an attempt is under way
}

// Change is one stream record, as a Lambda event carries it.
type Change struct {
	Shard  string          `json:"shard"`
	Record json.RawMessage `json:"record"`
}

// LogLine is a line that a function printed.
type LogLine struct {
	Time     time.Time `json:"time"`
	Function string    `json:"function"`
	Text     string    `json:"text"`
}

// Invocation is the answer of a function.
type Invocation struct {
	Error     string          `json:"error,omitempty"` // AWS's kind of a function error
	Payload   json.RawMessage `json:"payload"`
	Log       string          `json:"log"`
	RequestID string          `json:"requestId"`
	Millis    float64         `json:"millis"`
}

// Settled says whether every trigger passed the head of its stream in time.
type Settled struct {
	Settled  bool      `json:"settled"`
	WaitedMS int64     `json:"waitedMs"`
	Behind   []Trigger `json:"behind,omitempty"`
}

// Error is a failure that the server answered with.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Status  int    `json:"-"`
}

func (e *Error) Error() string { return e.Message }
