package streams

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/stream"
)

var here = schema.Scope{Account: "000000000000", Region: "eu-west-1"}

const (
	shard  = "shardId-00000001414576573621-f55eea83"
	number = "4421584500000000017450439091"
)

var arn = here.StreamARN("abc", "2015-05-11T21:21:33.291")

// fake is a Streams that answers what it was given and remembers what it was
// asked.
type fake struct {
	asked     any
	list      *stream.ListResult
	described *stream.Description
	iterator  string
	records   *stream.RecordsResult
	after     seqnum.Num
	err       error
}

func (f *fake) ListStreams(_ context.Context, _ schema.Scope, r *request.ListStreams) (*stream.ListResult, error) {
	f.asked = r
	return f.list, f.err
}

func (f *fake) DescribeStream(_ context.Context, _ schema.Scope, r *request.DescribeStream) (*stream.Description, error) {
	f.asked = r
	return f.described, f.err
}

func (f *fake) GetShardIterator(_ context.Context, _ schema.Scope, r *request.GetShardIterator) (string, error) {
	f.asked = r
	return f.iterator, f.err
}

func (f *fake) GetRecords(_ context.Context, _ schema.Scope, r *request.GetRecords) (*stream.RecordsResult, error) {
	f.asked = r
	return f.records, f.err
}

func (f *fake) Await(context.Context, schema.Scope, *request.GetRecords) (seqnum.Num, bool) {
	return f.after, true
}

func newHandler(f *fake) http.Handler {
	p := awsjson.New(awsjson.Options{Authenticate: func(*http.Request) (schema.Scope, *awserr.Error) { return here, nil }})
	Register(p, f)
	return p
}

func TestAnswers(t *testing.T) {
	n, err := seqnum.Parse(number)
	if err != nil {
		t.Fatal(err)
	}
	described := &stream.Description{
		ARN: arn, Label: "2015-05-11T21:21:33.291", Status: "ENABLED", ViewType: "KEYS_ONLY", Created: time.UnixMilli(1431379293291), Table: "abc",
		Keys: schema.Keys{Hash: schema.Attribute{Name: "id", Type: item.S}, Range: schema.Attribute{Name: "n", Type: item.N}},
		Shards: []stream.ShardDescription{
			{ID: shard, Start: n, End: n.Next(), Closed: true},
			{ID: "shardId-00000001414576573622-f55eea83", Parent: shard, Start: n.Next().Next()},
		},
		LastEvaluatedShardID: "shardId-00000001414576573622-f55eea83",
	}
	for _, row := range []struct {
		op, body string
		fake     fake
		want     string
	}{
		{"ListStreams", `{}`, fake{list: &stream.ListResult{}}, `{"Streams":[]}`},
		{"ListStreams", `{}`, fake{list: &stream.ListResult{Streams: []stream.StreamSummary{{ARN: arn, Table: "abc", Label: "l"}}, LastEvaluated: arn}},
			`{"Streams":[{"StreamArn":"` + arn + `","TableName":"abc","StreamLabel":"l"}],"LastEvaluatedStreamArn":"` + arn + `"}`},
		{"DescribeStream", `{"StreamArn":"` + arn + `"}`, fake{described: described},
			`{"StreamDescription":{"StreamArn":"` + arn + `","StreamLabel":"2015-05-11T21:21:33.291","StreamStatus":"ENABLED","StreamViewType":"KEYS_ONLY","CreationRequestDateTime":1431379293.291,"TableName":"abc","KeySchema":[{"AttributeName":"id","KeyType":"HASH"},{"AttributeName":"n","KeyType":"RANGE"}],` +
				`"Shards":[{"ShardId":"` + shard + `","SequenceNumberRange":{"StartingSequenceNumber":"` + number + `","EndingSequenceNumber":"4421584500000000017450439092"}},` +
				`{"ShardId":"shardId-00000001414576573622-f55eea83","ParentShardId":"` + shard + `","SequenceNumberRange":{"StartingSequenceNumber":"4421584500000000017450439093"}}],"LastEvaluatedShardId":"shardId-00000001414576573622-f55eea83"}}`},
		{"GetShardIterator", `{"StreamArn":"` + arn + `","ShardId":"` + shard + `","ShardIteratorType":"LATEST"}`, fake{iterator: `arn|1|x"y`}, `{"ShardIterator":"arn|1|x\"y"}`},
		{"GetRecords", `{"ShardIterator":"x"}`, fake{records: &stream.RecordsResult{}}, `{"Records":[]}`},
		{"GetRecords", `{"ShardIterator":"x"}`, fake{records: &stream.RecordsResult{Records: [][]byte{[]byte(`{"eventID":"1"}`), []byte(`{"eventID":"2"}`)}, Next: "next"}}, `{"Records":[{"eventID":"1"},{"eventID":"2"}],"NextShardIterator":"next"}`},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(row.body))
		r.Header.Set("X-Amz-Target", target+row.op)
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		w := httptest.NewRecorder()
		newHandler(&row.fake).ServeHTTP(w, r)
		if w.Code != 200 || w.Body.String() != row.want {
			t.Errorf("%s: %d\n got %s\nwant %s", row.op, w.Code, w.Body, row.want)
		}
		if row.fake.asked == nil {
			t.Errorf("%s made no call", row.op)
		}
	}
}

func TestSDK(t *testing.T) {
	f := &fake{iterator: "iterator"}
	server := httptest.NewServer(newHandler(f))
	defer server.Close()
	client := dynamodbstreams.New(dynamodbstreams.Options{
		BaseEndpoint: aws.String(server.URL), Region: here.Region,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     aws.NopRetryer{},
	})
	it, err := client.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{
		StreamArn: aws.String(arn), ShardId: aws.String(shard), ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: aws.String(number),
	})
	if err != nil {
		t.Fatal(err)
	}
	if asked := f.asked.(*request.GetShardIterator); asked.Type != request.AfterSequenceNumber || asked.Sequence.String() != number || asked.Stream.Table != "abc" {
		t.Errorf("asked %+v", asked)
	}
	f.records = &stream.RecordsResult{Records: [][]byte{[]byte(`{"eventID":"00000000000000000000000000000001","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1728400000,"Keys":{"id":{"S":"a"}},"SequenceNumber":"` + number + `","SizeBytes":3,"StreamViewType":"KEYS_ONLY"}}`)}}
	page, err := client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: it.ShardIterator, Limit: aws.Int32(1000)})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Records) != 1 || page.Records[0].EventName != types.OperationTypeInsert || page.NextShardIterator != nil ||
		page.Records[0].Dynamodb.Keys["id"].(*types.AttributeValueMemberS).Value != "a" {
		t.Errorf("got %+v", page)
	}
	f.err = &awserr.Error{Code: "ExpiredIteratorException", Message: "Shard iterator has expired"}
	_, err = client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: it.ShardIterator})
	var expired *types.ExpiredIteratorException
	if !errors.As(err, &expired) || expired.ErrorMessage() != "Shard iterator has expired" {
		t.Errorf("got %v", err)
	}
}
