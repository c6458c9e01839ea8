package trigger

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
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
	OnFailure lane.OnFailure
	// Records that are set aside now: Held wait for retries of their own, or behind such a
	// record, Telling for the on-failure destination, Parked for a person. AsideBytes are theirs;
	// Full: there is room for no more.
	Held, Telling, Parked int
	AsideBytes            int64
	Full                  bool
	// HeldBlocked is the oldest trouble of a held key, if there is any.
	HeldBlocked *Blocked
}

// Blocked reports whether a batch or a held record fails, and is tried again.
func (st *MappingStatus) Blocked() bool {
	return st.HeldBlocked != nil || slices.ContainsFunc(st.Shards, func(s ShardStatus) bool { return s.Blocked != nil })
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
	m, err := e.find(uuid)
	if err != nil {
		return MappingStatus{}, err
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

func (m *running) status(ctx context.Context) (MappingStatus, error) {
	st := MappingStatus{View: m.view("")}
	shards, err := m.e.opts.Backend.Shards(ctx, st.StreamARN)
	if errors.Is(err, ErrNoStream) {
		st.StreamGone, err = true, nil
	}
	if err != nil {
		return MappingStatus{}, err
	}
	shards = withSnapshot(&st.Definition, shards)
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Counters = m.past
	st.OnFailure = lane.ParseOnFailure(m.values.OnFailure)
	for _, r := range m.shards {
		st.Counters.Add(r.counters())
	}
	now := m.e.clock.instant()
	aside := m.aside.Load().rows
	st.Counters.Add(aside.Counters())
	set := aside.Status()
	st.Held, st.Telling, st.Parked, st.AsideBytes, st.Full = set.Held, set.Telling, set.Parked, set.Bytes, set.Full
	st.HeldBlocked = blocked(set.Blocked, now)
	listed := func(id string) bool {
		return slices.ContainsFunc(shards, func(s Shard) bool { return s.ID == id })
	}
	for _, s := range shards {
		ss := ShardStatus{Shard: s.ID, Parent: s.Parent}
		if r := m.shards[s.ID]; r != nil {
			ss.of(r.status(), now, s)
		} else {
			row := m.rows[s.ID]
			ss.Position, ss.Done, ss.Expired = row.Low, row.Done, row.Expired
			ss.WaitsForParent = !row.Done && m.afterSnapshot(s.ID) || !row.Done && s.Parent != "" && listed(s.Parent) && !m.rows[s.Parent].Done
			ss.lag(now, s, row)
		}
		st.LagRecords += ss.LagRecords
		st.LagSeconds = max(st.LagSeconds, ss.LagSeconds)
		st.Shards = append(st.Shards, ss)
	}
	return st, nil
}

// lag fills in the distance from a low-water mark to the shard's head. Records of a parent are not the
// shard's: they count where they are.
func (ss *ShardStatus) lag(now lane.Instant, s Shard, low lane.Checkpoint) {
	passed := max(low.Ordinal, s.Before)
	if ss.Done || !low.Low.Less(s.Head) || s.Records <= passed {
		return
	}
	ss.LagRecords = s.Records - passed
	if low.Time > 0 {
		ss.LagSeconds = max(0, float64(now.Wall-low.Time)/1000)
	}
}

// of fills in what a shard's machine tells.
func (ss *ShardStatus) of(st lane.Status, now lane.Instant, s Shard) {
	ss.Position, ss.Done, ss.Expired = st.Low, st.Done, st.Expired
	ss.Buffered, ss.InFlight, ss.Blocked = st.Buffered, st.InFlight, blocked(st.Blocked, now)
	ss.lag(now, s, lane.Checkpoint{Low: st.Low, Ordinal: st.Ordinal, Time: st.Time})
}

// blocked has moments that people can read.
func blocked(b *lane.Blocked, now lane.Instant) *Blocked {
	if b == nil {
		return nil
	}
	out := &Blocked{Since: time.UnixMilli(b.Since).UTC(), SequenceNumber: b.Seq, Records: b.Records, Attempts: b.Attempts, Error: b.Error}
	if b.Waits {
		out.RetryAt = time.UnixMilli(now.Wall).Add(b.RetryAt - now.Mono).UTC()
	}
	return out
}
