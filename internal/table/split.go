package table

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sort"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
)

// A partition that is split keeps the lower half of its hashes with its number and
// its counts; the upper half becomes a new partition that counts from zero. So the
// counts of one partition are sums of what was written to it, and may be negative;
// those of all partitions together are the table's.
//
// A split or a roll-over ends the open shards of the partitions concerned and opens
// their children, in one batch, while it holds the table exclusively: no writer has
// the old descriptor in hand, so nothing lands in a shard that has ended.

// hashRange is where the range of a partition begins; it ends where the next one
// begins.
type hashRange struct {
	From      uint64 `json:"from"`
	Partition int    `json:"partition"`
}

// partition returns the number of the partition of a hash.
func (d *definition) partition(hash uint64) int {
	if d.Ranges == nil {
		return schema.Partition(hash, d.Partitions)
	}
	i := sort.Search(len(d.Ranges), func(i int) bool { return d.Ranges[i].From > hash })
	return d.Ranges[i-1].Partition // the first begins with 0
}

// ranges returns the ranges of all partitions, ascending; the slice is the
// caller's.
func (d *definition) ranges() []hashRange {
	if d.Ranges != nil {
		return slices.Clone(d.Ranges)
	}
	out := make([]hashRange, d.Partitions)
	for i := range out {
		out[i] = hashRange{schema.PartitionStart(i, d.Partitions), i}
	}
	return out
}

// halve splits range i and gives the upper half to a new partition.
func halve(ranges []hashRange, i, partition int) []hashRange {
	return slices.Insert(ranges, i+1, hashRange{ranges[i].From + width(ranges, i)/2, partition})
}

// width is how many hashes range i has, less one: all of them would be 2^64.
func width(ranges []hashRange, i int) uint64 {
	next := uint64(0)
	if i+1 < len(ranges) {
		next = ranges[i+1].From
	}
	return next - ranges[i].From - 1
}

func newPartition(table uint64, no int) *partition {
	return &partition{head: partitionHeadKey(table, no), indexHead: indexHeadKey(table, no)}
}

// openShards returns the open shard of each partition.
func openShards(s *stream.Stream, partitions int) []*stream.Shard {
	open := make([]*stream.Shard, partitions)
	for _, sh := range s.Shards() {
		if _, closed := sh.End(); !closed {
			open[sh.Partition] = sh
		}
	}
	return open
}

// SplitShards splits the partitions of a table and with them the open shards of
// its stream, when it has one: the shard with the id shard into two, or, when shard
// is empty, the widest ones until there are into. It returns the open shards' ids,
// by partition, when the split is durable.
func (db *DB) SplitShards(ctx context.Context, scope schema.Scope, name, shard string, into int) ([]string, error) {
	if shard == "" && (into < 1 || into > maxPartitions) {
		return nil, awserr.InvalidParameter("A table takes from 1 to 256 shards")
	}
	var ids []string
	var shown *stream.Reshaping
	err := db.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		t := db.find(scope, name)
		if t == nil {
			return nil, awserr.TableNotFound(name)
		}
		old := t.desc.Load()
		ranges := old.def.ranges()
		// pieces are the partitions that come of each that is split, itself first.
		pieces := make([][]uint32, len(ranges))
		root := make([]int, len(ranges)) // the partition that each was split off
		for i := range root {
			root[i] = i
		}
		split := func(i int) {
			from, no := ranges[i].Partition, len(ranges)
			root = append(root, root[from])
			if pieces[root[from]] == nil {
				pieces[root[from]] = []uint32{uint32(root[from])}
			}
			pieces[root[from]] = append(pieces[root[from]], uint32(no))
			ranges = halve(ranges, i, no)
		}
		if shard != "" {
			at := slices.IndexFunc(old.open, func(sh *stream.Shard) bool { return sh.ID == shard })
			if at < 0 {
				return nil, awserr.InvalidParameter("Table " + name + " has no open shard " + shard)
			}
			if len(ranges) == maxPartitions {
				return nil, awserr.InvalidParameter("A table takes from 1 to 256 shards")
			}
			split(slices.IndexFunc(ranges, func(r hashRange) bool { return r.Partition == at }))
		} else {
			if into < len(ranges) {
				return nil, awserr.InvalidParameter("Shards are split, never merged, and the table has more already")
			}
			for len(ranges) < into {
				widest := 0
				for i := range ranges {
					if width(ranges, i) > width(ranges, widest) {
						widest = i
					}
				}
				split(widest)
			}
		}
		next := *old
		next.def.Ranges, next.def.Partitions = ranges, len(ranges)
		if len(ranges) == old.def.Partitions {
			next.def.Ranges = old.def.Ranges
		}
		if err := putDefinition(b, &next.def); err != nil {
			return nil, err
		}
		t.lockExclusive()
		var of []stream.Succession
		for no, into := range pieces {
			if into != nil && old.stream != nil {
				of = append(of, stream.Succession{Parent: old.open[no], Partitions: into})
			}
		}
		var err error
		if shown, err = t.succeed(b, &next, of); err != nil {
			t.mu.Unlock()
			return nil, err
		}
		return func(applied bool) {
			defer t.mu.Unlock()
			if !applied {
				return
			}
			parts := slices.Clone(t.parts)
			for len(parts) < next.def.Partitions {
				parts = append(parts, newPartition(t.id, len(parts)))
			}
			t.parts = parts
			t.desc.Store(&next)
			ids = make([]string, len(next.open))
			for i, sh := range next.open {
				ids[i] = sh.ID
			}
		}, nil
	})
	if err != nil {
		return nil, err
	}
	if shown != nil {
		shown.Durable()
	}
	return ids, nil
}

