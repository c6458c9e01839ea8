package lane

import (
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// batch is a batch under way: invoked, or waiting for its next attempt or for a
// destination. Its records change only between attempts.
type batch struct {
	id      uint64
	lane    int     // of the current factor; -1 after the factor has changed
	entries []entry // the part that is sent
	// rest are the parts behind it, the next one last: a batch that was cut in two is
	// still one batch, so that its virtual lanes stay its own.
	rest [][]entry
	mask uint64 // virtual lanes of its records
	gone bool   // it has ended
	// unjudged: the filters may have changed since its records were judged by them.
	unjudged bool

	search search

	window  *Window // the tumbling window of its records; nil without
	closing bool    // the closing call of window; no records

	inFlight bool
	sent     time.Duration // the newest time
	budget                 // of the part that is sent
	calls    int           // deliveries of this part made
	// Of the newest answer, for the document of a destination.
	requestID, version string
	unhandled          bool // the function failed, rather than report failures

	// Of an answer with writes: what it says. Of one, or of a loss that a destination is being told of: whether the commit
	// is under way, and whether it was made.
	verdict  verdict
	deciding bool
	applied  bool

	loss *loss // what is given up of it, while a destination is being told
}

// next is the moment of the batch's next attempt or delivery; ok is false while one
// is under way.
func (b *batch) next() (at time.Duration, ok bool) {
	if b.loss != nil {
		return b.loss.retryAt, !b.loss.inFlight
	}
	return b.at, !b.inFlight
}

// laneClock is the batching window of one lane. For streams the window begins
// when the lane's previous invocation ended. Once a window has passed with
// nothing gathered, the next record begins a new one: so an idle lane needs no timer.
type laneClock struct {
	finished time.Duration // end of the lane's previous invocation
	deadline time.Duration // end of the window under way; never when there is none
}

func (s *step) resetLanes() {
	for _, b := range s.batches {
		b.lane = -1
	}
	for g := range s.lanes {
		s.lanes[g] = laneClock{finished: s.now.Mono, deadline: never}
	}
}

// laneMask is the set of virtual lanes of lane g.
func laneMask(g, factor int) uint64 {
	var mask uint64
	for v := g; v < VirtualLanes; v += factor {
		mask |= 1 << v
	}
	return mask
}

// busy is the set of virtual lanes that have a batch under way.
func (m *Machine) busy() uint64 {
	var mask uint64
	for _, b := range m.abandoned {
		mask |= b.mask
	}
	for _, b := range m.batches {
		mask |= b.mask
	}
	return mask
}

// laneFree reports whether lane g may begin a batch.
func (m *Machine) laneFree(g int) bool {
	if len(m.batches)+len(m.abandoned) >= m.p.Factor {
		return false
	}
	for _, b := range m.batches {
		if b.lane == g {
			return false
		}
	}
	return true
}

// waiting sums up the pending records of these virtual lanes.
func (m *Machine) waiting(lanes uint64) (records int, bytes int64) {
	if lanes == ^uint64(0) {
		return len(m.pending), int64(m.pendingBytes)
	}
	for v := range VirtualLanes {
		if lanes&(1<<v) != 0 {
			records += int(m.laneCount[v])
			bytes += m.laneBytes[v]
		}
	}
	return records, bytes
}

// dispatch begins every batch that is due.
func (s *step) dispatch() {
	if s.dispatchWindow() {
		return
	}
	for g := range s.p.Factor {
		for s.laneFree(g) && len(s.pending) > 0 {
			lanes := laneMask(g, s.p.Factor) &^ s.busy()
			if s.p.Factor == 1 && s.behind(^uint64(0)) != 0 {
				return // earlier records of some lane are still to be read again
			}
			if !s.ripe(g, lanes) || !s.begin(g, lanes) {
				break
			}
		}
	}
}

// ripe reports whether what is pending for a lane is to be sent now.
func (s *step) ripe(g int, lanes uint64) bool {
	n, size := s.waiting(lanes)
	if n == 0 {
		s.lanes[g].deadline = never
		return false
	}
	if n >= s.p.BatchSize || int(size)+n+payloadFrame >= MaxPayload {
		return true
	}
	c := &s.lanes[g]
	if s.p.Window == 0 {
		c.deadline = c.finished + s.now.Gather
		if c.deadline > s.now.Mono && s.hasRoom(s.pendingLimit()) {
			return false
		}
		s.readFirst = s.readFirst || s.unread()
		return !s.readFirst
	}
	if c.deadline == never {
		c.deadline = c.finished + s.p.Window
		if c.deadline <= s.now.Mono {
			c.deadline = s.now.Mono + s.p.Window
		}
	}
	c.deadline = min(c.deadline, s.now.Mono+s.p.Window) // the window was made shorter
	return c.deadline <= s.now.Mono
}

// begin makes the next batch of a lane of pending records, and sends it. It reports
// false when none of them is to be sent.
func (s *step) begin(g int, lanes uint64) bool {
	s.lanes[g].deadline = never
	s.lastBatch++
	b := &batch{id: s.lastBatch, lane: g}
	size := payloadFrame
	if s.p.Tumbling > 0 {
		b.window = s.currentWindow()
		size += windowFrame + len(b.window.State)
	}
	probe, probing := s.probe(), false
	kept, i := 0, 0
	for ; i < len(s.pending) && len(b.entries) < s.p.BatchSize; i++ {
		e := &s.pending[i]
		if e.fate != toSend {
			lanes &^= 1 << e.lane // what follows it waits until it can go aside
		}
		if lanes&(1<<e.lane) == 0 {
			s.pending[kept] = *e
			kept++
			continue
		}
		if len(b.entries) > 0 && size+1+e.size > MaxPayload {
			break
		}
		if len(probe) > 0 && b.window == nil {
			if _, of := slices.BinarySearch(probe, e.rec.KeyHash()); len(b.entries) == 0 {
				probing = of
			} else if of != probing {
				lanes &^= 1 << e.lane
				s.pending[kept] = *e
				kept++
				continue
			}
		}
		if b.window != nil && !b.window.holds(e.rec.Time()) {
			break
		}
		if len(b.entries) > 0 {
			size++ // the comma
		} else {
			n, _ := s.waiting(lanes)
			b.entries = make([]entry, 0, min(n, s.p.BatchSize))
		}
		size += e.size
		b.entries = append(b.entries, *e)
		b.mask |= 1 << e.lane
		s.removed(e)
	}
	kept += copy(s.pending[kept:], s.pending[i:])
	clear(s.pending[kept:])
	s.pending = s.pending[:kept]
	if len(b.entries) == 0 {
		return false
	}
	s.batches = append(s.batches, b)
	s.retry(b)
	return true
}

// retryDue sends the batches whose backoff is over.
func (s *step) retryDue() {
	for _, b := range slices.Clone(s.batches) {
		s.judgeAgain(b)
		s.retry(b)
	}
}

// retry sends a batch that is due; first what is too old, or has had its attempts, is given up.
func (s *step) retry(b *batch) {
	for !b.gone && !b.inFlight && b.loss == nil && b.at <= s.now.Mono {
		if s.moveHeld(b); b.gone || b.at > s.now.Mono {
			return
		}
		if s.pauseUntil > s.now.Mono {
			b.at = s.pauseUntil
			return
		}
		switch n := s.tooOld(b); {
		case s.calls() >= s.p.Factor:
			return // the factor was lowered while more batches were under way
		case n > 0:
			s.giveUp(b, n, RecordAgeExceeded)
		case s.p.exhausted(&b.budget):
			// The limit was lowered while the batch was waiting.
			s.giveUp(b, len(b.entries), RetryAttemptsExhausted)
		case s.windowTooOld(b):
			s.giveUp(b, 0, RecordAgeExceeded)
		default:
			s.attempt(b)
		}
	}
}

// attempt sends a batch.
func (s *step) attempt(b *batch) {
	b.inFlight, b.sent = true, s.now.Mono
	b.calls++
	if b.window != nil && !b.closing && s.window != nil {
		b.window = s.window // with the newest state
	}
	s.do(Invoke{
		Batch: b.id, Shard: s.shard, Attempt: b.calls, FunctionARN: s.p.FunctionARN, Records: records(b.entries),
		Window: b.window, Final: b.closing, Early: b.closing && b.window.tooLarge(),
	})
}

func records(entries []entry) []Record {
	rs := make([]Record, len(entries))
	for i := range entries {
		rs[i] = entries[i].rec
	}
	return rs
}

// end marks the first n records of a batch as ended. When its part has ended, the next
// one is due.
func (s *step) end(b *batch, n int) {
	s.markEnded(b.entries[:n])
	b.entries = b.entries[n:]
	b.search.good += n
	if len(b.entries) == 0 && len(b.rest) > 0 {
		s.nextPart(b)
		b.renew()
		b.at = s.now.Mono
	}
	if len(b.entries) == 0 {
		s.remove(b)
		return
	}
	b.mask = 0
	b.cover(b.entries)
	for _, part := range b.rest {
		b.cover(part)
	}
}

// nextPart sends the next part of a batch in the place of the one that has ended.
func (s *step) nextPart(b *batch) {
	if b.search.on && s.isolates(b) {
		s.searchOn(b)
		return
	}
	k := len(b.rest)
	b.entries, b.rest = b.rest[k-1], b.rest[:k-1]
}

func (b *batch) cover(entries []entry) {
	for i := range entries {
		b.mask |= 1 << entries[i].lane
	}
}

// renew begins a new retry budget: the batch has got further.
func (b *batch) renew() { b.attempts, b.calls, b.fails = 0, 0, 0 }

func (s *step) remove(b *batch) {
	b.gone = true
	s.batches = slices.DeleteFunc(s.batches, func(o *batch) bool { return o == b })
	if b.lane >= 0 {
		s.lanes[b.lane] = laneClock{finished: s.now.Mono, deadline: never}
	}
}

func (s *step) markEnded(entries []entry) {
	for i := range entries {
		e := &entries[i]
		if s.ended[e.lane].Less(e.seq) {
			s.ended[e.lane] = e.seq
		}
	}
	s.moved = true
}

// calls counts the invocations under way.
func (m *Machine) calls() int {
	n := len(m.abandoned)
	for _, b := range m.batches {
		if b.inFlight {
			n++
		}
	}
	return n
}

func (s *step) nudge() {
	for _, b := range s.batches {
		if !b.inFlight {
			b.fails, b.at = 0, s.now.Mono
		}
	}
	s.streak, s.pauseUntil = 0, 0
	s.readFail.at = 0
}

// first is the first record of a batch; zero for a window's closing call.
func (b *batch) first() seqnum.Num {
	if len(b.entries) == 0 {
		return seqnum.Num{}
	}
	return b.entries[0].seq
}
