package app

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/millstreamdb/millstream/internal/trace"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// tracedApp is a server with functions that print the trace of each call.
type tracedApp struct {
	*App
	db        *dynamodb.Client
	functions *lambda.Client
	pack      []byte // the functions' package
	url       string
	stop      func()
}

// tracerPackage is the functions' package, made once.
var tracerPackage = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "tracer")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "bootstrap")
	if b, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "./testdata/tracer").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, b)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var pack bytes.Buffer
	z := zip.NewWriter(&pack)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Store}
	h.SetMode(0o755)
	f, err := z.CreateHeader(h)
	if err == nil {
		_, err = f.Write(code)
	}
	if err == nil {
		err = z.Close()
	}
	return pack.Bytes(), err
})

func openChain(t *testing.T) *tracedApp {
	t.Helper()
	pack, err := tracerPackage()
	if err != nil {
		t.Fatal(err)
	}

	s, err := Open(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g sync.WaitGroup
	var lns []net.Listener
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		lns = append(lns, ln)
	}
	for i, serve := range []func(context.Context, net.Listener) error{s.Serve, s.ServeFront} {
		g.Go(func() {
			if err := serve(ctx, lns[i]); err != nil {
				t.Error(err)
			}
		})
	}
	stop := sync.OnceFunc(func() {
		cancel()
		g.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)

	return &tracedApp{App: s, db: dynamodb.NewFromConfig(s.Config()), functions: lambda.NewFromConfig(s.Config()), pack: pack, stop: stop}
}

// table makes a table and returns the ARN of its stream.
func (c *tracedApp) table(t *testing.T, name string) *string {
	t.Helper()
	out, err := c.db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.TableDescription.LatestStreamArn
}

// function makes a function that writes into a table, if one is named, and fails as long as there is no file of the
// name in wants.
func (c *tracedApp) function(t *testing.T, name, table, wants string) {
	t.Helper()
	_, err := c.functions.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("x"), Role: aws.String("arn:aws:iam::000000000000:role/r"),
		Code: &lambdatypes.FunctionCode{ZipFile: c.pack}, Timeout: aws.Int32(30),
		Environment: &lambdatypes.Environment{Variables: map[string]string{"TABLE": table, "WANTS": wants}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newChain returns one with three functions and two tables: a request to the first function's URL writes into the first
// table, whose records have the second function write into the second table, whose records go to the third.
func newChain(t *testing.T) *tracedApp {
	t.Helper()
	c := openChain(t)
	streams := map[string]*string{"one": c.table(t, "one"), "two": c.table(t, "two")}
	for _, def := range []struct{ name, table, source string }{{"a", "one", ""}, {"b", "two", "one"}, {"c", "", "two"}} {
		c.function(t, def.name, def.table, "")
		if def.source == "" {
			continue
		}
		if _, err := c.functions.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
			FunctionName: &def.name, EventSourceArn: streams[def.source], StartingPosition: lambdatypes.EventSourcePositionTrimHorizon,
		}); err != nil {
			t.Fatal(err)
		}
	}
	url, err := c.functions.CreateFunctionUrlConfig(t.Context(), &lambda.CreateFunctionUrlConfigInput{FunctionName: aws.String("a"), AuthType: lambdatypes.FunctionUrlAuthTypeNone})
	if err != nil {
		t.Fatal(err)
	}
	c.url = aws.ToString(url.FunctionUrl)
	return c
}

// ask sends a request and waits until what follows from it has ended.
func (c *tracedApp) ask(t *testing.T, header string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != "" {
		r.Header.Set(trace.Header, header)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || string(b) != "written" {
		t.Fatalf("%d %s %v", answer.StatusCode, b, err)
	}
	for range 2 { // two tables
		if err := c.Settle(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// One trace goes from an HTTP request through three functions and two tables, as a collector sees it: each span below the
// one that caused it, each batch linked to the write.
func TestTraceOfARequest(t *testing.T) {
	var mu sync.Mutex
	var spans []*otlp.Span
	otlpServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in otlp.TracesData // the form of a request
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(b, &in)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rs := range in.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				spans = append(spans, ss.Spans...)
			}
		}
	}))
	defer otlpServer.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlpServer.URL)
	c := newChain(t)
	c.ask(t, "")
	c.stop()

	mu.Lock()
	defer mu.Unlock()
	byID := map[string]*otlp.Span{}
	for _, s := range spans {
		byID[string(s.SpanId)] = s
	}
	path := func(s *otlp.Span) string {
		names := s.Name
		for s = byID[string(s.ParentSpanId)]; s != nil; s = byID[string(s.ParentSpanId)] {
			names = s.Name + " > " + names
		}
		return names
	}
	seen := map[string]*otlp.Span{}
	for _, s := range spans {
		seen[path(s)] = s
		if s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s: %v", path(s), s)
		}
	}
	const (
		first  = "GET > invoke a > DynamoDB.PutItem"
		second = first + " > batch for b > invoke b > DynamoDB.PutItem"
		last   = second + " > batch for c > invoke c"
	)
	for _, want := range []string{"GET", "GET > invoke a", first, first + " > commit", first + " > batch for b", second, second + " > commit", second + " > batch for c", last} {
		s := seen[want]
		if s == nil {
			all := ""
			for p := range seen {
				all += "\n" + p
			}
			t.Fatalf("no span %s among:%s", want, all)
		}
		if string(s.TraceId) != string(seen["GET"].TraceId) {
			t.Errorf("%s is of trace %x", want, s.TraceId)
		}
	}
	for batch, write := range map[string]string{first + " > batch for b": first, second + " > batch for c": second} {
		if links := seen[batch].Links; len(links) != 1 || string(links[0].SpanId) != string(seen[write].SpanId) {
			t.Errorf("%s is linked to %v", batch, links)
		}
	}
	if log := c.logOf("c"); !strings.Contains(log, "trace Root=1-"+root(seen["GET"].TraceId)+";Parent="+hex.EncodeToString(seen[last].SpanId)+";Sampled=1") {
		t.Errorf("the last function has seen %s", log)
	}
}

