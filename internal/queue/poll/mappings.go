package poll

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Invoker runs functions, as for the trigger engine.
type Invoker interface {
	// Resolve turns what a caller wrote as FunctionName into the function's ARN.
	Resolve(ctx context.Context, scope arn.Scope, name string) (string, error)
	// InvokeUnlessLate runs the function once with payload. When late is closed and the call still waits for its turn, it is not delivered.
	InvokeUnlessLate(ctx context.Context, functionARN string, payload []byte, late <-chan struct{}) lane.Result
}

// Options of Open. All but Trace and Log are required.
type Options struct {
	Store   *store.Store
	Queues  *queue.Service
	Invoker Invoker
	// IsMissing says of an error of Resolve that there is no such function.
	IsMissing func(error) bool
	// Timeout is the timeout of a function in seconds; 0: not known. It must not wait.
	Timeout func(functionARN string) int
	// Places is how many calls of a function may run at once; 0: not known. It must not wait.
	Places func(functionARN string) int
	// Tags returns the tags of a function. It must not wait.
	Tags func(functionARN string) map[string]string
	// Trace, if set, is called before each invocation with its number of messages and their trace headers. It returns the
	// invocation's context, and who is told of its end, nil for nobody. It must not wait.
	Trace func(ctx context.Context, functionARN string, messages int, header func(i int) string) (context.Context, func(lane.Result))
	Clock *worker.Clock
	Log   *slog.Logger // nil: nothing is logged
}

// Mappings are the event source mappings on queues. Their methods may be called by many goroutines at once.
type Mappings struct {
	o Options

	work   sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
	ready  chan struct{} // closed when Run has begun

	control sync.Mutex // held over changes

	mu     sync.Mutex // guards what follows
	all    map[string]*running
	begun  bool
	newest int64         // time of the newest mapping's creation, in ns
	idle   chan struct{} // closed, and made anew, when a batch has ended
}

// rowMappings is the kind of the rows of mappings, beside those of package queue: ‖ creation time in ns (8) ‖ UUID.
const (
	rowMappings = 'e'
	rowVersion  = 1
)

// Open loads the mappings. They begin to poll with Run.
func Open(o Options) (*Mappings, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Mappings{o: o, all: map[string]*running{}, idle: make(chan struct{}), ready: make(chan struct{})}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	prefix := []byte{store.SpaceQueue, rowMappings}
	err := o.Store.Each(prefix, func(_, v []byte) error {
		var def mapping.Definition
		if len(v) == 0 || v[0] != rowVersion || json.Unmarshal(v[1:], &def) != nil {
			return errors.New("a mapping on a queue has an unknown format: it was written by a newer release")
		}
		m.all[def.UUID] = newRunning(m, def)
		m.newest = max(m.newest, def.Created.UnixNano())
		return nil
	})
	return m, err
}

func key(def *mapping.Definition) []byte {
	k := binary.BigEndian.AppendUint64([]byte{store.SpaceQueue, rowMappings}, uint64(def.Created.UnixNano()))
	return append(k, def.UUID...)
}

// set stores a definition, or removes it, synced.
func (m *Mappings) set(def *mapping.Definition, remove bool) error {
	b := m.o.Store.NewBatch()
	defer b.Close()
	if remove {
		b.Delete(key(def))
		return m.o.Store.Write(b)
	}
	row, err := json.Marshal(def)
	if err != nil {
		return err
	}
	b.Set(key(def), append([]byte{rowVersion}, row...))
	return m.o.Store.Write(b)
}

// Ready is closed when Run has begun to poll.
func (m *Mappings) Ready() <-chan struct{} { return m.ready }

// Run polls until ctx ends, and returns when nothing is under way. It is called once.
func (m *Mappings) Run(ctx context.Context) error {
	m.mu.Lock()
	m.begun = true
	for _, r := range m.all {
		r.start()
	}
	m.mu.Unlock()
	close(m.ready)
	<-ctx.Done()
	m.mu.Lock()
	m.begun = false
	m.mu.Unlock()
	m.cancel()
	m.work.Wait()
	return nil
}

