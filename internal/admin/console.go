package admin

import (
	"context"
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// ConsoleLink returns a new link by which one person gets into the server's console.
func (c *Client) ConsoleLink(ctx context.Context) (string, error) {
	var made wire.Console
	err := c.document(ctx, http.MethodPost, "console", nil, nil, &made)
	return made.URL, err
}
