package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// tokenRequest is a request with a token in it: what a server has handed out to go on from, and gets back from anybody.
type tokenRequest struct {
	name                               string
	method, path, service, target, ask string // ask is a body; TOKEN stands for the token as a JSON string, RAW for its bytes, QUERY for it in a URL
}

// tokenRequests are all tokens of all services.
var tokenRequests = []tokenRequest{
	{name: "ListTables", service: "dynamodb", target: "DynamoDB_20120810.ListTables", ask: `{"ExclusiveStartTableName":TOKEN}`},
	{name: "Scan", service: "dynamodb", target: "DynamoDB_20120810.Scan", ask: `{"TableName":"tab","ExclusiveStartKey":{"pk":{"S":TOKEN}}}`},
	{name: "Scan, any key", service: "dynamodb", target: "DynamoDB_20120810.Scan", ask: `{"TableName":"tab","ExclusiveStartKey":RAW}`},
	{name: "Scan of an index, any key", service: "dynamodb", target: "DynamoDB_20120810.Scan", ask: `{"TableName":"tab","IndexName":"by-g","ExclusiveStartKey":RAW}`},
	{name: "Scan in parts, any key", service: "dynamodb", target: "DynamoDB_20120810.Scan", ask: `{"TableName":"tab","Segment":1,"TotalSegments":3,"ExclusiveStartKey":RAW}`},
	{name: "Query, any key", service: "dynamodb", target: "DynamoDB_20120810.Query", ask: `{"TableName":"tab","KeyConditionExpression":"pk = :k","ExpressionAttributeValues":{":k":{"S":"a"}},"ExclusiveStartKey":RAW}`},
	{name: "Query of an index, any key", service: "dynamodb", target: "DynamoDB_20120810.Query", ask: `{"TableName":"tab","IndexName":"by-g","KeyConditionExpression":"g = :k","ExpressionAttributeValues":{":k":{"S":"a"}},"ExclusiveStartKey":RAW}`},
	{name: "ExecuteStatement", service: "dynamodb", target: "DynamoDB_20120810.ExecuteStatement", ask: `{"Statement":"SELECT * FROM \"tab\"","NextToken":TOKEN}`},
	{name: "ListTagsOfResource", service: "dynamodb", target: "DynamoDB_20120810.ListTagsOfResource", ask: `{"ResourceArn":"arn:aws:dynamodb:us-east-1:000000000000:table/tab","NextToken":TOKEN}`},
	{name: "TransactWriteItems", service: "dynamodb", target: "DynamoDB_20120810.TransactWriteItems", ask: `{"ClientRequestToken":TOKEN,"TransactItems":[{"Delete":{"TableName":"tab","Key":{"pk":{"S":"nobody"}}}}]}`},
	{name: "ListStreams", service: "dynamodb", target: "DynamoDBStreams_20120810.ListStreams", ask: `{"ExclusiveStartStreamArn":TOKEN}`},
	{name: "DescribeStream", service: "dynamodb", target: "DynamoDBStreams_20120810.DescribeStream", ask: `{"StreamArn":STREAM,"ExclusiveStartShardId":TOKEN}`},
	{name: "GetShardIterator", service: "dynamodb", target: "DynamoDBStreams_20120810.GetShardIterator", ask: `{"StreamArn":STREAM,"ShardId":TOKEN,"ShardIteratorType":"AT_SEQUENCE_NUMBER","SequenceNumber":TOKEN}`},
	{name: "GetRecords", service: "dynamodb", target: "DynamoDBStreams_20120810.GetRecords", ask: `{"ShardIterator":TOKEN}`},
	{name: "ListFunctions", method: "GET", service: "lambda", path: "/2015-03-31/functions/?Marker=QUERY"},
	{name: "ListFunctions of all versions", method: "GET", service: "lambda", path: "/2015-03-31/functions/?FunctionVersion=ALL&Marker=QUERY"},
	{name: "ListVersionsByFunction", method: "GET", service: "lambda", path: "/2015-03-31/functions/f/versions?Marker=QUERY"},
	{name: "ListAliases", method: "GET", service: "lambda", path: "/2015-03-31/functions/f/aliases?Marker=QUERY"},
	{name: "ListProvisionedConcurrencyConfigs", method: "GET", service: "lambda", path: "/2019-09-30/functions/f/provisioned-concurrency?List=ALL&Marker=QUERY"},
	{name: "ListFunctionEventInvokeConfigs", method: "GET", service: "lambda", path: "/2019-09-25/functions/f/event-invoke-config/list?Marker=QUERY"},
	{name: "ListFunctionUrlConfigs", method: "GET", service: "lambda", path: "/2021-10-31/functions/f/urls?Marker=QUERY"},
	{name: "ListLayers", method: "GET", service: "lambda", path: "/2018-10-31/layers?Marker=QUERY"},
	{name: "ListLayerVersions", method: "GET", service: "lambda", path: "/2018-10-31/layers/l/versions?Marker=QUERY"},
	{name: "ListEventSourceMappings", method: "GET", service: "lambda", path: "/2015-03-31/event-source-mappings/?Marker=QUERY"},
	{name: "ListQueues", service: "sqs", target: "AmazonSQS.ListQueues", ask: `{"MaxResults":1,"NextToken":TOKEN}`},
	{name: "ListDeadLetterSourceQueues", service: "sqs", target: "AmazonSQS.ListDeadLetterSourceQueues", ask: `{"QueueUrl":QUEUE,"MaxResults":1,"NextToken":TOKEN}`},
	{name: "DeleteMessage", service: "sqs", target: "AmazonSQS.DeleteMessage", ask: `{"QueueUrl":QUEUE,"ReceiptHandle":TOKEN}`},
	{name: "ChangeMessageVisibility", service: "sqs", target: "AmazonSQS.ChangeMessageVisibility", ask: `{"QueueUrl":QUEUE,"ReceiptHandle":TOKEN,"VisibilityTimeout":1}`},
	{name: "CancelMessageMoveTask", service: "sqs", target: "AmazonSQS.CancelMessageMoveTask", ask: `{"TaskHandle":TOKEN}`},
	{name: "DescribeLogGroups", service: "logs", target: "Logs_20140328.DescribeLogGroups", ask: `{"limit":1,"nextToken":TOKEN}`},
	{name: "DescribeLogStreams", service: "logs", target: "Logs_20140328.DescribeLogStreams", ask: `{"logGroupName":"/aws/lambda/f","limit":1,"nextToken":TOKEN}`},
	{name: "GetLogEvents", service: "logs", target: "Logs_20140328.GetLogEvents", ask: `{"logGroupName":"/aws/lambda/f","logStreamName":"s","nextToken":TOKEN}`},
	{name: "FilterLogEvents", service: "logs", target: "Logs_20140328.FilterLogEvents", ask: `{"logGroupName":"/aws/lambda/f","limit":1,"nextToken":TOKEN}`},
	{name: "ListObjectsV2", method: "GET", service: "s3", path: "/bucket?list-type=2&max-keys=1&continuation-token=QUERY"},
	{name: "ListObjectsV2 after", method: "GET", service: "s3", path: "/bucket?list-type=2&max-keys=1&start-after=QUERY"},
	{name: "ListObjects", method: "GET", service: "s3", path: "/bucket?max-keys=1&marker=QUERY"},
	{name: "ListObjectVersions", method: "GET", service: "s3", path: "/bucket?versions&max-keys=1&key-marker=QUERY"},
	{name: "ListMultipartUploads", method: "GET", service: "s3", path: "/bucket?uploads&key-marker=QUERY&upload-id-marker=QUERY"},
	{name: "ListParts", method: "GET", service: "s3", path: "/bucket/key?uploadId=QUERY&part-number-marker=QUERY"},
	{name: "ListStacks", method: "POST", service: "cloudformation", ask: `Action=ListStacks&Version=2010-05-15&NextToken=QUERY`},
	{name: "DescribeStacks", method: "POST", service: "cloudformation", ask: `Action=DescribeStacks&Version=2010-05-15&NextToken=QUERY`},
	{name: "DescribeStackEvents", method: "POST", service: "cloudformation", ask: `Action=DescribeStackEvents&Version=2010-05-15&StackName=s&NextToken=QUERY`},
	{name: "GetParametersByPath", service: "ssm", target: "AmazonSSM.GetParametersByPath", ask: `{"Path":"/","NextToken":TOKEN}`},
	{name: "DescribeParameters", service: "ssm", target: "AmazonSSM.DescribeParameters", ask: `{"NextToken":TOKEN}`},
	{name: "parked records", method: "GET", path: "/_millstream/v1/parked?trigger=QUERY&from=QUERY&id=QUERY"},
	{name: "a parked record", method: "GET", path: "/_millstream/v1/parked/record?trigger=QUERY&id=QUERY"},
	{name: "a stage's file", method: "GET", path: "/_millstream/v1/stages/QUERY/file?name=QUERY"},
	{name: "rewind", method: "POST", path: "/_millstream/v1/triggers/QUERY/rewind?to=QUERY"},
	{name: "tail", method: "GET", path: "/_millstream/v1/tail?stream=QUERY&from=QUERY"},
}

