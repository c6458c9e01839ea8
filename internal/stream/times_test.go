package stream

import (
	"testing"
	"time"
)

// TestTimesWhenTheClockGoesBack: times never fall along a shard and its children, and are the clock's again as soon as it
// has caught up, over a restart, too.
func TestTimesWhenTheClockGoesBack(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	w.write(root(s), 1)
	w.advance(time.Hour) // ahead
	w.write(root(s), 1)
	ahead := w.ms.Load()
	want := []int64{started.UnixMilli(), ahead}
	w.advance(-time.Hour)
	w.write(root(s), 1)
	want = append(want, ahead)
	s = w.reopen(s)
	w.advance(time.Minute)
	w.write(root(s), 1)
	want = append(want, ahead)
	w.advance(time.Hour)
	w.write(root(s), 1)
	want = append(want, w.ms.Load())
	p, err := root(s).Read(root(s).Horizon(), 100, 1<<20, func(r *Record) int { return 1 })
	w.check(err)
	if len(p.Records) != len(want) {
		t.Fatalf("%d records", len(p.Records))
	}
	for i, r := range p.Records {
		if r.Time() != want[i] {
			t.Errorf("record %d has the time %d, want %d", i, r.Time(), want[i])
		}
	}
}
