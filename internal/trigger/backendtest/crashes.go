package backendtest

import (
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// crashed does something again and again, n from 1 up, lets the world crash meanwhile, and returns how far it had
// got: acknowledged is the last n that was answered before the crash.
func crashed(t T, w World, do func(b backend.Backend, n uint64) error) (acknowledged uint64) {
	b := w.Backend()
	var done atomic.Uint64
	failed := make(chan error, 1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := uint64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := do(b, n); err != nil {
				failed <- err
				return
			}
			done.Store(n)
		}
	})
	for done.Load() < 3 {
		if len(failed) > 0 {
			t.Fatalf("before any crash: %v", <-failed)
		}
		runtime.Gosched()
	}
	acknowledged = done.Load()
	w.Crash()
	close(stop)
	wg.Wait()
	return acknowledged
}

// rounds is how often a crash at a moment of chance is tried.
const rounds = 25

var crashes = []Case{
	{Name: "records outlive a crash", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3, 1)
		before := only(t, w, arn)
		want, _ := read(t, w, arn, before.ID, seqnum.Num{})
		w.Crash()
		after := only(t, w, arn)
		got, _ := read(t, w, arn, before.ID, seqnum.Num{})
		equal(t, "records", itemsOf(w, got), itemsOf(w, want))
		if after != before {
			t.Errorf("%+v became %+v", before, after)
		}
		w.Write(arn, 1)
		got, _ = read(t, w, arn, before.ID, before.Head)
		equal(t, "what follows", itemsOf(w, got), []write{{1, 3}})
	}},
	{Name: "shards outlive a crash", Run: func(t T, w World) {
		arn := w.Stream(1)
		w.Write(arn, 1, 2, 3)
		w.Split(arn, only(t, w, arn).ID)
		before := shardsOf(t, w, arn)
		w.Crash()
		if after := shardsOf(t, w, arn); !reflect.DeepEqual(after, before) {
			t.Errorf("%+v became %+v", before, after)
		}
	}},
	{Name: "definitions and rows outlive a crash", Run: func(t T, w World) {
		arn := w.Stream(1)
		m, gone := made(t, w, arn), made(t, w, arn)
		sh := only(t, w, arn).ID
		m.BatchSize, m.Generation = 9, 2
		check(t, w.Backend().UpdateMapping(t.Context(), m))
		check(t, w.Backend().DeleteMapping(t.Context(), gone.UUID))
		commit(t, w, []backend.Row{row(m.UUID, sh, full(3))}, backend.AsideRows{UUID: m.UUID, Changes: put(parked(1, 1))})
		w.Crash()
		got := stored(t, w, m.UUID)
		if got == nil || !reflect.DeepEqual(got.Definition, m) || !reflect.DeepEqual(got.Checkpoints[sh], full(3)) || len(asideOf(t, w, m.UUID)) != 1 {
			t.Errorf("%+v, %d rows set aside", got, len(asideOf(t, w, m.UUID)))
		}
		if stored(t, w, gone.UUID) != nil {
			t.Error("the deleted mapping is back")
		}
	}},
	{Name: "a commit is there whole or not at all after a crash", Run: func(t T, w World) {
		arn := w.Stream(2)
		a, b := made(t, w, arn).UUID, made(t, w, arn).UUID
		all := shardsOf(t, w, arn)
		var base uint64
		for range rounds {
			low := crashed(t, w, func(on backend.Backend, n uint64) error {
				n += base
				return on.Commit(t.Context(), []backend.Row{row(a, all[0].ID, place(n)), row(a, all[1].ID, place(n)), row(b, all[0].ID, place(n))},
					[]backend.AsideRows{{UUID: a, Changes: put(parked(1, n))}, {UUID: b, Changes: put(parked(1, n))}})
			}) + base
			x, y := stored(t, w, a).Checkpoints, stored(t, w, b).Checkpoints
			base = x[all[0].ID].Ordinal
			last := func(uuid string) uint64 {
				rows, err := w.Backend().Aside(t.Context(), uuid, lane.AsideKey{Hash: 1}, lots, 1, true)
				check(t, err)
				return uint64(len(rows))
			}
			if n := base; n < low || x[all[1].ID].Ordinal != n || y[all[0].ID].Ordinal != n || last(a) != n || last(b) != n {
				t.Fatalf("%d were answered; the rows are at %d, %d and %d, and %d and %d are set aside", low, n, x[all[1].ID].Ordinal, y[all[0].ID].Ordinal, last(a), last(b))
			}
		}
	}},
	{Name: "a move is there whole or not at all after a crash", Run: func(t T, w World) {
		arn := w.Stream(2)
		m := made(t, w, arn)
		all := shardsOf(t, w, arn)
		var base uint64
		for range rounds {
			low := crashed(t, w, func(on backend.Backend, n uint64) error {
				move := backend.Repositioned{Mapping: m}
				move.Mapping.Generation = base + n + 1
				for _, sh := range all {
					cp := place(base + n)
					cp.Generation = move.Mapping.Generation
					move.Rows = append(move.Rows, backend.Row{UUID: m.UUID, Shard: sh.ID, Checkpoint: cp, WindowEnded: true})
				}
				return on.Reposition(t.Context(), move)
			}) + base
			got := stored(t, w, m.UUID)
			base = got.Generation - 1
			if base < low || got.Checkpoints[all[0].ID].Ordinal != base || got.Checkpoints[all[1].ID].Ordinal != base {
				t.Fatalf("%d were answered; generation %d, rows %+v", low, got.Generation, got.Checkpoints)
			}
		}
	}},
	{Name: "writes of an answer are there with their position or not at all after a crash", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		var base uint64
		for range rounds {
			low := crashed(t, w, func(on backend.Backend, n uint64) error {
				n += base
				return on.Transact(t.Context(), backend.Transaction{
					Scope: m.Scope, Items: w.Writes(arn, 5, int(n)), Applied: func() {},
					Build: func() ([]backend.Row, []backend.AsideRows, error) {
						return []backend.Row{row(m.UUID, sh, place(n))}, nil, nil
					},
				})
			}) + base
			base = stored(t, w, m.UUID).Checkpoints[sh].Ordinal
			if n := uint64(w.Stored(arn, 5)); base < low || n != base {
				t.Fatalf("%d were answered; the position is %d and the item says %d", low, base, n)
			}
		}
		records, _ := read(t, w, arn, sh, seqnum.Num{})
		inOrder(t, itemsOf(w, records), map[int]int{})
		if uint64(len(records)) != base {
			t.Errorf("%d records of %d writes", len(records), base)
		}
	}},
	{Name: "messages of an answer are there with their position or not at all after a crash", Run: func(t T, w World) {
		arn := w.Stream(1)
		m := made(t, w, arn)
		sh := only(t, w, arn).ID
		var base uint64
		for range rounds {
			low := crashed(t, w, func(on backend.Backend, n uint64) error {
				n += base
				return on.Transact(t.Context(), backend.Transaction{
					Scope: m.Scope, Messages: w.Sends(fmt.Sprint(n)), Applied: func() {},
					Build: func() ([]backend.Row, []backend.AsideRows, error) {
						return []backend.Row{row(m.UUID, sh, place(n))}, nil, nil
					},
				})
			}) + base
			base = stored(t, w, m.UUID).Checkpoints[sh].Ordinal
			sent := w.Sent()
			times := map[string]int{}
			for _, body := range sent {
				times[body]++
			}
			if base < low || uint64(len(sent)) != base || len(times) != len(sent) {
				t.Fatalf("%d were answered; the position is %d, and %d messages were sent, %d of them different", low, base, len(sent), len(times))
			}
		}
	}},
}
