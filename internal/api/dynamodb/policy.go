package dynamodb

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Policies is the part of Tables that keeps resource policies.
type Policies interface {
	PutResourcePolicy(context.Context, schema.Scope, *request.PutResourcePolicy) (*table.PolicyResult, error)
	GetResourcePolicy(context.Context, schema.Scope, *request.GetResourcePolicy) (*table.PolicyResult, error)
	DeleteResourcePolicy(context.Context, schema.Scope, *request.DeleteResourcePolicy) (*table.PolicyResult, error)
}

func registerPolicies(p *awsjson.Protocol, t Policies) {
	operation(p, "PutResourcePolicy", request.DecodePutResourcePolicy, t.PutResourcePolicy, appendPolicy)
	operation(p, "GetResourcePolicy", request.DecodeGetResourcePolicy, t.GetResourcePolicy, appendPolicy)
	operation(p, "DeleteResourcePolicy", request.DecodeDeleteResourcePolicy, t.DeleteResourcePolicy, appendPolicy)
}

func appendPolicy(dst []byte, r *table.PolicyResult) []byte {
	dst = append(dst, '{')
	if r.Document != "" {
		dst = awsjson.AppendString(dst, "Policy", r.Document)
	}
	if r.Revision != "" {
		dst = awsjson.AppendString(dst, "RevisionId", r.Revision)
	}
	return append(dst, '}')
}
