package trigger

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// Events and actions of an Aside, beside those that it has in common with the lane
// machine (Start, Change, Stop, Drain, Timer, Nudge, InvocationDone, Delivered; Invoke,
// Deliver, SetTimer, Commit). Its numbers of batches are its own.
type (
	// Stored tells that puts have become durable.
	Stored struct{ Changes []AsideChange }
	// Fetched answers a Fetch.
	Fetched struct {
		Batch uint64
		Rows  []SetAside
		Err   error
	}
	// Recall looks through the rows at From and after, as many as one page has, for parked ones
	// that a person wants back, or gone for good. It is answered by one Recalled.
	Recall struct {
		Token    uint64
		From     AsideKey
		Max      int // rows to act upon, at most
		Match    func(*SetAside) bool
		Discard  bool
		Function string // ARN of another function that is to have them; empty: the mapping's
	}

	// Fetch asks for stored rows at From and after, or at Keys, answered by one Fetched.
	Fetch struct {
		Batch    uint64
		Keys     []AsideKey
		From     AsideKey
		Max      int
		MaxBytes int
		Heads    bool // without the events
	}
	// Put tells that records were set aside.
	Put struct {
		Kind AsideKind
		Loss
	}
	// Recalled answers a Recall. Next is where the next one is to begin; More is false when
	// there are no rows there.
	Recalled struct {
		Token uint64
		Count int
		Next  AsideKey
		More  bool
		Err   error
	}
	// Ask asks every lane machine to let go of a key (LetGo), and to tell how many are asked.
	Ask struct{ Hash uint64 }
	// Discarded tells that parked records were too old to be kept.
	Discarded struct{ Rows []SetAside }
	// Room tells that there is room again, after somebody was refused for lack of it, or that
	// no key is held any more.
	Room struct{}
)

func (Stored) isEvent()     {}
func (Fetched) isEvent()    {}
func (Recall) isEvent()     {}
func (Fetch) isAction()     {}
func (Put) isAction()       {}
func (Discarded) isAction() {}
func (Room) isAction()      {}
func (Recalled) isAction()  {}
func (Ask) isAction()       {}

// asideCall is one call under way.
type asideCall struct {
	task      asideTask
	key       *heldKey
	told      *told
	recall    Recall
	rows      []SetAside
	from      AsideKey // where a fetch began
	attempt   int
	began     time.Duration // of an invocation
	applied   bool          // its writes, and the removal of its rows, are made
	abandoned bool          // stopped meanwhile: its end counts for nothing
}

type asideTask byte

const (
	fetchHeld asideTask = iota
	invokeHeld
	fetchTold
	tellTold
	sweep
	recalling
	transacting
)

const (
	// heldPause is between a failed attempt of a held key and the next one of any: many
	// poisoned keys must not take the function from the others.
	heldPause = 20 * time.Millisecond
	// sweepEvery is how often parked records are looked at for their age.
	sweepEvery = time.Hour
	// maxUnstored bounds the changes that wait to be stored, in rows.
	maxUnstored = 10_000
)

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
		s.stored(ev.Changes)
	case Fetched:
		s.fetched(ev)
	case InvocationDone:
		s.invocationDone(ev)
	case Delivered:
		s.delivered(ev)
	case TransactDone:
		s.transactDone(ev)
	case Recall:
		n := s.begin(&asideCall{task: recalling, recall: ev})
		s.do(Fetch{Batch: n, From: ev.From, Max: asidePage, MaxBytes: MaxPayload, Heads: true})
	case Nudge:
		s.nudge()
	case Timer:
		s.timerAt = never
	}
	s.settle()
	return s.actions
}

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
		s.lost()
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

func (s *asideStep) settle() {
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
	if len(s.tell) > 0 && s.telling() == nil {
		at = min(at, s.tellAt)
	}
	if at != s.timerAt && at != never && at > s.now.Mono {
		s.timerAt = at
		s.do(SetTimer{At: at})
	}
}

