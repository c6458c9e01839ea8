package trigger

import (
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"

	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// heldUp makes every read of the backend wait until the returned function is called.
func heldUp(b *fakeBackend) (release func()) {
	gate := make(chan struct{})
	b.set(func() { b.onRead = func() { <-gate } })
	return func() {
		b.set(func() { b.onRead = nil })
		close(gate)
	}
}

// Once a change has been answered, records that are written after it are judged by it, also when they
// come with a page that was being read all the time.
func TestChangeDuringRead(t *testing.T) {
	filter := func(pattern string) *mapping.FilterCriteria {
		return &mapping.FilterCriteria{Filters: []struct{ Pattern *string }{{new(pattern)}}}
	}
	for name, c := range map[string]struct {
		before func(*mapping.CreateRequest)
		change func(h *harness, v mapping.View) error
		want   string // calls at once
		later  string // and within a minute
	}{
		"when": {
			change: func(h *harness, v mapping.View) error { return h.SetWhen(h.t.Context(), v.UUID, "NEW.key = 2") },
			want:   "2,4",
		},
		"filters": {
			change: func(h *harness, v mapping.View) error {
				h.update(v.UUID, mapping.Settings{FilterCriteria: filter(`{"dynamodb":{"NewImage":{"key":{"N":["2"]}}}}`)})
				return nil
			},
			want: "2,4",
		},
		"no filters": {
			before: func(r *mapping.CreateRequest) {
				r.FilterCriteria = filter(`{"dynamodb":{"NewImage":{"key":{"N":["2"]}}}}`)
			},
			change: func(h *harness, v mapping.View) error {
				h.update(v.UUID, mapping.Settings{FilterCriteria: &mapping.FilterCriteria{}})
				return nil
			},
			want: "1,2,3,4",
		},
		"batch size": {
			change: func(h *harness, v mapping.View) error {
				h.update(v.UUID, mapping.Settings{BatchSize: new(3)})
				return nil
			},
			want: "1,2,3 4",
		},
		"window": {
			change: func(h *harness, v mapping.View) error {
				h.update(v.UUID, mapping.Settings{MaximumBatchingWindowInSeconds: new(30)})
				return nil
			},
			later: "1,2,3,4",
		},
		"window by a tag": {
			change: func(h *harness, v mapping.View) error {
				return h.Retag(h.t.Context(), testScope, "arn", v.UUID, func(tags map[string]string) { tags["millstream:batching-window"] = "30" })
			},
			later: "1,2,3,4",
		},
		"rate": {
			before: func(r *mapping.CreateRequest) { r.BatchSize = new(3) },
			change: func(h *harness, v mapping.View) error {
				return h.Retag(h.t.Context(), testScope, "arn", v.UUID, func(tags map[string]string) { tags["millstream:rate"] = "0.1" })
			},
			want: "1,2,3", later: "4",
		},
		"age": {
			change: func(h *harness, v mapping.View) error {
				h.update(v.UUID, mapping.Settings{MaximumRecordAgeInSeconds: new(60)})
				h.backend.write("t", 0, 5)
				time.Sleep(2 * time.Minute)
				return nil
			},
			want: "2,3,4,5", // the first is too old
		},
		"disabled": {
			change: func(h *harness, v mapping.View) error {
				h.update(v.UUID, mapping.Settings{Enabled: new(false)})
				return nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				h.invoker.set("f", ok)
				release := heldUp(h.backend)
				v := h.create("t", "f", c.before)
				synctest.Wait() // the first page is being read
				if err := c.change(h, v); err != nil {
					t.Fatal(err)
				}
				h.backend.write("t", 0, 1, 2, 3, 2)
				release()
				synctest.Wait()
				expect(t, batches(t, h.invoker.take("f")), c.want)
				time.Sleep(time.Minute)
				expect(t, batches(t, h.invoker.take("f")), c.later)
			})
		})
	}
}

// The same of rows that are read back: a held record whose last attempt was about to come is judged by the new limit.
func TestChangeDuringReadOfAside(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", fails)
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			withTags("millstream:on-failure", "block-key")(r)
			r.MaximumRetryAttempts = new(1)
		})
		h.backend.write("t", 0, 1)
		synctest.Wait()
		time.Sleep(100 * time.Millisecond) // it is held, and stored
		release := heldUp(h.backend)
		time.Sleep(2 * time.Second) // its row is being read for the next attempt
		h.update(v.UUID, mapping.Settings{MaximumRetryAttempts: new(0)})
		n := len(h.invoker.take("f"))
		release()
		synctest.Wait()
		if st := h.status(v.UUID); st.Parked != 1 || n != 1 || len(h.invoker.take("f")) != 0 {
			t.Errorf("%d calls before; parked %d", n, st.Parked)
		}
	})
}

