package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// bubble runs a test with fake time and an engine over fakes.
func bubble(t *testing.T, f func(t *testing.T, h *harness)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, "t")
		f(t, h)
		h.stop()
	})
}

// ids are the eventIDs of a payload, in order.
func ids(t testing.TB, payload string) []string {
	t.Helper()
	var doc struct{ Records []struct{ EventID string } }
	if err := json.Unmarshal([]byte(payload), &doc); err != nil {
		t.Fatalf("payload is no JSON: %v", err)
	}
	var out []string
	for _, r := range doc.Records {
		out = append(out, r.EventID)
	}
	return out
}

// batches prints deliveries as "1,2 3" (batches by their eventIDs).
func batches(t testing.TB, ds []delivery) string {
	var out []string
	for _, d := range ds {
		out = append(out, strings.Join(ids(t, d.payload), ","))
	}
	return strings.Join(out, " ")
}

func expect(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDelivery(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize = new(2) })
		expect(t, v.LastProcessingResult, "No records processed")
		h.backend.write("t", 0, 1, 2, 3)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1,2 3")
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		st := h.status(v.UUID)
		expect(t, st.LastProcessingResult, "OK")
		if st.LagRecords != 0 || st.Counters.Polled != 3 || st.Counters.Invoked != 3 || st.Counters.Invocations != 2 {
			t.Errorf("status %+v", st)
		}
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Low != num(3) {
			t.Errorf("stored position %v", cp)
		}
	})
}

// P2, P4: LATEST has every record written after Create has answered, and none before.
func TestLatestIsExact(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		h.backend.write("t", 0, 1, 2)
		h.create("t", "f", func(r *mapping.CreateRequest) { r.StartingPosition = new("LATEST") })
		h.backend.write("t", 0, 3)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "3")
	})
}

func TestDisableWriteEnable(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		h.backend.write("t", 0, 1)
		synctest.Wait()
		expect(t, string(h.update(v.UUID, mapping.Settings{Enabled: new(false)}).State), "Disabling")
		h.backend.write("t", 0, 2, 3)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1")
		if st := h.status(v.UUID); st.State != mapping.Disabled || st.LagRecords != 2 {
			t.Errorf("status %+v", st)
		}
		expect(t, string(h.update(v.UUID, mapping.Settings{Enabled: new(true)}).State), "Enabling")
		h.backend.write("t", 0, 4)
		synctest.Wait()
		if got := batches(t, h.invoker.take("f")); got != "2,3,4" && got != "2,3 4" {
			t.Errorf("got %q", got)
		}
	})
}

// A completion that comes after the mapping was disabled moves nothing; enabled
// again, the records come again, but not while the first call is still running.
func TestLateCompletion(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		release := make(chan struct{})
		h.invoker.set("f", func(context.Context, []byte) lane.Result { <-release; return lane.Result{} })
		v := h.create("t", "f", nil)
		h.backend.write("t", 0, 1)
		synctest.Wait()
		h.update(v.UUID, mapping.Settings{Enabled: new(false)})
		h.update(v.UUID, mapping.Settings{Enabled: new(true)})
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1")
		h.update(v.UUID, mapping.Settings{Enabled: new(false)})
		close(release)
		time.Sleep(time.Second)
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Low == num(1) {
			t.Error("the late completion moved the position")
		}
		h.update(v.UUID, mapping.Settings{Enabled: new(true)})
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1")
	})
}

// An update of parameters goes on from where it is: nothing comes twice.
func TestUpdateKeepsWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(context.Context, []byte) lane.Result { time.Sleep(time.Second); return lane.Result{} })
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize = new(1) })
		h.backend.write("t", 0, 1, 2, 3, 4)
		synctest.Wait()
		expect(t, string(h.update(v.UUID, mapping.Settings{BatchSize: new(2)}).State), "Updating")
		time.Sleep(10 * time.Second)
		expect(t, batches(t, h.invoker.take("f")), "1 2,3 4")
	})
}

// The window begins when the previous invocation ended; when it has passed empty, the
// next record begins one.
func TestBatchingWindow(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		start := time.Now()
		h.create("t", "f", func(r *mapping.CreateRequest) {
			r.BatchSize, r.MaximumBatchingWindowInSeconds = new(4), new(10)
		})
		h.backend.write("t", 0, 1)
		time.Sleep(9 * time.Second)
		h.backend.write("t", 0, 2)
		time.Sleep(2 * time.Second) // 11 s: the first window ended at 10 s
		h.backend.write("t", 0, 3, 4, 5, 6, 7)
		synctest.Wait() // a full batch does not wait
		time.Sleep(60 * time.Second)
		h.backend.write("t", 0, 8)
		time.Sleep(60 * time.Second)
		ds := h.invoker.take("f")
		expect(t, batches(t, ds), "1,2 3,4,5,6 7 8")
		var at []string
		for _, d := range ds {
			at = append(at, fmt.Sprint(d.at.Sub(start).Seconds()))
		}
		expect(t, strings.Join(at, " "), "10 11 21 81")
	})
}

