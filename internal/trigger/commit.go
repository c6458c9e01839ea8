package trigger

import (
	"context"
	"slices"
	"sync"
	"time"
)

// committer makes progress durable: one batch for the dirty checkpoints of all
// mappings, an interval after the first became dirty. Each row is built from the
// machine's state at that moment, so a row is never older than one written before.
type committer struct {
	e *Engine

	// writing is held over a commit; taking it waits for the one under way.
	writing sync.Mutex
	fails   int // in a row; guarded by writing
	turn    int // counts writes; guarded by writing

	mu        sync.Mutex
	dirty     []*runner
	shelves   []*shelf // dirty ones
	scheduled bool
	at        time.Time // of the next commit, when scheduled
	notBefore time.Time // after a failure
	closed    bool
	timer     *time.Timer
}

func newCommitter(e *Engine) *committer { return &committer{e: e} }

// add asks for a runner's checkpoint to be committed.
func (c *committer) add(r *runner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.dirty {
		r.dirty = true
		c.dirty = append(c.dirty, r)
	}
	c.schedule(c.e.opts.CommitInterval)
}

// addShelf asks for a mapping's changes of what is set aside to be committed.
func (c *committer) addShelf(s *shelf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.dirty {
		s.dirty = true
		c.shelves = append(c.shelves, s)
	}
	c.schedule(c.e.opts.CommitInterval)
}

// schedule is called with mu held. The earliest moment that was asked for counts.
func (c *committer) schedule(wait time.Duration) {
	if c.closed {
		return
	}
	now := time.Now()
	at := now.Add(wait)
	if at.Before(c.notBefore) {
		at = c.notBefore
	}
	if c.scheduled && !at.Before(c.at) {
		return
	}
	c.scheduled, c.at = true, at
	if c.timer == nil {
		c.timer = time.AfterFunc(at.Sub(now), func() { _ = c.write(false) })
		return
	}
	c.timer.Reset(at.Sub(now))
}

// windowInterval is how long a position with the state of a tumbling window, which
// may be a megabyte, is put off after the one before.
const windowInterval = 100 * time.Millisecond

// write commits what is dirty. After a failure it is dirty still, and tried again.
// all: positions with a window, too, whose turn has not come.
func (c *committer) write(all bool) error {
	c.e.clock.Begin()
	defer c.e.clock.End()
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	c.scheduled = false
	runners := c.dirty
	c.dirty = nil
	for _, r := range runners {
		r.dirty = false
	}
	shelves := c.shelves
	c.shelves = nil
	c.turn++
	for _, s := range shelves {
		s.dirty, s.turn = false, c.turn
	}
	c.mu.Unlock()

	rows := make([]Row, 0, len(runners))
	written := runners[:0]
	var early []*runner
	var aside []AsideRows
	var owners []asideOwner
	for _, r := range runners {
		row, changes, ok := r.row(func(row *Row) bool {
			return all || row.Window == nil && !row.WindowEnded || time.Since(r.windowAt) >= windowInterval
		})
		switch {
		case ok:
			rows = append(rows, row)
			written = append(written, r)
			if len(changes) > 0 {
				aside = append(aside, AsideRows{r.m.uuid, changes})
				owners = append(owners, r)
			}
			if s := r.shelf; s.turn != c.turn {
				s.turn = c.turn
				shelves = append(shelves, s)
			}
		case row.UUID != "":
			early = append(early, r)
		}
	}
	// Only now: a key that was free when a record behind these positions was sent is free by
	// a removal that is in this batch, or an earlier one.
	for _, s := range shelves {
		if changes := s.aside.take(); len(changes) > 0 && !s.m.gone() && !s.m.over(s.epoch) {
			aside = append(aside, AsideRows{s.m.uuid, changes})
			owners = append(owners, s)
		}
	}
	c.again(early, windowInterval)
	if len(rows) == 0 && len(aside) == 0 {
		return nil
	}
	if err := c.e.opts.Backend.Commit(context.WithoutCancel(c.e.ctx), rows, aside); err != nil {
		c.fails++
		c.e.log.Error("cannot store the positions of mappings; trying again", "mappings", len(rows), "error", err)
		wait := backoff(c.fails, maxReadBackoff, c.e.opts.Jitter)
		c.mu.Lock()
		c.notBefore = time.Now().Add(wait)
		c.mu.Unlock()
		for i, o := range owners {
			o.backChanges(aside[i].Changes)
		}
		c.again(written, wait)
		return err
	}
	c.fails = 0
	for i, o := range owners {
		o.storedChanges(aside[i].Changes)
	}
	for i, r := range written {
		r.setCommitted(rows[i].Checkpoint)
		if rows[i].Window != nil || rows[i].WindowEnded {
			r.windowAt = time.Now()
		}
	}
	return nil
}

