package remote

import (
	"context"
	"errors"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
)

// Rows of the cluster, all under one first key, so that one query shows them.
const (
	clusterKey  = "cluster"
	revisionKey = "rev"    // its version counts changes; it alone is in the table of the bell
	nodePrefix  = "node#"  // a node, by its id; each beat raises the version
	slicePrefix = "slice#" // a stream, by its ARN: who works it
)

type nodeRow struct {
	State    string    `json:"state"` // alive, or over: never alive again
	URL      string    `json:"url,omitempty"`
	Machine  string    `json:"machine,omitempty"`
	Name     string    `json:"name,omitempty"`
	Version  string    `json:"version,omitempty"`
	Began    time.Time `json:"began,omitzero"`
	Revision uint64    `json:"rev,omitempty"` // what was changed up to this one is applied there
	Knows    int       `json:"knows,omitempty"`
}

const (
	alive = "alive"
	over  = "over"
)

type sliceRow struct {
	Owner string `json:"owner,omitempty"` // a node's id
	Epoch uint64 `json:"epoch"`           // raised by each owner
}

// beatsPerLease is how often a node shows that it lives.
const beatsPerLease = 4

func (b *Backend) every() time.Duration { return b.o.Lease / beatsPerLease }

// sinceBoot is now, as deadlines are told.
func (b *Backend) now() time.Duration { return b.o.Elapsed() }

// valid reports whether what this node holds is certainly its own.
func (b *Backend) valid() bool { return !b.left.Load() && int64(b.now()) < b.deadline.Load() }

// Run implements backend.Shared.
func (b *Backend) Run(ctx context.Context, node backend.Node) error {
	living, stop := context.WithCancel(context.WithoutCancel(ctx)) // until everything is handed over
	defer stop()
	m := &member{b: b, node: node, leaving: ctx, known: map[string]uint64{}, seen: map[string]sighting{}, asks: map[string]sighting{}, reads: map[string]string{}, unswept: map[string]leftover{}}
	b.mu.Lock()
	b.id = nonce()
	b.mu.Unlock()
	var work sync.WaitGroup
	work.Go(func() { m.beats(living) })
	work.Go(func() { b.watchDeadline(living) })
	if b.bellStream != "" {
		work.Go(func() { b.listen(ctx) })
	}
	m.watch(ctx)
	m.leave(living)
	stop()
	work.Wait()
	b.dropAll()
	m.tasks.Wait()
	b.dropAll() // one that a task has begun meanwhile
	b.work.Wait()
	return nil
}

// member is this node's part in the cluster.
type member struct {
	b       *Backend
	node    backend.Node
	leaving context.Context
	tasks   sync.WaitGroup
	takes   sync.WaitGroup // those of tasks that may begin a claim

	// Of watch only.
	revision uint64            // of the definitions that were told
	rounds   int               // since all were read
	looks    int               // at the cluster
	known    map[string]uint64 // versions of the rows of definitions
	seen     map[string]sighting
	asks     map[string]sighting // rows of askPrefix
	reads    map[string]string   // the streams of mappings, by UUID
	loaded   bool
	drained  string              // this node's id when it was drained last; empty: it is not
	unswept  map[string]leftover // mappings that were deleted, by UUID
}

// sighting is a node's version, and since when this node has seen no other.
type sighting struct {
	v     uint64
	since time.Duration
}

// beats shows that this node lives, and moves its deadline: to lease × 0.8 after the beginning of the newest beat that was
// applied. Who sees the beat counts a full lease from then on. A deadline that has passed never comes back: what was held is
// dropped, also when a beat succeeds later, since others may have taken it.
func (m *member) beats(ctx context.Context) {
	b := m.b
	var v uint64
	id, _ := b.holds()
	me := nodeRow{State: alive, URL: b.o.URL, Machine: b.o.Machine, Name: b.o.Name, Version: b.o.Version, Began: time.Now().UTC().Truncate(time.Second), Knows: knows}
	for ctx.Err() == nil {
		began := b.now()
		me.Revision = b.applied.Load()
		row, err := b.putTold(ctx, b.control, Row{P: clusterKey, S: nodePrefix + id, Data: encode(me)}, v, func() { b.missed.Add(1) })
		b.missed.Store(0)
		switch {
		case err == nil:
			v = row.V
			if b.bugs.revives {
				began = b.now()
			}
			b.extend(began + b.o.Lease*8/10)
			if v == 1 {
				b.poke()
			}
		case ctx.Err() != nil || m.leaving.Err() != nil:
			return
		default: // it was told dead
			b.o.Log.Warn("this node was silent for too long, and others have taken its work over; it goes on under another id", "id", id)
			b.dropAll()
			v = 0
			id = nonce()
			b.mu.Lock()
			b.id = id
			b.mu.Unlock()
			continue
		}
		b.sleep(ctx, b.every()-(b.now()-began), b.beatSoon)
	}
}

