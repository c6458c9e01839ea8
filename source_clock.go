package millstream

import (
	"context"
	"net/http"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/worker"
)

func (a source) Clock() wire.Clock {
	return wire.Clock{Now: a.s.Now().UTC(), Manual: a.s.clock.Manual()}
}

func (a source) Advance(ctx context.Context, d time.Duration) error {
	switch {
	case !a.s.clock.Manual():
		return &wire.Error{
			Code: "NotManual", Status: http.StatusConflict,
			Message: "The clock of this server goes by itself. Start it with `millstream serve --in-memory --clock manual` to advance it.",
		}
	case d > worker.MaxAdvance:
		return wire.BadRequest("the clock is advanced by " + worker.MaxAdvance.String() + " at most, ten years")
	}
	return a.s.Advance(ctx, d)
}
