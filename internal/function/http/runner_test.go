package http

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

func newRunner(t *testing.T, url string, timeout time.Duration) *Runner {
	t.Helper()
	sink, err := logs.Open("", time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := NewTransport()
	t.Cleanup(tr.CloseIdleConnections)
	return New(runner.Spec{Name: "f", URL: url, Timeout: timeout}, tr, sink.Log(schema.Scope{}, "f"), time.Now)
}

func TestAnswers(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the event went to another host")
	}))
	defer other.Close()
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Lambda-Runtime-Aws-Request-Id") != "id" || r.Header.Get("Lambda-Runtime-Deadline-Ms") == "" {
				t.Errorf("request %s %v", r.Method, r.Header)
			}
			_, _ = w.Write(body)
		case "/empty":
			w.WriteHeader(204)
		case "/busy":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(429)
		case "/date":
			w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		case "/fails":
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "stack trace")
		case "/document":
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"errorMessage":"mine","errorType":"Mine"}`)
		case "/redirect":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/long":
			_, _ = io.CopyN(w, zeros{}, runner.MaxResponse+1)
		case "/hang":
			<-release
		case "/cut":
			c, _, _ := http.NewResponseController(w).Hijack()
			_ = c.Close()
		case "/half":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		}
	}))
	defer srv.Close()
	defer close(release)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()

	for _, c := range []struct {
		url        string
		status     runner.Status
		payload    string
		retryAfter time.Duration
	}{
		{srv.URL + "/echo", runner.OK, `{"a":1}`, 0},
		{srv.URL + "/empty", runner.OK, `null`, 0},
		{srv.URL + "/busy", runner.NotDelivered, ``, 7 * time.Second},
		{srv.URL + "/date", runner.NotDelivered, ``, time.Hour},
		{srv.URL + "/fails", runner.Failed, `{"errorType":"Function.HTTP500","errorMessage":"HTTP 500 Internal Server Error: stack trace"}`, 0},
		{srv.URL + "/document", runner.Failed, `{"errorMessage":"mine","errorType":"Mine"}`, 0},
		{srv.URL + "/redirect", runner.Failed, `{"errorType":"Function.HTTP307","errorMessage":"HTTP 307 Temporary Redirect (redirects are not followed: ` + other.URL + `)"}`, 0},
		{srv.URL + "/long", runner.Failed, string(runner.TooLargePayload()), 0},
		{srv.URL + "/hang", runner.Failed, `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: id Error: Task timed out after 0.20 seconds"}`, 0},
		{srv.URL + "/cut", runner.Failed, `"Function.ConnectionBroken"`, 0},
		{srv.URL + "/half", runner.Failed, `"Function.ConnectionBroken"`, 0},
		{"http://" + dead.Addr().String(), runner.NotDelivered, ``, 0},
	} {
		t.Run(c.url[strings.LastIndex(c.url, "/"):], func(t *testing.T) {
			limit := 20 * time.Second
			if strings.HasSuffix(c.url, "/hang") {
				limit = 200 * time.Millisecond
			}
			ended := 0
			r := newRunner(t, c.url, limit).Invoke(t.Context(), runner.Call{RequestID: "id", Payload: []byte(`{"a":1}`)}, func() { ended++ })
			if r.Status != c.status || !strings.Contains(string(r.Payload), c.payload) || (c.payload == "") != (len(r.Payload) == 0) || ended != 1 {
				t.Errorf("status %d, payload %.300s, error %s, ended %d times", r.Status, r.Payload, r.Err, ended)
			}
			if d := c.retryAfter - r.RetryAfter; d < 0 || d > time.Minute {
				t.Errorf("retry after %v, want %v", r.RetryAfter, c.retryAfter)
			}
			if c.status != runner.OK && r.Err == "" {
				t.Error("no reason for people")
			}
		})
	}
	t.Run("caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if r := newRunner(t, srv.URL+"/hang", time.Minute).Invoke(ctx, runner.Call{RequestID: "id", Payload: []byte(`{}`)}, nil); r.Status != runner.Unknown {
			t.Errorf("%+v", r)
		}
	})
	t.Run("killed", func(t *testing.T) {
		r := newRunner(t, srv.URL+"/hang", time.Minute)
		r.Kill()
		if got := r.Invoke(t.Context(), runner.Call{RequestID: "id", Payload: []byte(`{}`)}, nil); got.Status != runner.NotDelivered {
			t.Errorf("%+v", got)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
