package trigger

import (
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"

	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func withTags(tags ...string) func(*mapping.CreateRequest) {
	return func(r *mapping.CreateRequest) {
		r.Tags = map[string]string{}
		for i := 0; i < len(tags); i += 2 {
			r.Tags[tags[i]] = tags[i+1]
		}
	}
}

func TestTags(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		for tag, want := range map[string]string{
			"millstream:on-failure=never":          "block-shard, block-key or park",
			"millstream:batching-window=86401":     "from 0 to 86400",
			"millstream:tumbling-window=1h":        "from 0 to 86400",
			"millstream:max-in-flight=-1":          "calls at once",
			"millstream:rate=fast":                 "calls a second",
			"millstream:rate=NaN":                  "calls a second",
			"millstream:start=yesterday":           "snapshot, or a time",
			"millstream:exactly-once=yes":          "true or false",
			"millstream:nothing=1":                 "is none of Millstream's settings",
			"millstream:tumbling-window=60 factor": "ParallelizationFactor",
		} {
			key, value, _ := strings.Cut(tag, "=")
			value, factor := strings.CutSuffix(value, " factor")
			r := mapping.CreateRequest{
				EventSourceArn: new(testScope.StreamARN("t", testLabel)), StartingPosition: new("LATEST"),
				Settings: mapping.Settings{FunctionName: new("f")}, Tags: map[string]string{key: value},
			}
			if factor {
				r.ParallelizationFactor = new(2)
			}
			if _, err := h.Create(t.Context(), testScope, r); err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "arallelization") {
				t.Errorf("%s: %v", tag, err)
			}
		}
	})
}

// A batching window of two hours, which AWS does not have.
func TestLongBatchingWindow(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		h.create("t", "f", withTags("millstream:batching-window", "7200"))
		h.backend.write("t", 0, 1)
		time.Sleep(time.Hour)
		h.backend.write("t", 0, 2)
		time.Sleep(time.Hour - time.Second)
		expect(t, batches(t, h.invoker.take("f")), "")
		time.Sleep(2 * time.Second)
		expect(t, batches(t, h.invoker.take("f")), "1,2")
	})
}

// Caps hold over all shards and lanes of a mapping, and a call that waits for its turn is not made when the mapping
// is stopped meanwhile.
func TestCaps(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		var now, most atomic.Int64
		h.invoker.set("f", func(ctx context.Context, _ []byte) lane.Result {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(time.Second)
			return lane.Result{}
		})
		h.backend.split("t", 0)
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			withTags("millstream:max-in-flight", "3", "millstream:rate", "0.5")(r)
			r.BatchSize, r.ParallelizationFactor = new(1), new(4)
		})
		h.backend.write("t", 1, 1, 2, 3, 4)
		h.backend.write("t", 2, 5, 6, 7, 8)
		time.Sleep(9*time.Second + 500*time.Millisecond) // the fifth has ended
		if n := len(h.invoker.take("f")); n != 5 {       // at 0, 2, 4, 6 and 8 s
			t.Errorf("%d calls in nine seconds", n)
		}
		h.update(v.UUID, mapping.Settings{Enabled: new(false)})
		time.Sleep(time.Minute)
		if n := len(h.invoker.take("f")); n != 0 {
			t.Errorf("%d calls after it was disabled", n)
		}
		h.update(v.UUID, mapping.Settings{Enabled: new(true)})
		time.Sleep(time.Minute)
		if n := len(h.invoker.take("f")); n != 3 || most.Load() != 1 {
			t.Errorf("%d calls for the rest, %d at once", n, most.Load())
		}
	})
	bubble(t, func(t *testing.T, h *harness) {
		var now, most atomic.Int64
		h.invoker.set("f", func(ctx context.Context, _ []byte) lane.Result {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(time.Second)
			return lane.Result{}
		})
		h.create("t", "f", func(r *mapping.CreateRequest) {
			withTags("millstream:max-in-flight", "3")(r)
			r.BatchSize, r.ParallelizationFactor = new(1), new(10)
		})
		h.backend.write("t", 0, 1, 2, 3, 4, 5, 6, 7, 8)
		time.Sleep(3*time.Second + time.Millisecond)
		if n := len(h.invoker.take("f")); n != 8 || most.Load() != 3 {
			t.Errorf("%d calls, %d at once", n, most.Load())
		}
	})
}

// A mapping may begin at a moment, by a tag.
func TestStartAt(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		h.backend.write("t", 0, 1)
		time.Sleep(time.Hour)
		noon := time.Now()
		h.backend.write("t", 0, 2, 3)
		time.Sleep(time.Hour)
		h.create("t", "f", func(r *mapping.CreateRequest) {
			withTags("millstream:start", noon.Format(time.RFC3339))(r)
			r.StartingPosition = new("LATEST")
		})
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "2,3")
	})
}

// A condition on changes chooses records beside the filters; they have ended all the same.
func TestWhen(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		if err := h.SetWhen(t.Context(), v.UUID, "NEW.key = 2 AND attribute_not_exists(OLD)"); err != nil {
			t.Fatal(err)
		}
		h.backend.write("t", 0, 1, 2, 3, 2)
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, batches(t, h.invoker.take("f")), "2,4")
		h.crash()
		h.backend.write("t", 0, 1, 2)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "6")
		if st := h.status(v.UUID); st.When == "" || st.Counters.FilteredOut != 1 {
			t.Errorf("%+v", st)
		}
		if err := h.SetWhen(t.Context(), v.UUID, ""); err != nil {
			t.Fatal(err)
		}
		h.backend.write("t", 0, 1)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "7")
		for _, bad := range []string{"OLD.a <>", "1 = 1", "key = 2"} {
			if err := h.SetWhen(t.Context(), v.UUID, bad); err == nil {
				t.Errorf("%s is taken", bad)
			}
		}
		if err := h.SetWhen(t.Context(), "nobody", ""); err != backend.ErrNoMapping {
			t.Error(err)
		}
	})
}
