package admin

import (
	"context"
	"net/http"

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