// withTokens is a server that has something to go on from in each service.
type withTokens struct {
	s             *App
	stream, queue string
}

func newWithTokens(t testing.TB) *withTokens {
	s, err := Open(Options{}, vfs.NewMem())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w := &withTokens{s: s}
	answer := func(r tokenRequest) string {
		status, body := w.do(r, "")
		if status/100 != 2 {
			t.Fatalf("%s: %d %s", r.name, status, body)
		}
		return body
	}
	var table struct {
		TableDescription struct{ LatestStreamArn string }
	}
	if err := json.Unmarshal([]byte(answer(tokenRequest{name: "CreateTable", service: "dynamodb", target: "DynamoDB_20120810.CreateTable", ask: `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"g","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
		"GlobalSecondaryIndexes":[{"IndexName":"by-g","KeySchema":[{"AttributeName":"g","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}],
		"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}`})), &table); err != nil {
		t.Fatal(err)
	}
	w.stream = table.TableDescription.LatestStreamArn
	for i := range 5 {
		answer(tokenRequest{name: "PutItem", service: "dynamodb", target: "DynamoDB_20120810.PutItem", ask: fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"g":{"S":"a"}}}`, i)})
	}
	var queue struct{ QueueUrl string }
	for _, name := range []string{"r", "q"} {
		if err := json.Unmarshal([]byte(answer(tokenRequest{name: "CreateQueue", service: "sqs", target: "AmazonSQS.CreateQueue", ask: `{"QueueName":"` + name + `"}`})), &queue); err != nil {
			t.Fatal(err)
		}
	}
	w.queue = queue.QueueUrl
	answer(tokenRequest{name: "CreateBucket", method: "PUT", service: "s3", path: "/bucket"})
	return w
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // of a string: never fails
	return string(b)
}

// do sends a request with a token.
func (w *withTokens) do(r tokenRequest, token string) (status int, answer string) {
	fill := strings.NewReplacer("TOKEN", quoted(token), "RAW", token, "QUERY", url.QueryEscape(token), "STREAM", quoted(w.stream), "QUEUE", quoted(w.queue))
	path := strings.ReplaceAll(r.path, "QUERY", url.PathEscape(token))
	if before, query, found := strings.Cut(r.path, "?"); found {
		path = strings.ReplaceAll(before, "QUERY", url.PathEscape(token)) + "?" + strings.ReplaceAll(query, "QUERY", url.QueryEscape(token))
	}
	method := r.method
	if method == "" {
		method = "POST"
	}
	if path == "" {
		path = "/"
	}
	req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(fill.Replace(r.ask)))
	if err != nil {
		return 0, "" // a path that no client can ask for
	}
	req.Header.Set("X-Millstream", "1")
	req.Header.Set("X-Amz-Date", "20261129T060000Z")
	if r.service != "" {
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20261129/us-east-1/"+r.service+"/aws4_request, SignedHeaders=host, Signature=0")
	}
	switch {
	case r.target != "":
		req.Header.Set("X-Amz-Target", r.target)
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	case r.ask != "":
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a := httptest.NewRecorder()
	if strings.HasPrefix(r.path, "/_millstream/v1/tail") {
		ctx, cancel := context.WithCancel(req.Context())
		cancel() // it would go on for ever
		req = req.WithContext(ctx)
	}
	w.s.Handler().ServeHTTP(a, req)
	return a.Code, a.Body.String()
}

// TestTokens: whatever a client hands in where a token is expected, in any service, it is answered, and not with a fault of the server.
func TestTokens(t *testing.T) {
	w := newWithTokens(t)
	for _, r := range tokenRequests {
		for _, token := range []string{
			"", "x", "tab", `{"pk":{"S":"1"}}`, `{"pk":{"S":"1"},"g":{"S":"a"}}`, `{}`, `null`, `{"pk":{"N":"1"}}`, strings.Repeat("a", 2000), "AAAA", "%00", "\xff\x00", "../../etc/passwd", "-1", "99999999999999999999",
			w.stream, w.stream + "|1|AAAA", "shardId-00000000000000000000-00000000", "arn:aws:lambda:us-east-1:000000000000:function:f", "f:1", "2030-01-01T00:00:00Z",
		} {
			status, answer := w.do(r, token)
			if status >= 500 && status != http.StatusNotImplemented {
				t.Errorf("%s with %q: %d %s", r.name, token, status, answer)
			}
			if w.s.health() != nil {
				t.Fatalf("%s with %q: the server is not well: %v", r.name, token, w.s.health())
			}
		}
	}
}

// FuzzTokens is TestTokens with whatever comes: which of the requests takes it, and the token. What is wrong with a token is the client's fault,
// never the server's.
func FuzzTokens(f *testing.F) {
	w := newWithTokens(f)
	for i, r := range tokenRequests {
		f.Add(uint8(i), "")
		f.Add(uint8(i), w.stream+"|1|AAAA")
		if status, answer := w.do(r, "x"); status < 300 { // what the server hands out itself
			var page map[string]any
			if json.Unmarshal([]byte(answer), &page) == nil {
				for _, name := range []string{"NextToken", "nextToken", "NextMarker", "nextForwardToken"} {
					if token, ok := page[name].(string); ok {
						f.Add(uint8(i), token)
					}
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, token string) {
		r := tokenRequests[int(which)%len(tokenRequests)]
		status, answer := w.do(r, token)
		if status >= 500 && status != http.StatusNotImplemented {
			t.Errorf("%s with %q: %d %s", r.name, token, status, answer)
		}
		if err := w.s.health(); err != nil {
			t.Fatalf("%s with %q: the server is not well: %v", r.name, token, err)
		}
	})
}
