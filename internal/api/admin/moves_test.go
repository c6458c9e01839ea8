package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The places that a person may write.
func TestPlaces(t *testing.T) {
	now := time.Unix(1767323045, 0)
	for text, want := range map[string]string{
		"HORIZON": "true false 0 0", "TRIM_HORIZON": "true false 0 0", "LATEST": "false true 0 0",
		"2026-01-02T03:04:05Z": "false false 1767323045 0", "2026-01-02T04:04:05+01:00": "false false 1767323045 0",
		"1767323045": "false false 1767323045 0", "1767323045.5": "false false 1767323045 0", "2h": "false false 1767315845 0",
		"100000000000000000042": "false false 0 100000000000000000042",
		"":                      "want HORIZON", "-2h": "want HORIZON", "2026-01-02": "want HORIZON",
	} {
		p, err := parsePlace(text, now)
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %s", text, err, want)
			}
			continue
		}
		var seconds int64
		if !p.Time.IsZero() {
			seconds = p.Time.Unix()
		}
		if got := fmt.Sprint(p.Horizon, p.Latest, seconds, " ", p.Record); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
