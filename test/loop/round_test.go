package loop

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/backend/local"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// subscriber is a mapping of a round, known by the name of its function.
type subscriber struct {
	function string
	table    string
	start    mapping.StartingPosition
	retries  int // -1: endless
	// onFailure is the tag millstream:on-failure; empty for none.
	onFailure string
}

var subscribers = []subscriber{
	{"f0", "orders", mapping.StartTrimHorizon, -1, ""},
	{"f1", "orders", mapping.StartLatest, -1, ""},
	{"f2", "orders", mapping.StartTrimHorizon, 1, ""},
	{"f3", "orders", mapping.StartLatest, 0, ""},
	{"f4", "orders", mapping.StartTrimHorizon, -1, ""},
	{"f5", "events", mapping.StartTrimHorizon, -1, ""},
	{"f6", "events", mapping.StartLatest, 2, ""},
	{"f7", "orders", mapping.StartTrimHorizon, -1, "block-key"},
	{"f8", "events", mapping.StartLatest, -1, "block-key"},
}

// plan is what a seed does not decide.
type plan struct {
	shards     int
	durability store.Durability
}

// round is a chain of lives of one database, from one seed.
type round struct {
	plan
	rng    *rand.Rand
	lives  []*life
	arns   map[string]string // of the streams, by table
	values atomic.Int64      // gives every write a value of its own
	// ended: to switch the stream of events off was tried.
	ended atomic.Bool
	stats stats
}

// stats are what rounds saw, to judge the test by.
type stats struct {
	crashes, records, invocations, deliveries, redelivered, dropped, closed, splits, held int
}

func (s *stats) add(o stats) {
	s.crashes += o.crashes
	s.records += o.records
	s.invocations += o.invocations
	s.deliveries += o.deliveries
	s.redelivered += o.redelivered
	s.dropped += o.dropped
	s.held += o.held
	s.closed += o.closed
	s.splits += o.splits
}

// life is one opening of the database, with what was told in it. Orders count
// what was noted: of two notes the one with the lower order was made first.
type life struct {
	*loop
	r     *round
	moody *moody
	stop  chan struct{} // closed by the crash, or when there was enough

	// slow is the longest that a sync of the log takes.
	slow      time.Duration
	countdown atomic.Int64 // points until the crash

	mu     sync.Mutex
	order  int
	sealed bool // nothing more is noted
	notes
}

// notes are what a life was told.
type notes struct {
	failures []error
	calls    []*call
	acks     []ack
	creates  map[string]*created // by function
	uuids    map[string]string   // function by UUID
	changes  []change
	splits   int
	standing

	// opened are the positions that the life began with, by function and shard.
	opened map[string]position

	// The crash: what was told up to the order told must be in the copy, what was done
	// after the order done is not. before are the notes at told.
	crashing   bool
	crashed    *crashtest.Disk
	told, done int
	at         time.Time
	before     standing
}

// standing is the newest of what was acknowledged.
type standing struct {
	rows  map[string]position // by function
	gens  map[string]uint64   // generations of mappings, by function
	ended bool                // the stream of events was switched off
	// shards are those that the newest split of a table told of.
	shards map[string][]string
}

func (s standing) clone() standing {
	c := standing{rows: map[string]position{}, gens: maps.Clone(s.gens), ended: s.ended, shards: maps.Clone(s.shards)}
	for f, p := range s.rows {
		c.rows[f] = p.clone()
	}
	return c
}

// of returns the position of a function's mapping, made when there is none.
func (s standing) of(function string) position {
	p, ok := s.rows[function]
	if !ok {
		p = newPosition()
		s.rows[function] = p
	}
	return p
}

// call is one invocation.
type call struct {
	function   string
	events     []delivered
	begin, end int // orders; end is 0 while it runs
	from, to   time.Time
	outcome    lane.Outcome
}

// ack is an acknowledged write.
type ack struct {
	table      string
	value      string
	removed    bool // the item with this value was deleted
	begin, end int  // orders
	logged     bool // the stream was on for sure
}

// created is an acknowledged creation of a mapping.
type created struct {
	begin, end int // orders; end is 0 until it was answered
	rows       map[string]lane.Checkpoint
}

// change is one control operation that abandons what is under way.
type change struct {
	function string
	from, to time.Time // to is zero until it was answered
}

const never = int(^uint(0) >> 1)

