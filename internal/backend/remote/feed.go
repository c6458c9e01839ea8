package remote

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// feed is the shards of one stream, while a claim on it lasts: one reader for each, whatever number of mappings it has.
//
// What it tells the engine is exact. A shard is shown once every mapping that is loaded has a row of it; it is never taken off the list
// while a mapping has not ended it; and its head is the number up to which its reader has seen all there is.
type feed struct {
	c      *claim
	listed chan struct{} // closed once the shards are known
	again  chan struct{} // list them again: one has ended

	mu      sync.Mutex
	shards  []shardInfo // those shown, parents first
	readers map[string]*reader
}

type shardInfo struct {
	ID, Parent string
	begin      seqnum.Num // right before its first record
	before     uint64     // its ordinal
}

func newFeed(c *claim) *feed {
	return &feed{c: c, listed: make(chan struct{}), again: make(chan struct{}, 1), readers: map[string]*reader{}}
}

// listEvery is how often shards are listed without a cause.
const listEvery = time.Minute

// run lists the stream's shards until the claim is over.
func (f *feed) run() {
	c, b := f.c, f.c.b
	pause := minPause
	for c.ctx.Err() == nil {
		if err := f.list(); err != nil {
			if b.pause(c.ctx, &pause, "a list of shards of "+c.stream, err) != nil {
				return
			}
			continue
		}
		pause = minPause
		b.sleep(c.ctx, listEvery, f.again)
	}
}

// list adds the shards that are new. A list has all pages of it; what it lacks has been trimmed.
func (f *feed) list() error {
	c, b := f.c, f.c.b
	d, err := b.describe(c.ctx, c.stream)
	if errors.Is(err, ErrGone) {
		d, err = Described{}, nil // the readers of shards that are not ended find that out, too
	}
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, s := range f.all() {
		known[s.ID] = true
	}
	var fresh []shardInfo
	for _, s := range d.Shards {
		if known[s.ID] {
			continue
		}
		first, err := number(s.Start)
		if err != nil {
			return err
		}
		i := shardInfo{ID: s.ID, Parent: s.Parent, begin: first.Prev()}
		i.before = b.countUpTo(c.stream, s.ID, i.begin)
		fresh = append(fresh, i)
	}
	select {
	case <-f.listed:
		if len(fresh) > 0 {
			return c.extend(fresh)
		}
	default:
		f.show(fresh)
		close(f.listed)
	}
	return nil
}

func (f *feed) all() []shardInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.shards)
}

// show adds shards to those that the engine sees.
func (f *feed) show(fresh []shardInfo) {
	f.mu.Lock()
	for _, s := range fresh {
		if !slices.ContainsFunc(f.shards, func(o shardInfo) bool { return o.ID == s.ID }) {
			f.shards = append(f.shards, s)
		}
	}
	f.mu.Unlock()
	f.c.b.wake(f.c.stream)
}

// begin starts the readers of shards that a mapping has not ended. loaded: the rows are all that a mapping has; a shard that is not listed
// any more is shown then, and its reader finds out.
func (f *feed) begin(rows map[string]lane.Checkpoint, loaded bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, row := range rows {
		if row.Done || f.readers[id] != nil || backend.IsSnapshot(id) { // a mapping reads its items itself
			continue
		}
		r := &reader{f: f, shard: id, before: row.Low, head: row.Low, count: row.Ordinal, cursors: map[seqnum.Num]string{}, moved: make(chan struct{}, 1)}
		f.readers[id] = r
		if loaded && !slices.ContainsFunc(f.shards, func(s shardInfo) bool { return s.ID == id }) {
			f.shards = slices.Insert(f.shards, 0, shardInfo{ID: id})
		}
		f.c.b.work.Go(func() { r.run(f.c.ctx) })
	}
}

// wake has the engine look at the shards of a stream.
func (b *Backend) wake(stream string) {
	b.mu.Lock()
	all := slices.Collect(maps.Values(b.watchers[stream]))
	b.mu.Unlock()
	for _, w := range all {
		w()
	}
}