// extend moves the deadline.
func (b *Backend) extend(to time.Duration) {
	if !b.valid() {
		b.lapses.Add(1)
		b.poke()
		if !b.bugs.revives {
			b.dropAll()
		}
	}
	b.deadline.Store(int64(to))
}

// Fresh returns once this node has what was changed while others may have taken it for dead, and so have not waited for it: at once, unless it was silent
// for that long. It waits a few seconds at most, and not at all while the tables' server is not reached.
func (b *Backend) Fresh(ctx context.Context) {
	if b.isFresh() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	for !b.isFresh() && !b.unseeing.Load() && !b.unreached() && ctx.Err() == nil {
		b.sleep(ctx, 10*time.Millisecond, nil)
	}
}

func (b *Backend) isFresh() bool { return b.valid() && b.caughtUp.Load() == b.lapses.Load() }

// unreached reports whether the tables' server does not answer this node's beats. One that fails says nothing: it may have been on its way when this
// process was stopped.
func (b *Backend) unreached() bool { return !b.valid() && b.missed.Load() > 1 }

// watchDeadline drops what is held when the deadline passes.
func (b *Backend) watchDeadline(ctx context.Context) {
	for ctx.Err() == nil {
		left := time.Duration(b.deadline.Load()) - b.now()
		if left <= 0 {
			if !b.bugs.revives {
				b.dropAll()
			}
			left = b.every() / 4
		}
		b.sleep(ctx, left, nil)
	}
}

func (b *Backend) sleep(ctx context.Context, d time.Duration, early <-chan struct{}) {
	t := time.NewTimer(max(d, time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-ctx.Done():
	}
}

// holds returns this node's id and its claims.
func (b *Backend) holds() (id string, claims map[string]*claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.id, maps.Clone(b.claims)
}

func (b *Backend) claimOn(stream string) *claim {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.claims[stream]
}

// renewing reports whether a stream is not to be taken yet, see Renew.
func (b *Backend) renewing(stream string, now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now < b.renewed[stream]
}

// dropAll ends all claims, also those that are being taken.
func (b *Backend) dropAll() {
	b.mu.Lock()
	b.drops++
	claims := maps.Clone(b.claims)
	b.mu.Unlock()
	for _, c := range claims {
		c.lose()
	}
}

// watch looks at the cluster until ctx ends, and takes and gives work.
func (m *member) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := m.look(ctx)
		if err != nil {
			m.b.rang.Store(true) // what it has read of the bell was not followed
			if ctx.Err() == nil {
				m.b.complain("a look at the cluster", err)
			}
		}
		m.b.unseeing.Store(err != nil)
		m.b.sleep(ctx, m.b.every(), m.b.poked)
	}
}

