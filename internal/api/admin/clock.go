package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// ClockSource is what the protocol needs of the server's time.
type ClockSource interface {
	// Clock returns the server's time, and whether it stands still but for Advance.
	Clock() wire.Clock
	// Advance moves a manual clock on by d and returns when what was due has been done; with
	// ctx's error when that ends before. An *Error when the clock goes by itself.
	Advance(ctx context.Context, d time.Duration) error
}

func (h *handler) clock(*http.Request) (any, error) { return h.Source.Clock(), nil }

func (h *handler) advance(r *http.Request) (any, error) {
	timeout, err := timeoutOf(r)
	if err != nil {
		return nil, err
	}
	text := r.URL.Query().Get("by")
	by, err := time.ParseDuration(text)
	if err != nil || by < 0 {
		return nil, wire.BadRequest("by=" + strconv.Quote(text) + ": want a duration such as 20m")
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	began, before := time.Now(), h.Source.Clock().Now
	err = h.Source.Advance(ctx, by)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	a := wire.Advanced{Clock: h.Source.Clock(), Quiet: err == nil, WaitedMS: time.Since(began).Milliseconds()}
	a.AdvancedMS = a.Now.Sub(before).Milliseconds()
	return a, nil
}
