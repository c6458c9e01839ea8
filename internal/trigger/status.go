package trigger

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// MappingStatus is what AWS does not show of a mapping.
type MappingStatus struct {
	View
	Counters Counters
	Shards   []ShardStatus
	// StreamGone: the stream was deleted and its records are past retention.
	StreamGone bool
	// LagRecords and LagSeconds are the sum and the highest of the shards.
	LagRecords uint64
	LagSeconds float64
	// OnFailure is the mapping's, by its tags.
	OnFailure OnFailure
	// Records that are set aside now: Held wait for retries of their own, or behind such a
	// record, Telling for the on-failure destination, Parked for a person. AsideBytes are theirs;
	// Full: there is room for no more.
	Held, Telling, Parked int
	AsideBytes            int64
	Full                  bool
	// HeldBlocked is the oldest trouble of a held key, if there is any.
	HeldBlocked *Blocked
}

// ShardStatus is a mapping's state on one shard.
type ShardStatus struct {
	Shard, Parent string
	// Done: the shard was closed and every record of it has ended.
	Done bool
	// WaitsForParent: records of the parent come first.
	WaitsForParent bool
	// Position is the low-water mark: every record up to it has ended.
	Position seqnum.Num
	// LagRecords counts the records after Position, LagSeconds is the age of the
	// first of them (0 when there is none; from Position when it is still unread).
	LagRecords uint64
	LagSeconds float64
	// InFlight counts the invocations under way, Buffered the records in memory.
	InFlight int
	Buffered int
	Expired  uint64
	// Blocked is the oldest trouble, if there is any.
	Blocked *Blocked
}

// Blocked tells what holds a lane up.
type Blocked struct {
	Since          time.Time
	SequenceNumber seqnum.Num // the first record of the failing batch
	Records        int
	Attempts       int // invocations made so far, delivered or not
	Error          string
	RetryAt        time.Time // zero while an attempt is under way
}

// Status tells a mapping's state; ErrNoMapping for an unknown UUID.
func (e *Engine) Status(ctx context.Context, uuid string) (MappingStatus, error) {
	e.mu.Lock()
	m := e.mappings[uuid]
	e.mu.Unlock()
	if m == nil {
		return MappingStatus{}, ErrNoMapping
	}
	return m.status(ctx)
}

// Statuses tells the state of every mapping of every account and region, in the
// order of their creation.
func (e *Engine) Statuses(ctx context.Context) ([]MappingStatus, error) {
	var all []MappingStatus
	for _, m := range e.all() {
		s, err := m.status(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (m *mapping) status(ctx context.Context) (MappingStatus, error) {
	st := MappingStatus{View: m.view("")}
	shards, err := m.e.opts.Backend.Shards(ctx, st.StreamARN)
	if errors.Is(err, ErrNoStream) {
		st.StreamGone, err = true, nil
	}
	if err != nil {
		return MappingStatus{}, err
	}
	shards = st.withSnapshot(shards)
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Counters = m.past
	st.OnFailure = m.tags.onFailure
	m.shelf.Load().aside.status(m.e.clock.instant(), &st)
	for _, r := range m.runners {
		st.Counters.Add(r.counters())
	}
	now := m.e.clock.instant()
	listed := func(id string) bool {
		return slices.ContainsFunc(shards, func(s Shard) bool { return s.ID == id })
	}
	for _, s := range shards {
		ss := ShardStatus{Shard: s.ID, Parent: s.Parent}
		if r := m.runners[s.ID]; r != nil {
			r.status(now, &ss, s)
		} else {
			row := m.rows[s.ID]
			ss.Position, ss.Done, ss.Expired = row.Low, row.Done, row.Expired
			ss.WaitsForParent = !row.Done && m.afterSnapshot(s.ID) || !row.Done && s.Parent != "" && listed(s.Parent) && !m.rows[s.Parent].Done
			ss.lag(now, s, mark{seq: row.Low, ordinal: row.Ordinal, time: row.Time})
		}
		st.LagRecords += ss.LagRecords
		st.LagSeconds = max(st.LagSeconds, ss.LagSeconds)
		st.Shards = append(st.Shards, ss)
	}
	return st, nil
}

func (a *Aside) status(now Instant, st *MappingStatus) {
	a.mu.Lock()
	defer a.mu.Unlock()
	st.Counters.Add(a.counters)
	st.Held, st.Telling, st.Parked = a.count[Held], a.count[Telling], a.count[Parked]
	st.AsideBytes, st.Full = a.bytes, a.full
	var oldest *heldKey
	for _, h := range a.keys {
		if h.fails > 0 && (oldest == nil || h.since < oldest.since) {
			oldest = h
		}
	}
	if h := oldest; h != nil {
		st.HeldBlocked = &Blocked{
			Since: time.UnixMilli(h.since).UTC(), SequenceNumber: h.next.Seq, Records: h.rows, Attempts: h.attempts, Error: h.err,
			RetryAt: time.UnixMilli(now.Wall).Add(h.at - now.Mono).UTC(),
		}
		if h.busy {
			st.HeldBlocked.RetryAt = time.Time{}
		}
	}
}

// lag fills in the distance from a low-water mark to the shard's head.
func (ss *ShardStatus) lag(now Instant, s Shard, low mark) {
	if ss.Done || !low.seq.Less(s.Head) || s.Records <= low.ordinal {
		return
	}
	ss.LagRecords = s.Records - low.ordinal
	if low.time > 0 {
		ss.LagSeconds = max(0, float64(now.Wall-low.time)/1000)
	}
}

func (r *runner) status(now Instant, ss *ShardStatus, s Shard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.machine
	low := m.low()
	ss.Position, ss.Done, ss.Expired = low.seq, m.done, m.expired
	ss.lag(now, s, low)
	ss.Buffered = len(m.pending)
	ss.InFlight = m.calls()
	moment := func(mono time.Duration) time.Time {
		return time.UnixMilli(now.Wall).Add(mono - now.Mono).UTC()
	}
	for _, b := range m.batches {
		ss.Buffered += len(b.entries)
		for _, part := range b.rest {
			ss.Buffered += len(part)
		}
		since := time.UnixMilli(b.since).UTC()
		if b.fails == 0 && (b.loss == nil || b.loss.fails == 0) || ss.Blocked != nil && !since.Before(ss.Blocked.Since) {
			continue
		}
		ss.Blocked = &Blocked{Since: since, SequenceNumber: b.first(), Records: len(b.entries), Attempts: b.calls, Error: b.err}
		if at, waits := b.next(); waits {
			ss.Blocked.RetryAt = moment(at)
		}
	}
	if ss.Blocked == nil && m.readFails > 0 {
		ss.Blocked = &Blocked{
			Since: time.UnixMilli(m.readSince).UTC(), SequenceNumber: m.frontier.seq, Attempts: m.readFails,
			Error: "reading the stream: " + m.readErr, RetryAt: moment(m.readAt),
		}
	}
}
