package trigger

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

var testScope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

const testLabel = "2026-01-01T00:00:00.000"

// fakeBackend keeps streams and mappings in memory. What a method has stored
// survives a crash; crash makes later calls of the old engine fail.
type fakeBackend struct {
	mu       sync.Mutex
	epoch    int // raised by crash
	streams  map[string]*fakeStream
	mappings map[string]StoredMapping
	aside    map[string]asideRows // by UUID
	commits  int
	fail     error  // answer of everything that stores
	readFail error  // answer of Read
	onRead   func() // called, if set, before Read and Aside look
	transact func(made) error
	skipped  []Skip
	existing map[string][]*testRecord // of snapshots, by UUID
}

// asideRows are what one mapping has set aside, on the disk.
type asideRows map[AsideKey]SetAside

func (r asideRows) apply(changes []AsideChange) {
	for _, c := range changes {
		old := r[c.Key]
		switch {
		case c.Put == nil:
			delete(r, c.Key)
			continue
		case c.Put.Event == nil && old.Event == nil:
			panic("the head of a row that is not there")
		}
		row := *c.Put
		if row.Event == nil {
			row.Event = old.Event
		}
		r[c.Key] = row
	}
}

func (r asideRows) page(from AsideKey, limit, maxBytes int, heads bool) []SetAside {
	keys := slices.SortedFunc(maps.Keys(r), AsideKey.Compare)
	var out []SetAside
	size := 0
	for _, k := range keys {
		if k.Compare(from) < 0 {
			continue
		}
		row := r[k]
		if heads {
			row.Event = nil
		}
		if size += len(row.Event); len(out) == limit || len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, row)
	}
	return out
}

type fakeStream struct {
	shards   []*fakeShard
	watchers map[int]func()
	watched  int
	orders   map[int]int // records so far, by key
}

type fakeShard struct {
	Shard
	log     []*testRecord
	trimmed uint64
}

func (sh *fakeShard) append(r *testRecord) {
	sh.log = append(sh.log, r)
	sh.Head, sh.Records = num(r.N), r.N
}

func newFakeBackend(tables ...string) *fakeBackend {
	b := &fakeBackend{streams: map[string]*fakeStream{}, mappings: map[string]StoredMapping{}, aside: map[string]asideRows{}, existing: map[string][]*testRecord{}}
	for _, t := range tables {
		b.streams[testScope.StreamARN(t, testLabel)] = &fakeStream{
			shards: []*fakeShard{{Shard: Shard{ID: "shard-0", Head: num(0)}}}, watchers: map[int]func(){}, orders: map[int]int{},
		}
	}
	return b
}

// incarnation is the backend as one engine sees it; after a crash it is dead.
type incarnation struct {
	*fakeBackend
	epoch int
}

func (b *fakeBackend) open() Backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	return incarnation{b, b.epoch}
}

func (b *fakeBackend) crash() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch++
	for _, s := range b.streams {
		s.watchers = map[int]func(){}
	}
}

// write appends records of these keys to a shard and wakes.
func (b *fakeBackend) write(table string, shard int, keys ...int) {
	b.writeSized(table, shard, 0, keys...)
}

func (b *fakeBackend) writeSized(table string, shard, size int, keys ...int) {
	b.mu.Lock()
	s := b.streams[testScope.StreamARN(table, testLabel)]
	sh := s.shards[shard]
	for _, k := range keys {
		s.orders[k]++
		sh.append(newRecord(uint64(len(sh.log)+1), k, s.orders[k], time.Now().UnixMilli(), size))
	}
	b.wakeLocked(s)
}

// split closes a shard and opens two children.
func (b *fakeBackend) split(table string, shard int) {
	b.splitStream(testScope.StreamARN(table, testLabel), shard)
}

