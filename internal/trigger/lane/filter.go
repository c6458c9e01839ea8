package lane

// A mapping's filters and its condition choose records when these are read, and again when they have changed: what
// waits, or is tried again, and is not wanted any more has ended. Records with the function are judged when the
// call has failed; those that are given up already stay so.

// Wants reports whether the filters and the condition want a record.
func (p *Params) Wants(rec Record) bool {
	return (len(p.Filters) == 0 || p.Filters.Match(rec)) && (p.When == nil || p.When.Eval(rec.Image("OldImage"), rec.Image("NewImage")))
}

func (p *Params) chooses() bool { return len(p.Filters) > 0 || p.When != nil }

// setParams gives the machine new parameters.
func (s *step) setParams(p Params) {
	s.p = p
	if !p.chooses() {
		return
	}
	kept := s.pending[:0]
	for _, e := range s.pending {
		if s.wanted(&e) {
			kept = append(kept, e)
		} else {
			s.removed(&e)
		}
	}
	clear(s.pending[len(kept):])
	s.pending = kept
	for _, b := range s.batches {
		b.unjudged = true
	}
}

// wanted is Wants for a record in memory. One that is not has ended: the marks have passed it, and
// nothing else knows of it.
func (s *step) wanted(e *entry) bool {
	if s.p.Wants(e.rec) {
		return true
	}
	s.counters.FilteredOut++
	return false
}

// judgeAgain ends the records of a batch that are not wanted any more. It reports whether there were any; what is
// left is tried at once then, with a new budget.
func (s *step) judgeAgain(b *batch) bool {
	if !b.unjudged || b.inFlight {
		return false
	}
	b.unjudged = false
	lost := 0
	if b.loss != nil {
		lost = len(b.loss.Records)
	}
	before, n := len(b.entries), len(b.entries)
	for _, part := range b.rest {
		n += len(part)
	}
	b.entries = append(b.entries[:lost:lost], s.chosen(b.entries[min(lost, before):])...)
	left := len(b.entries)
	rest := b.rest[:0]
	for _, part := range b.rest {
		if part = s.chosen(part); len(part) > 0 {
			rest = append(rest, part)
		}
		left += len(part)
	}
	clear(b.rest[len(rest):])
	b.rest = rest
	if left == n {
		return false
	}
	b.search.unsure()
	s.becomes(ThenRefused)
	if len(b.entries) < before && b.loss == nil {
		b.renew()
		b.at = s.now.Mono
	}
	s.end(b, 0)
	return true
}

// chosen returns the entries that are wanted.
func (s *step) chosen(entries []entry) []entry {
	kept := make([]entry, 0, len(entries))
	for i := range entries {
		if s.wanted(&entries[i]) {
			kept = append(kept, entries[i])
		}
	}
	return kept
}
