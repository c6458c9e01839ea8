package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

// ShardSource is what the protocol needs of tables' shards.
type ShardSource interface {
	// Shards lists the shards of a stream that are kept, parents first.
	Shards(ctx context.Context, q ShardsQuery) (Shards, error)

	// SplitShards splits one open shard of a table in two, or its widest ones until
	// there are into, and returns what Shards then does.
	SplitShards(ctx context.Context, scope schema.Scope, table, shard string, into int) (Shards, error)
}

// ShardsQuery says of which stream: the newest of a table, or the one of an ARN.
type ShardsQuery struct {
	Scope         schema.Scope
	Table, Stream string
}

// Shards are those of one stream.
type Shards struct {
	Stream string  `json:"stream"` // its ARN; "" when a table has none
	Table  string  `json:"table"`
	Shards []Shard `json:"shards"`
}

// Shard is a segment of a stream's log.
type Shard struct {
	ID        string    `json:"id"`
	Parent    string    `json:"parent,omitempty"`
	Partition uint32    `json:"partition"`
	Opened    time.Time `json:"opened"`
	Closed    bool      `json:"closed"`
	Start     string    `json:"start"`
	End       string    `json:"end,omitempty"`
	Records   uint64    `json:"records"` // durable and still kept
}

func (h *handler) shards(r *http.Request) (any, error) {
	q := r.URL.Query()
	query := ShardsQuery{Scope: h.scope(r), Table: q.Get("table"), Stream: q.Get("stream")}
	if (query.Table == "") == (query.Stream == "") {
		return nil, BadRequest("say either table= or stream=")
	}
	return h.Source.Shards(r.Context(), query)
}

func (h *handler) splitShards(r *http.Request) (any, error) {
	q := r.URL.Query()
	table, shard, into := q.Get("table"), q.Get("shard"), 0
	if table == "" {
		return nil, BadRequest("table= is missing")
	}
	if (shard == "") == (q.Get("into") == "") {
		return nil, BadRequest("say either shard= or into=")
	}
	if shard == "" {
		var err error
		if into, err = strconv.Atoi(q.Get("into")); err != nil {
			return nil, BadRequest("into=" + q.Get("into") + ": want a number")
		}
	}
	return h.Source.SplitShards(r.Context(), h.scope(r), table, shard, into)
}
