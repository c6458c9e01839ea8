package process

import (
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// spares has a box ready for the next environment: its first process is started, and has made what all boxes have. That is most of what a
// sandbox adds to the start of a function, and it is the same for each. There is at most one that waits, and none before the first
// environment, so a server without functions has none.
type spares struct {
	machine *sandbox.Machine
	spawner *spawner

	mu     sync.Mutex // guards the following
	ready  *spare     // nil: none
	next   *time.Timer
	closed bool
}

// spare is a box whose first process runs.
type spare struct {
	box   *sandbox.Box
	first *child
}

// sparePause is how long after the start of an environment the next box is made: the machine is the function's first.
const sparePause = 250 * time.Millisecond

func (s *spares) start() (*spare, error) {
	box, err := s.machine.New()
	if err != nil {
		return nil, err
	}
	first, err := s.spawner.run(box.Command(), "")
	if err != nil {
		box.Close()
		return nil, err
	}
	box.Ground()
	return &spare{box, first}, nil
}

func (s *spare) end() {
	s.first.kill()
	s.first.wait()
	s.box.Close()
}

// take gives a box to an environment with this token: the one that waits, unless it has ended or the machine has changed, or a new one. waited
// tells which.
func (s *spares) take(token string) (b *spare, waited bool, err error) {
	s.mu.Lock()
	b, s.ready = s.ready, nil
	s.plan()
	s.mu.Unlock()
	if waited = b != nil && b.box.Fresh(nil); !waited {
		if b != nil {
			b.end()
		}
		if b, err = s.start(); err != nil {
			return nil, false, err
		}
	}
	orphans.named(b.first.cmd.Process.Pid, token)
	return b, waited, nil
}

// plan has the next box made in a moment. mu is held.
func (s *spares) plan() {
	switch {
	case s.closed:
	case s.next == nil:
		s.next = time.AfterFunc(sparePause, s.prepare)
	default:
		s.next.Reset(sparePause)
	}
}

// prepare makes the next box. One that cannot be made is told of when an environment needs it.
func (s *spares) prepare() {
	s.mu.Lock()
	needed := !s.closed && s.ready == nil
	s.mu.Unlock()
	if !needed {
		return
	}
	b, err := s.start()
	if err != nil {
		return
	}
	s.mu.Lock()
	keep := !s.closed && s.ready == nil
	if keep {
		s.ready = b
	}
	s.mu.Unlock()
	if !keep {
		b.end()
	}
}

// close ends the box that waits.
func (s *spares) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	b := s.ready
	s.ready, s.closed = nil, true
	if s.next != nil {
		s.next.Stop()
	}
	s.mu.Unlock()
	if b != nil {
		b.end()
	}
}
