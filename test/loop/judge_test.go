package loop

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// errLost is what the detector finds when a crash took back what was told (P1, P3).
var errLost = errors.New("a crash took back what was told")

// errDelivery is what it finds when a mapping skips, reorders or repeats without
// cause (P2, P4).
var errDelivery = errors.New("a mapping was served wrongly")

// position is where a mapping stands in all shards of its stream, and which records
// it has set aside and not yet done with.
type position struct {
	shards map[string]lane.Checkpoint
	held   map[lane.AsideKey]bool // false: removed
}

func newPosition() position {
	return position{map[string]lane.Checkpoint{}, map[lane.AsideKey]bool{}}
}

func (p position) clone() position { return position{maps.Clone(p.shards), maps.Clone(p.held)} }

func (p position) set(row backend.Row) {
	row.Ahead = slices.Clone(row.Ahead)
	p.shards[row.Shard] = row.Checkpoint
}

func (p position) setAside(changes []lane.AsideChange) {
	for _, c := range changes {
		p.held[c.Key] = c.Put != nil
	}
}

// covers reports that the position is past a record.
func (p position) covers(r *logged) bool {
	if p.held[lane.AsideKey{Hash: r.rec.KeyHash(), Shard: r.shard, Seq: r.rec.Seq()}] {
		return false
	}
	c, ok := p.shards[r.shard]
	if !ok {
		return false // no row: from the first record
	}
	seq := r.rec.Seq()
	if c.Done || !c.Low.Less(seq) {
		return true
	}
	lane := uint8(r.rec.KeyHash() % lane.VirtualLanes)
	for _, a := range c.Ahead {
		if a.Lane == lane && !a.Seq.Less(seq) {
			return true
		}
	}
	return false
}

// judge holds everything that was told against the log that the last life has.
func (r *round) judge() error {
	last := r.lives[len(r.lives)-1]
	all, err := last.readLog([]string{r.arns["orders"], r.arns["events"]})
	if err != nil {
		return err
	}
	j := &judgement{r: r, all: all, byID: map[string]*logged{}}
	r.stats.records += len(all)
	written, removed := map[string][]*logged{}, map[string][]*logged{}
	for _, rec := range all {
		if j.byID[rec.id] != nil {
			return fmt.Errorf("P2: eventID %s twice", rec.id)
		}
		j.byID[rec.id] = rec
		if rec.w != "" {
			written[rec.table+rec.w] = append(written[rec.table+rec.w], rec)
		} else {
			removed[rec.table+rec.old] = append(removed[rec.table+rec.old], rec)
		}
	}
	for n, l := range r.lives {
		for _, a := range l.acks {
			there := written[a.table+a.value]
			if a.removed {
				there = removed[a.table+a.value]
			}
			if a.end <= l.told && a.logged && there == nil {
				return fmt.Errorf("P1: %w: life %d: write %s to %s (removed: %t)", errLost, n+1, a.value, a.table, a.removed)
			}
		}
		for _, c := range l.calls {
			if c.begin > l.told {
				continue
			}
			for i := range c.events {
				if err := j.same(&c.events[i]); err != nil {
					return fmt.Errorf("P3: life %d, %s: %w", n+1, c.function, err)
				}
			}
		}
	}
	if last.ended {
		r.stats.closed++
	}
	for _, s := range subscribers {
		if err := j.subscriber(s); err != nil {
			return fmt.Errorf("%s: %w", s.function, err)
		}
		if err := j.startsRight(s, written, removed); err != nil {
			return fmt.Errorf("%s: %w", s.function, err)
		}
	}
	return nil
}

type judgement struct {
	r    *round
	all  []*logged
	byID map[string]*logged
}

// same checks that what a function was given is what the log holds.
func (j *judgement) same(d *delivered) error {
	rec := j.byID[d.ID]
	if rec == nil {
		return fmt.Errorf("%w: record %s of key %s, value %q, was acted on", errLost, d.Body.SequenceNumber, d.Body.Keys.Pk.S, d.Body.New.W.S)
	}
	if rec.rec.Seq().String() != d.Body.SequenceNumber || rec.key != d.Body.Keys.Pk.S || rec.w != d.Body.New.W.S || rec.old != d.Body.Old.W.S {
		return fmt.Errorf("%w: record %s was another one when it was acted on", errLost, d.Body.SequenceNumber)
	}
	return nil
}

// base returns the position that a mapping had when it could first deliver in a
// life; ok is false when it did not exist.
func (l *life) base(function string) (p position, ok bool) {
	if p, ok := l.opened[function]; ok {
		return p, true
	}
	if c := l.creates[function]; c != nil && c.rows != nil {
		return position{shards: c.rows}, true
	}
	return position{}, false
}

