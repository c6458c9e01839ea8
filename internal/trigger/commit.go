package trigger

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// committer makes progress durable: one batch for the dirty checkpoints of all
// mappings, an interval after the first became dirty. Each row is built from the
// machine's state at that moment, so a row is never older than one written before.
type committer struct {
	e     *Engine
	claim backend.Claim // over a shared backend: the one under which it stores; it has one mapping then

	// writing is held over a commit; taking it waits for the one under way.
	writing lock
	fails   int // in a row; guarded by writing
	turn    int // counts writes; guarded by writing

	mu        sync.Mutex
	shards    []*shardWork // dirty ones
	asides    []*asideWork // dirty ones
	scheduled bool
	at        time.Time // of the next commit, when scheduled
	notBefore time.Time // after a failure
	closed    bool
	timer     *time.Timer
}

func newCommitter(e *Engine, claim backend.Claim) *committer {
	return &committer{e: e, claim: claim, writing: make(lock, 1)}
}

// lock is a mutex that is held over calls of the backend: who waits for it waits for a channel, as faked time wants it.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// add asks for the checkpoint of a shard to be committed.
func (c *committer) add(w *shardWork) { c.addShards([]*shardWork{w}, c.e.opts.CommitInterval) }

func (c *committer) addShards(shards []*shardWork, wait time.Duration) {
	if len(shards) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range shards {
		if !w.dirty {
			w.dirty = true
			c.shards = append(c.shards, w)
		}
	}
	c.schedule(wait)
}

// addAside asks for the changes of what a mapping has set aside to be committed.
func (c *committer) addAside(w *asideWork) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !w.dirty {
		w.dirty = true
		c.asides = append(c.asides, w)
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

// windowInterval is the time between two positions with the state of a tumbling window, which
// may be a megabyte.
const windowInterval = 100 * time.Millisecond

// write commits what is dirty. After a failure it is dirty still, and tried again.
// all: positions with a window, too, whose turn has not come.
func (c *committer) write(all bool) error {
	c.e.clock.Begin()
	defer c.e.clock.End()
	c.writing.Lock()
	defer c.writing.Unlock()
	p := c.take(all)
	if len(p.rows) == 0 && len(p.aside) == 0 {
		return nil
	}
	if err := c.store(p); err != nil {
		if !errors.Is(err, backend.ErrLost) { // else there is nobody to store for any more
			c.failed(p, err)
		}
		return err
	}
	c.fails = 0
	for i, o := range p.owners {
		o.changesStored(p.aside[i].Changes)
	}
	for i, w := range p.shards {
		w.setStored(p.rows[i].Checkpoint)
		if p.rows[i].Window != nil || p.rows[i].WindowEnded {
			w.windowAt = time.Now()
		}
		if c.claim != nil && p.rows[i].Done {
			w.m.shardEnded(w)
		}
	}
	return nil
}

func (c *committer) store(p progress) error {
	ctx := context.WithoutCancel(c.e.ctx)
	if c.claim == nil {
		return c.e.opts.Backend.Commit(ctx, p.rows, p.aside)
	}
	uuid, changes := "", []lane.AsideChange(nil) // of the one mapping that it has
	for _, a := range p.aside {
		uuid, changes = a.UUID, append(changes, a.Changes...)
	}
	if len(p.rows) > 0 {
		uuid = p.rows[0].UUID
	}
	return c.e.shared.Advance(ctx, c.claim, uuid, p.rows, changes)
}

// progress is what one commit stores.
type progress struct {
	rows   []backend.Row
	shards []*shardWork // of the rows
	aside  []backend.AsideRows
	owners []changeOwner // of the changes in aside
}

// changeOwner is where changes of what is set aside come from. They are told what became of them.
type changeOwner interface {
	putBack([]lane.AsideChange)
	changesStored([]lane.AsideChange)
}

func (p *progress) add(uuid string, changes []lane.AsideChange, o changeOwner) {
	if len(changes) > 0 {
		p.aside = append(p.aside, backend.AsideRows{UUID: uuid, Changes: changes})
		p.owners = append(p.owners, o)
	}
}

// take collects what is to be stored: first all positions, then what is set aside. So a key that was free when
// a record behind these positions was sent is free by a removal that is in this batch, or an earlier one.
func (c *committer) take(all bool) (p progress) {
	shards, asides := c.takeDirty()
	p.rows, p.shards = make([]backend.Row, 0, len(shards)), shards[:0]
	var early []*shardWork
	for _, w := range shards {
		row, changes, ok := w.row(func(row *backend.Row) bool {
			// A shard's end never waits: children's positions, which are asked for later, are not to be stored before it.
			return all || row.Done || row.Window == nil && !row.WindowEnded || time.Since(w.windowAt) >= windowInterval
		})
		switch {
		case ok:
			p.rows = append(p.rows, row)
			p.shards = append(p.shards, w)
			p.add(w.m.uuid, changes, w)
			if a := w.aside; a.turn != c.turn {
				a.turn = c.turn
				asides = append(asides, a)
			}
		case row.UUID != "":
			early = append(early, w)
		}
	}
	for _, a := range asides {
		if changes := a.rows.TakeChanges(); len(changes) > 0 && !a.m.gone() && !a.m.over(a.epoch) {
			p.add(a.m.uuid, changes, a)
		}
	}
	c.addShards(early, windowInterval)
	return p
}

// takeDirty empties the lists of what is dirty.
func (c *committer) takeDirty() ([]*shardWork, []*asideWork) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scheduled = false
	shards, asides := c.shards, c.asides
	c.shards, c.asides = nil, nil
	for _, w := range shards {
		w.dirty = false
	}
	c.turn++
	for _, a := range asides {
		a.dirty, a.turn = false, c.turn
	}
	return shards, asides
}

// failed puts everything back, to be stored a while later.
func (c *committer) failed(p progress, err error) {
	c.fails++
	c.e.log.Error("cannot store the positions of mappings; trying again", "mappings", len(p.rows), "error", err)
	wait := lane.ReadBackoff(c.fails, c.e.opts.Jitter)
	c.mu.Lock()
	c.notBefore = time.Now().Add(wait)
	c.mu.Unlock()
	for i, o := range p.owners {
		o.putBack(p.aside[i].Changes)
	}
	c.addShards(p.shards, wait)
}

// pending reports whether something is to be written.
func (c *committer) pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.shards)+len(c.asides) > 0
}

// barrier waits for a commit under way.
func (c *committer) barrier() {
	c.writing.Lock()
	defer c.writing.Unlock()
}

// close commits what is left; after it nothing is.
func (c *committer) close() error {
	c.end()
	return c.write(true)
}

// end has nothing stored any more but by write.
func (c *committer) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
}
