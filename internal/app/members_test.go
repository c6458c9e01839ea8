package app

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/millstreamdb/millstream/internal/api/dynamodb"
	apilambda "github.com/millstreamdb/millstream/internal/api/lambda"
)

// unread are the members of which no decoder looks at the kind of value, each with the
// reason why that is right. A star stands for any text but a dot.
var unread = []struct{ member, reason string }{
	{"UpdateTable.ReplicaUpdates.*", "ReplicaUpdates is refused by name"},
	{"UpdateTable.GlobalTableWitnessUpdates.*", "GlobalTableWitnessUpdates is refused by name"},
	{"*.UUID", "in the path"},
	{"*.Resource", "in the path"},
	{"*ResourcePolicy.ResourceArn", "in the path"},
	{"DeleteResourcePolicy.RevisionId", "read from the query"},
	{"*.FunctionName", "in the path, or read from the query"},
	{"[DGU]*Alias.Name", "in the path"},
	{"*.LayerName", "in the path"},
	{"*.VersionNumber", "in the path"},
	{"Remove*.StatementId", "in the path"},
	{"Remove*.RevisionId", "read from the query"},
	{"AddLayerVersionPermission.RevisionId", "read from the query"},
	{"List*.Compatible*", "read from the query"},
	{"GetLayerVersionByArn.Arn", "read from the query"},
	{"InvokeAsync.InvokeArgs", "the body as it is"},
	{"ListAliases.FunctionVersion", "read from the query"},
	{"ListEventSourceMappings.EventSourceArn", "read from the query"},
	{"*.Qualifier", "read from the query"},
	{"List*.Marker", "read from the query"},
	{"List*.MaxItems", "read from the query"},
	{"ListFunctions.FunctionVersion", "read from the query"},
	{"UntagResource.TagKeys", "read from the query"},
	{"ListFunctions.MasterRegion", "of Lambda@Edge, whose functions have other regions: here every function is one's own"},
	{"Invoke*.Payload", "the body as it is"},
	{"Invoke*.ClientContext", "read from a header"},
	{"Invoke*.InvocationType", "read from a header"},
	{"Invoke*.LogType", "read from a header"},
	{"Invoke.DurableExecutionName", "a header, refused by name"},
	{"Invoke*.TenantId", "a header, refused by name"},
	{"CreateEventSourceMapping.StartingPositionTimestamp", "only for another source: given at all, it is refused by name"},
	{"*EventSourceMapping.*EventSourceConfig", "of another source: refused by name"},
	{"*EventSourceMapping.SourceAccessConfigurations", "of another source: refused by name"},
	{"*EventSourceMapping.LoggingConfig", "of another source: refused by name"},
	{"CreateEventSourceMapping.SelfManagedEventSource", "of another source: refused by name"},
	{"CreateEventSourceMapping.Queues", "of another source: refused by name"},
	{"CreateEventSourceMapping.Topics", "of another source: refused by name"},
	{"*Function*.CapacityProviderConfig", "refused by name"},
	{"*Function*.DurableConfig", "refused by name"},
	{"*Function*.RuntimeConfig", "refused by name"},
	{"CreateFunction.TenancyConfig", "refused by name"},
	{"*.PublishTo", "refused by name"},
	{"CreateFunction.Code.S3ObjectStorageMode", "refused by name"},
	{"CreateFunction.Code.SourceKMSKeyArn", "refused by name"},
	{"PublishLayerVersion.Content.S3ObjectStorageMode", "refused by name"},
	{"UpdateFunctionCode.S3ObjectStorageMode", "refused by name"},
	{"UpdateFunctionCode.SourceKMSKeyArn", "refused by name"},
	{"*Function*.CodeSigningConfigArn", "kept and shown as it came; docs/differences.md"},
	{"*Function*.DeadLetterConfig", "kept and shown as it came, and its ARN read"},
	{"*Function*.FileSystemConfigs", "kept and shown as it came; docs/differences.md"},
	{"*Function*.ImageConfig", "kept and shown as it came; docs/differences.md"},
	{"*Function*.KMSKeyArn", "kept and shown as it came; docs/differences.md"},
	{"*Function*.Layers", "read as a list of ARNs where there is a function"},
	{"*Function*.SnapStart", "kept and shown as it came; docs/differences.md"},
	{"SendMessage.*.*ListValues", "SQS does not read them either: reserved for later"},
	{"SendMessageBatch.Entries.*.*ListValues", "SQS does not read them either: reserved for later"},
	{"*Function*.VpcConfig", "kept and shown as it came; docs/differences.md"},
}

