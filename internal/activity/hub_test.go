package activity

import (
	"context"
	"errors"
	"testing"
)

// Events from the moment of ready on are told in order, until the watcher fails or leaves.
func TestHub(t *testing.T) {
	var h Hub
	h.Emit(Event{Name: "nobody is told"})
	if h.Watched() {
		t.Error("watched")
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	stop := errors.New("enough")
	var got []string
	go func() {
		ended <- h.Watch(context.Background(), func() { close(ready) }, func(e Event) error {
			if got = append(got, e.Name); len(got) == 2 {
				return stop
			}
			return nil
		})
	}()
	<-ready
	if !h.Watched() {
		t.Error("not watched")
	}
	h.Emit(Event{Name: "a"})
	h.Emit(Event{Name: "b"})
	if err := <-ended; err != stop || len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Error(got, err)
	}
	if h.Watched() {
		t.Error("watched still")
	}
	// A watcher that does not read loses events, and nobody waits for it.
	ctx, cancel := context.WithCancel(t.Context())
	ready = make(chan struct{})
	go func() {
		ended <- h.Watch(ctx, func() { close(ready) }, func(Event) error { <-ctx.Done(); return nil })
	}()
	<-ready
	for range 2 * room {
		h.Emit(Event{})
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c := Of(With(t.Context(), Cause{By: "x"})); c.By != "x" || Of(t.Context()).By != "" {
		t.Error(c)
	}
}
