package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// Shard is one segment of a stream's log.
//
// Fields under "stamping" are guarded by the lock of the partition that the
// shard belongs to (package table), which Append's caller holds; the rest is
// atomic or never changes.
type Shard struct {
	stream *Stream
	No     uint32
	ID     string
	Parent string     // empty for a root
	Start  seqnum.Num // below or equal to the first record's number
	// Partition is the table's partition that the shard is written for.
	Partition uint32

	prefix []byte // SpaceLog, stream id, shard number

	// stamping
	next   seqnum.Num // the number that the next record gets
	lastMS int64

	// opened is the head as of the opening of the database (or the making of the
	// shard): what is above it was written by this process and has its
	// incarnation.
	opened  seqnum.Num
	durable atomic.Uint64              // ordinal of the highest durable record
	stamped atomic.Uint64              // ordinal of the highest record that was given its number in this run
	end     atomic.Pointer[ending]     // set once, when it is durable that the shard has closed
	trimmed atomic.Pointer[seqnum.Num] // every record up to it is gone or about to go; nil: none
	hidden  atomic.Pointer[seqnum.Num] // every record up to it is past the retention; nil: none is known to be
	tail    tail
	// born is the change that made the shard while readers do not know of it.
	born atomic.Pointer[Reshaping]

	totals *Totals // as of opening; nil when the shard had no record
	broken error   // why its end could not be found at the opening: then it takes no records, and gives none
}

// Totals are the item count and bytes of a partition after a record.
type Totals struct{ Items, Bytes int64 }

// Recovered returns the totals of the shard's partition as of the opening of the
// database, nil when the shard had no record.
func (sh *Shard) Recovered() *Totals { return sh.totals }

// Broken is why the shard can take no records: damage has left its end unknown. nil: it can.
func (sh *Shard) Broken() error { return sh.broken }

func (st *Stream) newShard(no uint32, id, parent string, start seqnum.Num) *Shard {
	sh := &Shard{stream: st, No: no, Partition: no, ID: id, Parent: parent, Start: start}
	sh.prefix = append(sh.prefix, store.SpaceLog)
	sh.prefix = binary.BigEndian.AppendUint64(sh.prefix, st.ID)
	sh.prefix = binary.BigEndian.AppendUint32(sh.prefix, no)
	return sh
}

// resume sets the shard to go on after head, in the incarnation of this run.
func (sh *Shard) resume(head seqnum.Num, incarnation uint64, lastMS int64) {
	sh.opened = head
	sh.durable.Store(head.Lo)
	sh.next = seqnum.Num{Hi: incarnation, Lo: head.Lo + 1}
	sh.lastMS = lastMS
	sh.tail.reset(head.Lo + 1)
}

// Append stamps r and puts it into b. The caller holds the partition's lock and
// applies b before it releases it. nowMS is the clock (worker.Clock.Stamp); items and bytes are
// the partition's totals after the write.
func (sh *Shard) Append(b *store.Batch, r *Record, nowMS, items, bytes int64) {
	sh.lastMS = max(sh.lastMS, nowMS)
	r.stamp(sh.No, sh.next, sh.lastMS, items, bytes)
	var key [32]byte
	b.Set(r.seq.Append(append(key[:0], sh.prefix...)), r.value)
	sh.tail.push(r, &sh.stream.streams.tails)
	sh.stream.streams.records.Add(1)
	sh.next.Lo++
	sh.stamped.Store(sh.next.Lo - 1)
}

// Committed tells that everything up to r is durable, and wakes the watchers.
// Calls may come in any order: durable is a prefix of the log.
func (sh *Shard) Committed(r *Record) {
	sh.raise(r.seq.Lo)
	if c := sh.born.Load(); c != nil {
		c.Durable() // what made the shard came before the record: whoever is told of it finds it
		return
	}
	sh.stream.wake()
}

func (sh *Shard) raise(ordinal uint64) {
	for {
		d := sh.durable.Load()
		if d >= ordinal {
			return // a later record's sync came first and covered this one
		}
		if sh.durable.CompareAndSwap(d, ordinal) {
			return
		}
	}
}

// Head is the number of the highest durable record, or the predecessor of Start
// when there was none.
func (sh *Shard) Head() seqnum.Num { return sh.at(sh.durable.Load()) }

// at returns the number of the record with this ordinal, at or above opened.
func (sh *Shard) at(ordinal uint64) seqnum.Num {
	if ordinal <= sh.opened.Lo {
		return sh.opened
	}
	return seqnum.Num{Hi: sh.stream.incarnation, Lo: ordinal}
}

// Trimmed is the highest number that retention has removed or is removing; zero
// when none. It is raised before records go, so that who finds them gone, and
// looks, finds the reason.
func (sh *Shard) Trimmed() seqnum.Num {
	if p := sh.trimmed.Load(); p != nil {
		return *p
	}
	return seqnum.Num{}
}

