package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Prefix is where the protocol lives.
const Prefix = "/_millstream/v1/"

const (
	// maxEvent is the largest event of an invocation, as on AWS.
	maxEvent = 6 << 20
	// maxLines bounds the lines= of logs.
	maxLines = 10_000
	// defaultTimeout and maxTimeout bound the timeout= of settle and of clock/advance.
	defaultTimeout = 30 * time.Second
	maxTimeout     = time.Hour
	// heartbeat is how often a stream on which nothing happens sends an empty line.
	heartbeat = 15 * time.Second
)

// Config is what a handler is made of.
type Config struct {
	Source  Source
	Version string
	// Code answers GET code/HASH with a function's zip; nil: nothing does.
	Code http.Handler
	// APIs are the HTTP APIs of the front door; nil: there are none.
	APIs APISource
	// Scope is used where a request names no account or region.
	Scope schema.Scope
	// Now is the wall clock; nil: time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

type handler struct {
	Config
	mux http.ServeMux
}

// New returns the handler of everything below Prefix.
func New(c Config) http.Handler {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{Config: c}
	document := func(pattern string, answer func(*http.Request) (any, error)) {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v, err := answer(r)
			if err != nil {
				h.fail(w, err)
				return
			}
			writeJSON(w, http.StatusOK, v)
		})
	}
	document("GET "+Prefix+"version", h.version)
	document("GET "+Prefix+"status", func(r *http.Request) (any, error) { return c.Source.Status(r.Context()) })
	document("GET "+Prefix+"triggers", h.triggers)
	document("GET "+Prefix+"triggers/{uuid}", func(r *http.Request) (any, error) {
		return c.Source.Trigger(r.Context(), r.PathValue("uuid"))
	})
	document("GET "+Prefix+"shards", h.shards)
	document("POST "+Prefix+"shards/split", h.splitShards)
	h.parkedOperations(document)
	h.moves(document)
	document("POST "+Prefix+"settle", h.settle)
	document("GET "+Prefix+"clock", h.clock)
	document("POST "+Prefix+"clock/advance", h.advance)
	document("POST "+Prefix+"invoke", h.invoke)
	h.mux.HandleFunc("GET "+Prefix+"tail", h.tail)
	h.mux.HandleFunc("GET "+Prefix+"logs", h.logs)
	h.mux.HandleFunc("GET "+Prefix+"activity", h.activity)
	if c.APIs != nil {
		document("GET "+Prefix+"apis", h.apis)
		document("PUT "+Prefix+"apis/{name}", h.putAPI)
		document("DELETE "+Prefix+"apis/{name}", h.deleteAPI)
	}
	if c.Code != nil {
		h.mux.Handle("GET "+Prefix+"code/", c.Code)
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, wire.NotFound("Nothing answers "+r.Method+" "+r.URL.Path+". The client and the server may be of different versions."))
	})
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *handler) version(*http.Request) (any, error) {
	return struct {
		Version  string `json:"version"`
		Go       string `json:"go"`
		Protocol int    `json:"protocol"`
	}{h.Version, runtime.Version(), 1}, nil
}

func (h *handler) triggers(r *http.Request) (any, error) {
	all, err := h.Source.Triggers(r.Context())
	if all == nil {
		all = []wire.Trigger{}
	}
	return struct {
		Triggers []wire.Trigger `json:"triggers"`
	}{all}, err
}

func (h *handler) settle(r *http.Request) (any, error) {
	timeout, err := timeoutOf(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	start := time.Now()
	behind, err := h.Source.Settle(ctx)
	if err != nil && !(errors.Is(err, context.DeadlineExceeded) && len(behind) > 0) {
		return nil, err
	}
	return wire.Settled{Settled: len(behind) == 0, WaitedMS: time.Since(start).Milliseconds(), Behind: behind}, nil
}

// timeoutOf reads timeout=.
func timeoutOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("timeout")
	if text == "" {
		return defaultTimeout, nil
	}
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 || timeout > maxTimeout {
		return 0, wire.BadRequest("timeout " + strconv.Quote(text) + ": want a duration such as 30s, of at most an hour")
	}
	return timeout, nil
}

func (h *handler) invoke(r *http.Request) (any, error) {
	function := r.URL.Query().Get("function")
	if function == "" {
		return nil, wire.BadRequest("function= is missing")
	}
	event, err := io.ReadAll(io.LimitReader(r.Body, maxEvent+1))
	if err != nil {
		return nil, wire.BadRequest("the event could not be read: " + err.Error())
	}
	if len(event) > maxEvent {
		return nil, wire.BadRequest("the event is larger than 6 MB")
	}
	inv, err := h.Source.Invoke(r.Context(), h.scope(r), function, event)
	if err == nil && !json.Valid(inv.Payload) {
		inv.Payload, err = json.Marshal(string(inv.Payload))
	}
	return inv, err
}

