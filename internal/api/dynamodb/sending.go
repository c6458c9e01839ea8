package dynamodb

import (
	"context"
	"encoding/json"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Sending does a transaction together with messages, a list in the form of SendMessage requests.
type Sending interface {
	TransactSending(ctx context.Context, scope schema.Scope, r *request.TransactWriteItems, messages []byte) (*table.TransactWriteResult, error)
}

// RegisterSending makes p answer wire.SendingTarget. Who a request is from is asked as for TransactWriteItems.
func RegisterSending(p *awsjson.Protocol, s Sending) {
	p.Register(wire.SendingTarget, func(ctx context.Context, scope schema.Scope, body, dst []byte) ([]byte, error) {
		r, err := decoded(scope, body, request.DecodeTransactWriteItems)
		if err != nil {
			return dst, err
		}
		var more struct{ SendMessages json.RawMessage }
		if json.Unmarshal(body, &more) != nil || len(more.SendMessages) == 0 {
			return dst, awserr.Validation("SendMessages is required: a list in the form of SendMessage requests")
		}
		if r.Token.Text != "" { // it would be known again by its items alone, and other messages would not be sent
			return dst, awserr.Validation("ClientRequestToken cannot be given together with SendMessages")
		}
		answer, err := s.TransactSending(ctx, scope, r, more.SendMessages)
		if err != nil {
			return dst, err
		}
		return appendTransactWrite(dst, answer), nil
	})
}
