package admin

import (
	"context"
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Topic is the document of a topic.
type Topic = wire.Topic

// Topics lists the topics of the client's account and region.
func (c *Client) Topics(ctx context.Context) (all []Topic, err error) {
	err = c.document(ctx, http.MethodGet, "topics", nil, nil, &all)
	return all, err
}
