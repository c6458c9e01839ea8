package trigger

import (
	"github.com/millstreamdb/millstream/internal/backend"
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

// What comes of an answer's writes: made with the position, refused (the function's error), or in the way
// of others (no attempt).
func TestExactlyOnce(t *testing.T) {
	const writes = `{"transactItems":[{"Put":{}}]}`
	exact := func(r *mapping.CreateRequest) {
		r.Tags = map[string]string{"millstream:exactly-once": "true"}
		r.MaximumRetryAttempts = new(2)
	}
	for _, c := range []struct {
		name     string
		answer   string
		err      error
		calls    int
		made     bool
		dropped  uint64
		contains string // of the logged error; what the status tells meanwhile
	}{
		{"made", writes, nil, 1, true, 0, ""},
		{"none", `{"transactItems":[ ]}`, nil, 1, false, 0, ""},
		{"null", `{"transactItems":null,"batchItemFailures":[]}`, nil, 1, false, 0, ""},
		{"refused", writes, &backend.Refused{Why: "the condition failed"}, 3, false, 1, "the condition failed"},
		{"conflict", writes, backend.ErrConflict, 8, false, 0, "met others"},
		{"both", `{"transactItems":[1],"batchItemFailures":[{"itemIdentifier":""}]}`, nil, 3, false, 1, "both transactItems and batchItemFailures"},
		{"not JSON", `{`, nil, 3, false, 1, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				h.invoker.set("f", func(context.Context, []byte) lane.Result { return lane.Result{Payload: []byte(c.answer)} })
				var got []made
				h.backend.set(func() {
					h.backend.transact = func(x made) error {
						got = append(got, x)
						return c.err
					}
				})
				v := h.create("t", "f", exact)
				h.backend.write("t", 0, 1)
				synctest.Wait()
				if b := h.status(v.UUID).Shards[0].Blocked; c.contains != "" && (b == nil || !strings.Contains(b.Error, c.contains)) {
					t.Errorf("blocked %+v, want %q", b, c.contains)
				}
				time.Sleep(30 * time.Second)
				if n := len(h.invoker.take("f")); n != c.calls && !(c.err == backend.ErrConflict && n > 4) {
					t.Errorf("%d calls, want %d", n, c.calls)
				}
				st := h.status(v.UUID)
				if st.Counters.Dropped != c.dropped {
					t.Errorf("counters %+v", st.Counters)
				}
				if c.made {
					if len(got) != 1 || got[0].Cause != 1 || string(got[0].Items) != `[{"Put":{}}]` || len(got[0].Rows) != 1 || got[0].Rows[0].Low != num(1) {
						t.Errorf("made %+v", got)
					}
					if cp := h.backend.row(v.UUID, "shard-0"); cp.Low != num(1) {
						t.Errorf("stored %+v", cp)
					}
				} else if c.err == nil && len(got) > 0 {
					t.Errorf("made %+v", got)
				}
			})
		})
	}
}

// A window's state commits with the writes; a closing call may return some, too.
func TestExactlyOnceWithWindows(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		n := 0
		h.invoker.set("f", func(context.Context, []byte) lane.Result {
			n++
			return lane.Result{Payload: fmt.Appendf(nil, `{"state":{"n":%d},"transactItems":[%d]}`, n, n)}
		})
		var got []made
		h.backend.set(func() {
			h.backend.transact = func(x made) error {
				got = append(got, x)
				return nil
			}
		})
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			r.Tags = map[string]string{"millstream:exactly-once": "true"}
			r.TumblingWindowInSeconds = new(10)
		})
		h.backend.write("t", 0, 1)
		synctest.Wait()
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Low != num(1) || cp.Window == nil || string(cp.Window.State) != `{"n":1}` {
			t.Errorf("stored %+v", cp)
		}
		time.Sleep(20 * time.Second)
		if cp := h.backend.row(v.UUID, "shard-0"); len(got) != 2 || cp.Window != nil || got[0].Rows[0].Window == nil || !got[1].Rows[0].WindowEnded {
			t.Errorf("stored %+v, made %+v", cp, got)
		}
	})
}