func (b *fakeBackend) splitStream(arn string, shard int) {
	b.mu.Lock()
	s := b.streams[arn]
	s.shards[shard].Closed = true
	for range 2 {
		s.shards = append(s.shards, &fakeShard{Shard: Shard{ID: fmt.Sprintf("shard-%d", len(s.shards)), Parent: s.shards[shard].ID, Head: num(0)}})
	}
	b.wakeLocked(s)
}

// wakeLocked lets go of the lock before it wakes.
func (b *fakeBackend) wakeLocked(s *fakeStream) {
	wakes := slices.Collect(maps.Values(s.watchers))
	b.mu.Unlock()
	for _, w := range wakes {
		w()
	}
}

// delayed lets a test hold up a read.
func (b incarnation) delayed() {
	b.mu.Lock()
	f := b.onRead
	b.mu.Unlock()
	if f != nil {
		f()
	}
}

func (b incarnation) alive() error {
	if b.epoch != b.fakeBackend.epoch {
		return fmt.Errorf("crashed")
	}
	return nil
}

func (b incarnation) ResolveStream(_ context.Context, text string) (Stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	scope, table, _, _ := arn.Stream(text)
	if b.streams[text] == nil {
		return Stream{}, ErrNoStream
	}
	return Stream{ARN: text, Table: table, Scope: scope}, nil
}

func (b incarnation) Shards(_ context.Context, arn string) ([]Shard, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[arn]
	if s == nil {
		return nil, ErrNoStream
	}
	out := make([]Shard, len(s.shards))
	for i, sh := range s.shards {
		out[i] = sh.Shard
	}
	return out, b.alive()
}

func (b incarnation) Read(_ context.Context, arn, shard string, after seqnum.Num, maxRecords, maxBytes int) (Page, error) {
	b.delayed()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.alive(); err != nil {
		return Page{}, err
	}
	if b.readFail != nil {
		return Page{}, b.readFail
	}
	if uuid, ok := backend.SnapshotOf(shard); ok {
		return pageOfSnapshot(b.existing[uuid], after, maxRecords), nil
	}
	for _, sh := range b.streams[arn].shards {
		if sh.ID == shard {
			return pageOf(sh.log, sh.trimmed, sh.Closed, after, maxRecords, maxBytes), nil
		}
	}
	return Page{End: true}, nil
}

func (b incarnation) Watch(arn string, wake func()) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[arn]
	if s == nil {
		return func() {}
	}
	s.watched++
	n := s.watched
	s.watchers[n] = wake
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(s.watchers, n)
	}
}

func (b incarnation) Mappings(context.Context) ([]StoredMapping, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []StoredMapping
	for _, m := range b.mappings {
		m.Checkpoints = maps.Clone(m.Checkpoints)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b StoredMapping) int { return mapping.ByCreation(a.Definition, b.Definition) })
	return out, nil
}

func (b incarnation) CreateMapping(_ context.Context, m Mapping) (map[string]Checkpoint, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[m.StreamARN]
	if s == nil {
		return nil, ErrNoStream
	}
	if b.fail != nil {
		return nil, b.fail
	}
	rows := map[string]Checkpoint{}
	if m.Snapshot != nil {
		m.Snapshot = b.freeze(m.UUID, s)
	}
	if m.Start == StartLatest {
		for _, sh := range s.shards {
			rows[sh.ID] = Checkpoint{Generation: m.Generation, Low: sh.Head, Ordinal: sh.Records, Done: sh.Closed}
		}
	}
	if !m.StartAt.IsZero() {
		for _, sh := range s.shards {
			n := slices.IndexFunc(sh.log, func(r *testRecord) bool { return r.Time() >= m.StartAt.UnixMilli() })
			if n < 0 {
				n = len(sh.log)
			}
			rows[sh.ID] = Checkpoint{Generation: m.Generation, Low: num(uint64(n)), Ordinal: uint64(n)}
		}
	}
	b.mappings[m.UUID] = StoredMapping{Definition: m, Checkpoints: maps.Clone(rows)}
	return rows, b.alive()
}

