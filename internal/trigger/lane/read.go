package lane

import (
	"math"
	"math/bits"
	"slices"
)

// bounds limit the pending records of one machine.
type bounds struct {
	minRecords, maxRecords int
	bytes                  int
}

// The bound in bytes is a third above the payload limit, so that a full payload is
// always in memory when reading pauses.
var defaultBounds = bounds{minRecords: 512, maxRecords: 20_000, bytes: MaxPayload / 3 * 4}

// pendingLimit is the bound in records: enough for every lane's next batch.
func (m *Machine) pendingLimit() int {
	return min(max(m.p.BatchSize*(m.p.Factor+1), m.bounds.minRecords), m.bounds.maxRecords)
}

func (s *step) wake(ev Wake) {
	if s.head.seq.Less(ev.Head) {
		s.head = mark{seq: ev.Head, ordinal: ev.Records}
	}
	s.headEnd = s.headEnd || ev.Closed
	s.headKnown = true
}

// Heed is the count of records up to a head of which the machine wants to be told at once; 0: of any. A lower head is
// to be told with the next event other than a Wake, which is sure to come soon: it would change nothing before. So a
// lane that pauses, and gathers (Instant.Gather), does not look at every few records that come meanwhile.
func (m *Machine) Heed() uint64 { return m.heed }

func (s *step) toHeed() uint64 {
	if !s.running || s.drain || s.now.Gather == 0 || s.p.Factor != 1 || s.p.Window > 0 || s.p.Tumbling > 0 ||
		s.reading || s.closed || s.headEnd || s.deciding > 0 || s.readFail.at > s.now.Mono || len(s.abandoned) > 0 {
		return 0
	}
	switch len(s.batches) {
	case 0:
		if d := s.lanes[0].deadline; d == never || d <= s.now.Mono || s.timerAt != d {
			return 0 // no timer would tell of it
		}
	case 1:
		if !s.batches[0].inFlight {
			return 0
		}
	default:
		return 0
	}
	if len(s.pending) >= s.p.BatchSize {
		return math.MaxUint64
	}
	return s.frontier.ordinal + uint64(s.p.BatchSize-len(s.pending))
}

// unread reports whether records are known to have come that may be read now, and whose head was not heeded before.
func (s *step) unread() bool {
	return s.heed > 0 && !s.reading && !s.closed && s.now.Mono >= s.readFail.at && s.frontier.seq.Less(s.head.seq) && s.hasRoom(s.pendingLimit())
}

// behind is the set of virtual lanes among mask whose records up to the frontier
// were not all kept.
func (m *Machine) behind(mask uint64) uint64 {
	var set uint64
	for v := range m.have {
		if m.have[v].seq.Less(m.frontier.seq) {
			set |= 1 << v
		}
	}
	return set & mask
}

// readMore asks for the next page when there is something to read and room for it.
func (s *step) readMore() {
	if s.reading || s.now.Mono < s.readFail.at {
		return
	}
	s.unshed()
	catch := s.behind(^s.shed)
	ahead := !s.closed && (s.frontier.seq.Less(s.head.seq) || s.headEnd || s.settling())
	if catch == 0 && !ahead {
		return
	}
	limit := s.pendingLimit()
	if !s.hasRoom(limit) {
		s.shedBlocked()
		if !s.hasRoom(limit) {
			return
		}
		catch = s.behind(^s.shed)
		if catch == 0 && !ahead {
			return
		}
	}
	// Lanes that are behind and the frontier take turns; with one lane the total
	// order asks that nothing is behind.
	from := s.frontier
	if catch != 0 && (s.catchTurn || !ahead || s.p.Factor == 1) {
		for set := catch; set != 0; set &= set - 1 {
			from = earlier(from, s.have[bits.TrailingZeros64(set)])
		}
		s.catchTurn = false
	} else {
		s.catchTurn = true
	}
	s.reading = true
	s.token++
	s.readAfter, s.readHead, s.settleRead = from, s.head, 0
	if s.settling() {
		s.settleRead = s.window.End
	}
	s.do(Read{Token: s.token, After: from.seq, MaxRecords: limit - len(s.pending), MaxBytes: s.bounds.bytes - s.pendingBytes})
}

// hasRoom leaves a quarter of slack, so that pages are of a useful size.
func (m *Machine) hasRoom(limit int) bool {
	return len(m.pending) <= limit/4*3 && m.pendingBytes <= m.bounds.bytes/4*3
}

func (s *step) pageRead(ev PageRead) {
	if ev.Token != s.token || !s.reading {
		return
	}
	s.reading, s.readFirst = false, false
	if ev.Err != nil {
		s.readFailed(ev.Err.Error())
		return
	}
	page, at := ev.Page, s.readAfter
	if lost := page.Missed; lost != nil && at.seq.Less(lost.Last) {
		at = s.missed(at, *lost)
	}
	lanes := s.complete(at)
	at = s.keep(page.Records, at, lanes)
	empty := len(page.Records) == 0 && !page.End
	if empty {
		// Nothing lies between the beginning and the head that was known when the
		// read was made.
		at = later(at, s.readHead)
	}
	s.settle(empty, page.Coming)
	if empty && s.headEnd {
		s.readFailed("the shard is closed, but its end cannot be read")
	} else {
		s.readFail = trouble{}
	}
	if empty || page.End {
		at = later(at, s.frontier)
	}
	s.closed = s.closed || page.End
	for set := lanes; set != 0; set &= set - 1 {
		v := bits.TrailingZeros64(set)
		s.have[v] = later(s.have[v], at)
	}
	s.frontier = later(s.frontier, at)
}

