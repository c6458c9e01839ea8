package store

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// ErrGap says that changes are missing between those that were taken and those that come: there were more than may wait, or something
// changed the database beside the log. Changes.Begin begins anew.
var ErrGap = errors.New("store: changes were lost between what was taken and what comes")

// Change is a batch as the engine's log has it. Batches are numbered by what they hold: First is the number of this one, End that of
// the one after it. So a list without a gap is told by its numbers.
type Change struct {
	First, End uint64
	AtMS       int64  // not after anyone was answered, and not before a change before it
	Batch      []byte // the engine's encoding, a copy
}

// Touches says whether a change writes to one of some key spaces.
func (c *Change) Touches(spaces ...byte) bool {
	for r := batchrepr.Read(c.Batch); ; {
		_, key, _, ok, err := r.Next()
		if !ok || err != nil {
			return false
		}
		if len(key) > 0 && slices.Contains(spaces, key[0]) {
			return true
		}
	}
}

// Changes collects what is committed, in the order of the log, for who copies it elsewhere. A change is handed over once it is
// durable, and with it all before it: so what is copied is never ahead of what this database recovers after a crash.
//
//   - Batches are added after they were applied, by many at once, and so out of order: early holds those whose predecessor is not there yet.
//   - A log is durable as a prefix: when a batch is, so are all with lower numbers.
//
// Nobody who commits waits for those who take. What waits is bounded: beyond Options.Changes all of it is dropped, and Take
// returns ErrGap.
type Changes struct {
	s     *Store
	woken chan struct{} // holds one: something has come
	much  chan struct{} // holds one: see Much
	most  int           // bytes that may wait

	mu       sync.Mutex // guards the following
	next     uint64     // the number with which the change after the queue begins; 0: not known yet
	queue    []Change   // in order
	early    map[uint64]Change
	bytes    int // of queue and early
	durable  uint64
	lastMS   int64 // of the newest in queue
	gap      bool
	gapMS    int64  // since when
	outMS    int64  // time of the oldest that was taken, and is not settled; 0: none
	openedAt uint64 // see Store.Opened
}

// batchHeader is the number of a batch and the count of what it holds: little-endian, 8 and 4 bytes.
const batchHeader = 12

func newChanges(s *Store, most int, tail []Change) *Changes {
	c := &Changes{s: s, most: most, woken: make(chan struct{}, 1), much: make(chan struct{}, 1), early: map[uint64]Change{}, queue: tail}
	for i := range tail {
		c.bytes += len(tail[i].Batch)
	}
	if n := len(tail); n > 0 {
		c.next, c.lastMS = tail[n-1].End, tail[n-1].AtMS
	}
	return c
}

func numbersOf(batch []byte) (first, end uint64) {
	first = binary.LittleEndian.Uint64(batch)
	return first, first + uint64(binary.LittleEndian.Uint32(batch[8:]))
}

// opened takes the first batch of this run. What the log held before it ends there, or is not what was recovered.
func (c *Changes) opened(batch []byte) {
	first, end := numbersOf(batch)
	c.mu.Lock()
	if c.next != first {
		c.queue, c.bytes = nil, 0
	}
	c.next, c.openedAt = first, first
	c.mu.Unlock()
	c.add(changeOf(batch))
	c.reached(end)
}

// changeOf copies a batch that has been applied.
func changeOf(batch []byte) Change {
	first, end := numbersOf(batch)
	return Change{First: first, End: end, AtMS: time.Now().UnixMilli(), Batch: append([]byte(nil), batch...)}
}

// add takes a change that has been applied.
func (c *Changes) add(ch Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gap || ch.First < c.next {
		return
	}
	if c.bytes += len(ch.Batch); c.bytes > c.most {
		c.dropped()
		return
	}
	if c.bytes > c.most/8 {
		signal(c.much)
	}
	from := len(c.queue)
	if ch.First != c.next {
		c.early[ch.First] = ch
		return
	}
	c.queue = append(c.queue, ch)
	c.next = ch.End
	c.advance(from)
}

// advance moves what has its predecessor to the queue, which has grown since it had from changes. mu is held.
func (c *Changes) advance(from int) {
	for len(c.early) > 0 {
		ch, ok := c.early[c.next]
		if !ok {
			break
		}
		delete(c.early, c.next)
		c.queue = append(c.queue, ch)
		c.next = ch.End
	}
	// One that was added late was applied before those after it.
	for i := len(c.queue) - 2; i >= from; i-- {
		c.queue[i].AtMS = min(c.queue[i].AtMS, c.queue[i+1].AtMS)
	}
	for i := from; i < len(c.queue); i++ { // a clock may step back
		c.lastMS = max(c.lastMS, c.queue[i].AtMS)
		c.queue[i].AtMS = c.lastMS
	}
	if from < len(c.queue) {
		c.wake()
	}
}

func (c *Changes) wake() { signal(c.woken) }

// signal puts one into a channel that holds one.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// drop forgets all that waits. mu is held.
func (c *Changes) drop() {
	c.queue, c.bytes = nil, 0
	clear(c.early)
}

// Lose drops what waits, and makes a gap: the database has changed beside the log, or what was taken is lost.
func (c *Changes) Lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped()
}

// dropped makes a gap. mu is held.
func (c *Changes) dropped() {
	c.gapMS = time.Now().UnixMilli()
	if len(c.queue) > 0 {
		c.gapMS = min(c.gapMS, c.queue[0].AtMS)
	}
	c.drop()
	c.gap = true
	c.wake()
}

// Applied returns the number before which everything has been applied.
func (c *Changes) Applied() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// reached says that everything before a number is durable.
func (c *Changes) reached(end uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if end > c.durable {
		c.durable = end
		c.wake()
	}
}

