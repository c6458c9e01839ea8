package lane

import "testing"

// What is lost without anybody knowing how much is counted on its own: as a number of records it would be none.
func TestUnknownLossesAreCounted(t *testing.T) {
	m := NewMachine(Checkpoint{}, "shard", newAside(defaultAsideLimits, func() float64 { return 0 }), func() float64 { return 0 })
	s := &step{Machine: m}
	s.missed(mark{}, Missed{First: num(1), Last: num(4), Unknown: true})
	s.missed(mark{seq: num(4)}, Missed{First: num(5), Last: num(7), Count: 3})
	if c := m.Counters(); c.Losses != 1 || c.Expired != 3 {
		t.Errorf("%d times and %d records, want 1 and 3", c.Losses, c.Expired)
	}
}
