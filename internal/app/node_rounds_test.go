package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// What is done in rounds is done soon after the start, not at the same moment by all, and then as often as said.
func TestRoundsBeginSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		firsts := map[time.Duration]bool{}
		for range 20 {
			var rounds []time.Duration
			ctx, end := context.WithCancel(ctx)
			onRounds(ctx, sweepSoon, sweepEvery, func() {
				if rounds = append(rounds, time.Since(began)); len(rounds) == 2 {
					end()
				}
			})
			if first := rounds[0]; first < sweepSoon || first > 2*sweepSoon || rounds[1]-first != sweepEvery {
				t.Fatalf("the first rounds are after %v", rounds)
			}
			firsts[rounds[0]] = true
			began = time.Now()
		}
		if len(firsts) < 2 {
			t.Error("all begin at the same moment")
		}
		cancel()
	})
}
