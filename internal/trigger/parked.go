package trigger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// AsideFilter chooses records that are set aside; zero members do not.
type AsideFilter struct {
	ID   lane.AsideKey
	Kind lane.AsideKind
	// Key is an item's key as JSON, or the text of one of its attributes.
	Key string
	// Error is a part of why it is set aside, in whatever case.
	Error string
	// After and Before bound when it was set aside, in ms since 1970.
	After, Before int64
}

func (f *AsideFilter) match(r *lane.SetAside) bool {
	return (f.ID == lane.AsideKey{} || r.AsideKey == f.ID) && (f.Kind == 0 || r.Kind == f.Kind) &&
		(f.After == 0 || r.Since >= f.After) && (f.Before == 0 || r.Since < f.Before) && (f.Key == "" || f.matchKey(r.Keys)) &&
		(f.Error == "" || strings.Contains(strings.ToLower(string(r.Reason)+": "+r.Error), strings.ToLower(f.Error)))
}

func (f *AsideFilter) matchKey(keys string) bool {
	if keys == f.Key {
		return true
	}
	var attributes map[string]map[string]string
	if json.Unmarshal([]byte(keys), &attributes) != nil {
		return false
	}
	for _, a := range attributes {
		for _, v := range a {
			if v == f.Key {
				return true
			}
		}
	}
	return false
}

// ListAside lists records that a mapping has set aside, without their events, from a
// place on: at most limit. more is false when the last one was seen; next is where the next page begins.
func (e *Engine) ListAside(ctx context.Context, uuid string, f AsideFilter, from lane.AsideKey, limit int) (found []lane.SetAside, next lane.AsideKey, more bool, err error) {
	if _, err := e.find(uuid); err != nil {
		return nil, next, false, err
	}
	if from == (lane.AsideKey{}) {
		from = f.ID
	}
	for {
		rows, err := e.opts.Backend.Aside(ctx, uuid, from, lane.AsidePage, 0, true)
		if err != nil {
			return nil, next, false, err
		}
		for i := range rows {
			if f.match(&rows[i]) {
				if len(found) == limit {
					return found, rows[i].AsideKey, true, nil
				}
				found = append(found, rows[i])
			}
		}
		if len(rows) < lane.AsidePage || f.ID != (lane.AsideKey{}) {
			return found, next, false, nil
		}
		from = rows[len(rows)-1].After()
	}
}

// ErrNotAside: the record is not set aside (any more).
var ErrNotAside = errors.New("trigger: no such record is set aside")

// ErrUnderWay: records could not be given up, because the function has them, or others of their items, just now.
var ErrUnderWay = errors.New("a call of the function with the item is under way; try again when it has ended")

// AsideRecord returns one record that is set aside, whole.
func (e *Engine) AsideRecord(ctx context.Context, uuid string, id lane.AsideKey) (lane.SetAside, error) {
	if _, err := e.find(uuid); err != nil {
		return lane.SetAside{}, err
	}
	rows, err := e.opts.Backend.Aside(ctx, uuid, id, 1, lane.MaxPayload, false)
	if err == nil && (len(rows) == 0 || rows[0].AsideKey != id) {
		err = ErrNotAside
	}
	if err != nil {
		return lane.SetAside{}, err
	}
	return rows[0], nil
}

// Redrive is what is to become of parked records.
type Redrive struct {
	AsideFilter
	// Discard: they are gone for good. Otherwise they are tried again, in the order of their
	// keys, each through its key's lane: later records of the key that have not been sent wait behind it.
	Discard bool
	// GiveUp is about held records instead: they are not tried any more. As what has had its attempts, they are parked, or the
	// on-failure destination is told of them; later records of their keys go on.
	GiveUp bool
	// Reason is a person's, for Discard and GiveUp: it is logged, and kept with the mapping.
	Reason string
	// Function is the name or ARN of another function that is to have them; empty: the
	// mapping's.
	Function string
	// Rate is how many a second; 0: as many as the mapping's lanes take.
	Rate float64
	// Limit is how many at most; 0: all.
	Limit int
	// From is where to begin; zero: with the first. It is what an earlier call has returned.
	From lane.AsideKey
}

