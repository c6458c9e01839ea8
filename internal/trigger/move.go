package trigger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// Moved tells what came of a move.
type Moved struct {
	// Records counts those that will be delivered again, or were skipped; an upper bound
	// when lanes were ahead of others.
	Records uint64
	Shards  int // that have a new position
}

// Errors of moves, for people.
var (
	ErrNoRecord = errors.New("no shard of the stream keeps a record with this sequence number")
	ErrAmbig    = errors.New("several shards have a record with this sequence number; give a time instead")
)

// Rewind sets a mapping back: its records from the place on are delivered again. A shard in which it has not
// got so far stays as it is. Records of the place and later that are held are forgotten, because
// they come again; parked ones stay. Calls under way count for nothing, and the
// new ones begin when those have returned, so that no key has two.
//
// A move by record concerns the shard that has it, and the shards that have come from that one.
func (e *Engine) Rewind(ctx context.Context, uuid string, to backend.Place) (Moved, error) {
	return e.move(ctx, uuid, to, false)
}

// Skip sets a mapping forward: its records before the place (by record: up to and with it) are passed
// unread. The ranges are kept with the mapping, counted and logged. What is set aside stays. Otherwise as Rewind.
func (e *Engine) Skip(ctx context.Context, uuid string, to backend.Place) (Moved, error) {
	return e.move(ctx, uuid, to, true)
}

// WouldMove tells what would come of a Rewind, or forward of a Skip, if it were done now. Nothing changes.
func (e *Engine) WouldMove(ctx context.Context, uuid string, to backend.Place, forward bool) (Moved, error) {
	m, err := e.find(uuid)
	if err != nil {
		return Moved{}, err
	}
	if !m.here() {
		a, err := m.ask(ctx, asked{Move: &askedMove{To: to, Forward: forward, Would: true}})
		return a.Moved, err
	}
	return m.wouldMove(ctx, to, forward)
}

func (m *running) wouldMove(ctx context.Context, to backend.Place, forward bool) (Moved, error) {
	if _, err := m.e.lock(m.uuid); err != nil {
		return Moved{}, err
	}
	defer m.op.Unlock()
	way, err := m.way(ctx, to, forward)
	if err != nil {
		return Moved{}, err
	}
	_, moved := m.repositioned(way, m.positions())
	return moved, nil
}

// positions are where the mapping stands in the shards that it has begun, while its machines run.
func (m *running) positions() map[string]lane.Checkpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := maps.Clone(m.rows)
	for id, r := range m.shards {
		rows[id] = r.checkpoint()
	}
	return rows
}

func (e *Engine) move(ctx context.Context, uuid string, to backend.Place, forward bool) (Moved, error) {
	m, err := e.find(uuid)
	if err != nil {
		return Moved{}, err
	}
	if !m.here() {
		a, err := m.ask(ctx, asked{Move: &askedMove{To: to, Forward: forward}})
		return a.Moved, err
	}
	return m.move(ctx, to, forward)
}

func (m *running) move(ctx context.Context, to backend.Place, forward bool) (Moved, error) {
	e := m.e
	m.taking <- struct{}{} // no other claim begins with it meanwhile
	defer func() { <-m.taking }()
	if _, err := e.lock(m.uuid); err != nil {
		return Moved{}, err
	}
	defer m.op.Unlock()
	m.mu.Lock()
	h := m.held
	m.mu.Unlock()
	if e.shared != nil && h == nil {
		return Moved{}, ErrMoved
	}
	way, err := m.way(ctx, to, forward)
	if err != nil {
		return Moved{}, err
	}
	m.retire()
	r, moved := m.repositioned(way, m.positions()) // nobody else changes them while the machines are gone
	if !forward {
		r.Aside, err = m.heldAgain(ctx, r.Rows)
	}
	if err == nil {
		err = m.reposition(ctx, h, &r)
	}
	m.mu.Lock()
	if m.held != h { // the claim is over, and another one will read what is stored
		m.mu.Unlock()
		return Moved{}, ErrMoved
	}
	if err != nil {
		m.mu.Unlock()
		return Moved{}, errors.Join(err, m.revive(ctx))
	}
	if e.shared == nil || m.def.Revision < r.Mapping.Revision { // else another node has changed it since
		m.def = r.Mapping
	}
	for _, row := range r.Rows {
		m.rows[row.Shard] = row.Checkpoint
	}
	for _, s := range r.Skipped {
		m.past.Skipped += s.Count
	}
	m.mu.Unlock()
	for _, s := range r.Skipped {
		e.log.Warn("records were skipped", "mapping", m.uuid, "shard", s.Shard, "records", s.Count, "first", s.First.String(), "last", s.Last.String())
	}
	return moved, m.revive(ctx)
}