// underWay counts the calls of held keys.
func (a *Aside) underWay() int {
	n := 0
	for _, c := range a.calls {
		if c.key != nil {
			n++
		}
	}
	return n
}

func (a *Aside) telling() *asideCall {
	for _, c := range a.calls {
		if c.task == fetchTold || c.task == tellTold {
			return c
		}
	}
	return nil
}

func (s *asideStep) begin(c *asideCall) uint64 {
	s.lastCall++
	s.calls[s.lastCall] = c
	return s.lastCall
}

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
			s.addTold(c.Put)
		}
	}
}

// retryDue begins the attempts that are due: as many calls at once as the mapping's lanes.
func (s *asideStep) retryDue() {
	for len(s.due) > 0 && s.underWay() < s.p.Factor && len(s.changes) < maxUnstored {
		h := s.due[0]
		if max(h.at, s.pause) > s.now.Mono {
			return
		}
		heap.Pop(&s.due)
		h.busy = true
		s.fetch(h, h.next)
	}
}

func (s *asideStep) fetch(h *heldKey, from AsideKey) {
	n := s.begin(&asideCall{task: fetchHeld, key: h, from: from})
	s.do(Fetch{Batch: n, From: from, Max: min(h.batch, h.stored), MaxBytes: MaxPayload})
}

func (s *asideStep) fetched(ev Fetched) {
	c := s.calls[ev.Batch]
	if c == nil {
		return
	}
	delete(s.calls, ev.Batch)
	switch {
	case c.task == sweep:
		if !c.abandoned && ev.Err == nil {
			s.swept(ev.Rows)
		}
	case c.task == recalling:
		s.recalled(c.recall, ev)
	case c.task == fetchTold:
		s.tellFetched(c, ev)
	case c.abandoned:
		s.release(c.key)
	case ev.Err != nil:
		s.putOff(c.key, "reading what is set aside: "+ev.Err.Error(), maxReadBackoff, 0)
	default:
		s.heldFetched(c, ev.Rows)
	}
}

// release lets a key be tried again, or forgets it when nothing of it is left.
func (s *asideStep) release(h *heldKey) {
	h.busy, h.lowered = false, false
	if h.rows == 0 {
		delete(s.keys, h.hash)
		s.lost()
		if len(s.keys) == 0 {
			s.do(Room{})
		}
		return
	}
	s.enqueue(h)
}

func (s *asideStep) putOff(h *heldKey, why string, limit, retryAfter time.Duration) {
	if h.fails == 0 {
		h.since = s.now.Wall
	}
	h.fails++
	h.err = clipError(why)
	h.at = s.now.Mono + max(backoff(h.fails, limit, s.jitter), min(retryAfter, maxRetryAfter))
	s.release(h)
}

func (s *asideStep) heldFetched(c *asideCall, rows []SetAside) {
	h := c.key
	var held []SetAside
	for _, r := range rows {
		if r.Hash != h.hash || len(held) > 0 && (r.Shard != held[0].Shard || r.Function != held[0].Function) {
			break
		}
		if r.Kind == Held && s.unstored[r.AsideKey] == 0 {
			held = append(held, r)
		} else if len(held) > 0 {
			break
		}
	}
	if len(held) == 0 {
		// Rows of other kinds come first.
		if len(rows) > 0 && rows[len(rows)-1].Hash == h.hash {
			h.next = rows[len(rows)-1].after()
			s.fetch(h, h.next)
			return
		}
		s.putOff(h, "the rows of a held key are not to be found", maxReadBackoff, 0)
		return
	}
	// As before every attempt: first what is too old, or has had its attempts, is given up.
	for len(held) > 0 {
		var why DropReason
		switch r := &held[0]; {
		case s.p.MaxAge >= 0 && !s.now.NoAgeing && s.now.Wall-r.Time > s.p.MaxAge.Milliseconds(),
			!s.now.NoAgeing && s.now.Wall-r.Since > s.limits.age.Milliseconds():
			why = RecordAgeExceeded
		case s.p.MaxRetries >= 0 && h.attempts > s.p.MaxRetries:
			why = RetryAttemptsExhausted
		default:
			s.invoke(h, held)
			return
		}
		s.giveUp(h, &held[0], why)
		held = held[1:]
	}
	s.release(h)
}

