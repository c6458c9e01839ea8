package trigger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

var testScope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

const testLabel = "2026-01-01T00:00:00.000"

// fakeBackend keeps streams and mappings in memory. What a method has stored
// survives a crash; crash makes later calls of the old engine fail.
type fakeBackend struct {
	anyOrder bool // a child may be stored before its parent has ended: the engine never does that, but a backend takes it

	mu       sync.Mutex
	epoch    int // raised by crash
	streams  map[string]*fakeStream
	mappings map[string]backend.Stored
	aside    map[string]asideRows // by UUID
	commits  int
	fail     error  // answer of everything that stores
	readFail error  // answer of Read
	onRead   func() // called, if set, before Read and Aside look
	transact func(made) error
	skipped  []backend.Skip
	existing map[string][]*testRecord // of snapshots, by UUID
	sent     []string                 // messages of transactions
}

// asideRows are what one mapping has set aside, on the disk.
type asideRows map[lane.AsideKey]lane.SetAside

func (r asideRows) apply(changes []lane.AsideChange) {
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

func (r asideRows) page(from lane.AsideKey, limit, maxBytes int, heads bool) []lane.SetAside {
	keys := slices.SortedFunc(maps.Keys(r), lane.AsideKey.Compare)
	var out []lane.SetAside
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
	backend.Shard
	log     []*testRecord
	late    []*testRecord // written and not durable yet
	trimmed uint64
}

func (sh *fakeShard) append(r *testRecord) {
	sh.log = append(sh.log, r)
	sh.Head, sh.Records = num(r.N), r.N
}

// lenient has fakes take rows in any order: for a planted bug, since a panic would end the tests.
var lenient bool

func newFakeBackend(tables ...string) *fakeBackend {
	b := &fakeBackend{anyOrder: lenient, streams: map[string]*fakeStream{}, mappings: map[string]backend.Stored{}, aside: map[string]asideRows{}, existing: map[string][]*testRecord{}}
	for _, t := range tables {
		b.streams[testScope.StreamARN(t, testLabel)] = &fakeStream{
			shards: []*fakeShard{{Shard: backend.Shard{ID: "shard-0", Head: num(0)}}}, watchers: map[int]func(){}, orders: map[int]int{},
		}
	}
	return b
}

// incarnation is the backend as one engine sees it; after a crash it is dead.
type incarnation struct {
	*fakeBackend
	epoch int
}

func (b *fakeBackend) open() backend.Backend {
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

// writeLate writes a record to a shard whose sync takes until the returned function is called.
func (b *fakeBackend) writeLate(table string, shard, key int) (sync func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[testScope.StreamARN(table, testLabel)]
	sh := s.shards[shard]
	s.orders[key]++
	sh.late = append(sh.late, newRecord(uint64(len(sh.log)+len(sh.late)+1), key, s.orders[key], time.Now().UnixMilli(), 0))
	return func() {
		b.mu.Lock()
		for _, r := range sh.late {
			sh.append(r)
		}
		sh.late = nil
		b.wakeLocked(s)
	}
}

// writeBusy writes a record whose sync takes until the next one is written: one is always on its way to the disk.
func (b *fakeBackend) writeBusy(table string, shard, key int) {
	b.mu.Lock()
	s := b.streams[testScope.StreamARN(table, testLabel)]
	sh := s.shards[shard]
	for _, r := range sh.late {
		sh.append(r)
	}
	s.orders[key]++
	sh.late = []*testRecord{newRecord(uint64(len(sh.log)+1), key, s.orders[key], time.Now().UnixMilli(), 0)}
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
		s.shards = append(s.shards, &fakeShard{Shard: backend.Shard{ID: fmt.Sprintf("shard-%d", len(s.shards)), Parent: s.shards[shard].ID, Head: num(0)}})
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

func (b incarnation) ResolveStream(_ context.Context, text string) (backend.Stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	scope, table, _, _ := arn.Stream(text)
	if b.streams[text] == nil {
		return backend.Stream{}, backend.ErrNoStream
	}
	return backend.Stream{ARN: text, Table: table, Scope: scope}, nil
}

func (b incarnation) Shards(_ context.Context, arn string) ([]backend.Shard, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[arn]
	if s == nil {
		return nil, backend.ErrNoStream
	}
	out := make([]backend.Shard, len(s.shards))
	for i, sh := range s.shards {
		out[i] = sh.Shard
	}
	return out, b.alive()
}

func (b incarnation) Read(_ context.Context, arn, shard string, after seqnum.Num, maxRecords, maxBytes int) (lane.Page, error) {
	b.delayed()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.alive(); err != nil {
		return lane.Page{}, err
	}
	if b.readFail != nil {
		return lane.Page{}, b.readFail
	}
	if uuid, ok := backend.SnapshotOf(shard); ok {
		return pageOfSnapshot(b.existing[uuid], after, maxRecords), nil
	}
	for _, sh := range b.streams[arn].shards {
		if sh.ID == shard {
			page := pageOf(sh.log, sh.trimmed, sh.Closed, after, maxRecords, maxBytes)
			page.Coming = len(sh.late) > 0
			return page, nil
		}
	}
	return lane.Page{End: true}, nil
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

func (b incarnation) Mappings(context.Context) ([]backend.Stored, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []backend.Stored
	for _, m := range b.mappings {
		m.Checkpoints = maps.Clone(m.Checkpoints)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b backend.Stored) int { return mapping.ByCreation(a.Definition, b.Definition) })
	return out, nil
}

func (b incarnation) CreateMapping(_ context.Context, m mapping.Definition) (map[string]lane.Checkpoint, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[m.StreamARN]
	if s == nil {
		return nil, backend.ErrNoStream
	}
	if b.fail != nil {
		return nil, b.fail
	}
	rows := map[string]lane.Checkpoint{}
	if m.Snapshot != nil {
		m.Snapshot = b.freeze(m.UUID, s)
	}
	if m.Start == mapping.StartLatest {
		for _, sh := range s.shards {
			rows[sh.ID] = lane.Checkpoint{Generation: m.Generation, Low: sh.Head, Ordinal: sh.Records, Done: sh.Closed}
		}
	}
	if !m.StartAt.IsZero() {
		for _, sh := range s.shards {
			n := slices.IndexFunc(sh.log, func(r *testRecord) bool { return r.Time() >= m.StartAt.UnixMilli() })
			if n < 0 {
				n = len(sh.log)
			}
			rows[sh.ID] = lane.Checkpoint{Generation: m.Generation, Low: num(uint64(n)), Ordinal: uint64(n)}
		}
	}
	b.mappings[m.UUID] = backend.Stored{Definition: m, Checkpoints: maps.Clone(rows)}
	return rows, b.alive()
}

func (b incarnation) UpdateMapping(_ context.Context, m mapping.Definition) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	s, ok := b.mappings[m.UUID]
	if !ok {
		return backend.ErrNoMapping
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
		return backend.ErrNoMapping
	}
	delete(b.mappings, uuid)
	delete(b.aside, uuid)
	return b.alive()
}

func (b incarnation) Locate(_ context.Context, arn, shard string, at backend.Place) (l backend.Located, _ error) {
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

func (b incarnation) Reposition(_ context.Context, r backend.Repositioned) error {
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
		return backend.ErrNoMapping
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

func (b incarnation) Aside(_ context.Context, uuid string, from lane.AsideKey, limit, maxBytes int, heads bool) ([]lane.SetAside, error) {
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
	backend.Transaction
	Rows []backend.Row
}

// Transact makes writes that the backend's transact allows.
func (b incarnation) Transact(ctx context.Context, t backend.Transaction) error {
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

func (b incarnation) Commit(_ context.Context, rows []backend.Row, aside []backend.AsideRows) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.commitLocked(rows, aside)
}

func (b incarnation) commitLocked(rows []backend.Row, aside []backend.AsideRows) error {
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
		if parent := b.parentLocked(m.StreamARN, r.Shard); !b.anyOrder && parent != "" && num(0).Less(r.Low) && !m.Checkpoints[parent].Done && !stores(rows, r.UUID, parent) {
			panic("the position of " + r.Shard + " is stored before the end of its parent")
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

// parentLocked is the shard before another, empty without one.
func (b *fakeBackend) parentLocked(arn, shard string) string {
	if s := b.streams[arn]; s != nil {
		for _, sh := range s.shards {
			if sh.ID == shard {
				return sh.Parent
			}
		}
	}
	return ""
}

// stores reports whether rows have the end of a shard.
func stores(rows []backend.Row, uuid, shard string) bool {
	return slices.ContainsFunc(rows, func(r backend.Row) bool { return r.UUID == uuid && r.Shard == shard && r.Done })
}

// set changes the backend under its lock.
func (b *fakeBackend) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *fakeBackend) row(uuid, shard string) lane.Checkpoint {
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
