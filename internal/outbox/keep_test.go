package outbox

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/worker"
)

// TestStartWhileBatchIsWritten: a delivery whose batch is written over the start is made once, and not before the batch is durable.
func TestStartWhileBatchIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := atomic.Int64{}
		b, s, _ := box(t, crashtest.New(), worker.NewClock(time.Now), nil, func(context.Context, *Delivery) error {
			made.Add(1)
			time.Sleep(time.Second)
			return nil
		})
		d := &Delivery{Source: "a", Target: "q"}
		batch := s.NewBatch()
		defer batch.Close()
		if err := b.Add(batch, d, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(batch); err != nil {
			t.Fatal(err)
		}
		b.Start()
		if synctest.Wait(); made.Load() != 0 {
			t.Error("it was made before it was released")
		}
		b.Release(d)
		time.Sleep(10 * time.Minute)
		if n := made.Load(); n != 1 || b.Len() != 0 {
			t.Errorf("it was made %d times, and %d are owed", n, b.Len())
		}
	})
}

// TestLetterWhileClockIsBehind: what is told to a dead-letter queue by a clock that is behind is not too old when the clock is set right.
func TestLetterWhileClockIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var offset, told atomic.Int64
		var mended atomic.Bool
		clock := worker.NewClock(func() time.Time { return time.Now().Add(time.Duration(offset.Load())) })
		b, s, _ := box(t, crashtest.New(), clock, nil, func(_ context.Context, d *Delivery) error {
			switch {
			case d.Target == "q":
				return &Permanent{Err: errors.New("no such queue")}
			case !mended.Load():
				return errors.New("not now")
			}
			told.Add(1)
			return nil
		})
		b.Start()
		offset.Store(-int64(30 * 24 * time.Hour))
		owe(t, b, s, &Delivery{Source: "a", Target: "q", DeadLetter: "dead"})
		time.Sleep(time.Second)
		offset.Store(0)
		time.Sleep(2 * maxBackoff)
		mended.Store(true)
		time.Sleep(2 * maxBackoff)
		if told.Load() != 1 || b.GivenUp() != 1 || b.Len() != 0 {
			t.Errorf("told %d, given up %d, owed %d", told.Load(), b.GivenUp(), b.Len())
		}
	})
}
