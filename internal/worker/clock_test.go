package worker_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

const day = 24 * time.Hour

// machine is one whose clock a test sets. Its methods are called by one goroutine.
type machine struct {
	began time.Time
	step  time.Duration // of the wall clock
	slept time.Duration // and that is no time that the program measures
	boot  string
	sync  bool // the machine says that its clock is synchronized
}

func (m *machine) now() time.Time { return time.Now().Add(m.step + m.slept) }

func (m *machine) uptime() (string, time.Duration) { return m.boot, time.Since(m.began) + m.slept }

// off switches the machine off for a while, and on again.
func (m *machine) off(d time.Duration) {
	time.Sleep(d)
	m.boot += "'"
	m.began = time.Now()
}

func (m *machine) clock() *worker.Clock {
	return worker.NewMachineClock(m.now, m.uptime, func() bool { return m.sync })
}

// believes checks whether a clock ages, at the machine's time.
func (m *machine) believes(t *testing.T, clock *worker.Clock, when string, want bool) {
	t.Helper()
	now, ageing := clock.Now()
	if ageing != want || !now.Equal(m.now().Truncate(time.Millisecond)) {
		t.Fatalf("%s: %v, ageing %v, want %v", when, now, ageing, want)
	}
}

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
		{"an hour", time.Hour, false},
		{"a year", 365 * day, false},
		{"back", -365 * day, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &machine{began: time.Now(), boot: "1"}
				clock := m.clock()
				time.Sleep(365 * day) // a long pause is no step
				m.believes(t, clock, "before", true)
				m.step = c.step
				m.believes(t, clock, "after the step", c.ageing)
				for range 3 { // looked at meanwhile, or not: it is the same
					time.Sleep(max(c.step, 0) / 4)
					m.believes(t, clock, "while it has not agreed with itself for as long", c.ageing)
				}
				time.Sleep(max(c.step, 0)/4 - time.Millisecond)
				m.believes(t, clock, "just before the end", c.ageing)
				time.Sleep(2 * time.Millisecond)
				m.believes(t, clock, "after as long as it is ahead", true)
				m.step += c.step
				m.believes(t, clock, "after a second step", c.ageing)
				clock.Accept()
				m.believes(t, clock, "accepted", true)
				m.step += c.step
				clock.Accept() // sees the step that it accepts
				m.believes(t, clock, "accepted unseen", true)
				if d := clock.Doubt(); d != (worker.Doubt{}) {
					t.Errorf("doubts %+v", d)
				}
			})
		})
	}
}

// TestClockDoubts: what is shown of a clock that has jumped, and that it is believed at once when it comes back.
func TestClockDoubts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "1"}
		clock := m.clock()
		m.step = 10 * day
		if d := clock.Doubt(); d.Ahead != 10*day || d.Left != 10*day {
			t.Errorf("ahead: %+v", d)
		}
		time.Sleep(day)
		if d := clock.Doubt(); d.Ahead != 10*day || d.Left != 9*day {
			t.Errorf("a day later: %+v", d)
		}
		m.step += time.Hour // the time of before has agreed with itself; this one has not
		if d := clock.Doubt(); d.Ahead != 10*day+time.Hour || d.Left != 10*day+time.Hour {
			t.Errorf("another step: %+v", d)
		}
		m.step = 0
		m.believes(t, clock, "set right", true)
		if d := clock.Doubt(); d != (worker.Doubt{}) {
			t.Errorf("set right: %+v", d)
		}
		m.step = -10 * day
		if d := clock.Doubt(); d.Ahead != -10*day || d.Left != 10*day {
			t.Errorf("behind: %+v", d)
		}
		m.believes(t, clock, "behind", true)
		m.step = 0 // as a machine without a battery: it starts behind and is then set
		m.believes(t, clock, "behind, and set right", true)
		m.step = math.MaxInt64 / 2 // 146 years
		m.believes(t, clock, "a far future", false)
	})
}

// TestClockExplainsSleep: a machine that sleeps passes no time that the program measures, and its clock is right.
func TestClockExplainsSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "1"}
		clock := m.clock()
		time.Sleep(time.Hour)
		m.slept = 3 * day
		m.believes(t, clock, "awake", true)
		mono, ms, _ := clock.Instant()
		if mono != time.Hour || ms != m.now().UnixMilli() {
			t.Errorf("instant %v %d", mono, ms)
		}
		m.step = day
		m.believes(t, clock, "set ahead as well", false)
	})
}

