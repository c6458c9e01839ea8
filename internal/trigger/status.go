package trigger

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// MappingStatus is what AWS does not show of a mapping.
type MappingStatus struct {
	mapping.View
	Counters lane.Counters
	Shards   []ShardStatus
	// StreamGone: the stream was deleted and its records are past retention.
	StreamGone bool
	// Elsewhere: another node runs it, and this one knows nothing of its shards.
	Elsewhere bool
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
	// first of them (0 when there is none).
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
	SequenceNumber seqnum.Num // the first record of the failing batch, or of the held key
	Keys           string     // its item's, in DynamoDB's JSON; empty when they are not known
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
	mappings := e.all()
	all := make([]MappingStatus, 0, len(mappings)) // they are large
	for _, m := range mappings {
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
	if errors.Is(err, backend.ErrNoStream) {
		st.StreamGone, err = true, nil
	}
	if errors.Is(err, backend.ErrElsewhere) {
		st.Elsewhere, err = true, nil
	}
	if err != nil {
		return MappingStatus{}, err
	}
	now := m.e.clock.instant()
	held := m.stand(&st, withSnapshot(&st.Definition, shards), now)
	if held != nil {
		st.HeldBlocked = blocked(held, now)
		rows, err := m.e.opts.Backend.Aside(ctx, m.uuid, held.Row, 1, 0, true)
		if err == nil && len(rows) > 0 && rows[0].Hash == held.Row.Hash {
			st.HeldBlocked.Keys = rows[0].Keys
		}
	}
	for i := range st.Shards {
		ss := &st.Shards[i]
		if ss.LagRecords > 0 && ss.LagSeconds == 0 {
			ss.LagSeconds = m.ageAfter(ctx, ss, now)
		}
		st.LagSeconds = max(st.LagSeconds, ss.LagSeconds)
	}
	return st, nil
}

// ageAfter reads how old the first record after a shard's position is.
func (m *running) ageAfter(ctx context.Context, ss *ShardStatus, now lane.Instant) float64 {
	page, err := m.e.opts.Backend.Read(ctx, m.stream, ss.Shard, ss.Position, 1, 1)
	if err != nil || len(page.Records) == 0 {
		return 0
	}
	return now.SecondsSince(page.Records[0].Time())
}

// stand fills in what the machines and their shards tell at one moment, and returns the oldest trouble of what is
// held.
func (m *running) stand(st *MappingStatus, shards []backend.Shard, now lane.Instant) (held *lane.Blocked) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Counters = m.past
	st.OnFailure = lane.ParseOnFailure(m.values.OnFailure)
	for _, r := range m.shards {
		st.Counters.Add(r.counters())
	}
	aside := m.aside.Load().rows
	st.Counters.Add(aside.Counters())
	set := aside.Status()
	st.Held, st.Telling, st.Parked, st.AsideBytes, st.Full = set.Held, set.Telling, set.Parked, set.Bytes, set.Full
	listed := func(id string) bool {
		return slices.ContainsFunc(shards, func(s backend.Shard) bool { return s.ID == id })
	}
	for _, s := range shards {
		ss := ShardStatus{Shard: s.ID, Parent: s.Parent}
		if r := m.shards[s.ID]; r != nil {
			ss.of(r.status(), now, s)
		} else {
			row := m.rows[s.ID]
			ss.Position, ss.Done, ss.Expired = row.Low, row.Done, row.Expired
			ss.WaitsForParent = !row.Done && m.afterSnapshot(s.ID) || !row.Done && s.Parent != "" && listed(s.Parent) && !m.rows[s.Parent].Done
			ss.lag(s, row)
		}
		st.LagRecords += ss.LagRecords
		st.Shards = append(st.Shards, ss)
	}
	return set.Blocked
}

// lag counts the records from a low-water mark to the shard's head. Records of a parent are not the
// shard's: they count where they are.
func (ss *ShardStatus) lag(s backend.Shard, low lane.Checkpoint) {
	passed := max(low.Ordinal, s.Before)
	if ss.Done || !low.Low.Less(s.Head) || s.Records <= passed {
		return
	}
	ss.LagRecords = s.Records - passed
}

// of fills in what a shard's machine tells.
func (ss *ShardStatus) of(st lane.Status, now lane.Instant, s backend.Shard) {
	ss.Position, ss.Done, ss.Expired = st.Low, st.Done, st.Expired
	ss.Buffered, ss.InFlight, ss.Blocked = st.Buffered, st.InFlight, blocked(st.Blocked, now)
	ss.lag(s, lane.Checkpoint{Low: st.Low, Ordinal: st.Ordinal})
	if ss.LagRecords > 0 && st.Next > 0 {
		ss.LagSeconds = now.SecondsSince(st.Next)
	}
}

// blocked has moments that people can read.
func blocked(b *lane.Blocked, now lane.Instant) *Blocked {
	if b == nil {
		return nil
	}
	out := &Blocked{Since: time.UnixMilli(b.Since).UTC(), SequenceNumber: b.Seq, Keys: b.Keys, Records: b.Records, Attempts: b.Attempts, Error: b.Error}
	if b.Waits {
		out.RetryAt = wallOf(now, b.RetryAt)
	}
	return out
}

// wallOf is a moment of the clock that never jumps, as people know it.
func wallOf(now lane.Instant, at time.Duration) time.Time {
	return time.UnixMilli(now.Wall).Add(at - now.Mono).UTC()
}
