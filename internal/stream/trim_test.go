package stream

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// TestTrimPieces: records go once they are a day old, in pieces of an hour or of
// many records, never one by one, and never younger ones.
func TestTrimPieces(t *testing.T) {
	w := newWorld(t)
	sh := root(w.create(KeysOnly, 1))
	last := map[*Shard]time.Time{}
	trim := func() uint64 {
		w.check(w.ss.trim(w.now(), last))
		return sh.Trimmed().Lo
	}
	w.write(sh, 10)
	w.advance(30 * time.Minute)
	w.write(sh, 10)
	w.advance(Retention - 30*time.Minute)
	if got := trim(); got != 0 {
		t.Fatalf("at the age of a day exactly: trimmed to %d", got)
	}
	w.advance(time.Minute)
	if got := trim(); got != 0 {
		t.Fatalf("a few records, a minute later: trimmed to %d", got)
	}
	w.advance(time.Hour)
	if got := trim(); got != 20 {
		t.Fatalf("after an hour: trimmed to %d", got)
	}
	if row, err := sh.newest(); err != nil || row != nil {
		t.Fatalf("left in the store: %v %v", row, err)
	}
	for range trimPiece / 1000 {
		w.write(sh, 1000)
	}
	w.write(sh, 1000)
	w.advance(time.Millisecond)
	w.write(sh, 1)
	w.advance(Retention)
	if got := trim(); got != 20+trimPiece/1000*1000+1000 {
		t.Fatalf("a whole piece: trimmed to %d", got)
	}
	if got, _, missed := w.readAll(sh, sh.Horizon(), 10); missed != 0 || len(got) != 1 {
		t.Fatalf("left: %v, missed %d", got, missed)
	}
}

// TestTrimmedToNothing: after the whole log was removed and the database opened
// again, numbers and ordinals go on above, and totals are known.
func TestTrimmedToNothing(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	if root(s).Recovered() != nil {
		t.Error("an empty shard has totals")
	}
	w.write(root(s), 7)
	seen := root(s).Head()
	w.check(root(s).trimTo(seen, AgeLoss))
	for range 2 {
		s = w.reopen(s)
		sh := root(s)
		if sh.Head() != seen || sh.Trimmed() != seen || sh.Horizon() != seen {
			t.Fatalf("head %s, trimmed %s, horizon %s; want %s", sh.Head(), sh.Trimmed(), sh.Horizon(), seen)
		}
		if got := sh.Recovered(); got == nil || *got != (Totals{7, 70}) {
			t.Fatalf("totals %v", got)
		}
		if got, end, missed := w.readAll(sh, seen, 1); len(got) != 0 || end || missed != 0 {
			t.Fatalf("read %v, end %v, missed %d", got, end, missed)
		}
	}
	w.write(root(s), 2)
	if head := root(s).Head(); !seen.Less(head) || head.Lo != 9 {
		t.Fatalf("%s follows %s", head, seen)
	}
	// The newer of head row and log counts.
	s = w.reopen(s)
	if got := root(s).Recovered(); *got != (Totals{9, 90}) {
		t.Fatalf("totals %v", got)
	}
	if got, _, _ := w.readAll(root(s), seen, 5); !slices.Equal(got, span(8, 9)) {
		t.Fatalf("read %v", got)
	}
	// A closed shard keeps its end.
	w.close(s)
	w.check(root(s).trimTo(root(s).Head(), AgeLoss))
	s = w.reopen(s)
	if got, end, missed := w.readAll(root(s), seen, 5); len(got) != 0 || !end || missed != 2 {
		t.Fatalf("read %v, end %v, missed %d", got, end, missed)
	}
}

// TestMissed holds P4: what was trimmed above a position is told as a range, exactly,
// wherever the position lies and also after a restart.
func TestMissed(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	var log []seqnum.Num
	for range 3 { // three incarnations
		for _, r := range w.apply(root(s), 4, 0).recs {
			log = append(log, r.Seq())
		}
		s = w.reopen(s)
	}
	for cut := range log {
		w.check(root(s).trimTo(log[cut], AgeLoss))
		if cut%3 == 0 {
			s = w.reopen(s)
		}
		sh := root(s)
		positions := append([]seqnum.Num{{}, sh.Start.Prev()}, log...)
		for _, after := range positions {
			p, err := sh.Read(after, 100, 100, one)
			w.check(err)
			have := uint64(0)
			if !after.IsZero() {
				have = after.Lo
			}
			trimmed := uint64(cut + 1)
			if have >= trimmed {
				if p.Missed != nil {
					t.Fatalf("trimmed to %d, after %d: missed %+v", trimmed, have, *p.Missed)
				}
				continue
			}
			if p.Missed == nil || p.Missed.Count != trimmed-have || p.Missed.Last != log[cut] || !after.Less(p.Missed.First) ||
				log[have].Less(p.Missed.First) {
				t.Fatalf("trimmed to %d, after %d: missed %+v", trimmed, have, p.Missed)
			}
			if len(p.Records) > 0 && !p.Missed.Last.Less(p.Records[0].Seq()) {
				t.Fatal("records are shown and told as missed")
			}
		}
	}
}

