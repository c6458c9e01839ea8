package lane

import (
	"container/heap"
	"time"
)

// sweepEvery is how often parked records are looked at for their age.
const sweepEvery = time.Hour

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
	n := s.begin(&asideCall{task: sweeping})
	s.do(Fetch{Batch: n, From: from, Max: AsidePage, MaxBytes: MaxPayload, Heads: true})
}

func (s *asideStep) swept(rows []SetAside) {
	var old []SetAside
	for i := range rows {
		if !s.known(&rows[i]) {
			s.do(Vanished{})
		}
		if r := &rows[i]; s.parked(r) && s.now.Wall-r.Since > s.limits.age.Milliseconds() {
			old = append(old, *r)
			s.discard(r)
			s.counters.ParkedExpired++
		}
	}
	if len(old) > 0 {
		s.do(Discarded{Rows: old})
	}
	if len(rows) == AsidePage {
		s.sweepFrom(rows[len(rows)-1].After())
	}
}

// known reports whether a held row that was read is one that the machine knows of. One that is not is what the owner before this one has made
// of a parked row, after all were loaded.
func (s *asideStep) known(r *SetAside) bool {
	return !s.shared || r.Kind != Held || s.unstored[r.AsideKey] > 0 || s.keys[r.Hash] != nil
}

// parked reports that a row that was read is parked, and that nothing else is on its way to
// the disk. (What was stored during the reading still counts as on its way.)
func (s *asideStep) parked(r *SetAside) bool {
	return r.Kind == Parked && s.unstored[r.AsideKey] == 0
}

func (s *asideStep) recallFrom(q Recall) {
	n := s.begin(&asideCall{task: recalling, recall: q})
	s.do(Fetch{Batch: n, From: q.From, Max: AsidePage, MaxBytes: MaxPayload, Heads: true})
}

// givenUp gives up a held row as a person wants it. What waits behind it goes at once.
func (s *asideStep) givenUp(r *SetAside, done *Recalled) {
	h := s.keys[r.Hash]
	if h == nil || h.busy {
		done.Busy++
		return
	}
	done.Count++
	s.lose(r, GivenUp)
	h.rows--
	h.stored--
	if r.AsideKey.Compare(h.next) <= 0 { // it was the first, whose attempts the key has counted
		h.attempts, h.fails, h.err = 0, 0, ""
		h.at = s.now.Mono
	}
	if h.place >= 0 {
		heap.Remove(&s.due, h.place)
	}
	s.requeue(h)
}

// recalled has parked rows tried again, or removes them.
func (s *asideStep) recalled(q Recall, ev Fetched) {
	done := Recalled{Token: q.Token, Err: ev.Err}
	for i := range ev.Rows {
		r := &ev.Rows[i]
		if !s.known(r) {
			s.do(Vanished{})
		}
		if done.Count == q.Max {
			done.Next, done.More = r.AsideKey, true
			break
		}
		if q.GiveUp {
			if r.Kind == Held && s.unstored[r.AsideKey] == 0 && q.Match(r) {
				s.givenUp(r, &done)
			}
			continue
		}
		if !s.parked(r) || !q.Match(r) {
			continue
		}
		done.Count++
		if q.Discard {
			s.discard(r)
			continue
		}
		r.Attempts, r.Function = 0, q.Function
		s.become(r, Held)
		h := s.keys[r.Hash]
		if h == nil {
			h = s.key(r.AsideKey)
			h.at = s.now.Mono
			s.do(Ask{Hash: r.Hash})
		}
		h.rows++ // it is seen once the change is stored
	}
	if n := len(ev.Rows); !done.More && n == AsidePage {
		done.Next, done.More = ev.Rows[n-1].After(), true
	}
	s.do(done)
}
