package trigger

import (
	"context"
	"errors"
	"fmt"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// asideWork is the work on what a mapping has set aside.
type asideWork struct {
	driver
	rows *lane.Aside

	// Who waits for a Recall, by token; both are guarded by driver.qmu.
	lastToken uint64
	recalls   map[uint64]chan lane.Recalled

	dirty bool // in the committer's list; guarded by the committer
	turn  int  // of the committer that has looked last; guarded by it
}

// newAsideWork is called while nobody else changes the mapping's claim.
func newAsideWork(m *running) *asideWork {
	w := &asideWork{rows: lane.NewAside(m.e.opts.Jitter), recalls: map[uint64]chan lane.Recalled{}}
	if m.held != nil {
		w.rows.Share()
	}
	w.driver = driver{e: m.e, m: m, commit: m.commit, held: m.held, epoch: m.epoch.Load(), owner: w, aside: w, machine: w.rows}
	return w
}

func (w *asideWork) act(a lane.Action) lane.Event {
	switch a := a.(type) {
	case lane.Fetch:
		return w.fetch(a)
	case lane.Commit:
		w.commit.addAside(w)
	case lane.Discarded:
		w.m.removed("TooOld", a.Rows...)
		for i := range a.Rows {
			r := &a.Rows[i]
			w.e.log.Warn("a parked record was too old and is gone", "mapping", w.m.uuid, "shard", r.Shard, "record", r.Seq.String(), "keys", r.Keys)
		}
	case lane.Room:
		for _, s := range w.m.all() {
			s.post(lane.Timer{})
		}
	case lane.Ask:
		shards := w.m.all()
		w.rows.Asked(a.Hash, len(shards))
		for _, s := range shards {
			s.post(lane.GoAside(a))
		}
	case lane.Recalled:
		w.answer(a)
	case lane.Vanished:
		if w.held != nil && w.held.ctx.Err() == nil {
			w.e.log.Warn("what a mapping has set aside was changed by the node that had its stream before; the stream is begun anew", "mapping", w.m.uuid)
			w.e.shared.Renew(w.held.claim)
		}
	}
	return nil
}

func (w *asideWork) fetch(a lane.Fetch) lane.Event {
	rows, err := w.fetchRows(a)
	if err != nil && w.context().Err() == nil {
		w.e.log.Error("cannot read what a mapping has set aside; trying again", "mapping", w.m.uuid, "error", err)
	}
	return lane.Fetched{Batch: a.Batch, Rows: rows, Err: err}
}

func (w *asideWork) fetchRows(a lane.Fetch) (rows []lane.SetAside, err error) {
	if len(a.Keys) == 0 {
		return w.e.opts.Backend.Aside(w.context(), w.m.uuid, a.From, a.Max, a.MaxBytes, a.Heads)
	}
	for _, k := range a.Keys {
		page, err := w.e.opts.Backend.Aside(w.context(), w.m.uuid, k, 1, lane.MaxPayload, false)
		if err != nil {
			return nil, err
		}
		if len(page) > 0 && page[0].AsideKey == k {
			rows = append(rows, page[0])
		}
	}
	return rows, nil
}

// recall hands a person's wish to the machine and waits until what came of it is stored. It calls done when that is so, or will be.
func (w *asideWork) recall(ctx context.Context, q lane.Recall, done func()) (lane.Recalled, error) {
	r, err := w.ask(ctx, q)
	if err != nil || r.Count == 0 {
		return r, err
	}
	w.commit.addAside(w) // the machine asks for it itself, but perhaps after it has answered
	if err := w.commit.write(false); errors.Is(err, backend.ErrLost) {
		r.Count = 0
		return r, ErrMoved
	} else if err != nil {
		done()
		r.Count = 0
		return r, fmt.Errorf("what is to become of the records cannot be stored, which is tried again: %w", err)
	}
	if w.m.over(w.epoch) { // perhaps before it was stored
		r.Count = 0
		return r, ErrMoved
	}
	done()
	return r, nil
}

func (w *asideWork) ask(ctx context.Context, q lane.Recall) (lane.Recalled, error) {
	c := make(chan lane.Recalled, 1)
	w.qmu.Lock()
	w.lastToken++
	q.Token = w.lastToken
	if w.m.over(w.epoch) {
		w.qmu.Unlock()
		return lane.Recalled{}, ErrMoved
	}
	w.recalls[q.Token] = c
	w.qmu.Unlock()
	w.post(q)
	select {
	case r := <-c:
		return r, r.Err
	case <-ctx.Done():
		return lane.Recalled{}, ctx.Err()
	case <-w.e.ctx.Done():
		return lane.Recalled{}, ErrStopped
	}
}

// ErrMoved is the answer to who was at work on what is set aside when the mapping was moved.
var ErrMoved = errors.New("the trigger has been moved meanwhile; try again")

// answer tells who waits what came of a Recall.
func (w *asideWork) answer(r lane.Recalled) {
	w.qmu.Lock()
	c := w.recalls[r.Token]
	delete(w.recalls, r.Token)
	w.qmu.Unlock()
	if c != nil {
		c <- r
	}
}

// abandonRecalls answers everybody who waits for a machine that was retired.
func (w *asideWork) abandonRecalls() {
	w.qmu.Lock()
	defer w.qmu.Unlock()
	for token, c := range w.recalls {
		delete(w.recalls, token)
		c <- lane.Recalled{Err: ErrMoved}
	}
}

// load reads the stored rows, before the machine begins.
func (w *asideWork) load(ctx context.Context) error {
	return w.m.setAside(ctx, func(rows []lane.SetAside) { w.rows.Load(rows) })
}

// setAside reads all that a mapping has set aside, without events.
func (m *running) setAside(ctx context.Context, found func([]lane.SetAside)) error {
	const page = 1000
	for from := (lane.AsideKey{}); ; {
		rows, err := m.e.opts.Backend.Aside(ctx, m.uuid, from, page, lane.MaxPayload, true)
		if err != nil || len(rows) == 0 {
			return err
		}
		found(rows)
		from = rows[len(rows)-1].After()
	}
}

func (w *asideWork) putBack(c []lane.AsideChange) {
	w.rows.PutBack(c)
	w.commit.addAside(w)
}

func (w *asideWork) changesStored(c []lane.AsideChange) { w.post(lane.Stored{Changes: c}) }

func (w *asideWork) stage(batch uint64) (row *backend.Row, own, removed []lane.AsideChange, ok bool) {
	removed, ok = w.rows.Stage(batch)
	return nil, nil, removed, ok
}

func (w *asideWork) apply(batch uint64, _ *backend.Row) { w.rows.Apply(batch) }

func (w *asideWork) unstage(uint64) {}
