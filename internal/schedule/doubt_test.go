package schedule

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// TestDoubtedClock: a clock that jumps ahead and comes back gives no delivery up, leaves no last start out, removes no schedule, and ends none.
func TestDoubtedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var step, busy atomic.Int64
		start := time.Now()
		w := &world{t: t, disk: crashtest.New(), wall: func() time.Time { return begin.Add(time.Since(start) + time.Duration(step.Load())) }}
		w.open(begin)
		t.Cleanup(w.close)
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		waiting := w.create(definition("waiting", "at(2030-01-01T00:01:00)"))
		busy.Store(1)
		w.fail = func(d *outbox.Delivery) error {
			if d.Source == waiting && busy.Load() > 0 {
				return errBusy
			}
			return nil
		}
		age := minAgeSeconds
		d := definition("once", "at(2030-01-01T06:00:00)")
		d.DeleteAfter, d.Targets[0].MaxAge = true, &age
		once := w.create(d)
		d = definition("ends", "cron(0 * * * ? *)")
		d.EndMS = begin.Add(5 * 24 * time.Hour).UnixMilli()
		ends := w.create(d)
		pass(2 * time.Minute)
		step.Store(int64(10 * 24 * time.Hour))
		pass(10 * time.Minute)
		w.expect(function, once, "2030-01-01T06:00:00Z")
		if _, err := w.s.Schedule(testScope, "", "once"); err != nil {
			t.Error("a clock that is not believed has removed a schedule: ", err)
		}
		busy.Store(0)
		pass(10 * time.Minute)
		w.expect(function, waiting, "2030-01-01T00:01:00Z")
		if n := w.box.GivenUp(); n != 0 {
			t.Error(n, " deliveries were given up")
		}
		step.Store(0)
		before := len(w.got(function)[ends])
		pass(3 * time.Hour)
		got := w.got(function)[ends][before:]
		if want := []string{"2030-01-01T02:00:00Z", "2030-01-01T03:00:00Z"}; !slices.Equal(got, want) {
			t.Errorf("once the clock is right %v has started, want %v", got, want)
		}
		pass(3 * time.Hour)
		if _, err := w.s.Schedule(testScope, "", "once"); err == nil {
			t.Error("a schedule that is to be removed after its end is there")
		}
		w.expect(function, once, "2030-01-01T06:00:00Z")
	})
}

// TestChangesUnderAClockThatWasAhead: what was made, enabled or ended while the clock stood years ahead starts as it should once the clock is right,
// also after another restart.
func TestChangesUnderAClockThatWasAhead(t *testing.T) {
	w := newWorld(t)
	rule := func(name, expression string, disabled bool) string {
		arn, err := w.s.PutRule(Definition{Scope: testScope, Name: name, Expression: expression, Disabled: disabled})
		w.must(err)
		_, err = w.s.PutTargets(testScope, name, []Target{{ID: "1", ARN: function}})
		w.must(err)
		return arn + "#1"
	}
	enabled := rule("enabled", "rate(30 minutes)", true)
	d := definition("ends", "cron(0 * * * ? *)")
	d.EndMS = begin.Add(72 * time.Hour).UnixMilli()
	ends := w.create(d)
	w.close()
	w.open(time.Date(2039, 1, 1, 0, 0, 30, 0, time.UTC))
	w.advance(0)
	w.must(w.s.EnableRule(testScope, "enabled", true))
	cron := w.create(definition("cron", "cron(15 * * * ? *)"))
	rate := rule("rate", "rate(40 minutes)", false)
	w.close()
	w.open(time.UnixMilli(0)) // the machine has started and does not know the time yet
	w.s.fire()
	w.advance(time.Hour)
	w.close()
	w.open(begin)
	w.s.fire() // as a clock that goes by itself looks every half minute
	w.advance(35 * time.Minute)
	w.close()
	w.open(begin.Add(35 * time.Minute))
	w.s.fire()
	w.advance(115 * time.Minute)
	w.expect(function, cron, "2030-01-01T00:15:00Z", "2030-01-01T01:15:00Z", "2030-01-01T02:15:00Z")
	w.expect(function, rate, "2030-01-01T00:40:30Z", "2030-01-01T01:20:30Z", "2030-01-01T02:00:30Z")
	w.expect(function, enabled, "2030-01-01T00:30:30Z", "2030-01-01T01:00:30Z", "2030-01-01T01:30:30Z", "2030-01-01T02:00:30Z", "2030-01-01T02:30:30Z")
	w.expect(function, ends, "2030-01-01T02:00:00Z") // that of one o'clock counts as left out
}
