package trigger

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/setting"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Over a shared backend an engine knows all mappings and runs those on whose streams it has a claim. A mapping gets its positions,
// its machines and a committer of its own when the claim begins, and loses them when it is over; a machine of an
// earlier claim stores only under that claim, which the backend refuses then.

// held is a claim that this node has or had. A nil one is for ever.
type held struct {
	claim  backend.Claim
	ctx    context.Context // ends with the claim
	cancel context.CancelFunc
	drops  sync.Mutex
	ending atomic.Bool  // it is being handed over: nothing begins under it any more
	calls  atomic.Int64 // under way, of all its mappings, until the machines have been told of the end
}

func (h *held) callBegins() {
	if h != nil {
		h.calls.Add(1)
	}
}

func (h *held) callEnded(e *Engine) {
	if h != nil {
		h.calls.Add(-1)
		e.progress.notify()
	}
}

// valid is asked right before a call.
func (h *held) valid() bool { return h == nil || h.ctx.Err() == nil && h.claim.Valid() }

// node is the engine as a shared backend sees it.
type node struct{ e *Engine }

func (n node) Defined(def mapping.Definition) { n.e.defined(def) }

// defined makes a mapping known, or changes it, unless this is old news.
func (e *Engine) defined(def mapping.Definition) *running {
	e.mu.Lock()
	m := e.mappings[def.UUID]
	if m == nil {
		m = newMapping(e, def, nil)
		e.mappings[def.UUID] = m
		e.pairs[pair{def.FunctionARN, def.StreamARN}] = def.UUID
		if e.newest.Before(def.Created) {
			e.newest = def.Created
		}
		h := e.claims[def.StreamARN]
		e.mu.Unlock()
		if h != nil {
			e.spawn(func() { m.claimed(h) })
		}
		return m
	}
	e.mu.Unlock()
	m.mu.Lock()
	old := m.def
	if m.deleted || def.Revision <= old.Revision {
		m.mu.Unlock()
		return m
	}
	m.mu.Unlock()
	m.redefine(def)
	if def.Paused && !old.Paused {
		m.mu.Lock()
		m.post(lane.Drain{})
		m.mu.Unlock()
		m.gate.wake()
	}
	if def.Enabled && !def.Paused && (!old.Enabled || old.Paused) {
		m.begin()
	}
	e.progress.notify()
	return m
}

func (n node) Deleted(uuid string) {
	m, err := n.e.find(uuid)
	if err != nil {
		return
	}
	m.setDeleted(true)
	m.mu.Lock()
	m.post(lane.Stop{Generation: m.def.Generation + 1})
	m.mu.Unlock()
	m.gate.wake()
	n.e.forget(m)
}

func (n node) Begin(c backend.Claim) {
	e := n.e
	h := &held{claim: c}
	h.ctx, h.cancel = context.WithCancel(e.ctx)
	e.mu.Lock()
	e.claims[c.Stream()] = h
	e.mu.Unlock()
	e.spawn(func() {
		select {
		case <-c.Lost():
		case <-e.ctx.Done():
		}
		e.drop(h)
	})
	for _, m := range e.all() {
		if m.stream == c.Stream() {
			e.spawn(func() { m.claimed(h) })
		}
	}
}

func (n node) End(ctx context.Context, c backend.Claim) {
	e := n.e
	e.mu.Lock()
	h := e.claims[c.Stream()]
	e.mu.Unlock()
	if h == nil || h.claim != c {
		return
	}
	h.ending.Store(true)
	mine := e.heldBy(h)
	for _, m := range mine {
		m.mu.Lock()
		m.waiting = true // nothing begins any more
		m.post(lane.Drain{})
		m.mu.Unlock()
		m.gate.wake()
	}
	for quiet := false; !quiet; {
		moved := e.progress.wait()
		if quiet = h.quiet(mine); quiet {
			break
		}
		select {
		case <-moved:
		case <-ctx.Done():
			quiet = true
		case <-h.ctx.Done():
			return
		}
	}
	for _, m := range mine {
		if err := m.committer().write(true); err != nil && !errors.Is(err, backend.ErrLost) {
			e.log.Error("cannot store the last positions of a mapping; its last records are delivered again", "mapping", m.uuid, "error", err)
		}
	}
	e.drop(h)
}

// quiet reports whether nothing of the mappings is under way.
func (h *held) quiet(mappings []*running) bool {
	for _, m := range mappings {
		for _, w := range m.all() {
			if !w.rests() {
				return false
			}
		}
		if !m.aside.Load().rests() {
			return false
		}
	}
	return h.calls.Load() == 0
}

