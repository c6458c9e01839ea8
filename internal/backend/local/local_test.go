package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

var scope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

// world is a backend over streams, which the test writes as package table does.
type world struct {
	t       testing.TB
	fs      vfs.FS
	store   *store.Store
	streams *stream.Streams
	b       *Backend
	nextID  uint64
	ids     int
}

func newWorld(t testing.TB, disk *crashtest.Disk) *world {
	t.Helper()
	w := &world{t: t, fs: disk.FS(), nextID: 1}
	w.open()
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.store, err = store.Open(store.Options{FS: w.fs, Dir: "data"})
	w.check(err)
	w.streams, err = stream.Open(w.store, time.Now)
	w.check(err)
	w.b, err = Open(w.store, w.streams, nil, nil, slog.New(slog.DiscardHandler))
	w.check(err)
}

func (w *world) reopen() {
	w.t.Helper()
	w.check(w.store.Close())
	w.open()
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(shards int) *stream.Stream {
	w.t.Helper()
	b := w.store.NewBatch()
	defer b.Close()
	keys := schema.Keys{Hash: schema.Attribute{Name: "pk", Type: item.S}}
	s, err := w.streams.Create(b, w.nextID, scope, "tab", keys, stream.NewImage, shards, 0)
	w.check(err)
	w.nextID++
	w.check(w.store.Write(b))
	w.streams.Publish(s)
	return s
}

// apply writes n records without waiting for the disk; durable does.
func (w *world) apply(s *stream.Stream, shard, n int) (durable func()) {
	w.t.Helper()
	b, c := w.store.NewBatch(), w.store.Begin()
	defer b.Close()
	var recs []*stream.Record
	for i := range n {
		it := item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendString(nil, fmt.Sprint(i))}})
		r := s.NewRecord(stream.Change{Keys: it, New: it, KeyHash: uint64(i)})
		s.Shards()[shard].Append(b, r, time.Now().UnixMilli(), 0, 0)
		recs = append(recs, r)
	}
	w.check(w.store.Apply(c, b))
	return func() {
		w.check(w.store.Sync(c))
		for _, r := range recs {
			s.Shards()[shard].Committed(r)
		}
	}
}

func (w *world) write(s *stream.Stream, shard, n int) { w.apply(s, shard, n)() }

func (w *world) close(s *stream.Stream) {
	w.t.Helper()
	b := w.store.NewBatch()
	defer b.Close()
	change, err := s.Close(b)
	w.check(err)
	w.check(w.store.Write(b))
	change.Durable()
}

func (w *world) mapping(s *stream.Stream, start mapping.StartingPosition) mapping.Definition {
	w.ids++
	return mapping.Definition{
		UUID: fmt.Sprintf("%08x-1111-4222-8333-444444444444", w.ids), Scope: scope, StreamARN: s.ARN, FunctionARN: scope.FunctionARN("f"),
		Enabled: true, Generation: 3, Start: start, Created: time.Unix(1000, int64(w.ids)).UTC(), Modified: time.Unix(2000, 5).UTC(),
		BatchSize: 7, ParallelizationFactor: 2, MaximumRetryAttempts: -1, MaximumRecordAgeSeconds: 60, BisectOnError: true,
		Tags: map[string]string{"a": "b"},
	}
}

func (w *world) stored() []backend.Stored {
	w.t.Helper()
	m, err := w.b.Mappings(w.t.Context())
	w.check(err)
	return m
}

// rows counts what is stored under a prefix.
func (w *world) rows(prefix ...byte) (n int) {
	w.t.Helper()
	w.check(w.b.store.Each(prefix, func(_, _ []byte) error { n++; return nil }))
	return n
}

