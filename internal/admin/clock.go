package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Clock asks for the server's time.
func (c *Client) Clock(ctx context.Context) (clock Clock, err error) {
	err = c.document(ctx, http.MethodGet, "clock", nil, nil, &clock)
	return clock, err
}

// AcceptClock says that the server's clock is right.
func (c *Client) AcceptClock(ctx context.Context) (a Accepted, err error) {
	err = c.document(ctx, http.MethodPost, "clock/accept", nil, nil, &a)
	return a, err
}

// Advance moves the clock of a server with a manual one on by d, and waits until what was due has been done, for
// at most timeout.
func (c *Client) Advance(ctx context.Context, d, timeout time.Duration) (a Advanced, err error) {
	err = c.document(ctx, http.MethodPost, "clock/advance", url.Values{"by": {d.String()}, "timeout": {timeout.String()}}, nil, &a)
	return a, err
}
