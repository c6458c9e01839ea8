package dynamodb

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Statements is the part of Tables that does PartiQL.
type Statements interface {
	ExecuteStatement(context.Context, schema.Scope, *request.ExecuteStatement) (*table.StatementResult, error)
	BatchExecuteStatement(context.Context, schema.Scope, *request.BatchExecuteStatement) (*table.BatchStatementResult, error)
	ExecuteTransaction(context.Context, schema.Scope, *request.ExecuteTransaction) (*table.TransactionResult, error)
}

func registerStatements(p *awsjson.Protocol, t Statements) {
	operation(p, "ExecuteStatement", request.DecodeExecuteStatement, t.ExecuteStatement, appendStatement)
	operation(p, "BatchExecuteStatement", request.DecodeBatchExecuteStatement, t.BatchExecuteStatement, appendBatchStatement)
	operation(p, "ExecuteTransaction", request.DecodeExecuteTransaction, t.ExecuteTransaction, appendStatementTransaction)
}

func appendStatement(dst []byte, r *table.StatementResult) []byte {
	dst = append(dst, `{"Items":`...)
	dst = appendItems(dst, r.Items, byHash)
	if r.NextToken != "" {
		dst = awsjson.AppendString(dst, "NextToken", r.NextToken)
	}
	if r.LastEvaluatedKey != nil {
		dst = appendItem(dst, "LastEvaluatedKey", r.LastEvaluatedKey)
	}
	if r.Capacity != nil {
		dst = appendCapacity(awsjson.Member(dst, "ConsumedCapacity"), r.Capacity)
	}
	return append(dst, '}')
}

func appendBatchStatement(dst []byte, r *table.BatchStatementResult) []byte {
	dst = append(dst, `{"Responses":[`...)
	for i := range r.Responses {
		s := &r.Responses[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		if e := s.Error; e != nil {
			dst = awsjson.Member(dst, "Error")
			dst = append(dst, '{')
			dst = awsjson.AppendString(dst, "Code", e.Code)
			dst = awsjson.AppendString(dst, "Message", e.Message)
			if e.Item != nil {
				dst = appendOrdered(dst, "Item", e.Item, byHash)
			}
			dst = append(dst, '}')
		}
		if s.Item != nil {
			dst = appendOrdered(dst, "Item", s.Item, byHash)
		}
		if s.Table != "" {
			dst = awsjson.AppendString(dst, "TableName", s.Table)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	return append(appendCapacities(dst, r.Capacity), '}')
}

func appendStatementTransaction(dst []byte, r *table.TransactionResult) []byte {
	return appendTransactGet(dst, &table.TransactGetResult{Items: r.Items, Capacity: r.Capacity})
}
