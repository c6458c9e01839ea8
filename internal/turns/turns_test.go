package turns

import (
	"testing"
	"time"
)

func TestTurns(t *testing.T) {
	var turns Turns
	if got := turns.Wait(0, 10); got != time.Millisecond {
		t.Errorf("without knowledge: %v", got)
	}
	for range 100 {
		turns.Took(200 * time.Millisecond)
	}
	// Ten places are free again every 20 ms: refused callers come one after the other.
	now := time.Second
	for i := range 5 {
		if got, want := turns.Wait(now, 10), time.Duration(i+1)*20*time.Millisecond; got != want {
			t.Errorf("caller %d waits %v, want %v", i, got, want)
		}
	}
	// Turns pass.
	if got := turns.Wait(now+time.Minute, 10); got != 20*time.Millisecond {
		t.Errorf("a minute later: %v", got)
	}
	// No wait is longer than the most that is told.
	for range 1000 {
		if got := turns.Wait(now+time.Minute, 10); got > Most {
			t.Fatalf("told to wait %v", got)
		}
	}
	if got := turns.Wait(now+time.Minute, 10); got != Most {
		t.Errorf("behind 1,000 others: %v", got)
	}
}
