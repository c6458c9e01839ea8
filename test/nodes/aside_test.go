package nodes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/millstreamdb/millstream/internal/admin"
)

// failing is a function that fails on records of some keys, and tells the books of the others.
type failing struct {
	books *books

	mu    sync.Mutex
	keys  []string
	fails int
}

func (f *failing) on(keys ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = keys
}

func (f *failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its node was killed while it sent the call
	}
	f.mu.Lock()
	for _, k := range f.keys {
		if strings.Contains(string(body), `"Keys":{"pk":{"S":"`+k+`"}}`) {
			f.fails++
			f.mu.Unlock()
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.books.ServeHTTP(w, r)
}

// A key that fails holds up itself alone, also when the owner of the stream is killed; once it is mended, its records come in their order. What was
// parked is listed and tried again at any node.
func TestSetAside(t *testing.T) {
	c := newCluster(t)
	function := &failing{books: c.books}
	recorder := httptest.NewServer(function)
	t.Cleanup(recorder.Close)
	_, err := c.lambda(0).CreateFunction(c.ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("f"), Role: aws.String("arn:aws:iam::000000000000:role/r"), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Timeout: aws.Int32(30), Code: &lambdatypes.FunctionCode{ZipFile: c.pack("one")},
		Environment: &lambdatypes.Environment{Variables: map[string]string{"RECORDER": recorder.URL}},
	})
	c.check(err)
	db := dynamodb.NewFromConfig(c.config(c.primary.endpoint))
	stream := c.table(db, "tab")
	c.table(db, "out")
	c.countsExactly(db, stream)
	queue, err := sqs.NewFromConfig(c.config(c.nodes[0].endpoint)).CreateQueue(c.ctx, &sqs.CreateQueueInput{QueueName: aws.String("lost")})
	c.check(err)
	made, err := c.lambda(1).CreateEventSourceMapping(c.ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("f"), EventSourceArn: &stream, StartingPosition: lambdatypes.EventSourcePositionTrimHorizon, BatchSize: aws.Int32(5),
		Tags: map[string]string{"millstream:on-failure": "block-key"},
	})
	c.check(err)
	write := func(n int) {
		for i := range n {
			c.write(db, i%10)
		}
	}
	function.on("3", "7")
	write(100)
	c.books.judge(t, 80)
	c.end(c.owner(), os.Kill)
	write(100)
	again, gap := c.books.judge(t, 160)
	t.Logf("kill -9 of the owner with two keys held: %d records of other keys came again, the longest time between calls %v", again, gap)
	client := func(i int) *admin.Client {
		client := c.admin(i)
		return client
	}
	set := func(i int) (held, parked int) {
		t.Helper()
		c.check(client(i).AsideRecords(c.ctx, *made.UUID, admin.AsideFilter{}, func(r admin.AsideRecord) error {
			switch r.Kind {
			case "held":
				held++
			case "parked":
				parked++
			}
			return nil
		}))
		return held, parked
	}
	shows := func(i, wantHeld, wantParked int) { // what is set aside is stored with the next position
		t.Helper()
		late := time.Now().Add(time.Minute)
		for held, parked := set(i); held != wantHeld || parked != wantParked; held, parked = set(i) {
			if time.Now().After(late) {
				t.Fatalf("after a minute node %d shows %d held records and %d parked ones, want %d and %d", i, held, parked, wantHeld, wantParked)
			}
			<-time.After(50 * time.Millisecond)
		}
	}
	for i := range c.nodes {
		shows(i, 40, 0)
	}
	c.end(c.owner(), os.Kill)
	function.on("7")
	c.books.judge(t, 180)

	_, err = c.lambda(2).UpdateEventSourceMapping(c.ctx, &lambda.UpdateEventSourceMappingInput{UUID: made.UUID, MaximumRetryAttempts: aws.Int32(0)})
	c.check(err)
	for i := range c.nodes {
		shows(i, 0, 20)
	}
	function.on()
	done, err := client((c.owner()+1)%len(c.nodes)).Redrive(c.ctx, *made.UUID, admin.RedriveOptions{})
	if err != nil || done.Records != 20 {
		t.Errorf("tried again at a node that does not work the stream: %+v, %v", done, err)
	}
	c.books.judge(t, 200)

	_, err = c.lambda(0).UpdateEventSourceMapping(c.ctx, &lambda.UpdateEventSourceMappingInput{UUID: made.UUID, DestinationConfig: &lambdatypes.DestinationConfig{
		OnFailure: &lambdatypes.OnFailure{Destination: aws.String("arn:aws:sqs:us-east-1:000000000000:lost")},
	}})
	c.check(err)
	function.on("3")
	write(10)
	c.books.judge(t, 209)
	told, err := sqs.NewFromConfig(c.config(c.primary.endpoint)).ReceiveMessage(c.ctx, &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, WaitTimeSeconds: 20})
	if err != nil || len(told.Messages) != 1 || !strings.Contains(*told.Messages[0].Body, `"RetryAttemptsExhausted"`) {
		t.Errorf("the on-failure destination was told %+v, %v", told, err)
	}

	function.on()
	moved, err := client((c.owner()+1)%len(c.nodes)).Rewind(c.ctx, *made.UUID, "HORIZON")
	if err != nil || moved.Records == 0 {
		t.Errorf("set back at a node that does not work the stream: %+v, %v", moved, err)
	}
	for late := time.After(time.Minute); ; {
		c.books.mu.Lock()
		again := c.books.again
		c.books.mu.Unlock()
		if again >= 209 {
			break
		}
		select {
		case <-c.books.moved:
		case <-late:
			t.Fatalf("a minute after it was set back %d records have come again", again)
		}
	}

	// What another function has counted, which has had all of it, two nodes' last moments twice.
	settled, err := client(1).Settle(c.ctx, 20*time.Second)
	if err != nil || !settled.Settled {
		t.Fatalf("%+v, %v", settled, err)
	}
	for k := range 10 {
		out, err := db.GetItem(c.ctx, &dynamodb.GetItemInput{TableName: aws.String("out"), ConsistentRead: aws.Bool(true), Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: strconv.Itoa(k)}}})
		c.check(err)
		if n, is := out.Item["n"].(*types.AttributeValueMemberN); !is || n.Value != strconv.Itoa(c.nth[k]) {
			t.Errorf("item %d was counted as %+v, want %d", k, out.Item["n"], c.nth[k])
		}
	}
}

