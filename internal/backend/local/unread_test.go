package local

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// retained runs the retention of the world's streams for a time, with so much room.
func (w *world) retained(d time.Duration, limit int64) {
	w.t.Helper()
	o := stream.Retaining{Readers: w.b, Limit: limit, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.streams.Retain(ctx, o) }()
	time.Sleep(d)
	cancel()
	w.check(<-done)
}

// rowsOf counts what the disk has of a mapping in a key space.
func (w *world) rowsOf(space byte, uuid string) int {
	w.t.Helper()
	raw, err := id(uuid)
	w.check(err)
	n := 0
	w.check(w.b.store.Each(append([]byte{space}, raw[:]...), func(_, _ []byte) error {
		n++
		return nil
	}))
	return n
}

func (w *world) unreadOf(uuid string) []Unread {
	w.t.Helper()
	got, err := w.b.UnreadOf(uuid)
	w.check(err)
	for i := range got {
		if age := time.Since(got[i].At); age < 0 || age > 200*time.Hour {
			w.t.Errorf("removed %v ago", age)
		}
		got[i].At = time.Time{}
	}
	return got
}

// TestLogIsKeptForMappings holds P4: records past their retention stay while an enabled
// mapping has still to read them, go when it has, and what is removed unread is recorded for
// each mapping as a range, for good.
func TestLogIsKeptForMappings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fs: crashtest.New().FS(), nextID: 1}
		w.open()
		s := w.create(1)
		w.write(s, 0, 10)
		shard := s.Shards()[0].ID
		behind, idle := w.mapping(s, mapping.StartTrimHorizon), w.mapping(s, mapping.StartTrimHorizon)
		behind.Enabled, idle.Enabled = true, false
		for _, m := range []mapping.Definition{behind, idle} {
			_, err := w.b.CreateMapping(t.Context(), m)
			w.check(err)
		}
		at := func(lo uint64) seqnum.Num { return seqnum.Num{Hi: s.Shards()[0].Start.Hi, Lo: lo} }
		commit := func(lo uint64, done bool) {
			w.check(w.b.Commit(t.Context(), []backend.Row{{UUID: behind.UUID, Shard: shard, Checkpoint: lane.Checkpoint{Generation: 3, Low: at(lo), Done: done}}}, nil))
		}
		commit(4, false)
		w.retained(stream.Retention+2*time.Hour, 1<<40)
		sh := w.streams.Get(s.ARN).Shards()[0]
		if sh.Trimmed() != at(4) {
			t.Fatalf("trimmed to %s", sh.Trimmed())
		}
		lost := Unread{Shard: shard, First: at(1), Last: at(4), Count: 4, Why: stream.AgeLoss}
		if got := w.unreadOf(idle.UUID); !slices.Equal(got, []Unread{lost}) || len(w.unreadOf(behind.UUID)) != 0 {
			t.Errorf("lost: %+v, %+v", got, w.unreadOf(behind.UUID))
		}
		// It gets on: so does the removal, and one range grows.
		commit(7, false)
		w.retained(2*time.Hour, 1<<40)
		w.reopen()
		lost.Last, lost.Count = at(7), 7
		if got := w.unreadOf(idle.UUID); !slices.Equal(got, []Unread{lost}) || w.rowsOf(store.SpaceUnread, idle.UUID) != 1 {
			t.Errorf("lost after a restart: %+v", got)
		}
		// No room for what is on the disk.
		w.retained(2*time.Minute, 0)
		if got, want := w.unreadOf(behind.UUID), (Unread{Shard: shard, First: at(8), Last: at(10), Count: 3, Why: stream.CapLoss}); !slices.Equal(got, []Unread{want}) {
			t.Errorf("lost to the cap: %+v, want %+v", got, want)
		}
		w.check(w.b.DeleteMapping(t.Context(), idle.UUID))
		if n := w.rowsOf(store.SpaceUnread, idle.UUID); n != 0 || len(w.unreadOf(idle.UUID)) != 0 {
			t.Errorf("a deleted mapping keeps %d rows", n)
		}
		w.check(w.store.Close())
	})
}

