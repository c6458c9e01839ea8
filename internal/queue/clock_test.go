package queue

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/worker"
)

// stepped is a world in a bubble whose clock the test sets, and that can be started again.
type stepped struct {
	*world
	step time.Duration
}

func (s *stepped) start() {
	was := s.clock
	s.clock = worker.NewClock(func() time.Time { return time.Now().Add(s.step) })
	if was != nil {
		kept := was.Keep()
		s.close()
		s.clock.Resume(kept)
	}
	var err error
	s.store, err = store.Open(store.Options{FS: s.disk.FS(), Dir: "data"})
	s.must(err)
	s.world.s, err = Open(Options{Store: s.store, Clock: s.clock})
	s.must(err)
}

func inSteps(t *testing.T, test func(t *testing.T, s *stepped)) {
	synctest.Test(t, func(t *testing.T) {
		s := &stepped{world: &world{fatal: t.Fatal, disk: crashtest.New()}}
		s.start()
		test(t, s)
		s.close()
	})
}

// TestMessagesOfAClockBehind: what is sent while the clock is behind is kept for as long as its queue says once it is set right.
func TestMessagesOfAClockBehind(t *testing.T) {
	for _, back := range []time.Duration{7 * time.Hour, 50 * 365 * 24 * time.Hour} {
		inSteps(t, func(t *testing.T, s *stepped) {
			q := s.create("q", map[string]string{"MessageRetentionPeriod": "3600"})
			s.step = -back
			s.put(q, "", "a")
			s.step = 0
			for _, c := range []struct {
				after time.Duration
				left  int
			}{{0, 1}, {time.Hour - time.Second, 1}, {2 * time.Second, 0}} {
				time.Sleep(c.after)
				s.must(q.sweep())
				s.counted(t, q, Counts{Visible: c.left})
			}
		})
	}
}

// TestStartWithAClockAhead: a clock that is not believed ends no wait, and forgets no deduplication id; nor are those that are sent meanwhile
// remembered for longer once it is set right.
func TestStartWithAClockAhead(t *testing.T) {
	inSteps(t, func(t *testing.T, s *stepped) {
		q := s.create("f.fifo", map[string]string{})
		s.put(q, "g", "a")
		s.take(q, 10, 60)
		for _, step := range []time.Duration{400 * 24 * time.Hour, 0, 400 * 24 * time.Hour} {
			s.step = step
			s.start()
			q = s.queue("f.fifo")
			s.put(q, "g", "a") // sent again
			if _, got := s.take(q, 10, 60); got != "" {
				t.Fatalf("got %q although it was in flight", got)
			}
			s.put(q, "h", "b") // "a" and "b" go on being remembered
			s.take(q, 10, 600)
			time.Sleep(10 * time.Second)
		}
		if n, err := q.Counts(); err != nil || n.Visible+n.InFlight != 2 {
			t.Errorf("%+v %v", n, err)
		}
	})
}

// TestIDsOfAClockAhead: ids that a clock ahead has left, which a person had accepted, swallow nothing once it is set right.
func TestIDsOfAClockAhead(t *testing.T) {
	inSteps(t, func(t *testing.T, s *stepped) {
		right := s.step
		s.step = 400 * 24 * time.Hour
		s.clock.Accept()
		s.start()
		q := s.create("f.fifo", map[string]string{})
		s.put(q, "g", "a")
		got, _ := s.take(q, 10, 60)
		for _, r := range got {
			_, err := q.Delete([]string{r.Handle})
			s.must(err)
		}
		s.step = right
		s.clock.Accept()
		s.start()
		q = s.queue("f.fifo")
		for n := range 2 {
			s.put(q, "g", "a")
			s.put(q, "g", "a") // which is remembered
			if c, err := q.Counts(); err != nil || c.Visible+c.InFlight != n+1 {
				t.Fatalf("%d: %+v %v", n, c, err)
			}
			time.Sleep(5*time.Minute + time.Second)
		}
	})
}
