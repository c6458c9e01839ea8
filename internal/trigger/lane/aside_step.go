package lane

import (
	"container/heap"
	"time"
)

// asideCall is one call under way.
type asideCall struct {
	task      asideTask
	key       *heldKey
	group     *group
	recall    Recall
	rows      []SetAside
	failed    int           // the first of them that has failed
	began     time.Duration // of an invocation
	applied   bool          // its writes, and the removal of its rows, are made
	abandoned bool          // stopped meanwhile: its end counts for nothing
}

type asideTask byte

const (
	fetchHeld asideTask = iota
	invokeHeld
	transacting
	fetchGroup
	tellGroup
	sweeping
	recalling
)

const (
	// maxUnstored bounds the changes that wait to be stored, in rows.
	maxUnstored = 10_000
	// AsidePage is how many rows are looked at in one go, to find parked ones.
	AsidePage = 1000
)

// Heed is 0: an Aside is told of no heads.
func (a *Aside) Heed() uint64 { return 0 }

// Step tells the machine what happened and appends to actions what is to be done.
func (a *Aside) Step(now Instant, ev Event, actions []Action) []Action {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := asideStep{Aside: a, now: now, actions: actions}
	switch ev := ev.(type) {
	case Start:
		s.start(ev.Params)
	case Change:
		if s.running {
			s.params(ev.Params)
		}
	case Stop:
		s.stop()
	case Drain:
		s.drain = true
	case Stored:
		s.waiting = append(s.waiting, waitingStored{ev.Changes, s.lastCall})
		s.storedDue()
	case Fetched:
		s.fetched(ev)
		s.storedDue()
	case InvocationDone:
		s.invocationDone(ev)
	case TransactDone:
		s.transactDone(ev)
	case Delivered:
		s.delivered(ev)
	case Recall:
		s.recallFrom(ev)
	case Nudge:
		s.nudge()
	case Timer:
		s.timerAt = never
	}
	s.proceed()
	return s.actions
}

// asideStep is one Step under way.
type asideStep struct {
	*Aside
	now     Instant
	actions []Action
}

func (s *asideStep) do(a Action) { s.actions = append(s.actions, a) }

func (s *asideStep) params(p Params) {
	s.p = p
	if p.OnFailure != BlockKey {
		clear(s.slow)
		s.keyGone()
	}
}

func (s *asideStep) start(p Params) {
	s.params(p)
	s.running, s.drain, s.loading = true, false, nil
	s.tellAt, s.tellFails, s.pause, s.timerAt = 0, 0, 0, never
	s.sweepAt = s.now.Mono + sweepEvery
	if s.limits.age < sweepEvery {
		s.sweepAt = s.now.Mono
	}
}

func (s *asideStep) stop() {
	s.running = false
	for _, c := range s.calls {
		c.abandoned = true
	}
}

// proceed does everything that the machine's state now allows.
func (s *asideStep) proceed() {
	if s.running && !s.drain {
		s.tellDue()
		s.retryDue()
		s.sweepDue()
		s.setTimer()
	}
	if len(s.changes) > 0 {
		s.do(Commit{})
	}
	if s.full && s.count[Held]+s.count[Telling]+s.count[Parked] < s.limits.records && s.bytes < s.limits.bytes {
		s.full = false
		s.do(Room{})
	}
}

func (s *asideStep) setTimer() {
	at := s.sweepAt
	if len(s.due) > 0 && s.underWay() < s.p.Factor {
		at = min(at, max(s.due[0].at, s.pause))
	}
	if len(s.tell) > 0 && !s.telling() {
		at = min(at, s.tellAt)
	}
	if at != s.timerAt && at != never && at > s.now.Mono {
		s.timerAt = at
		s.do(SetTimer{At: at})
	}
}

func (s *asideStep) begin(c *asideCall) uint64 {
	s.lastCall++
	s.calls[s.lastCall] = c
	return s.lastCall
}

