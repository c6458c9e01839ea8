package admin

import (
	"context"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
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

	Status(ctx context.Context) (wire.Status, error)

	// Triggers lists the event source mappings of all scopes. Shards may be left
	// out.
	Triggers(ctx context.Context) ([]wire.Trigger, error)
	// Trigger returns one with its shards; an *Error with code NotFound when there
	// is none.
	Trigger(ctx context.Context, uuid string) (wire.Trigger, error)

	// Tail calls emit for every durable record of a stream, in order within each
	// shard, as it comes, until ctx ends, emit fails or the stream is gone. ready is
	// called once when every record that becomes durable from then on will be seen.
	Tail(ctx context.Context, q TailQuery, ready func(), emit func(wire.Change) error) error

	// Logs calls emit for the newest q.Lines lines of a function, or of all
	// functions when q.Function is empty, and with q.Follow for those that follow.
	// ready is called once when no later line will be missed.
	Logs(ctx context.Context, q LogsQuery, ready func(), emit func(wire.LogLine) error) error

	// Settle returns when every enabled mapping has passed the head that its stream
	// had at the call, or with those that have not when ctx ends.
	Settle(ctx context.Context) (behind []wire.Trigger, err error)

	// Invoke runs a function once and waits for its answer.
	Invoke(ctx context.Context, scope schema.Scope, function string, event []byte) (wire.Invocation, error)
}

// TailQuery names a stream by its table or its ARN.
type TailQuery struct {
	Scope   schema.Scope
	Table   string
	Stream  string
	Horizon bool // from the oldest record on, not the next
}

// LogsQuery names a function, or all of a scope.
type LogsQuery struct {
	Scope    schema.Scope
	Function string
	Lines    int
	Follow   bool
}