// progress is what became of one record for one mapping in one life.
type progress struct {
	delivered int
	errors    int
	succeeded bool
	sound     time.Time // of the first success that no disabling can have abandoned
	dropped   bool
}

func (p *progress) ended() bool { return p.succeeded || p.dropped }

// moment is the beginning or the end of a call.
type moment struct {
	order int
	call  *call
	end   bool
}

// subscriber judges one mapping, life by life.
func (j *judgement) subscriber(s subscriber) error {
	var mine []*logged
	byKey := map[string][]*logged{}
	for _, rec := range j.all {
		if rec.table == s.table {
			mine = append(mine, rec)
			byKey[rec.key] = append(byKey[rec.key], rec)
		}
	}
	seen := map[*logged]bool{} // delivered in an earlier life
	for n, l := range j.r.lives {
		base, ok := l.base(s.function)
		if !ok {
			if n == len(j.r.lives)-1 {
				return fmt.Errorf("%w: the mapping is not there", errLost)
			}
			continue
		}
		state, err := j.replay(s, l, base, byKey)
		if err != nil {
			return fmt.Errorf("life %d: %w", n+1, err)
		}
		for rec, p := range state {
			if p.delivered > 0 && seen[rec] {
				j.r.stats.redelivered++
			}
			if p.dropped && !p.succeeded {
				j.r.stats.dropped++
			}
			if p.delivered > 0 {
				seen[rec] = true
			}
		}
		var next position
		if n < len(j.r.lives)-1 {
			if next, ok = j.r.lives[n+1].opened[s.function]; !ok {
				continue // its creation was not told; live has checked
			}
		} else {
			next = l.committed(s.function, base)
		}
		if err := j.handedOn(s, l, base, next, state, mine); err != nil {
			return fmt.Errorf("life %d: %w", n+1, err)
		}
		if n == len(j.r.lives)-1 {
			for _, rec := range mine {
				if !next.covers(rec) {
					return fmt.Errorf("P4: %w: settled, but the stored position is before record %s", errDelivery, rec.rec.Seq())
				}
			}
		}
	}
	return nil
}

// committed is the newest position that was acknowledged (before the crash).
func (l *life) committed(function string, base position) position {
	rows := l.rows
	if l.crashed != nil {
		rows = l.before.rows
	}
	p := newPosition()
	for _, from := range []position{base, rows[function]} {
		maps.Copy(p.shards, from.shards)
		maps.Copy(p.held, from.held)
	}
	return p
}

// replay goes through the calls of a life in their order. It checks that nothing
// behind the position is delivered, that no record of a key is delivered before
// the ones before it have ended, or while another call has records of that key, and
// that what succeeded is not delivered again without a cause.
func (j *judgement) replay(s subscriber, l *life, base position, byKey map[string][]*logged) (map[*logged]*progress, error) {
	var moments []moment
	for _, c := range l.calls {
		if c.function != s.function {
			continue
		}
		if c.begin <= l.done {
			moments = append(moments, moment{c.begin, c, false})
		}
		if c.end != 0 && c.end <= l.done {
			moments = append(moments, moment{c.end, c, true})
		}
	}
	slices.SortFunc(moments, func(a, b moment) int { return cmp.Compare(a.order, b.order) })
	state := map[*logged]*progress{}
	of := func(rec *logged) *progress {
		p := state[rec]
		if p == nil {
			p = &progress{}
			state[rec] = p
		}
		return p
	}
	busy := map[string]*call{}
	for _, m := range moments {
		if m.end {
			for i := range m.call.events {
				rec := j.byID[m.call.events[i].ID]
				if rec == nil {
					continue
				}
				delete(busy, rec.key)
				p := of(rec)
				switch m.call.outcome {
				case lane.Succeeded:
					p.succeeded = true
					if p.sound.IsZero() && !l.abandoned(m.call) {
						p.sound = m.call.to
					}
				case lane.FunctionError:
					p.errors++
					p.dropped = p.dropped || s.retries >= 0 && p.errors > s.retries
				}
			}
			continue
		}
		j.r.stats.invocations++
		highest := map[string]int{} // by key: the place up to which the call may go on
		for i := range m.call.events {
			rec := j.byID[m.call.events[i].ID]
			if rec == nil {
				continue // delivered while the copy was made; it is lost with this life
			}
			j.r.stats.deliveries++
			if base.covers(rec) {
				return nil, fmt.Errorf("P4: %w: record %s was delivered, but the life began behind it", errDelivery, rec.rec.Seq())
			}
			if other := busy[rec.key]; other != nil && other != m.call {
				return nil, fmt.Errorf("P2: %w: two calls at once have key %s", errDelivery, rec.key)
			}
			busy[rec.key] = m.call
			keys := byKey[rec.key]
			last, again := highest[rec.key]
			if again && rec.nth <= last {
				return nil, fmt.Errorf("P2: %w: record %s comes after a later one of its key", errDelivery, rec.rec.Seq())
			}
			for i := rec.nth - 1; i >= 0 && !(again && i == last); i-- {
				if before := keys[i]; !base.covers(before) && !of(before).ended() {
					return nil, fmt.Errorf("P2: %w: record %s was delivered before %s of its key had ended", errDelivery, rec.rec.Seq(), before.rec.Seq())
				}
			}
			highest[rec.key] = rec.nth
			p := of(rec)
			if !p.sound.IsZero() {
				return nil, fmt.Errorf("P4: %w: record %s was delivered again after it had succeeded", errDelivery, rec.rec.Seq())
			}
			p.delivered++
		}
	}
	return state, nil
}

