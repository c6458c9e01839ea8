package table

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trace"
)

// DB is all tables of a database. Safe for concurrent use. Its methods return
// *awserr.Error for what AWS has an error for, and other errors for faults of the
// store, after which nothing more is answered.
type DB struct {
	store   *store.Store
	streams *stream.Streams
	now     func() time.Time
	log     *slog.Logger
	delay   int64         // of statuses, in ms
	refused atomic.Uint64 // writes, for lack of disk space

	stripes [stripeCount]stripe
	tokens  runningTokens
	fill    chan struct{} // wakes the back-fill; holds one

	moments  moments       // of changes, see recovery.go
	telling  sync.Mutex    // held while a moment that is told is stored; guards toldKept
	toldKept int64         // the newest that is
	undone   atomic.Uint64 // rows put into recovery logs since Open
	deleting Deleting      // of OnDelete; nil: nobody asks

	foldFrom, checkMost int // the constants of these names

	tagsChanged func(streamARN string) // of Options
	tracer      trace.Tracer           // of Options

	control sync.Mutex                           // see the package comment
	nextID  uint64                               // guarded by control
	tables  atomic.Pointer[map[tableName]*Table] // replaced as a whole under control
	leaving atomic.Pointer[map[tableName]*leavingTable]
}

type tableName struct {
	schema.Scope
	name string
}

// Table is one table. Its descriptor and its list of partitions are swapped under
// mu, held exclusively.
type Table struct {
	id    uint64
	mu    sync.RWMutex
	desc  atomic.Pointer[descriptor]
	parts []*partition // by number

	replacing replacing
	// made is the commit that made the table; nil when it was loaded.
	made *store.Commit
	// ending is set, under mu, before the batch that removes the table is applied:
	// who reads without mu and then finds it unset has seen no part of that batch.
	ending atomic.Bool
}

// descriptor is what a table is at one moment; immutable.
type descriptor struct {
	def     definition
	stream  *stream.Stream  // nil: none enabled
	open    []*stream.Shard // by partition; nil without a stream
	dropped bool
}

// definition is the stored form of a table: a version byte and this as JSON.
// Fields are only ever added.
type definition struct {
	ID         uint64       `json:"id"`
	Scope      schema.Scope `json:"scope"`
	Name       string       `json:"name"`
	UUID       string       `json:"uuid"`
	CreatedMS  int64        `json:"createdMs"`
	Partitions int          `json:"partitions"`
	// Ranges are the partitions' ranges of hashes once one was split, ascending;
	// absent: as many equal ones as there are partitions.
	Ranges   []hashRange `json:"ranges,omitempty"`
	Keys     schema.Keys `json:"keys"`
	Settings settings    `json:"settings"`
	Indexes  []index     `json:"indexes,omitempty"`
	// StreamID is the enabled stream, 0 for none; LatestStream the ARN of the
	// newest one, enabled or not.
	StreamID     uint64 `json:"streamId,omitempty"`
	LatestStream string `json:"latestStream,omitempty"`
	LatestLabel  string `json:"latestLabel,omitempty"`
	// TTL is the enabled time to live; nil: none.
	TTL *timeToLive `json:"ttl,omitempty"`
	// Recovery is the enabled point-in-time recovery; nil: none.
	Recovery *recovery `json:"recovery,omitempty"`
	// The states in between (status.go): of the table, its encryption and its warm
	// throughput, and the global indexes that are being removed.
	Passing    *passing       `json:"passing,omitempty"`
	Encrypting *passing       `json:"encrypting,omitempty"`
	Warming    *passing       `json:"warming,omitempty"`
	Leaving    []leavingIndex `json:"leaving,omitempty"`
	// Restored says what the table was restored from; nil: it was not.
	Restored *Restored `json:"restored,omitempty"`
}

