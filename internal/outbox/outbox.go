package outbox

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Bounds of what may be owed by all sources together. One of them may owe as much as is still free: so a source whose receiver never answers
// has half at most, two have two thirds, and there is always room for one more.
const (
	maxCount = 100_000
	maxBytes = 1 << 30 // of payloads
)

// ErrFull is Add's error when the source owes too much already.
var ErrFull = errors.New("outbox: too many deliveries are owed")

// fullPause is the time before a delivery for which the disk had no room is made again.
const fullPause = time.Second

// How many deliveries are made at once: of one source that are not ordered, to receivers of this server, and to all others.
const (
	sourceWidth = 4
	ownWidth    = 16
	farWidth    = 64
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
	o        Options
	ctx      context.Context
	cancel   context.CancelFunc
	workers  sync.WaitGroup
	own, far chan struct{} // slots

	mu      sync.Mutex // guards what follows
	started bool
	closed  bool
	nextID  uint64
	owed    map[uint64]*owed
	bytes   int
	shares  map[string]*share // by source; of those that owe something
	lines   map[string]*line  // by source
	active  int               // workers
	idle    chan struct{}     // closed when active becomes 0; nil: nobody waits
	givenUp uint64
}

// owed is what the memory has of a delivery.
type owed struct {
	id      uint64
	source  string
	ordered bool
	size    int
	dueMS   int64
	timer   *worker.Timer // nil: it is not waiting
}

// share is what a source owes.
type share struct {
	source       string
	count, bytes int
}

// line is the deliveries of a source that are ready. An ordered one whose next attempt is not due stays first, and none is made meanwhile.
type line struct {
	ready   []*owed
	working int
	waiting bool
}

