package backendtest

import (
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

func locate(t T, w World, arn, shard string, at backend.Place) backend.Located {
	t.Helper()
	l, err := w.Backend().Locate(t.Context(), arn, shard, at)
	check(t, err)
	return l
}

var places = []Case{
	{Name: "the oldest and the newest place of a shard", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3)
		sh := only(t, w, arn)
		old, end := locate(t, w, arn, sh.ID, backend.Place{Horizon: true}), locate(t, w, arn, sh.ID, backend.Place{Latest: true})
		if got, _ := read(t, w, arn, sh.ID, old.Low); len(got) != 3 || old.Ordinal != 0 {
			t.Errorf("horizon %+v, %d records behind it", old, len(got))
		}
		if end.Low != sh.Head || end.Ordinal != 3 {
			t.Errorf("latest %+v", end)
		}
	}},
	{Name: "the oldest place of a shard that has lost records", Sleeps: true, Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3)
		w.Age(arn)
		w.Write(arn, 4, 5)
		sh := only(t, w, arn).ID
		l := locate(t, w, arn, sh, backend.Place{Horizon: true})
		p := page(t, w, arn, sh, l.Low, 10, lots)
		if equal(t, "records", itemsOf(w, p.Records), []write{{4, 1}, {5, 1}}); p.Missed != nil || l.Ordinal != 3 {
			t.Errorf("%+v, missed %+v", l, p.Missed)
		}
	}},
	{Name: "the place of a moment", Sleeps: true, Run: func(t T, w World) {
		arn := w.Stream(1)
		start := time.Now()
		w.Write(arn, 1, 2)
		time.Sleep(time.Minute)
		noon := time.Now()
		w.Write(arn, 3)
		sh := only(t, w, arn).ID
		for _, c := range []struct {
			at   time.Time
			want int
		}{{start.Add(-time.Hour), 3}, {noon.Add(-time.Second), 1}, {noon, 1}, {noon.Add(time.Hour), 0}} {
			l := locate(t, w, arn, sh, backend.Place{Time: c.at})
			if got, _ := read(t, w, arn, sh, l.Low); len(got) != c.want || l.Ordinal != uint64(3-c.want) {
				t.Errorf("at %s: %+v, %d records behind it", c.at, l, len(got))
			}
		}
	}},
	{Name: "the place of a record", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3)
		sh := only(t, w, arn)
		all, _ := read(t, w, arn, sh.ID, seqnum.Num{})
		for i, r := range all {
			l := locate(t, w, arn, sh.ID, backend.Place{Record: r.Seq()})
			if got, _ := read(t, w, arn, sh.ID, l.Low); !l.Here || len(got) != 3-i || l.Ordinal != uint64(i) {
				t.Errorf("record %d: %+v, %d records behind it", i+1, l, len(got))
			}
		}
		if l := locate(t, w, arn, sh.ID, backend.Place{Record: sh.Head.Next()}); l.Here {
			t.Errorf("a record that is not there: %+v", l)
		}
	}},
	{Name: "a shard that is gone has no place", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1)
		if l := locate(t, w, arn, "shardId-gone", backend.Place{Latest: true}); l != (backend.Located{}) {
			t.Errorf("%+v", l)
		}
	}},
}

// snapshot makes a mapping that begins with the items there are, and reads them.
func snapshot(t T, w World, arn string) (m mapping.Definition, items map[int]int, lows map[string]seqnum.Num) {
	t.Helper()
	m = define(t, w, arn, mapping.StartLatest)
	m.Snapshot = &mapping.Snapshot{}
	rows := create(t, w, m)
	m = stored(t, w, m.UUID).Definition
	lows = map[string]seqnum.Num{}
	for id, cp := range rows {
		lows[id] = cp.Low
	}
	return m, existing(t, w, arn, m), lows
}

// existing reads the items that a mapping begins with, as it would.
func existing(t T, w World, arn string, m mapping.Definition) map[int]int {
	t.Helper()
	got, end := read(t, w, arn, backend.SnapshotShard(m.UUID), seqnum.Num{})
	rising(t, got)
	if !end || m.Snapshot == nil || uint64(len(got)) != m.Snapshot.Items || len(got) > 0 && (got[0].Ordinal() != 1 || got[len(got)-1].Seq() != m.Snapshot.Last) {
		t.Fatalf("%d items of %+v, end %t", len(got), m.Snapshot, end)
	}
	items := map[int]int{}
	for _, r := range got {
		for _, sh := range shardsOf(t, w, arn) {
			if sh.Records > 0 && !r.Seq().Less(sh.Head) {
				t.Fatalf("the item's number %s is not below the stream's %s", r.Seq(), sh.Head)
			}
		}
		key, nth := w.Item(r)
		items[key] = nth
	}
	if len(items) != len(got) {
		t.Fatalf("%d records of %d items", len(got), len(items))
	}
	return items
}

var snapshots = []Case{
	{Name: "a mapping begins with the items there are", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3, 2, 2)
		_, items, lows := snapshot(t, w, arn)
		w.Write(arn, 2, 9)
		if len(items) != 3 || items[1] != 1 || items[2] != 3 || items[3] != 1 {
			t.Errorf("items %v", items)
		}
		sh := only(t, w, arn).ID
		got, _ := read(t, w, arn, sh, lows[sh])
		equal(t, "what follows", itemsOf(w, got), []write{{2, 4}, {9, 1}})
	}},
	{Name: "a table without items", Run: func(t T, w World) {
		arn := w.Stream(1)
		if _, items, _ := snapshot(t, w, arn); len(items) > 0 {
			t.Errorf("%v", items)
		}
	}},
	{Name: "the hand-over from items to stream beside writers", Run: func(t T, w World) {
		arn := w.Stream(2)
		stop := writers(w, arn, 6, someWrites)
		defer stop()
		var items []map[int]int
		var lows []map[string]seqnum.Num
		for range 3 {
			w.Write(arn, 100)
			_, i, l := snapshot(t, w, arn)
			items, lows = append(items, i), append(lows, l)
		}
		stop()
		for i := range items {
			for _, sh := range shardsOf(t, w, arn) {
				got, _ := read(t, w, arn, sh.ID, lows[i][sh.ID])
				inOrder(t, itemsOf(w, got), items[i])
			}
			for key, n := range items[i] {
				if s := w.Stored(arn, key); s != n {
					t.Errorf("item %d: known up to write %d of %d", key, n, s)
				}
			}
		}
	}},
	{Name: "the items stay those of that moment, also after a crash", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2)
		m, items, _ := snapshot(t, w, arn)
		w.Write(arn, 1, 2, 3)
		w.Crash()
		w.Write(arn, 4)
		again := existing(t, w, arn, m)
		if len(again) != 2 || again[1] != items[1] || again[2] != items[2] {
			t.Errorf("%v, and then %v", items, again)
		}
	}},
}