func (m *member) look(ctx context.Context) error {
	b := m.b
	lapses := b.lapses.Load()
	rows, err := b.query(ctx, b.control, clusterKey, "")
	if err != nil {
		return err
	}
	revision := m.revision
	if m.looks++; b.rang.Swap(false) || !b.hearing() || m.looks%looksPerBell == 0 || b.caughtUp.Load() != lapses || !m.loaded {
		rung, err := b.get(ctx, b.bell, clusterKey, revisionKey)
		if err != nil {
			b.rang.Store(true)
			return err
		}
		if revision = 0; rung != nil {
			revision = rung.V
		}
	}
	now := b.now()
	me, claims := b.holds()
	live := []string{}
	var slices_, asks []Row
	gone, drained := maps.Clone(m.seen), map[string]bool{}
	for i := range rows {
		r := &rows[i]
		switch {
		case strings.HasPrefix(r.S, slicePrefix):
			slices_ = append(slices_, *r)
		case strings.HasPrefix(r.S, askPrefix):
			asks = append(asks, *r)
		case strings.HasPrefix(r.S, drainPrefix):
			drained[strings.TrimPrefix(r.S, drainPrefix)] = true
		case strings.HasPrefix(r.S, nodePrefix):
			id := strings.TrimPrefix(r.S, nodePrefix)
			delete(gone, id)
			lives, err := m.judge(ctx, id, r, now, id == me)
			if err != nil {
				return err
			}
			if lives {
				live = append(live, id)
			}
		}
	}
	for id := range gone {
		delete(m.seen, id)
	}
	slices.Sort(live)
	if err := m.drains(ctx, me, drained, rows); err != nil {
		return err
	}
	able := slices.DeleteFunc(slices.Clone(live), func(id string) bool { return drained[id] })
	if before := b.lately.Swap(&able); b.o.Seen != nil && (before == nil || !slices.Equal(*before, able)) {
		b.o.Seen()
	}
	if err := m.follow(ctx, revision); err != nil {
		return err
	}
	if !slices.Contains(live, me) {
		return nil // its first beat is still to come
	}
	b.caughtUp.Store(lapses)
	b.join.Do(func() { close(b.joined) })
	m.sweep(ctx, claims)
	for s := range m.asks {
		if !slices.ContainsFunc(asks, func(r Row) bool { return r.S == s }) {
			delete(m.asks, s)
		}
	}
	for _, r := range asks {
		if err := m.serve(ctx, r, claims, now); err != nil {
			return err
		}
	}
	used, err := m.streams(ctx, slices_, claims)
	if err != nil {
		return err
	}
	unowned := int64(0)
	defer func() { b.alive.Store(int64(len(live))); b.unowned.Store(unowned) }()
	for _, r := range slices_ {
		var s sliceRow
		if err := decode(&r, &s); err != nil {
			return err
		}
		stream := strings.TrimPrefix(r.S, slicePrefix)
		if s.Owner == "" && !used[stream] {
			continue // it was given up
		}
		if !slices.Contains(live, s.Owner) {
			unowned++
		}
		c, mine := claims[stream], best(stream, able) == me
		switch {
		case c != nil && (s.Owner != me || s.Epoch != c.epoch) && r.V > c.version:
			c.lose() // taken over, though this node did not seem dead to itself
		case c != nil && !mine:
			m.once(stream, func() { m.handOver(c) })
		case c == nil && mine && b.renewing(stream, now): // a later look takes it
		case c == nil && mine && (s.Owner == "" || s.Owner == me || !slices.Contains(live, s.Owner)):
			m.takes.Add(1)
			if !m.once(stream, func() { defer m.takes.Done(); m.take(ctx, me, stream, r, s) }) {
				m.takes.Done()
			}
		case c == nil && s.Owner == me: // it was lost, and is another node's, who waits for this one
			m.once(stream, func() { _, _ = b.put(ctx, b.control, Row{P: r.P, S: r.S, Data: encode(sliceRow{Epoch: s.Epoch})}, r.V) })
		}
	}
	return nil
}

// judge reports whether a node lives. One whose row has not changed for a lease, by this node's own clock, is told dead, which
// succeeds only if it has been silent.
func (m *member) judge(ctx context.Context, id string, r *Row, now time.Duration, me bool) (lives bool, err error) {
	b := m.b
	var n nodeRow
	if err := decode(r, &n); err != nil {
		return false, err
	}
	s := m.seen[id]
	if s.v != r.V {
		s = sighting{v: r.V, since: now}
		m.seen[id] = s
	}
	silent := now - s.since
	switch {
	case n.State == over && silent > 20*b.o.Lease:
		return false, b.remove(ctx, b.control, r.P, r.S)
	case n.State == over:
		return false, nil
	case me || silent < b.o.Lease:
		return true, nil
	}
	n.State = over
	_, err = b.put(ctx, b.control, Row{P: r.P, S: r.S, Data: encode(n)}, r.V)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return true, nil // it has shown itself, or another node was quicker: the next look tells
	}
	if err == nil {
		b.o.Log.Warn("a node is silent, and its work is taken over", "node", id, "name", n.Name, "url", n.URL)
		b.poke()
	}
	return false, err
}