func (f *feed) listAgain() {
	select {
	case f.again <- struct{}{}:
	default:
	}
}

// reader reads one shard and keeps the newest records that it has read. It goes no further ahead of the mapping that is furthest than room
// for some records; mappings that are behind what it keeps read for themselves.
type reader struct {
	f     *feed
	shard string

	mu      sync.Mutex
	before  seqnum.Num // what is kept begins right behind this number
	kept    []*record
	bytes   int        // of kept
	head    seqnum.Num // everything up to here was read
	count   uint64     // records up to head, of a Polled
	front   seqnum.Num // the furthest place that a mapping has read from
	ended   bool       // what is kept reaches to the shard's end
	gone    bool
	cursors map[seqnum.Num]string // iterators of those who read for themselves, by place

	moved chan struct{} // front has moved
}

// Bounds of what is kept of one shard, and of what is asked for at once.
const (
	keepBytes  = 8 << 20
	aheadBytes = 4 << 20
	pageSize   = 1000
	pollWait   = 20 * time.Second
	maxCursors = 64
)

// run reads on until the shard has ended or the claim is over.
func (r *reader) run(ctx context.Context) {
	b := r.f.c.b
	pause := minPause
	iterator := ""
	expired := false // the newest read met an iterator that is too old
	for ctx.Err() == nil {
		if !r.room() {
			b.sleep(ctx, time.Second, r.moved)
			continue
		}
		next, err := r.more(ctx, iterator)
		switch {
		case err == nil:
			pause, iterator, expired = minPause, next, false
		case errors.Is(err, ErrExpired) && !expired:
			iterator, expired = "", true
			continue
		case errors.Is(err, ErrGone):
			if iterator = ""; r.isGone(ctx) {
				r.vanished()
				return
			}
			continue
		default:
			iterator = ""
			if b.pause(ctx, &pause, "a read of shard "+r.shard, err) != nil {
				return
			}
			continue
		}
		if next == "" {
			r.f.listAgain()
			return
		}
	}
}

// room reports whether the reader may go on.
func (r *reader) room() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ahead := 0
	for i := len(r.kept) - 1; i >= 0 && r.front.Less(r.kept[i].seq) && ahead < aheadBytes; i-- {
		ahead += r.kept[i].EventSize()
	}
	return ahead < aheadBytes
}

// more reads the next page.
func (r *reader) more(ctx context.Context, iterator string) (next string, err error) {
	c := r.f.c
	r.mu.Lock()
	head := r.head
	r.mu.Unlock()
	if iterator == "" {
		if iterator, err = r.iterator(ctx, head); err != nil {
			return "", err
		}
	}
	page, err := c.b.records(ctx, iterator, pageSize, pollWait)
	if errors.Is(err, ErrTrimmed) {
		return "", ErrExpired // begin again: at the horizon
	}
	if err != nil {
		return "", err
	}
	after, records, err := parse(page, c.stream)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	if r.head.Less(after) { // what was between was trimmed: whoever has not read it learns that when it reads
		r.kept, r.bytes, r.before, r.head = nil, 0, after, after
	}
	fresh := false
	for _, rec := range records {
		if r.head.Less(rec.seq) {
			if c.b.o.Polled {
				r.count++
				rec.count = r.count
			}
			r.kept, r.bytes, r.head, fresh = append(r.kept, rec), r.bytes+rec.EventSize(), rec.seq, true
		}
	}
	if r.bytes > keepBytes+aheadBytes { // a part at a time, since the others are moved
		drop := 0
		for ; r.bytes > keepBytes && drop < len(r.kept)-1; drop++ {
			r.bytes -= r.kept[drop].EventSize()
			r.before = r.kept[drop].seq
		}
		r.kept = slices.Clone(r.kept[drop:])
	}
	r.ended = page.Next == ""
	r.mu.Unlock()
	if fresh || page.Next == "" {
		r.f.c.b.wake(r.f.c.stream)
	}
	return page.Next, nil
}