// Attempts, waits and the end of a batch that always fails; then the next goes on.
func TestBackoff(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		start := time.Now()
		h.invoker.set("f", func(_ context.Context, p []byte) lane.Result {
			if strings.Contains(string(p), `"eventID":"1"`) {
				return lane.Result{Outcome: lane.FunctionError, Error: "boom"}
			}
			return lane.Result{}
		})
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			r.BatchSize, r.MaximumRetryAttempts = new(1), new(9)
		})
		h.backend.write("t", 0, 1, 2)
		synctest.Wait()
		st := h.status(v.UUID)
		expect(t, st.LastProcessingResult, "PROBLEM: Function call failed")
		if b := st.Shards[0].Blocked; b == nil || b.SequenceNumber != num(1) || b.Error != "boom" || !b.RetryAt.Equal(start.Add(500*time.Millisecond)) {
			t.Errorf("blocked %+v", b)
		}
		time.Sleep(10 * time.Minute)
		ds := h.invoker.take("f")
		expect(t, batches(t, ds), "1 1 1 1 1 1 1 1 1 1 2")
		var waits []string
		for i := range ds[1:10] {
			waits = append(waits, fmt.Sprint(ds[i+1].at.Sub(ds[i].at).Seconds()))
		}
		expect(t, strings.Join(waits, " "), "0.5 1 2 4 8 16 32 60 60")
		c := h.status(v.UUID).Counters
		if c.Dropped != 1 || c.FailedInvoke != 10 || c.Invoked != 11 || c.Errors != 10 {
			t.Errorf("counters %+v", c)
		}
	})
}

// A throttled or missing function uses up no attempts; when it is made again, what
// waits for it goes at once.
func TestFunctionDeletedAndMadeAgain(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.MaximumRetryAttempts = new(0) })
		h.invoker.set("f", nil)
		h.backend.write("t", 0, 1)
		time.Sleep(10 * time.Minute)
		st := h.status(v.UUID)
		if st.State != mapping.Enabled || st.Counters.Dropped != 0 || st.Counters.NotDelivered < 50 || st.Counters.Invoked != 0 {
			t.Errorf("status %+v", st)
		}
		h.invoker.take("f")
		h.invoker.set("f", ok)
		h.FunctionChanged(testScope.FunctionARN("f"))
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1")
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(context.Context, []byte) lane.Result {
			return lane.Result{Outcome: lane.NotDelivered, RetryAfter: 45 * time.Second}
		})
		h.create("t", "f", nil)
		h.backend.write("t", 0, 1)
		time.Sleep(100 * time.Second)
		if n := len(h.invoker.take("f")); n != 3 {
			t.Errorf("%d attempts in 100 s", n)
		}
	})
}

// P2: a child shard waits for every record of its parent.
func TestParentBeforeChild(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(context.Context, []byte) lane.Result { time.Sleep(time.Minute); return lane.Result{} })
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize = new(1) })
		h.backend.write("t", 0, 1, 2)
		h.backend.split("t", 0)
		h.backend.write("t", 1, 3)
		h.backend.write("t", 2, 4)
		time.Sleep(119 * time.Second)
		if st := h.status(v.UUID); len(st.Shards) != 3 || !st.Shards[1].WaitsForParent || st.Shards[0].InFlight != 1 {
			t.Errorf("status %+v", st)
		}
		expect(t, batches(t, h.invoker.take("f")), "1 2")
		time.Sleep(2 * time.Second)
		expect(t, batches(t, h.invoker.take("f")), "1 1") // the children's first records
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !h.backend.row(v.UUID, "shard-0").Done || h.backend.row(v.UUID, "shard-1").Low != num(1) || h.backend.row(v.UUID, "shard-2").Low != num(1) {
			t.Errorf("rows %+v", h.backend.mappings)
		}
		h.crash()
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "")
	})
}

// P6: mappings that fail, hang or are slow hold up nobody else.
func TestIsolation(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		hang := make(chan struct{})
		h.invoker.set("hang", func(context.Context, []byte) lane.Result { <-hang; return lane.Result{} })
		h.invoker.set("bad", fails)
		h.invoker.set("good", ok)
		for _, f := range []string{"hang", "bad", "good"} {
			h.create("t", f, nil)
		}
		for i := range 50 {
			now := time.Now()
			h.backend.write("t", 0, i)
			synctest.Wait()
			ds := h.invoker.take("good")
			expect(t, batches(t, ds), fmt.Sprint(i+1))
			if ds[0].at != now {
				t.Fatal("the good function had to wait")
			}
			time.Sleep(time.Second)
		}
		close(hang)
	})
}