// drop lets go of a claim at once. What its calls and its machines still do counts for nothing.
func (e *Engine) drop(h *held) {
	h.cancel()
	e.mu.Lock()
	if e.claims[h.claim.Stream()] == h {
		delete(e.claims, h.claim.Stream())
	}
	e.mu.Unlock()
	for _, m := range e.heldBy(h) {
		m.dropped(h)
	}
}

func (e *Engine) heldBy(h *held) (mine []*running) {
	for _, m := range e.all() {
		m.mu.Lock()
		if m.held == h {
			mine = append(mine, m)
		}
		m.mu.Unlock()
	}
	return mine
}

// claimed takes a mapping over, and begins it once the calls that an earlier claim has left behind have returned.
func (m *running) claimed(h *held) {
	m.taking <- struct{}{}
	defer func() { <-m.taking }()
	m.mu.Lock()
	earlier, done := m.held, m.held == h || m.deleted
	m.mu.Unlock()
	if done {
		return
	}
	if earlier != nil {
		m.dropped(earlier) // it is over, since there is another
	}
	var rows map[string]lane.Checkpoint
	var set []lane.SetAside
	for n := 1; ; n++ {
		var err error
		if rows, err = m.e.shared.Load(h.ctx, h.claim, m.uuid); err == nil {
			set = nil
			if err = m.setAside(h.ctx, func(rows []lane.SetAside) { set = append(set, rows...) }); err == nil {
				break
			}
		}
		if h.ctx.Err() != nil || m.gone() {
			return
		}
		m.e.log.Error("cannot take a mapping over; trying again", "mapping", m.uuid, "error", err)
		wait := time.NewTimer(lane.ReadBackoff(n, m.e.opts.Jitter))
		select {
		case <-wait.C:
		case <-h.ctx.Done():
			wait.Stop()
			return
		}
	}
	m.mu.Lock()
	if m.deleted {
		m.mu.Unlock()
		return
	}
	m.afterOlder(rows)
	m.held, m.commit, m.rows = h, newCommitter(m.e, h.claim), rows
	aside := newAsideWork(m)
	aside.rows.Load(set)
	m.aside.Store(aside)
	m.waiting, m.moving = true, false
	m.mu.Unlock()
	m.e.progress.notify()
	m.e.watch(m)
	if h.ctx.Err() != nil {
		m.dropped(h) // whoever ended it may have looked before
		return
	}
	m.resume()
}

// dropped ends all machines of a mapping for good.
func (m *running) dropped(h *held) {
	h.drops.Lock()
	defer h.drops.Unlock()
	m.mu.Lock()
	mine := m.held == h
	m.mu.Unlock()
	if !mine {
		return
	}
	m.e.unwatch(m) // before another claim can watch again
	m.mu.Lock()
	m.epoch.Add(1)
	m.held, m.waiting = nil, true
	m.commit.end()
	aside := m.aside.Load()
	aside.abandonRecalls()
	m.past.Add(aside.rows.Counters())
	for _, r := range m.shards {
		m.past.Add(r.counters())
		r.stopTimer()
	}
	clear(m.shards)
	clear(m.finished)
	clear(m.rows)
	m.mu.Unlock()
	m.gate.wake()
	aside.stopTimer()
	m.e.progress.notify()
}

// committer is the one that stores the mapping's progress now.
func (m *running) committer() *committer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commit
}

// committers are all that may have something to store.
func (e *Engine) committers() []*committer {
	all := []*committer{e.commit}
	if e.shared != nil {
		for _, m := range e.all() {
			all = append(all, m.committer())
		}
	}
	return all
}

// lacks says why a mapping cannot run over this backend; empty when it can.
func (e *Engine) lacks(def mapping.Definition, v setting.Values) string {
	if e.shared == nil {
		return ""
	}
	return e.shared.Lacks(def, def.Params(v))
}

// judge looks again whether the mapping can run: it may have been given settings that the backend lacks. Then it stands still. The
// caller holds mu.
func (m *running) judge() {
	was := m.lacks
	m.lacks = m.e.lacks(m.def, m.values)
	if m.lacks != "" && m.lacks != was {
		m.e.log.Error("a mapping cannot run any more", "mapping", m.uuid, "why", m.lacks)
		m.post(lane.Drain{})
	}
	if m.lacks == "" && was != "" {
		m.e.spawn(m.begin)
	}
}

func (m *running) cannot() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lacks
}