// iterator begins behind a number; when records behind it were trimmed, or it is zero, at the horizon.
func (r *reader) iterator(ctx context.Context, after seqnum.Num) (string, error) {
	b := r.f.c.b
	if after.IsZero() {
		return b.iterate(ctx, r.f.c.stream, r.shard, TrimHorizon)
	}
	iterator, err := b.iterate(ctx, r.f.c.stream, r.shard, after.String())
	if errors.Is(err, ErrTrimmed) {
		iterator, err = b.iterate(ctx, r.f.c.stream, r.shard, TrimHorizon)
	}
	return iterator, err
}

// goneFor is the time between the two lists that a shard must be missing from.
const goneFor = 30 * time.Second

// isGone reports whether the shard is really gone: two lists say so.
func (r *reader) isGone(ctx context.Context) bool {
	b, stream := r.f.c.b, r.f.c.stream
	for i := range 2 {
		if i > 0 {
			b.sleep(ctx, goneFor, nil)
		}
		d, err := b.describe(ctx, stream)
		if err != nil && !errors.Is(err, ErrGone) || slices.ContainsFunc(d.Shards, func(s DescribedShard) bool { return s.ID == r.shard }) {
			b.sleep(ctx, time.Second, nil)
			return false
		}
	}
	return ctx.Err() == nil
}

// vanished: the shard is not there any more.
func (r *reader) vanished() {
	r.mu.Lock()
	r.gone = true
	r.mu.Unlock()
	r.f.c.b.wake(r.f.c.stream)
}

// read is Log's Read.
func (r *reader) read(ctx context.Context, after seqnum.Num, maxRecords, maxBytes int) (lane.Page, error) {
	r.mu.Lock()
	if r.gone && (len(r.kept) == 0 || !after.Less(r.head) || after.Less(r.before)) {
		r.mu.Unlock()
		lost := lane.Missed{First: after.Next(), Last: after.Next(), Unknown: true}
		return lane.Page{End: true, Missed: &lost}, nil
	}
	if !after.Less(r.before) {
		page := r.fromKept(after, maxRecords, maxBytes)
		r.mu.Unlock()
		if len(page.Records) == 0 && !page.End {
			page.Coming = !r.atTip(ctx, after)
		}
		return page, nil
	}
	r.mu.Unlock()
	return r.catchUp(ctx, after, maxRecords, maxBytes)
}

// atTip reports whether there certainly is no record behind a number now: the reader, whose request is held, may have an answer on its way. Who asks
// for records where there are none wants to know that, and is about to close a tumbling window.
func (r *reader) atTip(ctx context.Context, after seqnum.Num) bool {
	b := r.f.c.b
	iterator, err := r.iterator(ctx, after)
	if err != nil {
		return false
	}
	page, err := b.records(ctx, iterator, 1, 0)
	return err == nil && len(page.Records) == 0
}

// nothingAt reports whether a record that was read once is not there any more, and none behind it.
func (r *reader) nothingAt(ctx context.Context, n seqnum.Num) bool {
	iterator, err := r.iterator(ctx, n)
	if err != nil {
		return false
	}
	page, err := r.f.c.b.records(ctx, iterator, 1, 0)
	return err == nil && page.Trimmed
}

// fromKept is called with mu held.
func (r *reader) fromKept(after seqnum.Num, maxRecords, maxBytes int) (page lane.Page) {
	i, _ := slices.BinarySearchFunc(r.kept, after.Next(), func(rec *record, n seqnum.Num) int { return rec.seq.Compare(n) })
	size := 0
	for ; i < len(r.kept) && len(page.Records) < maxRecords; i++ {
		if size += r.kept[i].EventSize(); size > maxBytes && len(page.Records) > 0 {
			break
		}
		page.Records = append(page.Records, r.kept[i])
	}
	page.End = r.ended && i == len(r.kept)
	if r.front.Less(after) {
		r.front = after
		select {
		case r.moved <- struct{}{}:
		default:
		}
	}
	return page
}