// reposition stores a move.
func (m *running) reposition(ctx context.Context, h *held, r *backend.Repositioned) error {
	if h == nil {
		return m.e.opts.Backend.Reposition(ctx, *r)
	}
	err := m.e.shared.RepositionUnder(ctx, h.claim, *r)
	switch {
	case err == nil:
		r.Mapping.Revision++
	case errors.Is(err, backend.ErrStale):
		err = awserr.MappingChanging(m.uuid)
	case errors.Is(err, backend.ErrLost):
		err = ErrMoved
	default:
		m.e.shared.Renew(h.claim) // some of it may be stored
	}
	return err
}

// way is what a move is to be worked out from.
type way struct {
	forward bool
	shards  []backend.Shard
	places  map[string]backend.Located // to go to, of the shards that are concerned
	begins  map[string]backend.Located // of the shards, for those that have not been begun
}

func (m *running) way(ctx context.Context, to backend.Place, forward bool) (w way, err error) {
	b := m.e.opts.Backend
	w = way{forward: forward, begins: map[string]backend.Located{}}
	if w.shards, err = b.Shards(ctx, m.stream); errors.Is(err, backend.ErrElsewhere) {
		err = ErrMoved
	}
	if err != nil {
		return w, err
	}
	if w.places, err = m.e.locate(ctx, m.stream, w.shards, to, forward); err != nil {
		return w, err
	}
	for _, s := range w.shards {
		if !forward {
			break // who has not begun is not set back
		}
		if w.begins[s.ID], err = b.Locate(ctx, m.stream, s.ID, backend.Place{Horizon: true}); err != nil {
			return w, err
		}
	}
	return w, nil
}

// locate finds the place in every shard that is concerned.
func (e *Engine) locate(ctx context.Context, arn string, shards []backend.Shard, to backend.Place, forward bool) (map[string]backend.Located, error) {
	all := map[string]backend.Located{}
	var here []string
	for _, s := range shards {
		l, err := e.opts.Backend.Locate(ctx, arn, s.ID, to)
		if err != nil {
			return nil, err
		}
		if l.Here {
			here = append(here, s.ID)
		}
		all[s.ID] = l
	}
	if to.Record.IsZero() {
		return all, nil
	}
	switch len(here) {
	case 0:
		return nil, ErrNoRecord
	case 1:
	default:
		return nil, ErrAmbig
	}
	// The shard itself, and what comes after it (rewinding: from their beginnings) or
	// came before it (skipping: to their ends).
	shard := here[0]
	one := all[shard]
	if forward {
		one.Low, one.Ordinal, one.Time = to.Record, one.Ordinal+1, 0
	}
	concerned := map[string]backend.Located{shard: one}
	relatives := descendants(shards, shard)
	edge := backend.Place{Horizon: true}
	if forward {
		relatives, edge = ancestors(shards, shard), backend.Place{Latest: true}
	}
	for _, id := range relatives {
		l, err := e.opts.Backend.Locate(ctx, arn, id, edge)
		if err != nil {
			return nil, err
		}
		concerned[id] = l
	}
	return concerned, nil
}

