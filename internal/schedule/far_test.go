package schedule

import (
	"strings"
	"testing"
	"time"
)

// TestFarDates: a start in the year 9999, as who means "never" writes it, is waited for, also by a manual clock; later dates are refused.
func TestFarDates(t *testing.T) {
	w := newWorld(t)
	never := w.create(definition("never", "at(9999-12-31T23:59:59)"))
	d := definition("late", "rate(1 minute)")
	d.StartMS = endOfTime - 60_000
	d.WindowMinutes = maxWindow
	late := w.create(d)
	beyond := definition("beyond", "at(9999-12-31T23:59:59)") // in the year 10000 in UTC
	beyond.Timezone = "America/New_York"
	w.create(beyond)
	w.advance(3 * 366 * 24 * time.Hour)
	w.expect(function, never)
	w.expect(function, late)
	for name, want := range map[string]bool{"never": true, "late": true, "beyond": false} {
		if d, err := w.s.Schedule(testScope, "", name); err != nil || (d.NextMS != 0) != want {
			t.Error(name, " is next due at ", d.NextMS, err)
		}
	}
	for _, c := range [][2]int64{{endOfTime + 1, 0}, {9223372036854775000, 0}, {1 << 62, 0}, {0, endOfTime + 1}} {
		d := definition("refused", "rate(1 minute)")
		d.StartMS, d.EndMS, d.WindowMinutes = c[0], c[1], 15
		if _, err := w.s.Create(d); err == nil || !strings.Contains(err.Error(), "9999") {
			t.Error(c, " is answered with ", err)
		}
	}
}

// TestWindowTakesNoAge: a start that is made late in its flexible window is as young as one at its moment.
func TestWindowTakesNoAge(t *testing.T) {
	w := newWorld(t)
	age := minAgeSeconds
	d := definition("s", "cron(0 * * * ? *)")
	d.WindowMinutes, d.Targets[0].MaxAge = 50, &age
	source := w.create(d)
	w.advance(24 * time.Hour)
	if got := w.got(function)[source]; len(got) < 23 { // the last one may still be to come
		t.Errorf("%d starts in a day: %v", len(got), got)
	}
}