func (b incarnation) UpdateMapping(_ context.Context, m Mapping) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	s, ok := b.mappings[m.UUID]
	if !ok {
		return ErrNoMapping
	}
	s.Definition = m
	b.mappings[m.UUID] = s
	return b.alive()
}

func (b incarnation) DeleteMapping(_ context.Context, uuid string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	if b.mappings[uuid].UUID == "" {
		return ErrNoMapping
	}
	delete(b.mappings, uuid)
	delete(b.aside, uuid)
	return b.alive()
}

func (b incarnation) Locate(_ context.Context, arn, shard string, at Place) (l Located, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[arn]
	i := slices.IndexFunc(s.shards, func(sh *fakeShard) bool { return sh.ID == shard })
	if i < 0 {
		return l, b.alive()
	}
	sh := s.shards[i]
	n := sh.trimmed
	switch {
	case at.Latest:
		n = uint64(len(sh.log))
	case !at.Time.IsZero():
		for n < uint64(len(sh.log)) && sh.log[n].Time() < at.Time.UnixMilli() {
			n++
		}
	case !at.Record.IsZero():
		for n < uint64(len(sh.log)) && sh.log[n].Seq().Less(at.Record) {
			n++
		}
		l.Here = n < uint64(len(sh.log)) && sh.log[n].Seq() == at.Record
	}
	l.Low, l.Ordinal = num(n), n
	return l, b.alive()
}

func (b incarnation) Reposition(_ context.Context, r Repositioned) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	if err := b.alive(); err != nil {
		return err
	}
	m, ok := b.mappings[r.Mapping.UUID]
	if !ok {
		return ErrNoMapping
	}
	m.Definition = r.Mapping
	for _, row := range r.Rows {
		m.Checkpoints[row.Shard] = row.Checkpoint
	}
	b.mappings[r.Mapping.UUID] = m
	b.skipped = append(b.skipped, r.Skipped...)
	if len(r.Aside) > 0 {
		b.aside[r.Mapping.UUID].apply(r.Aside)
	}
	return nil
}

func (b incarnation) Aside(_ context.Context, uuid string, from AsideKey, limit, maxBytes int, heads bool) ([]SetAside, error) {
	b.delayed()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.alive(); err != nil {
		return nil, err
	}
	if b.readFail != nil {
		return nil, b.readFail
	}
	return b.aside[uuid].page(from, limit, maxBytes, heads), nil
}

// made is a transaction with its rows.
type made struct {
	Transaction
	Rows []Row
}

// Transact makes writes that the backend's transact allows.
func (b incarnation) Transact(ctx context.Context, t Transaction) error {
	b.mu.Lock()
	f := b.transact
	b.mu.Unlock()
	if f == nil {
		return b.transactOwn(t)
	}
	rows, aside, err := t.Build()
	if err != nil {
		return err
	}
	if err := f(made{t, rows}); err != nil {
		return err
	}
	if err := b.Commit(ctx, rows, aside); err != nil {
		return err
	}
	t.Applied()
	return nil
}

func (b incarnation) Commit(_ context.Context, rows []Row, aside []AsideRows) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.commitLocked(rows, aside)
}

func (b incarnation) commitLocked(rows []Row, aside []AsideRows) error {
	if err := b.alive(); err != nil {
		return err
	}
	if b.fail != nil {
		return b.fail
	}
	b.commits++
	for _, r := range rows {
		m, ok := b.mappings[r.UUID]
		if !ok {
			return fmt.Errorf("a row of the deleted mapping %s", r.UUID)
		}
		old := m.Checkpoints[r.Shard]
		if r.Generation == old.Generation && r.Low.Less(old.Low) || r.Generation < old.Generation {
			return fmt.Errorf("position of %s went back", r.UUID)
		}
		m.Checkpoints[r.Shard] = r.Checkpoint
	}
	for _, a := range aside {
		if b.mappings[a.UUID].UUID == "" {
			return fmt.Errorf("rows of the deleted mapping %s are set aside", a.UUID)
		}
		if b.aside[a.UUID] == nil {
			b.aside[a.UUID] = asideRows{}
		}
		b.aside[a.UUID].apply(a.Changes)
	}
	return nil
}

