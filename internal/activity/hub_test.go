package activity

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
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
	// A watcher that does not read loses events, nobody waits for it, and it is told how many they were.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	ready = make(chan struct{})
	full, seen := make(chan struct{}), 0
	go func() {
		ended <- h.Watch(ctx, func() { close(ready) }, func(e Event) error {
			<-full
			seen++
			if e.Kind == wire.MissedEvents {
				seen += e.Records - 1
			}
			if seen == 2*room {
				return stop
			}
			return nil
		})
	}()
	<-ready
	for range 2 * room {
		h.Emit(Event{})
	}
	close(full)
	if err := <-ended; err != stop {
		t.Errorf("of %d events %d were told, or told of: %v", 2*room, seen, err)
	}
	cancel()
	if c := Of(With(t.Context(), Cause{By: "x"})); c.By != "x" || Of(t.Context()).By != "" {
		t.Error(c)
	}
}
