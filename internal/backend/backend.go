package backend

import (
	"context"
	"errors"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Backend is all that the engine asks. All methods may be called by
// several goroutines at once. Everything a method returns is durable: the engine
// never acts on what a crash could take back.
type Backend interface {
	Log

	// Mappings returns every stored mapping with its checkpoints, at start-up, in the order of their creation.
	Mappings(ctx context.Context) ([]Stored, error)

	// CreateMapping stores a definition and its first checkpoints in one batch.
	// For StartLatest mappings the backend itself fills in, under the locks that
	// make it exact, one checkpoint for every present shard (the head of open
	// ones, Done for closed ones), and returns them: a record of a write
	// begun after CreateMapping has returned is above them. With a Snapshot, which it fills in, it keeps the
	// items of the table as they are at the moment of these positions, and Read reads them as the
	// shard SnapshotShard: numbers rise from 1, all below those of the stream's shards.
	CreateMapping(ctx context.Context, m mapping.Definition) (map[string]lane.Checkpoint, error)

	// UpdateMapping replaces a definition; DeleteMapping removes it with its
	// checkpoints and what it has set aside. ErrNoMapping when there is none: a late update does not bring a
	// deleted mapping back.
	UpdateMapping(ctx context.Context, m mapping.Definition) error
	DeleteMapping(ctx context.Context, uuid string) error

	// Reposition stores a move in one batch; ErrNoMapping when the mapping is gone.
	Reposition(ctx context.Context, r Repositioned) error

	// Commit makes progress durable: one batch for all rows, and for the changes of what is
	// set aside, in their order. Rows are whole checkpoints; the engine builds each
	// under its row's lock and never hands two rows of one key to calls that run at once.
	// Nothing of a mapping that has been deleted is stored.
	Commit(ctx context.Context, rows []Row, aside []AsideRows) error

	// Transact makes the writes and messages of a function's answer, or what a queue is told of records that are
	// given up, durable in one batch with a commit as above, or makes none of both. A *Refused says that they
	// cannot be made as they are, and ErrConflict that others were in the way.
	Transact(ctx context.Context, t Transaction) error

	// Aside returns records that a mapping has set aside, at from and after, in order of
	// their keys: at most limit, and about maxBytes of events (at least one when there
	// is one). heads: without the events.
	Aside(ctx context.Context, uuid string, from lane.AsideKey, limit, maxBytes int, heads bool) ([]lane.SetAside, error)
}

// Log is the part of a Backend that reads streams.
type Log interface {
	// ResolveStream checks that the stream of this ARN exists. ErrNoStream otherwise.
	ResolveStream(ctx context.Context, arn string) (Stream, error)

	// Shards lists the shards of a stream that are still inside retention, in
	// creation order (a parent before its children). ErrNoStream when the stream
	// is gone. It is cheap: it reads memory.
	Shards(ctx context.Context, arn string) ([]Shard, error)

	// Read returns durable records of one shard with numbers above after, in
	// order: at most maxRecords and about maxBytes of rendered events (at least
	// one record when there is one). Records are shared between mappings and
	// must not be changed. It never waits for records to come. When the shard is
	// closed and nothing is left above the last returned record, End is true. If
	// records right above after were trimmed before they were read, Missed tells
	// the range (P4: expired). A shard that is gone has ended. Coming tells that records were written above those that
	// are durable: every record that was written before Read began lies at or below the page's last, or is coming.
	Read(ctx context.Context, arn, shard string, after seqnum.Num, maxRecords, maxBytes int) (lane.Page, error)

	// Watch calls wake (without blocking, from any goroutine, never under a lock
	// that Read takes) after new records of the stream have become durable, after
	// its shards changed, and after it disappeared. Wakes may be merged and may
	// be spurious. stop ends it; after stop has returned wake is not called.
	Watch(arn string, wake func()) (stop func())

	// Locate finds a place in a shard. By a record that the shard does not have, Here is false and the rest
	// means nothing. A shard that is gone has no place: the zero Located.
	Locate(ctx context.Context, arn, shard string, at Place) (Located, error)
}

// Stream is what ResolveStream knows.
type Stream struct {
	ARN   string
	Table string
	Scope schema.Scope
}

// Shard is one segment of a stream's log.
type Shard struct {
	ID     string
	Parent string // empty for a root; may name a shard that is gone
	Closed bool
	// Head is the highest durable number, or the starting number's predecessor.
	Head seqnum.Num
	// Records is the cumulative count of records up to Head, and Before the count before the shard's first
	// record, for lag: a child may count on from its parent.
	Records, Before uint64
	// Begin is the position of a mapping that has none of its own in this shard, with Before as its ordinal. Zero: before the
	// first record, wherever that is.
	Begin seqnum.Num
}

// Row is one checkpoint to store.
type Row struct {
	UUID  string
	Shard string
	// WindowEnded: the window that was stored last is over, and Window is nil.
	WindowEnded bool
	lane.Checkpoint
}

// AsideRows are changes of what one mapping has set aside, in their order.
type AsideRows struct {
	UUID    string
	Changes []lane.AsideChange
	With    bool // of a Transaction: its writes are made with these, or not at all
}

// Stored is a definition with its checkpoints by shard id.
type Stored struct {
	mapping.Definition
	Checkpoints map[string]lane.Checkpoint
}

// Transaction is a commit with writes of a function, or with messages.
type Transaction struct {
	Scope    schema.Scope
	Items    []byte  // a list in the form of TransactItems; nil for none
	Messages []byte  // a list of messages in the form of SendMessage requests; nil for none
	Notice   *Notice // nil for none
	Cause    int     // depth of function-made writes that these are
	// Build returns what is committed with the writes. It is called once, when only the commit is left:
	// no function, person or sync is waited for after it. Its error ends the transaction and is returned.
	Build func() ([]Row, []AsideRows, error)
	// Applied is called once the batch is visible, before the wait for its sync. It is not called when nothing was
	// applied, but for a store that has failed, of which nothing is read any more.
	Applied func()
}

// Notice is what a queue of the backend's own is told of records that are given up.
type Notice struct {
	Queue    string // ARN
	Document []byte
}

// Refused says why writes cannot be made; with cancellation reasons, if there are.
type Refused struct{ Why string }

func (r *Refused) Error() string { return r.Why }

// Errors of a Backend.
var (
	ErrConflict  = errors.New("trigger: the writes of a function met others")
	ErrNoStream  = errors.New("trigger: no such stream")
	ErrNoMapping = errors.New("trigger: no such mapping")
	// ErrNoNotice: a queue cannot be told in one commit with anything, and is to be told as others are. Nothing was written.
	ErrNoNotice = errors.New("trigger: the queue is not told in one commit with the records")
	// ErrNoSnapshot: the stream is not the enabled one of a table, so its items are not those of its head.
	ErrNoSnapshot = errors.New("trigger: no snapshot of this stream can be had")
)
