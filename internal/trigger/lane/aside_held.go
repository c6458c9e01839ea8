package lane

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Held rows: each key's are tried in their order, one call of a key at a time.

// heldPause is between a failed attempt of a held key and the next one of any: many
// failing keys must not take the function from the others.
const heldPause = 20 * time.Millisecond

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
	n := s.begin(&asideCall{task: fetchHeld, key: h})
	s.do(Fetch{Batch: n, From: from, Max: min(h.batch, h.stored), MaxBytes: MaxPayload})
}

// requeue lets a key be tried again, or forgets it when nothing of it is left.
func (s *asideStep) requeue(h *heldKey) {
	h.busy, h.lowered = false, false
	if h.rows == 0 {
		delete(s.keys, h.hash)
		s.keyGone()
		if len(s.keys) == 0 {
			s.do(Room{})
		}
		return
	}
	s.enqueue(h)
}

// putOff puts the key's next attempt off.
func (s *asideStep) putOff(h *heldKey, why string, limit, retryAfter time.Duration) {
	h.putOff(s.now, clipError(why), limit, retryAfter, s.jitter)
	s.requeue(h)
}

// heldFetched begins an attempt with the first rows of a key. As before every attempt, what is not wanted any more ends
// first, and what is too old or has had its attempts is given up.
func (s *asideStep) heldFetched(h *heldKey, rows []SetAside) {
	held := s.heldAmong(h, rows)
	if len(held) == 0 {
		// Rows of other kinds come first.
		if len(rows) > 0 && rows[len(rows)-1].Hash == h.hash {
			h.next = rows[len(rows)-1].After()
			s.fetch(h, h.next)
			return
		}
		if s.shared {
			s.do(Vanished{})
		}
		s.putOff(h, "the rows of a held key are not to be found", maxReadBackoff, 0)
		return
	}
	for len(held) > 0 {
		var why DropReason
		switch r := &held[0]; {
		case s.refused(h, r):
			held = held[1:]
			continue
		case s.p.tooOld(s.now, r.Time), !s.now.NoAgeing && s.now.Wall-r.Since > s.limits.age.Milliseconds():
			why = RecordAgeExceeded
		case s.p.exhausted(&h.budget):
			why = RetryAttemptsExhausted
		default:
			n := 1
			for n < len(held) && !s.unwanted(&held[n]) {
				n++
			}
			s.invoke(h, held[:n])
			return
		}
		s.giveUp(h, &held[0], why)
		held = held[1:]
	}
	s.requeue(h)
}

// heldAmong are the first held rows of a key that one call may have.
func (s *asideStep) heldAmong(h *heldKey, rows []SetAside) (held []SetAside) {
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
	return held
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
	n := s.begin(&asideCall{task: invokeHeld, key: h, rows: rows, began: s.now.Mono})
	s.do(Invoke{
		Batch: n, Shard: rows[0].Shard, Attempt: h.fails + 1, FunctionARN: cmp.Or(rows[0].Function, s.p.FunctionARN), Records: asideRecords(rows),
	})
}

func (s *asideStep) invocationDone(ev InvocationDone) {
	c := s.end(ev.Batch, invokeHeld)
	if c == nil {
		return
	}
	h, r, n := c.key, ev.Result, len(c.rows)
	if c.abandoned {
		s.requeue(h)
		return
	}
	v, reached := s.p.answered(&s.counters, &ev.Result, c, false, s.now.Mono-c.began)
	if !reached {
		f := s.failure(c, verdict{err: r.Error}, r)
		f.Undelivered = true
		s.putOff(h, r.Error, maxThrottleBackoff, r.RetryAfter)
		if !r.Withdrawn {
			s.report(c, f)
		}
		return
	}
	if v.err == "" && !s.tempo.timed(n, s.now.Mono-c.began) {
		s.quick(h.hash)
	}
	if v.err == "" && v.writes.any() {
		c.task = transacting
		s.calls[ev.Batch] = c
		s.do(Transact{Batch: ev.Batch, Writes: v.writes, Cause: causeOf(asideRecords(c.rows))})
		return
	}
	for i := range c.rows[:v.done] {
		s.discard(&c.rows[i])
		h.passed(&c.rows[i])
	}
	s.judged(c, v, r)
}

