package dynamodb

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Features of AWS that make no sense on one machine, or are not there yet. What
// asks about them is answered as AWS answers an account that does not use them, so
// that tools which look before they write work; what would turn them on is refused
// by name. In both cases what AWS would refuse is refused first.

// Existing is the part of Tables that knows which tables there are.
type Existing interface {
	Exists(ctx context.Context, scope schema.Scope, table string) (bool, error)
}

// unused is an operation of such a feature. It has an answer, a refusal, or both: then what is not refused is answered.
type unused struct {
	name    string
	missing func(table string) *awserr.Error // the error without the table; nil: it is about none
	answer  func(r *request.Unused) string
	refuse  func(r *request.Unused) *awserr.Error
	why     string // the reason, for docs/operations.md
}

// named answers with the table's name and what follows it.
func named(members string) func(*request.Unused) string {
	return func(r *request.Unused) string {
		return string(awsjson.AppendString([]byte("{"), "TableName", r.TableName)) + members + "}"
	}
}

func always(answer string) func(*request.Unused) string {
	return func(*request.Unused) string { return answer }
}

// notYet refuses a feature by name.
func notYet(feature string) func(*request.Unused) *awserr.Error {
	return func(*request.Unused) *awserr.Error { return awserr.NotYet(feature) }
}

// none refuses because the thing that a member names is not there.
func none(member string, e func(string) *awserr.Error) func(*request.Unused) *awserr.Error {
	return func(r *request.Unused) *awserr.Error { return e(r.Member(member)) }
}

// unusedOperations are all of them.
var unusedOperations = []unused{
	{"DescribeKinesisStreamingDestination", awserr.TableNotFound, named(`,"KinesisDataStreamDestinations":[]`), nil, "there is no Kinesis on one machine"},
	{"DescribeContributorInsights", awserr.TableNotFound, named(`,"ContributorInsightsStatus":"DISABLED"`), nil, "there are no contributor insights"},
	{"DescribeTableReplicaAutoScaling", awserr.TableNotFound, func(r *request.Unused) string {
		return `{"TableAutoScalingDescription":` + named(`,"TableStatus":"ACTIVE","Replicas":[]`)(r) + `}`
	}, nil, "there are no replicas on one machine"},
	{"ListGlobalTables", nil, always(`{"GlobalTables":[]}`), nil, "there are no global tables on one machine"},
	{"ListContributorInsights", nil, always(`{"ContributorInsightsSummaries":[]}`), nil, "there are no contributor insights"},
	{"DescribeGlobalTable", nil, nil, none("GlobalTableName", awserr.GlobalTableNotFound), "there are no global tables on one machine: none is found"},
	{"DescribeGlobalTableSettings", nil, nil, none("GlobalTableName", awserr.GlobalTableNotFound), "there are no global tables on one machine: none is found"},
	{"UpdateGlobalTableSettings", nil, nil, none("GlobalTableName", awserr.GlobalTableNotFound), "there are no global tables on one machine: none is found"},
	{"CreateGlobalTable", nil, nil, func(*request.Unused) *awserr.Error { return awserr.OldGlobalTables() }, "AWS refuses global tables of 2017 too"},
	{"UpdateGlobalTable", nil, nil, func(*request.Unused) *awserr.Error { return awserr.OldGlobalTables() }, "AWS refuses global tables of 2017 too"},
	{"UpdateTableReplicaAutoScaling", awserr.TableNotFound, nil, notYet("Global tables are"), "there are no replicas on one machine"},
	{"EnableKinesisStreamingDestination", awserr.TableNotFound, nil, notYet("Kinesis destinations are"), "there is no Kinesis on one machine"},
	{"DisableKinesisStreamingDestination", awserr.TableNotFound, nil, notYet("Kinesis destinations are"), "there is no Kinesis on one machine"},
	{"UpdateKinesisStreamingDestination", awserr.TableNotFound, nil, notYet("Kinesis destinations are"), "there is no Kinesis on one machine"},
	{"UpdateContributorInsights", awserr.TableNotFound, nil, notYet("Contributor insights are"), "contributor insights make no sense on one machine"},
	{"StartBulkPutItems", awserr.TableNotFound, nil, notYet("Bulk operations are"), "bulk operations read from S3"},
	{"DescribeBulkOperation", nil, nil, notYet("Bulk operations are"), "bulk operations read from S3"},
	{"ListBulkOperations", nil, nil, notYet("Bulk operations are"), "bulk operations read from S3"},
	{"CancelBulkOperation", nil, nil, notYet("Bulk operations are"), "bulk operations read from S3"},
	{"SearchVectors", func(string) *awserr.Error { return awserr.ResourceNotFound() }, nil, notYet("Vector indexes are"), "there are no vector indexes yet"},
}

// Feature says of an operation why what it belongs to is not offered, and whether it
// is answered all the same, as AWS answers who does not use the feature.
type Feature struct {
	Why      string
	Answered bool
}

// Unused returns the operations of features that are not offered, by name.
func Unused() map[string]Feature {
	list := map[string]Feature{}
	for _, u := range unusedOperations {
		list[u.name] = Feature{u.why, u.answer != nil && u.refuse == nil}
	}
	return list
}

func registerUnused(p *awsjson.Protocol, t Existing) {
	for _, u := range unusedOperations {
		operation(p, u.name, request.DecodeUnused(u.name), func(ctx context.Context, scope schema.Scope, r *request.Unused) (*constant, error) {
			if u.missing != nil {
				switch there, err := t.Exists(ctx, scope, r.TableName); {
				case err != nil:
					return nil, err
				case !there:
					return nil, u.missing(r.TableName)
				}
			}
			if u.refuse != nil {
				if e := u.refuse(r); e != nil {
					return nil, e
				}
			}
			c := constant(u.answer(r))
			return &c, nil
		}, appendConstant)
	}
}
