package app

import (
	"context"
	"time"
)

// lentFor is how long items are kept for a trigger of nodes that is not there: it may be being made.
const lentFor = time.Hour

// sweepLent gives up what this server keeps for triggers of nodes that are not there any more.
func (s *App) sweepLent(ctx context.Context) error {
	tick := time.NewTicker(lentFor)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.backend.SweepLent(ctx, lentFor); err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("items that a trigger of nodes begins with are kept on: whether it is still there is not known", "error", err)
		}
	}
}
