package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A reader of a stream may have GetRecords wait for the next record, through the door that people use. Without the header
// nothing shows of it, and the end of Serve ends all waits.
func TestGetRecordsWaits(t *testing.T) {
	s := openApp(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(serving, ln) }()
	ctx, url := t.Context(), "http://"+ln.Addr().String()
	tables := dynamodb.NewFromConfig(s.Config(), func(o *dynamodb.Options) { o.BaseEndpoint = &url; o.HTTPClient = http.DefaultClient })
	streams := dynamodbstreams.NewFromConfig(s.Config(), func(o *dynamodbstreams.Options) { o.BaseEndpoint = &url; o.HTTPClient = http.DefaultClient })

	made, err := tables.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("tab"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := made.TableDescription.LatestStreamArn
	described, err := streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	at, err := streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{StreamArn: arn, ShardId: described.StreamDescription.Shards[0].ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	// get asks with a header, unless wait is empty, and returns how long the server says it has waited.
	get := func(iterator *string, wait string) (out *dynamodbstreams.GetRecordsOutput, waited string, err error) {
		out, err = streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator}, func(o *dynamodbstreams.Options) {
			o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
				if wait == "" {
					return nil
				}
				return smithyhttp.SetHeaderValue("X-Millstream-Wait", wait)(stack)
			})
		})
		if err == nil {
			waited = awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response).Header.Get("X-Millstream-Waited")
		}
		return out, waited, err
	}
	if out, waited, err := get(at.ShardIterator, ""); err != nil || len(out.Records) != 0 || waited != "" {
		t.Fatalf("without the header: %d records, waited %q, %v", len(out.Records), waited, err)
	}

	type answer struct {
		out    *dynamodbstreams.GetRecordsOutput
		waited string
		err    error
	}
	answered := make(chan answer)
	wait := func(iterator *string) {
		go func() {
			out, waited, err := get(iterator, "20000")
			answered <- answer{out, waited, err}
		}()
	}
	wait(at.ShardIterator)
	if _, err := tables.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("tab"), Item: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "a"}}}); err != nil {
		t.Fatal(err)
	}
	a := <-answered
	if a.err != nil || len(a.out.Records) != 1 || a.waited == "" || a.waited >= "20000" && len(a.waited) >= 5 {
		t.Fatalf("a record: %+v", a)
	}

	// A request with the header takes nothing from those that follow on its connection.
	body := `{"TableName":"tab","Key":{"pk":{"S":"a"}}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"X-Amz-Target": {"DynamoDB_20120810.GetItem"}, "Content-Type": {"application/x-amz-json-1.0"}, "X-Millstream-Wait": {"20000"}, "X-Amz-Date": {"20260101T000000Z"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"}}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("X-Millstream-Waited") != "" {
		t.Errorf("an operation that does not wait: %d %s, %v", resp.StatusCode, text, err)
	}

	wait(a.out.NextShardIterator)
	for s.streams.Get(*arn).Waiting() == 0 {
		select {
		case a := <-answered:
			t.Fatalf("it does not wait: %+v", a)
		default:
		}
	}
	stop()
	if a := <-answered; a.err != nil || len(a.out.Records) != 0 || a.waited == "" {
		t.Errorf("the end of Serve: %+v", a)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
