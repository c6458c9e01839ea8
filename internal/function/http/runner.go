package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
)

// shownBody is how much of an error's body is put into its document.
const shownBody = 2 << 10

// NewTransport returns the connections that HTTP functions share.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		Proxy:                 http.ProxyFromEnvironment,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // the answer's bounds are those of its bytes
	}
}

// Runner posts the events of one function.
type Runner struct {
	spec   runner.Spec
	log    *logs.Log
	client *http.Client
	now    func() time.Time
	ctx    context.Context // ended by Kill
	kill   context.CancelFunc
}

var _ runner.Runner = (*Runner)(nil)

// New returns the runner of one revision of a function.
func New(spec runner.Spec, transport http.RoundTripper, log *logs.Log, now func() time.Time) *Runner {
	ctx, kill := context.WithCancel(context.Background())
	return &Runner{
		spec: spec, log: log, now: now, ctx: ctx, kill: kill,
		// A redirect is an answer like any other: events go to the host that was
		// named and to no other.
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// SetLimit implements runner.Runner; connections need no limit of their own.
func (r *Runner) SetLimit(int) {}

// Close implements runner.Runner; running calls end by themselves.
func (r *Runner) Close() {}

// Kill implements runner.Runner.
func (r *Runner) Kill() { r.kill() }

// sentBody tells whether anybody has begun to read it.
type sentBody struct {
	*bytes.Reader
	sent *atomic.Bool
}

func (b sentBody) Read(p []byte) (int, error) {
	b.sent.Store(true)
	return b.Reader.Read(p)
}

func (sentBody) Close() error { return nil }

// Invoke implements runner.Runner.
func (r *Runner) Invoke(ctx context.Context, c runner.Call, done func()) runner.Result {
	if done != nil {
		defer done()
	}
	started := r.now()
	r.log.Write([]byte("START RequestId: " + c.RequestID + " Version: " + r.spec.Version))
	result := r.post(ctx, c, started)
	took := strconv.FormatFloat(float64(r.now().Sub(started))/float64(time.Millisecond), 'f', 2, 64)
	end := "REPORT RequestId: " + c.RequestID + "\tDuration: " + took + " ms\t"
	if result.Status != runner.OK {
		end += "Status: error\tError: " + result.Err
	}
	r.log.Write([]byte("END RequestId: " + c.RequestID))
	r.log.Write([]byte(end))
	return result
}

func (r *Runner) post(ctx context.Context, c runner.Call, started time.Time) runner.Result {
	if err := r.ctx.Err(); err != nil {
		return runner.Result{Status: runner.NotDelivered, Err: err.Error()} // killed: the AfterFunc below may come late
	}
	limited, cancel := context.WithTimeout(ctx, r.spec.Timeout)
	defer cancel()
	stop := context.AfterFunc(r.ctx, cancel)
	defer stop()

	var sent atomic.Bool
	body := func() (io.ReadCloser, error) { return sentBody{bytes.NewReader(c.Payload), &sent}, nil }
	req, err := http.NewRequestWithContext(limited, http.MethodPost, r.spec.URL, nil)
	if err != nil {
		return runner.Result{Status: runner.NotDelivered, Err: err.Error()}
	}
	req.Body, _ = body()
	req.GetBody = body
	req.ContentLength = int64(len(c.Payload))
	if len(c.Payload) == 0 {
		req.Body = http.NoBody
		sent.Store(true) // there is nothing by which to tell
	}
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "millstream")
	h.Set("Lambda-Runtime-Aws-Request-Id", c.RequestID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(started.Add(r.spec.Timeout).UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", c.ARN)
	if c.TraceID != "" {
		h.Set("Lambda-Runtime-Trace-Id", c.TraceID)
	}
	if c.ClientContext != "" {
		h.Set("Lambda-Runtime-Client-Context", c.ClientContext)
	}

	resp, err := r.client.Do(req)
	if err != nil {
		return r.broke(ctx, limited, c, err, sent.Load())
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, runner.MaxResponse+1))
	if err != nil {
		return r.broke(ctx, limited, c, err, true)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		return runner.Result{
			Status: runner.NotDelivered, Throttled: true, Err: "the function's service answered " + resp.Status,
			RetryAfter: retryAfter(resp.Header.Get("Retry-After"), r.now()),
		}
	case len(answer) > runner.MaxResponse:
		return runner.Result{Status: runner.Failed, Payload: runner.TooLargePayload(), Err: "the answer is too large"}
	case code >= 200 && code < 300:
		if len(answer) == 0 {
			answer = []byte("null")
		}
		return runner.Result{Status: runner.OK, Payload: answer}
	default:
		return runner.Result{Status: runner.Failed, Payload: errorDocument(resp, answer), Err: "the function's service answered " + resp.Status}
	}
}

// broke classifies a request that got no answer.
func (r *Runner) broke(ctx, limited context.Context, c runner.Call, err error, sent bool) runner.Result {
	switch {
	case ctx.Err() != nil && !sent, r.ctx.Err() != nil && !sent:
		return runner.Result{Status: runner.NotDelivered, Err: err.Error()}
	case ctx.Err() != nil, r.ctx.Err() != nil:
		return runner.Result{Status: runner.Unknown, Err: err.Error()}
	case !sent:
		return runner.Result{Status: runner.NotDelivered, Err: err.Error()}
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return runner.Result{
			Status: runner.Failed, Err: runner.TimeoutText(r.spec.Timeout),
			Payload: runner.TimeoutPayload(c.RequestID, r.spec.Timeout),
		}
	}
	return runner.Result{
		Status: runner.Failed, Err: err.Error(),
		Payload: runner.ErrorPayload("Function.ConnectionBroken", "RequestId: "+c.RequestID+" Error: "+err.Error()),
	}
}

// errorDocument returns the service's own error document, or one made of its
// status and the start of its body.
func errorDocument(resp *http.Response, body []byte) []byte {
	var document struct {
		Message *string `json:"errorMessage"`
	}
	if json.Unmarshal(body, &document) == nil && document.Message != nil {
		return body
	}
	text := "HTTP " + resp.Status
	if to := resp.Header.Get("Location"); to != "" {
		text += " (redirects are not followed: " + to + ")"
	}
	if len(body) > shownBody {
		body = body[:shownBody]
	}
	if len(body) > 0 && utf8.Valid(body) {
		text += ": " + string(body)
	}
	return runner.ErrorPayload(fmt.Sprintf("Function.HTTP%d", resp.StatusCode), text)
}

// retryAfter reads the header's two forms, seconds and a date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(n, 0), 86400)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), 24*time.Hour)
	}
	return 0
}
