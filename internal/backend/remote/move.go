package remote

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// atTime is a place for Iterator: the first record of a moment, in ms since 1970, or later.
func atTime(ms int64) string { return timePrefix + strconv.FormatInt(ms, 10) }

const timePrefix = "AT "

// Locate implements backend.Log, at any node.
func (b *Backend) Locate(ctx context.Context, stream, shard string, at backend.Place) (l backend.Located, err error) {
	place := TrimHorizon
	switch {
	case at.Horizon:
	case at.Latest:
		place = Latest
	case !at.Time.IsZero():
		place = atTime(at.Time.UnixMilli())
	default:
		place = at.Record.Prev().String()
	}
	var page Records
	for pause := minPause; ; {
		iterator, err := b.iterate(ctx, stream, shard, place)
		if err == nil {
			page, err = b.records(ctx, iterator, 1, 0)
		}
		if errors.Is(err, ErrTrimmed) || errors.Is(err, ErrGone) {
			return backend.Located{}, nil
		}
		if err == nil {
			break
		}
		if err := b.pause(ctx, &pause, "a look for a place", err); err != nil {
			return l, err
		}
	}
	var records []*record
	if l.Low, records, err = parse(page, stream); err != nil {
		return l, err
	}
	l.Ordinal = b.countUpTo(stream, shard, l.Low)
	l.Here = !at.Record.IsZero() && len(records) > 0 && records[0].seq == at.Record
	return l, nil
}

// RepositionUnder implements backend.Shared. A node that dies amid it leaves a part of the shards where they were; the order is such that a record
// that is not behind a position any more may be set aside still, and never the other way round.
func (b *Backend) RepositionUnder(ctx context.Context, cl backend.Claim, r backend.Repositioned) error {
	c, ok := cl.(*claim)
	if !ok {
		return backend.ErrLost
	}
	if err := b.UpdateMapping(ctx, r.Mapping); err != nil {
		return err
	}
	if err := c.advanceAll(r.Mapping.UUID, r.Rows, nil, false); err != nil {
		return err
	}
	rows := map[string]lane.Checkpoint{}
	for _, row := range r.Rows {
		rows[row.Shard] = row.Checkpoint
	}
	c.feed.begin(rows, false)
	if len(r.Aside) == 0 {
		return nil
	}
	if err := c.changeAside(r.Mapping.UUID, r.Aside, nil); err != nil {
		return err
	}
	return c.advanceAll(r.Mapping.UUID, nil, nil, true)
}

// beginAt finds where a new mapping begins in some shards.
func (b *Backend) beginAt(ctx context.Context, stream string, shards []DescribedShard, at string) ([]seqnum.Num, error) {
	lows := make([]seqnum.Num, len(shards))
	err := each(numbersTo(len(shards)), func(i int) error {
		iterator, err := b.iterate(ctx, stream, shards[i].ID, at)
		if err != nil {
			return err
		}
		page, err := b.records(ctx, iterator, 1, 0)
		if err != nil {
			return err
		}
		lows[i], err = number(page.After)
		return err
	})
	return slices.Clip(lows), err
}
