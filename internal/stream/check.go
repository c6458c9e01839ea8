package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// Check reads the records of all shards: each has the form that it should, ordinals have no
// gaps from the oldest that is kept to the head, and times do not decrease. to is told of each stream, how many
// records it has, and what is wrong. Nothing may be written meanwhile.
func (ss *Streams) Check(ctx context.Context, to func(part string, n int64, faults []string)) error {
	for _, s := range ss.All() {
		var n int64
		var faults []string
		for _, sh := range s.Shards() {
			count, fault, err := sh.check(ctx)
			if err != nil && !errors.Is(err, store.ErrDamaged) {
				return err
			}
			if err != nil {
				fault = err.Error()
			}
			n += count
			if fault != "" {
				faults = append(faults, "shard "+sh.ID+": "+fault)
			}
		}
		to("records of stream "+s.Table+"/"+s.Label, n, faults)
	}
	return nil
}

// check returns the first fault of a shard.
func (sh *Shard) check(ctx context.Context) (n int64, fault string, err error) {
	if sh.broken != nil {
		return 0, "", sh.broken
	}
	it, err := sh.stream.streams.store.NewIter(sh.prefix, store.PrefixEnd(sh.prefix))
	if err != nil {
		return 0, "", err
	}
	defer it.Close()
	last, lastMS := sh.kept().Lo, int64(0)
	var in room
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return n, "", err
		}
		at := seqnum.FromBytes(it.Key()[len(sh.prefix):])
		r, err := sh.recordAt(it, &in)
		switch {
		case errors.Is(err, errRecord):
			return n, fmt.Sprintf("the record %s cannot be read", at), nil
		case err != nil:
			return n, "", err
		case at.Lo != last+1:
			return n, fmt.Sprintf("from record %d to %d there is a gap of %d", last, at.Lo, at.Lo-last-1), nil
		case r.Time() < lastMS:
			return n, fmt.Sprintf("the record %s is older than the one before it", at), nil
		}
		n, last, lastMS = n+1, at.Lo, r.Time()
	}
	if err := it.Close(); err != nil {
		return n, "", err
	}
	if head := sh.Head().Lo; last != head {
		return n, fmt.Sprintf("the last record is number %d, and the head is %d", last, head), nil
	}
	return n, "", nil
}

// Recount puts other totals for the shard's partition into b than its newest record carries. They
// take effect at the next open, and until the next record.
func (sh *Shard) Recount(b *store.Batch, items, bytes int64) error {
	last, err := sh.newest()
	if err != nil {
		return err
	}
	trimmed := sh.Trimmed()
	row := trimmed.Append([]byte{headVersion})
	head, ms := sh.opened, sh.lastMS
	if last != nil {
		head, ms = last.seq, last.Time()
	}
	row = head.Append(row)
	row = binary.BigEndian.AppendUint64(row, uint64(ms))
	row = binary.BigEndian.AppendUint64(row, uint64(items))
	row = binary.BigEndian.AppendUint64(row, uint64(bytes))
	b.Set(sh.headKey(), row)
	return nil
}
