package lane

import (
	"slices"
	"time"
)

// Slow keys. Under block-key, an item whose calls take much longer than those of others holds back
// itself only, like an item whose calls fail. A slow call does not tell which of its items was slow.
// So all of them become suspects. While there are suspects, a batch has either records of half of them
// (the probe), or none of that half. Each call then clears some, until one item was slow alone twice.
// From then on its records go aside, where its calls have no other item, until one of them is quick.
//
// Slow means: compared with earlier calls of the mapping. A function that takes seconds for every batch is
// not slow, and neither is one that takes longer for more records.

const (
	// slowCall is the least time that a slow call takes.
	slowCall = time.Second
	// slowTimes: a slow call takes so many times as long as usual.
	slowTimes = 8
	// maxSlow bounds the items that are remembered as slow.
	maxSlow = 10_000
)

// tempo is how long a mapping's calls usually take, in nanoseconds: means that newer calls count
// more in. Zero: nothing is known yet.
type tempo struct{ call, record float64 }

// timed learns how long a call with n records took, and reports whether it was slow.
func (t *tempo) timed(n int, took time.Duration) bool {
	usual := max(t.call, t.record*float64(n))
	sample, slow := float64(took), false
	if usual == 0 {
		t.call, t.record = sample, sample/float64(n)
		return false
	}
	if sample > 2*usual {
		slow = took >= slowCall && sample >= slowTimes*usual
		sample = 2 * usual // when all calls have become slower, that is the new usual before long
	}
	const weight = 0.2
	t.call += (sample - t.call) * weight
	t.record += (sample/float64(n) - t.record) * weight
	return slow
}

// timed learns how long a call of a Machine took, and reports whether it was slow.
func (a *Aside) timed(n int, took time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tempo.timed(n, took)
}

// setSlow remembers an item as slow. It reports whether there was room.
func (a *Aside) setSlow(hash uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.slow) >= maxSlow {
		return false
	}
	a.slow[hash] = true
	a.keyAdded(hash)
	return true
}

// quick forgets that an item was slow. The caller holds mu.
func (a *Aside) quick(hash uint64) {
	delete(a.slow, hash)
	a.keyGone()
}

// probe are the suspects that batches have apart from all other items.
func (m *Machine) probe() []uint64 { return m.suspects[:(len(m.suspects)+1)/2] }

// timed learns how long a call took that has succeeded with the whole part of a batch.
func (s *step) timed(b *batch, took time.Duration) {
	slow := s.aside.timed(len(b.entries), took)
	if !slow && len(s.suspects) == 0 {
		return
	}
	hashes := make([]uint64, len(b.entries))
	for i := range b.entries {
		hashes[i] = b.entries[i].rec.KeyHash()
	}
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	was := func(hash uint64) bool { _, found := slices.BinarySearch(hashes, hash); return found }
	if !slow {
		s.suspects = slices.DeleteFunc(s.suspects, was)
		return
	}
	if len(hashes) == 1 && len(s.suspects) == 1 && s.suspects[0] == hashes[0] {
		s.suspects = nil
		if s.aside.setSlow(hashes[0]) {
			s.holdKey(hashes[0])
		}
		return
	}
	if s.suspects = slices.DeleteFunc(s.suspects, func(hash uint64) bool { return !was(hash) }); len(s.suspects) == 0 {
		s.suspects = hashes // it was another one
	}
}
