package queue

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Queue is one queue.
type Queue struct {
	s  *Service
	id uint64

	shown atomic.Pointer[definition] // def, for who does not hold the lock

	mu      sync.Mutex // guards what follows, and the order of the queue's batches
	def     *definition
	deleted bool
	last    *store.Commit // the newest batch
	total   int           // messages
	age     age
	ready   line
	delayed line
	flights flights
	scratch []byte  // for a message's row
	puts    []entry // of the batch under way: in the store once it is applied
	trimmed []byte  // key up to which expired deduplication ids are gone
	front   uint64  // there is no message with a lower number, nor will be
	waiters []*waiter
	timer   *worker.Timer
	timerAt int64 // when it fires; 0: it does not

	stale    bool // a batch was given up: see giveUp
	attempts map[string]attempt
	noted    []noted // when they were made, the first first
	purgedMS int64   // the latest PurgeQueue; 0: none since the start
}

func newQueue(s *Service, d *definition) *Queue {
	q := &Queue{s: s, id: d.ID, attempts: map[string]attempt{}}
	q.define(d)
	q.ready.row, q.delayed.row = rowReady, rowDelayed
	q.forget()
	return q
}

// forget is for a queue that has no message left.
func (q *Queue) forget() {
	q.total, q.age = 0, age{oldest: math.MaxInt64, added: math.MaxInt64, rising: true}
	q.ready.reset()
	q.delayed.reset()
	q.flights.reset()
}

func (q *Queue) definition() *definition { return q.shown.Load() }

// define gives the queue a definition. The caller holds the lock.
func (q *Queue) define(d *definition) {
	q.def = d
	q.shown.Store(d)
}

func (q *Queue) gone() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.deleted
}

// ARN, Name and Scope name the queue.
func (q *Queue) ARN() string      { return q.definition().arn() }
func (q *Queue) Name() string     { return q.definition().Name }
func (q *Queue) Scope() arn.Scope { return q.definition().Scope }

// FIFO says which kind of queue it is; VisibilitySeconds is how long what was received stays invisible.
func (q *Queue) FIFO() bool             { return q.definition().settings.fifo }
func (q *Queue) VisibilitySeconds() int { return q.definition().settings.visibility }

// Tags returns the queue's tags, which are not to be changed.
func (q *Queue) Tags() map[string]string { return q.definition().Tags }

