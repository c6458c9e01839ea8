package function

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

// eventsFake keeps rows in memory.
type eventsFake struct {
	mu     sync.Mutex
	rows   map[string]SharedEvent
	unsure error
	slow   func(ctx context.Context, put func()) // nil: each Put is done and answered at once
}

func (f *eventsFake) Log() string { return "log" }

func (f *eventsFake) Put(ctx context.Context, r SharedEvent) (uint64, error) {
	if f.slow != nil {
		f.slow(ctx, func() { _, _ = f.put(r) })
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	return f.put(r)
}

func (f *eventsFake) put(r SharedEvent) (uint64, error) {
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

func (f *eventsFake) Remove(_ context.Context, r SharedEvent) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now, there := f.rows[r.Log+"/"+r.Key]; there && r.Version != 0 && r.Version != now.Version {
		return ErrStale
	}
	delete(f.rows, r.Log+"/"+r.Key)
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
				if n, _, err := b.s.TakeEvents(t.Context(), found); err != nil || n != 1-want {
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
			if n, _, err := b.s.TakeEvents(t.Context(), found); err != nil || n != 0 {
				t.Errorf("an event that has ended was taken over: %d, %v", n, err)
			}
		})
	}
}

// An event of which nobody knows who works it is not acknowledged, nor one that is not known to be stored. Nothing of it is left, also when it is stored after
// that, or in part.
func TestEventsThatAreNotAccepted(t *testing.T) {
	for name, row := range map[string]*eventsFake{
		"told dead":       {unsure: errors.New("told dead")},
		"never stored":    {slow: func(ctx context.Context, put func()) { <-ctx.Done() }},
		"not answered":    {slow: func(ctx context.Context, put func()) { put(); <-ctx.Done() }},
		"stored too late": {slow: func(ctx context.Context, put func()) { <-ctx.Done(); time.AfterFunc(acceptWait/2, put) }},
	} {
		for _, size := range []int{10, 3 * sharedPieceSize} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shared := &eventsFake{rows: map[string]SharedEvent{}, unsure: row.unsure, slow: row.slow}
					s := open(t, Options{SharedEvents: shared})
					if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) { t.Error("it is called"); return nil, nil }); err != nil {
						t.Fatal(err)
					}
					for range 2 {
						began := time.Now()
						if _, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: bytes.Repeat([]byte("1"), size)}); err == nil || time.Since(began) > acceptWait {
							t.Errorf("%v after %v", err, time.Since(began))
						}
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					if len(shared.rows) != 0 || s.Stats().Queued != 0 {
						t.Errorf("%d rows, %d events", len(shared.rows), s.Stats().Queued)
					}
				})
			})
		}
	}
}

// How an event ended is told by the node that has it. One that had it before, and could not tell, forgets it at its next try; and when it takes the log back, it has
// what is there and not what it remembers.
func TestEndsAreToldByWhoHasThem(t *testing.T) {
	for _, back := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := &eventsFake{rows: map[string]SharedEvent{}}
			var said bytes.Buffer
			log := slog.New(slog.NewTextHandler(&said, nil)) // one for both, as it guards what it writes to
			var all [2]*Service
			var mails [2]*mailbox
			for i := range all {
				mails[i] = &mailbox{down: true}
				all[i] = open(t, Options{SharedEvents: shared, Destination: mails[i], Logger: log})
				if err := all[i].RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) { return []byte("1"), nil }); err != nil {
					t.Fatal(err)
				}
				if _, err := all[i].PutEventConfig(scope, "g", "", EventConfigRequest{DestinationConfig: &DestinationTable{OnSuccess: DestinationName{"arn:aws:sqs:us-east-1:000000000000:q"}}}); err != nil {
					t.Fatal(err)
				}
			}
			a, b := all[0], all[1]
			if _, err := a.InvokeEvent(scope, Invocation{Name: "g", Payload: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Minute) // each try waits for five minutes by now
			if n, again, err := b.TakeEvents(t.Context(), shared.of("log")); n != 1 || again || err != nil {
				t.Fatal(n, again, err)
			}
			synctest.Wait()
			if back {
				// And back, at once: it is the one that is stored.
				if n, again, err := a.TakeEvents(t.Context(), shared.of("log")); n != 1 || again || err != nil {
					t.Errorf("%d events were taken back, again %v, %v", n, again, err)
				}
				if n := a.Stats().Queued; n != 1 {
					t.Errorf("%d events are there once more", n)
				}
				mails[0].mu.Lock()
				mails[0].down = false
				mails[0].mu.Unlock()
			}
			time.Sleep(eventMaxBackoff)
			synctest.Wait()
			if n := a.Stats().Queued; n != 0 {
				t.Errorf("the node that had it still has %d", n)
			}
			if n := b.Stats().Queued; !back && n != 1 || back && n != 0 {
				t.Errorf("the node that has it has %d", n)
			}
			if n := len(mails[0].got); back && n != 1 || !back && n != 0 {
				t.Errorf("the first node has told %d", n)
			}
			if n := len(shared.rows); back != (n == 0) {
				t.Errorf("%d rows are left", n)
			}
			if strings.Contains(said.String(), "is dropped") {
				t.Error(said.String())
			}
		})
	}
}

