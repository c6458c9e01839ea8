package trigger

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

var errDisk = errors.New("disk")

// A stream that cannot be read shows in the status, is read again, and nothing is lost.
func TestReadFails(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		h.backend.set(func() { h.backend.readFail = errDisk })
		h.backend.write("t", 0, 1)
		time.Sleep(10 * time.Second)
		st := h.status(v.UUID)
		if b := st.Shards[0].Blocked; b == nil || !strings.Contains(b.Error, "disk") || b.Attempts < 3 || st.LagRecords != 1 || st.LagSeconds != 0 {
			t.Errorf("status %+v, blocked %+v", st, b)
		}
		h.backend.set(func() { h.backend.readFail = nil })
		time.Sleep(30 * time.Second)
		expect(t, batches(t, h.invoker.take("f")), "1")
		if b := h.status(v.UUID).Shards[0].Blocked; b != nil {
			t.Errorf("still blocked: %+v", b)
		}
	})
}

// P4: records that are trimmed before they are read are counted, and passed.
func TestTrimmedUnread(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		h.backend.write("t", 0, 1)
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.update(v.UUID, mapping.Settings{Enabled: new(false)})
		h.backend.write("t", 0, 2, 3, 4, 5)
		h.backend.set(func() { h.backend.streams[v.StreamARN].shards[0].trimmed = 4 })
		h.update(v.UUID, mapping.Settings{Enabled: new(true)})
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, batches(t, h.invoker.take("f")), "1 5")
		if st := h.status(v.UUID); st.Counters.Expired != 3 || st.Counters.Dropped != 0 {
			t.Errorf("counters %+v", st.Counters)
		}
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Expired != 3 || cp.Low != num(5) {
			t.Errorf("stored %+v", cp)
		}
	})
}

// A parent that is past retention counts as finished, with its machine or without.
func TestParentPastRetention(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", fails)
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.MaximumRetryAttempts = new(3) })
		h.backend.write("t", 0, 1)
		h.backend.split("t", 0)
		h.backend.write("t", 1, 2)
		synctest.Wait()
		s := h.backend.streams[v.StreamARN]
		h.backend.set(func() { s.shards = s.shards[1:] })
		h.backend.write("t", 1, 3) // the former shard-2
		time.Sleep(time.Minute)
		h.invoker.set("f", ok)
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		st := h.status(v.UUID)
		if len(st.Shards) != 2 || st.LagRecords != 0 || st.Shards[0].WaitsForParent {
			t.Errorf("status %+v", st)
		}
		h.mappings[v.UUID].mu.Lock()
		defer h.mappings[v.UUID].mu.Unlock()
		if n := len(h.mappings[v.UUID].shards); n != 2 {
			t.Errorf("%d machines for two shards", n)
		}
	})
}

func TestStreamGone(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		s := h.backend.streams[v.StreamARN]
		h.backend.set(func() { delete(h.backend.streams, v.StreamARN) })
		h.backend.mu.Lock()
		h.backend.wakeLocked(s)
		synctest.Wait()
		st := h.status(v.UUID)
		if !st.StreamGone || st.State != mapping.Enabled {
			t.Errorf("status %+v", st)
		}
		if err := h.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		if all, err := h.Statuses(t.Context()); err != nil || len(all) != 1 {
			t.Error(all, err)
		}
	})
}

// What could not be stored has not happened.
func TestControlFails(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		h.invoker.set("g", ok)
		v := h.create("t", "f", nil)
		time.Sleep(time.Second)
		h.backend.set(func() { h.backend.fail = errDisk })
		arn := testScope.StreamARN("t", testLabel)
		g := mapping.CreateRequest{EventSourceArn: &arn, StartingPosition: new("LATEST"), Settings: mapping.Settings{FunctionName: new("g")}}
		if _, err := h.Create(t.Context(), testScope, g); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		if _, err := h.Update(t.Context(), testScope, v.UUID, mapping.Settings{FunctionName: new("g"), Enabled: new(false)}); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		if _, err := h.Delete(t.Context(), testScope, v.UUID); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		h.backend.set(func() { h.backend.fail = nil })
		got, err := h.Get(t.Context(), testScope, v.UUID)
		if err != nil || got.State != mapping.Enabled || got.FunctionARN != v.FunctionARN {
			t.Error(got, err)
		}
		h.backend.write("t", 0, 1)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1")
		h.create("t", "g", nil) // its pair is free
	})
}

// A person accepts a clock that was set forward: ageing goes on at once.
func TestAcceptClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, "t")
		h.stop()
		var mu sync.Mutex
		leap := time.Duration(0)
		h.opts.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(leap)
		}
		h.start()
		h.invoker.set("f", ok)
		h.create("t", "f", func(r *mapping.CreateRequest) { r.MaximumRecordAgeInSeconds = new(600) })
		synctest.Wait()
		mu.Lock()
		leap = time.Hour
		mu.Unlock()
		h.backend.write("t", 0, 1)
		synctest.Wait()
		h.clock.Accept()
		h.ClockChanged()
		h.backend.write("t", 0, 2)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1")
		h.stop()
	})
}
