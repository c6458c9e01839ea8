package lane

import (
	"slices"
	"time"
)

// Records of a lane machine go aside from the head of a virtual lane only: every earlier record
// of the lane has ended. So what has ended of a virtual lane stays a prefix of it,
// and a checkpoint is a number for each.

// fate is what becomes of a pending record.
type fate byte

const (
	toSend fate = iota
	toHold      // its key has held rows
	toPark      // it is the work of functions that trigger each other
)

// fateOf tells what is to become of a record that was read.
func (m *Machine) fateOf(rec Record) fate {
	switch {
	case rec.Cause() >= MaxCause:
		return toPark
	case m.p.Tumbling == 0 && m.aside.takes(rec.KeyHash()):
		return toHold
	}
	return toSend
}

// putAside sets the first records of a batch, or of their virtual lanes, aside. They have ended
// then. It reports false when there is no room.
func (s *step) putAside(entries []entry, kind AsideKind, l *Loss) bool {
	if s.unsaved >= s.aside.limits.unsaved {
		return false // what is there is stored first
	}
	changes, ok := s.aside.put(s.now, s.shard, entries, kind, l)
	if !ok {
		return false
	}
	for _, c := range changes {
		s.unsaved += c.Put.Size
	}
	s.changes = append(s.changes, changes...)
	s.moved = true
	return true
}

// moveAside sets aside the pending records that are not to be sent, once they are the first of their
// virtual lanes. It reports whether there were any.
func (s *step) moveAside() (some bool) {
	if s.leaving == 0 {
		return false
	}
	const all = 1<<VirtualLanes - 1
	stuck := s.busy()
	i, kept := 0, 0
	for ; i < len(s.pending) && stuck != all; i++ {
		e := s.pending[i]
		bit := uint64(1) << e.lane
		if e.fate != toSend && stuck&bit == 0 && s.moveOne(&e) {
			some = true
			continue
		}
		stuck |= bit
		if kept != i {
			s.pending[kept] = e
		}
		kept++
	}
	if some {
		kept += copy(s.pending[kept:], s.pending[i:])
		clear(s.pending[kept:])
		s.pending = s.pending[:kept]
	}
	return some
}

func (s *step) moveOne(e *entry) bool {
	one := []entry{*e}
	if e.fate == toHold {
		if !s.putAside(one, Held, nil) {
			return false
		}
	} else {
		l := Loss{Reason: RecursionLimit, Records: records(one), Error: "functions trigger each other without end"}
		if !s.putAside(one, Parked, &l) {
			return false
		}
		s.do(PutAside{Kind: Parked, Shard: s.shard, Loss: l})
	}
	s.removed(e)
	s.markEnded(one)
	return true
}

// moveHeld sets the head of a batch aside as long as its key has held rows, and cuts the batch before
// the next such record.
func (s *step) moveHeld(b *batch) {
	if !s.aside.takesAny() || b.window != nil || b.loss != nil {
		return
	}
	for !b.gone && s.aside.takes(b.entries[0].rec.KeyHash()) {
		if !s.putAside(b.entries[:1], Held, nil) {
			s.backOff(b, s.noRoom(""), maxThrottleBackoff, 0)
			return
		}
		b.search.unsure()
		s.end(b, 1)
	}
	if b.gone {
		return
	}
	gains := s.aside.gains.Load()
	for i := range b.entries {
		if i > 0 && b.entries[i].gains != gains && s.aside.takes(b.entries[i].rec.KeyHash()) {
			b.rest = append(b.rest, b.entries[i:])
			b.entries = b.entries[:i:i]
			return
		}
	}
}

// isolates reports whether it is searched which keys of a failing batch fail.
func (s *step) isolates(b *batch) bool {
	return s.p.OnFailure == BlockKey && b.window == nil && !b.closing
}

// A batch in which some record fails is cut until the record is found: while other
// batches succeed, that takes few calls. When nothing succeeds, it is the function that fails, and
// calls become rare.
const maxStreak = 16

func (s *step) streakGoesOn() {
	if s.streak++; s.streak > maxStreak {
		s.pauseUntil = s.now.Mono + backoff(s.streak-maxStreak, maxBackoff, s.jitter)
	}
}

