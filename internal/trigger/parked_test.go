package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// failsOn fails on batches with a record of these keys.
func failsOn(keys ...string) func(context.Context, []byte) lane.Result {
	return func(_ context.Context, payload []byte) lane.Result {
		var doc struct{ Records []struct{ Key string } }
		if err := json.Unmarshal(payload, &doc); err != nil {
			return lane.Result{Outcome: lane.FunctionError, Error: err.Error()}
		}
		for _, r := range doc.Records {
			for _, k := range keys {
				if r.Key == k {
					return lane.Result{Outcome: lane.FunctionError, Error: "boom"}
				}
			}
		}
		return lane.Result{}
	}
}

func tagged(value string) func(*mapping.CreateRequest) {
	return func(r *mapping.CreateRequest) { r.Tags = map[string]string{"millstream:on-failure": value} }
}

// A poisoned key waits on its own, also across a crash, and is done when the function is mended.
func TestBlockKey(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", failsOn("3"))
		v := h.create("t", "f", tagged("block-key"))
		h.backend.write("t", 0, 1, 2, 3, 4, 3)
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		st := h.status(v.UUID)
		if st.Held != 2 || st.LagRecords != 0 || st.Counters.Held != 2 || st.OnFailure != lane.BlockKey || len(h.backend.aside[v.UUID]) != 2 {
			t.Errorf("status %+v", st)
		}
		h.crash()
		h.backend.write("t", 0, 3, 5)
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		st = h.status(v.UUID)
		if b := st.HeldBlocked; st.Held != 3 || b == nil || b.Error != "boom" || b.Records != 3 || b.SequenceNumber != num(3) || b.Attempts < 4 {
			t.Errorf("status %+v, blocked %+v", st, b)
		}
		h.invoker.take("f")
		h.invoker.set("f", ok)
		h.FunctionChanged(v.FunctionARN)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "3 5,6")
		time.Sleep(time.Second)
		if st := h.status(v.UUID); st.Held != 0 || st.AsideBytes != 0 || len(h.backend.aside[v.UUID]) != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

// The tag of a mapping counts before that of its function, and that before that of the table.
func TestOnFailureTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, "t")
		h.stop()
		function, table := map[string]string{}, map[string]string{}
		h.opts.Tags = func(string, string) (map[string]string, map[string]string) { return function, table }
		h.start()
		defer h.stop()
		for _, c := range []struct {
			mapping, function, table string
			want                     lane.OnFailure
		}{
			{"", "", "", lane.BlockShard}, {"", "", "park", lane.Park}, {"", "block-key", "park", lane.BlockKey}, {"park", "block-key", "", lane.Park},
			{"block-shard", "block-key", "park", lane.BlockShard}, {"", "nonsense", "park", lane.Park},
		} {
			function["millstream:on-failure"], table["millstream:on-failure"] = c.function, c.table
			h.invoker.set("f", ok)
			v := h.create("t", "f", func(r *mapping.CreateRequest) {
				if c.mapping != "" {
					tagged(c.mapping)(r)
				}
			})
			if got := h.status(v.UUID).OnFailure; got != c.want {
				t.Errorf("%+v: %s", c, got)
			}
			if _, err := h.Delete(t.Context(), testScope, v.UUID); err != nil {
				t.Fatal(err)
			}
		}
		_, err := h.Create(t.Context(), testScope, mapping.CreateRequest{
			EventSourceArn: new(testScope.StreamARN("t", testLabel)), StartingPosition: new("LATEST"),
			Settings: mapping.Settings{FunctionName: new("f")}, Tags: map[string]string{"millstream:on-failure": "never"},
		})
		if err == nil || !strings.Contains(err.Error(), "takes block-shard, block-key or park, not: never") {
			t.Error(err)
		}
	})
}

// Parked records are listed, redriven at a rate to another function, and dropped.
func TestRedrive(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", fails)
		h.invoker.set("g", ok)
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			tagged("park")(r)
			r.MaximumRetryAttempts = new(0)
		})
		for k := range 20 {
			h.backend.write("t", 0, k)
		}
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		list := func(f AsideFilter) []lane.SetAside {
			var all []lane.SetAside
			from, more := lane.AsideKey{}, true
			for more {
				var page []lane.SetAside
				var err error
				page, from, more, err = h.ListAside(t.Context(), v.UUID, f, from, 3)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, page...)
			}
			return all
		}
		all := list(AsideFilter{})
		if len(all) != 20 || len(list(AsideFilter{Kind: lane.Parked})) != 20 || len(list(AsideFilter{Kind: lane.Held})) != 0 ||
			len(list(AsideFilter{After: time.Now().UnixMilli() + 1})) != 0 || len(list(AsideFilter{ID: all[7].AsideKey})) != 1 {
			t.Errorf("listed %+v", all)
		}
		if k, ok := lane.ParseAsideKey(all[7].AsideKey.String()); !ok || k != all[7].AsideKey {
			t.Errorf("%s is read as %+v", all[7].AsideKey, k)
		}
		if r, err := h.AsideRecord(t.Context(), v.UUID, all[7].AsideKey); err != nil || !strings.Contains(string(r.Event), `"key":"7"`) {
			t.Error(r, err)
		}
		began := time.Now()
		n, _, err := h.Redrive(t.Context(), v.UUID, Redrive{Function: "g", Rate: 5, Limit: 11})
		if took := time.Since(began); err != nil || n != 11 || took < 2*time.Second || took > 3*time.Second {
			t.Errorf("%d records in %v: %v", n, took, err)
		}
		time.Sleep(time.Second)
		if got := h.invoker.take("g"); len(got) != 11 {
			t.Errorf("%d calls", len(got))
		}
		if n, _, err := h.Redrive(t.Context(), v.UUID, Redrive{Discard: true}); err != nil || n != 9 {
			t.Error(n, err)
		}
		time.Sleep(time.Second)
		if st := h.status(v.UUID); st.Held+st.Parked != 0 || len(h.backend.aside[v.UUID]) != 0 {
			t.Errorf("status %+v", st)
		}
		if _, err := h.AsideRecord(t.Context(), v.UUID, all[7].AsideKey); err != ErrNotAside {
			t.Error(err)
		}
		if _, _, err := h.Redrive(t.Context(), "nobody", Redrive{}); err != backend.ErrNoMapping {
			t.Error(err)
		}
	})
}