// settings are what a table was asked to be. They are described, and acted upon
// where they mean something on one machine.
type settings struct {
	PayPerRequest      bool                        `json:"payPerRequest,omitempty"`
	PayPerRequestMS    int64                       `json:"payPerRequestMs,omitempty"` // of the last switch
	Throughput         request.Throughput          `json:"throughput"`
	Changes            unitChanges                 `json:"changes,omitzero"`
	OnDemand           *request.OnDemandThroughput `json:"onDemand,omitempty"`
	Warm               *request.Throughput         `json:"warm,omitempty"`
	DeletionProtection bool                        `json:"deletionProtection,omitempty"`
	TableClass         string                      `json:"tableClass,omitempty"`
	ClassMS            int64                       `json:"classMs,omitempty"` // of its last change; 0: none
	Encryption         *request.Encryption         `json:"encryption,omitempty"`
	Tags               []request.Tag               `json:"tags,omitempty"`
}

const (
	definitionVersion = 1
	// splitVersion is that of a definition with ranges: a release that does not know
	// them would write into the wrong shards.
	splitVersion = 2
	// recoveryVersion is that of a definition with point-in-time recovery: a release that does not know it would leave changes out of the log.
	recoveryVersion = 3

	controlTable  = 't' // SpaceControl, 't', table id
	controlNextID = 'n' // SpaceControl, 'n': the next internal id
	controlTold   = 'r' // SpaceControl, 'r': the newest moment that was told, while some table has point-in-time recovery
)

func definitionKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceControl, controlTable}, id)
}

// Options of Open.
type Options struct {
	Store   *store.Store
	Streams *stream.Streams
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: none
	// StatusDelay is how long the states in between last (status.go); 0: they are seen in
	// the answers to changes only.
	StatusDelay time.Duration
	// TagsChanged is called when the tags of a table that has a stream were changed, with
	// the stream's ARN, after the change is durable; nil: nobody asks.
	TagsChanged func(streamARN string)
	// Tracer is told of the commits of requests that have a trace; nil: nobody is.
	Tracer trace.Tracer
}

// Open loads the tables of a database.
func Open(o Options) (*DB, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.TagsChanged == nil {
		o.TagsChanged = func(string) {}
	}
	db := &DB{
		store: o.Store, streams: o.Streams, now: o.Now, log: o.Logger, delay: o.StatusDelay.Milliseconds(), tagsChanged: o.TagsChanged, tracer: o.Tracer,
		nextID: 1, fill: make(chan struct{}, 1), foldFrom: foldFrom, checkMost: checkMost,
	}
	tables := map[tableName]*Table{}
	db.tables.Store(&tables)
	v, found, err := db.store.Get(nil, []byte{store.SpaceControl, controlNextID})
	if err != nil {
		return nil, err
	}
	if found {
		if len(v) != 9 || v[0] != definitionVersion {
			return nil, errors.New("table: the row of internal ids is damaged")
		}
		db.nextID = binary.BigEndian.Uint64(v[1:])
	}
	lower := []byte{store.SpaceControl, controlTable}
	it, err := db.store.NewIter(lower, store.PrefixEnd(lower))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return nil, err
		}
		t, err := db.load(v)
		if err != nil {
			return nil, err
		}
		def := &t.desc.Load().def
		tables[tableName{def.Scope, def.Name}] = t
	}
	if err := it.Close(); err != nil {
		return nil, err
	}
	if err := db.loadLeaving(); err != nil {
		return nil, err
	}
	if err := db.resumeMoments(); err != nil {
		return nil, err
	}
	return db, db.dropStrayPolicies()
}

func (db *DB) load(v []byte) (*Table, error) {
	if len(v) == 0 || v[0] < definitionVersion || v[0] > recoveryVersion {
		return nil, errors.New("table: a definition was written by a newer release; open the data with that release")
	}
	d := &descriptor{}
	if err := json.Unmarshal(v[1:], &d.def); err != nil {
		return nil, fmt.Errorf("table: a definition is damaged: %w", err)
	}
	d.def.compile()
	if d.def.StreamID != 0 {
		if d.stream = db.streams.ByID(d.def.StreamID); d.stream == nil {
			return nil, fmt.Errorf("table: %s has a stream that is not there", d.def.Name)
		}
		d.open = openShards(d.stream, d.def.Partitions)
	}
	t := newTable(d)
	for i := range t.parts {
		p := t.parts[i]
		// The newest of the two rows that carry the totals: a stream's records, once
		// it has any, else the partition's own row.
		if d.open != nil {
			if totals := d.open[i].Recovered(); totals != nil {
				p.items, p.bytes = totals.Items, totals.Bytes
				continue
			}
		}
		v, found, err := db.store.Get(nil, p.head)
		if errors.Is(err, store.ErrDamaged) {
			db.log.Warn("the counts of a table are lost to damage and begin at zero; millstream repair counts again", "table", d.def.Name, "error", err)
		} else if err != nil {
			return nil, err
		}
		if found {
			if len(v) != 17 || v[0] != headVersion {
				return nil, fmt.Errorf("table: the head row of %s is damaged", d.def.Name)
			}
			p.items = int64(binary.BigEndian.Uint64(v[1:]))
			p.bytes = int64(binary.BigEndian.Uint64(v[9:]))
		}
	}
	return t, db.loadIndexCounts(t)
}

