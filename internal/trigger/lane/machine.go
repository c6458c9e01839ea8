package lane

import (
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// The lane machine: all of one mapping's work on one shard.
//
// Positions. Every record of the shard is, for this mapping, ended (delivered or
// given up), in memory (pending, or in a batch), or unread. Three marks tell which:
//
//   - ended[v]: the last record of virtual lane v that has ended.
//   - have[v]:  every record of v up to it has ended or is in memory.
//   - frontier: how far the shard was read. A virtual lane whose have lies below
//     the frontier is behind: records of it were read and forgotten (see shed).
//
// The low-water mark is derived: the record before the first one that has not
// ended. So there is nothing to keep in step, and the checkpoint (low-water mark
// and the ended marks above it) is exact at every moment.
//
// Memory. Pending records are bounded in count and bytes. When the bound is
// reached while a lane has a free slot but nothing to run, the pending records of
// the blocked lanes are forgotten and read again later. So one stuck
// lane never stops the others, and never holds more than its own batch.
//
// Generations. Stopping abandons the batches under way: their records count as
// not delivered and are dispatched again after the next start, but not before the
// abandoned call has returned, because two records of one key must never run at once.

// Machine is the lane machine. Its methods must not run at once.
type Machine struct {
	p       Params
	bounds  bounds
	jitter  func() float64
	running bool // started and not stopped
	drain   bool

	// Position.
	frontier mark
	have     [VirtualLanes]mark
	ended    [VirtualLanes]seqnum.Num
	closed   bool // everything up to the shard's end was read
	done     bool
	expired  uint64
	window   *Window // the tumbling window under way, once a batch of it has ended
	ending   windowEnding
	settled  int64         // the End of the window of which every record is durable and read; 0: not known
	settleAt time.Duration // when that may be asked again
	lastLow  seqnum.Num    // low-water mark at the last Commit action

	// Reading.
	head       mark
	headEnd    bool // the shard is known to be closed
	headKnown  bool // told since the last start
	reading    bool
	token      uint64
	readAfter  mark
	readHead   mark
	readFail   trouble
	settleRead int64 // the End of the window whose last records this read looks for
	catchTurn  bool  // the next read is for lanes that are behind
	heed       uint64
	readFirst  bool // what is known to have come is read before a batch that is not full begins

	// Pending records, by sequence number, and their sums by virtual lane.
	pending      []entry
	pendingBytes int
	laneCount    [VirtualLanes]int32
	laneBytes    [VirtualLanes]int64
	shed         uint64 // virtual lanes whose records are forgotten while they are blocked

	// Batches under way: invoked, or waiting for a retry.
	batches   []*batch
	abandoned []*batch // of an earlier generation; only their virtual lanes matter
	lastBatch uint64
	lanes     [MaxFactor]laneClock
	timerAt   time.Duration

	// What goes aside: records in the order in which they are to be stored, with the position
	// that covers them.
	aside      *Aside
	shard      string
	changes    []AsideChange
	unsaved    int           // bytes of changes that are not stored
	leaving    int           // pending records that are to go aside
	suspects   []uint64      // hashes, ascending, of keys one of which may be slow
	asked      []uint64      // keys of GoAside whose records may still be with the function
	streak     int           // calls that have failed in a row, with BlockKey
	pauseUntil time.Duration // no call before

	deciding int     // batches whose writes are being committed
	deferred []Event // what waits for that

	counters Counters
}

// MaxFactor is the highest ParallelizationFactor.
const MaxFactor = 10

// mark is a place in the shard: a record's number, its cumulative count and time.
type mark struct {
	seq     seqnum.Num
	ordinal uint64
	time    int64
}

// entry is a record in memory.
type entry struct {
	rec  Record
	seq  seqnum.Num
	prev seqnum.Num // the record before it in the shard
	size int
	lane uint8
	fate fate
	// gains is Aside.gains from before sign was found: while it is the same, no other
	// key has come to be held.
	gains uint32
}

// before is the mark of the record before e.
func (e *entry) before() mark {
	m := mark{seq: e.prev, time: e.rec.Time()}
	if o := e.rec.Ordinal(); o > 0 {
		m.ordinal = o - 1
	}
	return m
}

// NewMachine restores a machine from its checkpoint; the zero checkpoint stands
// for the shard's first record. It does nothing until Start. jitter returns
// random numbers in [0, 1). The machines of one mapping share an Aside.
func NewMachine(cp Checkpoint, shard string, aside *Aside, jitter func() float64) *Machine {
	m := &Machine{bounds: defaultBounds, jitter: jitter, timerAt: never, shard: shard, aside: aside}
	m.restore(cp)
	return m
}

const never = time.Duration(1<<63 - 1)

// Step tells the machine what happened and appends to actions what is to be done.
func (m *Machine) Step(now Instant, ev Event, actions []Action) []Action {
	s := step{Machine: m, now: now, actions: actions}
	if m.deciding > 0 {
		switch ev.(type) {
		case Start, Stop:
			// Whether writes have been made is being decided: the position is not known before.
			m.deferred = append(m.deferred, ev)
			return s.actions
		}
	}
	switch ev := ev.(type) {
	case Start:
		s.start(ev.Params)
	case Change:
		s.change(ev.Params)
	case Stop:
		s.stop(ev.Generation)
	case Drain:
		m.drain = true
	case Wake:
		s.wake(ev)
	case PageRead:
		s.pageRead(ev)
	case InvocationDone:
		s.invocationDone(&ev)
	case Delivered:
		s.delivered(ev)
	case Nudge:
		s.nudge()
	case TransactDone:
		s.transactDone(ev)
	case GoAside:
		s.holdKey(ev.Hash)
		s.asked = append(s.asked, ev.Hash)
	case Timer:
		m.timerAt = never
	}
	s.proceed()
	if m.deciding == 0 && len(m.deferred) > 0 {
		deferred := m.deferred
		m.deferred = nil
		for _, ev := range deferred {
			s.actions = m.Step(now, ev, s.actions)
		}
	}
	return s.actions
}

// step is one Step under way.
type step struct {
	*Machine
	now     Instant
	actions []Action
	moved   bool // an ended mark has risen
	then    Then // what has become of the records of the batch at hand
}

func (s *step) do(a Action) { s.actions = append(s.actions, a) }

func (s *step) start(p Params) {
	s.setParams(p)
	s.running, s.drain, s.headKnown, s.suspects = true, false, false, nil
	s.readFail = trouble{}
	s.settled, s.settleAt = 0, 0
	s.readFirst = false
	s.resetLanes()
}

func (s *step) stop(generation uint64) {
	s.p.Generation = generation
	if !s.running {
		return
	}
	s.running = false
	for _, b := range s.batches {
		if b.inFlight {
			s.abandoned = append(s.abandoned, b)
		}
	}
	s.restore(s.Checkpoint())
}

func (s *step) change(p Params) {
	if !s.running {
		return
	}
	old := s.p.Factor
	s.setParams(p)
	if p.OnFailure != BlockKey {
		s.suspects = nil
	}
	if old != p.Factor {
		s.resetLanes()
		if p.Factor == 1 && s.behind(^uint64(0)) != 0 {
			s.forgetPending()
		}
	}
}

// proceed does everything that the machine's state now allows, in the order that
// keeps batches full: retries, new batches, then reading.
func (s *step) proceed() {
	if s.running && !s.drain && len(s.deferred) == 0 {
		s.deliverDue()
		s.moveAside()
		for again := true; again; again = s.moveAside() { // lanes may have come free
			s.retryDue()
			s.dispatch()
		}
		s.readMore()
		s.setTimer()
	}
	if len(s.asked) > 0 {
		s.grant()
	}
	ended := s.finished()
	if ended {
		s.done = true
	}
	if low := s.low().seq; s.moved || ended || low != s.lastLow {
		s.lastLow = low
		s.do(Commit{})
	}
	if ended {
		s.do(Done{}) // after the Commit: what follows a shard is never stored before its end
	}
	if len(s.pending) == 0 && len(s.batches) == 0 && !s.reading {
		s.pending = nil // an idle machine keeps no memory
	}
	s.heed = s.toHeed()
}

// finished reports that the shard has just come to its end.
func (s *step) finished() bool {
	return s.closed && !s.done && s.running && !s.drain && len(s.pending) == 0 && len(s.batches) == 0 &&
		len(s.abandoned) == 0 && s.behind(^uint64(0)) == 0 && s.window == nil
}

func (s *step) setTimer() {
	at := never
	// A moment that has passed waits for a free lane, not for time.
	for _, b := range s.batches {
		if next, waits := b.next(); waits && next > s.now.Mono {
			at = min(at, next)
		}
	}
	if next := s.windowEnd(); next > s.now.Mono {
		at = min(at, next)
	}
	for g := range s.p.Factor {
		if d := s.lanes[g].deadline; d > s.now.Mono {
			at = min(at, d)
		}
	}
	if s.window != nil && s.settleAt > s.now.Mono {
		at = min(at, s.settleAt)
	}
	if s.readFail.at > s.now.Mono {
		at = min(at, s.readFail.at)
	}
	if at != s.timerAt && at != never {
		s.timerAt = at
		s.do(SetTimer{At: at})
	}
}

// Checkpoint is the position as it is to be stored.
func (m *Machine) Checkpoint() Checkpoint {
	low := m.low()
	cp := Checkpoint{
		Generation: m.p.Generation, Low: low.seq, Ordinal: low.ordinal, Time: low.time,
		Done: m.done, Expired: m.expired, Window: m.window,
	}
	for v, seq := range m.ended {
		if low.seq.Less(seq) {
			cp.Ahead = append(cp.Ahead, LanePosition{Lane: uint8(v), Seq: seq})
		}
	}
	return cp
}

// low is the low-water mark: every record up to it has ended.
func (m *Machine) low() mark {
	low := m.frontier
	if len(m.pending) > 0 {
		low = earlier(low, m.pending[0].before())
	}
	for _, b := range m.batches {
		entries := b.entries
		if b.applied { // the first of them have ended; the parts behind them have not
			entries = entries[b.takes():]
			if k := len(b.rest); k > 0 && len(entries) == 0 {
				entries = b.rest[k-1]
			}
		}
		if len(entries) == 0 {
			continue // or the closing call of a window
		}
		low = earlier(low, entries[0].before())
	}
	for v := range m.have {
		low = earlier(low, m.have[v])
	}
	return low
}

func later(a, b mark) mark {
	if a.seq.Less(b.seq) {
		return b
	}
	return a
}

func earlier(a, b mark) mark {
	if b.seq.Less(a.seq) {
		return b
	}
	return a
}

// restore sets the position to a checkpoint and forgets everything in memory but
// the abandoned batches.
func (m *Machine) restore(cp Checkpoint) {
	low := mark{seq: cp.Low, ordinal: cp.Ordinal, time: cp.Time}
	m.frontier, m.lastLow = low, low.seq
	m.closed, m.done, m.expired, m.window = false, cp.Done, cp.Expired, cp.Window
	m.ending = windowEnding{}
	for v := range m.have {
		m.have[v], m.ended[v] = low, seqnum.Num{}
	}
	for _, a := range cp.Ahead {
		if low.seq.Less(a.Seq) && a.Lane < VirtualLanes {
			m.have[a.Lane] = mark{seq: a.Seq}
			m.ended[a.Lane] = a.Seq
		}
	}
	m.reading, m.readFirst, m.heed = false, false, 0
	m.token++ // a page still on its way belongs to the past
	m.clearPending()
	m.batches = nil
	m.timerAt = never
}
