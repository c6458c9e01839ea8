// Package activity tells those who watch what the server does: requests to the front door, calls of
// functions, and writes, each with what caused it. While nobody watches it costs an atomic load.
package activity

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Event is something that has ended, as the protocol shows it.
type Event = wire.Activity

// room is how many events wait for a slow watcher; those beyond are left out, and it is told how many.
const room = 4096

// Hub hands events to watchers. The zero Hub is ready; its methods may be called at once.
type Hub struct {
	watchers atomic.Int32

	mu  sync.Mutex
	all map[*watcher]struct{}
}

type watcher struct {
	events chan Event
	missed atomic.Int64
}

// Watched reports whether there is anybody to tell.
func (h *Hub) Watched() bool { return h.watchers.Load() > 0 }

// Emit tells the watchers. It never waits.
func (h *Hub) Emit(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.all {
		select {
		case w.events <- e:
		default:
			w.missed.Add(1)
		}
	}
}

// Watch calls emit for every event until ctx ends or emit fails. ready is called once when none will be missed, but
// for a watcher that is too slow: it is told of how many by an event of the kind missed.
func (h *Hub) Watch(ctx context.Context, ready func(), emit func(Event) error) error {
	w := &watcher{events: make(chan Event, room)}
	h.mu.Lock()
	if h.all == nil {
		h.all = map[*watcher]struct{}{}
	}
	h.all[w] = struct{}{}
	h.mu.Unlock()
	h.watchers.Add(1)
	defer func() {
		h.watchers.Add(-1)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.all, w)
	}()
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.events:
			if err := emit(e); err != nil {
				return err
			}
			if n := w.missed.Swap(0); n > 0 {
				if err := emit(Event{Kind: wire.MissedEvents, Name: "missed", Began: e.Began, Records: int(n)}); err != nil {
					return err
				}
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