// set changes the backend under its lock.
func (b *fakeBackend) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *fakeBackend) row(uuid, shard string) Checkpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mappings[uuid].Checkpoints[shard]
}

func (b *fakeBackend) takeCommits() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.commits
	b.commits = 0
	return n
}

// delivery is one invocation as a function saw it.
type delivery struct {
	function string
	at       time.Time
	payload  string
}

// fakeInvoker runs Go funcs by function name.
type fakeInvoker struct {
	mu         sync.Mutex
	functions  map[string]func(ctx context.Context, payload []byte) Result
	deliveries []delivery
}

func newFakeInvoker() *fakeInvoker {
	return &fakeInvoker{functions: map[string]func(context.Context, []byte) Result{}}
}

func ok(context.Context, []byte) Result { return Result{} }

func fails(context.Context, []byte) Result { return Result{Outcome: FunctionError, Error: "boom"} }

func (f *fakeInvoker) set(name string, fn func(context.Context, []byte) Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fn == nil {
		delete(f.functions, name)
		return
	}
	f.functions[name] = fn
}

func (f *fakeInvoker) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	full := mapping.FunctionARN(scope, name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.functions[nameIn(full)] == nil {
		return "", ErrNoFunction
	}
	return full, nil
}

// nameIn is a function's name without its qualifier: the fake has one version of each.
func nameIn(functionARN string) string {
	f, _ := arn.ParseFunction(functionARN)
	return f.Name
}

func (f *fakeInvoker) Invoke(ctx context.Context, functionARN string, payload []byte) Result {
	name := nameIn(functionARN)
	f.mu.Lock()
	fn := f.functions[name]
	f.deliveries = append(f.deliveries, delivery{name, time.Now(), string(payload)})
	f.mu.Unlock()
	if fn == nil {
		return Result{Outcome: NotDelivered, Error: "no such function"}
	}
	return fn(ctx, payload)
}

// take returns and forgets the deliveries of a function.
func (f *fakeInvoker) take(name string) []delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out, rest []delivery
	for _, d := range f.deliveries {
		if d.function == name {
			out = append(out, d)
		} else {
			rest = append(rest, d)
		}
	}
	f.deliveries = rest
	return out
}

// harness is an engine over fakes.
type harness struct {
	t       testing.TB
	backend *fakeBackend
	invoker *fakeInvoker
	opts    Options
	*Engine
	stop func()
	made func() // called, if set, with each engine that is to begin
}

func newHarness(t testing.TB, tables ...string) *harness {
	h := &harness{t: t, backend: newFakeBackend(tables...), invoker: newFakeInvoker()}
	h.opts = Options{Invoker: h.invoker, Jitter: func() float64 { return 1 }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	h.start()
	return h
}

func (h *harness) start() {
	h.opts.Backend = h.backend.open()
	e, err := New(h.t.Context(), h.opts)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Engine = e
	if h.made != nil {
		h.made()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	h.stop = func() {
		cancel()
		<-ended
	}
}

// crash ends the engine without letting it store anything more, and starts another.
func (h *harness) crash() {
	h.backend.crash()
	h.stop()
	h.start()
}

func (h *harness) create(table, function string, change func(*CreateRequest)) View {
	h.t.Helper()
	r := CreateRequest{
		EventSourceArn: new(testScope.StreamARN(table, testLabel)), StartingPosition: new("TRIM_HORIZON"),
		Settings: Settings{FunctionName: new(function)},
	}
	if change != nil {
		change(&r)
	}
	v, err := h.Create(h.t.Context(), testScope, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *harness) update(uuid string, s Settings) View {
	h.t.Helper()
	v, err := h.Update(h.t.Context(), testScope, uuid, s)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *harness) status(uuid string) MappingStatus {
	h.t.Helper()
	s, err := h.Status(h.t.Context(), uuid)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}