// A node that has no room for more ends drops its oldest, but not one that another node has by now: that is there, and is told by that node.
func TestAnEndOfAnothersIsNotDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &eventsFake{rows: map[string]SharedEvent{}}
		var all [2]*Service
		var mails [2]*mailbox
		for i := range all {
			mails[i] = &mailbox{down: true}
			all[i] = open(t, Options{SharedEvents: shared, Destination: mails[i]})
			if err := all[i].RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) { return []byte("1"), nil }); err != nil {
				t.Fatal(err)
			}
			if _, err := all[i].PutEventConfig(scope, "g", "", EventConfigRequest{DestinationConfig: &DestinationTable{OnSuccess: DestinationName{"arn:aws:sqs:us-east-1:000000000000:q"}}}); err != nil {
				t.Fatal(err)
			}
		}
		a, b := all[0], all[1]
		a.events.toTell.maxCount = 1
		payload := []byte(`"` + strings.Repeat("x", maxInline) + `"`) // in a piece of its own
		if _, err := a.InvokeEvent(scope, Invocation{Name: "g", Payload: payload}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute) // each try waits for five minutes by now
		if n, again, err := b.TakeEvents(t.Context(), shared.of("log")); n != 1 || again || err != nil {
			t.Fatal(n, again, err)
		}
		if _, err := a.InvokeEvent(scope, Invocation{Name: "g", Payload: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := a.Stats().Queued; n != 1 {
			t.Errorf("the node that has no room has %d ends", n)
		}
		mails[1].mu.Lock()
		mails[1].down = false
		mails[1].mu.Unlock()
		time.Sleep(eventMaxBackoff)
		synctest.Wait()
		if len(mails[1].got) != 1 || !strings.Contains(mails[1].got[0], "xxx") {
			t.Errorf("the node that has it has told %d, %.200q", len(mails[1].got), mails[1].got)
		}
	})
}

// placing has this node be the only one, which may be silent.
type placing struct{ silent atomic.Bool }

func (*placing) Share(_ string, places int) int { return places }
func (p *placing) Sure() bool                   { return !p.silent.Load() }
func (*placing) Route(context.Context, schema.Scope, string, string, *Invocation, int, time.Duration) (Outcome, bool, error) {
	return Outcome{}, false, nil
}

// An event that waited for a place of its function's reserved concurrency does not get it once the place may be another node's. It goes on when the node is sure again.
func TestQueuedCallsAreFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := &placing{}
		s := open(t, Options{SharedEvents: &eventsFake{rows: map[string]SharedEvent{}}, Placing: place})
		var calls atomic.Int32
		gate := make(chan struct{})
		if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) { calls.Add(1); <-gate; return nil, nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.PutConcurrency(scope, "g", 1); err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, err := s.Invoke(context.Background(), scope, Invocation{Name: "g"}); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if _, err := s.InvokeEvent(scope, Invocation{Name: "g"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		place.silent.Store(true)
		gate <- struct{}{}
		synctest.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("a silent node has begun %d calls, want the one of before", n)
		}
		place.silent.Store(false)
		close(gate)
		time.Sleep(eventMaxBackoff)
		synctest.Wait()
		if n := calls.Load(); n != 2 || s.Stats().Queued != 0 {
			t.Errorf("%d calls and %d events when it is sure again", n, s.Stats().Queued)
		}
	})
}
