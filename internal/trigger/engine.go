package trigger

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Options configure an Engine. Backend and Invoker are required.
type Options struct {
	Backend backend.Backend
	Invoker Invoker
	// Destination is told of records that are given up by mappings with an on-failure
	// destination. Without one such mappings cannot be made.
	Destination Destination
	// Here says whether a destination may be a queue of the Backend's own, which is told in one commit with the end of the
	// records (backend.Notice, ErrNoNotice); without it none is. It must not wait.
	Here func(destination string) bool
	// Now is the wall clock, for record ages and the times in definitions.
	// Default time.Now.
	Now func() time.Time
	// Clock says whether record ages may be relied on, and measures windows, backoffs and
	// rates. Default one over Now.
	Clock *worker.Clock
	// Jitter returns random numbers in [0, 1) for backoff; it may be called by
	// several goroutines at once. Default rand.Float64.
	Jitter func() float64
	// NewUUID names new mappings. Default random.
	NewUUID func() string
	// Log receives what a person should know: failing functions, records given up
	// or expired, faults of the backend. Default slog.Default().
	Log *slog.Logger
	// CommitInterval is how long progress is collected before it is made durable
	// in one batch. Default 5 ms.
	CommitInterval time.Duration
	// DrainTimeout is how long Run waits for invocations under way when it is told
	// to end, before it cancels them. Default 0: cancel at once.
	DrainTimeout time.Duration
	// Tags returns the tags of a function and of a stream's table, for those that are
	// Millstream's own; without it there are none. It must not wait.
	Tags func(functionARN, streamARN string) (function, table map[string]string)
	// Failed, if set, is told of every call that has failed, or some of whose records have, once it is known what
	// becomes of them. It must not block.
	Failed func(Failure)
	// Trace, if set, is called before each invocation with its records. It returns the invocation's context, and who
	// is told of its end, nil for nobody. It must not wait.
	Trace func(ctx context.Context, functionARN string, records []lane.Record) (context.Context, func(lane.Result))
}

// Engine runs event source mappings. Its methods may be called at once.
//
// Locks, in the order in which they are taken: a mapping's op, committer.writing, Engine.mu,
// running.mu, driver.mu, the lock of a lane.Aside, driver.qmu. None is held over a call of the Invoker.
// Over a call of the Backend only op and writing are held; but for Watch, which does not wait.
type Engine struct {
	opts   Options
	log    *slog.Logger
	clock  clock
	pace   *pace
	commit *committer
	shared backend.Shared // the Backend, when others work over it too; else nil
	began  time.Time

	mu       sync.Mutex
	mappings map[string]*running // by UUID
	pairs    map[pair]string     // UUID by function and stream, also of mappings being made
	streams  map[string]*streamWatch
	claims   map[string]*held // by stream
	newest   time.Time        // creation time of the newest mapping

	// life guards running and closed against the start of goroutines.
	life    sync.RWMutex
	running bool
	closed  bool
	ready   chan struct{} // closed when Run has begun
	work    sync.WaitGroup
	calls   atomic.Int64 // invocations under way
	idle    signal       // the last invocation under way has ended
	ctx     context.Context
	cancel  context.CancelFunc

	progress signal // something that Settle waits for may have happened
}

// pair is what may exist once: a function (with its qualifier) on a stream.
type pair struct{ function, stream string }