func (s *asideStep) invoke(h *heldKey, rows []SetAside) {
	h.next = rows[0].AsideKey
	size := payloadFrame
	for i := range rows {
		if size += rows[i].Size + 1; size > MaxPayload && i > 0 {
			rows = rows[:i]
			break
		}
	}
	n := s.begin(&asideCall{task: invokeHeld, key: h, rows: rows, attempt: h.fails + 1, began: s.now.Mono})
	s.do(Invoke{Batch: n, Attempt: h.fails + 1, FunctionARN: cmp.Or(rows[0].Function, s.p.FunctionARN), Records: asideRecords(rows)})
}

func asideRecords(rows []SetAside) []Record {
	rs := make([]Record, len(rows))
	for i := range rows {
		rs[i] = asideRecord{&rows[i]}
	}
	return rs
}

func (s *asideStep) invocationDone(ev InvocationDone) {
	c := s.calls[ev.Batch]
	if c == nil || c.task != invokeHeld {
		return
	}
	delete(s.calls, ev.Batch)
	h, r := c.key, ev.Result
	if c.abandoned {
		s.release(h)
		return
	}
	if r.Outcome == NotDelivered {
		s.counters.NotDelivered++
		s.counters.FailedInvoke += uint64(len(c.rows))
		s.putOff(h, r.Error, maxThrottleBackoff, r.RetryAfter)
		return
	}
	n := len(c.rows)
	s.counters.Invocations++
	s.counters.Invoked += uint64(n)
	var v verdict
	if r.Outcome == Succeeded {
		entries := make([]entry, n)
		for i := range c.rows {
			entries[i] = entry{rec: asideRecord{&c.rows[i]}, seq: c.rows[i].AsideKey.Seq}
		}
		v = judge(entries, r.Payload, s.p.ReportFailures, false, s.p.ExactlyOnce)
	} else {
		s.counters.Errors++
		v.err = cmp.Or(r.Error, "the function failed")
	}
	if v.err == "" && !s.tempo.timed(n, s.now.Mono-c.began) {
		s.quick(h.hash)
	}
	if v.err == "" && v.transact != nil {
		c.task = transacting
		s.calls[ev.Batch] = c
		s.do(Transact{Batch: ev.Batch, Items: v.transact, Cause: causeOf(asideRecords(c.rows))})
		return
	}
	for i := range c.rows[:v.done] {
		s.remove(h, &c.rows[i])
	}
	s.judged(c, v, r)
}

// judged takes in what an answer says of held rows, of which those that are done have been removed.
func (s *asideStep) judged(c *asideCall, v verdict, r Result) {
	h, n := c.key, len(c.rows)
	if v.done > 0 {
		h.attempts, h.fails, h.err = 0, 0, ""
		h.batch = min(2*h.batch, s.p.BatchSize)
		h.at = s.now.Mono
	}
	if v.err == "" {
		s.release(h)
		return
	}
	s.counters.FailedInvoke += uint64(n - v.done)
	s.pause = s.now.Mono + heldPause
	h.batch = 1
	head := &c.rows[v.done]
	if n > 1 && v.named == 0 {
		// Which of them it was is not known: the first one alone goes next, and counts.
		h.err = clipError(v.err)
		s.release(h)
		return
	}
	h.attempts++
	head.Attempts, head.Error = h.attempts, clipError(v.err)
	head.RequestID, head.Version, head.Unhandled = r.RequestID, r.Version, r.Outcome == FunctionError
	if s.p.MaxRetries >= 0 && h.attempts > s.p.MaxRetries {
		s.giveUp(h, head, RetryAttemptsExhausted)
		s.release(h)
		return
	}
	s.change(head)
	s.putOff(h, v.err, maxBackoff, 0)
}