// TestMembersAreRead walks every member of every input of every implemented operation
// as the SDKs have them, and fails when one is neither read nor in the list above: a
// member that is ignored in silence is a setting that does nothing. A member is read
// when a value of a wrong kind is refused as such.
func TestMembersAreRead(t *testing.T) {
	s := openApp(t)
	used := make([]bool, len(unread))
	walk := func(service, operation string, input reflect.Type, refused func(path, body string) bool) {
		name := service + "." + operation
		if refused("", "{}") {
			t.Fatalf("%s refuses an empty object as of a wrong kind", name)
		}
		members(input, nil, func(path []string, kind reflect.Type) bool {
			read := refused(path[0], wrong(path, kind))
			member := operation + "." + strings.NewReplacer("[].", "", "{}.", "").Replace(strings.Join(path, "."))
			i := slices.IndexFunc(unread, func(u struct{ member, reason string }) bool { return matches(u.member, member) })
			switch {
			case !read && i < 0:
				t.Errorf("%s is ignored: read it, or refuse it by name", member)
			case i >= 0:
				used[i] = used[i] || !read
			}
			return read
		})
	}
	targets := targetsOf(s)
	byTarget := func(service, prefix string, client reflect.Type) {
		for _, name := range operationsOf(client) {
			if _, unused := dynamodb.Unused()[name]; unused || service != "sqs" && !slices.Contains(targets, prefix+name) {
				continue
			}
			method, _ := client.MethodByName(name)
			walk(service, name, method.Type.In(2).Elem(), func(_, body string) bool {
				return strings.Contains(signedPost(s, "/", prefix+name, body), "SerializationException")
			})
		}
	}
	byTarget("dynamodb", "DynamoDB_20120810.", reflect.TypeFor[*sdkdynamodb.Client]())
	byTarget("streams", "DynamoDBStreams_20120810.", reflect.TypeFor[*dynamodbstreams.Client]())
	byTarget("sqs", "AmazonSQS.", reflect.TypeFor[*sqs.Client]()) // which are all there

	functions := reflect.TypeFor[*lambda.Client]()
	for _, name := range operationsOf(functions) {
		if why, _ := apilambda.Reason(name); why != "" || !knownToLambda(t, s, name) {
			continue
		}
		method, _ := functions.MethodByName(name)
		sent, inBody := requestOf(t, name)
		walk("lambda", name, method.Type.In(2).Elem(), func(member, body string) bool {
			if member != "" && !slices.Contains(inBody, member) {
				return false // in the path, the query or a header
			}
			w := resend(s, sent, body)
			return strings.Contains(w.Body.String()+w.Header().Get("x-amzn-ErrorType"), "SerializationException") ||
				strings.Contains(w.Body.String(), "Could not parse request body into json")
		})
	}
	for i, u := range unread {
		if !used[i] {
			t.Errorf("%s is on the list, and is read or not there", u.member)
		}
	}
	if len(unread) >= 60 {
		t.Errorf("%d members are on the list; fewer than 60 are enough", len(unread))
	}
}

// members visits the members of a structure, and those below one of which visit says
// that it is read. In a path, [] and {} stand for an element of a list and a map.
func members(structure reflect.Type, path []string, visit func(path []string, kind reflect.Type) (read bool)) {
	for i := range structure.NumField() {
		f := structure.Field(i)
		if !f.IsExported() {
			continue
		}
		at := append(slices.Clone(path), f.Name)
		if !visit(at, f.Type) {
			continue
		}
		kind := f.Type
		for inner := true; inner; {
			switch kind.Kind() {
			case reflect.Pointer:
			case reflect.Slice:
				at = append(at, "[]")
			case reflect.Map:
				at = append(at, "{}")
			default:
				inner = false
				continue
			}
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Struct && kind != reflect.TypeFor[time.Time]() {
			members(kind, at, visit)
		}
	}
}

// wrong returns an object in which the member at the end of a path has a value of a kind
// that it cannot have.
func wrong(path []string, kind reflect.Type) string {
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	value := "[]"
	switch kind.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Interface:
		value = "5"
		if kind == reflect.TypeFor[time.Time]() {
			value = "{}"
		}
	}
	for _, name := range slices.Backward(path) {
		switch name {
		case "[]":
			value = "[" + value + "]"
		case "{}":
			value = `{"x":` + value + "}"
		default:
			value = `{"` + name + `":` + value + "}"
		}
	}
	return value
}

// matches reports whether a member fits a pattern, segment by segment.
func matches(pattern, member string) bool {
	p, m := strings.Split(pattern, "."), strings.Split(member, ".")
	return len(p) == len(m) && slices.EqualFunc(p, m, func(p, m string) bool {
		ok, err := filepath.Match(p, m)
		return ok && err == nil
	})
}

