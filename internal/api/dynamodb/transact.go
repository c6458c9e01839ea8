package dynamodb

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Transactions is the part of Tables that does several actions as one.
type Transactions interface {
	TransactWriteItems(context.Context, schema.Scope, *request.TransactWriteItems) (*table.TransactWriteResult, error)
	TransactGetItems(context.Context, schema.Scope, *request.TransactGetItems) (*table.TransactGetResult, error)
}

func registerTransactions(p *awsjson.Protocol, t Transactions) {
	operation(p, "TransactWriteItems", request.DecodeTransactWriteItems, t.TransactWriteItems, appendTransactWrite)
	operation(p, "TransactGetItems", request.DecodeTransactGetItems, t.TransactGetItems, appendTransactGet)
}

func appendTransactWrite(dst []byte, r *table.TransactWriteResult) []byte {
	dst = append(dst, '{')
	dst = appendCollections(dst, r.Collections)
	return append(appendCapacities(dst, r.Capacity), '}')
}

func appendTransactGet(dst []byte, r *table.TransactGetResult) []byte {
	dst = append(dst, `{"Responses":[`...)
	for i, it := range r.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		if it != nil {
			dst = appendOrdered(dst, "Item", it, byHash)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	return append(appendCapacities(dst, r.Capacity), '}')
}
