package stream

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// What is read from the store is what was written, whatever the sizes of its neighbours: each record, and its event,
// is alone in its part of a room, and holds no more than a piece of it in memory.
func TestRecordsOfTheStore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer w.store.Close()
		s := w.create(NewAndOldImages, 1)
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 100, 400, 1500, 3500, 4096, 5000, 16 << 10, 70_000}), 1, 40).Draw(rt, "sizes")
		want := map[seqnum.Num][2]string{}
		for _, n := range sizes {
			a := w.apply(root(s), 1, n)
			a.durable()
			want[a.recs[0].seq] = [2]string{string(a.recs[0].value), string(a.recs[0].Event())}
		}
		s = w.reopen(s) // nothing is in the tail
		page, err := root(s).ReadEvents(root(s).Start.Prev(), 1000, 1<<30)
		w.check(err)
		if len(page.Records) != len(want) {
			rt.Fatalf("%d records, want %d", len(page.Records), len(want))
		}
		// Whoever appends to one reaches no other.
		for _, r := range page.Records {
			_ = append(r.value, bytes.Repeat([]byte{'#'}, 600)...)
			_ = append(r.Event(), bytes.Repeat([]byte{'#'}, 600)...)
		}
		for _, r := range page.Records {
			if got := [2]string{string(r.value), string(r.Event())}; got != want[r.seq] {
				rt.Errorf("record %s is\n%q, want\n%q", r.seq, fmt.Sprint(got), fmt.Sprint(want[r.seq]))
			}
		}
		var in room
		for _, n := range sizes {
			if free := len(in.bytes); n > roomMost/4 && len(in.copy(make([]byte, n))) == n && len(in.bytes) != free {
				rt.Errorf("%d bytes lie in a room of %d", n, roomMost)
			}
			if in.copy(make([]byte, min(n, roomMost/4))); in.size > roomMost {
				rt.Errorf("a piece of %d bytes", in.size)
			}
		}
	})
}

// BenchmarkReadStore reads small records that have left the tail, with their events.
func BenchmarkReadStore(b *testing.B) {
	w := newWorld(b)
	s := w.create(NewAndOldImages, 1)
	for range 20 {
		w.write(root(s), 100)
	}
	s = w.reopen(s)
	b.ReportAllocs()
	for b.Loop() {
		if p, err := root(s).ReadEvents(root(s).Start.Prev(), 2000, 1<<30); err != nil || len(p.Records) != 2000 {
			b.Fatal(len(p.Records), err)
		}
	}
}