// TestRefusedByName sends right requests with one member of what is not offered, and
// wrong ones, which are refused for that first. [10.04, 10.06, 10.11, 10.13 D SDK H]
func TestRefusedByName(t *testing.T) {
	s := openApp(t)
	const (
		table    = `"TableName":"refused","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]`
		vector   = `{"IndexName":"vec","VectorAttribute":{"AttributeName":"v"},"Dimensions":3,"DistanceFunction":"COSINE","Projection":{"ProjectionType":"ALL"}}`
		function = `"FunctionName":"f","Role":"arn:aws:iam::123456789012:role/r","Runtime":"python3.13","Handler":"a.b"`
		code     = `"Code":{"ZipFile":"UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}`
	)
	for _, row := range []struct{ operation, body, want string }{
		{"CreateTable", `{` + table + `,"VectorIndexes":[` + vector + `]}`, "The parameter VectorIndexes is not supported"},
		{"CreateTable", `{` + table + `,"VectorIndexes":[{"IndexName":"v","DistanceFunction":"NEAR"}]}`,
			"5 validation errors detected: Value 'v' at 'vectorIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3; " +
				"Value null at 'vectorIndexes.1.member.dimensions' failed to satisfy constraint: Member must not be null; Value 'NEAR' at 'vectorIndexes.1.member.distanceFunction'"},
		{"CreateTable", `{` + table + `,"GlobalTableSourceArn":"arn:aws:dynamodb:us-east-1:123456789012:table/t"}`, "The parameter GlobalTableSourceArn is not supported"},
		{"CreateTable", `{` + table + `,"GlobalTableSettingsReplicationMode":"ENABLED"}`, "The parameter GlobalTableSettingsReplicationMode is not supported"},
		{"CreateTable", `{"TableName":"refused","GlobalTableSourceArn":"arn:aws:dynamodb:us-east-1:123456789012:table/t"}`, "Value null at 'attributeDefinitions'"},
		{"UpdateTable", `{"TableName":"refused","VectorIndexUpdates":[{"Create":` + vector + `}]}`, "The parameter VectorIndexUpdates is not supported"},
		{"UpdateTable", `{"TableName":"refused","VectorIndexUpdates":[{"Delete":{}}]}`, "Value null at 'vectorIndexUpdates.1.member.delete.indexName'"},
		{"UpdateTable", `{"TableName":"refused","ReplicaUpdates":[{"Create":{"RegionName":"eu-west-1"}}]}`, "The parameter ReplicaUpdates is not supported"},
		{"UpdateTable", `{"TableName":"refused","GlobalTableWitnessUpdates":[{}]}`, "The parameter GlobalTableWitnessUpdates is not supported"},
		{"UpdateTable", `{"TableName":"refused","MultiRegionConsistency":"STRONG"}`, "The parameter MultiRegionConsistency is not supported"},
		{"UpdateTable", `{"TableName":"refused","DisassociationProtectionEnabled":false}`, "The parameter DisassociationProtectionEnabled is not supported"},
		{"UpdateTable", `{"TableName":"refused","GlobalTableSettingsReplicationMode":"X"}`, "Value 'X' at 'globalTableSettingsReplicationMode'"},
		{"SearchVectors", `{"TableName":"refused","IndexName":"vec","SearchVector":[{"N":"1"}],"TopK":101}`, "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive"},
		{"StartBulkPutItems", `{"TableName":"refused","InputS3Configuration":{"S3Bucket":"b","InputFormat":"CSV"},"OutputS3Configuration":{"S3Bucket":"b","OutputType":["ERROR"]}}`,
			"Value 'CSV' at 'inputS3Configuration.inputFormat'"},
		{"function", `{` + function + `,` + code + `,"DurableConfig":{"ExecutionTimeout":60}}`, "DurableConfig is not supported"},
		{"function", `{` + function + `,` + code + `,"TenancyConfig":{"TenantIsolationMode":"PER_TENANT"}}`, "TenancyConfig is not supported"},
		{"function", `{` + function + `,` + code + `,"CapacityProviderConfig":{}}`, "CapacityProviderConfig is not supported"},
		{"function", `{` + function + `,` + code + `,"RuntimeConfig":{"RuntimeAlias":"a"}}`, "RuntimeConfig is not supported"},
		{"function", `{` + function + `,` + code + `,"PublishTo":"LATEST_PUBLISHED"}`, "PublishTo is not supported"},
		{"function", `{` + function + `,"Code":{"ZipFile":"UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==","S3ObjectStorageMode":"COPY"}}`, "S3ObjectStorageMode is not supported"},
		{"function", `{` + function + `,"Code":{"ZipFile":"UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==","SourceKMSKeyArn":"arn:aws:kms:us-east-1:123456789012:key/k"}}`, "SourceKMSKeyArn is not supported"},
		{"function", `{"FunctionName":"f","DurableConfig":{}}`, "Value null at 'role'"},
		{"X-Amz-Tenant-Id", `{}`, "TenantId is not supported"},
		{"X-Amz-Durable-Execution-Name", `{}`, "DurableExecutionName is not supported"},
	} {
		var got string
		switch {
		case row.operation == "function":
			got = signedPost(s, "/2015-03-31/functions", "", row.body)
		case strings.HasPrefix(row.operation, "X-"):
			got = signedPost(s, "/2015-03-31/functions/f/invocations", "", row.body, row.operation, "x")
		default:
			got = signedPost(s, "/", "DynamoDB_20120810."+row.operation, row.body)
		}
		if !strings.Contains(got, row.want) {
			t.Errorf("%s %s\n got  %s\n want %s", row.operation, row.body, got, row.want)
		}
	}
}
