package admin

import (
	"context"
	"net/http"
	"net/url"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Node is a server that runs functions and triggers over the tables of another.
type Node = wire.Node

// Nodes lists the nodes of which the server is one.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	var all struct {
		Nodes []Node `json:"nodes"`
	}
	err := c.document(ctx, http.MethodGet, "nodes", nil, nil, &all)
	return all.Nodes, err
}

// DrainNode has a node, by its id or name, give its streams up in order and take none any more, or with off take its part again.
func (c *Client) DrainNode(ctx context.Context, name string, off bool) error {
	q := url.Values{"node": {name}}
	if off {
		q.Set("off", "true")
	}
	return c.document(ctx, http.MethodPost, "nodes/drain", q, nil, &struct{}{})
}