// catchUp reads for a mapping that is behind what is kept.
func (r *reader) catchUp(ctx context.Context, after seqnum.Num, maxRecords, maxBytes int) (page lane.Page, err error) {
	c := r.f.c
	r.mu.Lock()
	before := r.before
	iterator := r.cursors[after]
	delete(r.cursors, after)
	r.mu.Unlock()
	if iterator == "" {
		if iterator, err = r.iterator(ctx, after); err != nil {
			return page, err
		}
	}
	var got Records
	for pause := minPause; ; pause = min(pause*2, maxPause) {
		if got, err = c.b.records(ctx, iterator, min(maxRecords, pageSize), 0); err != nil {
			return page, err
		}
		if got.Trimmed && after.Less(before) && (got.Next == "" || r.nothingAt(ctx, before)) {
			got.After = before.String() // what others have read is gone, too
			break
		}
		if !c.b.o.Polled || len(got.Records) > 0 || got.Next == "" || !after.Less(before) {
			break
		}
		// Others have read what is between: a page without records says only that the engine has not come to it.
		iterator = got.Next
		if c.b.sleep(c.ctx, pause, nil); ctx.Err() != nil || c.ctx.Err() != nil {
			return page, cmp.Or(ctx.Err(), c.ctx.Err())
		}
	}
	from, records, err := parse(got, c.stream)
	if err != nil {
		return page, err
	}
	if c.b.o.Polled {
		for _, rec := range records {
			rec.count = 0
		}
	}
	if after.IsZero() {
		after = from
	}
	if after.Less(from) { // the horizon
		page.Missed = &lane.Missed{First: after.Next(), Last: from, Count: from.Lo - after.Lo}
		if c.b.o.Polled {
			page.Missed.Count, page.Missed.Unknown = 0, true
		}
		after = from
	}
	size := 0
	for _, rec := range records {
		if size += rec.EventSize(); size > maxBytes && len(page.Records) > 0 {
			break
		}
		page.Records = append(page.Records, rec)
		after = rec.seq
	}
	if len(page.Records) == 0 {
		// There is nothing from here to what was kept when this read began. By now the reader may have gone on.
		after = later(after, before)
		r.mu.Lock()
		if after.Less(r.before) {
			r.mu.Unlock()
			next, err := r.catchUp(ctx, after, maxRecords, maxBytes)
			next.Missed = joined(page.Missed, next.Missed)
			return next, err
		}
		defer r.mu.Unlock()
		missed := page.Missed
		page = r.fromKept(after, maxRecords, maxBytes)
		page.Missed = missed
		return page, nil
	}
	if len(page.Records) == len(records) {
		if page.End = got.Next == ""; !page.End {
			r.keepCursor(after, got.Next)
		}
	}
	return page, nil
}

// keepCursor has who reads on behind a number for itself begin with an iterator.
func (r *reader) keepCursor(after seqnum.Num, iterator string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cursors) >= maxCursors {
		clear(r.cursors)
	}
	r.cursors[after] = iterator
}

// countUpTo is how many records of a shard there are up to a number; of a Polled 0 where no reader of this node has counted them.
func (b *Backend) countUpTo(stream, shard string, n seqnum.Num) uint64 {
	if !b.o.Polled {
		return n.Lo // as Millstream numbers
	}
	c := b.claimOn(stream)
	if c == nil {
		return 0
	}
	c.feed.mu.Lock()
	r := c.feed.readers[shard]
	c.feed.mu.Unlock()
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n == r.head {
		return r.count
	}
	i, _ := slices.BinarySearchFunc(r.kept, n.Next(), func(rec *record, n seqnum.Num) int { return rec.seq.Compare(n) })
	if i < len(r.kept) && !n.Less(r.before) {
		return r.kept[i].count - 1
	}
	return 0
}

// joined is one range of what was trimmed for two that follow each other.
func joined(a, b *lane.Missed) *lane.Missed {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return &lane.Missed{First: a.First, Last: b.Last, Count: a.Count + b.Count, Unknown: a.Unknown || b.Unknown}
}

func later(a, b seqnum.Num) seqnum.Num {
	if a.Less(b) {
		return b
	}
	return a
}

