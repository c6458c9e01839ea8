package outbox

import (
	"context"
	"encoding/binary"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Options of Open. All but Logger are required.
type Options struct {
	Store *store.Store
	Clock *worker.Clock
	// Send makes a delivery. A receiver that stores what it gets in this store calls done with its batch, once, and the delivery ends with that.
	// An error that is not a *Permanent is tried again.
	Send   func(ctx context.Context, d *Delivery, payload []byte, done func(*store.Batch)) error
	Logger *slog.Logger // nil: nothing is logged
}

// Outbox has all deliveries that are owed. Its methods may be called by many goroutines at once.
type Outbox struct {
	o       Options
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu             sync.Mutex // guards what follows
	started        bool
	closed         bool
	nextID         uint64
	owed           map[uint64]*owed
	count, bytes   int               // of what is owed
	shares         map[string]*share // by source; of those that owe something
	lines          map[way]*line
	own, far, slow pool
	active         int           // workers
	idle           chan struct{} // closed when active becomes 0; nil: nobody waits
	givenUp        uint64
}

// owed is what the memory has of a delivery.
type owed struct {
	id      uint64
	source  string
	ordered bool
	far     bool          // its receiver is not this server's
	every   time.Duration // the least time from its begin to the next one's
	size    int
	unread  int   // attempts to read it that have failed
	endMS   int64 // when it is given up should it not be read
	dueMS   int64
	timer   *worker.Timer // nil: it is not waiting
	held    bool          // its batch is not durable yet: Release begins it
}

// Open finds what is owed. Deliveries begin with Start.
func Open(o Options) (*Outbox, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b := newOutbox(o)
	b.nextID = o.Store.Incarnation() << 40
	b.ctx, b.cancel = context.WithCancel(context.Background())
	prefix := []byte{store.SpaceOutbox, headRow}
	err := o.Store.Each(prefix, func(k, v []byte) error {
		if len(k) != len(prefix)+8 {
			return errRow
		}
		d, err := decodeHead(binary.BigEndian.Uint64(k[len(prefix):]), v)
		if err != nil {
			return err
		}
		b.hold(d)
		b.nextID = max(b.nextID, d.ID)
		return nil
	})
	return b, err
}

func newOutbox(o Options) *Outbox {
	return &Outbox{
		o: o, owed: map[uint64]*owed{}, shares: map[string]*share{}, lines: map[way]*line{},
		own: pool{width: ownWidth}, far: pool{width: farWidth}, slow: pool{width: slowWidth},
	}
}

// Start begins to make deliveries.
func (b *Outbox) Start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started = true
	now := b.o.Clock.Wall().UnixMilli()
	for _, id := range slices.Sorted(maps.Keys(b.owed)) {
		e := b.owed[id]
		if e.held {
			continue
		}
		if e.dueMS <= now {
			b.ready(e)
			continue
		}
		if e.ordered {
			l := b.line(e)
			l.ready, l.waiting = append(l.ready, e), true
		}
		// A clock that was set back must not make it wait for longer than ever.
		b.later(e, time.Duration(min(e.dueMS-now, time.Hour.Milliseconds()))*time.Millisecond)
	}
}

// Close returns when no delivery is being made. What is owed stays stored.
func (b *Outbox) Close() {
	b.mu.Lock()
	b.closed = true
	for _, e := range b.owed {
		if e.timer != nil {
			e.timer.Stop()
		}
	}
	for _, p := range []*pool{&b.own, &b.far, &b.slow} {
		if p.pause != nil {
			p.pause.Stop()
		}
	}
	b.mu.Unlock()
	b.cancel()
	b.workers.Wait()
}

// Len is how many deliveries are owed; GivenUp, how many were given up since the start.
func (b *Outbox) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.owed)
}

func (b *Outbox) GivenUp() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.givenUp
}

// Add is Reserve and Put of one delivery.
func (b *Outbox) Add(batch *store.Batch, d *Delivery, payload []byte) error {
	d.Weigh(len(payload))
	if err := b.Reserve(d); err != nil {
		return err
	}
	if err := b.Put(batch, d, payload); err != nil {
		b.Forget(d)
		return err
	}
	return nil
}

// Reserve makes room for deliveries that were weighed: for all of them, or with ErrFull for none. Their ids are given here. Each is put into a
// batch then and released, or forgotten.
func (b *Outbox) Reserve(all ...*Delivery) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, d := range all {
		if b.closed || !b.fits(d.Source, d.Size) {
			for _, d := range all[:i] {
				b.drop(d.ID)
			}
			return ErrFull
		}
		b.nextID++
		d.ID = b.nextID
		b.hold(d).held = true
	}
	return nil
}

// Put writes a delivery for which there is room into a batch. The caller applies the batch and then calls Release, or Forget when it failed.
func (b *Outbox) Put(batch *store.Batch, d *Delivery, payload []byte) error {
	if err := d.setHead(batch); err != nil {
		return err
	}
	batch.Set(key(payloadRow, d.ID), append([]byte{rowVersion}, payload...))
	return nil
}

// Release begins deliveries whose batch is durable.
func (b *Outbox) Release(all ...*Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range all {
		if e := b.owed[d.ID]; e != nil {
			if e.held = false; b.started {
				b.ready(e)
			}
		}
	}
}

// Forget is for deliveries whose batch was not applied.
func (b *Outbox) Forget(all ...*Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range all {
		b.drop(d.ID)
	}
}

// Settle returns when every delivery that is owed was made, or waits to be tried again.
func (b *Outbox) Settle(ctx context.Context) error {
	for {
		b.mu.Lock()
		if b.active == 0 || b.closed || !b.started {
			b.mu.Unlock()
			return nil
		}
		if b.idle == nil {
			b.idle = make(chan struct{})
		}
		idle := b.idle
		b.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// later puts a delivery into its line after a while. The caller holds mu.
func (b *Outbox) later(e *owed, wait time.Duration) {
	if b.closed {
		return
	}
	e.timer = b.o.Clock.AfterFunc(wait, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.owed[e.id] == e {
			b.ready(e)
		}
	})
}