// table makes a table, and returns its stream's ARN.
func (c *cluster) table(db *dynamodb.Client, name string) string {
	c.t.Helper()
	table, err := db.CreateTable(c.ctx, &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	c.check(err)
	return *table.TableDescription.LatestStreamArn
}

// countsExactly makes a function that counts the records of each item in the table out, exactly once.
func (c *cluster) countsExactly(db *dynamodb.Client, stream string) {
	c.t.Helper()
	counter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Records []struct {
				DynamoDB struct {
					Keys struct {
						PK struct{ S string } `json:"pk"`
					}
				} `json:"dynamodb"`
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			c.t.Error(err)
		}
		counts := map[string]int{}
		for _, r := range event.Records {
			counts[r.DynamoDB.Keys.PK.S]++
		}
		var items []string
		for k, n := range counts {
			items = append(items, fmt.Sprintf(`{"Update":{"TableName":"out","Key":{"pk":{"S":%q}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"%d"}}}}`, k, n))
		}
		fmt.Fprintf(w, `{"transactItems":[%s]}`, strings.Join(items, ","))
	}))
	c.t.Cleanup(counter.Close)
	_, err := c.lambda(2).CreateFunction(c.ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("count"), Role: aws.String("arn:aws:iam::000000000000:role/r"), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Timeout: aws.Int32(30), Code: &lambdatypes.FunctionCode{ZipFile: c.pack("one")},
		Environment: &lambdatypes.Environment{Variables: map[string]string{"RECORDER": counter.URL}},
	})
	c.check(err)
	_, err = c.lambda(0).CreateEventSourceMapping(c.ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("count"), EventSourceArn: &stream, StartingPosition: lambdatypes.EventSourcePositionTrimHorizon, BatchSize: aws.Int32(7), ParallelizationFactor: aws.Int32(2),
		Tags: map[string]string{"millstream:exactly-once": "true"},
	})
	c.check(err)
}
