package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// A chain of timers, each set by the one before, comes out within one advance at its
// exact moments, with work in goroutines in between.
func TestAdvanceFollowsChains(t *testing.T) {
	c := worker.NewManualClock(epoch)
	var at []time.Duration
	var timer *worker.Timer
	wait := time.Second
	timer = c.AfterFunc(wait, func() {
		c.Begin()
		go func() {
			defer c.End()
			now, ageing := c.Now()
			if !ageing {
				t.Error("ageing is suspended")
			}
			at = append(at, now.Sub(epoch))
			wait *= 2
			timer.Reset(wait)
		}()
	})
	advance(t, c, 10*time.Second)
	if want := []time.Duration{1 * time.Second, 3 * time.Second, 7 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("fired at %v, not %v", at, want)
	}
	if now := c.Wall(); !now.Equal(epoch.Add(10 * time.Second)) {
		t.Errorf("stands at %v", now)
	}
	if !timer.Stop() || timer.Stop() {
		t.Error("the timer was to fire once more")
	}
	advance(t, c, time.Hour)
	if len(at) != 3 {
		t.Errorf("a stopped timer fired: %v", at)
	}
	timer.Reset(0) // at once, without an advance
	advance(t, c, 0)
	if len(at) != 4 || at[3] != time.Hour+10*time.Second {
		t.Errorf("fired at %v", at)
	}
}

func advance(t *testing.T, c *worker.Clock, d time.Duration) {
	t.Helper()
	if err := c.Advance(t.Context(), d, nil); err != nil {
		t.Fatal(err)
	}
}

// Who waits is no work under way; once it is woken, it is.
func TestAdvanceWaitsForTheWoken(t *testing.T) {
	c := worker.NewManualClock(epoch)
	var got []string
	early := make(chan struct{})
	c.Begin()
	go func() {
		defer c.End()
		for i := range 3 {
			if err := c.Wait(t.Context(), time.Minute, nil); err != nil {
				t.Error(err)
			}
			got = append(got, fmt.Sprint(i, " at ", c.Wall().Sub(epoch)))
		}
		close(early)
	}()
	gone, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	for _, ctx := range []context.Context{t.Context(), gone} {
		c.Begin()
		go func() {
			defer c.End()
			ended <- c.Wait(ctx, time.Hour, map[bool]chan struct{}{true: early}[ctx != gone])
		}()
	}
	advance(t, c, 2*time.Minute)
	if want := []string{"0 at 1m0s", "1 at 2m0s"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Wait of a caller who has gone: %v", err)
	}
	go func() {
		if err := <-ended; err != nil {
			t.Errorf("Wait that was ended early: %v", err)
		}
	}()
	advance(t, c, 2*time.Minute)
	if len(got) != 3 {
		t.Errorf("%q", got)
	}
}

// Rounds are made when they are due, and left out while there is nothing to do.
func TestRoundsOfAManualClock(t *testing.T) {
	c := worker.NewManualClock(epoch)
	ctx, cancel := context.WithCancel(t.Context())
	var minutes, hints []time.Duration
	due, some := epoch.Add(90*time.Second), true
	ended := make(chan error, 3)
	start := func(every time.Duration, next func() (time.Time, bool), run func() error) {
		c.Begin()
		go func() {
			defer c.End()
			ended <- c.Every(ctx, every, next, run)
		}()
	}
	start(time.Minute, nil, func() error { minutes = append(minutes, c.Wall().Sub(epoch)); return nil })
	start(time.Second, func() (time.Time, bool) { return due, some }, func() error {
		hints = append(hints, c.Wall().Sub(epoch))
		due = due.Add(24 * time.Hour)
		return nil
	})
	broken := errors.New("broken")
	start(time.Hour, nil, func() error { return broken })
	advance(t, c, 3*time.Minute)
	if want := []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute}; !slices.Equal(minutes, want) {
		t.Errorf("rounds at %v", minutes)
	}
	if want := []time.Duration{90 * time.Second}; !slices.Equal(hints, want) {
		t.Errorf("rounds with something to do at %v", hints)
	}
	some = false
	advance(t, c, 48*time.Hour)
	if len(hints) != 1 || len(minutes) != 48*60+3 {
		t.Errorf("%d and %d rounds", len(hints), len(minutes))
	}
	if err := <-ended; err != broken {
		t.Errorf("a round that failed: %v", err)
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// Time stands where work does not end, and goes on from there.
func TestAdvanceStandsWhileWorkGoesOn(t *testing.T) {
	c := worker.NewManualClock(epoch.Add(time.Microsecond))
	release := make(chan struct{})
	c.AfterFunc(time.Minute, func() { <-release })
	put := 2
	tidy := func() (bool, error) {
		put--
		return put >= 0, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.AfterFunc(time.Minute, cancel)
	if err := c.Advance(ctx, time.Hour, tidy); !errors.Is(err, context.Canceled) {
		t.Errorf("Advance while work goes on: %v", err)
	}
	if at := c.Wall(); !at.Equal(epoch.Add(time.Minute)) || put >= 0 {
		t.Errorf("stands at %v, tidied until %d", at, put)
	}
	close(release)
	advance(t, c, 59*time.Minute)
	if at := c.Wall(); !at.Equal(epoch.Add(time.Hour)) {
		t.Errorf("stands at %v", at)
	}
	broken := errors.New("broken")
	if err := c.Advance(t.Context(), time.Second, func() (bool, error) { return false, broken }); err != broken {
		t.Errorf("Advance with what cannot be tidied: %v", err)
	}
	for _, d := range []time.Duration{-1, worker.MaxAdvance + 1} {
		if c.Advance(t.Context(), d, nil) == nil {
			t.Errorf("Advance took %v", d)
		}
	}
	if err := worker.NewClock(time.Now).Advance(t.Context(), 1, nil); err != worker.ErrNotManual {
		t.Errorf("Advance of an ordinary clock: %v", err)
	}
}
