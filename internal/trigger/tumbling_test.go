package trigger

import (
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"

	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// windowed counts the records of windows, and keeps what closed with how many.
type windowed struct{ closed []string }

func (w *windowed) call(_ context.Context, payload []byte) lane.Result {
	var in struct {
		Records []json.RawMessage
		Window  struct{ Start, End string }
		State   struct{ N int }
		Final   bool   `json:"isFinalInvokeForWindow"`
		Shard   string `json:"shardId"`
		ARN     string `json:"eventSourceARN"`
	}
	if err := json.Unmarshal(payload, &in); err != nil || in.Shard != "shard-0" || !strings.HasPrefix(in.ARN, "arn:aws:dynamodb:") {
		return lane.Result{Outcome: lane.FunctionError, Error: "not the event of a window: " + string(payload)}
	}
	if in.Final {
		w.closed = append(w.closed, fmt.Sprintf("%s-%s:%d", in.Window.Start[11:19], in.Window.End[11:19], in.State.N))
	}
	return lane.Result{Payload: fmt.Appendf(nil, `{"state":{"n":%d}}`, in.State.N+len(in.Records))}
}

// A window counts right over crashes in the middle: what the stored position does not
// cover comes again, and the stored state does not know of it.
func TestTumblingOverCrashes(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		var w windowed
		h.invoker.set("f", w.call)
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.TumblingWindowInSeconds, r.BatchSize = new(600), new(7) })
		for i := range 1100 {
			h.backend.write("t", 0, i%5)
			time.Sleep(time.Second)
			switch i % 100 {
			case 17:
				h.crash()
			case 57: // crash right after an invocation, before its position is stored
				h.backend.write("t", 0, 1)
				synctest.Wait()
				h.crash()
			case 77:
				h.update(v.UUID, mapping.Settings{Enabled: new(false)})
				h.update(v.UUID, mapping.Settings{Enabled: new(true)})
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait() // until the last call has returned
		expect(t, strings.Join(w.closed, " "), "00:00:00-00:10:00:606 00:10:00-00:20:00:505")
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Window != nil {
			t.Errorf("a window is left: %+v", cp.Window)
		}
	})
}

// A record that was written in a window's time belongs to it, however long its sync takes: the window waits, and is closed once.
func TestWindowWaitsForSync(t *testing.T) {
	for _, late := range []time.Duration{time.Second, 1500 * time.Millisecond, 10 * time.Second, 3 * time.Minute} {
		bubble(t, func(t *testing.T, h *harness) {
			var w windowed
			h.invoker.set("f", w.call)
			h.create("t", "f", func(r *mapping.CreateRequest) { r.TumblingWindowInSeconds = new(60) })
			h.backend.write("t", 0, 1)
			time.Sleep(time.Minute - 10*time.Millisecond)
			sync := h.backend.writeLate("t", 0, 2)
			time.Sleep(late)
			if synctest.Wait(); len(w.closed) != 0 {
				t.Errorf("after a sync of %v the window is closed already: %v", late, w.closed)
			}
			sync()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			expect(t, strings.Join(w.closed, " "), "00:00:00-00:01:00:2")
		})
	}
}

// A window ends by the records that its mapping's filter refuses, too: on a shard that is never without a record on its way to the disk, nothing
// else shows that none of the window is still to come.
func TestWindowEndsByRefusedRecords(t *testing.T) {
	for _, pause := range []time.Duration{time.Millisecond, 30 * time.Millisecond, 700 * time.Millisecond} {
		bubble(t, func(t *testing.T, h *harness) {
			var w windowed
			h.invoker.set("f", w.call)
			h.create("t", "f", func(r *mapping.CreateRequest) {
				r.TumblingWindowInSeconds, r.FilterCriteria = new(60), filters(`{"dynamodb":{"NewImage":{"key":{"N":["1"]}}}}`)
			})
			h.backend.write("t", 0, 1, 1)
			time.Sleep(59 * time.Second)
			for range 4 * time.Second / pause {
				h.backend.writeBusy("t", 0, 2)
				time.Sleep(pause)
			}
			synctest.Wait()
			expect(t, strings.Join(w.closed, " "), "00:00:00-00:01:00:2")
		})
	}
}

// A position with a window is stored at most every 100 ms, whatever the function does;
// other mappings' positions do not wait for it.
func TestWindowCommits(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		var w windowed
		h.invoker.set("f", w.call)
		h.invoker.set("g", ok)
		h.create("t", "f", func(r *mapping.CreateRequest) { r.TumblingWindowInSeconds = new(900) })
		time.Sleep(time.Second)
		h.backend.takeCommits()
		for range 1000 {
			h.backend.write("t", 0, 1)
			time.Sleep(time.Millisecond)
		}
		if n := h.backend.takeCommits(); n < 8 || n > 12 {
			t.Errorf("%d commits in a second", n)
		}
		v := h.create("t", "g", func(r *mapping.CreateRequest) { r.StartingPosition = new("LATEST") })
		h.backend.write("t", 0, 1)
		time.Sleep(10 * time.Millisecond)
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Low != num(1001) {
			t.Errorf("the other mapping's position is not stored: %+v", cp)
		}
	})
}

// The end of a shard with a window is on the disk before its children's positions, whenever the engine crashes: nothing of the parent comes
// after what the children have delivered.
func TestWindowEndsBeforeChildren(t *testing.T) {
	for after := range 40 {
		bubble(t, func(t *testing.T, h *harness) {
			h.invoker.set("f", func(context.Context, []byte) lane.Result { return lane.Result{Payload: []byte(`{"state":{"n":1}}`)} })
			v := h.create("t", "f", func(r *mapping.CreateRequest) { r.TumblingWindowInSeconds = new(900) })
			h.backend.write("t", 0, 1)
			time.Sleep(time.Second) // its window is stored
			h.backend.write("t", 0, 1)
			time.Sleep(time.Second)
			h.backend.write("t", 0, 1)
			time.Sleep(20 * time.Millisecond) // its state is stored, so the next has to wait
			h.backend.split("t", 0)
			h.backend.write("t", 1, 1)
			time.Sleep(time.Duration(after) * 5 * time.Millisecond)
			synctest.Wait()
			h.crash()
			synctest.Wait()
			if parent, child := h.backend.row(v.UUID, "shard-0"), h.backend.row(v.UUID, "shard-1"); num(0).Less(child.Low) && !parent.Done {
				t.Errorf("a crash after %d ms: child %+v, parent %+v", after*5, child, parent)
			}
		})
	}
}