func TestCheckpointForm(t *testing.T) {
	num := rapid.Custom(func(t *rapid.T) seqnum.Num {
		return seqnum.Num{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
	})
	rapid.Check(t, func(t *rapid.T) {
		c := lane.Checkpoint{
			Generation: rapid.Uint64().Draw(t, "generation"), Low: num.Draw(t, "low"), Done: rapid.Bool().Draw(t, "done"),
			Ordinal: rapid.Uint64().Draw(t, "ordinal"), Time: rapid.Int64().Draw(t, "time"), Expired: rapid.Uint64().Draw(t, "expired"),
		}
		for range rapid.IntRange(0, 64).Draw(t, "lanes") {
			c.Ahead = append(c.Ahead, lane.LanePosition{Lane: uint8(rapid.IntRange(0, 63).Draw(t, "lane")), Seq: num.Draw(t, "seq")})
		}
		v := appendCheckpoint(nil, &c)
		got, err := decodeCheckpoint(v)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%+v became %+v, %v", c, got, err)
		}
		// What is shorter is damaged, unless it ends between two lanes.
		cut := rapid.IntRange(0, len(v)-1).Draw(t, "cut")
		whole := cut >= checkpointSize && (cut-checkpointSize)%laneSize == 0
		if _, err := decodeCheckpoint(v[:cut]); (err == nil) != whole {
			t.Fatalf("cut to %d of %d: %v", cut, len(v), err)
		}
	})
}

// TestMappingsAtRestart: definitions come back as they were, in the order of their
// making, with their newest rows.
func TestMappingsAtRestart(t *testing.T) {
	w := newWorld(t, crashtest.New())
	if len(w.stored()) != 0 {
		t.Fatal("mappings in a new database")
	}
	s := w.create(3)
	var want []backend.Stored
	for i := range 4 {
		m := w.mapping(s, mapping.StartTrimHorizon)
		rows, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
		if i == 2 {
			m.Enabled, m.Generation = false, 9
			w.check(w.b.UpdateMapping(t.Context(), m))
		}
		for shard := range rows {
			c := lane.Checkpoint{Generation: m.Generation, Low: seqnum.Num{Hi: 5, Lo: uint64(i)}, Ahead: []lane.LanePosition{{Lane: 3, Seq: seqnum.Num{Hi: 6}}}}
			if i != 1 {
				w.check(w.b.Commit(t.Context(), []backend.Row{{UUID: m.UUID, Shard: shard, Checkpoint: c}}, nil))
				rows[shard] = c
			}
		}
		want = append(want, backend.Stored{Definition: m, Checkpoints: rows})
	}
	for range 3 {
		if got := w.stored(); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		w.reopen()
	}
	// Changes without a look at Mappings first.
	m := want[1].Definition
	m.Generation++
	w.check(w.b.UpdateMapping(t.Context(), m))
	w.reopen()
	w.check(w.b.Commit(t.Context(), []backend.Row{{UUID: m.UUID, Shard: "new", Checkpoint: lane.Checkpoint{Generation: 77}}}, nil))
	w.reopen()
	w.check(w.b.DeleteMapping(t.Context(), want[0].UUID))
	got := w.stored()
	if len(got) != 3 || got[0].Generation != m.Generation || got[0].Checkpoints["new"].Generation != 77 || len(got[0].Checkpoints) != 4 {
		t.Fatalf("%+v", got)
	}
}

// TestCreateMapping: the first rows, so that LATEST loses nothing which becomes
// durable after it, and a missing row means one thing.
func TestCreateMapping(t *testing.T) {
	w := newWorld(t, crashtest.New())
	open, closed := w.create(2), w.create(2)
	w.write(open, 0, 4)
	w.write(closed, 0, 3)
	w.close(closed)
	late := w.apply(open, 0, 2)
	for _, c := range []struct {
		name  string
		s     *stream.Stream
		start mapping.StartingPosition
		lows  [2]uint64
		done  bool
	}{
		{"open, TRIM_HORIZON", open, mapping.StartTrimHorizon, [2]uint64{0, 0}, false},
		{"open, LATEST", open, mapping.StartLatest, [2]uint64{4, 0}, false},
		{"closed, TRIM_HORIZON", closed, mapping.StartTrimHorizon, [2]uint64{0, 0}, false},
		{"closed, LATEST", closed, mapping.StartLatest, [2]uint64{3, 0}, true},
	} {
		m := w.mapping(c.s, c.start)
		rows, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
		for i, sh := range c.s.Shards() {
			got, found := rows[sh.ID]
			if !found || got.Low.Lo != c.lows[i] || got.Ordinal != c.lows[i] || got.Done != c.done || got.Generation != m.Generation || got.Low.IsZero() {
				t.Errorf("%s, shard %d: %+v", c.name, i, got)
			}
		}
		stored := w.stored()
		if last := stored[len(stored)-1]; !maps.EqualFunc(last.Checkpoints, rows, func(a, b lane.Checkpoint) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%s: stored %+v, told %+v", c.name, last.Checkpoints, rows)
		}
	}
	late()
	if _, err := w.b.CreateMapping(t.Context(), mapping.Definition{StreamARN: "none"}); !errors.Is(err, backend.ErrNoStream) {
		t.Error(err)
	}
	m := w.mapping(open, mapping.StartLatest)
	m.UUID = "no id"
	if _, err := w.b.CreateMapping(t.Context(), m); err == nil {
		t.Error("a mapping without an id")
	}
}

