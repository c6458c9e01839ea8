package millstream

import (
	"context"
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

func (a source) Shards(ctx context.Context, q admin.ShardsQuery) (wire.Shards, error) {
	arn := q.Stream
	if arn == "" {
		if arn = a.s.tables.LatestStream(q.Scope, q.Table); arn == "" {
			return wire.Shards{}, wire.NotFound("table " + q.Table + " is not there or has no stream")
		}
	}
	st := a.s.streams.Get(arn)
	if st == nil {
		return wire.Shards{}, wire.NotFound("there is no stream " + arn)
	}
	out := wire.Shards{Stream: arn, Table: st.Table, Shards: []wire.Shard{}}
	for _, sh := range st.Shards() {
		end, closed := sh.End()
		shown := wire.Shard{
			ID: sh.ID, Parent: sh.Parent, Partition: sh.Partition, Opened: time.UnixMilli(sh.Opened()).UTC(), Closed: closed,
			Start: sh.Start.String(), Records: sh.Head().Lo - sh.Horizon().Lo,
		}
		if closed {
			shown.End = end.String()
		}
		out.Shards = append(out.Shards, shown)
	}
	return out, a.s.store.Barrier(ctx)
}

func (a source) SplitShards(ctx context.Context, scope schema.Scope, table, shard string, into int) (wire.Shards, error) {
	if _, err := a.s.tables.SplitShards(ctx, scope, table, shard, into); err != nil {
		var e *awserr.Error
		if errors.As(err, &e) {
			return wire.Shards{}, wire.BadRequest(e.Message)
		}
		return wire.Shards{}, err
	}
	if a.s.tables.LatestStream(scope, table) == "" {
		return wire.Shards{Table: table, Shards: []wire.Shard{}}, nil // for the stream that it may get
	}
	return a.Shards(ctx, admin.ShardsQuery{Scope: scope, Table: table})
}