// count counts the messages at the start. newest becomes at least the latest moment at which one was sent or received, as far as rows tell:
// the clock was there.
func (q *Queue) count(newest *int64) error {
	fifo := q.def.settings.fifo
	was := func(ms int64) { *newest = max(*newest, ms) }
	receivedAt := func(seq uint64) error {
		st, found, err := q.state(seq)
		if found {
			was(st.received)
		}
		return err
	}
	err := q.s.each(q.key(rowReady), func(rest, v []byte) error {
		if len(rest) != 16 || len(v) < 5 {
			return errStateRow
		}
		if !fifo {
			q.total++
		}
		due, seq := int64(binary.BigEndian.Uint64(rest)), binary.BigEndian.Uint64(rest[8:])
		switch {
		case due <= *newest: // it tells nothing
		case fifo:
			return q.eachOf(string(v[5:]), seq, func(seq uint64, _ int64) (bool, error) {
				err := receivedAt(seq)
				return err == nil, err
			})
		case binary.BigEndian.Uint32(v[1:]) == 0:
			was(due)
		default:
			return receivedAt(seq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	counted := byte(rowDelayed)
	if fifo {
		counted = rowOrder
	}
	if err := q.s.each(q.key(counted), func([]byte, []byte) error { q.total++; return nil }); err != nil || q.total == 0 {
		return err
	}
	q.ready.beyond, q.delayed.beyond = 0, 0
	q.age.oldest, q.age.rising = 0, fifo
	// The delay of the last is not known, and the shown time may have been another one.
	return q.s.eachBack(q.key(rowMessage), func(row []byte) (bool, error) {
		sent, due, err := times(row)
		was(max(min(sent, due), due-MaxDelay*1000))
		return false, err
	})
}

// load finds the messages in flight.
func (q *Queue) load(now int64) error {
	if q.total == 0 {
		return nil
	}
	lower := q.timed(rowReady, now+1, 0)
	it, err := q.s.store.NewIter(lower, q.key(rowReady+1))
	if err != nil {
		return err
	}
	var later []string                // groups whose entries are due later
	defer func() { _ = it.Close() }() // looked at below
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		e, err := q.decodeEntry(rowReady, it.Key(), v)
		if err != nil {
			return err
		}
		if q.def.settings.fifo {
			later = append(later, e.group)
		} else {
			q.flights.add(e.seq, flight{due: e.due, size: e.size})
		}
	}
	if err := it.Close(); err != nil {
		return err
	}
	if !q.def.settings.fifo {
		return nil
	}
	if err := q.loadFlying(now); err != nil {
		return err
	}
	// With a clock that was ahead, an entry may be due later although the first of its group is not in flight; an earlier release had it be due when the
	// last of the group's was visible again.
	b := q.s.store.NewBatch()
	defer b.Close()
	for _, group := range later {
		if err := q.regroup(b, group, now, nil); err != nil {
			return err
		}
	}
	if b.Empty() {
		return nil
	}
	c, err := q.apply(b)
	if err != nil {
		return err
	}
	return q.s.store.Sync(c)
}

// loadFlying finds the messages of a FIFO queue that are in flight: also those of groups whose first message is not.
func (q *Queue) loadFlying(now int64) error {
	return q.s.each(q.key(rowState), func(rest, v []byte) error {
		st, err := decodeState(v)
		if err != nil || st.due <= now {
			return err
		}
		if len(rest) != 8 {
			return errStateRow
		}
		seq := binary.BigEndian.Uint64(rest)
		row, found, err := q.s.store.Get(nil, q.numbered(rowMessage, seq))
		if err != nil || !found {
			return err
		}
		_, _, group, err := heading(row)
		q.flights.add(seq, flight{due: st.due, group: group})
		return err
	})
}

// eachOf calls f with the messages of a group from a number on, in order, with the moments at which they were first due,
// until it returns false.
func (q *Queue) eachOf(group string, from uint64, f func(seq uint64, due int64) (bool, error)) (err error) {
	it, err := q.s.store.NewIter(q.ordered(group, from), append(append(q.key(rowOrder), group...), 1))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		v, err := it.Value()
		if err != nil {
			return err
		}
		if len(v) != 8 {
			return errStateRow
		}
		if more, err := f(binary.BigEndian.Uint64(k[len(k)-8:]), int64(binary.BigEndian.Uint64(v))); err != nil || !more {
			return err
		}
	}
	return nil
}

// apply makes a batch visible. The caller holds the lock, and syncs the commit after it has released it.
func (q *Queue) apply(b *store.Batch) (*store.Commit, error) { return q.s.applyTo(b, q) }

// applyTo is apply for a batch of several queues.
func (s *Service) applyTo(b *store.Batch, queues ...*Queue) (*store.Commit, error) {
	c := s.store.Begin()
	for _, q := range queues {
		q.last = c
	}
	if err := s.store.Apply(c, b); err != nil {
		return nil, err
	}
	for _, q := range queues {
		q.applied()
	}
	return c, nil
}

// applied tells the memory of the entries of a batch that is in the store now.
func (q *Queue) applied() {
	for _, e := range q.puts {
		q.lineOf(e.row).put(e)
	}
	q.puts = q.puts[:0]
}

func (q *Queue) lineOf(row byte) *line {
	if row == rowDelayed {
		return &q.delayed
	}
	return &q.ready
}

// giveUp is for a batch that was not applied, although the memory was changed for it: that is read anew from the store before it is
// used again. The caller holds the lock.
func (q *Queue) giveUp() {
	q.stale, q.puts, q.trimmed = true, nil, nil
	q.rouse(q.s.now())
}

// update has f fill a batch under the lock and apply it. When f fails, what it has changed in memory is given up.
func (q *Queue) update(f func() (*store.Commit, error)) (*store.Commit, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted {
		return nil, awserr.QueueMissing()
	}
	if err := q.current(); err != nil {
		return nil, err
	}
	c, err := f()
	if err != nil {
		q.giveUp()
	}
	return c, err
}

// current sees to it that the memory is what the store has. The caller holds the lock.
func (q *Queue) current() error {
	if !q.stale {
		return nil
	}
	q.forget()
	newest := q.s.now()
	err := q.count(&newest)
	if err == nil {
		err = q.load(q.s.now())
	}
	if err != nil {
		q.giveUp()
		return err
	}
	q.stale = false
	return nil
}

// refresh is current for who does not hold the lock.
func (q *Queue) refresh() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted {
		return awserr.QueueMissing()
	}
	return q.current()
}

// settled waits until all that was done to the queue is durable: an answer may rest on it.
func (q *Queue) settled() error {
	q.mu.Lock()
	last := q.last
	q.mu.Unlock()
	if last == nil {
		return nil
	}
	return last.Wait()
}

// put writes an entry of the index.
func (q *Queue) put(b *store.Batch, e entry) {
	b.Set(q.entryKey(e), e.encode())
	q.puts = append(q.puts, e)
}

// drop removes one.
func (q *Queue) drop(b *store.Batch, e entry) {
	q.dropRow(b, e)
	q.lineOf(e.row).drop(e)
}

// dropRow removes its row, which was written once.
func (q *Queue) dropRow(b *store.Batch, e entry) {
	if q.def.settings.fifo {
		b.Delete(q.entryKey(e))
	} else {
		b.DeleteOnce(q.entryKey(e))
	}
}

// keepScratch is how large a scratch is kept, in bytes.
const keepScratch = 64 << 10

// add writes a new message, due at a moment, and returns its number. fresh are the groups of which this batch has made the
// index entry.
func (q *Queue) add(b *store.Batch, m *Message, now int64, fresh map[string]bool) (uint64, error) {
	seq := q.s.number()
	row := m.encode(q.scratch[:0])
	if cap(row) <= keepScratch {
		q.scratch = row
	}
	b.Set(q.numbered(rowMessage, seq), row)
	q.s.recent.put(seq, m, len(row))
	q.total++
	q.age.add(m.SentMS)
	e := entry{row: rowReady, due: m.DueMS, seq: seq}
	if m.DueMS > now {
		e.row = rowDelayed
	}
	if !q.def.settings.fifo {
		e.size = uint32(len(row))
		q.put(b, e)
		return seq, nil
	}
	b.Set(q.ordered(m.Group, seq), binary.BigEndian.AppendUint64(nil, uint64(m.DueMS)))
	if fresh[m.Group] {
		return seq, nil
	}
	_, found, err := q.groupEntry(m.Group)
	if err != nil {
		return 0, err
	}
	if !found {
		e.group = m.Group
		q.setGroup(b, e)
	}
	fresh[m.Group] = true
	return seq, nil
}

// setGroup writes a group's entry of the index.
func (q *Queue) setGroup(b *store.Batch, e entry) {
	b.Set(append(q.key(rowGroup), e.group...), encodeGroup(e))
	q.put(b, e)
}

// ofGroup is the entry of a group of which a message is the first that is left: it is due when that one is visible again, or, if it was never received,
// when that one is visible at first. The others of the group do not count: as at AWS, those behind one that is in flight wait for it, and those before it do
// not.
func (q *Queue) ofGroup(group string, seq uint64, due, now int64) (entry, error) {
	e := entry{group: group, row: rowReady, seq: seq, due: due}
	if fl, flying := q.flights.all[seq]; flying {
		e.due = fl.due
		return e, nil
	}
	st, received, err := q.state(seq)
	switch {
	case received:
		e.due = st.due
	case due > now:
		e.row = rowDelayed
	}
	return e, err
}

// regroup writes the entry of a group anew after a change; removed are messages that this batch removes.
func (q *Queue) regroup(b *store.Batch, group string, now int64, removed map[uint64]bool) error {
	old, found, err := q.groupEntry(group)
	if err != nil || !found {
		return err
	}
	var e entry
	err = q.eachOf(group, old.seq, func(seq uint64, due int64) (bool, error) {
		if removed[seq] {
			return true, nil
		}
		var err error
		e, err = q.ofGroup(group, seq, due, now)
		return false, err
	})
	if err != nil {
		return err
	}
	if e.seq == 0 {
		q.drop(b, old)
		b.Delete(append(q.key(rowGroup), group...))
		return nil
	}
	if e.row == old.row && e.due == old.due && e.seq == old.seq {
		return nil
	}
	q.drop(b, old)
	q.setGroup(b, e)
	return nil
}

// Counts of a queue's messages.
type Counts struct{ Visible, InFlight, Delayed int }

// Counts counts.
func (q *Queue) Counts() (Counts, error) {
	q.mu.Lock()
	c, err := q.counts()
	q.mu.Unlock()
	if err != nil {
		return Counts{}, err
	}
	return c.whole()
}

// counting is the counts of a moment, of which those with a delay are still to be counted. That passes over all of them, and so is done without the
// queue's lock.
type counting struct {
	q     *Queue
	now   int64
	total int
	c     Counts
	it    *store.Iter // of what may be delayed, as it was at the moment; nil: nothing is
}

// counts begins to count. The caller holds the lock, and calls whole when it has released it.
func (q *Queue) counts() (*counting, error) {
	if err := q.current(); err != nil {
		return nil, err
	}
	now := q.s.now()
	q.flights.expire(now)
	n := &counting{q: q, now: now, total: q.total, c: Counts{InFlight: len(q.flights.all)}}
	lower, upper := q.timed(rowDelayed, now+1, 0), q.key(rowDelayed+1)
	switch {
	case q.total == 0:
		return n, nil
	case q.def.settings.fifo: // all messages of a FIFO queue are delayed alike, so that those are the newest
		lower, upper = q.key(rowMessage), q.key(rowMessage+1)
	case q.delayed.due() == math.MaxInt64:
		return n, nil
	}
	var err error
	n.it, err = q.s.store.NewIter(lower, upper)
	return n, err
}

// whole ends the counting. It is called once.
func (n *counting) whole() (Counts, error) {
	var err error
	switch {
	case n.it == nil:
	case n.q.FIFO():
		for ok := n.it.Last(); ok; ok = n.it.Prev() {
			var row []byte
			if row, err = n.it.Value(); err != nil {
				break
			}
			var due int64
			if _, due, err = times(row); err != nil || due <= n.now {
				break
			}
			n.c.Delayed++
		}
		err = errors.Join(err, n.it.Close())
	default:
		for ok := n.it.First(); ok; ok = n.it.Next() {
			n.c.Delayed++
		}
		err = n.it.Close()
	}
	n.c.Visible = max(0, n.total-n.c.InFlight-n.c.Delayed)
	return n.c, err
}

// Ready says whether there is something that a receive would take out of the queue now.
func (q *Queue) Ready() (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.current(); err != nil || q.deleted || q.total == 0 {
		return false, err
	}
	now := q.s.now()
	q.flights.expire(now)
	for _, l := range []*line{&q.ready, &q.delayed} {
		if err := q.fill(l, now); err != nil {
			return false, err
		}
	}
	return q.due() <= now, nil
}

// eachBack calls f with the values of all rows whose keys begin with prefix, from the last, until it returns false.
func (s *Service) eachBack(prefix []byte, f func(value []byte) (bool, error)) (err error) {
	it, err := s.store.NewIter(prefix, store.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.Last(); ok; ok = it.Prev() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		if more, err := f(v); err != nil || !more {
			return err
		}
	}
	return nil
}

// purgePause is the least time between two purges, in ms.
const purgePause = 60_000

// Purge removes all messages. What was sent is remembered for deduplication.
func (q *Queue) Purge() error {
	q.mu.Lock()
	now := q.s.now()
	switch {
	case q.deleted:
		q.mu.Unlock()
		return awserr.QueueMissing()
	case q.purgedMS != 0 && now < q.purgedMS+purgePause:
		defer q.mu.Unlock()
		return awserr.PurgeInProgress(q.def.Name)
	}
	b := q.s.store.NewBatch()
	defer b.Close()
	for _, row := range []byte{rowMessage, rowState, rowReady, rowDelayed, rowOrder, rowGroup, rowDedup, rowExpiry} { // AWS forgets deduplication ids too
		b.DeleteRange(q.key(row), q.key(row+1))
	}
	c, err := q.apply(b)
	if err == nil {
		q.forget()
		q.purgedMS = now
	}
	q.mu.Unlock()
	if err != nil {
		return err
	}
	return q.s.store.Sync(c)
}

// remove takes a message away, in whatever state it is. Groups that are to be looked at again go into groups.
func (q *Queue) remove(b *store.Batch, seq uint64, due int64, group string, removed map[uint64]bool, groups map[string]bool) error {
	if removed[seq] {
		return nil
	}
	st, received, err := q.state(seq)
	if err != nil {
		return err
	}
	b.Delete(q.numbered(rowMessage, seq))
	if received {
		b.Delete(q.numbered(rowState, seq))
	}
	q.flights.remove(seq)
	removed[seq] = true
	q.total--
	if q.def.settings.fifo {
		b.Delete(q.ordered(group, seq))
		groups[group] = true
		return nil
	}
	// It has an entry in one of the two parts: by its state, or by how it was sent.
	e := entry{row: rowReady, due: due, seq: seq}
	if received {
		e.due = st.due
	} else {
		b.Delete(q.entryKey(entry{row: rowDelayed, due: due, seq: seq}))
		q.delayed.drop(entry{row: rowDelayed, due: due, seq: seq})
	}
	q.drop(b, e)
	return nil
}

// removeFlying is remove for a message of a standard queue that is in flight.
func (q *Queue) removeFlying(b *store.Batch, seq uint64, fl flight) {
	b.DeleteOnce(q.numbered(rowMessage, seq))
	if state := q.numbered(rowState, seq); fl.once {
		b.DeleteOnce(state)
	} else {
		b.Delete(state)
	}
	q.flights.remove(seq)
	q.total--
	q.drop(b, entry{row: rowReady, due: fl.due, seq: seq})
}

// Attributes returns the attributes that are named, all for "All".
func (q *Queue) Attributes(names []string) (map[string]string, error) {
	q.mu.Lock()
	d := q.def
	n, err := q.counts()
	q.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c, err := n.whole()
	if err != nil {
		return nil, err
	}
	return d.shown(names, c), q.settled()
}