// P4: after a crash nothing is skipped, and what was durable is not delivered again.
func TestCrash(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize, r.ParallelizationFactor = new(1), new(10) })
		h.backend.write("t", 0, 0, 1, 2)
		if err := h.Settle(t.Context(), v.UUID); err != nil {
			t.Fatal(err)
		}
		h.invoker.take("f")
		// Lane 0 hangs; lanes 1 and 2 go on and become durable ahead of it.
		hang := make(chan struct{})
		h.invoker.set("f", func(ctx context.Context, p []byte) lane.Result {
			if strings.Contains(string(p), `"key":"0"`) {
				select {
				case <-hang:
				case <-ctx.Done():
					return lane.Result{Outcome: lane.FunctionError, Error: ctx.Err().Error()}
				}
			}
			return lane.Result{}
		})
		h.backend.write("t", 0, 0, 1, 2, 1)
		time.Sleep(time.Second)
		h.invoker.take("f")
		cp := h.backend.row(v.UUID, "shard-0")
		if cp.Low != num(3) || len(cp.Ahead) != 2 {
			t.Errorf("checkpoint %+v", cp)
		}
		h.crash()
		close(hang)
		h.backend.write("t", 0, 2)
		synctest.Wait()
		got := h.invoker.take("f")
		slices.SortFunc(got, func(a, b delivery) int { return strings.Compare(a.payload, b.payload) })
		expect(t, batches(t, got), "4 8")
	})
}

// A cancelled call at shutdown is not a failed attempt: nothing is given up.
func TestShutdownGivesNothingUp(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(ctx context.Context, _ []byte) lane.Result {
			<-ctx.Done()
			return lane.Result{Outcome: lane.FunctionError, Error: "killed"}
		})
		h.create("t", "f", func(r *mapping.CreateRequest) { r.MaximumRetryAttempts = new(0) })
		h.backend.write("t", 0, 1)
		synctest.Wait()
		h.stop()
		h.invoker.take("f")
		h.invoker.set("f", ok)
		h.start()
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "1")
	})
}

func TestDrainLetsCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, "t")
		h.stop()
		h.opts.DrainTimeout = 5 * time.Second
		h.start()
		h.invoker.set("f", func(context.Context, []byte) lane.Result { time.Sleep(3 * time.Second); return lane.Result{} })
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize = new(1) })
		h.backend.write("t", 0, 1, 2)
		synctest.Wait()
		h.stop()
		expect(t, batches(t, h.invoker.take("f")), "1")
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Low != num(1) {
			t.Errorf("checkpoint %+v", cp)
		}
	})
}

// While positions cannot be stored delivery goes on; they are stored when it works again.
func TestCommitFails(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		h.backend.mu.Lock()
		h.backend.fail = errors.New("disk full")
		h.backend.mu.Unlock()
		h.backend.write("t", 0, 1, 2)
		time.Sleep(time.Second)
		h.backend.mu.Lock()
		h.backend.fail = nil
		h.backend.mu.Unlock()
		time.Sleep(time.Minute)
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Low != num(2) {
			t.Errorf("checkpoint %+v", cp)
		}
	})
}

// Checkpoints of all mappings share commits, at most one in 5 ms.
func TestCommitsAreCoalesced(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		for i := range 20 {
			f := fmt.Sprint("f", i)
			h.invoker.set(f, ok)
			h.create("t", f, nil)
		}
		time.Sleep(time.Second)
		h.backend.takeCommits()
		for range 100 {
			h.backend.write("t", 0, 1)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := h.backend.takeCommits(); n == 0 || n > 21 {
			t.Errorf("%d commits in 100 ms", n)
		}
	})
}

func TestSettleWaits(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(context.Context, []byte) lane.Result { time.Sleep(time.Minute); return lane.Result{} })
		h.invoker.set("off", ok)
		h.create("t", "f", nil)
		h.create("t", "off", func(r *mapping.CreateRequest) { r.Enabled = new(false) })
		h.backend.write("t", 0, 1)
		start := time.Now()
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < time.Minute || took > 61*time.Second {
			t.Errorf("settled after %v", took)
		}
		h.backend.write("t", 0, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := h.Settle(t.Context(), "no-such"); !errors.Is(err, backend.ErrNoMapping) {
			t.Errorf("got %v", err)
		}
	})
}

