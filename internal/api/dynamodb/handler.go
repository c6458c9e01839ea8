package dynamodb

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Tables is what the door calls. Errors of type *awserr.Error go to the caller as
// they are.
type Tables interface {
	Transactions
	Statements
	Expiring
	Taggable
	Policies
	Recoverable
	Existing
	PutItem(context.Context, schema.Scope, *request.PutItem) (*table.WriteResult, error)
	DeleteItem(context.Context, schema.Scope, *request.DeleteItem) (*table.WriteResult, error)
	UpdateItem(context.Context, schema.Scope, *request.UpdateItem) (*table.WriteResult, error)
	ViewItem(context.Context, schema.Scope, *request.GetItem) (*table.GetResult, error)
	BatchGetItem(context.Context, schema.Scope, *request.BatchGetItem) (*table.BatchGetResult, error)
	BatchWriteItem(context.Context, schema.Scope, *request.BatchWriteItem) (*table.BatchWriteResult, error)
	QueryEach(context.Context, schema.Scope, *request.Query, func(item.Item)) (*table.QueryResult, error)
	ScanEach(context.Context, schema.Scope, *request.Scan, func(item.Item)) (*table.QueryResult, error)
	CreateTable(context.Context, schema.Scope, *request.CreateTable) (*table.Description, error)
	UpdateTable(context.Context, schema.Scope, *request.UpdateTable) (*table.Description, error)
	DescribeTable(context.Context, schema.Scope, *request.DescribeTable) (*table.Description, error)
	DeleteTable(context.Context, schema.Scope, *request.DeleteTable) (*table.Description, error)
	ListTables(context.Context, schema.Scope, *request.ListTables) (*table.ListResult, error)
}

// target is the API's version in X-Amz-Target.
const target = "DynamoDB_20120810."

// Register makes p answer the operations of the DynamoDB API by calls to t.
func Register(p *awsjson.Protocol, t Tables) {
	operation(p, "PutItem", request.DecodePutItem, t.PutItem, appendWrite)
	operation(p, "DeleteItem", request.DecodeDeleteItem, t.DeleteItem, appendWrite)
	operation(p, "UpdateItem", request.DecodeUpdateItem, t.UpdateItem, appendWrite)
	p.Register(target+"GetItem", func(ctx context.Context, scope schema.Scope, body, dst []byte) ([]byte, error) {
		return getItem(ctx, t, scope, body, dst)
	})
	operation(p, "BatchGetItem", request.DecodeBatchGetItem, t.BatchGetItem, appendBatchGet)
	operation(p, "BatchWriteItem", request.DecodeBatchWriteItem, t.BatchWriteItem, appendBatchWrite)
	paged(p, "Query", request.DecodeQuery, t.QueryEach, byValue)
	paged(p, "Scan", request.DecodeScan, t.ScanEach, byHash)
	registerTransactions(p, t)
	registerStatements(p, t)
	registerExpiring(p, t)
	registerTaggable(p, t)
	registerPolicies(p, t)
	registerRecoverable(p, t)
	registerUnused(p, t)
	operation(p, "CreateTable", request.DecodeCreateTable, t.CreateTable, appendTableDescription)
	operation(p, "UpdateTable", request.DecodeUpdateTable, t.UpdateTable, appendTableDescription)
	operation(p, "DeleteTable", request.DecodeDeleteTable, t.DeleteTable, appendTableDescription)
	operation(p, "DescribeTable", request.DecodeDescribeTable, t.DescribeTable, appendTable)
	operation(p, "ListTables", request.DecodeListTables, t.ListTables, appendList)
	operation(p, "DescribeLimits", request.DecodeDescribeLimits, describeLimits, appendConstant)
	operation(p, "DescribeEndpoints", request.DecodeDescribeEndpoints, describeEndpoints, appendConstant)
}

// foreigner is a request that names tables: they may be of another account or
// region, where this caller finds nothing.
type foreigner interface{ Foreign(schema.Scope) bool }

// operation registers decode, call, encode as one operation.
func operation[R, A any](
	p *awsjson.Protocol, name string,
	decode func(body []byte) (*R, error),
	call func(context.Context, schema.Scope, *R) (*A, error),
	encode func(dst []byte, answer *A) []byte,
) {
	p.Register(target+name, func(ctx context.Context, scope schema.Scope, body, dst []byte) ([]byte, error) {
		r, err := decoded(scope, body, decode)
		if err != nil {
			return dst, err
		}
		answer, err := call(ctx, scope, r)
		if err != nil {
			return dst, err
		}
		return encode(dst, answer), nil
	})
}

// decoded decodes a request, which must not name another account's tables.
func decoded[R any](scope schema.Scope, body []byte, decode func(body []byte) (*R, error)) (*R, error) {
	r, err := decode(body)
	if err != nil {
		return nil, err
	}
	if f, ok := any(r).(foreigner); ok && f.Foreign(scope) {
		return nil, awserr.ResourceNotFound()
	}
	return r, nil
}

// paged registers an operation that answers a page: each item goes from the store into the answer.
func paged[R any](
	p *awsjson.Protocol, name string,
	decode func(body []byte) (*R, error),
	call func(context.Context, schema.Scope, *R, func(item.Item)) (*table.QueryResult, error),
	numbers order,
) {
	p.Register(target+name, func(ctx context.Context, scope schema.Scope, body, dst []byte) ([]byte, error) {
		r, err := decoded(scope, body, decode)
		if err != nil {
			return dst, err
		}
		page := pageOf(dst, numbers)
		answer, err := call(ctx, scope, r, page.add)
		if err != nil {
			return dst, err
		}
		return page.end(answer), nil
	})
}

// getItem answers GetItem: as with pages, the item goes from the store into the answer.
func getItem(ctx context.Context, t Tables, scope schema.Scope, body, dst []byte) ([]byte, error) {
	r, err := decoded(scope, body, request.DecodeGetItem)
	if err != nil {
		return dst, err
	}
	answer, err := t.ViewItem(ctx, scope, r)
	if err != nil {
		return dst, err
	}
	out := appendGet(awsjson.Grow(dst, 2*len(answer.Item)), answer)
	if err := answer.Close(); err != nil {
		return dst, err
	}
	return out, nil
}

// constant is an answer that depends on nothing stored.
type constant string

// describeLimits answers AWS's default quotas: no limit of this server's is like
// them, and tools only compare with them.
func describeLimits(context.Context, schema.Scope, *request.DescribeLimits) (*constant, error) {
	c := constant(`{"AccountMaxReadCapacityUnits":80000,"AccountMaxWriteCapacityUnits":80000,"TableMaxReadCapacityUnits":40000,"TableMaxWriteCapacityUnits":40000}`)
	return &c, nil
}

func describeEndpoints(_ context.Context, scope schema.Scope, _ *request.DescribeEndpoints) (*constant, error) {
	c := constant(`{"Endpoints":[{"Address":"dynamodb.` + scope.Region + `.amazonaws.com","CachePeriodInMinutes":1440}]}`)
	return &c, nil
}

func appendConstant(dst []byte, c *constant) []byte { return append(dst, *c...) }