// TestDeleteMapping: nothing is left, also when a commit or an update of the mapping
// comes late, and other mappings keep what is theirs.
func TestDeleteMapping(t *testing.T) {
	w := newWorld(t, crashtest.New())
	s := w.create(2)
	gone, kept := w.mapping(s, mapping.StartTrimHorizon), w.mapping(s, mapping.StartTrimHorizon)
	for _, m := range []mapping.Definition{gone, kept} {
		_, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
	}
	row := func(m mapping.Definition) backend.Row {
		return backend.Row{UUID: m.UUID, Shard: s.Shards()[0].ID, Checkpoint: lane.Checkpoint{Generation: 4, Expired: 1}}
	}
	w.check(w.b.DeleteMapping(t.Context(), gone.UUID))
	w.check(w.b.Commit(t.Context(), []backend.Row{row(gone), row(kept)}, nil))
	if err := w.b.UpdateMapping(t.Context(), gone); !errors.Is(err, backend.ErrNoMapping) {
		t.Error(err)
	}
	if err := w.b.DeleteMapping(t.Context(), gone.UUID); !errors.Is(err, backend.ErrNoMapping) {
		t.Error(err)
	}
	for range 2 {
		if defs, rows := w.rows(store.SpaceControl, controlMapping), w.rows(store.SpaceCheckpoint); defs != 1 || rows != 2 {
			t.Fatalf("%d definitions and %d rows are left", defs, rows)
		}
		if got := w.stored(); got[0].UUID != kept.UUID || got[0].Checkpoints[s.Shards()[0].ID].Expired != 1 {
			t.Fatalf("%+v", got)
		}
		w.reopen()
		w.check(w.b.Commit(t.Context(), []backend.Row{row(gone)}, nil))
	}
}

