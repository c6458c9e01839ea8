package remote

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Options of New. Endpoint is required.
type Options struct {
	Endpoint Endpoint
	// Polled: it is a Polled, whose numbers do not count records. So these are counted from where their reader began.
	Polled bool
	// Prefix begins the names of the two tables. One prefix is one cluster. Default millstream-.
	Prefix string
	// Lease is the silence after which a node counts as dead, Drain the time that calls under way get when work is handed over.
	// Default 10 s and 30 s.
	Lease, Drain time.Duration
	// URL is how others reach this node, Machine, unless empty, the one from which alone that is so, Name how people know the node, Version that of
	// its program: they are shown, and nothing else.
	URL, Machine, Name, Version string
	// Told is told of documents that were put or removed, by whichever node, and of all once before the first claim. nil: nobody is.
	Told func(Document)
	// Seen is told when other nodes live than at the look before (Lately). nil: nobody is.
	Seen func()
	// Elapsed is the time since some moment, with what the machine slept, which Go's clock, the default, does not count: a node that slept would
	// believe that what it held is its own still.
	Elapsed func() time.Duration
	Log     *slog.Logger
}

// Backend implements backend.Shared.
type Backend struct {
	o                 Options
	control, progress string // tables
	bell              string // the one whose stream tells of changes
	bellStream        string // its ARN, see MakeTables; empty: changes are found out at the next look
	complained        atomic.Int64
	untransacted      atomic.Bool // the engine has no transactions, see Probe

	// deadline is the moment, in Elapsed, up to which what this node holds is certainly its own.
	deadline atomic.Int64
	left     atomic.Bool // nothing is this node's any more, whatever the deadline
	// lapses counts how often it has passed, or was not there yet; caughtUp is that of the newest look, and unseeing tells that it failed. See Fresh.
	lapses, caughtUp atomic.Uint64
	unseeing         atomic.Bool
	missed           atomic.Int64  // tries of the beat under way that failed
	poked            chan struct{} // look at the cluster now
	rang             atomic.Bool   // there may be another revision
	listens, hears   atomic.Int64  // shards of the bell, and those whose reads go well
	beatSoon         chan struct{} // there is something to show
	lately           atomic.Pointer[[]string]
	// For Sight: as of the last look.
	alive, unowned atomic.Int64
	claimsLost     atomic.Uint64
	applied        atomic.Uint64 // the revision up to which changes are applied here

	mu     sync.Mutex
	id     string            // this node's, until it is told dead
	claims map[string]*claim // by stream
	busy   map[string]bool   // streams that are being taken or handed over
	drops  int               // how often all claims were dropped
	// renewed is when a stream may be taken again, see Renew.
	renewed map[string]time.Duration
	// watchers are the engine's, by stream.
	watchers map[string]map[int]func()
	watches  int

	work sync.WaitGroup // readers

	join   sync.Once
	joined chan struct{} // see Joined

	bugs bugs
}

// bugs are rules that are broken, for the tests that have to find that.
type bugs struct {
	revives     bool // a beat that was late gives back what was held before it
	early       bool // positions are stored before what they count
	unsealed    bool // rows set aside count by the position alone
	forgets     bool // rows that have ended leave nothing behind
	renews      bool // a transaction whose answer does not come is tried again on the version that there is then
	stale       bool // a position is stored with the window before it
	trusts      bool // a package whose removal has begun is taken to be there
	unversioned bool // what has been stored anew is removed, too
	thaws       bool // items are given up before it is stored that they have been read
	older       bool // no bug: as a release without existing items has it, which removes the row of those that have been read
}

var _ backend.Shared = (*Backend)(nil)

// New returns a backend. It asks nothing of the endpoint.
func New(o Options) *Backend {
	o.Prefix = cmp.Or(o.Prefix, "millstream-")
	o.Lease, o.Drain = cmp.Or(o.Lease, 10*time.Second), cmp.Or(o.Drain, 30*time.Second)
	if o.Elapsed == nil {
		start := time.Now()
		o.Elapsed = func() time.Duration { return time.Since(start) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Backend{
		o: o, control: o.Prefix + "control", progress: o.Prefix + "progress", bell: o.Prefix + "bell", poked: make(chan struct{}, 1), beatSoon: make(chan struct{}, 1), joined: make(chan struct{}),
		claims: map[string]*claim{}, busy: map[string]bool{}, renewed: map[string]time.Duration{}, watchers: map[string]map[int]func(){},
	}
}

// ControlTable, ProgressTable and BellTable are the names of the tables.
func (b *Backend) ControlTable() string  { return b.control }
func (b *Backend) ProgressTable() string { return b.progress }
func (b *Backend) BellTable() string     { return b.bell }

func (b *Backend) poke() {
	b.rang.Store(true)
	select {
	case b.poked <- struct{}{}:
	default:
	}
}

// Lacks implements backend.Shared.
func (b *Backend) Lacks(m mapping.Definition, p lane.Params) string {
	_, lends := b.lends()
	switch {
	case m.Snapshot != nil && !lends:
		return "The tag millstream:start takes no snapshot while the tables (serve --tables) are on another engine than Millstream: leave it out, or give a time"
	case p.ExactlyOnce && b.untransacted.Load():
		return "The setting millstream:exactly-once takes transactions, which the engine that has the tables (serve --tables) does not make: leave it out"
	}
	return ""
}

// ResolveStream implements backend.Backend.
func (b *Backend) ResolveStream(ctx context.Context, streamARN string) (backend.Stream, error) {
	scope, table, _, ok := arn.Stream(streamARN)
	if !ok {
		return backend.Stream{}, backend.ErrNoStream
	}
	_, err := b.describe(ctx, streamARN)
	if errors.Is(err, ErrGone) {
		err = backend.ErrNoStream
	}
	return backend.Stream{ARN: streamARN, Table: table, Scope: scope}, err
}

// What a shared backend does under a claim only.

// Reposition implements backend.Backend: it is done under a claim, by RepositionUnder.
func (b *Backend) Reposition(context.Context, backend.Repositioned) error { return backend.ErrLacks }

// Transact implements backend.Backend: it is done under a claim, by TransactUnder.
func (b *Backend) Transact(context.Context, backend.Transaction) error { return backend.ErrLacks }

// Commit implements backend.Backend: positions are stored under a claim, by Advance.
func (b *Backend) Commit(context.Context, []backend.Row, []backend.AsideRows) error {
	return backend.ErrLacks
}

// number reads a sequence number. One past 128 bits cannot be kept.
func number(text string) (seqnum.Num, error) {
	n, err := seqnum.Parse(text)
	if err == nil && n == seqnum.Max {
		err = errors.New("remote: the endpoint's sequence numbers are larger than 2^128")
	}
	return n, err
}