// end forgets a call, if it is one of these tasks.
func (s *asideStep) end(id uint64, tasks ...asideTask) *asideCall {
	c := s.calls[id]
	for _, t := range tasks {
		if c != nil && c.task == t {
			delete(s.calls, id)
			return c
		}
	}
	return nil
}

func (s *asideStep) fetched(ev Fetched) {
	c := s.end(ev.Batch, fetchHeld, fetchGroup, sweeping, recalling)
	switch {
	case c == nil:
	case c.task == sweeping:
		if !c.abandoned && ev.Err == nil {
			s.swept(ev.Rows)
		}
	case c.task == recalling:
		s.recalled(c.recall, ev)
	case c.task == fetchGroup:
		s.groupFetched(c, ev)
	case c.abandoned || s.drain || s.underWay() >= s.p.Factor || c.key.lowered:
		s.requeue(c.key) // stopped meanwhile, or the factor was lowered, or an earlier row has come
	case ev.Err != nil:
		s.putOff(c.key, "reading what is set aside: "+ev.Err.Error(), maxReadBackoff, 0)
	default:
		s.heldFetched(c.key, ev.Rows)
	}
}

// waitingStored are changes that are durable. A read of rows that was under way when that was told may not have
// seen them, so its answer comes first.
type waitingStored struct {
	changes []AsideChange
	after   uint64 // the newest call of that moment
}

func (s *asideStep) storedDue() {
	for len(s.waiting) > 0 && !s.fetching(s.waiting[0].after) {
		s.stored(s.waiting[0].changes)
		s.waiting = s.waiting[1:]
	}
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
}

// fetching reports whether a read of rows is under way that began no later than a call.
func (s *asideStep) fetching(until uint64) bool {
	for id, c := range s.calls {
		if id <= until && c.fetches() {
			return true
		}
	}
	return false
}

func (c *asideCall) fetches() bool {
	return c.task == fetchHeld || c.task == fetchGroup || c.task == sweeping || c.task == recalling
}

// stored notes that changes are durable: held rows may be tried from now on, and destinations told.
func (s *asideStep) stored(changes []AsideChange) {
	for _, c := range changes {
		if c.Put != nil && !c.New {
			continue
		}
		if s.unstored[c.Key]--; s.unstored[c.Key] <= 0 {
			delete(s.unstored, c.Key)
		}
		if c.Put == nil {
			continue
		}
		switch c.Put.Kind {
		case Held:
			if s.keys[c.Key.Hash] != nil {
				h := s.key(c.Key)
				h.stored++
				s.enqueue(h)
			}
		case Telling:
			s.toTell(c.Put)
		}
	}
}

// change stores the head of a row anew.
func (s *asideStep) change(r *SetAside) {
	head := *r
	head.Event = nil
	s.changes = append(s.changes, AsideChange{Key: r.AsideKey, Put: &head})
}

// become gives a row another kind.
func (s *asideStep) become(r *SetAside, kind AsideKind) {
	s.add(r, -1)
	r.Kind, r.Since = kind, s.now.stamp()
	s.add(r, 1)
	s.change(r)
	s.changes[len(s.changes)-1].New = true
	s.unstored[r.AsideKey]++
}

// discard removes a row for good.
func (s *asideStep) discard(r *SetAside) {
	s.unstored[r.AsideKey]++
	s.changes = append(s.changes, AsideChange{Key: r.AsideKey})
	s.add(r, -1)
}

func (s *asideStep) nudge() {
	for _, h := range s.keys {
		h.fails, h.at = 0, s.now.Mono
	}
	heap.Init(&s.due)
	s.pause, s.tellAt, s.tellFails = 0, 0, 0
}

// lossOf is what is given up with rows.
func lossOf(rows []SetAside) Loss {
	r := &rows[0]
	return Loss{
		Reason: r.Reason, Records: asideRecords(rows), Attempts: r.Attempts, Error: r.Error,
		RequestID: r.RequestID, Version: r.Version, Unhandled: r.Unhandled,
	}
}
