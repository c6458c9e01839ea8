package lane

import (
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Status is what can be told of a Machine at a moment.
type Status struct {
	// Low is the low-water mark, with the ordinal and time of its record (zero when unknown).
	Low     seqnum.Num
	Ordinal uint64
	Time    int64 // milliseconds since 1970
	// Next is the time of the record after it, when the machine has that in memory; else 0.
	Next int64

	Done    bool
	Expired uint64
	// InFlight counts the invocations under way, Buffered the records in memory.
	InFlight, Buffered int
	// Blocked is the oldest trouble; nil when there is none.
	Blocked *Blocked
}

// Blocked tells what cannot go on.
type Blocked struct {
	Since    int64      // wall time in milliseconds since 1970
	Seq      seqnum.Num // the first record of the failing batch, or of the held key
	Keys     string     // its item's, in the form of its event; empty when they are not known
	Row      AsideKey   // of the held record, which has the keys
	Records  int
	Attempts int // invocations made so far, delivered or not
	Error    string
	// RetryAt is the moment of the next attempt (Instant.Mono); Waits is false while one is under way.
	RetryAt time.Duration
	Waits   bool
}

// Status tells how the machine stands.
func (m *Machine) Status() Status {
	low := m.low()
	st := Status{
		Low: low.seq, Ordinal: low.ordinal, Time: low.time, Next: m.timeAfter(low), Done: m.done, Expired: m.expired, InFlight: m.calls(), Buffered: len(m.pending),
	}
	for _, b := range m.batches {
		st.Buffered += len(b.entries)
		for _, part := range b.rest {
			st.Buffered += len(part)
		}
		if b.fails == 0 && (b.loss == nil || b.loss.fails == 0) || st.Blocked != nil && b.since >= st.Blocked.Since {
			continue
		}
		at, waits := b.next()
		keys := ""
		if len(b.entries) > 0 {
			keys = KeysOf(b.entries[0].rec)
		}
		st.Blocked = &Blocked{Since: b.since, Seq: b.first(), Keys: keys, Records: len(b.entries), Attempts: b.calls, Error: b.err, RetryAt: at, Waits: waits}
	}
	if f := &m.readFail; st.Blocked == nil && f.fails > 0 {
		st.Blocked = &Blocked{
			Since: f.since, Seq: m.frontier.seq, Attempts: f.fails, Error: "reading the stream: " + f.err, RetryAt: f.at, Waits: true,
		}
	}
	return st
}

// timeAfter is the time of the record that comes after a low-water mark, 0 when it is not in memory.
func (m *Machine) timeAfter(low mark) int64 {
	if len(m.pending) > 0 && m.pending[0].prev == low.seq {
		return m.pending[0].rec.Time()
	}
	for _, b := range m.batches {
		if len(b.entries) > 0 && b.entries[0].prev == low.seq {
			return b.entries[0].rec.Time()
		}
	}
	return 0
}

// Counters are what the machine has counted.
func (m *Machine) Counters() Counters { return m.counters }

// AsideStatus is what can be told of an Aside at a moment.
type AsideStatus struct {
	Held, Telling, Parked int   // rows
	Bytes                 int64 // of them all
	Full                  bool  // there is room for no more
	// Blocked is the oldest trouble of a held key; nil when there is none.
	Blocked *Blocked
}

// Status tells what is set aside.
func (a *Aside) Status() AsideStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := AsideStatus{Held: a.count[Held], Telling: a.count[Telling], Parked: a.count[Parked], Bytes: a.bytes, Full: a.full}
	var oldest *heldKey
	for _, h := range a.keys {
		if h.fails > 0 && (oldest == nil || h.since < oldest.since) {
			oldest = h
		}
	}
	if h := oldest; h != nil {
		st.Blocked = &Blocked{Since: h.since, Seq: h.next.Seq, Row: h.next, Records: h.rows, Attempts: h.attempts, Error: h.err, RetryAt: h.at, Waits: !h.busy}
	}
	return st
}

// Counters are what the machine has counted.
func (a *Aside) Counters() Counters {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counters
}

// Untried reports whether there are held rows that wait for nothing but their turn. Those that
// have failed do not count.
func (a *Aside) Untried() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.calls {
		if c.key != nil && c.key.fails == 0 {
			return true
		}
	}
	return len(a.keys) > 0 && (len(a.unstored) > 0 || len(a.due) > 0 && a.due[0].fails == 0)
}
