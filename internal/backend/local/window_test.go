package local

import (
	"testing"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// A window is stored and removed with its position, and goes with its mapping.
func TestWindows(t *testing.T) {
	w := newWorld(t, crashtest.New())
	s := w.create(1)
	m := w.mapping(s, mapping.StartTrimHorizon)
	rows, err := w.b.CreateMapping(t.Context(), m)
	w.check(err)
	shard := s.Shards()[0].ID
	cp := rows[shard]
	cp.Window = &lane.Window{Start: 120, End: 180, State: []byte(`{"n":1}`), Newest: 121_500}
	commit := func(r backend.Row) {
		t.Helper()
		r.UUID, r.Shard = m.UUID, shard
		w.check(w.b.Commit(t.Context(), []backend.Row{r}, nil))
		w.reopen()
	}
	commit(backend.Row{Checkpoint: cp})
	got := w.stored()[0].Checkpoints[shard].Window
	if got == nil || got.Start != 120 || got.End != 180 || got.Newest != 121_500 || string(got.State) != `{"n":1}` {
		t.Fatalf("read back %+v", got)
	}
	commit(backend.Row{Checkpoint: rows[shard], WindowEnded: true})
	if got := w.stored()[0].Checkpoints[shard].Window; got != nil || w.rows(store.SpaceWindow) != 0 {
		t.Fatalf("the window is still there: %+v", got)
	}
	commit(backend.Row{Checkpoint: cp})
	w.check(w.b.DeleteMapping(t.Context(), m.UUID))
	if n := w.rows(store.SpaceWindow); n != 0 {
		t.Errorf("%d windows of a deleted mapping", n)
	}
}
