package lane

import (
	"testing"
	"time"
)

// With a pause, a lane that keeps up gathers what comes within it; a full batch, a
// backlog and a lane that was quiet do not wait.
func TestGather(t *testing.T) {
	m := NewMachine(Checkpoint{}, "shard-0", newAside(defaultAsideLimits, nil), func() float64 { return 1 })
	now := Instant{Gather: 2 * time.Millisecond}
	var log []*testRecord
	var invoked []string
	var timer time.Duration
	reads, told := 0, 0
	var step func(ev Event)
	step = func(ev Event) {
		for _, a := range m.Step(now, ev, nil) {
			switch a := a.(type) {
			case Read:
				reads++
				step(PageRead{Token: a.Token, Page: pageOf(log, 0, false, a.After, a.MaxRecords, a.MaxBytes)})
			case Invoke:
				invoked = append(invoked, list(a.Records))
				step(InvocationDone{Batch: a.Batch})
			case SetTimer:
				timer = a.At
			}
		}
	}
	write := func(n int) {
		for range n {
			log = append(log, newRecord(uint64(len(log)+1), 1, 0, 0, 0))
		}
		if n := uint64(len(log)); n >= m.Heed() {
			told++
			step(Wake{Head: num(n), Records: n})
		}
	}
	check := func(want ...string) {
		t.Helper()
		if len(invoked) != len(want) || len(want) > 0 && invoked[0] != want[0] {
			t.Errorf("at %v: invoked %v, want %v", now.Mono, invoked, want)
		}
		invoked = nil
	}
	step(Start{Params: Params{BatchSize: 4, Factor: 1, MaxRetries: -1, MaxAge: -1}})
	now.Mono = time.Second
	write(1)
	check("1") // it was quiet
	now.Mono += time.Millisecond
	write(1)
	write(1)
	check()
	if timer != time.Second+2*time.Millisecond {
		t.Errorf("the timer is at %v", timer)
	}
	now.Mono = timer
	step(Wake{Head: num(3), Records: 3}) // as with every event
	step(Timer{})
	check("2-3")
	reads, told = 0, 0
	write(1)
	write(1)
	write(1)
	check()
	write(1)
	check("4-7")                 // full
	if reads != 2 || told != 2 { // of the first, from which the pause counts, and of what makes the batch full
		t.Errorf("%d reads and %d heads for a batch that gathers", reads, told)
	}
}
