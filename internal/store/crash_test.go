package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// The workload: writers share one log, as a shard does. Under a lock each takes
// the next number n and applies a batch of two rows under it, log/n and copy/n; it
// then calls Sync outside the lock. After a crash the rows must be 1..m without a
// gap, each with its copy, and m at least every number whose Sync returned nil.

func logKey(n uint64) []byte  { return binary.BigEndian.AppendUint64([]byte("log/"), n) }
func copyKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte("copy/"), n) }

type workload struct {
	mu    sync.Mutex
	last  uint64
	acked uint64 // highest number whose Sync returned nil
}

// write runs writers until each has written its batches or met an error.
func (w *workload) write(s *store.Store, seed uint64, writers, each int) {
	var wg sync.WaitGroup
	for i := range writers {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			value := make([]byte, 1<<15) // large ones now and then, so that memtables rotate
			for range each {
				size := rng.IntN(300)
				if rng.IntN(20) == 0 {
					size = rng.IntN(len(value))
				}
				b := s.NewBatch()
				c := s.Begin()
				w.mu.Lock()
				n := w.last + 1
				b.Set(logKey(n), value[:size])
				b.Set(copyKey(n), value[:size])
				err := s.Apply(c, b)
				w.last = n
				w.mu.Unlock()
				b.Close()
				if err == nil {
					err = s.Sync(c)
				}
				if err != nil {
					return
				}
				w.mu.Lock()
				w.acked = max(w.acked, n)
				w.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func (w *workload) ackedNow() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

var errLost = errors.New("an acknowledged batch is lost")

// check returns how many batches the store holds, or what is wrong with them.
func check(s *store.Store, acked uint64) (held uint64, err error) {
	it, err := s.NewIter([]byte("log/"), store.PrefixEnd([]byte("log/")))
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		n := binary.BigEndian.Uint64(it.Key()[len("log/"):])
		if n != held+1 {
			return held, errors.Join(fmt.Errorf("batch %d is there without %d", n, held+1), it.Close())
		}
		held = n
		if _, found, err := s.Get(nil, copyKey(n)); err != nil || !found {
			return held, errors.Join(fmt.Errorf("batch %d is there by half (%w)", n, err), it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return held, err
	}
	if _, found, err := s.Get(nil, copyKey(held+1)); err != nil || found {
		return held, fmt.Errorf("batch %d is there by half (%w)", held+1, err)
	}
	if held < acked {
		return held, fmt.Errorf("%w: %d of %d", errLost, held, acked)
	}
	return held, nil
}

// crashes runs lives of a store, each of which ends in a crash during its work
// from whose disk the next starts, and returns the first breach of a promise.
func crashes(t *testing.T, seed uint64, lives int, d store.Durability) error {
	disk := crashtest.New()
	w := &workload{}
	rng := rand.New(rand.NewPCG(seed, 1))
	var incarnation uint64
	for life := range lives {
		s, err := store.Open(store.Options{FS: disk.FS(), Dir: "data", Durability: d})
		if err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if s.Incarnation() <= incarnation {
			return fmt.Errorf("life %d: incarnation %d again", life, s.Incarnation())
		}
		incarnation = s.Incarnation()
		held, err := check(s, w.acked)
		if err != nil {
			return errors.Join(fmt.Errorf("life %d: %w", life, err), s.Close())
		}
		w = &workload{last: held, acked: held}

		// The crash falls at a chance moment: some number of commits from now.
		ended := make(chan struct{})
		work := w
		writers, each := 1+rng.IntN(6), 1+rng.IntN(40)
		go func() {
			defer close(ended)
			work.write(s, seed<<16|uint64(life), writers, each)
		}()
		after := held + rng.Uint64N(uint64(writers*each))
		for running := true; running && w.ackedNow() < after; {
			select {
			case <-ended:
				running = false
			default:
				runtime.Gosched()
			}
		}
		// What is acknowledged before the crash must be in it; more may be.
		acked := w.ackedNow()
		clone := disk.Clone(seed<<16 | uint64(life))
		<-ended
		if err := s.Close(); err != nil {
			return err
		}
		disk, w = clone, &workload{acked: acked}
	}
	return nil
}

// P1 and the log's order, over crashes at chance moments.
func TestCrashesLoseNothingAcknowledged(t *testing.T) {
	runs := 60
	if testing.Short() {
		runs = 10
	}
	for seed := range runs {
		if err := crashes(t, uint64(seed), 8, store.Sync); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// The detector above must see the loss when nothing is synced on purpose.
func TestCrashesWithoutSyncAreSeen(t *testing.T) {
	for seed := range 50 {
		if err := crashes(t, uint64(seed), 8, store.NoSync); err != nil {
			if !errors.Is(err, errLost) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no loss was seen although nothing was synced")
}

// Periodic may lose what is younger than its interval, and nothing else; a loss
// is still a prefix.
func TestPeriodicKeepsAPrefix(t *testing.T) {
	for seed := range 20 {
		if err := crashes(t, uint64(seed), 4, store.Periodic); err != nil && !errors.Is(err, errLost) {
			t.Fatal(err)
		}
	}
}

// A crash at any operation of Open, of a new folder or of one in use, leaves one
// that opens with all its data and with a new incarnation.
func TestCrashesDuringOpen(t *testing.T) {
	const dir = "deep/data"
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 2))
		disk := crashtest.New()
		used := seed%2 == 1
		if used {
			s := open(t, store.Options{FS: disk.FS(), Dir: dir})
			put(t, s, "before", "v")
			disk = disk.Clone(seed)
			closeStore(t, s)
		}
		var mu sync.Mutex
		var clone *crashtest.Disk
		left := 1 + rng.IntN(40)
		disk.Fail(func(op, file string) error {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				clone = disk.Clone(seed)
			}
			return nil
		})
		s := open(t, store.Options{FS: disk.FS(), Dir: dir})
		mu.Lock()
		crashed := clone // in Open, not in what follows
		left = 0
		mu.Unlock()
		before := s.Incarnation()
		closeStore(t, s)
		if crashed == nil {
			crashed = disk.Clone(seed)
		} else {
			before-- // the crash may have come before this Open took its own
		}
		s, err := store.Open(store.Options{FS: crashed.FS(), Dir: dir})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if s.Incarnation() <= before {
			t.Fatalf("seed %d: incarnation %d after %d", seed, s.Incarnation(), before)
		}
		if _, found := get(t, s, "before"); found != used {
			t.Fatalf("seed %d: data found %v, want %v", seed, found, used)
		}
		closeStore(t, s)
	}
}
