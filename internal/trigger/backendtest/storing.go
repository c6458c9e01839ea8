package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

var mappings = []Case{
	{Name: "a mapping comes back as it was made, the oldest first", Run: func(t T, w World) {
		arn := w.Stream(2)
		var want []mapping.Definition
		for range 3 {
			m := define(t, w, arn, mapping.StartTrimHorizon)
			m.Tags, m.Filters, m.When, m.Destination = map[string]string{"a": "b"}, []string{`{"x":[1]}`}, "OLD.a <> NEW.a", "arn:aws:sqs:us-east-1:000000000000:q"
			create(t, w, m)
			want = append(want, m)
		}
		all, err := w.Backend().Mappings(t.Context())
		check(t, err)
		var got []mapping.Definition
		for _, s := range all {
			got = append(got, s.Definition)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}},
	{Name: "the rows of a new mapping are stored", Run: func(t T, w World) {
		arn := w.Stream(3)
		w.Write(arn, 1, 2, 3, 4, 5, 6)
		m := define(t, w, arn, mapping.StartLatest)
		rows := create(t, w, m)
		if got := stored(t, w, m.UUID).Checkpoints; len(rows) != 3 || !reflect.DeepEqual(got, rows) {
			t.Errorf("returned %+v, stored %+v", rows, got)
		}
	}},
	{Name: "TRIM_HORIZON begins with the first record", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2)
		sh := only(t, w, arn).ID
		rows := create(t, w, define(t, w, arn, mapping.StartTrimHorizon))
		if got, _ := read(t, w, arn, sh, rows[sh].Low); len(got) != 2 || rows[sh].Done {
			t.Errorf("%d records from %+v", len(got), rows[sh])
		}
	}},
	{Name: "LATEST begins behind what was written", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2)
		sh := only(t, w, arn).ID
		rows := create(t, w, define(t, w, arn, mapping.StartLatest))
		w.Write(arn, 7)
		got, _ := read(t, w, arn, sh, rows[sh].Low)
		equal(t, "records", itemsOf(w, got), []write{{7, 1}})
		if rows[sh].Ordinal != 2 || rows[sh].Done {
			t.Errorf("%+v", rows[sh])
		}
	}},
	{Name: "LATEST is exact beside writers", Run: func(t T, w World) {
		arn := w.Stream(1)
		sh := only(t, w, arn).ID
		stop := writers(w, arn, 4, someWrites)
		defer stop()
		for i := range 20 {
			w.Write(arn, 100+i)
			before := only(t, w, arn).Head // acknowledged before the mapping is made
			row := create(t, w, define(t, w, arn, mapping.StartLatest))[sh]
			w.Write(arn, 200+i)
			if row.Low.Less(before) {
				t.Errorf("it begins at %s, before %s, which was written earlier", row.Low, before)
			}
			got, _ := read(t, w, arn, sh, row.Low)
			if len(got) == 0 || got[0].Ordinal() != row.Ordinal+1 {
				t.Fatalf("it begins behind ordinal %d, and reads %d records", row.Ordinal, len(got))
			}
			if !slices.Contains(itemsOf(w, got), write{200 + i, 1}) {
				t.Fatalf("what was written after the mapping was made is not among its %d records", len(got))
			}
		}
		stop()
	}},
	{Name: "LATEST has done with closed shards", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3, 4)
		old := only(t, w, arn).ID
		w.Split(arn, old)
		rows := create(t, w, define(t, w, arn, mapping.StartLatest))
		if len(rows) != 3 || !rows[old].Done {
			t.Errorf("%+v", rows)
		}
		for id, cp := range rows {
			if id != old && cp.Done {
				t.Errorf("%s is done", id)
			}
		}
	}},
	{Name: "a mapping begins at a moment", Sleeps: true, Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3)
		time.Sleep(time.Minute)
		m := define(t, w, arn, mapping.StartLatest)
		m.StartAt = time.Now()
		w.Write(arn, 4, 5)
		sh := only(t, w, arn).ID
		row := create(t, w, m)[sh]
		got, _ := read(t, w, arn, sh, row.Low)
		equal(t, "records", itemsOf(w, got), []write{{4, 1}, {5, 1}})
	}},
	{Name: "an update replaces the definition, and leaves the rows", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		commit(t, w, []backend.Row{row(m.UUID, sh, place(2))})
		m.Enabled, m.Paused, m.BatchSize, m.Generation, m.FunctionARN = false, true, 7, 2, m.Scope.FunctionARN("g")
		check(t, w.Backend().UpdateMapping(t.Context(), m))
		got := stored(t, w, m.UUID)
		if !reflect.DeepEqual(got.Definition, m) || !got.Checkpoints[sh].Equal(place(2)) {
			t.Errorf("%+v", got)
		}
	}},
	{Name: "a mapping that is not there", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := define(t, w, arn, mapping.StartTrimHorizon)
		if err := w.Backend().UpdateMapping(t.Context(), m); !errors.Is(err, backend.ErrNoMapping) || stored(t, w, m.UUID) != nil {
			t.Errorf("updated: %v", err)
		}
		if err := w.Backend().DeleteMapping(t.Context(), m.UUID); !errors.Is(err, backend.ErrNoMapping) {
			t.Errorf("deleted: %v", err)
		}
		if err := w.Backend().Reposition(t.Context(), backend.Repositioned{Mapping: m}); !errors.Is(err, backend.ErrNoMapping) || stored(t, w, m.UUID) != nil {
			t.Errorf("moved: %v", err)
		}
	}},
	{Name: "a deleted mapping leaves nothing", Run: func(t T, w World) {
		arn := w.Stream(1)
		m, other := made(t, w, arn), made(t, w, arn)
		sh := only(t, w, arn).ID
		for _, uuid := range []string{m.UUID, other.UUID} {
			commit(t, w, []backend.Row{row(uuid, sh, place(1))}, backend.AsideRows{UUID: uuid, Changes: put(parked(1, 1))})
		}
		check(t, w.Backend().DeleteMapping(t.Context(), m.UUID))
		if stored(t, w, m.UUID) != nil || len(asideOf(t, w, m.UUID)) > 0 {
			t.Error("it is still there")
		}
		if got := stored(t, w, other.UUID); got == nil || !got.Checkpoints[sh].Equal(place(1)) || len(asideOf(t, w, other.UUID)) != 1 {
			t.Error("and the other one is not")
		}
		create(t, w, m) // the same again: nothing of before may show
		if got := stored(t, w, m.UUID); got.Checkpoints[sh].Equal(place(1)) || len(asideOf(t, w, m.UUID)) > 0 {
			t.Errorf("%+v", got)
		}
	}},
	{Name: "what is stored late does not bring a deleted mapping back", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		check(t, w.Backend().DeleteMapping(t.Context(), m.UUID))
		// It may be an error, or be left out.
		_ = w.Backend().Commit(t.Context(), []backend.Row{row(m.UUID, sh, place(9))}, []backend.AsideRows{{UUID: m.UUID, Changes: put(parked(1, 1))}})
		if stored(t, w, m.UUID) != nil || len(asideOf(t, w, m.UUID)) > 0 {
			t.Error("it is there again")
		}
		create(t, w, m)
		if got := stored(t, w, m.UUID); got.Checkpoints[sh].Low == place(9).Low {
			t.Errorf("%+v", got)
		}
	}},
}

