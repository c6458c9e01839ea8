package function

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// eventsFake keeps rows in memory.
type eventsFake struct {
	mu     sync.Mutex
	rows   map[string]SharedEvent
	unsure error
}

func (f *eventsFake) Log() string { return "log" }

func (f *eventsFake) Put(_ context.Context, r SharedEvent) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Version != f.rows[r.Log+"/"+r.Key].Version {
		return 0, ErrStale
	}
	r.Version++
	f.rows[r.Log+"/"+r.Key] = r
	return r.Version, nil
}

func (f *eventsFake) Get(_ context.Context, log, key string) (SharedEvent, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, there := f.rows[log+"/"+key]
	return r, there, nil
}

func (f *eventsFake) Remove(_ context.Context, log, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.rows, log+"/"+key)
	return nil
}

func (f *eventsFake) Sure(context.Context, string) error { return f.unsure }

// of are the rows of a log, without pieces.
func (f *eventsFake) of(log string) (all []SharedEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rows {
		if r.Log == log {
			all = append(all, r)
		}
	}
	return all
}

// What a node has accepted goes on at another that takes it over, where it stood: with its failures, its age and its time, and its destination is told once. The
// one that had it stores nothing any more.
func TestEventsAreTakenOver(t *testing.T) {
	for _, size := range []int{0, 10, maxInline + 1, 3 * sharedPieceSize} {
		synctest.Test(t, func(t *testing.T) {
			shared := &eventsFake{rows: map[string]SharedEvent{}}
			payload := []byte(`"` + strings.Repeat("x", size) + `"`)
			var all [2]struct {
				s    *Service
				mail *mailbox
				recorder
			}
			for i := range all {
				n := &all[i]
				n.mail, n.start = &mailbox{}, time.Now()
				n.s = open(t, Options{SharedEvents: shared, Destination: n.mail})
				if err := n.s.RegisterGo(scope, "g", func(ctx context.Context, event []byte) ([]byte, error) {
					if !bytes.Equal(event, payload) {
						t.Errorf("the event has %d bytes, want %d", len(event), len(payload))
					}
					return n.run(ctx, event)
				}); err != nil {
					t.Fatal(err)
				}
				if _, err := n.s.PutEventConfig(scope, "g", "", EventConfigRequest{DestinationConfig: &DestinationTable{OnFailure: DestinationName{"arn:aws:sqs:us-east-1:000000000000:q"}}}); err != nil {
					t.Fatal(err)
				}
			}
			a, b := &all[0], &all[1]
			a.fails, b.fails = 9, 9
			if _, err := a.s.InvokeEvent(scope, Invocation{Name: "g", Payload: payload}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
			found := shared.of("log")
			for want := range 2 {
				if n, err := b.s.TakeEvents(t.Context(), found); err != nil || n != 1-want {
					t.Fatalf("%d events were taken over, %v", n, err)
				}
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if a, b := a.times(), b.times(); a != "0s" || b != "1m0s 3m0s" {
				t.Errorf("called at %s and %s", a, b)
			}
			if len(a.mail.got) != 0 || len(b.mail.got) != 1 || !strings.Contains(b.mail.got[0], "RetriesExhausted") || !strings.Contains(b.mail.got[0], string(payload)) {
				t.Errorf("told %.300q and %.300q", a.mail.got, b.mail.got)
			}
			if len(shared.rows) != 0 || a.s.Stats().Queued != 0 || b.s.Stats().Queued != 0 || b.s.HoldsEvents("log") {
				t.Errorf("left are %d rows, %d and %d events", len(shared.rows), a.s.Stats().Queued, b.s.Stats().Queued)
			}
			if n, err := b.s.TakeEvents(t.Context(), found); err != nil || n != 0 {
				t.Errorf("an event that has ended was taken over: %d, %v", n, err)
			}
		})
	}
}

// An event of which nobody knows who works it is not acknowledged.
func TestEventsAreNotAcceptedByWhoIsGone(t *testing.T) {
	shared := &eventsFake{rows: map[string]SharedEvent{}, unsure: errors.New("told dead")}
	s := open(t, Options{SharedEvents: shared})
	if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) { t.Error("it is called"); return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: bytes.Repeat([]byte("1"), maxInline+1)}); err == nil || len(shared.rows) != 0 || s.Stats().Queued != 0 {
		t.Errorf("%v, %d rows, %d events", err, len(shared.rows), s.Stats().Queued)
	}
}
