package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Seed has the server make a copy of its data folder, for a standby that follows the server itself.
func (c *Client) Seed(ctx context.Context, standby, host string) (s wire.Seed, err error) {
	ctx, cancel := context.WithTimeout(ctx, seedFor)
	defer cancel()
	err = c.document(ctx, http.MethodPost, "standbys/seed", url.Values{"standby": {standby}, "host": {host}}, nil, &s)
	return s, err
}

// SeedFile reads a file of it. Read to its end, it has been whole, or an error is returned.
func (c *Client) SeedFile(ctx context.Context, id, name string) (io.ReadCloser, error) {
	return c.body(ctx, "standbys/seed/"+url.PathEscape(id)+"/file", url.Values{"name": {name}})
}

// Unseed removes it.
func (c *Client) Unseed(ctx context.Context, id string) error {
	var nothing struct{}
	return c.document(ctx, http.MethodDelete, "standbys/seed/"+url.PathEscape(id), nil, nil, &nothing)
}

// Here asks what the server is to a standby.
func (c *Client) Here(ctx context.Context) (here json.RawMessage, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stalled, errStalled)
	defer cancel()
	err = c.document(ctx, http.MethodGet, "standbys/here", nil, nil, &here)
	return here, silent(ctx, err)
}

// stalled is after what time without a byte an answer counts as broken off, seedFor what a server may take to make a copy of its folder.
const (
	stalled = time.Minute
	seedFor = 10 * time.Minute
)

var errStalled = fmt.Errorf("nothing has come for %s", stalled)

// NextSegment asks for what a standby wants next; nothing: there is none yet.
func (c *Client) NextSegment(ctx context.Context, question []byte) (segment []byte, err error) {
	body, err := c.body(ctx, "standbys/next", url.Values{"question": {string(question)}})
	if err != nil {
		return nil, err
	}
	segment, err = io.ReadAll(body)
	if e := body.Close(); err == nil {
		err = e
	}
	return segment, err
}

// moving is an answer that ends when nothing comes while it is waited for.
type moving struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  *time.Timer
}

func (m *moving) Read(p []byte) (n int, err error) {
	m.limit.Reset(stalled)
	n, err = m.ReadCloser.Read(p)
	m.limit.Stop()
	if err != nil && err != io.EOF {
		err = silent(m.ctx, err)
	}
	return n, err
}

func (m *moving) Close() error {
	m.limit.Stop()
	err := m.ReadCloser.Close()
	m.cancel(nil)
	return err
}

// silent is errStalled where that is why a call has failed.
func silent(ctx context.Context, err error) error {
	if err != nil && context.Cause(ctx) == errStalled {
		return errStalled
	}
	return err
}

// SegmentFile reads a file that a segment names.
func (c *Client) SegmentFile(ctx context.Context, number uint64, sum string) (io.ReadCloser, error) {
	return c.body(ctx, "standbys/file", url.Values{"number": {strconv.FormatUint(number, 10)}, "sum": {sum}})
}

// Overtake tells the server that a standby goes on in its place. Its caller says how long that may take.
func (c *Client) Overtake(ctx context.Context, question []byte) (rest [][]byte, err error) {
	var r wire.Rest
	err = c.document(ctx, http.MethodPost, "standbys/overtake", nil, question, &r)
	return r.Segments, err
}

// body makes a call whose answer is bytes. It ends when nothing comes for a minute, however long all of it takes.
func (c *Client) body(ctx context.Context, path string, q url.Values) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(stalled, func() { cancel(errStalled) })
	res, err := c.call(ctx, http.MethodGet, path, q, nil)
	limit.Stop()
	if err != nil {
		err = silent(ctx, err)
		cancel(nil)
		return nil, err
	}
	return &moving{res.Body, ctx, cancel, limit}, nil
}