// succeed ends shards and puts their children into d. The totals that their log
// carried go on from the head rows. The caller holds t exclusively.
func (t *Table) succeed(b *store.Batch, d *descriptor, of []stream.Succession) (*stream.Reshaping, error) {
	if len(of) == 0 {
		return nil, nil
	}
	shown, children, err := d.stream.Succeed(b, of)
	if err != nil {
		return nil, err
	}
	d.open = append(make([]*stream.Shard, 0, d.def.Partitions), d.open...)[:d.def.Partitions]
	for _, sh := range children {
		d.open[sh.Partition] = sh
	}
	for _, u := range of {
		p := t.parts[u.Parent.Partition]
		b.Set(p.head, appendHead(nil, p.items, p.bytes))
	}
	return shown, nil
}

// RollShards is the worker that ends each shard some time after it was opened and
// opens its one child, as AWS does about every four hours. A shard without a record
// stays: nothing is gained by many empty ones. It returns when ctx is done or the
// store has failed.
func (db *DB) RollShards(ctx context.Context, every time.Duration, log *slog.Logger) error {
	look := min(max(every/10, 10*time.Millisecond), time.Minute)
	return db.streams.Clock().Every(ctx, look, nil, func() error {
		if err := db.rollShards(ctx, db.now().Add(-every)); err != nil {
			if db.store.Err() != nil {
				return err
			}
			log.Warn("shards could not be rolled over; trying again", "error", err)
		}
		return nil
	})
}

// rollShards rolls over the shards that were opened at or before a moment.
func (db *DB) rollShards(ctx context.Context, opened time.Time) error {
	for name, t := range *db.tables.Load() {
		t.mu.RLock()
		due := t.due(t.desc.Load(), opened.UnixMilli())
		t.mu.RUnlock()
		if len(due) == 0 {
			continue
		}
		var shown *stream.Reshaping
		err := db.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
			t.lockExclusive()
			next := *t.desc.Load()
			if next.dropped || db.find(name.Scope, name.name) != t {
				t.mu.Unlock()
				return func(bool) {}, nil
			}
			var err error
			if shown, err = t.succeed(b, &next, t.due(&next, opened.UnixMilli())); err != nil {
				t.mu.Unlock()
				return nil, err
			}
			return func(applied bool) {
				defer t.mu.Unlock()
				if applied {
					t.desc.Store(&next)
				}
			}, nil
		})
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if shown != nil {
			shown.Durable()
		}
	}
	return nil
}

// due are the successions of the open shards that were opened at or before ms and
// have a record. The caller holds t.
func (t *Table) due(d *descriptor, ms int64) []stream.Succession {
	var of []stream.Succession
	for i, sh := range d.open {
		if sh.Opened() > ms {
			continue
		}
		t.parts[i].mu.Lock()
		empty := sh.Empty()
		t.parts[i].mu.Unlock()
		if !empty {
			of = append(of, stream.Succession{Parent: sh, Partitions: []uint32{uint32(i)}})
		}
	}
	return of
}