// A setting is looked up and set in one go: whoever looked last has the last word, whatever order they come back in.
func TestRetagInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		tags := map[string]string{}
		var stall chan struct{}
		h.opts.Tags = func(string, string) (function, table map[string]string) {
			function = maps.Clone(tags)
			if s := stall; s != nil {
				stall = nil
				<-s
			}
			return function, nil
		}
		h.stop()
		h.start()
		h.invoker.set("f", func(context.Context, []byte) lane.Result { time.Sleep(time.Second); return lane.Result{} })
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize, r.ParallelizationFactor = new(1), new(10) })
		s := make(chan struct{})
		stall = s
		go h.FunctionChanged(v.FunctionARN) // has read the old tags, and is slow
		synctest.Wait()
		tags["millstream:max-in-flight"] = "1"
		go h.FunctionChanged(v.FunctionARN)
		synctest.Wait()
		close(s)
		synctest.Wait()
		h.backend.write("t", 0, 1, 2, 3)
		synctest.Wait()
		if n := len(h.invoker.take("f")); n != 1 {
			t.Errorf("%d calls at once", n)
		}
	})
}

// A condition that has changed judges what is tried again, and what waits behind it: what it does not want any more has
// ended, at once and without a destination or a place among the parked.
func TestWhenOfBlocked(t *testing.T) {
	for _, onFailure := range []string{"block-shard", "block-key", "park"} {
		t.Run(onFailure, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				h.invoker.set("f", fails)
				v := h.create("t", "f", func(r *mapping.CreateRequest) {
					withTags("millstream:on-failure", onFailure)(r)
					r.BatchSize = new(3)
				})
				h.backend.write("t", 0, 1, 2, 3, 1, 2, 3)
				time.Sleep(time.Hour)
				if st := h.status(v.UUID); !st.Blocked() {
					t.Fatalf("%+v", st)
				}
				h.invoker.take("f")
				if err := h.SetWhen(t.Context(), v.UUID, "NEW.key = 2"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				for _, d := range h.invoker.take("f") {
					for _, id := range ids(t, d.payload) {
						if id != "2" && id != "5" {
							t.Errorf("record %s is sent", id)
						}
					}
				}
				if err := h.SetWhen(t.Context(), v.UUID, "NEW.key = 9"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				st := h.status(v.UUID)
				if n := len(h.invoker.take("f")); n != 0 || st.Blocked() || st.LagRecords != 0 || st.Held+st.Parked != 0 || st.Counters.FilteredOut != 6 {
					t.Errorf("%d calls, blocked %t, lag %d, held %d, filtered %d", n, st.Blocked(), st.LagRecords, st.Held, st.Counters.FilteredOut)
				}
				h.backend.write("t", 0, 9)
				h.invoker.set("f", ok)
				synctest.Wait()
				expect(t, batches(t, h.invoker.take("f")), "7")
			})
		})
	}
}

// With a function that has the records: what it fails on is judged when the call is over, and not tried or given up any
// more; what it succeeds on has ended as ever.
func TestWhenDuringCall(t *testing.T) {
	for name, answer := range map[string]lane.Result{"success": {}, "failure": {Outcome: lane.FunctionError, Error: "boom"}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				end := make(chan struct{})
				h.invoker.set("f", func(context.Context, []byte) lane.Result { <-end; return answer })
				v := h.create("t", "f", func(r *mapping.CreateRequest) { r.MaximumRetryAttempts = new(0) })
				h.backend.write("t", 0, 1)
				synctest.Wait()
				if err := h.SetWhen(t.Context(), v.UUID, "NEW.key = 2"); err != nil {
					t.Fatal(err)
				}
				close(end)
				time.Sleep(time.Minute)
				filtered := uint64(0)
				if name == "failure" {
					filtered = 1
				}
				if st := h.status(v.UUID); st.Counters.Dropped != 0 || st.Counters.FilteredOut != filtered || st.LagRecords != 0 || len(h.invoker.take("f")) != 1 {
					t.Errorf("%+v", st.Counters)
				}
			})
		})
	}
}
