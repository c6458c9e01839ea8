package trigger

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// ErrStopped is Settle's answer when the engine ends, or has not begun.
var ErrStopped = errors.New("trigger: the engine is not running")

// Settle returns when every enabled mapping (or, if UUIDs are given, every one of
// these that is enabled) has durably passed the heads that its stream's shards
// had at the time of the call, and has tried what it has set aside to be held once. It waits for progress and does not poll. A mapping that
// is disabled or deleted meanwhile is not waited for; ErrNoMapping for an unknown one.
func (e *Engine) Settle(ctx context.Context, uuids ...string) error {
	targets, err := e.targets(ctx, uuids, false)
	if err != nil {
		return err
	}
	return e.settle(ctx, targets)
}

// SettleHere is Settle for the mappings that are this node's, of several over a shared backend, also those that it has not begun with. What goes to another
// node meanwhile is not waited for.
func (e *Engine) SettleHere(ctx context.Context) error {
	for {
		moved := e.progress.wait()
		streams, err := e.shared.Mine(ctx)
		if err != nil {
			return err
		}
		if e.runs(streams) {
			if err = e.shared.CatchUp(ctx); err == nil {
				err = e.settleOf(ctx, streams)
			}
			if !errors.Is(err, backend.ErrLost) {
				return err
			}
		}
		again := time.NewTimer(mineEvery)
		select {
		case <-moved:
		case <-again.C: // it may be another node's by now
		case <-ctx.Done():
			err = ctx.Err()
		case <-e.ctx.Done():
			err = ErrStopped
		}
		again.Stop()
		if ctx.Err() != nil || e.ctx.Err() != nil {
			return err
		}
	}
}

// mineEvery is how often is asked which streams are this node's while it is not ready with them.
const mineEvery = 100 * time.Millisecond

// settleOf settles the mappings on streams of this node's. ErrLost: not all are run any more, or by another claim.
func (e *Engine) settleOf(ctx context.Context, streams []string) error {
	targets, err := e.targets(ctx, nil, true)
	if err != nil {
		return err
	}
	if !e.runs(streams) {
		return backend.ErrLost
	}
	return e.settle(ctx, targets)
}

// runs reports whether this node runs all mappings on these streams that are to deliver.
func (e *Engine) runs(streams []string) bool {
	for _, m := range e.all() {
		if !slices.Contains(streams, m.stream) {
			continue
		}
		e.mu.Lock()
		h := e.claims[m.stream]
		e.mu.Unlock()
		m.mu.Lock()
		fine := m.deleted || !m.def.Enabled || m.def.Paused || h != nil && m.held == h
		m.mu.Unlock()
		if !fine {
			return false
		}
	}
	return true
}

func (e *Engine) settle(ctx context.Context, targets []target) error {
	waiting := slices.Clone(targets)
	for {
		moved := e.progress.wait()
		waiting = slices.DeleteFunc(waiting, target.passed)
		if slices.ContainsFunc(waiting, target.lost) {
			return backend.ErrLost
		}
		if len(waiting) == 0 {
			return e.storeAll(targets)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-e.ctx.Done():
			return ErrStopped
		}
	}
}

// SettleNow reports whether every enabled mapping has durably passed, once rest returns, the heads that there were at the call. rest waits
// until nothing is left to do at a time that stands still.
func (e *Engine) SettleNow(ctx context.Context, rest func() error) (bool, error) {
	targets, err := e.targets(ctx, nil, false)
	if err == nil {
		err = rest()
	}
	if err != nil || slices.ContainsFunc(targets, func(t target) bool { return !t.passed() }) {
		return false, err
	}
	return true, e.storeAll(targets)
}

// targets are the heads of the shards that mappings read, those of these UUIDs or of all; here leaves out those that another node works.
func (e *Engine) targets(ctx context.Context, uuids []string, here bool) ([]target, error) {
	if !e.active() {
		return nil, ErrStopped
	}
	var targets []target
	found := 0
	for _, m := range e.all() {
		if len(uuids) > 0 && !slices.Contains(uuids, m.uuid) {
			continue
		}
		found++
		m.mu.Lock()
		h := m.held
		m.mu.Unlock()
		if here && h == nil {
			continue
		}
		shards, err := e.opts.Backend.Shards(ctx, m.stream)
		if errors.Is(err, backend.ErrNoStream) || errors.Is(err, backend.ErrElsewhere) && (here || !m.definition().Enabled) {
			continue
		}
		if err != nil {
			return nil, err
		}
		def := m.definition()
		for _, s := range withSnapshot(&def, shards) {
			targets = append(targets, target{m: m, shard: s.ID, head: s.Head, held: h})
		}
	}
	if found < len(slices.Compact(slices.Sorted(slices.Values(uuids)))) {
		return nil, backend.ErrNoMapping
	}
	return targets, nil
}

// storeAll makes the positions on the targets durable now. A machine may have passed
// a target an instant before it asks for the commit itself, so it is asked for here.
func (e *Engine) storeAll(targets []target) error {
	for _, t := range targets {
		t.m.mu.Lock()
		r := t.m.shards[t.shard]
		t.m.mu.Unlock()
		if r != nil {
			r.commit.add(r)
		}
	}
	var errs []error
	for _, c := range e.committers() {
		errs = append(errs, c.write(true))
	}
	return errors.Join(errs...)
}

// target is a place that a mapping has to reach.
type target struct {
	m     *running
	shard string
	head  seqnum.Num
	held  *held // the claim by which the mapping is run
}

// lost reports whether the mapping is not run by that claim any more.
func (t target) lost() bool {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	return t.m.held != t.held
}

func (t target) passed() bool {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if t.m.deleted || !t.m.def.Enabled || t.m.def.Paused {
		return true
	}
	if t.m.held != t.held {
		return false
	}
	if t.m.aside.Load().rows.Untried() {
		return false
	}
	if r := t.m.shards[t.shard]; r != nil {
		return !r.checkpoint().Low.Less(t.head)
	}
	row := t.m.rows[t.shard]
	return row.Done || !row.Low.Less(t.head)
}