// TestDeleteRaces: deletions race with commits of the same mappings; no row stays.
func TestDeleteRaces(t *testing.T) {
	w := newWorld(t, crashtest.New())
	s := w.create(1)
	for range 50 {
		m := w.mapping(s, mapping.StartTrimHorizon)
		_, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
		var wg sync.WaitGroup
		for n := range 3 {
			wg.Go(func() {
				for i := range 5 {
					if err := w.b.Commit(t.Context(), []backend.Row{{UUID: m.UUID, Shard: fmt.Sprint(n), Checkpoint: lane.Checkpoint{Generation: uint64(i)}}}, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		w.check(w.b.DeleteMapping(t.Context(), m.UUID))
		wg.Wait()
	}
	if n := w.rows(store.SpaceCheckpoint); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// TestReadShardsWatch: what the engine reads is what the streams hold, and it is
// woken for records, for the end, and when the stream goes.
func TestReadShardsWatch(t *testing.T) {
	w := newWorld(t, crashtest.New())
	s := w.create(2)
	wakes := 0
	woken := func() bool { n := wakes; wakes = 0; return n > 0 }
	stop := w.b.Watch(s.ARN, func() { wakes++ })
	late := w.apply(s, 0, 3)
	id := s.Shards()[0].ID
	read := func(after seqnum.Num, n int) lane.Page {
		t.Helper()
		p, err := w.b.Read(t.Context(), s.ARN, id, after, n, 1<<20)
		w.check(err)
		return p
	}
	shards := func() []backend.Shard {
		t.Helper()
		l, err := w.b.Shards(t.Context(), s.ARN)
		w.check(err)
		return l
	}
	if p := read(seqnum.Num{}, 9); len(p.Records) != 0 || p.End || p.Missed != nil || woken() {
		t.Fatalf("before it is durable: %+v", p)
	}
	if l := shards(); l[0].Records != 0 || l[0].Closed || l[0].ID != id || l[0].Head != s.Shards()[0].Start.Prev() {
		t.Fatalf("%+v", l)
	}
	late()
	p := read(seqnum.Num{}, 2)
	if len(p.Records) != 2 || p.End || !woken() {
		t.Fatalf("%+v", p)
	}
	if p = read(p.Records[1].Seq(), 9); len(p.Records) != 1 || p.Records[0].Ordinal() != 3 || p.Records[0].EventSize() != len(p.Records[0].Event()) {
		t.Fatalf("%+v", p)
	}
	if l := shards(); l[0].Records != 3 || l[0].Head != p.Records[0].Seq() || l[1].Records != 0 {
		t.Fatalf("%+v", l)
	}
	w.close(s)
	if p := read(p.Records[0].Seq(), 9); !p.End || len(p.Records) != 0 || !woken() {
		t.Fatalf("%+v", p)
	}
	if l := shards(); !l[0].Closed || !l[1].Closed {
		t.Fatalf("%+v", l)
	}
	stop()
	if got, err := w.b.ResolveStream(t.Context(), s.ARN); err != nil || got != (backend.Stream{ARN: s.ARN, Table: "tab", Scope: scope}) {
		t.Errorf("%+v %v", got, err)
	}
	if p, err := w.b.Read(t.Context(), s.ARN, "gone", seqnum.Num{}, 1, 1); err != nil || !p.End {
		t.Errorf("a shard past retention: %+v %v", p, err)
	}
	_, err1 := w.b.ResolveStream(t.Context(), "none")
	_, err2 := w.b.Shards(t.Context(), "none")
	_, err3 := w.b.Read(t.Context(), "none", id, seqnum.Num{}, 1, 1)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, backend.ErrNoStream) {
			t.Error(err)
		}
	}
	w.b.Watch("none", nil)()
}

// TestCrash: databases that crash while mappings are made, committed and deleted.
// What was answered is there: a made mapping with a row for every shard, a position
// at least as far as the last committed one, a deleted one without a trace; and of
// what was not answered all or nothing.
func TestCrash(t *testing.T) {
	for seed := range uint64(40) {
		disk := crashtest.New()
		w := newWorld(t, disk)
		s := w.create(2)
		w.write(s, 0, 5)
		var mu sync.Mutex
		made, deleted, low := map[string]bool{}, map[string]bool{}, map[string]uint64{}
		told := func(f func()) {
			mu.Lock()
			defer mu.Unlock()
			f()
		}
		var wg sync.WaitGroup
		turns := make(chan mapping.Definition)
		for range 3 {
			wg.Go(func() {
				for m := range turns {
					if _, err := w.b.CreateMapping(t.Context(), m); err != nil {
						t.Error(err)
					}
					told(func() { made[m.UUID] = true })
					for i := uint64(1); i < 4; i++ {
						var rows []backend.Row
						for _, sh := range s.Shards() {
							rows = append(rows, backend.Row{UUID: m.UUID, Shard: sh.ID, Checkpoint: lane.Checkpoint{Generation: 3, Low: seqnum.Num{Hi: 9, Lo: i}}})
						}
						if err := w.b.Commit(t.Context(), rows, nil); err != nil {
							t.Error(err)
						}
						told(func() { low[m.UUID] = i })
					}
					if m.UUID[7]%2 == 0 {
						told(func() { delete(made, m.UUID) }) // from now on either will do
						if err := w.b.DeleteMapping(t.Context(), m.UUID); err != nil {
							t.Error(err)
						}
						told(func() { deleted[m.UUID] = true })
					}
				}
			})
		}
		var all []string
		for range 3 + seed%20 {
			m := w.mapping(s, mapping.StartTrimHorizon)
			all = append(all, m.UUID)
			turns <- m
		}
		mu.Lock()
		mustBe, mustNot, atLeast := maps.Clone(made), maps.Clone(deleted), maps.Clone(low)
		crashed := disk.Clone(seed) // before anyone can begin to delete what must be there
		mu.Unlock()
		close(turns)
		wg.Wait()
		w.check(w.store.Close())

		w = newWorld(t, crashed)
		got := map[string]backend.Stored{}
		rows := 0
		for _, m := range w.stored() {
			got[m.UUID] = m
			rows += len(m.Checkpoints)
			if len(m.Checkpoints) != 2 {
				t.Fatalf("seed %d: a mapping with %d rows", seed, len(m.Checkpoints))
			}
			var lows []uint64
			for _, c := range m.Checkpoints {
				lows = append(lows, c.Low.Lo)
			}
			if slices.Min(lows) != slices.Max(lows) || mustBe[m.UUID] && lows[0] < atLeast[m.UUID] {
				t.Fatalf("seed %d: positions %v, committed was %d", seed, lows, atLeast[m.UUID])
			}
		}
		for _, uuid := range all {
			if _, found := got[uuid]; mustBe[uuid] && !found || mustNot[uuid] && found {
				t.Fatalf("seed %d: mapping %s: made %v, deleted %v, found %v", seed, uuid, mustBe[uuid], mustNot[uuid], found)
			}
		}
		if n := w.rows(store.SpaceCheckpoint); n != rows {
			t.Fatalf("seed %d: %d rows, %d of mappings", seed, n, rows)
		}
		w.check(w.store.Close())
	}
}

// TestPositionsOutliveLateEnd holds P4 over a crash: while a stream closes, nothing
// that the engine could store says that a shard is done before the closing itself is
// certain.
func TestPositionsOutliveLateEnd(t *testing.T) {
	disk := crashtest.New()
	w := newWorld(t, disk)
	s := w.create(1)
	w.write(s, 0, 2)
	b := w.store.NewBatch()
	defer b.Close()
	_, err := s.Close(b)
	w.check(err)
	m := w.mapping(s, mapping.StartLatest)
	rows, err := w.b.CreateMapping(t.Context(), m) // between the closing and its batch
	w.check(err)
	sh := s.Shards()[0]
	if rows[sh.ID].Done {
		t.Fatal("done with a shard that a crash would leave open")
	}
	crashed := newWorld(t, disk.CloneKeeping(0, 1))
	again := crashed.streams.Get(s.ARN)
	crashed.write(again, 0, 1)
	c := crashed.stored()[0].Checkpoints[sh.ID]
	p, err := crashed.b.Read(t.Context(), s.ARN, sh.ID, c.Low, 10, 1<<20)
	if err != nil || c.Done || len(p.Records) != 1 || p.Missed != nil {
		t.Fatalf("%+v %+v %v", c, p, err)
	}
}

// TestMissedOverRestart holds P4: a mapping that did not read what retention removed
// is told exactly what, from the position that it stored, also after a restart.
func TestMissedOverRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fs: crashtest.New().FS(), nextID: 1}
		w.open()
		s := w.create(1)
		w.write(s, 0, 10)
		m := w.mapping(s, mapping.StartTrimHorizon)
		rows, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
		id := s.Shards()[0].ID
		p, err := w.b.Read(t.Context(), s.ARN, id, rows[id].Low, 4, 1<<20)
		w.check(err)
		position := lane.Checkpoint{Generation: 3, Low: p.Records[3].Seq()}
		w.check(w.b.Commit(t.Context(), []backend.Row{{UUID: m.UUID, Shard: id, Checkpoint: position}}, nil))

		ctx, cancel := context.WithCancel(t.Context())
		retained := make(chan error, 1)
		go func() { retained <- w.streams.Retain(ctx, stream.Retaining{Log: slog.New(slog.DiscardHandler)}) }()
		time.Sleep(stream.Retention + 2*time.Hour)
		cancel()
		w.check(<-retained)
		w.reopen()
		w.write(w.streams.Get(s.ARN), 0, 1)
		for range 2 {
			c := w.stored()[0].Checkpoints[id]
			p, err := w.b.Read(t.Context(), s.ARN, id, c.Low, 100, 1<<20)
			if err != nil || p.Missed == nil || *p.Missed != (lane.Missed{First: c.Low.Next(), Last: seqnum.Num{Hi: c.Low.Hi, Lo: 10}, Count: 6}) ||
				len(p.Records) != 1 || p.Records[0].Ordinal() != 11 {
				t.Fatalf("%+v %+v %v", p, p.Missed, err)
			}
			w.reopen()
		}
		w.check(w.store.Close())
	})
}
