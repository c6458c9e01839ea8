package trigger

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Below the limit nothing waits; above it the pause settles the rate near the limit,
// and a quiet moment ends it.
func TestPace(t *testing.T) {
	p := newPace(false)
	p.limit = 3000
	now := time.Duration(0)
	calls := func(apart time.Duration, n int) {
		for range n {
			now += apart
			p.called(now)
		}
	}
	calls(time.Millisecond, 1000)
	if p.gather() != 0 {
		t.Errorf("a pause of %v at 1,000 calls/s", p.gather())
	}
	// Ten lanes whose calls take 0.2 ms each and begin when the pause is over.
	var made int
	begun := now
	for now < begun+2*time.Second {
		calls((200*time.Microsecond+p.gather())/10, 1)
		made++
	}
	if rate := float64(made) / 2; rate < 1500 || rate > 4500 {
		t.Errorf("%v calls/s with a limit of 3,000", rate)
	}
	calls(time.Second, 1)
	if p.gather() != 0 {
		t.Errorf("a pause of %v after a quiet second", p.gather())
	}
}

// TestPaceIsSteady has nine lanes that could call 1,000 times a second each, whose
// calls take between 0.1 and 0.5 ms: once the pause has settled, it stays about the
// same, so that no record waits much longer than its neighbours.
func TestPaceIsSteady(t *testing.T) {
	p := newPace(false)
	p.limit = 1500
	random := rand.New(rand.NewPCG(1, 2))
	var next [9]time.Duration
	var pauses []time.Duration
	for now := time.Duration(0); now < 10*time.Second; {
		lane := 0
		for i := range next {
			if next[i] < next[lane] {
				lane = i
			}
		}
		now = next[lane]
		p.called(now)
		next[lane] += max(time.Millisecond, 100*time.Microsecond+time.Duration(random.IntN(400))*time.Microsecond+p.gather())
		if now > time.Second {
			pauses = append(pauses, p.gather())
		}
	}
	slices.Sort(pauses)
	if rate := float64(len(pauses)) / 9; rate < 1200 || rate > 1800 {
		t.Errorf("%v calls/s with a limit of 1,500", rate)
	}
	if low, high := pauses[len(pauses)/100], pauses[len(pauses)*99/100]; float64(high) > 1.25*float64(low) {
		t.Errorf("pauses from %v to %v", low, high)
	}
}