// complete is the set of virtual lanes that have everything up to a place, where a page begins: only these can take
// records from the page.
func (s *step) complete(at mark) uint64 {
	lanes := ^s.shed
	for v := range s.have {
		if s.have[v].seq.Less(at.seq) {
			lanes &^= 1 << v
		}
	}
	return lanes
}

// keep adds the records of a page that begins at a place to those that are pending, as far as they are new, belong to
// these virtual lanes, and are wanted. It returns where the page ends.
func (s *step) keep(page []Record, at mark, lanes uint64) mark {
	old, gains := len(s.pending), s.aside.gains.Load()
	if s.p.Tumbling > 0 {
		gains-- // fateOf does not ask for held keys
	}
	for _, rec := range page {
		seq, lane := rec.Seq(), uint8(rec.KeyHash()%VirtualLanes)
		if at.seq.IsZero() {
			// The very first position becomes a real one, so that a checkpoint of it
			// shows when records are trimmed unread.
			at = mark{seq: seq.Prev(), time: rec.Time()}
		}
		next := mark{seq: seq, ordinal: rec.Ordinal(), time: rec.Time()}
		if lanes&(1<<lane) != 0 && s.have[lane].seq.Less(seq) {
			s.counters.Polled++
			if s.p.Wants(rec) {
				s.addPending(entry{rec: rec, seq: seq, prev: at.seq, size: rec.EventSize(), lane: lane, gains: gains, fate: s.fateOf(rec)})
			} else {
				// It has ended: the marks pass it, and nothing else knows of it.
				s.counters.FilteredOut++
				s.have[lane] = next
			}
		}
		at = next
	}
	if old > 0 && len(s.pending) > old && s.pending[old].seq.Less(s.pending[old-1].seq) {
		slices.SortFunc(s.pending, func(a, b entry) int { return a.seq.Compare(b.seq) })
	}
	return at
}

// readFailed puts the next read off.
func (s *step) readFailed(why string) { s.readFail.putOff(s.now, why, maxReadBackoff, 0, s.jitter) }

// missed accounts for records that were gone before they were read, and returns
// where the page begins. When lanes were ahead of the others the count is an
// upper bound. A lane that is behind reports its own range when it catches up.
func (s *step) missed(at mark, lost Missed) mark {
	to := mark{seq: lost.Last, ordinal: at.ordinal + lost.Count, time: at.time}
	s.expired += lost.Count
	s.counters.Expired += lost.Count
	if lost.Unknown {
		s.counters.Losses++
	}
	s.moved = true
	s.do(Expire{Missed: lost})
	for v := range s.have {
		if !s.have[v].seq.Less(at.seq) && s.have[v].seq.Less(to.seq) {
			s.have[v] = to
		}
	}
	return to
}

func (m *Machine) addPending(e entry) {
	m.have[e.lane] = mark{seq: e.seq, ordinal: e.rec.Ordinal(), time: e.rec.Time()}
	m.pending = append(m.pending, e)
	m.pendingBytes += e.size
	m.laneCount[e.lane]++
	m.laneBytes[e.lane] += int64(e.size)
	if e.fate != toSend {
		m.leaving++
	}
}

func (m *Machine) removed(e *entry) {
	m.pendingBytes -= e.size
	m.laneCount[e.lane]--
	m.laneBytes[e.lane] -= int64(e.size)
	if e.fate != toSend {
		m.leaving--
	}
}

func (m *Machine) clearPending() {
	m.pending, m.pendingBytes, m.leaving, m.shed = nil, 0, 0, 0
	m.laneCount = [VirtualLanes]int32{}
	m.laneBytes = [VirtualLanes]int64{}
}

// forget forgets the pending records of these virtual lanes; they will be read again.
func (m *Machine) forget(lanes uint64) {
	var cut uint64
	kept := m.pending[:0]
	for _, e := range m.pending {
		bit := uint64(1) << e.lane
		if lanes&bit == 0 {
			kept = append(kept, e)
			continue
		}
		if cut&bit == 0 {
			cut |= bit
			m.have[e.lane] = e.before()
		}
		m.removed(&e)
	}
	clear(m.pending[len(kept):])
	m.pending = kept
}

// shedBlocked forgets the pending records of blocked lanes when they fill the
// memory while another lane could run but has nothing.
func (s *step) shedBlocked() {
	var eligible, starving uint64
	busy := s.busy()
	for g := range s.p.Factor {
		if !s.laneFree(g) {
			continue
		}
		lanes := laneMask(g, s.p.Factor) &^ busy
		eligible |= lanes
		if n, _ := s.waiting(lanes); n == 0 {
			starving |= lanes
		}
	}
	if starving == 0 {
		return
	}
	s.forget(^eligible)
	s.shed |= s.behind(^eligible)
}

// unshed lets the lanes that are no longer blocked catch up.
func (s *step) unshed() {
	if s.shed == 0 {
		return
	}
	busy := s.busy()
	for g := range s.p.Factor {
		if s.laneFree(g) {
			s.shed &^= laneMask(g, s.p.Factor) &^ busy
		}
	}
}

// forgetPending goes back to the low-water mark: with one lane the total order
// asks for every record that is behind before the later ones.
func (s *step) forgetPending() {
	low := s.low()
	s.forget(^uint64(0))
	s.shed = 0
	s.frontier = low
	s.closed = false
	s.reading = false
	s.token++
}