// full is a checkpoint with everything that one can have.
func full(n uint64) lane.Checkpoint {
	cp := place(n)
	cp.Time, cp.Expired = 5, 6
	for v := range uint8(lane.VirtualLanes) {
		cp.Ahead = append(cp.Ahead, lane.LanePosition{Lane: v, Seq: seqnum.Num{Hi: 1 << 41, Lo: uint64(v)}})
	}
	cp.Window = &lane.Window{Start: 60, End: 120, State: []byte(`{"n":1}`), Newest: 61_000}
	return cp
}

var committing = []Case{
	{Name: "a checkpoint comes back whole, with 64 lanes ahead", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		cp := full(5)
		commit(t, w, []backend.Row{row(m.UUID, sh, cp)})
		if got := stored(t, w, m.UUID).Checkpoints[sh]; !reflect.DeepEqual(got, cp) {
			t.Errorf("got %+v, want %+v", got, cp)
		}
		cp = place(8)
		cp.Done = true
		commit(t, w, []backend.Row{{UUID: m.UUID, Shard: sh, Checkpoint: cp, WindowEnded: true}})
		if got := stored(t, w, m.UUID).Checkpoints[sh]; !reflect.DeepEqual(got, cp) {
			t.Errorf("got %+v, want %+v", got, cp)
		}
	}},
	{Name: "a window of a megabyte", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		cp := place(1)
		cp.Window = &lane.Window{Start: 60, End: 120, State: []byte(`{"x":"` + string(bytes.Repeat([]byte("y"), lane.MaxWindowState)) + `"}`)}
		commit(t, w, []backend.Row{row(m.UUID, sh, cp)})
		if got := stored(t, w, m.UUID).Checkpoints[sh].Window; got == nil || !bytes.Equal(got.State, cp.Window.State) {
			t.Errorf("it has not come back")
		}
	}},
	{Name: "a row of a shard that was born later", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		w.Split(arn, only(t, w, arn).ID)
		child := shardsOf(t, w, arn)[2].ID
		commit(t, w, []backend.Row{row(m.UUID, child, place(3))})
		got := stored(t, w, m.UUID).Checkpoints
		if !got[child].Equal(place(3)) {
			t.Errorf("%+v", got)
		}
	}},
	{Name: "rows of several mappings are stored together", Run: func(t T, w World) {
		arn := w.Stream(2)
		var rows []backend.Row
		var uuids []string
		for i := range 5 {
			m := made(t, w, arn)
			uuids = append(uuids, m.UUID)
			for j, sh := range shardsOf(t, w, arn) {
				rows = append(rows, row(m.UUID, sh.ID, place(uint64(10*i+j))))
			}
		}
		commit(t, w, rows)
		for i, uuid := range uuids {
			got := stored(t, w, uuid).Checkpoints
			for j, sh := range shardsOf(t, w, arn) {
				if !got[sh.ID].Equal(place(uint64(10*i + j))) {
					t.Errorf("mapping %d, shard %d: %+v", i, j, got[sh.ID])
				}
			}
		}
	}},
	{Name: "commits at once do not disturb each other", Run: func(t T, w World) {
		arn := w.Stream(1)
		sh := only(t, w, arn).ID
		const mappings, commits = 8, 30
		var uuids []string
		for range mappings {
			uuids = append(uuids, made(t, w, arn).UUID)
		}
		var wg sync.WaitGroup
		failed := make(chan error, mappings*commits)
		for _, uuid := range uuids {
			wg.Go(func() {
				for n := uint64(1); n <= commits; n++ {
					failed <- w.Backend().Commit(t.Context(), []backend.Row{row(uuid, sh, place(n))}, []backend.AsideRows{{UUID: uuid, Changes: put(parked(1, n))}})
				}
			})
		}
		wg.Wait()
		close(failed)
		for err := range failed {
			check(t, err)
		}
		for _, uuid := range uuids {
			if got := stored(t, w, uuid).Checkpoints[sh]; !got.Equal(place(commits)) || len(asideOf(t, w, uuid)) != commits {
				t.Errorf("%+v, %d rows set aside", got, len(asideOf(t, w, uuid)))
			}
		}
	}},
	{Name: "a move is stored whole", Run: func(t T, w World) {
		arn := w.Stream(2)
		m := made(t, w, arn)
		all := shardsOf(t, w, arn)
		a, b := parked(1, 1), parked(2, 2)
		commit(t, w, []backend.Row{row(m.UUID, all[0].ID, full(7)), row(m.UUID, all[1].ID, place(4))}, backend.AsideRows{UUID: m.UUID, Changes: put(a, b)})
		m.Generation = 9
		to := place(2)
		to.Generation = 9
		check(t, w.Backend().Reposition(t.Context(), backend.Repositioned{
			Mapping: m, Rows: []backend.Row{{UUID: m.UUID, Shard: all[0].ID, Checkpoint: to, WindowEnded: true}}, Aside: []lane.AsideChange{{Key: a.AsideKey}},
		}))
		got := stored(t, w, m.UUID)
		if got.Generation != 9 || !reflect.DeepEqual(got.Checkpoints[all[0].ID], to) || !got.Checkpoints[all[1].ID].Equal(place(4)) {
			t.Errorf("%+v", got)
		}
		if rows := asideOf(t, w, m.UUID); len(rows) != 1 || rows[0].AsideKey != b.AsideKey {
			t.Errorf("set aside: %+v", rows)
		}
	}},
}

