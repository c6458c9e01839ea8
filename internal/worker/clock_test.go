package worker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

// TestClock: which steps of the wall clock suspend ageing, and for how long.
func TestClock(t *testing.T) {
	for _, c := range []struct {
		name   string
		step   time.Duration
		ageing bool
	}{
		{"none", 0, true},
		{"five minutes", 5 * time.Minute, true},
		{"more", 5*time.Minute + time.Millisecond, false},
		{"a year", 365 * 24 * time.Hour, false},
		{"back", -365 * 24 * time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				step := time.Duration(0)
				clock := worker.NewClock(func() time.Time { return time.Now().Add(step) })
				time.Sleep(365 * 24 * time.Hour) // a long pause is no step
				expect := func(when string, want bool) {
					t.Helper()
					now, ageing := clock.Now()
					if ageing != want || !now.Equal(time.Now().Add(step).Truncate(time.Millisecond)) {
						t.Fatalf("%s: %v, ageing %v, want %v", when, now, ageing, want)
					}
				}
				expect("before", true)
				step = c.step
				expect("after the step", c.ageing)
				time.Sleep(time.Hour - time.Millisecond)
				expect("just before an hour", c.ageing)
				time.Sleep(time.Millisecond)
				expect("after an hour", true)
				step += c.step
				expect("after a second step", c.ageing)
				clock.Accept()
				expect("accepted", true)
				step += c.step
				clock.Accept() // sees the step that it accepts
				expect("accepted unseen", true)
				mono, ms, ageing := clock.Instant()
				if mono != 365*24*time.Hour+time.Hour || ms != time.Now().Add(step).UnixMilli() || !ageing {
					t.Errorf("instant %v %d %v", mono, ms, ageing)
				}
			})
		})
	}
}
