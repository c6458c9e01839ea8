package stream

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// Reshaping is a change of a stream's shards whose batch has been built. Until it is
// durable readers see the shards as they were. Who saw the end of a shard earlier
// could store that it is done with a shard which, after a crash, is open and gets
// more records; who saw a child, that it has a position in a shard that is not.
//
// Changes of a stream are applied in the order of their numbers, so that one that
// is durable makes those before it durable. Each therefore holds the whole state.
type Reshaping struct {
	stream *Stream
	no     uint64
	shards []*Shard
	ends   map[*Shard]*ending // of shards that readers see open
	closed *time.Time         // when the stream was closed; nil: it is open
}

// change begins the next change. The caller holds mu.
func (s *Stream) change() *Reshaping {
	if p := s.pending; p != nil {
		return &Reshaping{stream: s, no: p.no + 1, shards: slices.Clone(p.shards), ends: maps.Clone(p.ends), closed: p.closed}
	}
	return &Reshaping{stream: s, no: s.shown + 1, shards: slices.Clone(s.Shards()), ends: map[*Shard]*ending{}, closed: s.closed.Load()}
}

// end is where a shard ends after the change, nil when it is open.
func (c *Reshaping) end(sh *Shard) *ending {
	if e := sh.end.Load(); e != nil {
		return e
	}
	return c.ends[sh]
}

// Durable shows a change, after its batch is durable, and wakes the watchers. It
// may be called more than once, and in any order with those of other changes.
func (c *Reshaping) Durable() {
	s := c.stream
	s.mu.Lock()
	if c.no > s.shown {
		s.shown = c.no
		// Children before the ends of their parents: who sees the end finds them.
		s.shards.Store(&c.shards)
		for _, sh := range c.shards {
			sh.born.Store(nil)
		}
		for sh, e := range c.ends {
			if sh.end.Load() == nil {
				sh.closed(e)
			}
		}
		if c.closed != nil {
			s.closed.Store(c.closed)
		}
		if s.pending == c {
			s.pending = nil
		}
	}
	s.mu.Unlock()
	s.wake()
}

// Close ends all shards of a stream and puts its definition into b. The caller
// holds the locks of all partitions of the table, applies b before it releases
// them, and calls Durable after the sync.
func (s *Stream) Close(b *store.Batch) (*Reshaping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.change()
	at := s.streams.now()
	c.closed = &at
	for _, sh := range c.shards {
		if c.end(sh) == nil {
			c.ends[sh] = sh.ending(at.UnixMilli())
		}
	}
	s.pending = c
	return c, s.put(b, c)
}

// Succession is the end of one shard and the partitions that its children write
// for: its own, and those that were split off it.
type Succession struct {
	Parent     *Shard
	Partitions []uint32
}

// Succeed ends shards, opens their children and puts the definition into b. The
// caller holds the locks of the shards' partitions (all writers of the table), and
// makes writers use the children before it releases them; it applies b before
// that, and calls Durable after the sync. Children come in the order asked for.
func (s *Stream) Succeed(b *store.Batch, of []Succession) (*Reshaping, []*Shard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.change()
	var children []*Shard
	now := s.streams.now().UnixMilli()
	for _, u := range of {
		end := u.Parent.ending(now)
		c.ends[u.Parent] = end
		start := u.Parent.next
		if !end.number.Less(start) { // an empty parent: its end is its start
			start = start.Next()
		}
		for _, partition := range u.Partitions {
			no := s.nextNo
			s.nextNo++
			sh := s.newShard(no, shardID(s.streams.tick(), s.ID, no), u.Parent.ID, start)
			sh.Partition = partition
			sh.resume(start.Prev(), s.incarnation, u.Parent.lastMS)
			sh.born.Store(c)
			children = append(children, sh)
		}
	}
	c.shards = append(c.shards, children...)
	s.pending = c
	return c, children, s.put(b, c)
}

// put puts the definition as of a change into b. The caller holds mu, or is the
// only one to know s.
func (s *Stream) put(b *store.Batch, c *Reshaping) error {
	d := definition{
		ID: s.ID, Scope: s.Scope, Table: s.Table, Label: s.Label, Keys: s.Keys, View: s.View,
		Created: s.Created.UnixMilli(), Shards: []shardDefinition{}, NextShard: s.nextNo,
	}
	if s.Retention > Retention {
		d.Retention = int(s.Retention / time.Hour)
	}
	if c.closed != nil {
		d.Closed = c.closed.UnixMilli()
	}
	for _, sh := range c.shards {
		sd := shardDefinition{No: sh.No, ID: sh.ID, Parent: sh.Parent, Start: sh.Start.String(), Partition: sh.Partition}
		if e := c.end(sh); e != nil {
			sd.End, sd.Last, sd.Closed = e.number.String(), e.ordinal, e.atMS
		}
		d.Shards = append(d.Shards, sd)
	}
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	b.Set(definitionKey(s.ID), append([]byte{definitionVersion}, body...))
	return nil
}

// End is the ending number of a closed shard.
func (sh *Shard) End() (end seqnum.Num, closed bool) {
	if p := sh.end.Load(); p != nil {
		return p.number, true
	}
	return seqnum.Num{}, false
}

// Opened is when the shard was made, in ms since 1970.
func (sh *Shard) Opened() int64 { return shardMS(sh.ID) }

// Empty reports whether the shard never had a record. The caller holds its
// partition's lock.
func (sh *Shard) Empty() bool { return sh.next.Lo == sh.Start.Lo }

// ending is how a shard closed: its ending number, the ordinal of its last record
// (or of what came before the shard when it has none), and when, in ms since 1970.
type ending struct {
	number  seqnum.Num
	ordinal uint64
	atMS    int64
}

// ending is where the shard ends if it takes no more records. The caller holds
// the partition's lock.
func (sh *Shard) ending(atMS int64) *ending {
	last := sh.next
	last.Lo--
	number := last
	if number.Less(sh.Start) {
		number = sh.Start // an empty shard ends where it starts
	}
	return &ending{number, last.Lo, atMS}
}

// closed shows the end of the shard, after that is durable. Every record was
// applied before the batch that closed the shard, so all of them are durable too,
// and whoever sees the end can read up to it.
func (sh *Shard) closed(e *ending) {
	sh.raise(e.ordinal)
	sh.end.Store(e)
}
