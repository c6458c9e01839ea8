package trigger

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/setting"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// running is one event source mapping with its machines.
type running struct {
	e      *Engine
	uuid   string
	stream string // its ARN
	// last is the lastResult of the newest invocation.
	last atomic.Int32
	// logged is the second (monotonic) in which a failure was last logged.
	logged atomic.Int64

	memory memory // of what went wrong

	aside atomic.Pointer[asideWork] // replaced by a move
	under atomic.Int64              // calls of the function under way
	// epoch is raised by a move: what machines of an earlier one do changes nothing any more.
	epoch atomic.Uint64
	gate  gate
	// lookups counts those of the settings.
	lookups atomic.Uint64

	// Over a shared backend: the claim by which this node runs the mapping, nil while it does not; and why the mapping
	// cannot run there, empty when it can. Changed with mu held. commit stores its progress.
	held   *held
	lacks  string
	commit *committer
	taking chan struct{} // has room for one, who takes the mapping over

	// op serialises control operations.
	op sync.Mutex

	// mu guards what follows; it is held for moments only.
	mu      sync.Mutex
	def     mapping.Definition
	values  setting.Values
	looked  uint64 // the lookup that values are from
	deleted bool
	moving  bool                  // a move is under way
	waiting bool                  // after a move, for calls from before it
	shards  map[string]*shardWork // those that have begun and not ended
	// rows are the checkpoints of shards without work: not begun, or done.
	rows map[string]lane.Checkpoint
	// finished are shards that have ended; their last checkpoints may not be stored yet.
	finished map[string]*shardWork
	// past sums up the counters of shards that have ended.
	past lane.Counters
}

func newMapping(e *Engine, def mapping.Definition, rows map[string]lane.Checkpoint) *running {
	m := &running{
		e: e, uuid: def.UUID, stream: def.StreamARN, def: def, values: e.values(def), commit: e.commit, taking: make(chan struct{}, 1), waiting: e.shared != nil,
		shards: map[string]*shardWork{}, rows: map[string]lane.Checkpoint{}, finished: map[string]*shardWork{},
	}
	m.memory.since = e.remembers(&def)
	m.gate.limit(m.values.MaxInFlight, m.values.Rate)
	m.lacks = e.lacks(def, m.values)
	m.aside.Store(newAsideWork(m))
	maps.Copy(m.rows, rows)
	return m
}

func (m *running) definition() mapping.Definition {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.def
}

// mayLog limits the log to one failure of a function a second: a function that
// always fails must not slow the others down by what is written about it.
func (m *running) mayLog() bool {
	now := int64(m.e.clock.instant().Mono/time.Second) + 1
	return m.logged.Swap(now) != now
}

// all returns the work on shards.
func (m *running) all() []*shardWork {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.shards))
}

// see brings the machines into line with the stream's shards, oldest first: one
// for every shard that is not done and whose parent is, each told its head.
func (m *running) see(shards []backend.Shard) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.delivers() {
		return
	}
	shards = withSnapshot(&m.def, shards)
	listed := func(id string) bool {
		return slices.ContainsFunc(shards, func(s backend.Shard) bool { return s.ID == id })
	}
	for _, s := range shards {
		r := m.shards[s.ID]
		if r == nil {
			if m.rows[s.ID].Done || m.afterSnapshot(s.ID) || s.Parent != "" && listed(s.Parent) && !m.rows[s.Parent].Done {
				continue
			}
			row, begun := m.rows[s.ID]
			if !begun && !s.Begin.IsZero() {
				row = lane.Checkpoint{Low: s.Begin, Ordinal: s.Before}
			}
			r = newShardWork(m, s.ID, row)
			m.shards[s.ID] = r
			r.post(lane.Start{Params: m.params()})
		}
		r.wake(lane.Wake{Head: s.Head, Records: s.Records, Closed: s.Closed})
	}
	// A shard past retention has ended, wherever its machine is.
	for id, r := range m.shards {
		if !listed(id) {
			r.wakeClosed()
		}
	}
	if len(m.rows) > len(shards) {
		maps.DeleteFunc(m.rows, func(id string, row lane.Checkpoint) bool { return row.Done && !listed(id) })
	}
}

// begin runs an enabled mapping, if the engine runs: machines that exist resume,
// and the shards are looked at.
func (m *running) begin() {
	if !m.e.active() {
		return
	}
	m.mu.Lock()
	if m.delivers() {
		m.aside.Load().post(lane.Start{Params: m.params()})
		for _, r := range m.shards {
			r.post(lane.Start{Params: m.params()})
		}
	}
	m.mu.Unlock()
	m.look()
}

// post tells all of the mapping's machines of an event. The caller holds mu.
func (m *running) post(ev lane.Event) {
	m.aside.Load().post(ev)
	for _, r := range m.shards {
		r.post(ev)
	}
}

// look asks the stream's watch to look at the shards.
func (m *running) look() {
	m.e.mu.Lock()
	w := m.e.streams[m.stream]
	m.e.mu.Unlock()
	if w != nil {
		w.wake()
	}
}

// shardDone keeps the last checkpoint of a shard that has ended, and lets its
// children begin. The row is dirty already, and children's rows become dirty
// later, or are stored with this one (ends), so no child is ever durably ahead of its parent's end.
//
// Over a shared backend this node may lose the mapping before the row is stored; then the parent's last records come again, and so
// children do not begin before it is.
func (m *running) shardDone(r *shardWork) {
	if r.commit.claim != nil {
		r.commit.addShards([]*shardWork{r}, 0)
		return
	}
	m.shardEnded(r)
}

func (m *running) shardEnded(r *shardWork) {
	m.mu.Lock()
	if m.shards[r.shard] == r {
		delete(m.shards, r.shard)
		maps.DeleteFunc(m.finished, func(_ string, o *shardWork) bool { return o.stored().Done })
		m.finished[r.shard] = r
		m.rows[r.shard] = r.checkpoint()
		m.past.Add(r.counters())
	}
	m.mu.Unlock()
	m.look()
}

// ends are positions of a mapping's shards that have ended, to be stored with something else.
type ends struct{ progress }

// ends builds those that are not stored yet. The caller holds the committer's lock until it has told of them, with stored or putBack.
func (m *running) ends() (e ends) {
	m.mu.Lock()
	finished := slices.Collect(maps.Values(m.finished))
	m.mu.Unlock()
	for _, w := range finished {
		if row, changes, ok := w.row(func(*backend.Row) bool { return true }); ok {
			e.rows, e.shards = append(e.rows, row), append(e.shards, w)
			e.add(m.uuid, changes, w)
		}
	}
	return e
}

func (e *ends) stored() {
	for i, w := range e.shards {
		w.setStored(e.rows[i].Checkpoint)
	}
}

func (e *ends) changesStored() {
	for i, o := range e.owners {
		o.changesStored(e.aside[i].Changes)
	}
}

func (e *ends) putBack() {
	for i, o := range e.owners {
		o.putBack(e.aside[i].Changes)
	}
	*e = ends{}
}

// params is called with mu held.
func (m *running) params() lane.Params { return m.def.Params(m.values) }
