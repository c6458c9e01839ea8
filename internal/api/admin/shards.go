package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/awserr"
)

// shards lists the shards of a stream that are kept, parents first. The stream is named by its ARN, or is the newest of a
// table.
func (h *handler) shards(r *http.Request) (any, error) {
	q := r.URL.Query()
	table, arn := q.Get("table"), q.Get("stream")
	if (table == "") == (arn == "") {
		return nil, wire.BadRequest("say either table= or stream=")
	}
	if arn == "" {
		if arn = h.Tables.LatestStream(h.scope(r), table); arn == "" {
			return nil, wire.NotFound("table " + table + " is not there or has no stream")
		}
	}
	return h.shardsOf(r.Context(), arn)
}

func (h *handler) shardsOf(ctx context.Context, arn string) (any, error) {
	st := h.Streams.Get(arn)
	if st == nil {
		return nil, wire.NotFound("there is no stream " + arn)
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
	return out, h.Store.Barrier(ctx)
}

// splitShards splits one open shard of a table in two, or its widest ones until there are into=.
func (h *handler) splitShards(r *http.Request) (any, error) {
	q, scope := r.URL.Query(), h.scope(r)
	table, shard, into := q.Get("table"), q.Get("shard"), 0
	if table == "" {
		return nil, wire.BadRequest("table= is missing")
	}
	if (shard == "") == (q.Get("into") == "") {
		return nil, wire.BadRequest("say either shard= or into=")
	}
	if shard == "" {
		var err error
		if into, err = strconv.Atoi(q.Get("into")); err != nil {
			return nil, wire.BadRequest("into=" + q.Get("into") + ": want a number")
		}
	}
	if _, err := h.Tables.SplitShards(r.Context(), scope, table, shard, into); err != nil {
		if e, ok := errors.AsType[*awserr.Error](err); ok {
			return nil, wire.BadRequest(e.Message)
		}
		return nil, err
	}
	arn := h.Tables.LatestStream(scope, table)
	if arn == "" {
		return wire.Shards{Table: table, Shards: []wire.Shard{}}, nil // they count for the stream that it may get
	}
	return h.shardsOf(r.Context(), arn)
}
