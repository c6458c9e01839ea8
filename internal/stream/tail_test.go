package stream

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// TestTailLapped: readers that a writer laps, by the bound of slots or of bytes,
// get every record once, in order, and reach the end (P2, P4).
func TestTailLapped(t *testing.T) {
	for _, c := range []struct {
		name              string
		records, pad, per int
	}{
		{"slots", 2 * tailSlots, 0, 64},
		{"bytes", 2 * tailBytes / (256 << 10), 256 << 10, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldOn(t, crashtest.New(), store.NoSync)
			s := w.create(NewImage, 1)
			sh := root(s)
			var readers sync.WaitGroup
			for n := range 4 {
				readers.Go(func() { chase(t, sh, uint64(n), c.records) })
			}
			for written := 0; written < c.records; written += c.per {
				w.apply(sh, min(c.per, c.records-written), c.pad).durable()
			}
			w.close(s)
			readers.Wait()
		})
	}
}

// chase reads a shard to its end, from its beginning again a few times while it is
// written and once after it was closed.
func chase(t *testing.T, sh *Shard, seed uint64, records int) {
	rng := rand.New(rand.NewPCG(seed, 7))
	after, back, again := sh.Horizon(), 5, 1
	for {
		p, err := sh.Read(after, 1+rng.IntN(500), 1+rng.IntN(1<<20), func(r *Record) int { return len(r.value) })
		if err != nil || p.Missed != nil {
			t.Error(err, p.Missed)
			return
		}
		for _, r := range p.Records {
			if r.Ordinal() != after.Lo+1 || r.Keys().Get("pk").Text() != strconv.FormatUint(after.Lo+1, 10) {
				t.Errorf("record %d (item %s) follows %d", r.Ordinal(), r.Keys().Get("pk").Text(), after.Lo)
				return
			}
			after = r.Seq()
		}
		if p.End {
			if after.Lo != uint64(records) {
				t.Errorf("the end comes after %d of %d records", after.Lo, records)
			}
			if again == 0 {
				return
			}
			after, again = sh.Horizon(), again-1
		} else if len(p.Records) > 0 && back > 0 && rng.IntN(20) == 0 {
			after, back = sh.Horizon(), back-1
		}
	}
}

// TestTailBounds: the ring keeps at most its slots and bytes, and always the
// newest record; over all shards the tails stay within their total.
func TestTailBounds(t *testing.T) {
	w := newWorldOn(t, crashtest.New(), store.NoSync)
	var sum int64
	for i := range 8 {
		sh := root(w.create(NewImage, 1))
		big := itemOf("k", strings.Repeat("x", 1<<20))
		b := w.store.NewBatch()
		for n := range 2 * tailBytes / (1 << 20) {
			sh.Append(b, sh.stream.NewRecord(Change{Keys: keys.Extract(big), New: big}), 0, 0, 0)
			b.Reset() // nobody reads it
			if n%8 != 0 {
				continue
			}
			if h := held(sh); h.bytes != sh.tail.bytes || h.bytes > tailBytes || h.records > tailSlots || h.records == 0 {
				t.Fatalf("the tail holds %d records of %d bytes, by its count %d", h.records, h.bytes, sh.tail.bytes)
			}
		}
		b.Close()
		sum += int64(sh.tail.bytes)
		if got := w.ss.tails.Load(); got != sum {
			t.Fatalf("all tails hold %d bytes, counted are %d", sum, got)
		}
		// One that is written to takes no more than its least share once all are full.
		if limit := int64(tailTotal + (i+2)*2*tailLeast); sum > limit {
			t.Fatalf("%d tails hold %d bytes, more than %d", i+1, sum, limit)
		}
	}
	s := w.ss.All()[0]
	w.close(s)
	if err := w.ss.remove(s); err != nil {
		t.Fatal(err)
	}
	if got := w.ss.tails.Load(); got != sum-int64(root(s).tail.bytes) {
		t.Fatalf("a removed stream still counts: %d", got)
	}
}

type holding struct{ records, bytes int }

func held(sh *Shard) (h holding) {
	for i := range sh.tail.slots.Load() {
		if r := sh.tail.slots.Load()[i].Load(); r != nil {
			h.records++
			h.bytes += len(r.value)
		}
	}
	return h
}

// TestTailServes: what the tail holds is not read from the store, and a page that
// begins in the store goes on in the tail.
func TestTailServes(t *testing.T) {
	w := newWorld(t)
	s := w.create(NewImage, 1)
	w.write(root(s), 10)
	s = w.reopen(s)
	sh := root(s)
	w.write(sh, 10)
	head := sh.Head()
	if got := sh.tail.read(sh, seqnum.Num{Hi: head.Hi, Lo: 12}, 20, 5, 1<<20, one); len(got) != 5 || got[0].Ordinal() != 13 {
		t.Errorf("the tail gives %d records", len(got))
	}
	if got := sh.tail.read(sh, sh.opened, 20, 50, 1<<20, one); len(got) != 10 || got[0].Ordinal() != 11 {
		t.Errorf("the tail gives %d records above the head of the opening", len(got))
	}
	if got := sh.tail.read(sh, sh.opened.Prev(), 20, 50, 1<<20, one); got != nil {
		t.Error("the tail serves what is older than this run")
	}
	if got, _, _ := w.readAll(sh, sh.Horizon(), 3); !slices.Equal(got, span(1, 20)) {
		t.Errorf("read %v", got)
	}
}

// TestTailOvertaken: a reader that the writer laps in the middle of a page ends the
// page where it was overtaken.
func TestTailOvertaken(t *testing.T) {
	w := newWorldOn(t, crashtest.New(), store.NoSync)
	sh := root(w.create(KeysOnly, 1))
	w.apply(sh, tailSlots, 0).durable()
	lapped := false
	p, err := sh.Read(sh.Horizon(), 100, 1<<30, func(*Record) int {
		if !lapped {
			lapped = true
			w.apply(sh, tailSlots, 0).durable()
		}
		return 1
	})
	if err != nil || p.Missed != nil || len(p.Records) != 1 || p.Records[0].Ordinal() != 1 {
		t.Fatalf("%d records, missed %v, %v", len(p.Records), p.Missed, err)
	}
	if got, _, _ := w.readAll(sh, p.Records[0].Seq(), 1000); !slices.Equal(got, span(2, 2*tailSlots)) {
		t.Fatalf("then %d records", len(got))
	}
}