func root(id []byte) string { return fmt.Sprintf("%x-%x", id[:4], id[4:]) }

func (c *tracedApp) logOf(name string) (text string) {
	for _, l := range c.App.functions.Logs().Log(c.scope, name).Recent(100) {
		text += l.Text + "\n"
	}
	return text
}

// Without a collector a trace goes the same way, when the request names one.
func TestTraceWithoutCollector(t *testing.T) {
	c := newChain(t)
	c.ask(t, "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	for _, name := range []string{"a", "b", "c"} {
		c.sees(t, name, 1)
	}
}

const testTrace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

// sees waits until a function has printed testTrace so often: what a process prints comes by a pipe of its own, perhaps
// after its answer. It may have printed no other.
func (c *tracedApp) sees(t *testing.T, name string, times int) {
	t.Helper()
	for began := time.Now(); strings.Count(c.logOf(name), "trace "+testTrace) < times; <-time.After(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("%s has seen %s", name, c.logOf(name))
		}
	}
	if log := c.logOf(name); strings.Count(log, "trace ") != strings.Count(log, "trace "+testTrace) {
		t.Errorf("%s has seen another trace too: %s", name, log)
	}
}

// withTrace has a client's calls carry testTrace.
func withTrace(stack *middleware.Stack) error {
	return smithyhttp.SetHeaderValue(trace.Header, testTrace)(stack)
}

// A record that was set aside goes on with the trace of its write: while it is held, and after it was parked and sent again.
func TestTraceOfRecordsSetAside(t *testing.T) {
	c := openChain(t)
	wants := filepath.Join(t.TempDir(), "file")
	c.function(t, "f", "", wants)
	m, err := c.functions.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("f"), EventSourceArn: c.table(t, "one"), StartingPosition: lambdatypes.EventSourcePositionTrimHorizon,
		MaximumRetryAttempts: aws.Int32(1), Tags: map[string]string{"millstream:on-failure": "block-key"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("one"), Item: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "1"}}},
		func(o *dynamodb.Options) { o.APIOptions = append(o.APIOptions, withTrace) }); err != nil {
		t.Fatal(err)
	}
	c.sees(t, "f", 2) // in a batch, and held
	if err := c.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wants, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // the second call is seen before it has ended, and its record is parked
		n, _, err := c.engine.Redrive(t.Context(), *m.UUID, trigger.Redrive{})
		if n == 1 && err == nil {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatal(n, err)
		}
	}
	c.sees(t, "f", 3)
}

// A message carries the trace of the request that sends it, and a batch goes on with it.
func TestTraceOfMessages(t *testing.T) {
	c := openChain(t)
	c.function(t, "f", "", "")
	client := sqs.NewFromConfig(c.Config(), func(o *sqs.Options) { o.APIOptions = append(o.APIOptions, withTrace) })
	q, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("x")}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"AWSTraceHeader"}})
	if err != nil || len(out.Messages) != 1 || out.Messages[0].Attributes["AWSTraceHeader"] != testTrace {
		t.Fatal(out, err)
	}
	if _, err := c.functions.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("f"), EventSourceArn: aws.String(c.scope.QueueARN("q"))}); err != nil {
		t.Fatal(err)
	}
	c.sees(t, "f", 1)
}

// What is published goes on with its trace in the queue that gets it.
func TestTraceThroughTopic(t *testing.T) {
	c := openChain(t)
	queues := sqs.NewFromConfig(c.Config())
	topics := sns.NewFromConfig(c.Config(), func(o *sns.Options) { o.APIOptions = append(o.APIOptions, withTrace) })
	q, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	made, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("t")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String(c.scope.QueueARN("q"))}); err != nil {
		t.Fatal(err)
	}
	if _, err := topics.Publish(t.Context(), &sns.PublishInput{TopicArn: made.TopicArn, Message: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: q.QueueUrl, WaitTimeSeconds: 20, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"AWSTraceHeader"},
	})
	if err != nil || len(out.Messages) != 1 || out.Messages[0].Attributes["AWSTraceHeader"] != testTrace {
		t.Fatal(out, err)
	}
}
