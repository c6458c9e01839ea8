package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/worker"
)

func (h *handler) now() wire.Clock {
	c := wire.Clock{Now: h.Clock.Wall().UTC(), Manual: h.Clock.Manual()}
	if d := h.Clock.Doubt(); d.Ahead != 0 {
		c.AheadMS, c.Until = d.Ahead.Milliseconds(), c.Now.Add(d.Left)
	}
	return c
}

// acceptClock is a person's word that the clock is right.
func (h *handler) acceptClock(*http.Request) (any, error) {
	before := h.now()
	if err := h.AcceptClock(); err != nil {
		return nil, err
	}
	return wire.Accepted{Clock: h.now(), WasAheadMS: before.AheadMS}, nil
}

func (h *handler) clock(*http.Request) (any, error) { return h.now(), nil }

// advance moves a manual clock on. A timeout is no failure: the answer says how far the clock has come.
func (h *handler) advance(r *http.Request) (any, error) {
	timeout, err := timeoutOf(r)
	if err != nil {
		return nil, err
	}
	text := r.URL.Query().Get("by")
	by, err := time.ParseDuration(text)
	switch {
	case err != nil || by < 0:
		return nil, wire.BadRequest("by=" + strconv.Quote(text) + ": want a duration such as 20m")
	case !h.Clock.Manual():
		return nil, &wire.Error{
			Code: "NotManual", Status: http.StatusConflict,
			Message: "The clock of this server goes by itself. Start it with `millstream serve --in-memory --clock manual` to advance it.",
		}
	case by > worker.MaxAdvance:
		return nil, wire.BadRequest("the clock is advanced by " + worker.MaxAdvance.String() + " at most, ten years")
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	began, before := time.Now(), h.now().Now
	err = h.Advance(ctx, by)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	a := wire.Advanced{Clock: h.now(), Quiet: err == nil, WaitedMS: time.Since(began).Milliseconds()}
	a.AdvancedMS = a.Now.Sub(before).Milliseconds()
	return a, nil
}
