package wire

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/millstreamdb/millstream/internal/counter"
)

// Trigger is an event source mapping and how far it has got.
type Trigger struct {
	UUID        string `json:"uuid"`
	Account     string `json:"account"`
	Region      string `json:"region"`
	Table       string `json:"table"`
	Queue       string `json:"queue,omitempty"` // of a mapping on a queue, which has no table
	Function    string `json:"function"`        // its name
	StreamARN   string `json:"streamArn"`
	FunctionARN string `json:"functionArn"`

	State      string    `json:"state"`              // as AWS calls it: Enabled, Disabled, ...
	Paused     bool      `json:"paused,omitempty"`   // enabled, and delivers nothing for now
	Restored   bool      `json:"restored,omitempty"` // it delivers nothing, as all others, since the server's folder was restored
	LastResult string    `json:"lastResult"`         // LastProcessingResult
	Modified   time.Time `json:"modified"`

	LagRecords uint64  `json:"lagRecords"` // durable records that have not ended
	LagSeconds float64 `json:"lagSeconds"` // age of the oldest of them, else 0

	BatchSize             int    `json:"batchSize"`
	BatchingWindowSeconds int    `json:"batchingWindowSeconds"`
	ParallelizationFactor int    `json:"parallelizationFactor"`
	StartingPosition      string `json:"startingPosition"`
	MaximumRetryAttempts  int    `json:"maximumRetryAttempts"`    // -1: endless
	MaximumRecordAge      int    `json:"maximumRecordAgeSeconds"` // -1: endless

	// FilterWarnings say which filters can never match, and why.
	FilterWarnings        []string `json:"filterWarnings,omitempty"`
	Filters               []string `json:"filters,omitempty"`
	When                  string   `json:"when,omitempty"` // a condition on the change that must hold besides
	ReportItemFailures    bool     `json:"reportBatchItemFailures,omitempty"`
	BisectOnError         bool     `json:"bisectBatchOnFunctionError,omitempty"`
	TumblingWindowSeconds int      `json:"tumblingWindowSeconds,omitempty"`
	Destination           string   `json:"onFailureDestination,omitempty"`
	OnFailure             string   `json:"onFailure"` // block-shard, block-key or park

	// InFlight and Error are of a mapping on a queue, which has no shards: calls under way, and why the newest one failed.
	InFlight int    `json:"inFlight,omitempty"`
	Error    string `json:"error,omitempty"`

	SetAside SetAside `json:"setAside"`

	Counts Counts         `json:"counts"` // since the server started
	Shards []TriggerShard `json:"shards,omitempty"`
	// Node is the name of the node that works its stream, of several over one server's tables. Unknown says why nothing is told of its lag, counts and
	// shards: the node does not answer, or there is none.
	Node    string `json:"node,omitempty"`
	Unknown string `json:"unknown,omitempty"`
	// Unread are the newest losses, oldest first.
	Unread []Unread `json:"unread,omitempty"`
	// Notes are the newest of what people have dropped or given up, oldest first.
	Notes []Noted `json:"notes,omitempty"`
}

// Source is the name of the table or queue.
func (t *Trigger) Source() string { return cmp.Or(t.Table, t.Queue) }

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

// Counts count records and calls; package counter lists them.
type Counts = counter.Mapping

// TriggerShard is a mapping's place in one shard.
type TriggerShard struct {
	Shard      string  `json:"shard"`
	Position   string  `json:"position"` // every record up to this number has ended
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
	// Keys are that record's item's, in DynamoDB's JSON; absent when they are not known.
	Keys     json.RawMessage `json:"keys,omitempty"`
	Records  int             `json:"records"`
	Attempts int             `json:"attempts"`
	Error    string          `json:"error"`
	RetryAt  time.Time       `json:"retryAt"` // zero while an attempt is under way
}

// Resumed answers a person's word that a restored folder is to go on.
type Resumed struct {
	Restored bool      `json:"restored"` // it was held until then; false: nothing was
	Triggers []Trigger `json:"triggers"` // all that there are, as they are then
}
