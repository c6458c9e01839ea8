package lane

import "slices"

// Exactly-once writes: an answer's writes, and the position behind its records (or the removal of
// held rows), are made in one batch. The same goes for what a queue of the server's own is told of records that are
// given up, and their end.
//
//  1. The machine has the answer and asks for a Transact; or it asks for a Deliver. The records are still under way.
//  2. Stage: the checkpoint as it will be when the batch has ended. From here on Start and Stop wait:
//     whether the writes are made is not known.
//  3. Apply, once the writes are visible: the records have ended. Or Unstage, when they are not made.
//  4. TransactDone (Delivered), once they are durable or will not be: the machine goes on.

// causeOf is the depth of a function's writes about records.
func causeOf(records []Record) int {
	depth := 0
	for _, r := range records {
		depth = max(depth, r.Cause())
	}
	return depth + 1
}

// transact asks for the writes of an answer.
func (s *step) transact(b *batch, v verdict) {
	b.inFlight, b.verdict = true, v
	s.do(Transact{Batch: b.id, Writes: v.writes, Cause: causeOf(records(b.entries))})
}

// transacting finds a batch whose answer has writes that are not made yet, or just now; or of which a destination is being told.
func (m *Machine) transacting(id uint64) *batch {
	i := slices.IndexFunc(m.batches, func(b *batch) bool {
		return b.id == id && (b.inFlight && b.verdict.writes.any() || b.loss != nil && b.loss.inFlight)
	})
	if i < 0 {
		return nil
	}
	return m.batches[i]
}

// Stage returns the checkpoint as it will be when a batch has ended; ok is false when the batch
// is not this machine's any more. Apply or Unstage must follow.
func (m *Machine) Stage(batch uint64) (cp Checkpoint, ok bool) {
	b := m.transacting(batch)
	if b == nil {
		return Checkpoint{}, false
	}
	ended, window, own := m.ended, m.window, b.window
	m.applyBatch(b)
	cp = m.Checkpoint()
	m.ended, m.window, b.window, b.applied = ended, window, own, false
	b.deciding = true
	m.deciding++
	return cp, true
}

// Apply ends the records of a staged batch.
func (m *Machine) Apply(batch uint64) {
	b := m.transacting(batch)
	m.applyBatch(b)
	b.deciding = false
	m.deciding--
}

// Unstage takes back that a batch is staged, if it is.
func (m *Machine) Unstage(batch uint64) {
	if b := m.transacting(batch); b != nil && b.deciding {
		b.deciding = false
		m.deciding--
	}
}

// takes is how many records of a batch's part end with a commit.
func (b *batch) takes() int {
	if b.loss != nil {
		return len(b.loss.Records)
	}
	return len(b.entries)
}

// applyBatch ends the records of a batch's part, before its TransactDone or Delivered.
func (m *Machine) applyBatch(b *batch) {
	b.applied = true
	switch {
	case b.loss != nil: // what is given up leaves a window as it is
	case b.closing:
		m.window, m.ending = nil, windowEnding{}
	case b.window != nil:
		m.windowMoved(b, len(b.entries), b.verdict.state)
	}
	for i := range b.entries[:b.takes()] {
		e := &b.entries[i]
		if m.ended[e.lane].Less(e.seq) {
			m.ended[e.lane] = e.seq
		}
	}
}

func (s *step) transactDone(ev TransactDone) {
	b := s.transacting(ev.Batch)
	if b == nil {
		// Stopped before its turn came, or after it was applied: what has ended is in the position.
		s.abandoned = slices.DeleteFunc(s.abandoned, func(b *batch) bool { return b.id == ev.Batch })
		return
	}
	v := b.verdict
	b.inFlight, b.verdict = false, verdict{}
	switch {
	case b.applied:
		b.applied = false
		s.streak, s.pauseUntil = 0, 0
		if b.closing {
			s.windowClosed(b)
			return
		}
		s.end(b, v.done)
	case ev.Refused != "":
		s.counters.Errors++
		b.unhandled = true
		s.judged(b, verdict{err: ev.Refused})
	default:
		s.backOff(b, ev.Undelivered, maxThrottleBackoff, 0)
	}
}