// Woken receives after there may be more to take.
func (c *Changes) Woken() <-chan struct{} { return c.woken }

// Much receives after an eighth of what may wait has come: who lets more come together takes it now, or it is dropped.
func (c *Changes) Much() <-chan struct{} { return c.much }

// Take removes and returns what is durable and in order, of some limit bytes at most, but one change at least if there is any. It
// returns ErrGap until Begin. Who else takes them has the same batches, so nobody changes one.
func (c *Changes) Take(limit int) ([]Change, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gap {
		return nil, ErrGap
	}
	n, size := 0, 0
	for n < len(c.queue) && c.queue[n].End <= c.durable && (n == 0 || size+len(c.queue[n].Batch) <= limit) {
		size += len(c.queue[n].Batch)
		n++
	}
	taken := c.queue[:n:n]
	if n > 0 {
		c.outMS = taken[0].AtMS
	}
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	c.bytes -= size
	if n > 0 && len(c.queue) > 0 {
		c.wake()
	}
	return taken, nil
}

// Skip forgets what comes before a number: who takes has it. It returns false, and forgets nothing, when changes between the two are not here.
func (c *Changes) Skip(end uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gap || end > c.next || end < c.first() {
		return false
	}
	for len(c.queue) > 0 && c.queue[0].First < end {
		c.bytes -= len(c.queue[0].Batch)
		c.queue = c.queue[1:]
	}
	return true
}

// first is the number of the oldest change that is here. mu is held.
func (c *Changes) first() uint64 {
	if len(c.queue) > 0 {
		return c.queue[0].First
	}
	return c.next
}

// Settled says that what was taken is where it was to go.
func (c *Changes) Settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outMS = 0
}

// OldestMS is the time of the oldest change that waits, or was taken and is not settled; 0: there is none.
func (c *Changes) OldestMS() (oldest int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	older := func(ms int64) {
		if ms != 0 && (oldest == 0 || ms < oldest) {
			oldest = ms
		}
	}
	older(c.outMS)
	if c.gap {
		older(c.gapMS)
	}
	if len(c.queue) > 0 {
		older(c.queue[0].AtMS)
	}
	for _, ch := range c.early {
		older(ch.AtMS)
	}
	return oldest
}

// Opened returns the number of the first change of this run: what came before it is what Open has found.
func (c *Changes) Opened() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.openedAt
}

// Reached returns a number that all that is in the database now is before: a copy of it made by now has nothing later. What is before it is durable.
func (s *Store) Reached() (number uint64, err error) {
	b := s.db.NewBatch() // of nothing that is numbered: it has the number of what comes after it
	err = errors.Join(s.check(), b.LogData(nil, nil))
	if err == nil {
		err = s.guard("barrier", func() error { return s.db.Apply(b, pebble.Sync) })
	}
	if err != nil {
		return 0, err
	}
	number = uint64(b.SeqNum())
	return number, b.Close()
}

// Changes returns what is committed from the Open on, and what the log held before it, for the first who takes it; nil without Options.Changes.
func (s *Store) Changes() *Changes { return s.ChangesOf(0) }

// ChangesOf is Changes for another of Options.Takers, from 0 on.
func (s *Store) ChangesOf(taker int) *Changes {
	if s.changes == nil {
		return nil
	}
	return s.changes[taker]
}

// metaChanges is written to know where changes begin anew.
const metaChanges = "changes"

// Begin drops what waits, and collects anew. What is copied of the database after it has returned, and the changes that
// are taken from then on, have nothing between them.
func (c *Changes) Begin() error {
	s := c.s
	c.mu.Lock()
	c.drop()
	c.next, c.gap = 0, false
	c.mu.Unlock()
	// Whatever is applied after this mark is added after the lines above.
	b := s.NewBatch()
	defer b.Close()
	b.Set(metaKey(metaChanges), []byte{metaVersion})
	mark := s.Begin()
	if err := s.Apply(mark, b); err != nil {
		return err
	}
	c.mu.Lock()
	c.next = mark.end - 1
	for first, ch := range c.early {
		if first < c.next {
			c.bytes -= len(ch.Batch)
			delete(c.early, first)
		}
	}
	c.advance(0)
	c.mu.Unlock()
	return s.Sync(mark)
}

// logTail returns the newest changes that the logs of a database hold, which is not open: those that lie without a gap before their end, at most
// limit bytes. Where a log cannot be read is its end: the engine sees it so, or refuses to open.
func logTail(f vfs.FS, dir string, limit int) (tail []Change, err error) {
	logs, err := wal.Scan(wal.Dir{FS: f, Dirname: dir})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bytes := 0
	for i := range logs {
		at := time.Now().UnixMilli()
		if lf, path := logs[i].SegmentLocation(0); true {
			if info, err := lf.Stat(path); err == nil && info.ModTime().UnixMilli() < at {
				at = info.ModTime().UnixMilli() // not before the last write to it
			}
		}
		r := logs[i].OpenForRead()
		for {
			record, _, err := r.NextRecord()
			if err != nil {
				break
			}
			batch, err := io.ReadAll(record)
			if err != nil || len(batch) < batchHeader {
				break
			}
			first, end := numbersOf(batch)
			if first == end { // a mark without content
				continue
			}
			if n := len(tail); n > 0 && tail[n-1].End != first {
				tail, bytes = nil, 0
			}
			tail = append(tail, Change{First: first, End: end, AtMS: at, Batch: batch})
			for bytes += len(batch); bytes > limit; tail = tail[1:] {
				bytes -= len(tail[0].Batch)
			}
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	return tail, nil
}