// Shards implements backend.Log.
func (b *Backend) Shards(_ context.Context, arn string) ([]backend.Shard, error) {
	c := b.claimOn(arn)
	if c == nil {
		return nil, backend.ErrElsewhere
	}
	f := c.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]backend.Shard, 0, len(f.shards))
	for _, s := range f.shards {
		one := backend.Shard{ID: s.ID, Parent: s.Parent, Head: s.begin, Begin: s.begin, Before: s.before}
		count := s.before
		if r := f.readers[s.ID]; r != nil {
			r.mu.Lock()
			one.Head, one.Closed, count = r.head, r.ended || r.gone, r.count
			r.mu.Unlock()
		}
		if one.Records = one.Head.Lo; b.o.Polled {
			one.Records = count
		}
		out = append(out, one)
	}
	return out, nil
}

// Read implements backend.Log.
func (b *Backend) Read(ctx context.Context, arn, shard string, after seqnum.Num, maxRecords, maxBytes int) (lane.Page, error) {
	c := b.claimOn(arn)
	if c == nil {
		return lane.Page{}, backend.ErrElsewhere
	}
	if uuid, ok := backend.SnapshotOf(shard); ok {
		return b.items(ctx, arn, uuid, after, maxRecords, maxBytes)
	}
	c.feed.mu.Lock()
	r := c.feed.readers[shard]
	c.feed.mu.Unlock()
	if r == nil {
		return lane.Page{}, errors.New("remote: no mapping that is loaded reads this shard")
	}
	return r.read(ctx, after, maxRecords, maxBytes)
}

// Watch implements backend.Log: all claims on the stream, one after the other.
func (b *Backend) Watch(arn string, wake func()) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watches++
	n := b.watches
	if b.watchers[arn] == nil {
		b.watchers[arn] = map[int]func(){}
	}
	b.watchers[arn][n] = wake
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if delete(b.watchers[arn], n); len(b.watchers[arn]) == 0 {
			delete(b.watchers, arn)
		}
	}
}

// CatchUp returns when the readers of this node have read all that there was at the call.
func (b *Backend) CatchUp(ctx context.Context) error {
	_, claims := b.holds()
	for _, c := range claims {
		if err := c.feed.catchUp(ctx); err != nil && c.ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (f *feed) catchUp(ctx context.Context) error {
	c, b := f.c, f.c.b
	d, err := b.describe(ctx, c.stream)
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	tips := map[string]seqnum.Num{}
	var mu sync.Mutex
	if err := each(d.Shards, func(s DescribedShard) error { // of a Polled one may take a second or two, beside writers
		iterator, err := b.iterate(ctx, c.stream, s.ID, Latest)
		var page Records
		if err == nil {
			page, err = b.records(ctx, iterator, 1, 0)
		}
		if errors.Is(err, ErrGone) || errors.Is(err, ErrTrimmed) { // since the list was made
			return nil
		}
		if err != nil {
			return err
		}
		tip, err := number(page.After)
		mu.Lock()
		defer mu.Unlock()
		tips[s.ID] = tip
		return err
	}); err != nil {
		return err
	}
	f.listAgain()
	woken := make(chan struct{}, 1)
	defer b.Watch(c.stream, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})()
	for f.behind(tips) {
		b.sleep(ctx, time.Second, woken)
		if ctx.Err() != nil || c.ctx.Err() != nil {
			return cmp.Or(ctx.Err(), c.ctx.Err())
		}
	}
	return nil
}

// behind reports whether a reader has not read up to these numbers. A shard without a reader was ended by every mapping, or is not known yet.
func (f *feed) behind(tips map[string]seqnum.Num) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, tip := range tips {
		r := f.readers[id]
		if r == nil {
			if !slices.ContainsFunc(f.shards, func(s shardInfo) bool { return s.ID == id }) {
				return true
			}
			continue
		}
		r.mu.Lock()
		behind := r.head.Less(tip) && !r.ended && !r.gone
		r.mu.Unlock()
		if behind {
			return true
		}
	}
	return false
}
