package server

import (
	"bytes"
	"net/http"
	"strings"
)

// Prefixes of X-Amz-Target and of paths.
const (
	dynamodbTarget = "DynamoDB_20120810."
	streamsTarget  = "DynamoDBStreams_20120810."
	adminPath      = "/_millstream/v1/"
)

// The operations of the protocols are values of a metric's label. They are listed
// so that what a caller sends never becomes one: a name that is not here counts as
// "other".
var (
	dynamodbOperations = strings.Fields(`
		BatchExecuteStatement BatchGetItem BatchWriteItem CancelBulkOperation CreateBackup CreateGlobalTable CreateTable DeleteBackup DeleteItem
		DeleteResourcePolicy DeleteTable DescribeBackup DescribeBulkOperation DescribeContinuousBackups DescribeContributorInsights DescribeEndpoints
		DescribeExport DescribeGlobalTable DescribeGlobalTableSettings DescribeImport DescribeKinesisStreamingDestination
		DescribeLimits DescribeTable DescribeTableReplicaAutoScaling DescribeTimeToLive DisableKinesisStreamingDestination
		EnableKinesisStreamingDestination ExecuteStatement ExecuteTransaction ExportTableToPointInTime GetItem GetResourcePolicy
		ImportTable ListBackups ListBulkOperations ListContributorInsights ListExports ListGlobalTables ListImports ListTables ListTagsOfResource
		PutItem PutResourcePolicy Query RestoreTableFromBackup RestoreTableToPointInTime Scan SearchVectors StartBulkPutItems TagResource TransactGetItems
		TransactWriteItems UntagResource UpdateContinuousBackups UpdateContributorInsights UpdateGlobalTable
		UpdateGlobalTableSettings UpdateItem UpdateKinesisStreamingDestination UpdateTable UpdateTableReplicaAutoScaling
		UpdateTimeToLive`)
	streamsOperations = strings.Fields(`DescribeStream GetRecords GetShardIterator ListStreams`)
	adminOperations   = strings.Fields(`version status tail triggers logs settle invoke code shards queues schedules topics parked apis credentials deployments runtimes clock activity stages promote console try passed tables nodes items backups`)
)

// isLambdaPath reports whether path begins with a date, as all of Lambda's do.
func isLambdaPath(path string) bool {
	const form = "/2015-03-31/"
	if len(path) < len(form) {
		return false
	}
	for i := range len(form) {
		switch form[i] {
		case '/', '-':
			if path[i] != form[i] {
				return false
			}
		default:
			if path[i] < '0' || path[i] > '9' {
				return false
			}
		}
	}
	return true
}

// operation finds what a request is counted as; kind is where it is routed to.
func (m *Metrics) operation(kind route, r *http.Request) *operation {
	switch kind {
	case routeService:
		if op := m.other[signedFor(r)]; op != nil { // routed by it
			return op
		}
		return m.other["sns"] // a link of a message
	case routeLambda:
		if m.sources.LambdaOperation != nil {
			if op := m.lambda[m.sources.LambdaOperation(r)]; op != nil {
				return op
			}
		}
		return m.other["lambda"]
	case routeAdmin:
		name := r.URL.Path
		if i := strings.IndexByte(name[len(adminPath):], '/'); i >= 0 {
			name = name[:len(adminPath)+i]
		}
		if op := m.admin[name]; op != nil {
			return op
		}
		return m.other["admin"]
	}
	target := r.Header.Get("X-Amz-Target")
	if target == "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return m.sts
	}
	return m.targeted([]byte(target))
}

// targeted finds what a request with this X-Amz-Target is counted as.
func (m *Metrics) targeted(target []byte) *operation {
	if op := m.targets[string(target)]; op != nil {
		return op
	}
	if bytes.HasPrefix(target, []byte(streamsTarget)) {
		return m.other["streams"]
	}
	return m.other["dynamodb"]
}