// note runs f with the next order, unless the crash has been.
func (l *life) note(f func(order int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sealed {
		l.order++
		f(l.order)
	}
}

func (l *life) fail(err error) {
	l.note(func(int) { l.failures = append(l.failures, err) })
}

func (l *life) begin(function string, events []delivered) *call {
	c := &call{function: function, events: events, from: time.Now()}
	l.note(func(order int) {
		c.begin = order
		l.calls = append(l.calls, c)
	})
	return c
}

func (l *life) end(c *call, outcome lane.Outcome) {
	l.note(func(order int) { c.end, c.to, c.outcome = order, time.Now(), outcome })
}

// point is a moment at which the machine may crash.
func (l *life) point() {
	if l.countdown.Add(-1) == 0 {
		l.crash()
	}
}

// crash copies the disk and ends the life.
func (l *life) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crashing || l.sealed {
		return
	}
	l.crashing = true
	l.told, l.at, l.before = l.order, time.Now(), l.standing.clone()
	l.mu.Unlock() // the others run on while the copy is made
	seed := uint64(l.told)<<32 + uint64(len(l.r.lives))
	crashed := l.disk.Clone(seed)
	l.mu.Lock()
	l.crashed, l.done, l.sealed = crashed, l.order, true
	close(l.stop)
}

// fault is the disk's: slow syncs of the log, and points of crash.
func (l *life) fault(naps *rand.Rand) crashtest.Fault {
	var mu sync.Mutex
	return func(op, file string) error {
		if !strings.HasSuffix(file, ".log") {
			return nil
		}
		l.point()
		if op == "sync" && l.slow > 0 {
			mu.Lock()
			nap := time.Duration(naps.Int64N(int64(l.slow)))
			mu.Unlock()
			time.Sleep(nap)
			l.point()
		}
		return nil
	}
}

// noting notes what the engine is told by the backend.
type noting struct {
	*local.Backend
	l *life
}

func (b noting) CreateMapping(ctx context.Context, m mapping.Definition) (map[string]lane.Checkpoint, error) {
	rows, err := b.Backend.CreateMapping(ctx, m)
	if err == nil {
		b.l.note(func(int) {
			f := nameOf(m.FunctionARN)
			b.l.creates[f].rows = maps.Clone(rows)
			b.l.uuids[m.UUID] = f
		})
	}
	return rows, err
}

func (b noting) Commit(ctx context.Context, rows []backend.Row, aside []backend.AsideRows) error {
	err := b.Backend.Commit(ctx, rows, aside)
	if err == nil {
		b.l.note(func(int) {
			for _, r := range rows {
				b.l.standing.of(b.l.uuids[r.UUID]).set(r)
			}
			for _, a := range aside {
				b.l.standing.of(b.l.uuids[a.UUID]).setAside(a.Changes)
			}
		})
		b.l.point()
	}
	return err
}

// live opens the disk for one life, and checks what control operations had been
// told before the crash.
func (r *round) live(disk *crashtest.Disk) (*life, error) {
	l := &life{r: r, stop: make(chan struct{}), notes: notes{
		creates: map[string]*created{}, uuids: map[string]string{}, opened: map[string]position{},
		standing: standing{rows: map[string]position{}, gens: map[string]uint64{}, shards: map[string][]string{}}, told: never, done: never,
	}}
	l.moody = &moody{life: l, calm: make(chan struct{}), rand: rand.New(rand.NewPCG(r.rng.Uint64(), 3))}
	if r.rng.IntN(2) == 0 {
		l.slow = 2 * time.Millisecond // two syncs are shorter than the commit interval
	}
	var err error
	l.loop, err = openLoop(disk, r.durability, l.moody, func(b *local.Backend) backend.Backend { return noting{b, l} })
	if err != nil {
		return nil, fmt.Errorf("the copy does not open: %w", err)
	}
	r.lives = append(r.lives, l)
	stored, err := l.backend.Mappings(context.Background())
	if err != nil {
		return l, err
	}
	for _, m := range stored {
		f := nameOf(m.FunctionARN)
		p := position{shards: m.Checkpoints, held: map[lane.AsideKey]bool{}}
		aside, err := l.backend.Aside(context.Background(), m.UUID, lane.AsideKey{}, 1<<20, 1<<30, true)
		if err != nil {
			return l, err
		}
		for i := range aside {
			p.held[aside[i].AsideKey] = true
		}
		r.stats.held += len(aside)
		l.opened[f] = p
		l.uuids[m.UUID] = f
		l.gens[f] = m.Generation
	}
	if len(r.lives) == 1 {
		return l, nil
	}
	before := r.lives[len(r.lives)-2].before
	for f, gen := range before.gens {
		if now, ok := l.gens[f]; !ok || now < gen {
			return l, fmt.Errorf("%w: generation %d of the mapping of %s, now %d", errLost, gen, f, now)
		}
	}
	for table, ids := range before.shards {
		for _, id := range ids {
			if s := l.streams.Get(r.arns[table]); s == nil || s.Shard(id) == nil {
				return l, fmt.Errorf("%w: shard %s of %s", errLost, id, table)
			}
		}
	}
	b := l.streams.Get(r.arns["events"])
	if b == nil {
		return l, fmt.Errorf("%w: the stream of events", errLost)
	}
	_, ended := b.Disabled()
	if before.ended && !ended {
		return l, fmt.Errorf("%w: the end of the stream of events", errLost)
	}
	l.ended = ended
	return l, nil
}

