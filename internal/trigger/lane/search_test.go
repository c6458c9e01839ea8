package lane

import (
	"testing"
	"time"
)

// A function that fails for the size of its batch, as one does that runs into its timeout, is adapted to with few
// failing calls, and no record goes aside.
func TestSearchOfASize(t *testing.T) {
	const records, most = 4096, 100
	m := NewMachine(Checkpoint{}, "shard", newAside(defaultAsideLimits, func() float64 { return 0 }), func() float64 { return 0 })
	s := &step{Machine: m, now: Instant{Mono: time.Second}}
	s.p = Params{BatchSize: records, Factor: 1, MaxRetries: -1, MaxAge: -1, OnFailure: BlockKey}
	b := &batch{id: 1, entries: make([]entry, records), inFlight: true}
	for i := range b.entries {
		r := &SetAside{AsideKey: AsideKey{Hash: uint64(i)}}
		b.entries[i] = entry{rec: asideRecord{r}, lane: uint8(i % VirtualLanes)}
	}
	s.batches = []*batch{b}
	calls, failed := 0, 0
	for !b.gone {
		if calls++; calls > 10*records {
			t.Fatal("there is no end to it")
		}
		if n := len(b.entries); n > most {
			failed++
			s.failedKey(b, "too many", false)
		} else {
			s.judged(b, verdict{done: n})
		}
	}
	if failed > records/most+20 {
		t.Errorf("%d of %d calls failed", failed, calls)
	}
	if len(s.changes) > 0 {
		t.Errorf("%d records went aside", len(s.changes))
	}
	t.Logf("%d calls, %d failed", calls, failed)
}
