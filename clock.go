package millstream

import (
	"context"
	"time"

	"github.com/millstreamdb/millstream/internal/app"
)

// ErrNotManual is Advance's error without Options.ManualClock.
var ErrNotManual = app.ErrNotManual

// ErrTimeStands is what a NotSettled of a server with a manual clock wraps when nothing more is
// done before Advance moves the time: a batch waits for its window's end, or to be tried again.
var ErrTimeStands = app.ErrTimeStands

// Now is the server's time.
func (s *Server) Now() time.Time { return s.app.Now() }

// Advance moves the time of a server with a manual clock on by d, at most ten years.
// It goes from one moment at which something is due to the next (a window's end, a retry, an item's
// expiry), and at each waits until the triggers have done what there is to do, as
// it does before it begins. Functions run in real time, which is no time by this
// clock. When ctx ends before a function has answered, time stands where it is, and
// Advance returns ctx's error. Advance of 0 only waits.
func (s *Server) Advance(ctx context.Context, d time.Duration) error { return s.app.Advance(ctx, d) }