// TestTailOutlivesTrim: a record that is in the tail is read although its row is
// gone, and is then not told as missed.
func TestTailOutlivesTrim(t *testing.T) {
	w := newWorld(t)
	sh := root(w.create(KeysOnly, 1))
	w.write(sh, 5)
	w.check(sh.trimTo(sh.Head(), AgeLoss))
	if got, _, missed := w.readAll(sh, sh.Start.Prev(), 2); !slices.Equal(got, span(1, 5)) || missed != 0 {
		t.Errorf("read %v, missed %d", got, missed)
	}
}

// TestTrimDuringRead: between the moment when rows are gone and the end of the
// trim, no reader passes over them in silence (P4).
func TestTrimDuringRead(t *testing.T) {
	for _, how := range []string{"trim", "remove"} {
		disk := crashtest.New()
		w := newWorldOn(t, disk, store.Sync)
		s := w.create(KeysOnly, 1)
		w.write(root(s), 9)
		s = w.reopen(s) // the tail is empty
		sh := root(s)
		after := sh.Start
		it := w.ss.encodeIterator(s, iterator{stream: s.ID, shard: sh.No, after: after, issued: w.ms.Load()})
		want := uint64(5)
		if how == "remove" {
			want = 8
			w.close(s)
		}
		var looked bool
		disk.Fail(func(op, _ string) error {
			if op != "sync" || looked {
				return nil
			}
			looked = true
			// The log may be synced before the batch can be seen; wait for that.
			for gone := (seqnum.Num{Hi: sh.Start.Hi, Lo: 6}); ; runtime.Gosched() {
				if _, found, err := w.store.Get(nil, sh.key(gone)); err != nil || !found {
					break
				}
			}
			p, err := sh.Read(after, 100, 100, one)
			if err != nil || p.Missed == nil || p.Missed.Count != want {
				t.Errorf("%s: Read tells %+v %v", how, p, err)
			}
			res, err := w.ss.GetRecords(t.Context(), scope, &request.GetRecords{Iterator: it, Limit: 10})
			if !isCode(err, "TrimmedDataAccessException") {
				t.Errorf("%s: GetRecords answers %+v %v", how, res, err)
			}
			return nil
		})
		if how == "remove" {
			w.check(w.ss.remove(s))
		} else {
			w.check(sh.trimTo(seqnum.Num{Hi: sh.Start.Hi, Lo: 6}, AgeLoss))
		}
		disk.Fail(nil)
		if !looked {
			t.Fatal("nothing was synced")
		}
	}
}

func isCode(err error, code string) bool {
	var e *awserr.Error
	return errors.As(err, &e) && e.Code == code
}

// TestStreamRemoved: a stream goes a day after it was closed, with its rows, and its
// watchers are told; an open one and a younger one stay.
func TestStreamRemoved(t *testing.T) {
	w := newWorld(t)
	old, open := w.create(KeysOnly, 2), w.create(KeysOnly, 1)
	w.write(root(old), 3)
	w.write(root(open), 3)
	w.close(old)
	wakes := 0
	defer old.Watch(func() { wakes++ })()
	last := map[*Shard]time.Time{}
	w.advance(Retention - time.Minute)
	w.write(root(open), 1)
	w.check(w.ss.trim(w.now(), last))
	if w.ss.Get(old.ARN) == nil || wakes != 0 {
		t.Fatal("removed too early")
	}
	old = w.reopen(old) // the day is counted over restarts
	defer old.Watch(func() { wakes++ })()
	w.advance(time.Minute)
	w.check(w.ss.trim(w.now(), last))
	if w.ss.Get(old.ARN) != nil || w.ss.ByID(old.ID) != nil || wakes == 0 {
		t.Fatal("not removed")
	}
	for space := byte(0); space < 16; space++ {
		lower := append([]byte{space}, root(old).prefix[1:9]...)
		it, err := w.store.NewIter(lower, store.PrefixEnd(lower))
		w.check(err)
		if it.First() {
			t.Errorf("space %d still has rows of the stream", space)
		}
		w.check(it.Close())
	}
	if _, found, _ := w.store.Get(nil, definitionKey(old.ID)); found {
		t.Error("its definition is still there")
	}
	if s := w.reopen(open); s == nil || len(w.ss.All()) != 1 {
		t.Fatal("the other stream has gone")
	}
}

