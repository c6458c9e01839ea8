package stream

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"weak"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// What is read from the store is what was written, whatever the sizes of its neighbours: each record, and its event,
// is alone in its part of a room.
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
	})
}

// A record that is held has no more than its piece in memory, and one that is large nothing but itself.
func TestHeldRecordsHoldNoOthers(t *testing.T) {
	for _, size := range []int{0, 500, 5000, 100_000} {
		w := newWorld(t)
		s := w.create(NewAndOldImages, 1)
		const records, one = 400, 40 // one of so many is held
		for range records {
			w.apply(root(s), 1, size).durable()
		}
		s = w.reopen(s)
		page, err := root(s).ReadEvents(root(s).Start.Prev(), records, 1<<30)
		w.check(err)
		var events []weak.Pointer[byte]
		var held []*Record
		for i, r := range page.Records {
			events = append(events, weakly(r.Event()))
			if i%one == 0 {
				held = append(held, r)
			}
		}
		page = Page{}
		runtime.GC()
		runtime.GC()
		alive := 0
		for i, p := range events {
			if p.Value() != nil {
				alive++
			} else if i%one == 0 {
				t.Errorf("size %d: a record that is held is gone", size)
			}
		}
		most := len(held) * 8
		if size > aloneBytes {
			most = len(held)
		}
		if alive > most {
			t.Errorf("size %d: %d records are in memory for %d that are held", size, alive, len(held))
		}
		runtime.KeepAlive(held)
		w.store.Close()
	}
}

func weakly(b []byte) weak.Pointer[byte] { return weak.Make(&b[0]) }

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
