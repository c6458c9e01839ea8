package main

import (
	"testing"
	"time"
)

func TestDays(t *testing.T) {
	for text, want := range map[string]struct {
		d    time.Duration
		text string
	}{"7d": {7 * day, "7d"}, "1.5d": {36 * time.Hour, "36h0m0s"}, "48h": {2 * day, "2d"}, "0": {0, "0s"}, "90m": {90 * time.Minute, "1h30m0s"}} {
		var d days
		if err := d.Set(text); err != nil || time.Duration(d) != want.d || d.String() != want.text {
			t.Errorf("%s: %v, %s, %v", text, time.Duration(d), d.String(), err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-1h", "7", "NaNd", "99999999d"} {
		if d := new(days); d.Set(text) == nil {
			t.Errorf("%q is %s", text, d)
		}
	}
}