// Where time stands still, what was written by the call counts, and what was written meanwhile does not.
func TestSettleNow(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(context.Context, []byte) lane.Result { time.Sleep(time.Minute); return lane.Result{} })
		h.create("t", "f", nil)
		h.backend.write("t", 0, 1)
		for _, c := range []struct {
			rest time.Duration
			want bool
		}{{time.Second, false}, {3 * time.Minute, true}} {
			done, err := h.SettleNow(t.Context(), func() error {
				time.Sleep(c.rest)
				h.backend.write("t", 0, 1)
				return nil
			})
			if done != c.want || err != nil {
				t.Errorf("after %v: %v, %v", c.rest, done, err)
			}
		}
		ended := errors.New("ended")
		if _, err := h.SettleNow(t.Context(), func() error { return ended }); !errors.Is(err, ended) {
			t.Error(err)
		}
	})
}

// A record that is too old is given up before it is sent, younger ones of its batch
// are not; a clock that leaps an hour ahead gives nothing up for an hour.
func TestRecordAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, "t")
		h.stop()
		leap := time.Duration(0)
		var mu sync.Mutex
		h.opts.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(leap)
		}
		h.start()
		h.invoker.set("f", ok)
		h.backend.write("t", 0, 1)
		time.Sleep(61 * time.Second)
		h.backend.write("t", 0, 2, 3, 4, 5, 6)
		aged := func(r *mapping.CreateRequest) { r.MaximumRecordAgeInSeconds = new(60) }
		v := h.create("t", "f", aged)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "2,3,4,5,6")
		if c := h.status(v.UUID).Counters; c.Dropped != 1 || c.Invocations != 1 {
			t.Errorf("counters %+v", c)
		}
		mu.Lock()
		leap = time.Hour
		mu.Unlock()
		h.backend.write("t", 0, 7)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "7")
		time.Sleep(2 * time.Hour)
		h.backend.write("t", 0, 8)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "")
		if c := h.status(v.UUID).Counters; c.Dropped != 2 {
			t.Errorf("counters %+v", c)
		}
		h.stop()
	})
}

// Records of 400 KB: no payload above the limit, none lost, separators counted.
func TestPayloadLimit(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		h.backend.writeSized("t", 0, 400_000, slices.Repeat([]int{1}, 40)...)
		h.create("t", "f", nil)
		synctest.Wait()
		n := 0
		for _, d := range h.invoker.take("f") {
			if len(d.payload) > lane.MaxPayload || len(ids(t, d.payload)) > 15 {
				t.Errorf("a payload of %d bytes", len(d.payload))
			}
			n += len(ids(t, d.payload))
		}
		if n != 40 {
			t.Errorf("%d records", n)
		}
	})
	// Four records that fill the payload to the byte, and one byte more.
	for _, extra := range []int{0, 1} {
		bubble(t, func(t *testing.T, h *harness) {
			h.invoker.set("f", ok)
			frame := len((&lane.Invoke{}).Payload(""))
			size := (lane.MaxPayload - frame - 3) / 4
			rest := lane.MaxPayload - frame - 3 - 3*size + extra
			h.backend.writeSized("t", 0, size, 1, 1, 1)
			h.backend.writeSized("t", 0, rest, 1)
			h.create("t", "f", nil)
			synctest.Wait()
			want := []string{"1,2,3,4", "1,2,3 4"}[extra]
			expect(t, batches(t, h.invoker.take("f")), want)
		})
	}
}

// An idle mapping has no goroutine and no timer.
func TestIdleMappingsCostNothing(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		before := runtime.NumGoroutine()
		for i := range 1000 {
			f := fmt.Sprint("f", i)
			h.invoker.set(f, ok)
			h.create("t", f, func(r *mapping.CreateRequest) { r.MaximumBatchingWindowInSeconds = new(i % 2) })
		}
		h.backend.write("t", 0, 1)
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before+10 { // the runtime may have some of its own
			t.Errorf("%d goroutines, %d before", after, before)
		}
	})
}

func TestDeleteLeavesNothingBehind(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(context.Context, []byte) lane.Result { time.Sleep(time.Second); return lane.Result{} })
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize = new(1) })
		h.backend.write("t", 0, 1, 2, 3)
		time.Sleep(1500 * time.Millisecond)
		d, err := h.Delete(t.Context(), testScope, v.UUID)
		if err != nil || d.State != mapping.Deleting {
			t.Fatal(d, err)
		}
		time.Sleep(time.Minute)
		expect(t, batches(t, h.invoker.take("f")), "1 2")
		if len(h.backend.mappings) != 0 || len(h.backend.streams[v.StreamARN].watchers) != 0 {
			t.Error("the mapping or its watch is still there")
		}
		h.create("t", "f", nil) // the pair is free again
	})
}