// A mapping that is disabled while its writes are being made begins behind them.
func TestDisabledWhileWritesAreMade(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", func(context.Context, []byte) lane.Result {
			return lane.Result{Payload: []byte(`{"transactItems":[1]}`)}
		})
		goOn := make(chan struct{})
		h.backend.set(func() {
			h.backend.transact = func(made) error {
				<-goOn
				return nil
			}
		})
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.Tags = map[string]string{"millstream:exactly-once": "true"} })
		h.backend.write("t", 0, 1)
		synctest.Wait()
		h.update(v.UUID, mapping.Settings{Enabled: new(false)})
		h.update(v.UUID, mapping.Settings{Enabled: new(true)})
		h.update(v.UUID, mapping.Settings{Enabled: new(false)})
		h.backend.write("t", 0, 1)
		synctest.Wait()
		close(goOn)
		synctest.Wait()
		h.update(v.UUID, mapping.Settings{Enabled: new(true)})
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, batches(t, h.invoker.take("f")), "1 2")
	})
}

// Messages of an answer are committed with the position, alone or with writes; beside failed items they are an error.
func TestMessagesOfAnAnswer(t *testing.T) {
	for _, c := range []struct{ answer, items, messages, err string }{
		{`{"sendMessages":[{"a":1}]}`, "", `[{"a":1}]`, ""},
		{`{"sendMessages":[{"a":1}],"transactItems":[{"Put":{}}]}`, `[{"Put":{}}]`, `[{"a":1}]`, ""},
		{`{"sendMessages":[],"transactItems":[{"Put":{}}]}`, `[{"Put":{}}]`, "", ""},
		{`{"sendMessages":[1],"batchItemFailures":[{"itemIdentifier":""}]}`, "", "", "both sendMessages and batchItemFailures"},
	} {
		bubble(t, func(t *testing.T, h *harness) {
			h.invoker.set("f", func(context.Context, []byte) lane.Result { return lane.Result{Payload: []byte(c.answer)} })
			var got []made
			h.backend.set(func() {
				h.backend.transact = func(x made) error {
					got = append(got, x)
					return nil
				}
			})
			v := h.create("t", "f", func(r *mapping.CreateRequest) {
				r.Tags = map[string]string{"millstream:exactly-once": "true"}
				r.MaximumRetryAttempts = new(2)
			})
			h.backend.write("t", 0, 1)
			synctest.Wait()
			if c.err != "" {
				if b := h.status(v.UUID).Shards[0].Blocked; len(got) > 0 || b == nil || !strings.Contains(b.Error, c.err) {
					t.Errorf("%s: made %+v, blocked %+v", c.answer, got, b)
				}
				time.Sleep(time.Minute)
				return
			}
			if len(got) != 1 || string(got[0].Items) != c.items || string(got[0].Messages) != c.messages || h.backend.row(v.UUID, "shard-0").Low != num(1) {
				t.Errorf("%s: made %+v", c.answer, got)
			}
		})
	}
}

// A child's first writes commit with its parent's end, when that is not stored yet; if they are refused, the end is stored as ever.
func TestWritesOfAChildBringTheParentsEnd(t *testing.T) {
	for _, refused := range []bool{false, true} {
		bubble(t, func(t *testing.T, h *harness) {
			h.invoker.set("f", func(_ context.Context, payload []byte) lane.Result {
				return lane.Result{Payload: []byte(`{"transactItems":[1]}`)}
			})
			var mu sync.Mutex
			var all []made
			seen := func() []made {
				mu.Lock()
				defer mu.Unlock()
				return slices.Clone(all)
			}
			h.backend.set(func() {
				h.backend.transact = func(x made) error {
					mu.Lock()
					defer mu.Unlock()
					all = append(all, x)
					if refused && len(all) == 2 {
						return &backend.Refused{Why: "the condition failed"}
					}
					return nil
				}
			})
			v := h.create("t", "f", func(r *mapping.CreateRequest) { r.Tags = map[string]string{"millstream:exactly-once": "true"} })
			h.backend.write("t", 0, 1)
			time.Sleep(time.Second)
			h.backend.split("t", 0)
			h.backend.write("t", 1, 1)
			synctest.Wait()
			got := seen()
			if len(got) != 2 || len(got[1].Rows) != 2 || got[1].Rows[0].Shard != "shard-0" || !got[1].Rows[0].Done || got[1].Rows[1].Shard != "shard-1" {
				t.Fatalf("made %+v", got)
			}
			if !refused {
				h.crash()
				if !h.backend.row(v.UUID, "shard-0").Done || h.backend.row(v.UUID, "shard-1").Low != num(1) {
					t.Errorf("stored %+v", h.backend.mappings)
				}
				return
			}
			time.Sleep(time.Minute)
			got = seen()
			if !h.backend.row(v.UUID, "shard-0").Done || h.backend.row(v.UUID, "shard-1").Low != num(1) || len(got) != 3 || len(got[2].Rows) != 1 {
				t.Errorf("stored %+v, made %+v", h.backend.mappings, got)
			}
		})
	}
}