// transact makes a write with a checkpoint.
func transact(t T, w World, items []byte, rows []backend.Row, aside []backend.AsideRows) (built, applied int, err error) {
	s := backend.Transaction{
		Items: items, Cause: 3,
		Build:   func() ([]backend.Row, []backend.AsideRows, error) { built++; return rows, aside, nil },
		Applied: func() { applied++ },
	}
	all, err := w.Backend().Mappings(t.Context())
	check(t, err)
	s.Scope = all[0].Scope
	err = w.Backend().Transact(t.Context(), s)
	return built, applied, err
}

// send makes a transaction with messages. err is Build's.
func send(t T, w World, m mapping.Definition, items, messages []byte, rows []backend.Row, err error) (applied int, _ error) {
	err = w.Backend().Transact(t.Context(), backend.Transaction{
		Scope: m.Scope, Items: items, Messages: messages,
		Build:   func() ([]backend.Row, []backend.AsideRows, error) { return rows, nil, err },
		Applied: func() { applied++ },
	})
	return applied, err
}

func sortedSent(w World) []string {
	all := w.Sent()
	slices.Sort(all)
	return all
}

var transactions = []Case{
	{Name: "writes of an answer are made with the position", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		a := parked(1, 1)
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: put(a)})
		built, applied, err := transact(t, w, w.Writes(arn, 5, 1), []backend.Row{row(m.UUID, sh, full(3))}, []backend.AsideRows{{UUID: m.UUID, Changes: []lane.AsideChange{{Key: a.AsideKey}}}})
		check(t, err)
		if built != 1 || applied != 1 {
			t.Errorf("built %d times, applied %d times", built, applied)
		}
		if n := w.Stored(arn, 5); n != 1 {
			t.Errorf("the item says %d", n)
		}
		if got := stored(t, w, m.UUID).Checkpoints[sh]; !reflect.DeepEqual(got, full(3)) {
			t.Errorf("%+v", got)
		}
		if len(asideOf(t, w, m.UUID)) > 0 {
			t.Error("the row that is set aside is still there")
		}
		records, _ := read(t, w, arn, sh, seqnum.Num{})
		equal(t, "records", itemsOf(w, records), []write{{5, 1}})
		if len(records) == 1 && records[0].Cause() != 3 {
			t.Errorf("a cause of %d", records[0].Cause())
		}
	}},
	{Name: "refused writes change nothing", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		before := stored(t, w, m.UUID).Checkpoints[sh]
		_, applied, err := transact(t, w, w.Refused(arn), []backend.Row{row(m.UUID, sh, place(3))}, nil)
		if refused, ok := errors.AsType[*backend.Refused](err); !ok || refused.Why == "" || applied != 0 {
			t.Errorf("%v, applied %d times", err, applied)
		}
		if got := stored(t, w, m.UUID).Checkpoints[sh]; !got.Equal(before) {
			t.Errorf("%+v", got)
		}
		if records, _ := read(t, w, arn, sh, seqnum.Num{}); len(records) > 0 {
			t.Errorf("%d records", len(records))
		}
	}},
	{Name: "no position, no writes", Run: func(t T, w World) {
		arn := w.Stream(1)
		made(t, w, arn)
		sh := only(t, w, arn)
		stop := errors.New("stopped")
		all, err := w.Backend().Mappings(t.Context())
		check(t, err)
		err = w.Backend().Transact(t.Context(), backend.Transaction{
			Scope: all[0].Scope, Items: w.Writes(arn, 5, 1), Build: func() ([]backend.Row, []backend.AsideRows, error) { return nil, nil, stop },
			Applied: func() { t.Errorf("applied") },
		})
		if !errors.Is(err, stop) || w.Stored(arn, 5) != 0 || only(t, w, arn).Head != sh.Head {
			t.Errorf("%v, the item says %d", err, w.Stored(arn, 5))
		}
		w.Write(arn, 5) // nothing of it holds the item up
	}},
	{Name: "messages of an answer are sent with the position", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		sent := func(place uint64, items, messages []byte, all ...string) {
			applied, err := send(t, w, m, items, messages, []backend.Row{row(m.UUID, sh, full(place))}, nil)
			check(t, err)
			if applied != 1 {
				t.Errorf("applied %d times", applied)
			}
			if got := stored(t, w, m.UUID).Checkpoints[sh]; !reflect.DeepEqual(got, full(place)) {
				t.Errorf("%+v", got)
			}
			equal(t, "messages", sortedSent(w), all)
		}
		sent(3, nil, w.Sends("a", "b"), "a", "b")
		sent(4, w.Writes(arn, 5, 1), w.Sends("c"), "a", "b", "c")
		if n := w.Stored(arn, 5); n != 1 {
			t.Errorf("the item says %d", n)
		}
	}},
	{Name: "a refused message changes nothing, and refused writes send nothing", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		before := stored(t, w, m.UUID).Checkpoints[sh]
		for _, c := range []struct{ items, messages []byte }{
			{nil, w.Unsendable("a")}, {w.Writes(arn, 5, 1), w.Unsendable("a")}, {w.Refused(arn), w.Sends("a")},
		} {
			applied, err := send(t, w, m, c.items, c.messages, []backend.Row{row(m.UUID, sh, place(3))}, nil)
			if refused, ok := errors.AsType[*backend.Refused](err); !ok || refused.Why == "" || applied != 0 {
				t.Errorf("%v, applied %d times", err, applied)
			}
			if got := stored(t, w, m.UUID).Checkpoints[sh]; !got.Equal(before) || w.Stored(arn, 5) != 0 {
				t.Errorf("%+v, the item says %d", got, w.Stored(arn, 5))
			}
			equal(t, "messages", sortedSent(w), nil)
		}
		w.Write(arn, 5) // nothing of it holds the item up, nor the queue
		_, err := send(t, w, m, nil, w.Sends("b"), []backend.Row{row(m.UUID, sh, place(1))}, nil)
		check(t, err)
		equal(t, "messages", sortedSent(w), []string{"b"})
	}},
	{Name: "no position, no messages", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		stop := errors.New("stopped")
		for _, items := range [][]byte{nil, w.Writes(arn, 5, 1)} {
			applied, err := send(t, w, m, items, w.Sends("a"), nil, stop)
			if !errors.Is(err, stop) || applied != 0 || w.Stored(arn, 5) != 0 {
				t.Errorf("%v, the item says %d", err, w.Stored(arn, 5))
			}
		}
		equal(t, "messages", sortedSent(w), nil)
	}},
	{Name: "writes of an answer are visible when it is applied", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		order := ""
		err := w.Backend().Transact(t.Context(), backend.Transaction{
			Scope: m.Scope, Items: w.Writes(arn, 5, 1),
			Build: func() ([]backend.Row, []backend.AsideRows, error) {
				order += "build "
				return []backend.Row{row(m.UUID, sh, place(1))}, nil, nil
			},
			Applied: func() { order += "applied" },
		})
		check(t, err)
		if order != "build applied" {
			t.Errorf("%q", order)
		}
	}},
}

