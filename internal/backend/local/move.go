package local

import (
	"context"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
)

// Locate implements backend.Backend.
func (b *Backend) Locate(_ context.Context, arn, shard string, at backend.Place) (backend.Located, error) {
	s := b.streams.Get(arn)
	if s == nil {
		return backend.Located{}, backend.ErrNoStream
	}
	sh := s.Shard(shard)
	if sh == nil {
		return backend.Located{}, nil
	}
	return locate(sh, at)
}

func locate(sh *stream.Shard, at backend.Place) (l backend.Located, err error) {
	switch {
	case at.Horizon:
		l.Low = sh.Horizon()
	case at.Latest:
		l.Low = sh.Head()
	case !at.Time.IsZero():
		l.Low, err = sh.Before(at.Time.UnixMilli())
	default:
		l.Low, l.Here, err = sh.BeforeRecord(at.Record)
	}
	l.Ordinal = l.Low.Lo
	return l, err
}

// Reposition implements backend.Backend.
func (b *Backend) Reposition(_ context.Context, r backend.Repositioned) error {
	uuid, err := id(r.Mapping.UUID)
	if err != nil {
		return err
	}
	batch := b.store.NewBatch()
	defer batch.Close()
	if _, err := putDefinition(batch, uuid, &r.Mapping); err != nil {
		return err
	}
	putAside(batch, uuid, r.Aside)
	err = b.change(batch, func() error {
		if _, found := b.known[uuid]; !found {
			return backend.ErrNoMapping
		}
		for i := range r.Rows {
			if row := &r.Rows[i]; !b.dropped(uuid, row.Shard) {
				putCheckpoint(batch, uuid, row.Shard, &row.Checkpoint)
				putWindow(batch, uuid, row)
			}
		}
		return b.skipped(batch, uuid, r.Skipped)
	})
	if err == nil {
		b.readers.advanced(r.Rows)
	}
	return err
}

// skipped records what a person had a mapping skip with what it has lost.
func (b *Backend) skipped(batch *store.Batch, uuid [16]byte, skips []backend.Skip) error {
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	all, err := b.readers.get(b)
	if err != nil || all[uuid] == nil {
		return err
	}
	now, _ := b.streams.Clock().Now()
	for _, s := range skips {
		all[uuid].record(batch, uuid, Unread{Shard: s.Shard, First: s.First, Last: s.Last, Count: s.Count, Why: skippedBy, At: now})
	}
	return nil
}

// skippedBy is why a person had records skipped.
const skippedBy stream.Why = "skipped"
