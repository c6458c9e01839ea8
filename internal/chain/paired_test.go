package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// TestPairedReplication measures what replication to a folder costs writers: 16 of them, records of 2 KB, alternating runs with and without it.
// MILLSTREAM_PAIRS says how many pairs; without it there is a short one, which measures nothing.
func TestPairedReplication(t *testing.T) {
	pairs, long := 1, 100*time.Millisecond
	if _, err := fmt.Sscan(os.Getenv("MILLSTREAM_PAIRS"), &pairs); err == nil {
		long = 3 * time.Second
	}
	var rates, p99s, p50s []float64
	for range pairs {
		var rate, p99, p50 [2]float64
		for i, with := range []bool{false, true} {
			rate[i], p50[i], p99[i] = writeFor(t, long, with)
		}
		rates, p99s, p50s = append(rates, rate[1]/rate[0]), append(p99s, p99[1]/p99[0]), append(p50s, p50[1]/p50[0])
		t.Logf("%.0f and %.0f a second, p50 %.2f and %.2f ms, p99 %.2f and %.2f ms", rate[0], rate[1], p50[0], p50[1], p99[0], p99[1])
	}
	for _, all := range [][]float64{rates, p50s, p99s} {
		slices.Sort(all)
	}
	t.Logf("medians: rate %.3f, p50 %.3f, p99 %.3f", rates[pairs/2], p50s[pairs/2], p99s[pairs/2])
}

// writeFor returns the rate of 16 writers, and the median and the 99th percentile of a write in ms.
func writeFor(t *testing.T, d time.Duration, with bool) (rate, p50, p99 float64) {
	dir := t.TempDir()
	o := store.Options{Dir: filepath.Join(dir, "data")}
	if with {
		o.Changes = Waiting
	}
	s, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	if with {
		place, err := backup.Open(ctx, filepath.Join(dir, "place"))
		if err != nil {
			t.Fatal(err)
		}
		sh := New(Options{Store: s, Place: place, Dir: o.Dir, Stage: s.Stage, Logger: slog.New(slog.DiscardHandler)})
		go func() { ended <- sh.Run(ctx) }()
		for sh.Status().Backup == "" {
			time.Sleep(10 * time.Millisecond)
		}
	} else {
		ended <- nil
	}
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	until := time.Now().Add(d)
	value := noise(1, 600)
	value = append(value, make([]byte, 1500)...)
	for w := range 16 {
		wg.Go(func() {
			var mine []time.Duration
			for n := uint64(0); time.Now().Before(until); n++ {
				began := time.Now()
				b := s.NewBatch()
				b.Set(key('w', w, n), value)
				if err := s.Write(b); err != nil {
					t.Error(err)
				}
				b.Close()
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	stop()
	if err := errors.Join(<-ended, s.Close()); err != nil {
		t.Error(err)
	}
	slices.Sort(all)
	ms := func(part float64) float64 { return float64(all[int(float64(len(all))*part)].Microseconds()) / 1000 }
	return float64(len(all)) / d.Seconds(), ms(0.5), ms(0.99)
}
