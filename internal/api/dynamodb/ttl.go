package dynamodb

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Expiring is the part of Tables that lets items expire.
type Expiring interface {
	UpdateTimeToLive(context.Context, schema.Scope, *request.UpdateTimeToLive) (*request.UpdateTimeToLive, error)
	DescribeTimeToLive(context.Context, schema.Scope, *request.DescribeTimeToLive) (*table.TimeToLive, error)
}

func registerExpiring(p *awsjson.Protocol, t Expiring) {
	operation(p, "UpdateTimeToLive", request.DecodeUpdateTimeToLive, t.UpdateTimeToLive, appendTimeToLiveSpecification)
	operation(p, "DescribeTimeToLive", request.DecodeDescribeTimeToLive, t.DescribeTimeToLive, appendTimeToLive)
}

func appendTimeToLiveSpecification(dst []byte, r *request.UpdateTimeToLive) []byte {
	dst = append(dst, `{"TimeToLiveSpecification":{`...)
	dst = awsjson.AppendBool(dst, "Enabled", r.Enabled)
	dst = awsjson.AppendString(dst, "AttributeName", r.Attribute)
	return append(dst, "}}"...)
}

func appendTimeToLive(dst []byte, ttl *table.TimeToLive) []byte {
	dst = append(dst, `{"TimeToLiveDescription":{`...)
	dst = awsjson.AppendString(dst, "TimeToLiveStatus", ttl.Status)
	if ttl.Attribute != "" {
		dst = awsjson.AppendString(dst, "AttributeName", ttl.Attribute)
	}
	return append(dst, "}}"...)
}