// TestEnablingKeepsTheLog: a mapping that is enabled again is waited for from then on.
func TestEnablingKeepsTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fs: crashtest.New().FS(), nextID: 1}
		w.open()
		s := w.create(1)
		w.write(s, 0, 10)
		m := w.mapping(s, mapping.StartTrimHorizon)
		m.Enabled = false
		_, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
		w.retained(time.Hour, 1<<40)
		m.Enabled = true
		w.check(w.b.UpdateMapping(t.Context(), m))
		w.retained(stream.Retention+2*time.Hour, 1<<40)
		if got := s.Shards()[0].Trimmed(); !got.IsZero() {
			t.Errorf("trimmed to %s", got)
		}
		m.Enabled = false
		w.check(w.b.UpdateMapping(t.Context(), m))
		w.retained(2*time.Hour, 1<<40)
		if got := s.Shards()[0].Trimmed(); got.Lo != 10 {
			t.Errorf("trimmed to %s", got)
		}
		w.check(w.store.Close())
	})
}

// TestRowsGoWithTheirStream: a removed stream leaves no position behind, not even one that
// is stored late, and what of it was unread is counted.
func TestRowsGoWithTheirStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fs: crashtest.New().FS(), nextID: 1}
		w.open()
		s := w.create(2)
		w.write(s, 0, 5)
		shard := s.Shards()[0].ID
		m := w.mapping(s, mapping.StartTrimHorizon)
		m.Enabled = false
		_, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
		w.close(s)
		w.retained(stream.Retention+2*time.Minute, 1<<40)
		if w.streams.Get(s.ARN) != nil {
			t.Fatal("the stream is there")
		}
		w.check(w.b.Commit(t.Context(), []backend.Row{{UUID: m.UUID, Shard: shard, Checkpoint: lane.Checkpoint{Generation: 9, Low: seqnum.Num{Hi: 1, Lo: 1}}}}, nil))
		want := []Unread{{Shard: shard, First: s.Shards()[0].Start, Last: seqnum.Num{Hi: s.Shards()[0].Start.Hi, Lo: 5}, Count: 5, Why: stream.StreamLoss}}
		for range 2 {
			if n := w.rowsOf(store.SpaceCheckpoint, m.UUID); n != 0 {
				t.Errorf("%d positions are left", n)
			}
			if got := w.unreadOf(m.UUID); !slices.Equal(got, want) {
				t.Errorf("lost %+v, want %+v", got, want)
			}
			w.reopen()
		}
		w.check(w.store.Close())
	})
}

// TestTransactLetsTheLogGo: a mapping whose positions are stored with its writes alone keeps no more of the log than one that commits them,
// also when an older position is told of after a newer one.
func TestTransactLetsTheLogGo(t *testing.T) {
	w := newWorld(t, crashtest.New())
	s := w.create(1)
	q, err := w.withQueues().Create(arn.Scope(scope), "q", nil, nil)
	w.check(err)
	m := w.mapping(s, mapping.StartTrimHorizon)
	m.Enabled = true
	_, err = w.b.CreateMapping(t.Context(), m)
	w.check(err)
	sh := s.Shards()[0]
	needs := func(want seqnum.Num) {
		t.Helper()
		if after, needed, err := w.b.Needed(sh); err != nil || !needed || after != want {
			t.Errorf("the log is kept after %v (%v, %v), want %v", after, needed, err, want)
		}
	}
	needs(sh.Start.Prev())
	at := func(lo uint64) backend.Row {
		return backend.Row{UUID: m.UUID, Shard: sh.ID, Checkpoint: lane.Checkpoint{Generation: m.Generation, Low: seqnum.Num{Hi: sh.Start.Hi, Lo: lo}}}
	}
	w.check(w.b.Transact(t.Context(), sending(q, at(7))))
	needs(at(7).Low)
	w.b.stored([]backend.Row{at(5)})
	needs(at(7).Low)
	moved := at(2)
	moved.Generation++
	w.b.stored([]backend.Row{moved})
	needs(moved.Low)
	end := at(9)
	end.Generation, end.Done = moved.Generation, true
	w.check(w.b.Transact(t.Context(), sending(q, end)))
	if _, needed, err := w.b.Needed(sh); err != nil || needed {
		t.Errorf("the log is kept for a shard that was read to its end (%v)", err)
	}
}
