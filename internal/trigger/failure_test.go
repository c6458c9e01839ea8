package trigger

import (
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"

	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever watches is told of each call that failed: which attempt it was, of how many, and what becomes of the records.
func TestFailed(t *testing.T) {
	named := func(ids ...string) func(context.Context, []byte) lane.Result {
		var items []string
		for _, id := range ids {
			items = append(items, `{"itemIdentifier":"`+id+`"}`)
		}
		return func(context.Context, []byte) lane.Result {
			return lane.Result{Payload: []byte(`{"batchItemFailures":[` + strings.Join(items, ",") + `]}`), RequestID: "r"}
		}
	}
	report := func(r *mapping.CreateRequest) { r.FunctionResponseTypes = []string{"ReportBatchItemFailures"} }
	for name, c := range map[string]struct {
		function func(context.Context, []byte) lane.Result
		change   func(*mapping.CreateRequest)
		want     []string
	}{
		"dropped": {fails, func(r *mapping.CreateRequest) { r.MaximumRetryAttempts = new(2) }, []string{
			"2 of 2 at 1: attempt 1 of 3, tried again in 500ms: boom", "2 of 2 at 1: attempt 2 of 3, tried again in 1s: boom", "2 of 2 at 1: attempt 3 of 3, dropped: boom",
		}},
		"parked": {fails, func(r *mapping.CreateRequest) {
			withTags("millstream:on-failure", "park")(r)
			r.MaximumRetryAttempts = new(0)
		}, []string{"2 of 2 at 1: attempt 1 of 1, parked: boom"}},
		"named": {named(num(2).String()), func(r *mapping.CreateRequest) {
			report(r)
			r.MaximumRetryAttempts = new(1)
		}, []string{
			"1 of 2 at 2: attempt 1 of 2, tried again in 500ms: the function reported " + num(2).String() + " as failed",
			"1 of 1 at 2: attempt 1 of 2, tried again in 1s: the function reported " + num(2).String() + " as failed",
			"1 of 1 at 2: attempt 2 of 2, dropped: the function reported " + num(2).String() + " as failed",
		}},
		"cut": {fails, func(r *mapping.CreateRequest) {
			r.BisectBatchOnFunctionError, r.MaximumRetryAttempts = new(true), new(0)
		}, []string{
			"2 of 2 at 1: attempt 1 of 0, cut in two: boom", "1 of 1 at 1: attempt 1 of 1, dropped: boom", "1 of 1 at 2: attempt 1 of 1, dropped: boom",
		}},
		"held": {fails, func(r *mapping.CreateRequest) {
			withTags("millstream:on-failure", "block-key")(r)
			r.BatchSize, r.MaximumRetryAttempts = new(1), new(1)
		}, []string{
			"1 of 1 at 1: attempt 1 of 2, held: boom", "1 of 1 at 2: attempt 1 of 2, held: boom",
			"1 of 1 at 1: attempt 2 of 2, parked: boom", "1 of 1 at 2: attempt 2 of 2, parked: boom",
		}},
		"undelivered": {func(context.Context, []byte) lane.Result {
			return lane.Result{Outcome: lane.NotDelivered, Error: "busy", RetryAfter: 24 * time.Hour}
		}, nil, []string{
			"2 of 2 at 1: attempt 1 of 0, tried again in 15m0s, undelivered: busy",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, "t")
				h.stop()
				var mu sync.Mutex
				var seen []string
				h.opts.Failed = func(f Failure) {
					text := fmt.Sprintf("%d of %d at %d: attempt %d of %d, %s", f.Failed, f.Records, f.First.Ordinal(), f.Attempt, f.Of, f.Then)
					if f.Then == 0 {
						text += " in " + time.Until(f.RetryAt).String()
					}
					if f.Undelivered {
						text += ", undelivered"
					}
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, text+": "+f.Error)
				}
				h.start()
				defer h.stop()
				h.invoker.set("f", c.function)
				v := h.create("t", "f", c.change)
				h.backend.write("t", 0, 1, 2)
				time.Sleep(14 * time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(seen, c.want) {
					t.Errorf("got  %q\nwant %q", seen, c.want)
				}
				expect(t, h.status(v.UUID).LastProcessingResult, "PROBLEM: Function call failed")
			})
		})
	}
}

// A call whose answer names records is no success, and is counted apart from calls that fail and from records.
func TestPartialFailuresAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		answer := []byte(`{"batchItemFailures":[{"itemIdentifier":"` + num(2).String() + `"}]}`)
		h.invoker.set("f", func(context.Context, []byte) lane.Result { return lane.Result{Payload: answer} })
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			r.FunctionResponseTypes, r.MaximumRetryAttempts = []string{"ReportBatchItemFailures"}, new(1)
		})
		h.backend.write("t", 0, 1, 2, 3)
		synctest.Wait()
		st := h.status(v.UUID)
		expect(t, st.LastProcessingResult, "PROBLEM: Function call failed")
		if c := st.Counters; c.Invocations != 1 || c.Errors != 0 || c.PartialFailures != 1 || c.Invoked != 3 || c.FailedInvoke != 1 {
			t.Errorf("%+v", c)
		}
		if b := st.Shards[0].Blocked; b == nil || b.Keys != `{"key":{"N":"2"}}` {
			t.Errorf("blocked by %+v", b)
		}
		h.invoker.set("f", ok)
		time.Sleep(time.Minute)
		expect(t, h.status(v.UUID).LastProcessingResult, "OK")
	})
}

// What is held is named by its item's key, too.
func TestHeldIsNamedByKey(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", fails)
		v := h.create("t", "f", withTags("millstream:on-failure", "block-key"))
		h.backend.write("t", 0, 7)
		time.Sleep(time.Second)
		if b := h.status(v.UUID).HeldBlocked; b == nil || b.Keys != `{"key":{"N":"7"}}` || b.SequenceNumber != num(1) {
			t.Errorf("%+v", b)
		}
	})
}

// The age of what a mapping has not finished is that of the oldest such record, not that of the last one it has finished.
func TestAgeOfTheOldest(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		h.backend.write("t", 0, 1)
		synctest.Wait()
		if err := h.Pause(t.Context(), v.UUID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		h.backend.write("t", 0, 2)
		time.Sleep(time.Minute)
		h.backend.write("t", 0, 3)
		if st := h.status(v.UUID); st.LagRecords != 2 || st.LagSeconds != 60 {
			t.Errorf("%d records, %v s", st.LagRecords, st.LagSeconds)
		}
		if err := h.Resume(t.Context(), v.UUID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.invoker.set("f", fails)
		h.backend.write("t", 0, 4)
		time.Sleep(30 * time.Second)
		if st := h.status(v.UUID); st.LagRecords != 1 || st.LagSeconds != 30 {
			t.Errorf("%d records, %v s", st.LagRecords, st.LagSeconds)
		}
	})
}

// A tag may say 0, in the place of the mapping's own window.
func TestWindowOfZeroByATag(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		h.create("t", "f", func(r *mapping.CreateRequest) {
			withTags("millstream:batching-window", "0", "millstream:tumbling-window", "0")(r)
			r.MaximumBatchingWindowInSeconds, r.TumblingWindowInSeconds = new(60), new(60)
		})
		h.backend.write("t", 0, 1)
		synctest.Wait()
		d := h.invoker.take("f")
		expect(t, batches(t, d), "1")
		if strings.Contains(d[0].payload, "window") {
			t.Errorf("%s", d[0].payload)
		}
	})
}
