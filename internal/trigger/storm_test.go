package trigger

import (
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"

	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// witness is a function that checks what it is given: per key in order, none
// skipped, one call of a key at a time.
type witness struct {
	mu      sync.Mutex
	rand    *rand.Rand
	done    map[string]int  // by key: the last record that ended well
	running map[string]bool // by key
	calls   int
	again   int // records delivered that had ended before
	err     error
	calm    bool
}

func (w *witness) invoke(ctx context.Context, payload []byte) lane.Result {
	var doc struct {
		Records []struct{ Key, Order string }
	}
	if err := json.Unmarshal(payload, &doc); err != nil {
		return lane.Result{Outcome: lane.FunctionError, Error: err.Error()}
	}
	w.mu.Lock()
	seen := map[string]int{}
	w.calls++
	for _, r := range doc.Records {
		last, ok := seen[r.Key]
		if !ok {
			last = w.done[r.Key]
			if w.running[r.Key] {
				w.err = fmt.Errorf("key %s: two calls at once", r.Key)
			}
			w.running[r.Key] = true
		}
		order, _ := strconv.Atoi(r.Order)
		if order > last+1 {
			w.err = fmt.Errorf("key %s: record %d after %d", r.Key, order, last)
		}
		if order <= w.done[r.Key] {
			w.again++
		}
		seen[r.Key] = order
	}
	wait := time.Duration(w.rand.IntN(20)) * time.Millisecond
	if w.rand.IntN(50) == 0 {
		wait = time.Minute
	}
	outcome := []lane.Outcome{lane.Succeeded, lane.Succeeded, lane.Succeeded, lane.FunctionError, lane.NotDelivered}[w.rand.IntN(5)]
	if w.calm {
		wait, outcome = 0, lane.Succeeded
	}
	w.mu.Unlock()

	select {
	case <-time.After(wait):
	case <-ctx.Done():
		outcome = lane.FunctionError
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	for key, order := range seen {
		delete(w.running, key)
		if outcome == lane.Succeeded {
			w.done[key] = max(w.done[key], order)
		}
	}
	return lane.Result{Outcome: outcome, Error: "witness"}
}

// The whole engine with everything at once: writers, mappings of every factor,
// failing and slow functions, splits, changes, disabling, crashes. P2 and P4 are
// asserted by what the functions see.
func TestStorm(t *testing.T) {
	seeds := 20
	if testing.Short() || underRace {
		seeds = 3
	}
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) { storm(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func storm(t *testing.T, rnd *rand.Rand) {
	h := newHarness(t, "t")
	witnesses := map[string]*witness{}
	uuids := []string{}
	settings := func() mapping.Settings {
		return mapping.Settings{
			BatchSize: new(1 + rnd.IntN(20)), ParallelizationFactor: new(1 + rnd.IntN(10)),
			MaximumBatchingWindowInSeconds: new(rnd.IntN(2)),
		}
	}
	for i := range 6 {
		name := fmt.Sprint("f", i)
		w := &witness{rand: rand.New(rand.NewPCG(rnd.Uint64(), 2)), done: map[string]int{}, running: map[string]bool{}}
		witnesses[name] = w
		h.invoker.set(name, w.invoke)
		v := h.create("t", name, func(r *mapping.CreateRequest) {
			r.Settings = settings()
			r.FunctionName = &name
		})
		uuids = append(uuids, v.UUID)
	}
	// A key's records go to the open shard of its lineage.
	open := map[int]int{} // by key modulo 8
	next := 1
	write := func() {
		key := rnd.IntN(40)
		h.backend.write("t", open[key%8], key)
	}
	for range 400 {
		switch k := rnd.IntN(100); {
		case k < 60:
			for range 1 + rnd.IntN(20) {
				write()
			}
		case k < 85:
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		case k < 90:
			h.update(uuids[rnd.IntN(len(uuids))], settings())
		case k < 95:
			h.update(uuids[rnd.IntN(len(uuids))], mapping.Settings{Enabled: new(rnd.IntN(3) > 0)})
		case k < 97:
			if class := rnd.IntN(8); next < 15 {
				parent := open[class]
				h.backend.split("t", parent)
				var half bool
				for c := range 8 {
					if open[c] == parent {
						open[c] = next
						if half = !half; half {
							open[c] = next + 1
						}
					}
				}
				next += 2
			}
		case k < 98:
			h.crash()
		default:
			h.FunctionChanged(testScope.FunctionARN("f0"))
		}
	}
	for _, w := range witnesses {
		w.mu.Lock()
		w.calm = true
		w.mu.Unlock()
	}
	for _, id := range uuids {
		h.update(id, mapping.Settings{Enabled: new(true)})
	}
	if err := h.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.stop()
	for name, w := range witnesses {
		if w.err != nil {
			t.Errorf("%s: %v", name, w.err)
		}
		for key, n := range h.backend.streams[testScope.StreamARN("t", testLabel)].orders {
			if got := w.done[strconv.Itoa(key)]; got != n {
				t.Errorf("%s: key %d ended at record %d of %d", name, key, got, n)
			}
		}
	}
	t.Logf("f0: %d calls, %d records again", witnesses["f0"].calls, witnesses["f0"].again)
}