// Has reports whether a mapping is one on a queue.
func (m *Mappings) Has(uuid string) bool { return m.find(uuid) != nil }

func (m *Mappings) find(uuid string) *running {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[uuid]
}

func (m *Mappings) in(scope arn.Scope, uuid string) (*running, error) {
	if r := m.find(uuid); r != nil && r.definition().Scope == scope {
		return r, nil
	}
	return nil, awserr.MappingNotFound()
}

// Create makes a mapping.
func (m *Mappings) Create(ctx context.Context, scope arn.Scope, r mapping.CreateRequest) (mapping.View, error) {
	if err := r.CheckQueue(); err != nil {
		return mapping.View{}, err
	}
	function, err := m.resolve(ctx, scope, *r.FunctionName)
	if err != nil {
		return mapping.View{}, err
	}
	def := mapping.NewOnQueue(r)
	def.UUID, def.Scope, def.StreamARN, def.FunctionARN = uuid.NewString(), scope, *r.EventSourceArn, function
	if err := m.check(&def); err != nil {
		return mapping.View{}, err
	}
	m.control.Lock()
	defer m.control.Unlock()
	if other := m.other(&def); other != "" {
		return mapping.View{}, awserr.MappingOnQueueExists(def.StreamARN, arn.FunctionOf(function), other)
	}
	if err := awserr.WhenFull(m.o.Store.Admit(), store.ErrDiskFull, awserr.LambdaService().Code); err != nil {
		return mapping.View{}, err
	}
	now := m.o.Clock.Wall().UTC().Round(0)
	m.mu.Lock()
	if now.UnixNano() <= m.newest {
		now = now.Add(1)
	}
	m.newest = max(m.newest, now.UnixNano())
	m.mu.Unlock()
	def.Created, def.Modified = now, now
	if err := m.set(&def, false); err != nil {
		return mapping.View{}, err
	}
	run := newRunning(m, def)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[def.UUID] = run
	run.start()
	if !def.Enabled {
		return run.view(""), nil
	}
	return run.view(mapping.Creating), nil
}

func (m *Mappings) resolve(ctx context.Context, scope arn.Scope, name string) (string, error) {
	full, err := m.o.Invoker.Resolve(ctx, scope, name)
	if err != nil && m.o.IsMissing(err) {
		return "", awserr.MappingFunctionMissing()
	}
	return full, err
}

// check is about the queue and the function.
func (m *Mappings) check(def *mapping.Definition) error {
	q := m.o.Queues.FindARN(def.StreamARN)
	if q == nil || q.Scope() != def.Scope {
		return awserr.MappingQueueMissing()
	}
	if err := def.CheckQueueTogether(q.FIFO()); err != nil {
		return err
	}
	if timeout := m.o.Timeout(def.FunctionARN); q.VisibilitySeconds() < timeout {
		return awserr.QueueVisibilityTooShort(q.VisibilitySeconds(), timeout)
	}
	return nil
}

// other is the mapping that has the same queue and function, empty when there is none.
func (m *Mappings) other(def *mapping.Definition) string {
	for _, v := range m.Views() {
		if v.UUID != def.UUID && v.StreamARN == def.StreamARN && v.FunctionARN == def.FunctionARN {
			return v.UUID
		}
	}
	return ""
}

// Views returns all mappings by the time of their creation.
func (m *Mappings) Views() []mapping.View {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.all))
	m.mu.Unlock()
	views := make([]mapping.View, len(all))
	for i, r := range all {
		views[i] = r.view("")
	}
	slices.SortFunc(views, func(a, b mapping.View) int { return mapping.ByCreation(a.Definition, b.Definition) })
	return views
}

// Get returns a mapping.
func (m *Mappings) Get(scope arn.Scope, uuid string) (mapping.View, error) {
	r, err := m.in(scope, uuid)
	if err != nil {
		return mapping.View{}, err
	}
	return r.view(""), nil
}