// New loads the stored mappings. They begin to run with Run; the control plane
// may be used before.
func New(ctx context.Context, opts Options) (*Engine, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Clock == nil {
		opts.Clock = worker.NewClock(opts.Now)
	}
	if opts.Jitter == nil {
		opts.Jitter = rand.Float64
	}
	if opts.NewUUID == nil {
		opts.NewUUID = uuid.NewString
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.CommitInterval <= 0 {
		opts.CommitInterval = 5 * time.Millisecond
	}
	e := &Engine{
		opts: opts, log: opts.Log, clock: clock{opts.Clock}, pace: newPace(opts.Clock.Manual()),
		mappings: map[string]*running{}, pairs: map[pair]string{}, streams: map[string]*streamWatch{}, claims: map[string]*held{},
		ready: make(chan struct{}), began: opts.Now(),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.commit = newCommitter(e, nil)
	e.shared, _ = opts.Backend.(backend.Shared)
	stored, err := opts.Backend.Mappings(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		m := newMapping(e, s.Definition, s.Checkpoints)
		if e.shared == nil {
			if err := m.aside.Load().load(ctx); err != nil {
				return nil, err
			}
		}
		e.mappings[s.UUID] = m
		e.pairs[pair{s.FunctionARN, s.StreamARN}] = s.UUID
		if e.newest.Before(s.Created) {
			e.newest = s.Created
		}
	}
	return e, nil
}

// Run delivers records until ctx ends; then it lets go of the backend in order:
// nothing new begins, invocations under way get DrainTimeout, the last
// positions are made durable. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	e.life.Lock()
	if e.running || e.closed {
		e.life.Unlock()
		return errors.New("trigger: the engine has been run before")
	}
	e.running = true
	e.life.Unlock()
	if e.shared != nil {
		close(e.ready)
		return errors.Join(e.shared.Run(ctx, node{e}), e.shutdown())
	}
	for _, m := range e.all() {
		e.watch(m)
		m.begin()
	}
	close(e.ready)
	<-ctx.Done()
	return e.shutdown()
}

// Ready is closed when Run has begun to deliver.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

func (e *Engine) shutdown() error {
	e.mu.Lock()
	watches := e.streams
	e.streams = map[string]*streamWatch{}
	e.mu.Unlock()
	for _, w := range watches {
		w.stop()
	}
	for _, m := range e.all() {
		m.mu.Lock()
		m.post(lane.Drain{})
		m.mu.Unlock()
	}
	timer := time.NewTimer(e.opts.DrainTimeout)
	defer timer.Stop()
	for expired := e.opts.DrainTimeout <= 0; !expired; {
		wait := e.idle.wait()
		if e.calls.Load() == 0 {
			break
		}
		select {
		case <-wait:
		case <-timer.C:
			expired = true
		}
	}
	e.cancel()
	e.life.Lock()
	e.running, e.closed = false, true
	e.life.Unlock()
	e.work.Wait()
	for _, m := range e.all() {
		m.aside.Load().stopTimer()
		for _, r := range m.all() {
			r.stopTimer()
		}
	}
	return e.commit.close()
}

// spawn runs f in a goroutine of the engine's, unless the engine has ended.
func (e *Engine) spawn(f func()) bool {
	e.life.RLock()
	defer e.life.RUnlock()
	if e.closed {
		return false
	}
	if !e.clock.Manual() {
		e.work.Go(f)
		return true
	}
	e.clock.Begin()
	e.work.Go(func() {
		defer e.clock.End()
		f()
	})
	return true
}

// active reports whether mappings are to run now.
func (e *Engine) active() bool {
	e.life.RLock()
	defer e.life.RUnlock()
	return e.running
}

// all returns the mappings in the order of their creation.
func (e *Engine) all() []*running {
	e.mu.Lock()
	ms := make([]*running, 0, len(e.mappings))
	for _, m := range e.mappings {
		ms = append(ms, m)
	}
	e.mu.Unlock()
	slices.SortFunc(ms, func(a, b *running) int { return mapping.ByCreation(a.definition(), b.definition()) })
	return ms
}

// FunctionChanged tells that a function was made, changed or deleted: what waits
// for it is tried again at once. arn has no qualifier, or one.
func (e *Engine) FunctionChanged(arn string) {
	for _, m := range e.all() {
		if f := m.definition().FunctionARN; f == arn || len(f) > len(arn) && f[:len(arn)] == arn && f[len(arn)] == ':' {
			m.retag()
			m.mu.Lock()
			m.post(lane.Nudge{})
			m.mu.Unlock()
		}
	}
}

// instant is now, as machines are told it.
func (e *Engine) instant() lane.Instant {
	i := e.clock.instant()
	i.Gather = e.pace.gather()
	return i
}

// ClockChanged has all mappings look again at what is due: records may be aged by the clock from now on.
func (e *Engine) ClockChanged() {
	for _, m := range e.all() {
		m.mu.Lock()
		m.post(lane.Timer{})
		m.mu.Unlock()
	}
}

// signal lets goroutines wait for something to happen, without polling: take the
// channel, look at the state, then wait for the channel.
type signal struct {
	mu sync.Mutex
	ch chan struct{} // nil when nobody waits
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