// abandoned reports that a disabling may have abandoned a call: its success does
// not count then.
func (l *life) abandoned(c *call) bool {
	return slices.ContainsFunc(l.changes, func(ch change) bool {
		return ch.function == c.function && !c.to.Before(ch.from) && (ch.to.IsZero() || !c.from.After(ch.to))
	})
}

// handedOn judges the position that the next life begins with (or, after the
// last, the stored one).
func (j *judgement) handedOn(s subscriber, l *life, base, next position, state map[*logged]*progress, mine []*logged) error {
	stored := l.committed(s.function, base)
	for _, rec := range mine {
		p := state[rec]
		switch ended := p != nil && p.ended(); {
		case base.covers(rec) && !next.covers(rec):
			return fmt.Errorf("P4: %w: the position went back before record %s", errDelivery, rec.rec.Seq())
		case stored.covers(rec) && !next.covers(rec):
			return fmt.Errorf("P4: %w: a position behind record %s was stored", errLost, rec.rec.Seq())
		case !base.covers(rec) && next.covers(rec) && !ended:
			return fmt.Errorf("P4: %w: record %s is passed, but it has not ended", errDelivery, rec.rec.Seq())
		case ended && !next.covers(rec) && !p.sound.IsZero() && l.at.Sub(p.sound) > commitInterval+4*l.slow && l.crashed != nil:
			return fmt.Errorf("P4: %w: record %s had succeeded %v before the crash, and is not passed", errDelivery, rec.rec.Seq(), l.at.Sub(p.sound))
		}
	}
	return nil
}

// startsRight checks where a mapping begins: TRIM_HORIZON passes nothing; LATEST
// passes what was acknowledged before it was asked for and nothing that was begun
// after it was answered.
func (j *judgement) startsRight(s subscriber, written, removed map[string][]*logged) error {
	for n, l := range j.r.lives {
		p, ok := l.base(s.function)
		if !ok {
			continue
		}
		if n < len(j.r.lives)-1 {
			if _, there := j.r.lives[n+1].opened[s.function]; !there {
				continue // the crash took it back
			}
		}
		c := l.creates[s.function]
		if c == nil || c.rows == nil {
			return nil // an answer lost in the crash; nothing was promised
		}
		if s.start == mapping.StartTrimHorizon {
			for _, rec := range j.all {
				if rec.table == s.table && p.covers(rec) {
					return fmt.Errorf("P4: %w: TRIM_HORIZON begins behind record %s", errDelivery, rec.rec.Seq())
				}
			}
			return nil
		}
		for m, o := range j.r.lives {
			for _, a := range o.acks {
				recs := written[a.table+a.value]
				if a.removed {
					recs = removed[a.table+a.value]
				}
				if len(recs) != 1 || a.table != s.table {
					continue // lost and never told, or written again
				}
				rec := recs[0]
				if covered := p.covers(rec); !covered && (m < n || m == n && a.end < c.begin) {
					return fmt.Errorf("%w: LATEST begins before record %s, acknowledged before", errDelivery, rec.rec.Seq())
				} else if covered && c.end != 0 && (m > n || m == n && a.begin > c.end) {
					return fmt.Errorf("P4: %w: LATEST begins behind record %s, written after", errDelivery, rec.rec.Seq())
				}
			}
		}
		return nil
	}
	return nil
}
