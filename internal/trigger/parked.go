package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// AsideFilter chooses records that are set aside; zero members do not.
type AsideFilter struct {
	ID   lane.AsideKey
	Kind lane.AsideKind
	// Key is an item's key as JSON, or the text of one of its attributes.
	Key string
	// After and Before bound when it was set aside, in ms since 1970.
	After, Before int64
}

func (f *AsideFilter) match(r *lane.SetAside) bool {
	return (f.ID == lane.AsideKey{} || r.AsideKey == f.ID) && (f.Kind == 0 || r.Kind == f.Kind) &&
		(f.After == 0 || r.Since >= f.After) && (f.Before == 0 || r.Since < f.Before) && (f.Key == "" || f.matchKey(r.Keys))
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
	r := lane.Recall{Discard: q.Discard, Match: q.match, From: q.From}
	if q.ID != next {
		r.From = q.ID
	}
	if q.Function != "" {
		if r.Function, err = e.resolve(ctx, m.definition().Scope, q.Function); err != nil {
			return 0, next, err
		}
	}
	for {
		r.Max = lane.AsidePage
		if q.Rate > 0 {
			r.Max = max(1, int(q.Rate/10))
		}
		if q.Limit > 0 {
			r.Max = min(r.Max, q.Limit-n)
		}
		done, err := m.aside.Load().recall(ctx, r)
		n += done.Count
		if err != nil || !done.More || q.ID != (lane.AsideKey{}) || n == q.Limit && q.Limit > 0 {
			if err == nil && done.More && q.ID == next {
				next = done.Next
			}
			return n, next, err
		}
		r.From = done.Next
		if q.Rate > 0 && done.Count > 0 {
			wait := time.NewTimer(time.Duration(float64(done.Count) / q.Rate * float64(time.Second)))
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
				return n, next, ctx.Err()
			}
		}
	}
}
