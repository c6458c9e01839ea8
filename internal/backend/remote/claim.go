package remote

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// claim implements backend.Claim.
type claim struct {
	b       *Backend
	stream  string
	epoch   uint64
	version uint64 // of the slice's row
	feed    *feed
	ending  atomic.Bool
	ended   chan struct{}

	ctx    context.Context // ends with it
	cancel context.CancelFunc
	once   sync.Once
	lost   chan struct{}

	// taking has room for one, who has it while rows of mappings are taken, so that no shard is shown before every mapping that is loaded has a row of it.
	taking chan struct{}

	mu   sync.Mutex
	rows map[string]map[string]owned // by mapping and shard
	puts uint64                      // rows set aside
}

// owned is a row that this claim has taken, as it wrote it last.
type owned struct {
	v  uint64
	at checkpoint
}

func newClaim(b *Backend, stream string, epoch, version uint64) *claim {
	c := &claim{b: b, stream: stream, epoch: epoch, version: version, lost: make(chan struct{}), ended: make(chan struct{}), taking: make(chan struct{}, 1), rows: map[string]map[string]owned{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.feed = newFeed(c)
	return c
}

func (c *claim) Stream() string        { return c.stream }
func (c *claim) Lost() <-chan struct{} { return c.lost }

func (c *claim) Valid() bool {
	select {
	case <-c.lost:
		return false
	default:
		return c.b.valid()
	}
}

// lose ends the claim for good.
func (c *claim) lose() {
	c.once.Do(func() {
		c.b.mu.Lock()
		if c.b.claims[c.stream] == c {
			delete(c.b.claims, c.stream)
			if !c.ending.Load() {
				c.b.claimsLost.Add(1)
			}
		}
		c.b.mu.Unlock()
		c.cancel()
		close(c.lost)
	})
}

// Renew implements backend.Shared: at the next look the stream is this node's by its row, and it has no claim.
// When that happens again and again it takes the stream once a second at most.
func (b *Backend) Renew(cl backend.Claim) {
	if c, ok := cl.(*claim); ok {
		now := b.now()
		b.mu.Lock()
		if b.claims[c.stream] == c { // several mappings may ask for it
			b.renewed[c.stream] = max(now, min(b.renewed[c.stream], now)+time.Second)
		}
		b.mu.Unlock()
		c.lose()
		b.poke()
	}
}

// checkpoint is the stored form of a position, in the table of progress under checkpointKey of its mapping and the shard.
type checkpoint struct {
	Epoch      uint64            `json:"e"`
	Generation uint64            `json:"g"`
	Low        string            `json:"low"`             // a number
	Ahead      map[string]string `json:"ahead,omitempty"` // numbers by virtual lane
	Done       bool              `json:"done,omitempty"`
	Ordinal    uint64            `json:"ord,omitempty"`
	Time       int64             `json:"time,omitempty"`
	Expired    uint64            `json:"expired,omitempty"`
	Window     *windowRow        `json:"win,omitempty"`
	// Which rows set aside count: those that this epoch has put up to Up, and those of earlier epochs up to what is sealed.
	Up     uint64            `json:"up,omitempty"`
	Sealed map[string]uint64 `json:"sealed,omitempty"` // by epoch
}

func checkpointKey(uuid string) string { return "c#" + uuid }

// seal makes a position another epoch's: what its owner has put up to now counts, and what that one still puts does not.
func (s *checkpoint) seal(epoch uint64) {
	if s.Epoch == epoch {
		return
	}
	if s.Up > 0 {
		if s.Sealed = maps.Clone(s.Sealed); s.Sealed == nil {
			s.Sealed = map[string]uint64{}
		}
		s.Sealed[strconv.FormatUint(s.Epoch, 10)] = s.Up
	}
	s.Epoch, s.Up = epoch, 0
}

func stored(c lane.Checkpoint, epoch uint64) checkpoint {
	s := checkpoint{
		Epoch: epoch, Generation: c.Generation, Low: c.Low.String(), Done: c.Done, Ordinal: c.Ordinal, Time: c.Time, Expired: c.Expired,
	}
	if len(c.Ahead) > 0 {
		s.Ahead = make(map[string]string, len(c.Ahead))
		for _, a := range c.Ahead {
			s.Ahead[strconv.Itoa(int(a.Lane))] = a.Seq.String()
		}
	}
	return s
}

// whole is a position with its window.
func (b *Backend) whole(ctx context.Context, uuid string, at checkpoint) (c lane.Checkpoint, err error) {
	if c, err = at.lane(); err == nil {
		c.Window, err = b.windowOf(ctx, uuid, at.Window)
	}
	return c, err
}

// lane is a position without its window.
func (s checkpoint) lane() (c lane.Checkpoint, err error) {
	c = lane.Checkpoint{Generation: s.Generation, Done: s.Done, Ordinal: s.Ordinal, Time: s.Time, Expired: s.Expired}
	if c.Low, err = number(s.Low); err != nil {
		return c, err
	}
	for l, text := range s.Ahead {
		n, err := strconv.ParseUint(l, 10, 8)
		if err != nil || n >= lane.VirtualLanes {
			return c, errors.New("remote: a position has the lane " + l)
		}
		seq, err := number(text)
		if err != nil {
			return c, err
		}
		c.Ahead = append(c.Ahead, lane.LanePosition{Lane: uint8(n), Seq: seq})
	}
	slices.SortFunc(c.Ahead, func(a, b lane.LanePosition) int { return int(a.Lane) - int(b.Lane) })
	return c, nil
}

// atOnce is how many writes of one claim are under way together.
const atOnce = 16

// each runs f for all, some at a time, and returns the first error.
func each[E any](all []E, f func(E) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	places := make(chan struct{}, atOnce)
	for i, e := range all {
		places <- struct{}{}
		wg.Go(func() {
			errs[i] = f(e)
			<-places
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Load implements backend.Shared.
func (b *Backend) Load(ctx context.Context, cl backend.Claim, uuid string) (map[string]lane.Checkpoint, error) {
	c, ok := cl.(*claim)
	if !ok {
		return nil, backend.ErrLost
	}
	select {
	case <-c.feed.listed:
	case <-c.lost:
		return nil, backend.ErrLost
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.taking <- struct{}{}
	defer func() { <-c.taking }()
	rows, err := b.query(c.ctx, b.progress, checkpointKey(uuid), "")
	if err != nil {
		return nil, c.orLost(err)
	}
	shards := c.feed.all()
	taken := map[string]owned{}
	var mu sync.Mutex
	keep := func(shard string, o owned) {
		mu.Lock()
		defer mu.Unlock()
		taken[shard] = o
	}
	if len(rows) == 0 && len(shards) > 0 && c.defined(uuid) { // who makes a mapping makes rows of it
		c.b.o.Log.Error("all positions of a mapping are gone from the nodes' own tables: it begins with the oldest records of its stream", "mapping", uuid)
	}
	if err := each(rows, func(r Row) error {
		o, there, err := c.takeRow(r)
		if there {
			keep(r.S, o)
		}
		return err
	}); err != nil {
		return nil, err
	}
	if err := each(shards, func(s shardInfo) error {
		mu.Lock()
		_, has := taken[s.ID]
		mu.Unlock()
		if has {
			return nil
		}
		o, err := c.firstRow(uuid, s)
		if err == nil {
			keep(s.ID, o)
		}
		return err
	}); err != nil {
		return nil, err
	}
	kept, err := c.takeAside(uuid, taken)
	if err != nil {
		return nil, c.orLost(err)
	}
	c.tidy(uuid, taken, shards, kept)
	if err := c.tidyWindows(uuid, taken); err != nil {
		return nil, c.orLost(err)
	}
	out := make(map[string]lane.Checkpoint, len(taken))
	for shard, o := range taken {
		if out[shard], err = b.whole(c.ctx, uuid, o.at); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	c.rows[uuid] = taken
	c.mu.Unlock()
	c.feed.begin(out, true)
	if items, begins := out[backend.SnapshotShard(uuid)]; begins && items.Done {
		c.giveUp(uuid) // whoever had read them may have died before
	}
	return out, nil
}

// tidy removes the rows of shards that the mapping has ended and that are past their retention, but those by which rows set aside count.
func (c *claim) tidy(uuid string, taken map[string]owned, shards []shardInfo, kept map[string]bool) {
	for shard, o := range taken {
		if o.at.Done && !kept[shard] && (!backend.IsSnapshot(shard) || c.b.bugs.older) && !slices.ContainsFunc(shards, func(s shardInfo) bool { return s.ID == shard }) {
			try, cancel := context.WithTimeout(c.ctx, tryFor)
			if c.b.o.Endpoint.Delete(try, c.b.progress, checkpointKey(uuid), shard, o.v) == nil { // none that the next owner has by then
				delete(taken, shard)
			}
			cancel()
		}
	}
}

func (c *claim) orLost(err error) error {
	if c.ctx.Err() != nil {
		return backend.ErrLost
	}
	return err
}

// takeRow writes the claim's epoch into a row, whatever its content is by then. One of a shard that has ended may be gone by then: the owner before has tidied.
func (c *claim) takeRow(r Row) (o owned, there bool, err error) {
	for {
		var at checkpoint
		if err := decode(&r, &at); err != nil {
			return owned{}, false, err
		}
		if at.Epoch > c.epoch {
			c.lose()
			return owned{}, false, backend.ErrLost
		}
		at.seal(c.epoch)
		now, err := c.b.put(c.ctx, c.b.progress, Row{P: r.P, S: r.S, Data: encode(at)}, r.V)
		if err == nil {
			return owned{v: now.V, at: at}, true, nil
		}
		refused, ok := errors.AsType[*Refused](err)
		switch {
		case !ok:
			return owned{}, false, c.orLost(err)
		case refused.Now == nil && at.Done:
			return owned{}, false, nil
		case refused.Now == nil:
			return owned{}, false, c.vanished(strings.TrimPrefix(r.P, checkpointKey("")), r.S)
		}
		r = *refused.Now
	}
}

// firstRow makes the row of a shard that a mapping has none of: it is read from its first record.
func (c *claim) firstRow(uuid string, s shardInfo) (owned, error) {
	at := stored(lane.Checkpoint{Low: s.begin, Ordinal: s.before}, c.epoch)
	r := Row{P: checkpointKey(uuid), S: s.ID, Data: encode(at)}
	now, err := c.b.put(c.ctx, c.b.progress, r, 0)
	if err == nil {
		return owned{v: now.V, at: at}, nil
	}
	if refused, ok := errors.AsType[*Refused](err); ok && refused.Now != nil {
		o, there, err := c.takeRow(*refused.Now)
		if err == nil && !there {
			return c.firstRow(uuid, s)
		}
		return o, err
	}
	return owned{}, c.orLost(err)
}

// forget is for a mapping that was deleted: no rows of it are made or stored any more.
func (c *claim) forget(uuid string) {
	c.taking <- struct{}{}
	defer func() { <-c.taking }()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rows, uuid)
}

// extend gives every mapping that is loaded a row of shards that are new.
func (c *claim) extend(fresh []shardInfo) error {
	c.taking <- struct{}{}
	defer func() { <-c.taking }()
	c.mu.Lock()
	var mappings []string
	for uuid := range c.rows {
		mappings = append(mappings, uuid)
	}
	c.mu.Unlock()
	for _, uuid := range mappings {
		at := map[string]lane.Checkpoint{}
		var mu sync.Mutex
		err := each(fresh, func(s shardInfo) error {
			o, err := c.firstRow(uuid, s)
			if err != nil {
				return err
			}
			cp, err := o.at.lane()
			mu.Lock()
			at[s.ID] = cp
			mu.Unlock()
			c.mu.Lock()
			c.rows[uuid][s.ID] = o
			c.mu.Unlock()
			return err
		})
		if err != nil {
			return err
		}
		c.feed.begin(at, false)
	}
	c.feed.show(fresh)
	return nil
}

// Advance implements backend.Shared. Positions come last: what is set aside counts from then on, and what has been removed is gone by then.
func (b *Backend) Advance(_ context.Context, cl backend.Claim, uuid string, rows []backend.Row, aside []lane.AsideChange) error {
	c, ok := cl.(*claim)
	if !ok {
		return backend.ErrLost
	}
	up := c.number(aside)
	store := []func() error{
		func() error { return c.changeAside(uuid, aside, up) },
		func() error { return c.advanceAll(uuid, rows, up, len(aside) > 0) },
	}
	if b.bugs.early {
		slices.Reverse(store)
	}
	for _, f := range store {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// advanceAll stores positions with what counts by them. confirm: some row is written, whatever it says, so that it is known
// that the claim held when the changes before were made.
func (c *claim) advanceAll(uuid string, rows []backend.Row, up map[string]uint64, confirm bool) error {
	stored := map[string]bool{}
	for _, r := range rows {
		stored[r.Shard] = true
	}
	var again []string
	for shard := range up {
		if !stored[shard] {
			again = append(again, shard)
		}
	}
	if confirm && len(rows)+len(again) == 0 {
		if shard := c.someShard(uuid); shard != "" {
			again = append(again, shard)
		}
	}
	if err := each(rows, func(r backend.Row) error { return c.advance(&r, up[r.Shard]) }); err != nil {
		return err
	}
	return each(again, func(shard string) error { return c.storeAgain(uuid, shard, up[shard]) })
}

// owns returns a row as this claim has written it last, or ErrLost.
func (c *claim) owns(uuid, shard string) (owned, error) {
	c.mu.Lock()
	mine := c.rows[uuid]
	o, ok := mine[shard]
	c.mu.Unlock()
	select {
	case <-c.lost:
		return owned{}, backend.ErrLost
	default:
	}
	if mine == nil {
		return owned{}, backend.ErrLost // the mapping was deleted
	}
	if !ok {
		c.b.o.Log.Error("a position of a shard that was not taken is not stored; the stream is begun anew", "mapping", uuid, "shard", shard)
		c.lose()
		return owned{}, backend.ErrLost
	}
	return o, nil
}

func (c *claim) advance(r *backend.Row, up uint64) error {
	o, err := c.owns(r.UUID, r.Shard)
	if err != nil {
		return err
	}
	at, err := c.next(r, o, up)
	if err != nil {
		return err
	}
	return c.storePosition(r.UUID, r.Shard, at, o.v)
}

// next is what is to be stored in the place of a row.
func (c *claim) next(r *backend.Row, o owned, up uint64) (at checkpoint, err error) {
	at = stored(r.Checkpoint, c.epoch)
	at.Up, at.Sealed = max(o.at.Up, up), o.at.Sealed
	if at.Window, err = c.putWindow(r.UUID, r.Shard, r.Window); err != nil {
		err = c.orLost(err)
	}
	if c.b.bugs.stale && o.at.Window != nil && at.Window != nil {
		at.Window = o.at.Window
	}
	return at, err
}

// storeAgain stores a position as it is.
func (c *claim) storeAgain(uuid, shard string, up uint64) error {
	o, err := c.owns(uuid, shard)
	if err != nil {
		return err
	}
	at := o.at
	at.Up = max(at.Up, up)
	return c.storePosition(uuid, shard, at, o.v)
}

func (c *claim) storePosition(uuid, shard string, at checkpoint, v uint64) error {
	row := Row{P: checkpointKey(uuid), S: shard, Data: encode(at)}
	if c.b.bugs.thaws && backend.IsSnapshot(shard) && at.Done {
		c.b.giveUpNow(c.ctx, uuid)
	}
	now, err := c.b.put(c.ctx, c.b.progress, row, v)
	if err == nil {
		c.keep(uuid, shard, owned{v: now.V, at: at})
		return nil
	}
	return c.notStored(uuid, shard, err)
}

// keep notes what is stored. It reports whether the mapping is this claim's still.
func (c *claim) keep(uuid, shard string, o owned) bool {
	c.mu.Lock()
	mine := c.rows[uuid]
	was := mine[shard]
	if mine != nil {
		mine[shard] = o
	}
	c.mu.Unlock()
	c.windowReplaced(uuid, was.at.Window, o.at.Window)
	if backend.IsSnapshot(shard) && o.at.Done {
		c.giveUp(uuid)
	}
	return mine != nil
}

// vanished is for a position that is not there any more: as a rule its mapping was deleted. If it was not, somebody has removed rows of the nodes' own tables.
func (c *claim) vanished(uuid, shard string) error {
	if !c.defined(uuid) {
		return backend.ErrLost
	}
	c.b.o.Log.Error("a position is gone from the nodes' own tables, and its mapping is not: the stream is begun anew, and this shard from its oldest record", "mapping", uuid, "shard", shard)
	c.lose()
	return backend.ErrLost
}

// defined reports whether a mapping is there, and not deleted.
func (c *claim) defined(uuid string) bool {
	r, err := c.b.get(c.ctx, c.b.control, definitionKey, mappingPrefix+uuid)
	if err != nil || r == nil {
		return false
	}
	m, err := definition(r)
	return err == nil && m != nil
}

// notStored is what a refused position means.
func (c *claim) notStored(uuid, shard string, err error) error {
	refused, isRefused := errors.AsType[*Refused](err)
	switch {
	case !isRefused:
		return c.orLost(err)
	case refused.Now == nil:
		return c.vanished(uuid, shard)
	}
	var other checkpoint
	if err := decode(refused.Now, &other); err != nil || other.Epoch <= c.epoch {
		c.b.o.Log.Error("a position has changed under its owner; the stream is begun anew", "mapping", uuid, "shard", shard, "epoch", c.epoch, "stored", refused.Now.Data, "error", err)
	}
	c.lose()
	return backend.ErrLost
}