// play runs a life to its crash, or, when it is the last, to the end of its
// writers; then everything settles.
func (l *life) play(last bool) error {
	rng := rand.New(rand.NewPCG(l.r.rng.Uint64(), 5))
	if !last {
		// Early crashes too: in the middle of opening there is nothing to tell.
		l.countdown.Store(1 + rng.Int64N([]int64{10, 100, 700}[rng.IntN(3)]))
	}
	l.run()
	l.disk.Fail(l.fault(rand.New(rand.NewPCG(rng.Uint64(), 7))))
	var writing, controlling sync.WaitGroup
	for range writers {
		r := rand.New(rand.NewPCG(rng.Uint64(), 11))
		writing.Go(func() { l.writer(r, 10+r.IntN(30)) })
	}
	r := rand.New(rand.NewPCG(rng.Uint64(), 13))
	controlling.Go(func() { l.control(r) })
	writing.Wait()
	if !last {
		select {
		case <-l.stop:
		case <-time.After(time.Duration(rng.IntN(int(time.Second)))):
			l.crash()
			<-l.stop
		}
		controlling.Wait()
		l.disk.Fail(nil)
		time.Sleep(time.Second) // the last slow sync has ended
		return l.firstFailure()
	}
	close(l.stop)
	controlling.Wait()
	l.disk.Fail(nil)
	time.Sleep(time.Second) // the last slow sync has ended
	close(l.moody.calm)
	for _, s := range subscribers {
		if uuid, ok := l.has(s.function); ok {
			l.update(uuid, s.function, mapping.Settings{Enabled: new(true)})
		} else {
			l.createMapping(rng, s)
		}
	}
	if err := l.engine.Settle(context.Background()); err != nil {
		return err
	}
	// What is held has been passed, and ends at its own time.
	for _, s := range subscribers {
		uuid, _ := l.has(s.function)
		for tries := 0; s.onFailure != ""; tries++ {
			rows, err := l.backend.Aside(context.Background(), uuid, lane.AsideKey{}, 1, 0, true)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			if tries > 3600 {
				return fmt.Errorf("%w: %s has held record %s for an hour", errDelivery, s.function, rows[0].AsideKey.Seq)
			}
			time.Sleep(time.Second)
		}
	}
	return l.firstFailure()
}

func (l *life) firstFailure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) > 0 {
		return l.failures[0]
	}
	return nil
}

// crashOpening opens a disk, and returns it as a crash in the middle of that leaves
// it.
func (r *round) crashOpening(disk *crashtest.Disk) (*crashtest.Disk, error) {
	var crashed *crashtest.Disk
	var countdown atomic.Int64
	countdown.Store(1 + r.rng.Int64N(60))
	seed := r.rng.Uint64()
	disk.Fail(func(string, string) error {
		if countdown.Add(-1) == 0 {
			crashed = disk.Clone(seed)
		}
		return nil
	})
	l, err := openLoop(disk, r.durability, functions{}, nil)
	if err != nil {
		return nil, fmt.Errorf("the copy does not open: %w", err)
	}
	err = l.close()
	disk.Fail(nil)
	if crashed == nil {
		crashed = disk.Clone(seed) // opening and closing took fewer steps
	}
	r.stats.crashes++
	return crashed, err
}

// play is one round: it returns the first breach of a promise. It runs inside a
// bubble.
func play(seed uint64, p plan) (stats, error) {
	r := &round{plan: p, rng: rand.New(rand.NewPCG(seed, 17)), arns: map[string]string{}}
	lives := 2 + r.rng.IntN(3)
	disk := crashtest.New()
	for n := range lives {
		last := n == lives-1
		if n > 0 && r.rng.IntN(4) == 0 {
			var err error
			if disk, err = r.crashOpening(disk); err != nil {
				return r.stats, err
			}
		}
		l, err := r.live(disk)
		if l == nil {
			return r.stats, err
		}
		if err == nil && n == 0 {
			for _, name := range []string{"orders", "events"} {
				if r.arns[name], err = l.createTable(name, p.shards); err != nil {
					break
				}
			}
			// Half of the mappings from the start; the others come under way.
			for _, s := range subscribers {
				if r.rng.IntN(2) == 0 && err == nil {
					l.createMapping(r.rng, s)
				}
			}
		}
		if err == nil {
			err = l.play(last)
		}
		if err == nil && last {
			err = r.judge()
		}
		if e := l.close(); err == nil {
			err = e
		}
		if err != nil {
			return r.stats, fmt.Errorf("life %d of %d: %w", n+1, lives, err)
		}
		r.stats.splits += l.splits
		disk = l.crashed
		if !last {
			r.stats.crashes++
		}
	}
	return r.stats, nil
}
