package local

import (
	"context"
	"errors"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// TransactSending implements dynamodb.Sending, of the door: a transaction of a node, which has its positions in tables. The messages are checked first, and staged when the items' conditions hold.
func (b *Backend) TransactSending(ctx context.Context, scope schema.Scope, r *request.TransactWriteItems, messages []byte) (*table.TransactWriteResult, error) {
	o, err := b.queues.Answered(scope, messages)
	if err != nil {
		return nil, unsent(err)
	}
	defer o.TakeBack()
	return b.tables.TransactWith(ctx, scope, r, &table.Rider{
		Build: func(batch *store.Batch) error {
			err := o.Fill(batch)
			if err != nil {
				o.TakeBack() // now: the tables may wait for the disk before they return
			}
			return unsent(err)
		},
		Applied: o.Applied,
	})
}

// unsent tells errors about messages from those about items.
func unsent(err error) error {
	if e, is := errors.AsType[*awserr.Error](err); is {
		return &awserr.Error{Code: wire.MessagesRefused, Message: e.Code + ": " + e.Message}
	}
	return err
}