// TestDropFinished: a closed shard with children leaves the list once its records are
// gone; one without children stays.
func TestDropFinished(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 2)
	parent, leaf := s.Shards()[0], s.Shards()[1]
	w.write(parent, 2)
	for _, sh := range []*Shard{parent, leaf} {
		sh.closed(sh.ending(0))
	}
	start, _ := parent.End()
	child := s.newShard(2, shardID(w.ss.tick(), s.ID, 2), parent.ID, start.Next())
	child.resume(start, w.ss.incarnation, 0)
	shards := append(slices.Clone(s.Shards()), child)
	s.shards.Store(&shards)

	last := map[*Shard]time.Time{}
	w.check(w.ss.trim(w.now(), last))
	if len(s.Shards()) != 3 || len(last) != 3 {
		t.Fatal("a shard with records was dropped")
	}
	w.check(parent.trimTo(parent.Head(), AgeLoss))
	w.check(w.ss.trim(w.now(), last))
	check := func() {
		t.Helper()
		if got := s.Shards(); len(got) != 2 || got[0].ID != leaf.ID || got[1].ID != child.ID {
			t.Fatalf("left are %d shards", len(got))
		}
	}
	check()
	if len(last) != 2 {
		t.Error("the worker remembers a dropped shard")
	}
	w.write(child, 1)
	if child.Head() != start.Next() {
		t.Errorf("the child begins with %s", child.Head())
	}
	s = w.reopen(s)
	check()
	if root(s).ID != leaf.ID || s.Shards()[1].Parent != parent.ID || s.Shards()[1].Head() != start.Next() {
		t.Error("the lineage is not kept")
	}

	// A position before all records counts from the shard's start, not its parent's.
	child = s.Shards()[1]
	w.write(child, 1)
	w.check(child.trimTo(child.Start, AgeLoss))
	s = w.reopen(s)
	p, err := s.Shards()[1].Read(seqnum.Num{}, 10, 10, one)
	if err != nil || p.Missed == nil || p.Missed.Count != 1 || p.Missed.Last != child.Start || len(p.Records) != 1 {
		t.Errorf("%+v %+v %v", p, p.Missed, err)
	}
}

// TestDropKeepsClosing: the definition that a dropped shard leaves does not undo a
// closing that is under way.
func TestDropKeepsClosing(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 2)
	parent := root(s)
	parent.closed(parent.ending(0))
	s.Shards()[1].Parent = parent.ID
	b := w.store.NewBatch()
	defer b.Close()
	change, err := s.Close(b)
	w.check(err)
	dropped, err := s.dropFinished(w.now())
	w.check(err)
	if len(dropped) > 0 {
		t.Fatal("dropped while the stream closes")
	}
	w.check(w.store.Write(b))
	change.Durable()
	dropped, err = s.dropFinished(w.now())
	w.check(err)
	s = w.reopen(s)
	if _, disabled := s.Disabled(); !disabled || len(dropped) != 1 || len(s.Shards()) != 1 {
		t.Fatalf("disabled %v, dropped %d", disabled, len(dropped))
	}
}

// TestRetain: the worker trims by itself, and a clock that steps forward removes
// nothing until it has agreed with itself for as long or a person accepts it.
func TestRetain(t *testing.T) {
	for _, accept := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			log := slog.New(slog.DiscardHandler)
			w := &world{t: t, fs: crashtest.New().FS()}
			var step atomic.Int64
			var err error
			w.store, err = store.Open(store.Options{FS: w.fs, Dir: "data"})
			w.check(err)
			defer func() { w.check(w.store.Close()) }()
			w.ss, err = Open(w.store, func() time.Time { return time.Now().Add(time.Duration(step.Load())) })
			w.check(err)
			sh := root(w.create(KeysOnly, 1))
			w.ms.Store(time.Now().UnixMilli())
			w.write(sh, 3)
			worker := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { worker <- w.ss.Retain(ctx, Retaining{Log: log}) }()

			time.Sleep(2*time.Hour + time.Second) // the shard was first seen more than an hour ago
			step.Store(int64(25 * time.Hour))
			time.Sleep(20 * time.Hour)
			synctest.Wait()
			if got := sh.Trimmed().Lo; got != 0 {
				t.Fatalf("trimmed to %d by a clock that stepped", got)
			}
			if accept {
				w.ss.Clock().Accept()
				time.Sleep(time.Minute)
			} else {
				time.Sleep(5*time.Hour + 2*time.Minute)
			}
			synctest.Wait()
			if got := sh.Trimmed().Lo; got != 3 {
				t.Fatalf("trimmed to %d when the clock is trusted again", got)
			}
			cancel()
			w.check(<-worker)
		})
	}
}