// remove ends a held row for good.
func (s *asideStep) remove(h *heldKey, r *SetAside) {
	s.discard(r)
	s.passed(h, r)
}

// passed moves a key on behind a row.
func (s *asideStep) passed(h *heldKey, r *SetAside) {
	h.rows--
	h.stored--
	if !h.lowered {
		h.next = r.AsideKey.after()
	}
}

// change stores the head of a row anew; changed does for one that has become of another kind.
func (s *asideStep) change(r *SetAside) {
	head := *r
	head.Event = nil
	s.changes = append(s.changes, AsideChange{Key: r.AsideKey, Put: &head})
}

func (s *asideStep) changed(r *SetAside) {
	s.change(r)
	s.changes[len(s.changes)-1].New = true
	s.unstored[r.AsideKey]++
}

// giveUp gives up the first held row of a key.
func (s *asideStep) giveUp(h *heldKey, r *SetAside, why DropReason) {
	s.add(r, -1)
	r.Reason, r.Since, r.Group = why, s.now.Wall, r.Seq
	if r.Attempts == 0 {
		r.Attempts = h.attempts
	}
	r.Kind = Parked
	if s.p.Destination != "" {
		r.Kind = Telling
	} else {
		s.counters.Parked++
	}
	s.add(r, 1)
	s.changed(r)
	s.passed(h, r)
	h.attempts, h.fails, h.err = 0, 0, ""
	h.at = s.now.Mono
	s.do(Put{Kind: r.Kind, Loss: lossOf([]SetAside{*r})})
}

func lossOf(rows []SetAside) Loss {
	r := &rows[0]
	return Loss{
		Reason: r.Reason, Records: asideRecords(rows), Attempts: r.Attempts, Error: r.Error,
		RequestID: r.RequestID, Version: r.Version, Unhandled: r.Unhandled,
	}
}

// tellDue tells the destination of the next row that waits for it.
func (s *asideStep) tellDue() {
	if len(s.tell) == 0 || s.telling() != nil || len(s.changes) >= maxUnstored {
		return
	}
	i := 0
	if s.tellAt > s.now.Mono && s.p.Destination != "" {
		// Not its turn; but an hour may be over.
		if i = slices.IndexFunc(s.tell, s.overdue); i < 0 {
			return
		}
	}
	t := s.tell[i]
	s.tell = slices.Delete(s.tell, i, i+1)
	n := s.begin(&asideCall{task: fetchTold, told: t})
	s.do(Fetch{Batch: n, Keys: t.keys})
}

func (s *asideStep) overdue(t *told) bool {
	return !s.now.NoAgeing && s.now.Wall-t.since >= deliverFor.Milliseconds()
}

func (s *asideStep) tellFetched(c *asideCall, ev Fetched) {
	rows := slices.DeleteFunc(ev.Rows, func(r SetAside) bool { return r.Kind != Telling })
	switch {
	case ev.Err != nil:
		s.tellLater(c.told)
	case c.abandoned:
		s.tell = slices.Insert(s.tell, 0, c.told)
	case len(rows) == 0:
	case s.p.Destination == "" || s.overdue(c.told):
		s.park(rows)
	default:
		slices.SortFunc(rows, func(a, b SetAside) int { return a.Seq.Compare(b.Seq) })
		c.task, c.rows = tellTold, rows
		n := s.begin(c)
		s.do(Deliver{Batch: n, Destination: s.p.Destination, Loss: lossOf(rows)})
	}
}

func (s *asideStep) tellLater(t *told) {
	s.tell = append(s.tell, t)
	s.tellFails++
	s.tellAt = s.now.Mono + backoff(s.tellFails, maxDeliveryBackoff, s.jitter)
}

