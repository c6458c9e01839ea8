package dynamodb

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Recoverable is the part of Tables that keeps their past.
type Recoverable interface {
	DescribeContinuousBackups(context.Context, schema.Scope, *request.DescribeContinuousBackups) (*table.ContinuousBackups, error)
	UpdateContinuousBackups(context.Context, schema.Scope, *request.UpdateContinuousBackups) (*table.ContinuousBackups, error)
}

func registerRecoverable(p *awsjson.Protocol, t Recoverable) {
	operation(p, "DescribeContinuousBackups", request.DecodeDescribeContinuousBackups, t.DescribeContinuousBackups, appendRecovery)
	operation(p, "UpdateContinuousBackups", request.DecodeUpdateContinuousBackups, t.UpdateContinuousBackups, appendRecovery)
}

// appendRecovery appends what there is of a table's continuous backups. As on AWS they are always on, which says nothing of the past of the table.
func appendRecovery(dst []byte, c *table.ContinuousBackups) []byte {
	status := "DISABLED"
	if c.Enabled {
		status = "ENABLED"
	}
	dst = append(dst, `{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED","PointInTimeRecoveryDescription":{`...)
	dst = awsjson.AppendString(dst, "PointInTimeRecoveryStatus", status)
	if c.Enabled {
		dst = awsjson.AppendInt(dst, "RecoveryPeriodInDays", int64(c.Days))
		dst = awsjson.AppendTime(dst, "EarliestRestorableDateTime", c.Earliest)
		dst = awsjson.AppendTime(dst, "LatestRestorableDateTime", c.Latest)
	}
	return append(dst, "}}}"...)
}
