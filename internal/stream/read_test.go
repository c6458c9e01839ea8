package stream

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// TestDurableMark holds P2 and P3: however syncs return, nothing above what is
// durable is read, and nothing below a record that was read appears later.
func TestDurableMark(t *testing.T) {
	w := newWorld(t)
	s := w.create(NewImage, 1)
	sh := root(s)
	wakes := 0
	defer s.Watch(func() { wakes++ })()
	var batches []*applied
	for range 20 {
		batches = append(batches, w.apply(sh, 3, 0))
	}
	if got, end, _ := w.readAll(sh, sh.Horizon(), 100); got != nil || end {
		t.Fatalf("read %v before anything is durable", got)
	}
	mark := uint64(0)
	for i, at := range rand.New(rand.NewPCG(1, 2)).Perm(len(batches)) {
		batches[at].durable()
		mark = max(mark, batches[at].recs[2].Ordinal())
		got, end, _ := w.readAll(sh, sh.Horizon(), 7)
		if !slices.Equal(got, span(1, mark)) || end {
			t.Fatalf("up to %d is durable; read %v", mark, got)
		}
		if sh.Head().Lo != mark {
			t.Fatalf("the head is %s", sh.Head())
		}
		if wakes < i+1 {
			t.Fatal("no wake")
		}
	}
}

// TestEnd: End is told when a closed shard is drained and not before, whatever it
// holds, and again after a restart.
func TestEnd(t *testing.T) {
	for _, records := range []int{0, 1, 5} {
		w := newWorld(t)
		s := w.create(NewImage, 2) // the second stays empty
		w.write(root(s), records)
		for range 2 { // before and after a restart that adds nothing
			for _, sh := range s.Shards() {
				if _, end, _ := w.readAll(sh, sh.Horizon(), 2); end {
					t.Fatalf("%d records: an open shard has an end", records)
				}
			}
			s = w.reopen(s)
		}
		w.close(s)
		for range 2 {
			sh := root(s)
			got, end, missed := w.readAll(sh, sh.Horizon(), 2)
			if !end || missed != 0 || len(got) != records {
				t.Fatalf("%d records: read %v, end %v, missed %d", records, got, end, missed)
			}
			if p, _ := sh.Read(seqnum.Num{}, 100, 1, one); p.Missed != nil || p.End != (records <= 1) || len(p.Records) != min(1, records) {
				t.Fatalf("%d records: the first page by bytes has %d, end %v, missed %v", records, len(p.Records), p.End, p.Missed)
			}
			last, closed := sh.End()
			if !closed || last.Less(sh.Head()) || last.Less(sh.Start) {
				t.Fatalf("%d records: head %s, closed %v with %s", records, sh.Head(), closed, last)
			}
			for _, after := range []seqnum.Num{last, sh.Head(), seqnum.Max} {
				if p, err := sh.Read(after, 1, 1, one); err != nil || !p.End || p.Missed != nil || len(p.Records) > 0 {
					t.Fatalf("%d records: after %s the page is %+v %v", records, after, p, err)
				}
			}
			if _, end, _ := w.readAll(s.Shards()[1], seqnum.Num{}, 2); !end {
				t.Fatal("an empty closed shard has no end")
			}
			s = w.reopen(s)
		}
	}
}

// TestEndWaitsForLastRecords: records that are stamped while their stream closes are
// read before the end, and the end shows only once it is durable (P3, P4): a reader
// who stored that it is done with a shard would miss all that comes after a crash
// which takes the closing back.
func TestEndWaitsForLastRecords(t *testing.T) {
	disk := crashtest.New()
	w := newWorldOn(t, disk, 0)
	s := w.create(NewImage, 1)
	sh := root(s)
	w.write(sh, 1)
	last := w.apply(sh, 2, 0)

	b := w.store.NewBatch()
	defer b.Close()
	change, err := s.Close(b)
	w.check(err)
	open := func(when string) {
		if p, err := sh.Read(sh.Head(), 10, 10, one); err != nil || p.End || len(p.Records) > 0 {
			t.Errorf("%s: %+v %v", when, p, err)
		}
		if _, closed := sh.End(); closed {
			t.Errorf("%s: the shard shows as closed", when)
		}
		if _, disabled := s.Disabled(); disabled {
			t.Errorf("%s: the stream shows as disabled", when)
		}
	}
	open("before the batch is applied")
	disk.Fail(func(op, _ string) error {
		if op == "sync" {
			open("while the batch is synced")
		}
		return nil
	})
	w.check(w.store.Write(b))
	disk.Fail(nil)
	open("before Closed")
	change.Durable()
	// The records are before the closing in the log, hence durable, although their
	// writer has not said so yet.
	if got, end, _ := w.readAll(sh, sh.Horizon(), 10); !slices.Equal(got, span(1, 3)) || !end {
		t.Errorf("read %v, end %v", got, end)
	}
	last.durable()
	if got, end, _ := w.readAll(sh, sh.Horizon(), 10); !slices.Equal(got, span(1, 3)) || !end {
		t.Errorf("then %v, end %v", got, end)
	}
}

