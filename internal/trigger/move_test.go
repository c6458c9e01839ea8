package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

func (h *harness) rewind(uuid string, to backend.Place) Moved {
	h.t.Helper()
	m, err := h.Rewind(h.t.Context(), uuid, to)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *harness) skip(uuid string, to backend.Place) Moved {
	h.t.Helper()
	m, err := h.Skip(h.t.Context(), uuid, to)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func TestRewindAndSkip(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		h.backend.write("t", 0, 1, 2, 3)
		time.Sleep(time.Minute)
		noon := time.Now()
		h.backend.write("t", 0, 4, 5)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1,2,3 4,5")
		for _, c := range []struct {
			to      backend.Place
			want    string
			records uint64
		}{
			{backend.Place{Horizon: true}, "1,2,3,4,5", 5},
			{backend.Place{Time: noon}, "4,5", 2},
			{backend.Place{Time: noon.Add(time.Hour)}, "", 0},
			{backend.Place{Record: num(3)}, "3,4,5", 3},
		} {
			before := h.status(v.UUID)
			would, err := h.WouldMove(t.Context(), v.UUID, c.to, false)
			if after := h.status(v.UUID); err != nil || after.Generation != before.Generation {
				t.Errorf("%+v: asking for what would come of it has changed the mapping: %v", c.to, err)
			}
			if m := h.rewind(v.UUID, c.to); m.Records != c.records || m != would {
				t.Errorf("%+v: %+v, foretold %+v", c.to, m, would)
			}
			synctest.Wait()
			expect(t, batches(t, h.invoker.take("f")), c.want)
		}
		if _, err := h.Rewind(t.Context(), v.UUID, backend.Place{Record: num(9)}); !errors.Is(err, ErrNoRecord) {
			t.Errorf("error %v", err)
		}
		// A failing batch is skipped; what comes after it is delivered.
		h.invoker.set("f", fails)
		h.backend.write("t", 0, 6, 7)
		synctest.Wait()
		h.invoker.take("f")
		would, err := h.WouldMove(t.Context(), v.UUID, backend.Place{Record: num(6)}, true)
		if m := h.skip(v.UUID, backend.Place{Record: num(6)}); m.Records != 1 || m.Shards != 1 || m != would || err != nil {
			t.Errorf("%+v, foretold %+v %v", m, would, err)
		}
		h.invoker.set("f", ok)
		synctest.Wait()
		time.Sleep(time.Minute)
		if got := batches(t, h.invoker.take("f")); got != "7" && got != "7 7" {
			t.Errorf("got %q", got)
		}
		if s := h.backend.skipped; len(s) != 1 || s[0].Count != 1 || s[0].First != num(6) || s[0].Last != num(6) {
			t.Errorf("skipped %+v", s)
		}
		if st := h.status(v.UUID); st.Counters.Skipped != 1 {
			t.Errorf("%+v", st.Counters)
		}
	})
}

// A call that was under way when the mapping was set back counts for nothing, and until it has returned no
// other begins.
func TestRewindDuringACall(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		release := make(chan struct{})
		h.invoker.set("f", func(context.Context, []byte) lane.Result { <-release; return lane.Result{} })
		v := h.create("t", "f", nil)
		h.backend.write("t", 0, 1)
		synctest.Wait()
		h.backend.write("t", 0, 2)
		h.rewind(v.UUID, backend.Place{Horizon: true})
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1")
		close(release)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1,2")
		time.Sleep(time.Second)
		h.crash()
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "")
	})
}

// A shard that has ended is read again before its children are.
func TestRewindOverASplit(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize = new(1) })
		h.backend.write("t", 0, 1, 1)
		h.backend.split("t", 0)
		h.backend.write("t", 1, 1)
		h.backend.write("t", 2, 2)
		synctest.Wait()
		h.invoker.take("f")
		h.rewind(v.UUID, backend.Place{Record: num(2)})
		synctest.Wait()
		if got := batches(t, h.invoker.take("f")); got != "2 1 1" { // the parent's second, and the first of each child
			t.Errorf("got %q", got)
		}
	})
}

// Records that are held come again with the others, once.
func TestRewindWithHeldRecords(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", failsOn("3"))
		v := h.create("t", "f", tagged("block-key"))
		h.backend.write("t", 0, 3, 1, 3, 2)
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.rewind(v.UUID, backend.Place{Record: num(3)})
		h.invoker.set("f", ok)
		time.Sleep(time.Hour)
		if st := h.status(v.UUID); st.Held != 0 || len(h.backend.aside[v.UUID]) != 0 || st.LagRecords != 0 {
			t.Errorf("%+v, %d rows", st, len(h.backend.aside[v.UUID]))
		}
	})
}

