package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Clock is the server's time, and whether it stands still but for Advance.
type Clock struct {
	Now    time.Time `json:"now"`
	Manual bool      `json:"manual"`
}

// Advanced is what came of an Advance. When it is not quiet, functions have not answered in
// time, and the clock stands at the moment at which they were called.
type Advanced struct {
	Clock
	AdvancedMS int64 `json:"advancedMs"`
	Quiet      bool  `json:"quiet"`
	WaitedMS   int64 `json:"waitedMs"` // of real time
}

// Clock asks for the server's time.
func (c *Client) Clock(ctx context.Context) (clock Clock, err error) {
	err = c.document(ctx, http.MethodGet, "clock", nil, nil, &clock)
	return clock, err
}

// Advance moves the clock of a server with a manual one on by d, and waits until what was due has been done, for
// at most timeout.
func (c *Client) Advance(ctx context.Context, d, timeout time.Duration) (a Advanced, err error) {
	err = c.document(ctx, http.MethodPost, "clock/advance", url.Values{"by": {d.String()}, "timeout": {timeout.String()}}, nil, &a)
	return a, err
}
