package stream

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// TestNumbersAreNeverReused: crashes at moments of chance, of databases that go on
// from the copy that a crash left. A number that was given out, shown or not, is
// never given to another record; what was durable is there; ordinals have no gaps;
// a position told before a crash is still right after it.
func TestNumbersAreNeverReused(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 3))
		disk := crashtest.New()
		given := map[seqnum.Num]bool{} // every number ever stamped
		var told seqnum.Num            // the highest number that was shown
		arn := ""
		for range 6 {
			w := newWorldOn(t, disk, store.Sync)
			s := w.ss.Get(arn)
			if s == nil {
				if arn != "" {
					t.Fatal("the stream is lost")
				}
				s = w.create(KeysOnly, 1)
				arn = s.ARN
			}
			sh := root(s)
			got, _, missed := w.readAll(sh, seqnum.Num{}, 5)
			if missed+uint64(len(got)) != sh.Head().Lo || sh.Head().Less(told) {
				t.Fatalf("seed %d: %s was shown, the head is %s with %d left and %d trimmed", seed, told, sh.Head(), len(got), missed)
			}
			if _, _, m := w.readAll(sh, told, 3); !told.IsZero() && m > missed {
				t.Fatalf("seed %d: above %s %d are missed, of %d trimmed", seed, told, m, missed)
			}
			var mu sync.Mutex
			var writers sync.WaitGroup
			stamped := func(recs []*Record) {
				mu.Lock()
				defer mu.Unlock()
				for _, r := range recs {
					if given[r.seq] {
						t.Errorf("seed %d: %s was given twice", seed, r.seq)
					}
					given[r.seq] = true
				}
			}
			for range rng.IntN(20) {
				a := w.apply(sh, 1+rng.IntN(3), 0)
				stamped(a.recs)
				switch {
				case rng.IntN(3) > 0:
					writers.Go(a.durable)
				case rng.IntN(4) == 0:
					a.durable()
					w.check(sh.trimTo(sh.Head(), AgeLoss)) // all that is durable
				default:
					defer a.durable() // not before the crash
				}
			}
			if rng.IntN(2) == 0 {
				writers.Wait()
			}
			// Shown first, then copied: what was shown must be in the copy.
			told = sh.Head()
			next := disk.Clone(seed<<8 + uint64(rng.IntN(256)))
			writers.Wait()
			disk = next
		}
	}
}
