package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// world is what TestCrashesLoseNoEvent knows: what was acknowledged, tried and told
// before the latest crash.
type world struct {
	mu    sync.Mutex
	void  bool           // the disk was copied: what happens now has never happened
	acked map[int]bool   // event → it was accepted
	tried map[int]int    // calls of the function
	told  map[string]int // condition and event → times
}

// what event n does: 0 mod 3 always fails, 1 mod 3 fails at first.
func (w *world) run(_ context.Context, payload []byte) ([]byte, error) {
	var n int
	if err := json.Unmarshal(payload, &n); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.void {
		return []byte(`"void"`), nil
	}
	w.tried[n]++
	if n%3 == 0 || n%3 == 1 && w.tried[n] == 1 {
		return nil, errors.New("not now")
	}
	return []byte(`"done"`), nil
}

// Deliver fails for every second document at first, so that telling is retried too.
func (w *world) Deliver(_ context.Context, _, arn, _ string, document []byte) error {
	var d struct {
		RequestContext struct {
			Condition              string
			ApproximateInvokeCount int
		}
		RequestPayload int
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.void {
		w.told[fmt.Sprint(arn, " ", d.RequestContext.Condition, " ", d.RequestPayload)]++
	}
	if d.RequestPayload%2 == 0 && w.told[fmt.Sprint("first ", d.RequestPayload)] == 0 {
		w.told[fmt.Sprint("first ", d.RequestPayload)]++
		return errors.New("the queue is away")
	}
	return nil
}

func (w *world) DeadLetter(_ context.Context, _ string, event []byte, _ map[string]string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.void {
		w.told["dead "+string(event)]++
	}
	return nil
}

func (*world) Here(string) bool { return false }

func (*world) Tell(*store.Batch, string, string, string, map[string]string) error { return nil }

// TestCrashesLoseNoEvent accepts events through crashes of a disk that forgets what was not
// synced. Each that was accepted is tried until it has succeeded or failed three times, and
// its end is told; nothing is done more often than crashes explain.
func TestCrashesLoseNoEvent(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { crashes(t, seed) })
		})
	}
}

const queueARN, deadARN = "arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws:sqs:eu-west-1:123456789012:dead"

func crashes(t *testing.T, seed uint64) {
	const lives = 10
	random := rand.New(rand.NewPCG(seed, 1))
	disk := crashtest.New()
	w := &world{acked: map[int]bool{}, tried: map[int]int{}, told: map[string]int{}}
	next := 0
	for life := range lives + 1 {
		st, err := store.Open(store.Options{FS: disk.FS(), Dir: "data"})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Store: st, Destination: w, inPlace: map[string]GoFunc{"f": w.run}})
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			// A stored function, so that its settings are on the disk too; it is run in place.
			r := createRequest("f", "provided.al2023", "x", makeZip(t, entry{"bootstrap", 0o755, "#!/bin/sh\n"}))
			r.Timeout = ptr(60)
			r.DeadLetterConfig = json.RawMessage(`{"TargetArn":"` + deadARN + `"}`)
			create(t, s, r)
			if _, err := s.PutEventConfig(scope, "f", "", EventConfigRequest{DestinationConfig: &DestinationTable{
				OnSuccess: DestinationName{queueARN}, OnFailure: DestinationName{queueARN},
			}}); err != nil {
				t.Fatal(err)
			}
			f := s.lookup(scope, "f")
			d := *f.def.Load()
			d.run = w.run
			f.def.Store(&d)
		}
		if life == lives {
			time.Sleep(time.Hour) // of the bubble's clock: all ends
			synctest.Wait()
			if n := s.Stats().Queued; n != 0 {
				t.Errorf("%d events are left", n)
			}
			closeBoth(t, s, st)
			break
		}
		var clients sync.WaitGroup
		for range 20 {
			n := next
			next++
			clients.Go(func() {
				if _, err := s.InvokeEvent(scope, Invocation{Name: "f", Payload: fmt.Append(nil, n)}); err != nil {
					return
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				if !w.void {
					w.acked[n] = true
				}
			})
		}
		if random.IntN(2) == 0 {
			clients.Wait()
			time.Sleep(time.Duration(random.IntN(200)) * time.Second)
		} else {
			for range random.IntN(200) {
				<-time.After(0)
			}
		}
		w.mu.Lock()
		w.void = true
		clone := disk.Clone(random.Uint64())
		w.mu.Unlock()
		clients.Wait()
		closeBoth(t, s, st)
		disk = clone
		w.mu.Lock()
		w.void = false
		w.mu.Unlock()
	}
	for n := range w.acked {
		least, ending := 1, fmt.Sprint(queueARN, " Success ", n)
		switch n % 3 {
		case 0:
			least, ending = 3, fmt.Sprint(queueARN, " RetriesExhausted ", n)
			if told := w.told[fmt.Sprint("dead ", n)]; told < 1 || told > 1+lives {
				t.Errorf("event %d: the dead-letter queue was told %d times", n, told)
			}
		case 1:
			least = 2
		}
		if w.tried[n] < least || w.tried[n] > least+lives {
			t.Errorf("event %d was tried %d times, at least %d are needed", n, w.tried[n], least)
		}
		if told := w.told[ending]; told < 1 || told > 2+lives {
			t.Errorf("event %d: %q was told %d times", n, ending, told)
		}
	}
	if len(w.acked) < lives*5 {
		t.Errorf("only %d events were accepted", len(w.acked))
	}
	most := 0
	for n := range maps.Keys(w.tried) {
		most = max(most, w.tried[n])
	}
	t.Logf("%d events were accepted, tried at most %d times", len(w.acked), most)
}

func closeBoth(t *testing.T, s *Service, st *store.Store) {
	t.Helper()
	if err := errors.Join(s.Close(), st.Close()); err != nil {
		t.Fatal(err)
	}
}