// Paused, a mapping is enabled and keeps its place; what is under way counts.
func TestPause(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(context.Context, []byte) lane.Result { time.Sleep(time.Second); return lane.Result{} })
		v := h.create("t", "f", nil)
		h.backend.write("t", 0, 1)
		synctest.Wait()
		if err := h.Pause(t.Context(), v.UUID); err != nil {
			t.Fatal(err)
		}
		h.backend.write("t", 0, 2)
		time.Sleep(time.Minute)
		expect(t, batches(t, h.invoker.take("f")), "1")
		if st := h.status(v.UUID); st.State != mapping.Enabled || !st.Paused || st.LagRecords != 1 {
			t.Errorf("%+v", st)
		}
		if err := h.Settle(t.Context()); err != nil { // it waits for no paused mapping
			t.Fatal(err)
		}
		h.crash()
		time.Sleep(time.Minute)
		expect(t, batches(t, h.invoker.take("f")), "")
		if err := h.Resume(t.Context(), v.UUID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		expect(t, batches(t, h.invoker.take("f")), "2")
	})
}

// TestMoves drives an engine with random writes, splits, moves, pauses, crashes and faults of the function, and keeps
// books of what is owed:
//
//   - a record is owed from its write, or from the last rewind that covers it, until a call that began after
//     that has succeeded with it, or a skip has passed it; in the end nothing is;
//   - no record is delivered before an earlier one of its key that is owed;
//   - no two calls of a key run at once.
func TestMoves(t *testing.T) {
	runs := 60
	if n, err := strconv.Atoi(os.Getenv("MILLSTREAM_MOVES_RUNS")); err == nil {
		runs = n // the long tier asks for more
	}
	if testing.Short() || underRace {
		runs = 15
	}
	for seed := range uint64(runs) {
		if err := runMoves(t, seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// owing are the books of one run.
type owing struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	log   []*owed
	byKey map[int][]*owed
	busy  map[int]bool
	era   int
	// moving: a call may be from before or after the move, and one from before it may still count: then its records have
	// ended that the move does not concern.
	moving    bool
	concerned func(*owed) bool
	calm      bool
	err       error
	// mapping is the one that delivers. A call that begins while it waits for those from before a move is one of them: it had
	// been sent, and counts for nothing.
	mapping *running
}

// deliverer notes the mapping of an engine before it begins: its first call may come at once.
func (o *owing) deliverer(h *harness, uuid string) {
	h.Engine.mu.Lock()
	m := h.mappings[uuid]
	h.Engine.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mapping = m
}

func (o *owing) stale() bool {
	if o.mapping == nil {
		return false
	}
	o.mapping.mu.Lock()
	defer o.mapping.mu.Unlock()
	return o.mapping.waiting
}

type owed struct {
	key, order, shard int
	n                 uint64
	at                time.Time
	owed              bool
}

func (o *owing) fail(format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf(format, args...)
	}
}

// call is the function.
func (o *owing) call(ctx context.Context, payload []byte) lane.Result {
	var doc struct {
		Records []struct{ Key, Order string }
	}
	if err := json.Unmarshal(payload, &doc); err != nil {
		return lane.Result{Outcome: lane.FunctionError, Error: err.Error()}
	}
	o.mu.Lock()
	era, how := o.era, o.rnd.IntN(8)
	stale := o.stale()
	if stale {
		era = -1
	}
	if o.calm {
		how = 0
	}
	var records []*owed
	keys := map[int]bool{}
	for _, r := range doc.Records {
		key, _ := strconv.Atoi(r.Key)
		order, _ := strconv.Atoi(r.Order)
		rec := o.byKey[key][order-1]
		if o.busy[key] {
			o.fail("two calls of key %d at once", key)
		}
		for _, e := range o.byKey[key][:order-1] {
			if e.owed && !o.moving && !stale && !slices.Contains(records, e) {
				o.fail("record %d of key %d is delivered while record %d is owed", order, key, e.order)
			}
		}
		records = append(records, rec)
		keys[key] = true
	}
	for k := range keys {
		o.busy[k] = true
	}
	wait := time.Duration(o.rnd.IntN(2)*o.rnd.IntN(3000)) * time.Millisecond
	o.mu.Unlock()
	res := lane.Result{}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		res = lane.Result{Outcome: lane.FunctionError, Error: "cancelled"}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := range keys {
		delete(o.busy, k)
	}
	switch {
	case res.Outcome != lane.Succeeded:
	case how == 1:
		res = lane.Result{Outcome: lane.FunctionError, Error: "boom"}
	case how == 2:
		res = lane.Result{Outcome: lane.NotDelivered, Error: "busy"}
	case era == o.era:
		for _, r := range records {
			r.owed = false
		}
	case o.moving && era == o.era-1:
		for _, r := range records {
			r.owed = r.owed && o.concerned(r)
		}
	}
	return res
}

func runMoves(t *testing.T, seed uint64) (err error) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, "t")
		defer func() { h.stop() }()
		err = moves(t, h, rand.New(rand.NewPCG(seed, 1)))
	})
	return err
}

