package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/schema"
)

// ShardSource is what the protocol needs of tables' shards.
type ShardSource interface {
	// Shards lists the shards of a stream that are kept, parents first.
	Shards(ctx context.Context, q ShardsQuery) (wire.Shards, error)

	// SplitShards splits one open shard of a table in two, or its widest ones until
	// there are into, and returns what Shards then does.
	SplitShards(ctx context.Context, scope schema.Scope, table, shard string, into int) (wire.Shards, error)
}

// ShardsQuery says of which stream: the newest of a table, or the one of an ARN.
type ShardsQuery struct {
	Scope         schema.Scope
	Table, Stream string
}

func (h *handler) shards(r *http.Request) (any, error) {
	q := r.URL.Query()
	query := ShardsQuery{Scope: h.scope(r), Table: q.Get("table"), Stream: q.Get("stream")}
	if (query.Table == "") == (query.Stream == "") {
		return nil, wire.BadRequest("say either table= or stream=")
	}
	return h.Source.Shards(r.Context(), query)
}

func (h *handler) splitShards(r *http.Request) (any, error) {
	q := r.URL.Query()
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
	return h.Source.SplitShards(r.Context(), h.scope(r), table, shard, into)
}
