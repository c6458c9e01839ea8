package app

import (
	"context"
	"fmt"
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

// setClock makes the server's clock, by which all of it goes but what guards the
// machine: timeouts and logs of functions, and limits of requests, are in real time.
func (s *App) setClock() {
	s.realNow = s.opts.Now
	if !s.opts.ManualClock {
		s.clock = worker.NewMachineClock(s.opts.Now, worker.MachineBoot(), worker.MachineSynchronized)
		return
	}
	s.clock = worker.NewManualClock(s.opts.Now())
	s.opts.Now = s.clock.Wall
	s.realNow = time.Now
}

// start starts a worker that waits by the clock.
func (s *App) start(name string, run func(context.Context) error) {
	s.clock.Begin() // a manual clock does not move before the worker waits
	s.workers.Start(name, func(ctx context.Context) error {
		defer s.clock.End()
		return run(ctx)
	})
}

// ErrNotManual is Advance's error without Options.ManualClock.
var ErrNotManual = worker.ErrNotManual

// ErrTimeStands is Settle's error when what it waits for is due at a later time of a manual clock.
var ErrTimeStands = worker.ErrTimeStands

// Now is the server's time.
func (s *App) Now() time.Time { return s.clock.Wall() }

// Advance moves the time of a server with a manual clock on by d, at most ten years.
// It goes from one moment at which something is due to the next (a window's end, a retry, an item's
// expiry), and at each waits until the triggers have done what there is to do, as
// it does before it begins. Functions run in real time, which is no time by this
// clock. When ctx ends before a function has answered, time stands where it is, and
// Advance returns ctx's error. Advance of 0 only waits.
func (s *App) Advance(ctx context.Context, d time.Duration) error {
	if !s.clock.Manual() {
		return fmt.Errorf("millstream: %w; open the server with ManualClock to advance it", ErrNotManual)
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := s.clock.Advance(ctx, d, s.engine.Tidy); err != nil {
		return fmt.Errorf("millstream: advance the clock: %w", err)
	}
	return nil
}
