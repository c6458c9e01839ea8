package trigger

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// What mappings have made of a record is told: as it stands, and how it ended.
func TestOutcomes(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		for _, f := range []string{"waits", "parks", "drops", "holds", "takes"} {
			h.invoker.set(f, failsOn("3"))
		}
		h.invoker.set("takes", ok)
		h.create("t", "waits", func(r *mapping.CreateRequest) { r.BatchSize = new(1) })
		parks := h.create("t", "parks", func(r *mapping.CreateRequest) {
			tagged("park")(r)
			r.BatchSize, r.MaximumRetryAttempts = new(1), new(0)
		})
		h.create("t", "drops", func(r *mapping.CreateRequest) { r.BatchSize, r.MaximumRetryAttempts = new(1), new(0) })
		h.create("t", "holds", func(r *mapping.CreateRequest) {
			tagged("block-key")(r)
			r.BatchSize = new(1)
		})
		takes := h.create("t", "takes", nil)
		h.backend.write("t", 0, 1, 3, 2)
		time.Sleep(time.Second)
		want := func(number int, list string) {
			t.Helper()
			_, all, err := h.Outcomes(t.Context(), takes.StreamARN, num(uint64(number)))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, o := range all {
				if o.What != Taken && o.What != Waits && o.What != Ended && (o.Error != "boom" || o.Attempts == 0) {
					t.Errorf("%+v", o)
				}
				got += fmt.Sprint(o.What, " ")
			}
			expect(t, got, list)
		}
		want(1, "taken taken taken taken taken ")
		want(2, "fails parked dropped held taken ")
		want(3, "waits taken taken taken taken ")
		if _, _, err := h.Outcomes(t.Context(), takes.StreamARN, num(9)); !errors.Is(err, ErrNoRecord) {
			t.Error(err)
		}
		if n, _, err := h.Redrive(t.Context(), parks.UUID, Redrive{Discard: true}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		want(2, "fails dropped dropped held taken ")
		all, err := h.Failures(parks.UUID)
		if err != nil || len(all) != 1 || all[0].Error != "boom" || all[0].First != num(2) || all[0].Then.String() != "parked" || all[0].Keys == "" {
			t.Errorf("%+v %v", all, err)
		}
		if all, err = h.Failures(takes.UUID); err != nil || len(all) != 0 {
			t.Errorf("%+v %v", all, err)
		}
		if _, err := h.Failures("nobody"); err != backend.ErrNoMapping {
			t.Error(err)
		}
		// After a crash what ended before is not known any more; what stands still is.
		time.Sleep(time.Second)
		h.crash()
		synctest.Wait()
		want(2, "fails ended ended held ended ")
		h.backend.write("t", 0, 7)
		time.Sleep(time.Second)
		want(4, "waits taken taken taken taken ")
	})
}

// Of failures and losses the newest are remembered, and what was forgotten is not called taken.
func TestMemoryIsBounded(t *testing.T) {
	var y memory
	for i := range 2 * maxFailures {
		y.failed(FailedCall{Records: i})
	}
	if len(y.failures) != maxFailures || y.failures[0].Records != maxFailures {
		t.Errorf("%d failures, the oldest %d", len(y.failures), y.failures[0].Records)
	}
	for i := range 2 * maxLosses {
		l := lostRecord{time: int64(i)}
		l.Seq = num(uint64(i))
		y.lost(l)
	}
	l := lostRecord{}
	for i, known := range map[int]bool{0: false, maxLosses - 1: false, maxLosses: true, 2*maxLosses - 1: true} {
		l.Seq = num(uint64(i))
		if loss, sure := y.lossOf(l.AsideKey, int64(i)); (loss != nil) != known || sure != known {
			t.Errorf("loss %d: %v, %v", i, loss, sure)
		}
	}
}

// What a machine has dropped is known as dropped, with the reason, when the caller has left, and when it could not be stored at first.
func TestDropsAreKnownWhoeverLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", fails)
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			tagged("park")(r)
			r.BatchSize, r.MaximumRetryAttempts = new(1), new(0)
		})
		what := func(number int) string {
			t.Helper()
			_, all, err := h.Outcomes(t.Context(), v.StreamARN, num(uint64(number)))
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			return fmt.Sprint(all[0].What, " ", all[0].Reason)
		}
		h.backend.write("t", 0, 1)
		time.Sleep(time.Second)
		ctx, leave := context.WithCancel(t.Context())
		h.backend.set(func() { h.backend.onRead = leave })
		if n, _, err := h.Redrive(ctx, v.UUID, Redrive{Discard: true, Reason: "old"}); n != 1 || err != nil {
			t.Error(n, err)
		}
		h.backend.set(func() { h.backend.onRead = nil })
		expect(t, what(1), "dropped old")
		if notes := h.status(v.UUID).Notes; len(notes) != 1 || notes[0].Reason != "old" {
			t.Errorf("notes %+v", notes)
		}

		h.backend.write("t", 0, 1)
		time.Sleep(time.Second)
		h.backend.set(func() { h.backend.fail = errors.New("no room") })
		if _, _, err := h.Redrive(t.Context(), v.UUID, Redrive{Discard: true, Reason: "old"}); err == nil {
			t.Error("nothing could be stored")
		}
		h.backend.set(func() { h.backend.fail = nil })
		time.Sleep(time.Minute)
		expect(t, what(2), "dropped old")
	})
}

// A record is not called taken while what is set aside of it is not stored yet.
func TestNothingIsTakenThatIsNotStored(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", fails)
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			tagged("park")(r)
			r.BatchSize, r.MaximumRetryAttempts = new(1), new(0)
		})
		h.backend.set(func() { h.backend.fail = errors.New("no room") })
		h.backend.write("t", 0, 1)
		time.Sleep(time.Second)
		what := func() Ending {
			t.Helper()
			_, all, err := h.Outcomes(t.Context(), v.StreamARN, num(1))
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			return all[0].What
		}
		if got := what(); got == Taken || got == Ended {
			t.Errorf("%v", got)
		}
		h.backend.set(func() { h.backend.fail = nil })
		time.Sleep(time.Minute)
		if got := what(); got != ParkedAside {
			t.Errorf("%v", got)
		}
	})
}