var setAside = []Case{
	{Name: "rows come back whole, in the order of their keys", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		var want []lane.SetAside
		for hash := range uint64(3) {
			for n := range uint64(3) {
				r := parked(hash<<62|hash, 3*hash+n+1) // a number is one record's in its shard
				r.Kind, r.Function = lane.AsideKind(1+n), fmt.Sprint("arn", n)
				want = append(want, r)
			}
		}
		mixed := slices.Clone(want)
		slices.Reverse(mixed)
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: put(mixed...)})
		same(t, asideOf(t, w, m.UUID), want)
	}},
	{Name: "rows of a key are in the order of their shards, then of their numbers", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		var want []lane.SetAside
		for _, shard := range []string{backend.SnapshotShard(m.UUID), "shardId-00000001", "shardId-00000002"} {
			for _, hi := range []uint64{1, 9} {
				r := parked(7, 1)
				r.Shard, r.Seq.Hi = shard, hi
				want = append(want, r)
			}
		}
		mixed := slices.Clone(want)
		slices.Reverse(mixed)
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: put(mixed...)})
		var got, wanted []lane.AsideKey
		for _, r := range asideOf(t, w, m.UUID) {
			got = append(got, r.AsideKey)
		}
		for _, r := range want {
			wanted = append(wanted, r.AsideKey)
		}
		equal(t, "keys", got, wanted)
	}},
	{Name: "rows are read page by page, from any key on", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		var rows []lane.SetAside
		for n := range uint64(10) {
			rows = append(rows, parked(n/4, n+1))
		}
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: put(rows...)})
		b := w.Backend()
		for i := range rows {
			got, err := b.Aside(t.Context(), m.UUID, rows[i].AsideKey, 3, lots, false)
			check(t, err)
			same(t, got, rows[i:min(i+3, 10)])
			got, err = b.Aside(t.Context(), m.UUID, rows[i].AsideKey.After(), 1000, lots, false)
			check(t, err)
			if len(got) != 10-i-1 {
				t.Errorf("%d rows behind row %d", len(got), i)
			}
		}
		got, err := b.Aside(t.Context(), m.UUID, lane.AsideKey{}, 1000, 1, false)
		check(t, err)
		if len(got) != 1 {
			t.Errorf("%d rows in a byte", len(got))
		}
	}},
	{Name: "heads come without events", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: put(parked(1, 1), parked(1, 2))})
		got, err := w.Backend().Aside(t.Context(), m.UUID, lane.AsideKey{}, 10, 1, true)
		check(t, err)
		if len(got) != 2 || got[0].Event != nil || got[1].Event != nil || got[0].Size == 0 || got[0].Keys == "" {
			t.Errorf("%+v", got)
		}
	}},
	{Name: "a head is replaced, and its event stays", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		r := parked(1, 1)
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: put(r, parked(1, 2))})
		head := r
		head.Event, head.Kind, head.Attempts, head.Error = nil, lane.Held, 77, "again"
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: put(head)})
		want := head
		want.Event = r.Event
		if got := asideOf(t, w, m.UUID); len(got) != 2 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%+v", got)
		}
	}},
	{Name: "changes of one row are made in their order", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		r, s := parked(1, 1), parked(1, 2)
		gone := func(r lane.SetAside) lane.AsideChange { return lane.AsideChange{Key: r.AsideKey} }
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: append(put(r, s), gone(r))})
		if got := asideOf(t, w, m.UUID); len(got) != 1 || got[0].AsideKey != s.AsideKey {
			t.Errorf("put, then removed: %+v", got)
		}
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: append([]lane.AsideChange{gone(s)}, put(s)...)})
		if got := asideOf(t, w, m.UUID); len(got) != 1 || len(got[0].Event) == 0 {
			t.Errorf("removed, then put: %+v", got)
		}
	}},
	{Name: "an event of a megabyte", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		r := parked(1, 1)
		r.Event = bytes.Repeat([]byte("x"), 1_200_000)
		r.Size = len(r.Event)
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: put(r, parked(2, 2))})
		if got := asideOf(t, w, m.UUID); len(got) == 0 || !bytes.Equal(got[0].Event, r.Event) {
			t.Errorf("%d rows", len(got))
		}
		commit(t, w, nil, backend.AsideRows{UUID: m.UUID, Changes: []lane.AsideChange{{Key: r.AsideKey}}})
		if got := asideOf(t, w, m.UUID); len(got) != 1 || got[0].Hash != 2 {
			t.Errorf("%d rows", len(got))
		}
	}},
	{Name: "what two mappings have set aside is apart", Run: func(t T, w World) {
		arn := w.Stream(1)
		a, b := made(t, w, arn), made(t, w, arn)
		r := parked(1, 1)
		commit(t, w, nil, backend.AsideRows{UUID: a.UUID, Changes: put(r)}, backend.AsideRows{UUID: b.UUID, Changes: put(r, parked(1, 2))})
		commit(t, w, nil, backend.AsideRows{UUID: a.UUID, Changes: []lane.AsideChange{{Key: r.AsideKey}}})
		if x, y := asideOf(t, w, a.UUID), asideOf(t, w, b.UUID); len(x) != 0 || len(y) != 2 {
			t.Errorf("%d and %d rows", len(x), len(y))
		}
	}},
}
