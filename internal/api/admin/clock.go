package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// ClockSource is what the protocol needs of the server's time.
type ClockSource interface {
	// Clock returns the server's time, and whether it stands still but for Advance.
	Clock() Clock
	// Advance moves a manual clock on by d and returns when what was due has been done; with
	// ctx's error when that ends before. An *Error when the clock goes by itself.
	Advance(ctx context.Context, d time.Duration) error
}

// Clock is the server's time.
type Clock struct {
	Now    time.Time `json:"now"`
	Manual bool      `json:"manual"`
}

// Advanced is the answer of clock/advance.
type Advanced struct {
	Clock
	AdvancedMS int64 `json:"advancedMs"` // less than was asked for when it is not quiet
	// Quiet: all that was due has been done. Otherwise functions have not answered
	// within the timeout, and time stands at the moment at which they were called.
	Quiet    bool  `json:"quiet"`
	WaitedMS int64 `json:"waitedMs"` // of real time
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
		return nil, BadRequest("by=" + strconv.Quote(text) + ": want a duration such as 20m")
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	began, before := time.Now(), h.Source.Clock().Now
	err = h.Source.Advance(ctx, by)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	a := Advanced{Clock: h.Source.Clock(), Quiet: err == nil, WaitedMS: time.Since(began).Milliseconds()}
	a.AdvancedMS = a.Now.Sub(before).Milliseconds()
	return a, nil
}
