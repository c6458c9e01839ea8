package local

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Places are found by age, number and time, also across a restart; a move is whole, and a mapping may begin at a moment.
func TestLocateAndReposition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, crashtest.New())
		s := w.create(1)
		w.write(s, 0, 3)
		time.Sleep(time.Minute)
		noon := time.Now()
		w.reopen()
		s = w.streams.Get(s.ARN)
		w.write(s, 0, 2)
		sh := s.Shards()[0]
		page, err := sh.Read(seqnum.Num{}, 10, 1<<20, func(*stream.Record) int { return 1 })
		w.check(err)
		r := page.Records
		for _, c := range []struct {
			name string
			at   backend.Place
			low  uint64
			here bool
		}{
			{"horizon", backend.Place{Horizon: true}, 0, false},
			{"latest", backend.Place{Latest: true}, 5, false},
			{"noon", backend.Place{Time: noon}, 3, false},
			{"before all", backend.Place{Time: noon.Add(-time.Hour)}, 0, false},
			{"after all", backend.Place{Time: noon.Add(time.Hour)}, 5, false},
			{"the second", backend.Place{Record: r[1].Seq()}, 1, true},
			{"the first of the second run", backend.Place{Record: r[3].Seq()}, 3, true},
			{"none", backend.Place{Record: r[4].Seq().Next()}, 5, false},
		} {
			l, err := w.b.Locate(t.Context(), s.ARN, sh.ID, c.at)
			if err != nil || l.Low.Lo != c.low || l.Ordinal != c.low || l.Here != c.here {
				t.Errorf("%s: %+v, %v", c.name, l, err)
			}
		}
		if l, err := w.b.Locate(t.Context(), s.ARN, "gone", backend.Place{Latest: true}); err != nil || l != (backend.Located{}) {
			t.Errorf("a shard that is gone: %+v, %v", l, err)
		}

		m := w.mapping(s, mapping.StartLatest)
		m.StartAt = noon
		rows, err := w.b.CreateMapping(t.Context(), m)
		w.check(err)
		if got := rows[sh.ID]; got.Low != r[2].Seq() || got.Done {
			t.Errorf("it begins at %+v", got)
		}
		m.Generation++
		to := lane.Checkpoint{Generation: m.Generation, Low: r[4].Seq(), Ordinal: 5}
		move := backend.Repositioned{
			Mapping: m, Rows: []backend.Row{{UUID: m.UUID, Shard: sh.ID, Checkpoint: to, WindowEnded: true}},
			Skipped: []backend.Skip{{Shard: sh.ID, Missed: lane.Missed{First: r[3].Seq(), Last: r[4].Seq(), Count: 2}}},
		}
		w.check(w.b.Reposition(t.Context(), move))
		w.reopen()
		if got := w.stored()[0]; got.Generation != m.Generation || got.Checkpoints[sh.ID].Low != to.Low {
			t.Errorf("stored %+v", got)
		}
		if u := w.unreadOf(m.UUID); len(u) != 1 || u[0].Why != skippedBy || u[0].Count != 2 || u[0].First != r[3].Seq() {
			t.Errorf("skipped %+v", u)
		}
		m.UUID = "00000000-0000-4000-8000-0000000000ff"
		move.Mapping = m
		if err := w.b.Reposition(t.Context(), move); err != backend.ErrNoMapping {
			t.Errorf("a move of a mapping that is not there: %v", err)
		}
	})
}
