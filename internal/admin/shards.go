package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Tables lists the tables of the scope whose names have find in them.
func (c *Client) Tables(ctx context.Context, find string) (t Tables, err error) {
	err = c.document(ctx, http.MethodGet, "tables", url.Values{"find": {find}}, nil, &t)
	return t, err
}

// Shards lists the shards of a table's newest stream.
func (c *Client) Shards(ctx context.Context, table string) (s Shards, err error) {
	err = c.document(ctx, http.MethodGet, "shards", url.Values{"table": {table}}, nil, &s)
	return s, err
}

// SplitShard splits one open shard of a table in two.
func (c *Client) SplitShard(ctx context.Context, table, shard string) (s Shards, err error) {
	err = c.document(ctx, http.MethodPost, "shards/split", url.Values{"table": {table}, "shard": {shard}}, nil, &s)
	return s, err
}

// SplitShards splits the widest shards of a table until there are into.
func (c *Client) SplitShards(ctx context.Context, table string, into int) (s Shards, err error) {
	err = c.document(ctx, http.MethodPost, "shards/split", url.Values{"table": {table}, "into": {strconv.Itoa(into)}}, nil, &s)
	return s, err
}