// kept is the position before the oldest record that is still in the log.
func (sh *Shard) kept() seqnum.Num {
	if t := sh.Trimmed(); !t.IsZero() {
		return t
	}
	return sh.Start.Prev()
}

// Past is the highest number that is past the retention, whether it has been removed or
// is kept for readers that are behind; zero when none.
func (sh *Shard) Past() seqnum.Num {
	t := sh.Trimmed()
	if h := sh.hidden.Load(); h != nil && t.Less(*h) {
		return *h
	}
	return t
}

// Horizon is the position before the oldest record that is not past the retention.
func (sh *Shard) Horizon() seqnum.Num {
	if p := sh.Past(); !p.IsZero() {
		return p
	}
	return sh.Start.Prev()
}

// Last is the position before the last n durable records that are not past the retention, or the horizon when there are fewer.
func (sh *Shard) Last(n uint64) (seqnum.Num, error) {
	head, horizon := sh.Head(), sh.Horizon()
	if head.Lo <= n || head.Lo-n <= horizon.Lo {
		return horizon, nil
	}
	return sh.ordinal(head.Lo - n)
}

// Page is the answer of Read.
type Page struct {
	Records []*Record
	// End: the shard is closed and nothing follows the last of Records.
	End bool
	// Missed are the records right above the position asked for that retention had
	// removed before this Read; nil when there are none.
	Missed *Range
	// Coming: there are records above these that are not durable yet.
	Coming bool
}

// Range is a range of records: Count of them lie from First to Last, which bound
// it and need not be records' numbers.
type Range struct {
	First, Last seqnum.Num
	Count       uint64
}

// Read returns durable records with numbers above after, in order: at most
// maxRecords, and no more once their sizes have reached maxBytes (at least one
// when there is one). size says how a record counts.
//
// Page.Missed is exact when after is the number of a record of the shard, a head,
// a horizon, or below Start: ordinals have no gaps, so that what is missing between
// after and the first record was trimmed. It is told from what this Read found, not
// from Trimmed: retention may run at the same time, and a record still in the tail
// is read although its row is gone.
func (sh *Shard) Read(after seqnum.Num, maxRecords, maxBytes int, size func(*Record) int) (Page, error) {
	return sh.page(after, maxRecords, maxBytes, size, false)
}

// ReadEvents is Read for who wants the records' events, whose lengths are their sizes.
func (sh *Shard) ReadEvents(after seqnum.Num, maxRecords, maxBytes int) (Page, error) {
	return sh.page(after, maxRecords, maxBytes, (*Record).EventSize, true)
}

// page is Read; events: each record's event is rendered.
func (sh *Shard) page(after seqnum.Num, maxRecords, maxBytes int, size func(*Record) int, events bool) (Page, error) {
	if sh.broken != nil {
		return Page{}, sh.broken
	}
	if before := sh.Start.Prev(); after.Less(before) {
		after = before
	}
	// The end is read first: when it is set, every record was stamped before, and
	// the durable mark tells whether all of them may be shown.
	end := sh.end.Load()
	stamped := sh.stamped.Load() // before the mark: what was stamped when Read began is returned, or Coming
	durable := sh.durable.Load()
	head := sh.at(durable)
	var p Page
	if after.Less(head) {
		var err error
		if p.Records, err = sh.read(after, durable, max(1, maxRecords), maxBytes, size, events); err != nil {
			return Page{}, err
		}
		if n := len(p.Records); n > 0 {
			p.Missed = sh.missed(after, p.Records[0].seq.Prev())
			after = p.Records[n-1].seq
		} else {
			p.Missed = sh.missed(after, head) // all of it was trimmed
			after = head
		}
	}
	p.Coming = stamped > durable
	p.End = end != nil && durable >= end.ordinal && !after.Less(head)
	return p, nil
}

// missed is the range of the records above after up to last, nil when there are
// none.
func (sh *Shard) missed(after, last seqnum.Num) *Range {
	if last.Lo <= after.Lo {
		return nil
	}
	if t := sh.Trimmed(); t.Lo == last.Lo {
		last = t // the number that the record had, when it is of an earlier incarnation
	}
	return &Range{First: after.Next(), Last: last, Count: last.Lo - after.Lo}
}

func (sh *Shard) read(after seqnum.Num, durable uint64, maxRecords, maxBytes int, size func(*Record) int, events bool) ([]*Record, error) {
	if out := sh.tail.read(sh, after, durable, maxRecords, maxBytes, size); out != nil {
		return out, nil
	}
	return sh.readStore(after, sh.at(durable), maxRecords, maxBytes, size, events)
}

