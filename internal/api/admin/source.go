package admin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Source is what the protocol needs of the server. Its methods may be called by
// many goroutines at once. Errors that are an *Error reach the caller as they are;
// others are logged, and answered as internal.
type Source interface {
	ShardSource
	ParkedSource
	MoveSource
	ClockSource

	// Activity calls emit for every request to the front door, call of a function and write that ends from ready on,
	// until ctx ends or emit fails.
	Activity(ctx context.Context, ready func(), emit func(activity.Event) error) error

	Status(ctx context.Context) (Status, error)

	// Triggers lists the event source mappings of all scopes. Shards may be left
	// out.
	Triggers(ctx context.Context) ([]Trigger, error)
	// Trigger returns one with its shards; an *Error with code NotFound when there
	// is none.
	Trigger(ctx context.Context, uuid string) (Trigger, error)

	// Tail calls emit for every durable record of a stream, in order within each
	// shard, as it comes, until ctx ends, emit fails or the stream is gone. ready is
	// called once when every record that becomes durable from then on will be seen.
	Tail(ctx context.Context, q TailQuery, ready func(), emit func(Change) error) error

	// Logs calls emit for the newest q.Lines lines of a function, or of all
	// functions when q.Function is empty, and with q.Follow for those that follow.
	// ready is called once when no later line will be missed.
	Logs(ctx context.Context, q LogsQuery, ready func(), emit func(LogLine) error) error

	// Settle returns when every enabled mapping has passed the head that its stream
	// had at the call, or with those that have not when ctx ends.
	Settle(ctx context.Context) (behind []Trigger, err error)

	// Invoke runs a function once and waits for its answer.
	Invoke(ctx context.Context, scope schema.Scope, function string, event []byte) (Invocation, error)
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
	Problem    string    `json:"problem,omitempty"` // why it is not healthy
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
	Function    string `json:"function"` // its name
	StreamARN   string `json:"streamArn"`
	FunctionARN string `json:"functionArn"`

	State      string    `json:"state"`            // as AWS calls it: Enabled, Disabled, ...
	Paused     bool      `json:"paused,omitempty"` // enabled, and delivers nothing for now
	LastResult string    `json:"lastResult"`       // LastProcessingResult
	Modified   time.Time `json:"modified"`

	LagRecords uint64  `json:"lagRecords"` // durable records that have not ended
	LagSeconds float64 `json:"lagSeconds"` // age of the oldest of them, else 0

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

	Counts Counts         `json:"counts"` // since the server started
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

// Counts count records, by AWS's names of a mapping's metrics, and invocations.
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
	Records        int       `json:"records"`
	Attempts       int       `json:"attempts"`
	Error          string    `json:"error"`
	RetryAt        time.Time `json:"retryAt"` // zero while an attempt is under way
}

// TailQuery names a stream by its table or its ARN.
type TailQuery struct {
	Scope   schema.Scope
	Table   string
	Stream  string
	Horizon bool // from the oldest record on, not the next
}

// Change is one stream record.
type Change struct {
	Shard  string          `json:"shard"`
	Record json.RawMessage `json:"record"` // as a Lambda event carries it
}

// LogsQuery names a function, or all of a scope.
type LogsQuery struct {
	Scope    schema.Scope
	Function string
	Lines    int
	Follow   bool
}

// LogLine is a line that a function printed.
type LogLine struct {
	Time     time.Time `json:"time"`
	Function string    `json:"function"`
	Text     string    `json:"text"`
}

// Invocation is the answer of a function.
type Invocation struct {
	// Error is AWS's kind of a function error ("Unhandled"), "" for success.
	Error string `json:"error,omitempty"`
	// Payload is the function's answer or its error document, as text when it is
	// not JSON.
	Payload json.RawMessage `json:"payload"`
	// Log is the end of what it printed, at most 4 KB.
	Log       string  `json:"log"`
	RequestID string  `json:"requestId"`
	Millis    float64 `json:"millis"`
}

// Settled is the answer of settle.
type Settled struct {
	Settled  bool      `json:"settled"`
	WaitedMS int64     `json:"waitedMs"`
	Behind   []Trigger `json:"behind,omitempty"`
}

// Error is a failure as the protocol shows it.
type Error struct {
	Code    string `json:"code"` // NotFound, BadRequest, ... : for programs
	Message string `json:"message"`
	Status  int    `json:"-"`
}

func (e *Error) Error() string { return e.Message }

// NotFound says that what was named does not exist.
func NotFound(message string) *Error { return &Error{"NotFound", message, 404} }

// BadRequest says what is wrong with the request.
func BadRequest(message string) *Error { return &Error{"BadRequest", message, 400} }