func (s *asideStep) delivered(ev Delivered) {
	c := s.calls[ev.Batch]
	if c == nil || c.task != tellTold {
		return
	}
	delete(s.calls, ev.Batch)
	switch {
	case ev.Error == "": // also when it was stopped meanwhile: it has been told
		s.counters.Delivered += uint64(len(c.rows))
		s.tellFails, s.tellAt = 0, 0
		for i := range c.rows {
			s.discard(&c.rows[i])
		}
	case c.abandoned:
		s.tell = slices.Insert(s.tell, 0, c.told)
	default:
		s.counters.DestinationFailures++
		for i := range c.rows {
			c.rows[i].Error = clipError("the on-failure destination: " + ev.Error)
		}
		if s.overdue(c.told) {
			s.park(c.rows)
			return
		}
		s.tellLater(c.told)
	}
}

// park ends the telling of rows.
func (s *asideStep) park(rows []SetAside) {
	for i := range rows {
		r := &rows[i]
		s.add(r, -1)
		r.Kind, r.Since = Parked, s.now.Wall
		s.add(r, 1)
		s.changed(r)
		s.counters.Parked++
	}
	s.do(Put{Kind: Parked, Loss: lossOf(rows)})
}

// sweepDue looks, now and then, for parked rows that are too old to be kept.
func (s *asideStep) sweepDue() {
	if s.sweepAt > s.now.Mono {
		return
	}
	s.sweepAt = s.now.Mono + sweepEvery
	if s.count[Parked] == 0 || s.now.NoAgeing {
		return
	}
	s.sweepFrom(AsideKey{})
}

func (s *asideStep) sweepFrom(from AsideKey) {
	n := s.begin(&asideCall{task: sweep, from: from})
	s.do(Fetch{Batch: n, From: from, Max: asidePage, MaxBytes: MaxPayload, Heads: true})
}

func (s *asideStep) swept(rows []SetAside) {
	var old []SetAside
	for i := range rows {
		if r := &rows[i]; s.parked(r) && s.now.Wall-r.Since > s.limits.age.Milliseconds() {
			old = append(old, *r)
			s.discard(r)
			s.counters.ParkedExpired++
		}
	}
	if len(old) > 0 {
		s.do(Discarded{Rows: old})
	}
	if len(rows) == asidePage {
		s.sweepFrom(rows[len(rows)-1].after())
	}
}

// parked reports that a row that was read is parked, and that nothing else is on its way to
// the disk. (Rows are read and looked at in one go, so what has been stored was read.)
func (s *asideStep) parked(r *SetAside) bool {
	return r.Kind == Parked && s.unstored[r.AsideKey] == 0
}

// discard removes a row for good.
func (s *asideStep) discard(r *SetAside) {
	s.unstored[r.AsideKey]++
	s.changes = append(s.changes, AsideChange{Key: r.AsideKey})
	s.add(r, -1)
}

func (s *asideStep) recalled(q Recall, ev Fetched) {
	done := Recalled{Token: q.Token, Err: ev.Err}
	for i := range ev.Rows {
		r := &ev.Rows[i]
		if done.Count == q.Max {
			done.Next, done.More = r.AsideKey, true
			break
		}
		if !s.parked(r) || !q.Match(r) {
			continue
		}
		done.Count++
		if q.Discard {
			s.discard(r)
			continue
		}
		s.add(r, -1)
		r.Kind, r.Since, r.Attempts, r.Function = Held, s.now.Wall, 0, q.Function
		s.add(r, 1)
		s.changed(r)
		h := s.keys[r.Hash]
		if h == nil {
			h = s.key(r.AsideKey)
			h.at = s.now.Mono
			s.do(Ask{Hash: r.Hash})
		}
		h.rows++ // it is seen once the change is stored
	}
	if n := len(ev.Rows); !done.More && n == asidePage {
		done.Next, done.More = ev.Rows[n-1].after(), true
	}
	s.do(done)
}

func (s *asideStep) nudge() {
	for _, h := range s.keys {
		h.fails, h.at = 0, s.now.Mono
	}
	heap.Init(&s.due)
	s.pause, s.tellAt, s.tellFails = 0, 0, 0
}
