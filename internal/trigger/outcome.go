package trigger

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Outcome is what a mapping has made of one record.
type Outcome struct {
	UUID, FunctionARN string
	What              Ending
	// Reason and Error say why, where it was not taken; Attempts counts the calls that failed with it.
	Reason, Error string
	Attempts      int
}

// Ending is how a record stands with a mapping.
type Ending string

// The endings.
const (
	Waits       Ending = "waits"        // for its turn, or for a call under way
	Fails       Ending = "fails"        // it is tried again, and what comes after it waits
	Taken       Ending = "taken"        // the function has taken it
	FilteredOut Ending = "filtered out" // by the filters, as they are now
	HeldAside   Ending = "held"
	TellingOf   Ending = "telling"
	ParkedAside Ending = "parked"
	Dropped     Ending = "dropped"     // given up, and nobody was told; or by a person
	ToldOf      Ending = "destination" // given up, and the on-failure destination was told
	Ended       Ending = "ended"       // how is not known any more: it was before this start of the server, or before many others
)

// Outcomes tells what the mappings of a stream have made of one record. ErrNoRecord when no shard keeps it.
func (e *Engine) Outcomes(ctx context.Context, stream string, number seqnum.Num) (shard string, all []Outcome, err error) {
	shard, rec, err := e.record(ctx, stream, number)
	if err != nil {
		return "", nil, err
	}
	for _, m := range e.all() {
		if m.stream != stream {
			continue
		}
		o, err := m.outcome(ctx, shard, rec)
		if err != nil {
			return "", nil, err
		}
		all = append(all, o)
	}
	return shard, all, nil
}

// record reads a record by its number.
func (e *Engine) record(ctx context.Context, stream string, number seqnum.Num) (shard string, rec lane.Record, err error) {
	shards, err := e.opts.Backend.Shards(ctx, stream)
	if err != nil {
		return "", nil, err
	}
	for _, s := range shards {
		at, err := e.opts.Backend.Locate(ctx, stream, s.ID, backend.Place{Record: number})
		if err != nil {
			return "", nil, err
		}
		if !at.Here {
			continue
		}
		page, err := e.opts.Backend.Read(ctx, stream, s.ID, at.Low, 1, 1)
		if err != nil {
			return "", nil, err
		}
		if len(page.Records) > 0 && page.Records[0].Seq() == number {
			return s.ID, page.Records[0], nil
		}
	}
	return "", nil, ErrNoRecord
}

func (m *running) outcome(ctx context.Context, shard string, rec lane.Record) (Outcome, error) {
	o := Outcome{UUID: m.uuid, FunctionARN: m.definition().FunctionARN}
	key := lane.AsideKey{Hash: rec.KeyHash(), Shard: shard, Seq: rec.Seq()}
	ended, blocked, wants := m.standsAt(key, rec)
	if !ended {
		o.What = Waits
		if blocked != nil {
			o.What, o.Error, o.Attempts = Fails, blocked.Error, blocked.Attempts
		}
		return o, nil
	}
	rows, err := m.e.opts.Backend.Aside(ctx, m.uuid, key, 1, 0, true)
	if err != nil {
		return o, err
	}
	if len(rows) > 0 && rows[0].AsideKey == key {
		r := &rows[0]
		o.What = map[lane.AsideKind]Ending{lane.Held: HeldAside, lane.Telling: TellingOf, lane.Parked: ParkedAside}[r.Kind]
		o.Reason, o.Error, o.Attempts = string(r.Reason), r.Error, r.Attempts
		return o, nil
	}
	loss, sure := m.memory.lossOf(key, rec.Time())
	switch {
	case loss != nil:
		o.What, o.Reason, o.Error, o.Attempts = loss.What, loss.Reason, loss.Error, loss.Attempts
	case !wants:
		o.What = FilteredOut
	case sure:
		o.What = Taken
	default:
		o.What = Ended
	}
	return o, nil
}

// standsAt tells whether the mapping has got past a record, whether that one is the first of a batch that fails, and
// whether the filters want it.
func (m *running) standsAt(key lane.AsideKey, rec lane.Record) (ended bool, fails *lane.Blocked, wants bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cp := m.rows[key.Shard]
	if w := m.shards[key.Shard]; w != nil {
		cp = w.stored() // what was set aside is in the store by then
		if b := w.status().Blocked; b != nil && b.Seq == key.Seq {
			fails = b
		}
	}
	p := m.params()
	return cp.Done || cp.Covers(key.Hash, key.Seq), fails, p.Wants(rec)
}