// Open finds what is owed. Deliveries begin with Start.
func Open(o Options) (*Outbox, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Outbox{o: o, owed: map[uint64]*owed{}, shares: map[string]*share{}, lines: map[string]*line{}, own: make(chan struct{}, ownWidth), far: make(chan struct{}, farWidth)}
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

func (b *Outbox) hold(d *Delivery) *owed {
	of := b.shares[d.Source]
	if of == nil {
		of = &share{source: d.Source}
		b.shares[d.Source] = of
	}
	of.count++
	of.bytes += d.Size
	e := &owed{id: d.ID, source: of.source, ordered: d.Ordered, size: d.Size, dueMS: d.DueMS}
	b.owed[d.ID] = e
	b.bytes += e.size
	return e
}

// fits says whether a source may owe one more payload. The caller holds mu.
func (b *Outbox) fits(source string, size int) bool {
	var of share
	if o := b.shares[source]; o != nil {
		of = *o
	}
	return of.count < maxCount-len(b.owed) && of.bytes+size <= maxBytes-b.bytes
}

// Start begins to make deliveries.
func (b *Outbox) Start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started = true
	now := b.o.Clock.Wall().UnixMilli()
	for _, id := range slices.Sorted(maps.Keys(b.owed)) {
		e := b.owed[id]
		if e.dueMS <= now {
			b.ready(e)
			continue
		}
		if e.ordered {
			l := b.line(e.source)
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

// Add writes a delivery into a batch. The caller applies the batch and then calls Release, or Forget when it failed. The id is given here.
func (b *Outbox) Add(batch *store.Batch, d *Delivery, payload []byte) error {
	d.Size = len(payload)
	b.mu.Lock()
	if b.closed || !b.fits(d.Source, d.Size) {
		b.mu.Unlock()
		return ErrFull
	}
	b.nextID++
	d.ID = b.nextID
	b.hold(d)
	b.mu.Unlock()
	if err := d.setHead(batch); err != nil {
		b.Forget(d)
		return err
	}
	batch.Set(key(payloadRow, d.ID), append([]byte{rowVersion}, payload...))
	return nil
}

// Release begins deliveries whose batch is durable.
func (b *Outbox) Release(all ...*Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.started {
		return
	}
	for _, d := range all {
		if e := b.owed[d.ID]; e != nil {
			b.ready(e)
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

func (b *Outbox) drop(id uint64) {
	if e := b.owed[id]; e != nil {
		delete(b.owed, id)
		b.bytes -= e.size
		of := b.shares[e.source]
		if of.count, of.bytes = of.count-1, of.bytes-e.size; of.count == 0 {
			delete(b.shares, e.source)
		}
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

// ready puts a delivery into its line. The caller holds mu.
func (b *Outbox) ready(e *owed) {
	if b.closed {
		return
	}
	e.timer = nil
	l := b.line(e.source)
	if e.ordered && l.waiting && l.ready[0] == e {
		l.waiting = false
	} else {
		l.ready = append(l.ready, e)
	}
	b.work(l, e)
}

func (b *Outbox) line(source string) *line {
	l := b.lines[source]
	if l == nil {
		l = &line{}
		b.lines[source] = l
	}
	return l
}

// work has one more worker for a line, when there may be one. The caller holds mu. A manual clock does not move while there are any, and each
// goes on until nothing is ready.
func (b *Outbox) work(l *line, e *owed) {
	if l.working < b.width(e) && !l.waiting {
		l.working++
		b.active++
		b.o.Clock.Begin()
		b.workers.Go(func() { b.run(e.source, l) })
	}
}

func (b *Outbox) width(e *owed) int {
	if e.ordered {
		return 1
	}
	return sourceWidth
}

// run makes deliveries of a line until there is none that is ready.
func (b *Outbox) run(source string, l *line) {
	for {
		b.mu.Lock()
		if b.closed || len(l.ready) == 0 || l.waiting {
			b.rest(source, l)
			b.mu.Unlock()
			return
		}
		e := l.ready[0]
		l.ready[0] = nil
		l.ready = l.ready[1:]
		b.mu.Unlock()
		again, wait := b.make(e)
		b.mu.Lock()
		switch {
		case again && e.ordered:
			l.ready = append([]*owed{e}, l.ready...)
			l.waiting = true
			b.later(e, wait)
		case again:
			b.later(e, wait)
		}
		b.mu.Unlock()
	}
}

// rest ends a worker. The caller holds mu.
func (b *Outbox) rest(source string, l *line) {
	if l.working--; l.working == 0 && len(l.ready) == 0 {
		delete(b.lines, source)
	}
	b.o.Clock.End()
	if b.active--; b.active == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
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

// make makes a delivery once. again says that it is to be tried again, after a while.
func (b *Outbox) make(e *owed) (again bool, wait time.Duration) {
	d, payload, err := b.read(e.id)
	if err != nil {
		// It stays where it is: a damaged disk is no reason to forget it.
		b.o.Logger.Error("a delivery cannot be read and waits for the next start", "of", e.source, "error", err)
		return false, 0
	}
	now, ageing := b.o.Clock.Now() // a clock that is not believed gives nothing up
	if age := now.UnixMilli() - d.SinceMS; ageing && d.Retry.AgeMS > 0 && age > d.Retry.AgeMS {
		return b.giveUp(e, d, "", "MaximumEventAgeInSeconds", errors.New(d.Error))
	}
	if err := b.o.Store.AdmitDelete(); err != nil { // a delivery ends with its removal, and goes on as deletes do
		b.o.Logger.Debug("a delivery waits for the store", "of", d.Source, "to", d.Target, "error", err)
		return true, fullPause
	}
	slots := b.own
	if strings.HasPrefix(d.Target, "http") {
		slots = b.far
	}
	select {
	case slots <- struct{}{}:
	case <-b.ctx.Done():
		return false, 0
	}
	ended := false
	err = b.o.Send(b.ctx, d, payload, func(batch *store.Batch) {
		ended = true
		d.remove(batch)
	})
	<-slots
	if err == nil && !ended {
		if err = b.write(d, true); err != nil {
			b.stuck(d, err)
			return false, 0
		}
	}
	if err == nil {
		b.Forget(d)
		return false, 0
	}
	if b.ctx.Err() != nil { // the server is ending: the next one goes on
		return false, 0
	}
	if errors.Is(err, store.ErrDiskFull) { // no attempt: nothing was tried, nor may much be written now
		b.o.Logger.Debug("a delivery waits for room on the disk", "of", d.Source, "to", d.Target, "error", err)
		return true, fullPause
	}
	d.Attempts++
	d.Error = err.Error()[:min(len(err.Error()), maxLetterError)]
	var permanent *Permanent
	if errors.As(err, &permanent) {
		return b.giveUp(e, d, permanent.Code, "", err)
	}
	if d.Attempts > d.Retry.Attempts {
		return b.giveUp(e, d, "", "MaximumRetryAttempts", err)
	}
	wait = d.delay()
	d.DueMS = now.Add(wait).UnixMilli()
	b.o.Logger.Debug("a delivery failed and is tried again", "of", d.Source, "to", d.Target, "after", wait, "error", err)
	if err := b.write(d, false); err != nil {
		b.stuck(d, err)
		return false, 0
	}
	return true, wait
}

// giveUp ends a delivery, or turns it into the message to its dead-letter queue.
func (b *Outbox) giveUp(e *owed, d *Delivery, code, condition string, cause error) (again bool, wait time.Duration) {
	log := b.o.Logger.With("of", d.Source, "to", d.Target, "attempts", d.Attempts, "error", cause)
	b.mu.Lock()
	b.givenUp++
	b.mu.Unlock()
	dead := d.DeadLetter != ""
	if dead {
		log.Info("a delivery was given up and goes to its dead-letter queue", "queue", d.DeadLetter)
		d.toDeadLetter(code, condition, cause.Error(), b.o.Clock.Wall())
	} else {
		log.Warn("a delivery was given up, and nobody is to be told")
	}
	if err := b.write(d, !dead); err != nil {
		b.stuck(d, err)
		return false, 0
	}
	if dead {
		return true, 0
	}
	b.Forget(d)
	return false, 0
}

// stuck is for a store that has failed: the server ends, and the next one finds the delivery as it was last stored.
func (b *Outbox) stuck(d *Delivery, err error) {
	b.o.Logger.Error("the state of a delivery could not be stored", "of", d.Source, "error", err)
}

func (b *Outbox) read(id uint64) (d *Delivery, payload []byte, err error) {
	head, found, err := b.o.Store.Get(nil, key(headRow, id))
	if err != nil {
		return nil, nil, err
	}
	if !found {
		return nil, nil, errRow
	}
	if d, err = decodeHead(id, head); err != nil {
		return nil, nil, err
	}
	payload, found, err = b.o.Store.Get(nil, key(payloadRow, id))
	if err == nil && (!found || len(payload) == 0 || payload[0] != rowVersion) {
		err = errRow
	}
	if err != nil {
		return nil, nil, err
	}
	return d, payload[1:], nil
}

// write stores a delivery's head, or removes it, synced.
func (b *Outbox) write(d *Delivery, remove bool) error {
	batch := b.o.Store.NewBatch()
	defer batch.Close()
	if remove {
		d.remove(batch)
	} else if err := d.setHead(batch); err != nil {
		return err
	}
	return b.o.Store.Write(batch)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
