package stream

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// TestLastBefore holds the binary search by time against a walk along the log:
// over restarts, equal times, clocks that go back, and trimmed logs.
func TestLastBefore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorldOn(t, crashtest.New(), store.Sync)
		defer w.store.Close()
		s := w.create(KeysOnly, 1)
		type stamped struct {
			seq seqnum.Num
			ms  int64
		}
		var log []stamped
		base := w.ms.Load()
		for range rapid.IntRange(0, 25).Draw(rt, "steps") {
			sh := root(s)
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				s = w.reopen(s)
			case 1:
				if len(log) == 0 {
					continue
				}
				cut := rapid.IntRange(0, len(log)-1).Draw(rt, "cut")
				w.check(sh.trimTo(log[cut].seq, AgeLoss))
				log = log[cut+1:]
			case 2:
				w.ms.Add(-50) // the times of records do not follow
			default:
				w.ms.Add(rapid.Int64Range(0, 20).Draw(rt, "pause"))
				a := w.apply(sh, rapid.IntRange(1, 4).Draw(rt, "records"), 0)
				a.durable()
				for _, r := range a.recs {
					log = append(log, stamped{r.Seq(), r.Time()})
				}
			}
		}
		sh := root(s)
		for ms := base - 1; ms < base+600; ms += 1 + ms%3 {
			want := sh.Horizon()
			for _, r := range log {
				if r.ms < ms {
					want = r.seq
				}
			}
			if got, err := sh.Before(ms); err != nil || got != want {
				rt.Fatalf("before %d: got %s, want %s (%v), log %v", ms-base, got, want, err, log)
			}
		}
		for i := 1; i < len(log); i++ {
			if log[i].ms < log[i-1].ms {
				rt.Fatal("time falls")
			}
		}
	})
}

func TestBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) seqnum.Num {
			return seqnum.Num{Hi: rapid.Uint64().Draw(t, name), Lo: rapid.Uint64().Draw(t, name)}
		}
		lo, hi := draw("lo"), draw("hi")
		if hi.Less(lo) {
			lo, hi = hi, lo
		}
		if !lo.Next().Less(hi) {
			return
		}
		number := func(n seqnum.Num) *big.Int { b, _ := new(big.Int).SetString(n.String(), 10); return b }
		want := new(big.Int).Add(number(lo), number(hi))
		if got := number(between(lo, hi)); got.Cmp(want.Rsh(want, 1)) != 0 {
			t.Fatalf("between %s and %s: %s", lo, hi, got)
		}
	})
}

// TestClosedStoreIsNoEnd: a store that does not answer does not look like an empty
// log.
func TestClosedStoreIsNoEnd(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	w.write(root(s), 5)
	w.advance(time.Hour)
	w.check(w.store.Close())
	if _, err := root(s).Before(w.ms.Load()); err == nil {
		t.Error("Before answers")
	}
	if _, err := root(s).newest(); err == nil {
		t.Error("newest answers")
	}
}