func (h *handler) tail(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	query := TailQuery{Scope: h.scope(r), Table: q.Get("table"), Stream: q.Get("stream")}
	if (query.Table == "") == (query.Stream == "") {
		h.fail(w, wire.BadRequest("say either table= or stream="))
		return
	}
	switch from := q.Get("from"); from {
	case "", "latest":
	case "horizon":
		query.Horizon = true
	default:
		h.fail(w, wire.BadRequest("from="+from+": want latest or horizon"))
		return
	}
	h.stream(w, r, func(ctx context.Context, ready func(), emit func(any) error) error {
		return h.Source.Tail(ctx, query, ready, func(c wire.Change) error { return emit(c) })
	})
}

func (h *handler) activity(w http.ResponseWriter, r *http.Request) {
	h.stream(w, r, func(ctx context.Context, ready func(), emit func(any) error) error {
		return h.Source.Activity(ctx, ready, func(e activity.Event) error { return emit(e) })
	})
}

func (h *handler) logs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	query := LogsQuery{Scope: h.scope(r), Function: q.Get("function"), Lines: 100}
	if text := q.Get("lines"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxLines {
			h.fail(w, wire.BadRequest("lines="+text+": want a number from 0 to "+strconv.Itoa(maxLines)))
			return
		}
		query.Lines = n
	}
	if text := q.Get("follow"); text != "" {
		follow, err := strconv.ParseBool(text)
		if err != nil {
			h.fail(w, wire.BadRequest("follow="+text+": want 1 or 0"))
			return
		}
		query.Follow = follow
	}
	h.stream(w, r, func(ctx context.Context, ready func(), emit func(any) error) error {
		return h.Source.Logs(ctx, query, ready, func(l wire.LogLine) error { return emit(l) })
	})
}

// stream runs a source that emits documents until it ends or the caller goes. The
// header is sent when the source is ready, so that a caller who has it misses
// nothing of what it does next.
func (h *handler) stream(w http.ResponseWriter, r *http.Request, run func(ctx context.Context, ready func(), emit func(any) error) error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &ndjson{w: w, control: http.NewResponseController(w)}
	beats := make(chan struct{})
	go func() {
		defer close(beats)
		s.beat(ctx)
	}()
	// The writer must not be used after the handler has returned.
	defer func() { cancel(); <-beats }()

	err := run(ctx, func() { _ = s.start() }, s.emit)
	switch {
	case err == nil || ctx.Err() != nil:
		_ = s.start() // there was nothing to show; or the caller has gone
	case s.begun():
		_ = s.emit(errorDocument{h.asError(err)})
	default:
		h.fail(w, err)
	}
}

// ndjson writes documents a line each, flushed one by one.
type ndjson struct {
	control *http.ResponseController

	mu      sync.Mutex // guards w and started
	w       http.ResponseWriter
	started bool
}

func (s *ndjson) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

func (s *ndjson) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return nil
	}
	s.startLocked()
	return s.control.Flush()
}

func (s *ndjson) startLocked() {
	s.started = true
	s.w.Header().Set("Content-Type", "application/x-ndjson")
	s.w.WriteHeader(http.StatusOK)
}

func (s *ndjson) emit(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.line(append(line, '\n'))
}

func (s *ndjson) line(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.startLocked()
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}

// beat sends empty lines until ctx ends, once the stream has begun.
func (s *ndjson) beat(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.begun() && s.line([]byte("\n")) != nil {
				return
			}
		}
	}
}

func (h *handler) scope(r *http.Request) schema.Scope {
	scope, q := h.Scope, r.URL.Query()
	if account := q.Get("account"); account != "" {
		scope.Account = account
	}
	if region := q.Get("region"); region != "" {
		scope.Region = region
	}
	return scope
}

type errorDocument struct {
	Error *wire.Error `json:"error"`
}

func (h *handler) asError(err error) *wire.Error {
	var e *wire.Error
	if errors.As(err, &e) {
		return e
	}
	h.Logger.Error("a request of the admin protocol failed", "error", err)
	return &wire.Error{Code: "Internal", Message: err.Error(), Status: http.StatusInternalServerError}
}

func (h *handler) fail(w http.ResponseWriter, err error) {
	e := h.asError(err)
	w.Header().Set("X-Amzn-Errortype", e.Code) // what metrics count it as
	writeJSON(w, e.Status, errorDocument{e})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
		body = []byte(`{"error":{"code":"Internal","message":"the answer could not be written"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the caller has gone: there is nobody to tell
}