// Update changes a mapping. What is under way ends as it began.
func (m *Mappings) Update(ctx context.Context, scope arn.Scope, uuid string, s mapping.Settings) (mapping.View, error) {
	if bad := s.QueueConstraints(); len(bad) > 0 {
		return mapping.View{}, awserr.Constraints(bad)
	}
	m.control.Lock()
	defer m.control.Unlock()
	r, err := m.in(scope, uuid)
	if err != nil {
		return mapping.View{}, err
	}
	if err := s.CheckQueue(); err != nil {
		return mapping.View{}, err
	}
	def := r.definition()
	old := def
	if s.FunctionName != nil {
		if def.FunctionARN, err = m.resolve(ctx, scope, *s.FunctionName); err != nil {
			return mapping.View{}, err
		}
	}
	s.ApplyToQueue(&def)
	if err := m.check(&def); err != nil {
		return mapping.View{}, err
	}
	if other := m.other(&def); other != "" {
		return mapping.View{}, awserr.MappingOnQueueExists(def.StreamARN, arn.FunctionOf(def.FunctionARN), other)
	}
	def.Generation++
	def.Modified = m.o.Clock.Wall().UTC().Round(0)
	if err := m.set(&def, false); err != nil {
		return mapping.View{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.change(def)
	switch {
	case def.Enabled && !old.Enabled:
		return r.view(mapping.Enabling), nil
	case !def.Enabled && old.Enabled:
		return r.view(mapping.Disabling), nil
	}
	return r.view(mapping.Updating), nil
}

// Delete removes a mapping. What is under way ends by itself.
func (m *Mappings) Delete(scope arn.Scope, uuid string) (mapping.View, error) {
	m.control.Lock()
	defer m.control.Unlock()
	r, err := m.in(scope, uuid)
	if err != nil {
		return mapping.View{}, err
	}
	def := r.definition()
	if err := m.set(&def, true); err != nil {
		return mapping.View{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, uuid)
	r.stop()
	return r.view(mapping.Deleting), nil
}

// TagsOf returns the tags of a mapping.
func (m *Mappings) TagsOf(scope arn.Scope, uuid string) (map[string]string, error) {
	r, err := m.in(scope, uuid)
	if err != nil {
		return nil, err
	}
	return maps.Clone(r.definition().Tags), nil
}

// Retag changes them.
func (m *Mappings) Retag(scope arn.Scope, uuid string, change func(tags map[string]string)) error {
	m.control.Lock()
	defer m.control.Unlock()
	r, err := m.in(scope, uuid)
	if err != nil {
		return err
	}
	def := r.definition()
	def.Tags = maps.Clone(def.Tags)
	if def.Tags == nil {
		def.Tags = map[string]string{}
	}
	change(def.Tags)
	if err := mapping.CheckQueueTags(def.Tags); err != nil {
		return err
	}
	if len(def.Tags) > awserr.MaxTags {
		return awserr.LambdaTooManyTags()
	}
	if err := m.set(&def, false); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.change(def)
	return nil
}

// Settle returns when no enabled mapping has a message that can be received, or a batch under way; or with ctx's error. What waits behind a
// FIFO group's messages in flight cannot be received. With a manual clock it does not wait for the end of a window: the error is worker.ErrTimeStands.
func (m *Mappings) Settle(ctx context.Context) error {
	for {
		m.mu.Lock()
		idle := m.idle
		all := slices.Collect(maps.Values(m.all))
		m.mu.Unlock()
		busy, windows := false, false
		for _, r := range all {
			under := r.busy.Load()
			if def := r.definition(); !def.Enabled || def.Paused {
				busy = busy || under > 0
				continue
			}
			if q := m.o.Queues.FindARN(r.definition().StreamARN); q != nil {
				ready, err := q.Ready()
				if err != nil {
					return err
				}
				busy = busy || ready
			}
			// After the queue: what is taken is busy before it is not ready.
			under = r.busy.Load()
			waits := r.open.Load()
			busy, windows = busy || under > waits, windows || waits > 0
		}
		switch {
		case busy:
		case windows && m.o.Clock.Manual():
			return worker.ErrTimeStands
		case !windows:
			return nil
		}
		select {
		case <-idle:
		case <-time.After(100 * time.Millisecond): // others receive too, and messages go to dead-letter queues
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ended tells those who settle that a batch has ended.
func (m *Mappings) ended() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.idle)
	m.idle = make(chan struct{})
}