// What a mapping remembers of what went wrong, since the server started.
const (
	maxFailures = 50   // calls that failed
	maxLosses   = 1000 // records that were given up
	maxTold     = 300  // bytes of an error
)

// memory is what a mapping remembers of what went wrong. Its methods may be called at once.
type memory struct {
	since int64 // records written from then on are remembered, in ms since 1970

	mu       sync.Mutex // guards the following
	failures []FailedCall
	losses   []lostRecord // the oldest first
	upTo     int64        // records written up to then may have been lost, and were forgotten
}

// FailedCall is a call of a mapping's function that has failed, or some of whose records have.
type FailedCall struct {
	At          time.Time
	RequestID   string
	Error       string
	Records     int        // of the call
	Failed      int        // of them
	First       seqnum.Num // of those that failed; zero: the closing call of a window
	Keys        string     // its item's, in DynamoDB's JSON
	Attempt, Of int        // as of lane.Failure
	Then        lane.Then
	RetryAt     time.Time
}

type lostRecord struct {
	lane.AsideKey
	What          Ending
	Reason, Error string
	Attempts      int
	time          int64
}

// remembers is since when what became of records is remembered: since the start, or, of a mapping that was made since, all that it
// has had.
func (e *Engine) remembers(def *mapping.Definition) (ms int64) {
	switch {
	case def.Created.Before(e.began):
		return e.began.UnixMilli()
	case !def.StartAt.IsZero():
		return def.StartAt.UnixMilli()
	case def.Start == mapping.StartLatest:
		return def.Created.UnixMilli()
	}
	return 0
}

func (y *memory) failed(f FailedCall) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.failures = append(y.failures, f); len(y.failures) > maxFailures {
		y.failures = slices.Delete(y.failures, 0, 1)
	}
}

func (y *memory) lost(all ...lostRecord) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.losses = append(y.losses, all...)
	if n := len(y.losses) - maxLosses; n > 0 {
		for _, l := range y.losses[:n] {
			y.upTo = max(y.upTo, l.time)
		}
		y.losses = slices.Delete(y.losses, 0, n)
	}
}

// lossOf tells how a record was given up, the last time; nil when it was not, which is sure for those that are remembered.
func (y *memory) lossOf(k lane.AsideKey, written int64) (l *lostRecord, sure bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, l := range slices.Backward(y.losses) {
		if l.AsideKey == k {
			return &l, true
		}
	}
	return nil, written >= y.since && written > y.upTo
}

// lost remembers records that are given up.
func (m *running) lost(shard string, l lane.Loss, what Ending) {
	all := make([]lostRecord, len(l.Records))
	for i, r := range l.Records {
		all[i] = lostRecord{
			AsideKey: lane.AsideKey{Hash: r.KeyHash(), Shard: shard, Seq: r.Seq()}, What: what, Reason: string(l.Reason), Error: clip(l.Error), Attempts: l.Attempts, time: r.Time(),
		}
	}
	m.memory.lost(all...)
}

// removed remembers records that were set aside and are gone.
func (m *running) removed(why string, rows ...lane.SetAside) {
	all := make([]lostRecord, len(rows))
	for i := range rows {
		r := &rows[i]
		all[i] = lostRecord{AsideKey: r.AsideKey, What: Dropped, Reason: why, Error: clip(r.Error), Attempts: r.Attempts, time: r.Time}
	}
	m.memory.lost(all...)
}

func clip(text string) string {
	if len(text) <= maxTold {
		return text
	}
	return strings.ToValidUTF8(text[:maxTold], "") + "..."
}

// Failures tells the newest calls of a mapping that have failed since the start, the newest first.
func (e *Engine) Failures(uuid string) ([]FailedCall, error) {
	m, err := e.find(uuid)
	if err != nil {
		return nil, err
	}
	m.memory.mu.Lock()
	defer m.memory.mu.Unlock()
	all := slices.Clone(m.memory.failures)
	slices.Reverse(all)
	return all, nil
}