// Redrive sends parked records again, or removes them, and returns when that is stored for all, with how many
// that were. When ctx ends before, they are those so far. next is where to go on behind Limit, which never comes to a record
// that was sent again and is parked anew; zero: there is no more.
func (e *Engine) Redrive(ctx context.Context, uuid string, q Redrive) (n int, next lane.AsideKey, err error) {
	m, err := e.find(uuid)
	if err != nil {
		return 0, next, err
	}
	if !e.active() {
		return 0, next, ErrStopped
	}
	if q.Function != "" {
		if q.Function, err = e.resolve(ctx, m.definition().Scope, q.Function); err != nil {
			return 0, next, err
		}
	}
	if !m.here() {
		a, err := m.ask(ctx, asked{Redrive: &q})
		return a.Records, a.Next, err
	}
	return m.redrive(ctx, q)
}

func (m *running) redrive(ctx context.Context, q Redrive) (n int, next lane.AsideKey, err error) {
	if q.Discard || q.GiveUp {
		defer func() {
			if n > 0 {
				err = errors.Join(err, m.note(context.WithoutCancel(ctx), q, n))
			}
		}()
	}
	busy, waited := 0, time.Duration(0)
	var dropped []lane.SetAside
	r := lane.Recall{Discard: q.Discard, GiveUp: q.GiveUp, Function: q.Function, Match: q.match, From: q.From}
	if q.Discard { // what matches is dropped
		r.Match = func(row *lane.SetAside) bool {
			matches := q.match(row)
			if matches {
				dropped = append(dropped, *row)
			}
			return matches
		}
	}
	if q.ID != next {
		r.From = q.ID
	}
	first := r.From
	for {
		r.Max = lane.AsidePage
		if q.Rate > 0 {
			r.Max = max(1, int(q.Rate/10))
		}
		if q.Limit > 0 {
			r.Max = min(r.Max, q.Limit-n)
		}
		if err := ctx.Err(); err != nil {
			return n, next, err
		}
		dropped = nil
		// A caller who leaves does not take back what the machine has been asked for: it is waited for, and noted.
		done, err := m.aside.Load().recall(context.WithoutCancel(ctx), r, func() { m.removed(orByHand(q.Reason), dropped...) })
		n += done.Count
		busy += done.Busy
		if err != nil || !done.More || q.ID != (lane.AsideKey{}) || n == q.Limit && q.Limit > 0 {
			if err == nil && done.More && q.ID == next {
				next = done.Next
			}
			if err != nil || busy == 0 {
				return n, next, err
			}
			if waited += busyPause; waited > busyLimit {
				return n, next, fmt.Errorf("%w: %d were given up, and %d were left", ErrUnderWay, n, busy)
			}
			r.From, busy = first, 0
			if err := pause(ctx, busyPause); err != nil {
				return n, next, err
			}
			continue
		}
		r.From = done.Next
		if q.Rate > 0 && done.Count > 0 {
			if err := pause(ctx, time.Duration(float64(done.Count)/q.Rate*float64(time.Second))); err != nil {
				return n, next, err
			}
		}
	}
}

// What is to be given up and is with the function just now is waited for so long.
const (
	busyPause = 50 * time.Millisecond
	busyLimit = 5 * time.Second
)

func pause(ctx context.Context, d time.Duration) error {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// orByHand is a person's reason, or that there was a person.
func orByHand(reason string) string { return cmp.Or(reason, "by a person") }

// note logs what a person has removed or given up, and keeps it with the mapping.
func (m *running) note(ctx context.Context, q Redrive, n int) error {
	what := mapping.Removed
	if q.GiveUp {
		what = mapping.GaveUp
	}
	m.e.log.Warn("a person has "+what+" records that were set aside", "mapping", m.uuid, "records", n, "reason", q.Reason)
	m.op.Lock()
	defer m.op.Unlock()
	if m.gone() {
		return nil
	}
	def := m.definition()
	def.Note(mapping.Noted{At: m.e.opts.Now().UTC().Round(0), What: what, Records: n, Reason: q.Reason})
	if err := m.e.store(context.WithoutCancel(ctx), &def); err != nil {
		return fmt.Errorf("%d records are %s, but the reason could not be kept: %w", n, what, err)
	}
	m.mu.Lock()
	m.def = def // nothing that its machines look at
	m.mu.Unlock()
	return nil
}
