package door

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r := NewRoom(100, time.Second)
		a, ok := r.Take(ctx, nil, 60)
		if !ok {
			t.Fatal("a")
		}
		began := time.Now()
		if _, ok := r.Take(ctx, nil, 60); ok || time.Since(began) != time.Second {
			t.Fatalf("b: %v after %v", ok, time.Since(began))
		}
		if _, ok := r.TakeNow(nil, 60, false); ok {
			t.Fatal("taken at once")
		}
		owed, _ := r.TakeNow(nil, 60, true)
		if r.free != -20 {
			t.Fatalf("free: %d", r.free)
		}
		owed.Release()
		// Those who wait come in turn: a small one does not overtake.
		var order []int64
		got := make(chan *Held)
		for _, n := range []int64{90, 5} {
			go func() {
				h, ok := r.Take(ctx, nil, n)
				if !ok {
					t.Error(n)
				}
				order = append(order, n)
				got <- h
			}()
			synctest.Wait()
		}
		a.Resize(10)
		(<-got).Release()
		(<-got).Release()
		if order[0] != 90 {
			t.Fatalf("order %v", order)
		}
		a.Release()
		all, _ := r.Take(ctx, nil, 1000) // more than there is: all of it
		if r.free != 0 {
			t.Fatalf("free: %d", r.free)
		}
		// One who gives up lets those behind it in.
		short, cancel := context.WithCancel(ctx)
		go func() {
			_, ok := r.Take(short, nil, 90)
			if ok {
				t.Error("taken after the end")
			}
		}()
		synctest.Wait()
		go func() {
			h, _ := r.Take(ctx, nil, 50)
			got <- h
		}()
		synctest.Wait()
		all.Resize(50)
		cancel()
		(<-got).Release()
		all.Release()
		if r.free != 100 || len(r.holders) != 0 || len(r.queue) != 0 {
			t.Fatalf("%+v", r)
		}
	})
	if h, ok := (*Room)(nil).Take(t.Context(), nil, 5); !ok {
		t.Error("no room in none")
	} else {
		h.Release()
	}
}

// While somebody waits, those who are waited for must keep to the least rate; who is worked for may take any time.
func TestStalledHoldersAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRoom(100, 10*time.Second)
		cuts := map[string]*atomic.Int64{}
		peer := func(name string) *Peer {
			n := new(atomic.Int64)
			cuts[name] = n
			return &Peer{cut: func() { n.Add(1) }}
		}
		working, steady, stalled := peer("working"), peer("steady"), peer("stalled")
		for _, p := range []*Peer{working, steady, stalled} {
			if _, ok := r.Take(t.Context(), p, 30); !ok {
				t.Fatal("no room")
			}
		}
		steady.Exchange()
		calm := peer("calm") // idle for a minute, and quick from then on
		if _, ok := r.Take(t.Context(), calm, 5); !ok {
			t.Fatal("no room")
		}
		calm.Exchange()
		stalled.moved.Store(1 << 30) // it was quick once
		stalled.Exchange()
		time.Sleep(time.Minute) // while nobody waits, nobody is cut
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
					steady.moved.Add(leastRate / 5)
					calm.moved.Add(leastRate / 5)
				}
			}
		}()
		began := time.Now()
		if _, ok := r.Take(t.Context(), nil, 100); ok {
			t.Fatal("there was room")
		}
		close(stop)
		if cuts["working"].Load() != 0 || cuts["steady"].Load() != 0 || cuts["calm"].Load() != 0 || cuts["stalled"].Load() == 0 {
			t.Fatalf("after %v: working %d, steady %d, stalled %d", time.Since(began), cuts["working"].Load(), cuts["steady"].Load(), cuts["stalled"].Load())
		}
	})
}

// What is owed beyond the room makes those who stand still go, too, although nobody waits; and it lasts no longer than it is owed.
func TestStalledDebtorsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRoom(100, time.Second)
		ended := false
		stalled := &Peer{cut: func() { ended = true }}
		stalled.Exchange()
		all, _ := r.TakeNow(stalled, 100, true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if ended || r.looking {
			t.Fatal("cut while there was no want")
		}
		owed, _ := r.TakeNow(nil, 1, true)
		time.Sleep(leastWindow + 2*lookEvery)
		synctest.Wait()
		if !ended {
			t.Fatal("not cut")
		}
		all.Release()
		owed.Release()
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		if r.looking || r.free != 100 {
			t.Fatalf("%+v", r)
		}
		// What turns out larger than the room is let in when all of it is free.
		large, ok := r.TakeNow(nil, 200, false)
		if !ok || r.free != -100 {
			t.Fatal(ok, r.free)
		}
		large.Release()
	})
}

// What is there already passes those who wait for more than is free.
func TestWhatIsThereWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRoom(100, time.Second)
		half, _ := r.Take(t.Context(), nil, 50)
		go func() {
			if h, ok := r.Take(t.Context(), nil, 60); ok {
				t.Error("there was room")
				h.Release()
			}
		}()
		synctest.Wait()
		small, ok := r.TakeNow(nil, 50, false)
		if !ok {
			t.Error("refused for somebody who waits")
		}
		time.Sleep(2 * time.Second)
		small.Release()
		half.Release()
	})
}
