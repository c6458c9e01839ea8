package server

import (
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
	lambdaOperations  = strings.Fields(`
		CreateFunction ListFunctions GetFunction DeleteFunction GetFunctionConfiguration UpdateFunctionConfiguration
		UpdateFunctionCode Invoke PublishVersion ListVersionsByFunction CreateAlias ListAliases GetAlias UpdateAlias DeleteAlias
		PutFunctionConcurrency GetFunctionConcurrency DeleteFunctionConcurrency ListTags TagResource UntagResource
		GetAccountSettings CreateEventSourceMapping ListEventSourceMappings GetEventSourceMapping UpdateEventSourceMapping
		DeleteEventSourceMapping CreateFunctionUrlConfig GetFunctionUrlConfig UpdateFunctionUrlConfig DeleteFunctionUrlConfig
		ListFunctionUrlConfigs`)
	adminOperations = strings.Fields(`version status tail triggers logs settle invoke code shards parked apis`)
)

// lambdaRoutes gives the operation of a method and a path after its date, where
// {} stands for one part.
var lambdaRoutes = map[string]string{
	"POST functions":                  "CreateFunction",
	"GET functions":                   "ListFunctions",
	"GET functions/{}":                "GetFunction",
	"DELETE functions/{}":             "DeleteFunction",
	"GET functions/{}/configuration":  "GetFunctionConfiguration",
	"PUT functions/{}/configuration":  "UpdateFunctionConfiguration",
	"PUT functions/{}/code":           "UpdateFunctionCode",
	"POST functions/{}/invocations":   "Invoke",
	"POST functions/{}/versions":      "PublishVersion",
	"GET functions/{}/versions":       "ListVersionsByFunction",
	"POST functions/{}/aliases":       "CreateAlias",
	"GET functions/{}/aliases":        "ListAliases",
	"GET functions/{}/aliases/{}":     "GetAlias",
	"PUT functions/{}/aliases/{}":     "UpdateAlias",
	"DELETE functions/{}/aliases/{}":  "DeleteAlias",
	"PUT functions/{}/concurrency":    "PutFunctionConcurrency",
	"GET functions/{}/concurrency":    "GetFunctionConcurrency",
	"DELETE functions/{}/concurrency": "DeleteFunctionConcurrency",
	"POST functions/{}/url":           "CreateFunctionUrlConfig",
	"GET functions/{}/url":            "GetFunctionUrlConfig",
	"PUT functions/{}/url":            "UpdateFunctionUrlConfig",
	"DELETE functions/{}/url":         "DeleteFunctionUrlConfig",
	"GET functions/{}/urls":           "ListFunctionUrlConfigs",
	"GET tags/{}":                     "ListTags",
	"POST tags/{}":                    "TagResource",
	"DELETE tags/{}":                  "UntagResource",
	"GET account-settings":            "GetAccountSettings",
	"POST event-source-mappings":      "CreateEventSourceMapping",
	"GET event-source-mappings":       "ListEventSourceMappings",
	"GET event-source-mappings/{}":    "GetEventSourceMapping",
	"PUT event-source-mappings/{}":    "UpdateEventSourceMapping",
	"DELETE event-source-mappings/{}": "DeleteEventSourceMapping",
}

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
	case routeLambda:
		if op := m.lambda[lambdaOperation(r)]; op != nil {
			return op
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
	if op := m.targets[target]; op != nil {
		return op
	}
	switch {
	case strings.HasPrefix(target, streamsTarget):
		return m.other["streams"]
	case target == "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return m.sts
	}
	return m.other["dynamodb"]
}

func lambdaOperation(r *http.Request) string {
	path := strings.Trim(r.URL.EscapedPath()[len("/2015-03-31/"):], "/")
	parts := strings.SplitN(path, "/", 5)
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "{}"
	}
	return lambdaRoutes[r.Method+" "+strings.Join(parts, "/")]
}