// readStore reads from the store what has left the tail.
func (sh *Shard) readStore(after, head seqnum.Num, maxRecords, maxBytes int, size func(*Record) int, events bool) ([]*Record, error) {
	lower := after.Next().Append(append([]byte(nil), sh.prefix...))
	upper := head.Next().Append(append([]byte(nil), sh.prefix...))
	it, err := sh.stream.streams.store.NewIter(lower, upper)
	if err != nil {
		return nil, err
	}
	out := make([]*Record, 0, min(uint64(maxRecords), head.Lo-min(head.Lo, after.Lo), 1000))
	total := 0
	var in room
	for ok := it.First(); ok && len(out) < maxRecords && (total < maxBytes || len(out) == 0); ok = it.Next() {
		r, err := sh.recordAt(it, &in)
		if err != nil {
			_ = it.Close()
			return nil, err
		}
		if events {
			in.render(r)
		}
		if total += size(r); total > maxBytes && len(out) > 0 {
			break
		}
		out = append(out, r)
	}
	return out, it.Close()
}

// recordAt returns the record at it, which lies in a room.
func (sh *Shard) recordAt(it *store.Iter, in *room) (*Record, error) {
	v, err := it.Value()
	if err != nil {
		return nil, err
	}
	r, v := in.record(v)
	seq := seqnum.FromBytes(it.Key()[len(sh.prefix):])
	if err := r.decode(sh, seq, v); err != nil {
		return nil, fmt.Errorf("%w: %s, shard %s, number %s", err, sh.stream.ARN, sh.ID, seq)
	}
	return r, nil
}

// newest returns the last record that the log holds, nil when there is none.
func (sh *Shard) newest() (*Record, error) {
	it, err := sh.stream.streams.store.NewIter(sh.prefix, store.PrefixEnd(sh.prefix))
	if err != nil {
		return nil, err
	}
	var r *Record
	if it.Last() {
		r, err = sh.recordAt(it, &room{})
	}
	// An iterator that failed looks as if it were at its end.
	if err := errors.Join(err, it.Close()); err != nil {
		return nil, err
	}
	return r, nil
}

// BeforeRecord returns the position right before the durable record n; false when the shard
// does not have it, or no longer.
func (sh *Shard) BeforeRecord(n seqnum.Num) (seqnum.Num, bool, error) {
	before, err := sh.lastWhere(func(at seqnum.Num, _ []byte) (bool, error) { return at.Less(n), nil })
	if err != nil {
		return seqnum.Num{}, false, err
	}
	page, err := sh.Read(before, 1, 0, func(*Record) int { return 1 })
	return before, err == nil && len(page.Records) > 0 && page.Records[0].seq == n, err
}

// Before returns the number of the last durable record whose time is below
// ms, or the position before the first that is kept when there is none. Times never
// decrease along the log.
func (sh *Shard) Before(ms int64) (seqnum.Num, error) {
	return sh.lastWhere(func(_ seqnum.Num, v []byte) (bool, error) {
		if len(v) < headerSize {
			return false, errRecord
		}
		return int64(binary.BigEndian.Uint64(v[4:])) < ms, nil
	})
}

// lastWhere returns the number of the last durable record for which before is true, or
// the position before the first that is kept when there is none. before is asked of
// records' numbers and values, and once false stays so along the log: a binary search
// over the space of numbers finds it in at most 128 seeks.
func (sh *Shard) lastWhere(before func(at seqnum.Num, value []byte) (bool, error)) (n seqnum.Num, err error) {
	if sh.broken != nil {
		return seqnum.Num{}, sh.broken
	}
	kept, head := sh.kept(), sh.Head()
	it, err := sh.stream.streams.store.NewIter(kept.Next().Append(append([]byte(nil), sh.prefix...)), head.Next().Append(append([]byte(nil), sh.prefix...)))
	if err != nil {
		return seqnum.Num{}, err
	}
	defer func() {
		// An iterator that failed looks as if it were at its end.
		err = errors.Join(err, it.Close())
	}()
	if !it.First() {
		return kept, nil
	}
	// Invariant: before is true of every record at or below lo, and of none at or
	// above hi.
	lo, hi := kept, head.Next()
	key := make([]byte, 0, 32)
	for lo.Next().Less(hi) {
		mid := between(lo, hi)
		if !it.SeekGE(mid.Append(append(key[:0], sh.prefix...))) {
			hi = mid
			continue
		}
		at := seqnum.FromBytes(it.Key()[len(sh.prefix):])
		v, err := it.Value()
		if err != nil {
			return seqnum.Num{}, err
		}
		is, err := before(at, v)
		if err != nil {
			return seqnum.Num{}, err
		}
		if is {
			lo = at
		} else {
			hi = mid
		}
	}
	return lo, nil // the position, or a record's number: it takes no other value
}

// between returns a number strictly between lo and hi, which are not neighbours.
func between(lo, hi seqnum.Num) seqnum.Num {
	// (lo + hi) / 2 without overflow: lo + (hi-lo)/2.
	dHi := hi.Hi - lo.Hi
	dLo := hi.Lo - lo.Lo
	if hi.Lo < lo.Lo {
		dHi--
	}
	dLo = dLo>>1 | dHi<<63
	dHi >>= 1
	n := seqnum.Num{Hi: lo.Hi + dHi, Lo: lo.Lo + dLo}
	if n.Lo < lo.Lo {
		n.Hi++
	}
	return n
}
