package trigger

import (
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// shardWork is a mapping's work on one shard.
type shardWork struct {
	driver
	lane  *lane.Machine // guarded by driver.mu
	shard string

	committed lane.Checkpoint // as last made durable; guarded by driver.mu
	dirty     bool            // in the committer's list; guarded by the committer
	windowAt  time.Time       // of the last commit with a window; guarded by the committer
}

func newShardWork(m *running, shard string, cp lane.Checkpoint) *shardWork {
	aside := m.aside.Load()
	w := &shardWork{shard: shard, committed: cp, lane: lane.NewMachine(cp, shard, aside.rows, m.e.opts.Jitter)}
	w.driver = driver{e: m.e, m: m, commit: m.commit, held: m.held, epoch: m.epoch.Load(), owner: w, aside: aside, machine: w.lane}
	return w
}

func (w *shardWork) act(a lane.Action) lane.Event {
	switch a := a.(type) {
	case lane.Read:
		return w.read(a)
	case lane.Commit:
		w.commit.add(w)
	case lane.Drop:
		w.m.logDrop(a, w.shard)
	case lane.Poke:
		w.aside.post(lane.Timer{})
	case lane.Expire:
		if a.Missed.Unknown {
			w.e.log.Warn("records may have been gone before they were read; nobody knows how many", "mapping", w.m.uuid, "shard", w.shard,
				"first", a.Missed.First.String(), "last", a.Missed.Last.String())
			break
		}
		w.e.log.Warn("records were gone before they were read", "mapping", w.m.uuid, "shard", w.shard,
			"records", a.Missed.Count, "first", a.Missed.First.String(), "last", a.Missed.Last.String())
	case lane.Done:
		w.m.shardDone(w)
	}
	return nil
}

func (w *shardWork) read(a lane.Read) lane.Event {
	page, err := w.e.opts.Backend.Read(w.context(), w.m.stream, w.shard, a.After, a.MaxRecords, a.MaxBytes)
	if errors.Is(err, backend.ErrNoStream) {
		page, err = lane.Page{End: true}, nil // it is past its retention, and so are its records
	}
	if err != nil && w.context().Err() == nil {
		w.e.log.Error("cannot read a stream for a mapping; trying again", "mapping", w.m.uuid, "shard", w.shard, "error", err)
	}
	return lane.PageRead{Token: a.Token, Page: page, Err: err}
}

func (w *shardWork) checkpoint() lane.Checkpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lane.Checkpoint()
}

// stored is the checkpoint that was last made durable.
func (w *shardWork) stored() lane.Checkpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.committed
}

func (w *shardWork) setStored(cp lane.Checkpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.committed = cp
}

func (w *shardWork) counters() lane.Counters {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lane.Counters()
}

func (w *shardWork) status() lane.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lane.Status()
}

// row builds the row of the checkpoint, with the changes of what was set aside behind it,
// which are the caller's now. ok is false when there is nothing to write, or when due says that it is
// too early: then there is a row, but it is not to be written yet.
func (w *shardWork) row(due func(*backend.Row) bool) (row backend.Row, changes []lane.AsideChange, ok bool) {
	if w.m.gone() || w.m.over(w.epoch) {
		return backend.Row{}, nil, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	cp := w.lane.Checkpoint()
	if cp.Equal(w.committed) && !w.lane.HasChanges() {
		return backend.Row{}, nil, false
	}
	if cp.Generation == w.committed.Generation && cp.Low.Less(w.committed.Low) {
		// It cannot happen; if it did, writing it would deliver records twice.
		w.e.log.Error("a position would go back; not stored", "mapping", w.m.uuid, "shard", w.shard,
			"position", cp.Low.String(), "stored", w.committed.Low.String())
		return backend.Row{}, nil, false
	}
	row = w.rowOf(cp)
	if !due(&row) {
		return row, nil, false
	}
	return row, w.lane.TakeChanges(), true
}

// rowOf is called with mu held.
func (w *shardWork) rowOf(cp lane.Checkpoint) backend.Row {
	return backend.Row{UUID: w.m.uuid, Shard: w.shard, Checkpoint: cp, WindowEnded: cp.Window == nil && w.committed.Window != nil}
}

func (w *shardWork) putBack(c []lane.AsideChange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane.PutBack(c)
}

func (w *shardWork) changesStored(c []lane.AsideChange) {
	w.mu.Lock()
	w.lane.ChangesStored(c)
	w.mu.Unlock()
	w.aside.post(lane.Stored{Changes: c})
	w.post(lane.Timer{}) // it may have waited for room
}

func (w *shardWork) stage(batch uint64) (row *backend.Row, own, removed []lane.AsideChange, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cp, ok := w.lane.Stage(batch)
	if !ok {
		return nil, nil, nil, false
	}
	r := w.rowOf(cp)
	return &r, w.lane.TakeChanges(), nil, true
}

func (w *shardWork) apply(batch uint64, row *backend.Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane.Apply(batch)
	w.committed = row.Checkpoint
}

func (w *shardWork) unstage(batch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane.Unstage(batch)
}