// descendants lists the shards that have come from one; shards are parents first.
func descendants(shards []backend.Shard, of string) (ids []string) {
	from := map[string]bool{of: true}
	for _, s := range shards {
		if from[s.Parent] {
			from[s.ID] = true
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func ancestors(shards []backend.Shard, of string) (ids []string) {
	for _, s := range slices.Backward(shards) {
		if s.ID == of && s.Parent != "" {
			ids, of = append(ids, s.Parent), s.Parent
		}
	}
	return ids
}

// repositioned works out what a move changes, from where the mapping stands.
func (m *running) repositioned(w way, rows map[string]lane.Checkpoint) (backend.Repositioned, Moved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := backend.Repositioned{Mapping: m.def}
	r.Mapping.Generation++
	r.Mapping.Modified = m.e.opts.Now().UTC().Round(0)
	var moved Moved
	again := map[string]bool{} // shards that have not ended any more
	for _, s := range w.shards {
		at, concerned := w.places[s.ID]
		row, known := rows[s.ID]
		if !known {
			row.Low, row.Ordinal = w.begins[s.ID].Low, w.begins[s.ID].Ordinal
		}
		var next lane.Checkpoint
		switch {
		case !concerned:
			continue
		case w.forward:
			if row.Done || !row.Low.Less(at.Low) {
				continue
			}
			next = row.Forward(at.Checkpoint())
			skip := backend.Skip{Shard: s.ID, Missed: lane.Missed{First: row.Low.Next(), Last: at.Low, Count: at.Ordinal - min(row.Ordinal, at.Ordinal)}} // where not all are counted
			moved.Records += skip.Count
			r.Skipped = append(r.Skipped, skip)
		default:
			// It is not there yet; but no shard has ended before its parent.
			if !known || !again[s.Parent] && (row.Done && !at.Low.Less(s.Head) || !row.Done && !at.Low.Less(row.Low) && !row.AheadOf(at.Low)) {
				continue
			}
			again[s.ID] = true
			next = row.Back(at.Checkpoint())
			if at.Ordinal < row.Ordinal {
				moved.Records += row.Ordinal - at.Ordinal
			}
		}
		next.Generation, next.Expired = r.Mapping.Generation, row.Expired
		moved.Shards++
		r.Rows = append(r.Rows, backend.Row{UUID: m.uuid, Shard: s.ID, Checkpoint: next, WindowEnded: true})
	}
	return r, moved
}

// heldAgain lists the held records that come again with new rows, to be removed.
func (m *running) heldAgain(ctx context.Context, rows []backend.Row) (removed []lane.AsideChange, err error) {
	at := map[string]lane.Checkpoint{}
	for _, r := range rows {
		at[r.Shard] = r.Checkpoint
	}
	const page = 1000
	for from := (lane.AsideKey{}); ; {
		held, err := m.e.opts.Backend.Aside(ctx, m.uuid, from, page, lane.MaxPayload, true)
		if err != nil || len(held) == 0 {
			return removed, err
		}
		for i := range held {
			k := held[i].AsideKey
			if cp, ok := at[k.Shard]; ok && held[i].Kind == lane.Held && !cp.Covers(k.Hash, k.Seq) {
				removed = append(removed, lane.AsideChange{Key: k})
			}
		}
		from = held[len(held)-1].After()
	}
}

// retire ends all machines of a mapping for good, without waiting for calls under way: what becomes
// of them changes nothing any more. When it has returned nothing of them is stored, and rows
// are the positions on the disk. revive begins anew.
func (m *running) retire() {
	commit := m.committer()
	_ = commit.write(true) // what has ended by now need not come again; a failure is logged, and costs no more than that
	m.mu.Lock()
	m.moving, m.waiting = true, true
	m.epoch.Add(1)
	m.mu.Unlock()
	m.gate.wake()
	commit.barrier()
	aside := m.aside.Load()
	aside.stopTimer()
	aside.abandonRecalls()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.past.Add(aside.rows.Counters())
	for id, r := range m.shards {
		r.stopTimer()
		m.rows[id] = r.stored()
		m.past.Add(r.counters())
	}
	for id, r := range m.finished {
		m.rows[id] = r.stored()
	}
	clear(m.shards)
	clear(m.finished)
}

// over reports whether what a machine of an epoch does counts for nothing.
func (m *running) over(epoch uint64) bool {
	return epoch != m.epoch.Load()
}

// revive makes what retire has ended anew, from what is stored; it runs once the calls that were
// under way have returned.
func (m *running) revive(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	m.mu.Lock()
	if m.held != nil {
		ctx = m.held.ctx
	}
	aside := newAsideWork(m)
	m.mu.Unlock()
	err := aside.load(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil: // the claim is over
		err = ErrMoved
	default:
		err = fmt.Errorf("what trigger %s has set aside cannot be read, and it stands still until the next start: %w", m.uuid, err)
	}
	m.aside.Store(aside)
	m.mu.Lock()
	m.moving = err != nil
	m.mu.Unlock()
	if err == nil {
		m.resume()
	}
	m.e.progress.notify()
	return err
}

// resume begins deliveries again after a move, unless calls from before it are under way: then the last of them does.
func (m *running) resume() {
	m.mu.Lock()
	begins := m.waiting && !m.moving && m.under.Load() == 0 && (m.e.shared == nil || m.held != nil && !m.held.ending.Load())
	if begins {
		m.waiting = false
	}
	m.mu.Unlock()
	if begins {
		m.begin()
	}
}

// enter notes that a call of the function begins; false: its machine is of an earlier epoch.
func (m *running) enter(epoch uint64) bool {
	m.under.Add(1)
	if m.over(epoch) {
		m.leave()
		return false
	}
	return true
}

func (m *running) leave() {
	if m.under.Add(-1) == 0 {
		m.resume()
	}
}

// Pause stops deliveries without letting go of anything: what is under way ends and counts, the mapping
// stays enabled for AWS's API, and the log is kept for it. Resume goes on.
func (e *Engine) Pause(ctx context.Context, uuid string) error { return e.setPaused(ctx, uuid, true) }

// Resume ends a Pause.
func (e *Engine) Resume(ctx context.Context, uuid string) error { return e.setPaused(ctx, uuid, false) }

func (e *Engine) setPaused(ctx context.Context, uuid string, paused bool) error {
	m, err := e.lock(uuid)
	if err != nil {
		return err
	}
	defer m.op.Unlock()
	def := m.definition()
	if def.Paused == paused {
		return nil
	}
	def.Paused = paused
	def.Modified = e.opts.Now().UTC().Round(0)
	if err := e.store(ctx, &def); err != nil {
		return err
	}
	m.mu.Lock()
	m.def = def
	if paused {
		m.post(lane.Drain{})
	}
	m.mu.Unlock()
	m.gate.wake()
	if !paused {
		m.begin()
	}
	e.progress.notify()
	return nil
}

// delivers reports whether a mapping is to deliver records. The caller holds mu.
func (m *running) delivers() bool {
	return m.def.Enabled && !m.def.Paused && !m.deleted && !m.waiting && m.lacks == ""
}