// What was answered is durable: a crash right after it brings no dropped record back, and forgets no redriven one.
func TestRedriveIsDurable(t *testing.T) {
	for name, q := range map[string]Redrive{"dropped": {Discard: true}, "redriven": {}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				h.invoker.set("f", fails)
				v := h.create("t", "f", func(r *mapping.CreateRequest) {
					withTags("millstream:on-failure", "park")(r)
					r.MaximumRetryAttempts = new(0)
				})
				h.backend.write("t", 0, 1, 2, 3)
				time.Sleep(time.Second)
				if st := h.status(v.UUID); st.Parked != 3 {
					t.Fatalf("%d parked", st.Parked)
				}
				if n, _, err := h.Redrive(t.Context(), v.UUID, q); n != 3 || err != nil {
					t.Fatal(n, err)
				}
				h.backend.crash() // not an instant later
				h.stop()
				h.invoker.set("f", nil)
				h.start()
				if st := h.status(v.UUID); st.Parked != 0 {
					t.Errorf("%d are parked again", st.Parked)
				}
			})
		})
	}
	bubble(t, func(t *testing.T, h *harness) { // no room on the disk
		h.invoker.set("f", fails)
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			withTags("millstream:on-failure", "park")(r)
			r.MaximumRetryAttempts = new(0)
		})
		h.backend.write("t", 0, 1)
		time.Sleep(time.Second)
		h.backend.set(func() { h.backend.fail = errors.New("no room") })
		if n, _, err := h.Redrive(t.Context(), v.UUID, Redrive{Discard: true}); n != 0 || err == nil || !strings.Contains(err.Error(), "no room") {
			t.Errorf("%d, %v", n, err)
		}
		h.backend.set(func() { h.backend.fail = nil })
		time.Sleep(time.Minute)
		h.crash()
		if st := h.status(v.UUID); st.Parked != 0 {
			t.Error("what could not be stored at first never was")
		}
	})
}

// A held record is given up by a person: it is parked, what waits behind it goes at once, and the reason is kept.
func TestGiveUp(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", failsOn("3"))
		v := h.create("t", "f", tagged("block-key"))
		h.backend.write("t", 0, 1, 3, 2, 5)
		if err := h.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // the next attempt is minutes away
		h.backend.write("t", 0, 3)
		time.Sleep(time.Second)
		if st := h.status(v.UUID); st.Held != 2 {
			t.Fatalf("%d held", st.Held)
		}
		rows, _, _, err := h.ListAside(t.Context(), v.UUID, AsideFilter{Error: "BOOM"}, lane.AsideKey{}, 10)
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		h.invoker.take("f")
		h.invoker.set("f", ok)
		if n, _, err := h.Redrive(t.Context(), v.UUID, Redrive{GiveUp: true, AsideFilter: AsideFilter{ID: rows[0].AsideKey}, Reason: "broken"}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("f")), "5")
		time.Sleep(time.Second)
		h.crash()
		st := h.status(v.UUID)
		if st.Held != 0 || st.Parked != 1 || len(st.Notes) != 1 || st.Notes[0].Reason != "broken" || st.Notes[0].What != mapping.GaveUp {
			t.Errorf("%+v", st)
		}
		if r, err := h.AsideRecord(t.Context(), v.UUID, rows[0].AsideKey); err != nil || r.Reason != lane.GivenUp || r.Attempts < 2 || r.Error != "boom" {
			t.Errorf("%+v %v", r, err)
		}
		// What is dropped for one reason within a minute is one note; there are twenty at most.
		for _, reason := range []string{"a", "a", "b"} {
			h.invoker.set("f", failsOn("3"))
			h.backend.write("t", 0, 3)
			time.Sleep(time.Second)
			if n, _, err := h.Redrive(t.Context(), v.UUID, Redrive{GiveUp: true, Reason: reason}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			time.Sleep(time.Second)
		}
		if n, _, err := h.Redrive(t.Context(), v.UUID, Redrive{Discard: true, Reason: "b"}); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		var notes []string
		for _, n := range h.status(v.UUID).Notes {
			notes = append(notes, fmt.Sprint(n.What, " ", n.Records, " ", n.Reason))
		}
		expect(t, strings.Join(notes, ", "), "given up 1 broken, given up 2 a, given up 1 b, dropped 4 b")
	})
}

// A record with which a call is under way is not given up.
func TestGiveUpDuringACall(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", failsOn("3"))
		v := h.create("t", "f", tagged("block-key"))
		h.backend.write("t", 0, 3)
		time.Sleep(100 * time.Millisecond)
		release := make(chan struct{})
		h.invoker.set("f", func(context.Context, []byte) lane.Result { <-release; return lane.Result{} })
		time.Sleep(time.Hour)
		if n, _, err := h.Redrive(t.Context(), v.UUID, Redrive{GiveUp: true}); n != 0 || !errors.Is(err, ErrUnderWay) {
			t.Errorf("%d %v", n, err)
		}
		close(release)
		time.Sleep(time.Second)
		if st := h.status(v.UUID); st.Held+st.Parked != 0 || len(st.Notes) != 0 {
			t.Errorf("%+v", st)
		}
	})
}