func newTable(d *descriptor) *Table {
	t := &Table{id: d.def.ID, parts: make([]*partition, d.def.Partitions)}
	for i := range t.parts {
		t.parts[i] = newPartition(t.id, i)
	}
	t.desc.Store(d)
	return t
}

func (db *DB) find(scope schema.Scope, name string) *Table {
	return (*db.tables.Load())[tableName{scope, name}]
}

// lookup finds a table for a request on its data, ResourceNotFoundException when
// there is none, or it is not yet ACTIVE. What it answers is durable: that the table was made, or that it
// is not there.
func (db *DB) lookup(ctx context.Context, scope schema.Scope, name string) (*Table, error) {
	t := db.find(scope, name)
	if t == nil {
		return nil, db.whenDurable(ctx, awserr.ResourceNotFound())
	}
	if p := t.desc.Load().def.Passing; p != nil && p.Status == statusCreating && p.on(db.now().UnixMilli()) {
		return nil, db.whenDurable(ctx, awserr.ResourceNotFound())
	}
	if t.made != nil && !t.made.Done() {
		if err := t.made.Wait(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// checkThere returns ResourceNotFoundException when the table was removed before
// or while it was read.
func (db *DB) checkThere(ctx context.Context, t *Table) error {
	if !t.ending.Load() {
		return nil
	}
	t.mu.RLock() // until the batch that removes it has been applied
	dropped := t.desc.Load().dropped
	t.mu.RUnlock()
	if dropped {
		return db.whenDurable(ctx, awserr.ResourceNotFound())
	}
	return nil
}

// whenDurable answers e, which tells what is or is not there, once that is durable.
func (db *DB) whenDurable(ctx context.Context, e *awserr.Error) error {
	if err := db.store.Barrier(ctx); err != nil {
		return err
	}
	return e
}

// lockExclusive takes mu for a change of the table. A waiting writer of a
// sync.RWMutex stops readers, so the lock is tried by short attempts first. Under
// load, above all when many writers wait for one item, it is never free at the
// moment of an attempt; then it is waited for. That is short too: who holds mu
// waits neither for a sync nor for a client.
func (t *Table) lockExclusive() {
	for wait := 10 * time.Microsecond; wait < time.Millisecond; wait *= 2 {
		if t.mu.TryLock() {
			return
		}
		time.Sleep(wait)
	}
	t.mu.Lock()
}

// Count returns how many tables there are in all scopes.
func (db *DB) Count() int { return len(*db.tables.Load()) }

// NameOf returns the name of the table that an internal id belongs to: its own, or
// that of its stream or time to live. Empty: no table has it. It is for texts.
func (db *DB) NameOf(id uint64) string {
	for name, t := range *db.tables.Load() {
		d := t.desc.Load().def
		if d.ID == id || d.StreamID == id || d.TTL != nil && d.TTL.ID == id || d.Recovery != nil && d.Recovery.ID == id {
			return name.name
		}
	}
	return ""
}

// LatestStream returns the ARN of a table's newest stream, enabled or not; empty
// when there is no such table or it never had one.
func (db *DB) LatestStream(scope schema.Scope, table string) string {
	t := db.find(scope, table)
	if t == nil {
		return ""
	}
	return t.desc.Load().def.LatestStream
}