// TestClockOverRestarts: what a run keeps lets the next one see a clock that was set in between.
func TestClockOverRestarts(t *testing.T) {
	for _, c := range []struct {
		name   string
		away   time.Duration
		step   time.Duration
		reboot bool
		ageing bool
	}{
		{"the same machine, days later", 30 * day, 0, false, true},
		{"and set 400 days ahead", 30 * day, 400 * day, false, false},
		{"at once, 400 days ahead", 0, 400 * day, false, false},
		{"a short restart of the machine", 5 * time.Minute, 0, true, true},
		{"a night", 8 * time.Hour, 0, true, true},
		{"a weekend and a holiday", 4 * day, 0, true, true},
		{"longer", 4*day + time.Second, 0, true, false},
		{"a night, and 400 days ahead", 8 * time.Hour, 400 * day, true, false},
		{"one with the clock at 1970", 0, -50 * 365 * day, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &machine{began: time.Now(), boot: "1"}
				clock := m.clock()
				time.Sleep(time.Hour)
				m.believes(t, clock, "before", true)
				kept := clock.Keep()
				time.Sleep(c.away)
				m.step = c.step
				if c.reboot {
					m.boot, m.began = "2", time.Now()
				}
				clock = m.clock()
				clock.Resume(kept)
				m.believes(t, clock, "after", c.ageing)
				clock.Accept()
				m.believes(t, clock, "accepted", true)
				again := m.clock()
				again.Resume(clock.Keep())
				m.believes(t, again, "accepted, and started again", true)
			})
		})
	}
}

// TestClockStaysDoubted: a restart makes no doubted clock a believed one, and time in which it agreed with itself counts on.
func TestClockStaysDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "1"}
		clock := m.clock()
		kept := clock.Keep()
		m.step = 10 * day
		for n := range 9 {
			clock = m.clock()
			clock.Resume(kept)
			m.believes(t, clock, "started again", false)
			if d := clock.Doubt(); d.Ahead != 10*day || d.Left != time.Duration(10-n)*day {
				t.Fatalf("start %d: %+v", n, d)
			}
			time.Sleep(12 * time.Hour) // running
			kept = clock.Keep()
			time.Sleep(12 * time.Hour) // not running, on a machine that was
		}
		m.step = 0
		clock = m.clock()
		clock.Resume(kept)
		m.believes(t, clock, "set right between runs", true)
		m.step = 10 * day
		clock = m.clock()
		clock.Resume(kept)
		time.Sleep(day + time.Millisecond)
		m.believes(t, clock, "at the end", true)
		next := m.clock()
		next.Resume(clock.Keep())
		m.believes(t, next, "and started again", true)
	})
}

// TestClockOfAMachineThatIsOffAtNight: its clock is right, and believed each morning; a holiday does not stay in doubt for ever either.
func TestClockOfAMachineThatIsOffAtNight(t *testing.T) {
	for _, boots := range []bool{true, false} { // no boot: the machine does not tell its runs apart
		synctest.Test(t, func(t *testing.T) {
			m := &machine{began: time.Now(), boot: "1"}
			open := func() *worker.Clock {
				if boots {
					return m.clock()
				}
				return worker.NewClock(m.now)
			}
			clock := open()
			for range 30 {
				time.Sleep(10 * time.Hour)
				kept := clock.Keep()
				m.off(14 * time.Hour)
				clock = open()
				clock.Resume(kept)
				m.believes(t, clock, "in the morning", true)
			}
			kept := clock.Keep()
			m.off(20 * day)
			days := 0
			for ; days < 30; days++ {
				clock = open()
				clock.Resume(kept)
				if _, ageing := clock.Now(); ageing {
					break
				}
				if d, left := clock.Doubt(), 20*day-time.Duration(days)*day; d.Ahead != 20*day || d.Left != left {
					t.Fatalf("day %d: %+v, want %v left", days, d, left)
				}
				time.Sleep(10 * time.Hour)
				kept = clock.Keep()
				m.off(14 * time.Hour)
			}
			if days != 20 {
				t.Errorf("after 20 days off, doubted for %d days", days)
			}
		})
	}
}

// TestDoubtIsPaidOnce: a machine that is off for long again while its clock is doubted has the rest of that doubt, and the new one.
func TestDoubtIsPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "1"}
		clock := m.clock()
		for n := range 2 {
			time.Sleep(6 * day)
			kept := clock.Keep()
			m.off(10 * day)
			clock = m.clock()
			clock.Resume(kept)
			if d, n := clock.Doubt(), time.Duration(n); d.Ahead != (1+n)*10*day || d.Left != 10*day+n*4*day {
				t.Fatalf("%d: %+v", n, d)
			}
		}
		time.Sleep(14*day + time.Millisecond)
		m.believes(t, clock, "at the end", true)
	})
}

// TestClockSetRightWhileOff: a doubted clock that is set right while the machine is off is believed when it starts.
func TestClockSetRightWhileOff(t *testing.T) {
	for _, step := range []time.Duration{400 * day, -400 * day} {
		synctest.Test(t, func(t *testing.T) {
			m := &machine{began: time.Now(), boot: "1"}
			clock := m.clock()
			m.step = step
			kept := clock.Keep()
			m.off(10 * time.Hour)
			m.step = 0
			clock = m.clock()
			clock.Resume(kept)
			m.believes(t, clock, "set right", true)
			if d := clock.Doubt(); d != (worker.Doubt{}) {
				t.Errorf("doubts %+v", d)
			}
		})
	}
}