func moves(t *testing.T, h *harness, rnd *rand.Rand) error {
	o := &owing{rnd: rand.New(rand.NewPCG(rnd.Uint64(), 2)), byKey: map[int][]*owed{}, busy: map[int]bool{}}
	h.invoker.set("f", o.call)
	v := h.create("t", "f", func(r *mapping.CreateRequest) {
		r.BatchSize = new(1 + rnd.IntN(20))
		r.ParallelizationFactor = new(1 + rnd.IntN(4))
		r.Tags = map[string]string{"millstream:on-failure": []string{"block-shard", "block-key"}[rnd.IntN(2)]}
	})
	o.deliverer(h, v.UUID)
	h.made = func() { o.deliverer(h, v.UUID) }
	children := map[int]int{} // of a split shard, the first one
	open := []int{0}
	route := func(key int) int {
		shard, bits := 0, key
		for children[shard] != 0 {
			shard, bits = children[shard]+bits&1, bits>>1
		}
		return shard
	}
	written := map[int]uint64{}
	for range 150 {
		time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		switch k := rnd.IntN(40); {
		case k < 18:
			key := rnd.IntN(7)
			shard := route(key)
			written[shard]++
			o.mu.Lock()
			r := &owed{key: key, order: len(o.byKey[key]) + 1, shard: shard, n: written[shard], at: time.Now(), owed: true}
			o.byKey[key], o.log = append(o.byKey[key], r), append(o.log, r)
			o.mu.Unlock()
			h.backend.write("t", shard, key)
		case k < 20 && len(open) < 5:
			i := rnd.IntN(len(open))
			shard := open[i]
			children[shard] = 2*len(children) + 1
			open = append(slices.Delete(open, i, i+1), children[shard], children[shard]+1)
			h.backend.split("t", shard)
		case k < 28 && len(o.log) > 0:
			to := backend.Place{Horizon: true}
			pick := o.log[rnd.IntN(len(o.log))]
			covered := func(*owed) bool { return true }
			if rnd.IntN(2) == 0 {
				to = backend.Place{Time: pick.at}
				covered = func(r *owed) bool { return !r.at.Before(pick.at) }
			}
			if err := o.move(h, v.UUID, to, false, covered); err != nil {
				return err
			}
		case k < 30 && len(o.log) > 0:
			to := backend.Place{Time: o.log[rnd.IntN(len(o.log))].at}
			if err := o.move(h, v.UUID, to, true, func(r *owed) bool { return r.at.Before(to.Time) }); err != nil {
				return err
			}
		case k < 32:
			if err := h.Pause(t.Context(), v.UUID); err != nil {
				return err
			}
		case k < 34:
			if err := h.Resume(t.Context(), v.UUID); err != nil {
				return err
			}
		case k < 36:
			h.update(v.UUID, mapping.Settings{Enabled: new(rnd.IntN(3) > 0), ParallelizationFactor: new(1 + rnd.IntN(4))})
		case k < 38:
			h.crash()
		}
	}
	o.mu.Lock()
	o.calm = true
	o.mu.Unlock()
	h.update(v.UUID, mapping.Settings{Enabled: new(true)})
	if err := h.Resume(t.Context(), v.UUID); err != nil {
		return err
	}
	time.Sleep(time.Hour)
	h.crash() // what was stored is the truth
	time.Sleep(time.Hour)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.log {
		if r.owed {
			o.fail("record %d of key %d (number %d of shard %d) is owed in the end", r.order, r.key, r.n, r.shard)
		}
	}
	if st := h.status(v.UUID); st.LagRecords != 0 || st.Held != 0 {
		o.fail("in the end %d records are behind and %d held", st.LagRecords, st.Held)
	}
	return o.err
}

func (o *owing) move(h *harness, uuid string, to backend.Place, forward bool, covered func(*owed) bool) error {
	o.mu.Lock()
	o.era++
	o.moving, o.concerned = true, covered
	for _, r := range o.log {
		if covered(r) {
			r.owed = !forward
		}
	}
	o.mu.Unlock()
	move := h.Rewind
	if forward {
		move = h.Skip
	}
	_, err := move(h.t.Context(), uuid, to)
	o.mu.Lock()
	o.moving = false
	o.mu.Unlock()
	return err
}