func (c *asideCall) count() int           { return len(c.rows) }
func (c *asideCall) seq(i int) seqnum.Num { return c.rows[i].Seq }

func (s *asideStep) transactDone(ev TransactDone) {
	c := s.end(ev.Batch, transacting)
	switch {
	case c == nil:
	case c.applied:
		s.judged(c, verdict{done: len(c.rows)}, Result{})
	case c.abandoned:
		s.requeue(c.key)
	case ev.Refused != "":
		s.counters.Errors++
		s.judged(c, verdict{err: ev.Refused}, Result{Outcome: FunctionError})
	default:
		s.putOff(c.key, ev.Undelivered, maxThrottleBackoff, 0)
	}
}

// judged goes on with a key as its answer says. The rows that are done have been removed.
func (s *asideStep) judged(c *asideCall, v verdict, r Result) {
	h := c.key
	if v.done > 0 {
		h.attempts, h.fails, h.err = 0, 0, ""
		h.batch = min(2*h.batch, s.p.BatchSize)
		h.at = s.now.Mono
	}
	if v.err == "" {
		s.requeue(h)
		return
	}
	if r.Outcome == Succeeded {
		s.counters.PartialFailures++
	}
	f := s.failure(c, v, r)
	s.goesOn(c, v, r)
	s.report(c, f)
}

// failure describes a failure of a call, before what follows it.
func (s *asideStep) failure(c *asideCall, v verdict, r Result) Failure {
	n := len(c.rows)
	f := Failure{
		FunctionARN: cmp.Or(c.rows[0].Function, s.p.FunctionARN), RequestID: r.RequestID, Error: v.err, Records: n, Failed: n - v.done, First: asideRecord{&c.rows[v.done]},
		Attempt: c.key.attempts + 1, Calls: c.key.fails + 1,
	}
	if v.named > 0 {
		f.Failed = v.named
	}
	if s.p.MaxRetries >= 0 && (n == 1 || v.named > 0) {
		f.Of = s.p.MaxRetries + 1
	}
	return f
}

// report tells of a failure, and of what follows it.
func (s *asideStep) report(c *asideCall, f Failure) {
	switch r := &c.rows[c.failed]; {
	case r.Kind == Parked:
		f.Then = ThenParked
	case r.Kind == Telling:
		f.Then = ThenDelivered
	default:
		f.Then, f.RetryAt = ThenHeld, c.key.at
	}
	s.do(CallFailed{Shard: c.rows[0].Shard, Failure: f})
}

// goesOn is judged for a call of which something has failed.
func (s *asideStep) goesOn(c *asideCall, v verdict, r Result) {
	h, n := c.key, len(c.rows)
	c.failed = v.done
	s.counters.FailedInvoke += uint64(n - v.done)
	s.pause = s.now.Mono + heldPause
	h.batch = 1
	head := &c.rows[v.done]
	if n > 1 && v.named == 0 {
		// Which of them it was is not known: the first one alone goes next, and counts.
		h.err = clipError(v.err)
		s.requeue(h)
		return
	}
	h.attempts++
	head.Attempts, head.Error = h.attempts, clipError(v.err)
	head.RequestID, head.Version, head.Unhandled = r.RequestID, r.Version, r.Outcome == FunctionError
	if s.p.exhausted(&h.budget) {
		if !s.refused(h, head) {
			s.giveUp(h, head, RetryAttemptsExhausted)
		}
		s.requeue(h)
		return
	}
	s.change(head)
	s.putOff(h, v.err, maxBackoff, 0)
}

// giveUp gives up the first held row of a key.
func (s *asideStep) giveUp(h *heldKey, r *SetAside, why DropReason) {
	if r.Attempts == 0 {
		r.Attempts = h.attempts
	}
	s.lose(r, why)
	h.passed(r)
	h.attempts, h.fails, h.err = 0, 0, ""
	h.at = s.now.Mono
}

// lose has a held row that is given up wait for its destination, or for a person.
func (s *asideStep) lose(r *SetAside, why DropReason) {
	r.Reason, r.Group = why, r.Seq
	kind := Parked
	if s.p.Destination != "" {
		kind = Telling
	} else {
		s.counters.Parked++
	}
	s.become(r, kind)
	s.do(PutAside{Kind: kind, Shard: r.Shard, Loss: lossOf([]SetAside{*r})})
}