// TestPages: whatever the bounds, the position and the number of restarts, a page
// is the records that follow, as many as fit, at least one.
func TestPages(t *testing.T) {
	w := newWorld(t)
	s := w.create(NewImage, 1)
	var all []seqnum.Num
	add := func(n int) {
		for _, r := range w.apply(root(s), n, 0).recs {
			all = append(all, r.Seq())
			root(s).Committed(r)
		}
		w.check(w.store.Barrier(t.Context()))
	}
	add(30)
	s = w.reopen(s)
	s = w.reopen(s)
	add(1)
	s = w.reopen(s)
	add(30)
	sh := root(s)
	weight := func(r *Record) int { return int(r.Ordinal()%7) + 1 }
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, len(all)).Draw(t, "from")
		maxRecords, maxBytes := rapid.IntRange(0, 40).Draw(t, "records"), rapid.IntRange(-1, 100).Draw(t, "bytes")
		after := sh.Horizon()
		if from > 0 {
			after = all[from-1]
		}
		var want []seqnum.Num
		for total, i := 0, from; i < len(all) && len(want) < max(1, maxRecords); i++ {
			if total += (i+1)%7 + 1; total > maxBytes && len(want) > 0 {
				break
			}
			want = append(want, all[i])
		}
		p, err := sh.Read(after, maxRecords, maxBytes, weight)
		if err != nil || p.Missed != nil || p.End {
			t.Fatal(err, p)
		}
		// A page may stop short where the store's part ends and the tail begins.
		var got []seqnum.Num
		for _, r := range p.Records {
			got = append(got, r.Seq())
		}
		if !slices.Equal(got, want) {
			t.Fatalf("after %d: got %v, want %v", from, got, want)
		}
	})
}

// TestComing: a read tells of records that are written above those that it may show.
func TestComing(t *testing.T) {
	w := newWorld(t)
	sh := root(w.create(NewImage, 1))
	coming := func() bool {
		t.Helper()
		p, err := sh.Read(sh.Start.Prev(), 100, 1<<20, (*Record).EventSize)
		w.check(err)
		return p.Coming
	}
	w.write(sh, 2)
	if coming() {
		t.Error("all is durable")
	}
	a := w.apply(sh, 1, 0)
	if !coming() {
		t.Error("a record that is not durable is not told of")
	}
	if a.durable(); coming() {
		t.Error("all is durable again")
	}
}

// TestLast: the last records are those of before a restart, too, and none past the retention.
func TestLast(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	w.write(root(s), 5)
	s = w.reopen(s)
	sh := root(s)
	w.write(sh, 2)
	for _, c := range []struct {
		n    uint64
		want []uint64
	}{{1, span(7, 7)}, {2, span(6, 7)}, {4, span(4, 7)}, {7, span(1, 7)}, {100, span(1, 7)}} {
		at, err := sh.Last(c.n)
		w.check(err)
		if got, _, _ := w.readAll(sh, at, 10); !slices.Equal(got, c.want) {
			t.Errorf("the last %d are %v, want %v", c.n, got, c.want)
		}
	}
	w.advance(Retention + 2*time.Hour)
	w.check(w.ss.trim(w.now(), map[*Shard]time.Time{}))
	w.write(sh, 1)
	at, err := sh.Last(3)
	w.check(err)
	if got, _, _ := w.readAll(sh, at, 10); !slices.Equal(got, span(8, 8)) {
		t.Errorf("after the retention the last 3 are %v", got)
	}
}
