package trigger

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// mapping is one event source mapping with its running machines.
type mapping struct {
	e      *Engine
	uuid   string
	stream string // its ARN
	// last is the lastResult of the newest invocation.
	last atomic.Int32
	// logged is the second (monotonic) in which a failure was last logged.
	logged atomic.Int64

	shelf atomic.Pointer[shelf] // what is set aside; replaced by a move
	under atomic.Int64          // calls of the function under way
	// epoch is raised by a move: what machines of an earlier one do changes nothing any more.
	epoch atomic.Uint64
	gate  gate

	// op serialises control operations.
	op sync.Mutex

	// mu guards what follows; it is held for moments only.
	mu      sync.Mutex
	def     Mapping
	tags    extensions
	deleted bool
	moving  bool               // a move is under way
	waiting bool               // after a move, for calls of before it
	runners map[string]*runner // by shard; those that have begun and not ended
	// rows are the checkpoints of shards without a runner: not begun, or done.
	rows map[string]Checkpoint
	// finished are runners that have ended; their last checkpoints may not be stored yet.
	finished map[string]*runner
	// past sums up the counters of runners that have ended.
	past Counters
}

func newMapping(e *Engine, def Mapping, rows map[string]Checkpoint) *mapping {
	m := &mapping{
		e: e, uuid: def.UUID, stream: def.StreamARN, def: def, tags: e.extensions(def),
		runners: map[string]*runner{}, rows: map[string]Checkpoint{}, finished: map[string]*runner{},
	}
	m.gate.limit(m.tags.inFlight, m.tags.rate)
	m.shelf.Store(newShelf(m))
	maps.Copy(m.rows, rows)
	return m
}

func (m *mapping) definition() Mapping {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.def
}

// mayLog limits the log to one failure of a function a second: a function that
// always fails must not slow the others down by what is written about it.
func (m *mapping) mayLog() bool {
	now := int64(m.e.clock.instant().Mono/time.Second) + 1
	return m.logged.Swap(now) != now
}

// all returns the running machines.
func (m *mapping) all() []*runner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.runners))
}

// see brings the machines into line with the stream's shards, oldest first: one
// for every shard that is not done and whose parent is, each told its head.
func (m *mapping) see(shards []Shard) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.delivers() {
		return
	}
	shards = m.def.withSnapshot(shards)
	listed := func(id string) bool {
		return slices.ContainsFunc(shards, func(s Shard) bool { return s.ID == id })
	}
	for _, s := range shards {
		r := m.runners[s.ID]
		if r == nil {
			if m.rows[s.ID].Done || m.afterSnapshot(s.ID) || s.Parent != "" && listed(s.Parent) && !m.rows[s.Parent].Done {
				continue
			}
			r = newRunner(m, s.ID, m.rows[s.ID])
			m.runners[s.ID] = r
			r.post(Start{Params: m.params()})
		}
		r.wake(Wake{Head: s.Head, Records: s.Records, Closed: s.Closed})
	}
	// A shard past retention has ended, wherever its machine is.
	for id, r := range m.runners {
		if !listed(id) {
			r.wakeClosed()
		}
	}
	if len(m.rows) > len(shards) {
		maps.DeleteFunc(m.rows, func(id string, row Checkpoint) bool { return row.Done && !listed(id) })
	}
}

// begin runs an enabled mapping, if the engine runs: machines that exist resume,
// and the shards are looked at.
func (m *mapping) begin() {
	if !m.e.active() {
		return
	}
	m.mu.Lock()
	if m.delivers() {
		m.shelf.Load().post(Start{Params: m.params()})
		for _, r := range m.runners {
			r.post(Start{Params: m.params()})
		}
	}
	m.mu.Unlock()
	m.look()
}

// post tells all of the mapping's machines of an event. The caller holds mu.
func (m *mapping) post(ev Event) {
	m.shelf.Load().post(ev)
	for _, r := range m.runners {
		r.post(ev)
	}
}

// look asks the stream's watch to look at the shards.
func (m *mapping) look() {
	m.e.mu.Lock()
	w := m.e.streams[m.stream]
	m.e.mu.Unlock()
	if w != nil {
		w.wake()
	}
}

// shardDone keeps the last checkpoint of a shard that has ended, and lets its
// children begin. The row is dirty already, and children's rows become dirty
// later, so no child is ever durably ahead of its parent's end.
func (m *mapping) shardDone(r *runner) {
	m.mu.Lock()
	if m.runners[r.shard] == r {
		delete(m.runners, r.shard)
		maps.DeleteFunc(m.finished, func(_ string, o *runner) bool { return o.stored().Done })
		m.finished[r.shard] = r
		m.rows[r.shard] = r.checkpoint()
		m.past.Add(r.counters())
	}
	m.mu.Unlock()
	m.look()
}

// params is called with mu held.
func (m *mapping) params() Params { return params(m.def, m.tags) }