// asideOwner is where changes of what is set aside come from.
type asideOwner interface {
	backChanges([]AsideChange)
	storedChanges([]AsideChange)
}

func (s *shelf) backChanges(c []AsideChange) {
	s.aside.back(c)
	s.e.commit.addShelf(s)
}

func (s *shelf) storedChanges(c []AsideChange) { s.post(Stored{c}) }

func (r *runner) backChanges(c []AsideChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machine.backChanges(c)
}

func (r *runner) storedChanges(c []AsideChange) {
	r.mu.Lock()
	r.machine.storedChanges(c)
	r.mu.Unlock()
	r.shelf.post(Stored{c})
	r.post(Timer{}) // it may have waited for room
}

// again puts runners back that were not written.
func (c *committer) again(runners []*runner, wait time.Duration) {
	if len(runners) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range runners {
		if !r.dirty {
			r.dirty = true
			c.dirty = append(c.dirty, r)
		}
	}
	c.schedule(wait)
}

// pending reports whether something is to be written.
func (c *committer) pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.dirty)+len(c.shelves) > 0
}

// barrier waits for a commit under way.
func (c *committer) barrier() {
	c.writing.Lock()
	defer c.writing.Unlock()
}

// close commits what is left; after it nothing is.
func (c *committer) close() error {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	return c.write(true)
}

// row builds the row of a runner's checkpoint, with the records that were set aside behind it,
// which are the caller's now; ok is false when there is nothing to write, or due is: then
// there is a row, but it is not to be written yet.
func (r *runner) row(due func(*Row) bool) (row Row, changes []AsideChange, ok bool) {
	r.m.mu.Lock()
	deleted := r.m.deleted
	r.m.mu.Unlock()
	if deleted || r.m.over(r.epoch) {
		return Row{}, nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	cp := r.machine.Checkpoint()
	if cp.equal(r.committed) && len(r.machine.changes) == 0 {
		return Row{}, nil, false
	}
	if cp.Generation == r.committed.Generation && cp.Low.Less(r.committed.Low) {
		// It cannot happen; if it did, writing it would deliver records twice.
		r.e.log.Error("a position would go back; not stored", "mapping", r.m.uuid, "shard", r.shard,
			"position", cp.Low.String(), "stored", r.committed.Low.String())
		return Row{}, nil, false
	}
	row = Row{UUID: r.m.uuid, Shard: r.shard, Checkpoint: cp, WindowEnded: cp.Window == nil && r.committed.Window != nil}
	if !due(&row) {
		return row, nil, false
	}
	return row, r.machine.takeChanges(), true
}

func (cp Checkpoint) equal(o Checkpoint) bool {
	return cp.Generation == o.Generation && cp.Low == o.Low && cp.Done == o.Done && cp.Expired == o.Expired &&
		cp.Window.equal(o.Window) && slices.Equal(cp.Ahead, o.Ahead)
}

func (r *runner) setCommitted(cp Checkpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.committed = cp
}
