// Package activity tells those who watch what the server does: requests to the front door, calls of
// functions, and writes, each with what caused it. While nobody watches it costs an atomic load.
package activity

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// Kind says what happened.
type Kind string

// The kinds.
const (
	Request Kind = "request" // to the front door; Name is "METHOD /path"
	Call    Kind = "call"    // of a function; Name is the function's
	Write   Kind = "write"   // to a table; Name is the operation
)

// Event is something that has ended.
type Event struct {
	Kind   Kind      `json:"kind"`
	ID     string    `json:"id,omitempty"` // of a request, or a call's request id
	By     string    `json:"by,omitempty"` // ID of what caused it; empty: somebody outside
	Name   string    `json:"name"`
	Began  time.Time `json:"began"`
	Millis float64   `json:"millis"`
	// Status is the HTTP status of a request or a write, 0 for a call.
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
	// Log is what the function printed in the call, at most the last 4 KB.
	Log string `json:"log,omitempty"`
	// Answer is a call's error document.
	Answer json.RawMessage `json:"answer,omitempty"`
	// Changes are the records that a trigger's call was given.
	Changes []Change `json:"changes,omitempty"`
	// Body is a write's request, when it is not too long.
	Body json.RawMessage `json:"body,omitempty"`
}

// Change is a stream record of a call.
type Change struct {
	Table string          `json:"table"`
	Event string          `json:"event"` // INSERT, MODIFY or REMOVE
	Keys  json.RawMessage `json:"keys"`
}

// room is how many events wait for a slow watcher; those beyond are left out.
const room = 4096

// Hub hands events to watchers. The zero Hub is ready; its methods may be called at once.
type Hub struct {
	watchers atomic.Int32

	mu  sync.Mutex
	all map[chan Event]struct{}
}

// Watched reports whether there is anybody to tell.
func (h *Hub) Watched() bool { return h.watchers.Load() > 0 }

// Emit tells the watchers. It never waits.
func (h *Hub) Emit(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.all {
		select {
		case c <- e:
		default:
		}
	}
}

// Watch calls emit for every event until ctx ends or emit fails. ready is called once when none will be missed.
func (h *Hub) Watch(ctx context.Context, ready func(), emit func(Event) error) error {
	c := make(chan Event, room)
	h.mu.Lock()
	if h.all == nil {
		h.all = map[chan Event]struct{}{}
	}
	h.all[c] = struct{}{}
	h.mu.Unlock()
	h.watchers.Add(1)
	defer func() {
		h.watchers.Add(-1)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.all, c)
	}()
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-c:
			if err := emit(e); err != nil {
				return err
			}
		}
	}
}

// cause is the key of a context's Cause.
type cause struct{}

// Cause is what causes things that happen in a context.
type Cause struct {
	By    string // ID of a request or a call
	Event []byte // payload of a trigger's call
}

// With returns a context of a cause.
func With(ctx context.Context, c Cause) context.Context { return context.WithValue(ctx, cause{}, c) }

// Of returns the cause of what happens in a context; the zero one when nothing is known of it.
func Of(ctx context.Context) Cause {
	c, _ := ctx.Value(cause{}).(Cause)
	return c
}