// best is the node that should have a stream: the same for all who see the same nodes, and one that leaves or comes moves its own
// streams only.
func best(stream string, live []string) (id string) {
	var highest uint64
	for _, n := range live {
		h := fnv.New64a()
		_, _ = h.Write([]byte(n + "\x00" + stream))
		if x := mix(h.Sum64()); id == "" || x > highest || x == highest && n < id {
			id, highest = n, x
		}
	}
	return id
}

// mix spreads a hash whose input differs in few places.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// once runs f for a stream, unless something is under way for it.
func (m *member) once(stream string, f func()) bool {
	b := m.b
	b.mu.Lock()
	busy := b.busy[stream]
	b.busy[stream] = true
	b.mu.Unlock()
	if busy {
		return false
	}
	m.tasks.Go(func() {
		f()
		b.mu.Lock()
		delete(b.busy, stream)
		b.mu.Unlock()
		b.poke()
	})
	return true
}

// take takes a stream that is free, or whose owner is dead.
func (m *member) take(ctx context.Context, me, stream string, r Row, s sliceRow) {
	b := m.b
	b.mu.Lock()
	drops := b.drops
	b.mu.Unlock()
	row, err := b.put(ctx, b.control, Row{P: r.P, S: r.S, Data: encode(sliceRow{Owner: me, Epoch: s.Epoch + 1})}, r.V)
	if err != nil {
		return // another node was quicker, or this one ends
	}
	c := newClaim(b, stream, s.Epoch+1, row.V)
	valid := b.valid()
	b.mu.Lock()
	fine := valid && b.id == me && b.drops == drops && m.leaving.Err() == nil
	var earlier *claim // taken since this node looked, whose epoch is over now
	if fine {
		earlier = b.claims[stream]
		b.claims[stream] = c
	}
	b.mu.Unlock()
	if earlier != nil {
		earlier.lose()
	}
	if !fine {
		c.lose() // the row says that this node has it; it takes it once more, or is told dead
		return
	}
	b.work.Go(c.feed.run)
	m.node.Begin(c)
}

// handOver lets go of a stream that is another node's to work: nothing of it is delivered twice.
func (m *member) handOver(c *claim) {
	b := m.b
	m.end(c)
	// The last positions are stored, and until this write is known, or the claim is over, nobody else begins.
	_, err := b.put(c.ctx, b.control, Row{P: clusterKey, S: slicePrefix + c.stream, Data: encode(sliceRow{Epoch: c.epoch})}, c.version)
	if err != nil && c.ctx.Err() == nil {
		b.o.Log.Warn("a stream was taken over while it was handed over", "stream", c.stream)
	}
	c.lose()
	if err == nil {
		_ = b.announce(m.leaving) // else the next owner finds out at its next look
	}
}

// end has the engine let go of a claim, once.
func (m *member) end(c *claim) {
	if c.ending.Swap(true) {
		<-c.ended
		return
	}
	defer close(c.ended)
	drain, cancel := context.WithTimeout(c.ctx, m.b.o.Drain)
	defer cancel()
	m.node.End(drain, c)
}

// leave ends all work and tells that this node is no more: then others take its streams at once.
func (m *member) leave(ctx context.Context) {
	b := m.b
	m.takes.Wait() // a claim that has just begun is let go of like the others
	id, claims := b.holds()
	var all sync.WaitGroup
	for _, c := range claims {
		all.Go(func() { m.end(c) })
	}
	all.Wait()
	b.left.Store(true) // before others may take what is this node's; a beat on its way does not undo it
	ctx, cancel := context.WithTimeout(ctx, b.o.Lease)
	defer cancel()
	for ctx.Err() == nil {
		row, err := b.get(ctx, b.control, clusterKey, nodePrefix+id)
		if err != nil || row == nil {
			return
		}
		var n nodeRow
		if decode(row, &n) != nil {
			return
		}
		n.State = over
		_, err = b.put(ctx, b.control, Row{P: row.P, S: row.S, Data: encode(n)}, row.V)
		if refused := (*Refused)(nil); !errors.As(err, &refused) {
			if err == nil {
				_ = b.announce(ctx)
			}
			return // it is done, or there is no more time: the others find out
		}
	}
}

