package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// trickle is an answer of which a byte comes now and then.
type trickle struct {
	ctx   context.Context
	pause time.Duration
	left  int
}

func (r *trickle) RoundTrip(q *http.Request) (*http.Response, error) {
	r.ctx = q.Context()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(r), Request: q}, nil
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(r.pause):
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
	r.left--
	p[0] = 'x'
	return 1, nil
}

// TestSegmentOverASlowLine: what a standby fetches ends only when nothing comes any more, and then it does.
func TestSegmentOverASlowLine(t *testing.T) {
	file := func(r io.ReadCloser, err error) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(r)
		time.Sleep(2 * stalled) // the reader has much else to do
		return text, errors.Join(err, r.Close())
	}
	for name, fetch := range map[string]func(ctx context.Context, c *Client) ([]byte, error){
		"segment": func(ctx context.Context, c *Client) ([]byte, error) { return c.NextSegment(ctx, []byte("{}")) },
		"file":    func(ctx context.Context, c *Client) ([]byte, error) { return file(c.SegmentFile(ctx, 1, "aa")) },
		"seed":    func(ctx context.Context, c *Client) ([]byte, error) { return file(c.SeedFile(ctx, "id", "name")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for pause, want := range map[time.Duration]error{stalled - time.Second: nil, stalled + time.Second: errStalled} {
					c, err := New(Options{Endpoint: "http://127.0.0.1:1", HTTP: &http.Client{Transport: &trickle{pause: pause, left: 5}}})
					if err != nil {
						t.Fatal(err)
					}
					text, err := fetch(t.Context(), c)
					if !errors.Is(err, want) || want == nil && len(text) != 5 {
						t.Errorf("a byte each %s: %q, %v", pause, text, err)
					}
				}
			})
		})
	}
}