// TestClockThatIsSynchronized: what the machine says of its clock explains a gap over its start, and nothing else.
func TestClockThatIsSynchronized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "1", sync: true}
		clock := m.clock()
		kept := clock.Keep()
		m.off(400 * day)
		clock = m.clock()
		clock.Resume(kept)
		m.believes(t, clock, "off for 400 days, and synchronized", true)
		m.step = day
		m.believes(t, clock, "a jump while the machine runs", false)
		if d := clock.Doubt(); d.Ahead != day {
			t.Errorf("a jump while the machine runs: %+v", d)
		}
		m.step = 0
		m.believes(t, clock, "set right", true)

		kept = clock.Keep()
		m.step, m.sync = 400*day, false // somebody sets it
		clock = m.clock()
		clock.Resume(kept)
		m.believes(t, clock, "set by hand", false)
		m.off(time.Hour)
		clock = m.clock()
		clock.Resume(kept)
		m.believes(t, clock, "and started again", false)
		m.sync = true
		clock.Doubt() // asks
		m.believes(t, clock, "the time service has looked at it", true)
	})
}

// TestClockWithoutABattery: a machine that is at 1970 until the network is there. What it stamps is not too old then.
func TestClockWithoutABattery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "1"}
		clock := m.clock()
		kept := clock.Keep()
		m.off(10 * day)
		m.step = -50 * 365 * day
		for range 2 { // starts of the program
			clock = m.clock()
			clock.Resume(kept)
			m.believes(t, clock, "at 1970", true)
			time.Sleep(time.Minute)
			if at, want := clock.Stamp(), time.Now().Add(-10*day).UnixMilli(); at != want {
				t.Fatalf("stamps %d, want %d", at, want)
			}
			kept = clock.Keep()
		}
		m.step = 0
		m.believes(t, clock, "set, and not yet said to be right", false)
		m.sync = true
		if d := clock.Doubt(); d != (worker.Doubt{}) {
			t.Errorf("synchronized: %+v", d)
		}
		if at := clock.Stamp(); at != m.now().UnixMilli() {
			t.Errorf("stamps %d", at)
		}
	})
}

// TestStamp: what is stamped while the clock is behind is as old as it is when that is set right.
func TestStamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "1"}
		clock := m.clock()
		for _, step := range []time.Duration{0, -7 * time.Hour, -50 * 365 * day, 0} {
			m.step = step
			if at := clock.Stamp(); at != time.Now().UnixMilli() {
				t.Errorf("%v: stamps %d", step, at)
			}
			time.Sleep(time.Hour)
		}
		m.step = 7 * time.Hour
		if at, known := clock.Stamp(), clock.Believed(); at != m.now().UnixMilli() || known != time.Now().UnixMilli() {
			t.Errorf("ahead: stamps %d, believes %d", at, known)
		}
		manual := worker.NewManualClock(time.UnixMilli(5))
		if manual.Stamp() != 5 || manual.Believed() != 5 {
			t.Error("a manual clock")
		}
	})
}

// TestManualClockIsBelieved: it is moved by who tests, as far as they like.
func TestManualClockIsBelieved(t *testing.T) {
	clock := worker.NewManualClock(time.UnixMilli(1))
	clock.Resume(worker.Kept{Known: -1 << 40})
	if err := clock.Advance(t.Context(), 400*day, nil); err != nil {
		t.Fatal(err)
	}
	if _, ageing := clock.Now(); !ageing || clock.Doubt() != (worker.Doubt{}) {
		t.Error("doubted")
	}
}

// TestClockAfterSleep: what a machine slept is known at once, however short before it was asked; a doubt that there is goes on as it was.
func TestClockAfterSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "1"}
		clock := m.clock()
		time.Sleep(time.Second)
		m.step = 2 * time.Hour
		m.believes(t, clock, "ahead", false)
		left := clock.Doubt().Left
		for range 10 {
			m.slept += 11 * time.Minute
			m.believes(t, clock, "awake again", false)
		}
		if got := clock.Doubt().Left; got != left-110*time.Minute {
			t.Errorf("%v are left of %v", got, left)
		}
		m.slept += 11 * time.Minute
		m.believes(t, clock, "it has agreed with itself for two hours", true)

		m.slept += day
		kept := clock.Keep() // and a crash
		clock = m.clock()
		clock.Resume(kept)
		m.believes(t, clock, "started again", true)
		if d := clock.Doubt(); d != (worker.Doubt{}) {
			t.Errorf("%+v", d)
		}
	})
}