// Held are the ARNs of the streams that this node works.
func (b *Backend) Held() []string {
	_, claims := b.holds()
	return slices.Sorted(maps.Keys(claims))
}

// NodeInfo is what is known of a node.
type NodeInfo struct {
	ID, Name, URL, Machine, Version string
	Began                           time.Time
	Lives                           bool // it has not been told dead, and has not left
	Here                            bool // it is this one
	Drained                         bool // it takes nothing
	Revision                        uint64
	Knows                           int      // see knows
	Streams                         []string // that it works
}

// Nodes are all nodes that there are, or were a while ago.
func (b *Backend) Nodes(ctx context.Context) (all []NodeInfo, err error) {
	rows, err := b.query(ctx, b.control, clusterKey, "")
	if err != nil {
		return nil, err
	}
	me, _ := b.holds()
	streams, drained := map[string][]string{}, map[string]bool{}
	for i := range rows {
		r := &rows[i]
		if id, ok := strings.CutPrefix(r.S, drainPrefix); ok {
			drained[id] = true
		}
		if stream, ok := strings.CutPrefix(r.S, slicePrefix); ok {
			var s sliceRow
			if err := decode(r, &s); err != nil {
				return nil, err
			}
			streams[s.Owner] = append(streams[s.Owner], stream)
		}
	}
	for i := range rows {
		r := &rows[i]
		id, ok := strings.CutPrefix(r.S, nodePrefix)
		if !ok {
			continue
		}
		var n nodeRow
		if err := decode(r, &n); err != nil {
			return nil, err
		}
		all = append(all, NodeInfo{
			ID: id, Name: n.Name, URL: n.URL, Machine: n.Machine, Version: n.Version, Began: n.Began, Lives: n.State == alive, Here: id == me, Revision: n.Revision, Knows: n.Knows, Streams: streams[id], Drained: drained[id],
		})
	}
	return all, nil
}

// Joined is closed once this node has what was changed before the others saw it: from then on Agree at another node waits for this one.
func (b *Backend) Joined() <-chan struct{} { return b.joined }

// Mine are the ARNs of the streams that are this node's by their rows. It may still have to begin with one, or have lost it.
func (b *Backend) Mine(ctx context.Context) (streams []string, err error) {
	rows, err := b.query(ctx, b.control, clusterKey, "")
	me, _ := b.holds()
	for i := range rows {
		stream, ok := strings.CutPrefix(rows[i].S, slicePrefix)
		if !ok {
			continue
		}
		var s sliceRow
		if err := decode(&rows[i], &s); err != nil {
			return nil, err
		}
		if s.Owner == me {
			streams = append(streams, stream)
		}
	}
	return streams, err
}

// ID is this node's, until it is told dead.
func (b *Backend) ID() string {
	id, _ := b.holds()
	return id
}

// Owners tells which node that lives works each stream, and which time that is: what has changed has been in other hands.
func (b *Backend) Owners(ctx context.Context) (map[string]string, error) {
	rows, err := b.query(ctx, b.control, clusterKey, "")
	owners, lives := map[string]string{}, map[string]bool{}
	for i := range rows {
		if id, ok := strings.CutPrefix(rows[i].S, nodePrefix); ok {
			var n nodeRow
			if err := decode(&rows[i], &n); err != nil {
				return nil, err
			}
			lives[id] = n.State == alive
		}
	}
	for i := range rows {
		var s sliceRow
		if !strings.HasPrefix(rows[i].S, slicePrefix) {
			continue
		}
		if err := decode(&rows[i], &s); err != nil {
			return nil, err
		}
		if lives[s.Owner] {
			owners[strings.TrimPrefix(rows[i].S, slicePrefix)] = s.Owner + "#" + strconv.FormatUint(s.Epoch, 10)
		}
	}
	return owners, err
}