// failedKey goes on after a batch has failed, or its first record has (named).
func (s *step) failedKey(b *batch, why string, named bool) {
	s.streakGoesOn()
	if !named && len(b.entries) > 1 {
		b.search.last = len(b.entries)
		s.bisect(b)
		b.search.on, b.search.bad = true, true
		b.at = s.now.Mono
		return
	}
	b.attempts++
	b.err = why
	if s.p.exhausted(&b.budget) {
		b.search.found()
		s.giveUp(b, 1, RetryAttemptsExhausted)
		return
	}
	l := s.lossOf(b, 1, "")
	l.Attempts = b.attempts
	if !s.putAside(b.entries[:1], Held, &l) {
		s.backOff(b, s.noRoom(why), maxBackoff, 0)
		return
	}
	s.becomes(ThenHeld)
	hash := b.entries[0].rec.KeyHash()
	b.renew()
	b.at = s.now.Mono
	b.search.found()
	s.end(b, 1)
	s.holdKey(hash)
}

// noRoom is why a mapping is blocked that has set aside as much as it may.
func (s *step) noRoom(why string) string {
	text := "no more records can be set aside until some are redriven or dropped"
	if s.unsaved >= s.aside.limits.unsaved {
		text = "records that are set aside wait to be stored"
	}
	if why != "" {
		text += "; " + why
	}
	return text
}

// holdKey marks the pending records of a key: it has held rows from now on.
func (s *step) holdKey(hash uint64) {
	if s.p.Tumbling > 0 {
		return
	}
	for i := range s.pending {
		if e := &s.pending[i]; e.fate == toSend && e.rec.KeyHash() == hash {
			e.fate = toHold
			s.leaving++
		}
	}
}

// grant tells the Aside of keys that it may try: none of their records is with the
// function, and none will be (see moveHeld) before the held rows have ended.
func (s *step) grant() {
	s.asked = slices.DeleteFunc(s.asked, func(hash uint64) bool {
		if s.sent(hash) {
			return false
		}
		s.aside.granted(hash)
		s.do(Poke{})
		return true
	})
}

// sent reports whether records of a key are with the function, or may be again.
func (m *Machine) sent(hash uint64) bool {
	has := func(e entry) bool { return e.rec.KeyHash() == hash }
	within := func(b *batch) bool { // with a window, nothing of it goes aside before it is given up
		return b.window != nil && slices.ContainsFunc(b.rest, func(part []entry) bool { return slices.ContainsFunc(part, has) })
	}
	return slices.ContainsFunc(m.batches, within) ||
		slices.ContainsFunc(m.abandoned, func(b *batch) bool { return slices.ContainsFunc(b.entries, has) }) ||
		slices.ContainsFunc(m.batches, func(b *batch) bool {
			entries := b.entries
			if b.loss != nil {
				entries = entries[len(b.loss.Records):] // those before are given up
			}
			return (b.inFlight || b.window != nil) && slices.ContainsFunc(entries, has)
		})
}

// HasChanges reports whether TakeChanges would return something.
func (m *Machine) HasChanges() bool { return len(m.changes) > 0 }

// TakeChanges returns the rows that are to be stored in one batch with the checkpoint. They are the caller's: it
// calls ChangesStored when they are durable, or else PutBack.
func (m *Machine) TakeChanges() []AsideChange {
	c := m.changes
	m.changes = nil
	return c
}

// PutBack returns changes that could not be stored.
func (m *Machine) PutBack(c []AsideChange) { m.changes = append(c, m.changes...) }

// ChangesStored tells that changes are durable. A Timer should follow: the machine may have waited for room.
func (m *Machine) ChangesStored(c []AsideChange) {
	for i := range c {
		m.unsaved -= c[i].Put.Size
	}
}

// lossOf is what is given up with the first n records of a batch.
func (s *step) lossOf(b *batch, n int, why DropReason) Loss {
	return Loss{
		Reason: why, Records: records(b.entries[:n]), Window: b.window, Attempts: b.calls, Error: b.err,
		RequestID: b.requestID, Version: b.version, Unhandled: b.unhandled,
	}
}

// parkAgain is the wait of what cannot be parked for lack of room.
const parkAgain = 10 * time.Second
