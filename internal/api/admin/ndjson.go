package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// heartbeat is how often a stream on which nothing happens sends an empty line.
const heartbeat = 15 * time.Second

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
