package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// The documents of queues.
type (
	Queue        = wire.Queue
	QueueMessage = wire.QueueMessage
)

// Queues lists the queues of the client's account and region.
func (c *Client) Queues(ctx context.Context) (all []Queue, err error) {
	err = c.document(ctx, http.MethodGet, "queues", nil, nil, &all)
	return all, err
}

// PeekQueue returns the first messages of a queue, 1 to 1000, and leaves them as they are.
func (c *Client) PeekQueue(ctx context.Context, queue string, most int) (all []QueueMessage, err error) {
	err = c.document(ctx, http.MethodGet, "queues/messages", url.Values{"queue": {queue}, "max": {strconv.Itoa(most)}}, nil, &all)
	return all, err
}

// PurgeQueue removes all messages of a queue.
func (c *Client) PurgeQueue(ctx context.Context, queue string) error {
	return c.document(ctx, http.MethodPost, "queues/purge", url.Values{"queue": {queue}}, nil, &struct{}{})
}

// RedriveQueue moves the messages of a dead-letter queue back, or to another queue, and returns how many there are.
func (c *Client) RedriveQueue(ctx context.Context, queue, to string) (messages int, err error) {
	var out wire.QueueRedrive
	err = c.document(ctx, http.MethodPost, "queues/redrive", url.Values{"queue": {queue}, "to": {to}}, nil, &out)
	return out.Messages, err
}
