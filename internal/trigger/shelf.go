package trigger

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

// shelf drives a mapping's Aside, as a runner drives a lane machine. A row is read and
// looked at in one go, by its goroutine.
type shelf struct {
	e     *Engine
	m     *mapping
	epoch uint64 // of the mapping
	aside *Aside

	// qmu guards the queue and what waits; it is never held over anything that takes time.
	qmu       sync.Mutex
	queue     []Event
	atWork    bool
	lastToken uint64
	recalls   map[uint64]chan Recalled

	dirty bool // in the committer's list; guarded by the committer
	turn  int  // of the committer that has looked last; guarded by it

	tmu   sync.Mutex // guards timer
	timer *worker.Timer
}

func newShelf(m *mapping) *shelf {
	return &shelf{e: m.e, m: m, epoch: m.epoch.Load(), aside: newAside(defaultAsideLimits, m.e.opts.Jitter), recalls: map[uint64]chan Recalled{}}
}

// post tells the machine of an event, soon.
func (s *shelf) post(ev Event) {
	s.qmu.Lock()
	s.queue = append(s.queue, ev)
	start := !s.atWork
	s.atWork = true
	s.qmu.Unlock()
	if start && !s.e.spawn(s.run) {
		s.qmu.Lock()
		s.atWork = false
		s.qmu.Unlock()
	}
}

// run handles events until there are none.
func (s *shelf) run() {
	var events []Event
	var actions []Action
	for {
		s.qmu.Lock()
		events = append(events[:0], s.queue...)
		clear(s.queue)
		s.queue = s.queue[:0]
		if len(events) == 0 {
			s.atWork = false
			s.queue = nil
			s.qmu.Unlock()
			return
		}
		s.qmu.Unlock()
		for _, ev := range events {
			s.handle(ev, actions[:0])
		}
		clear(events)
	}
}

// handle takes an event in, and the answers of the reads that it asks for.
func (s *shelf) handle(ev Event, actions []Action) {
	pending := []Event{ev}
	for len(pending) > 0 {
		actions = s.aside.Step(s.e.instant(), pending[0], actions[:0])
		pending = pending[1:]
		for _, a := range actions {
			if answer := s.act(a); answer != nil {
				pending = append(pending, answer)
			}
		}
	}
	s.e.progress.notify()
}

func (s *shelf) act(a Action) Event {
	switch a := a.(type) {
	case Fetch:
		rows, err := s.fetch(a)
		if err != nil && s.e.ctx.Err() == nil {
			s.e.log.Error("cannot read what a mapping has set aside; trying again", "mapping", s.m.uuid, "error", err)
		}
		return Fetched{Batch: a.Batch, Rows: rows, Err: err}
	case Invoke:
		s.m.invoke(a, a.Records[0].(asideRecord).Shard, s.epoch, s.post)
	case Transact:
		s.m.transact(a, s, s, s.post)
	case Deliver:
		s.m.deliver(a, a.Records[0].(asideRecord).Shard, s.post)
	case SetTimer:
		s.setTimer(a.At)
	case Commit:
		s.e.commit.addShelf(s)
	case Put:
		s.m.logPut(a, a.Records[0].(asideRecord).Shard)
	case Discarded:
		for i := range a.Rows {
			r := &a.Rows[i]
			s.e.log.Warn("a parked record was too old and is gone", "mapping", s.m.uuid, "shard", r.Shard, "record", r.Seq.String(), "keys", r.Keys)
		}
	case Room:
		for _, r := range s.m.all() {
			r.post(Timer{})
		}
	case Ask:
		machines := s.m.all()
		s.aside.ask(a.Hash, len(machines))
		for _, r := range machines {
			r.post(LetGo(a))
		}
	case Recalled:
		s.qmu.Lock()
		c := s.recalls[a.Token]
		delete(s.recalls, a.Token)
		s.qmu.Unlock()
		if c != nil {
			c <- a
		}
	}
	return nil
}

func (s *shelf) fetch(a Fetch) (rows []SetAside, err error) {
	if len(a.Keys) == 0 {
		return s.e.opts.Backend.Aside(s.e.ctx, s.m.uuid, a.From, a.Max, a.MaxBytes, a.Heads)
	}
	for _, k := range a.Keys {
		page, err := s.e.opts.Backend.Aside(s.e.ctx, s.m.uuid, k, 1, MaxPayload, false)
		if err != nil {
			return nil, err
		}
		if len(page) > 0 && page[0].AsideKey == k {
			rows = append(rows, page[0])
		}
	}
	return rows, nil
}

// recall hands a person's wish to the machine and waits for what came of it.
func (s *shelf) recall(ctx context.Context, q Recall) (Recalled, error) {
	c := make(chan Recalled, 1)
	s.qmu.Lock()
	s.lastToken++
	q.Token = s.lastToken
	if s.m.over(s.epoch) {
		s.qmu.Unlock()
		return Recalled{}, ErrMoved
	}
	s.recalls[q.Token] = c
	s.qmu.Unlock()
	s.post(q)
	select {
	case r := <-c:
		return r, r.Err
	case <-ctx.Done():
		return Recalled{}, ctx.Err()
	case <-s.e.ctx.Done():
		return Recalled{}, ErrStopped
	}
}

// ErrMoved is the answer to who was at work on what is set aside when the mapping was moved.
var ErrMoved = errors.New("the trigger has been moved meanwhile; try again")

// abandonRecalls lets go of who waits for a machine that was retired.
func (s *shelf) abandonRecalls() {
	s.qmu.Lock()
	defer s.qmu.Unlock()
	for token, c := range s.recalls {
		delete(s.recalls, token)
		c <- Recalled{Err: ErrMoved}
	}
}

func (s *shelf) setTimer(at time.Duration) {
	wait := max(at-s.e.clock.instant().Mono, 0)
	s.tmu.Lock()
	defer s.tmu.Unlock()
	if s.timer == nil {
		s.timer = s.e.clock.AfterFunc(wait, func() { s.post(Timer{}) })
		return
	}
	s.timer.Reset(wait)
}

func (s *shelf) stopTimer() {
	s.tmu.Lock()
	defer s.tmu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}

// load reads the stored rows, at start-up.
func (s *shelf) load(ctx context.Context) error {
	const page = 1000
	for from := (AsideKey{}); ; {
		rows, err := s.e.opts.Backend.Aside(ctx, s.m.uuid, from, page, MaxPayload, true)
		if err != nil || len(rows) == 0 {
			return err
		}
		s.aside.load(rows)
		from = rows[len(rows)-1].after()
	}
}
