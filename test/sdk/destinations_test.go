package sdk

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/millstreamdb/millstream/test/doors"
)

// Records that are given up are told to a queue, a topic and a bucket of moto, which
// speaks SQS, SNS and S3 to any client; and to a queue of one that is down at first.
func TestDestinations(t *testing.T) {
	python, err := exec.LookPath(cmp.Or(os.Getenv("SDKTEST_PYTHON"), "python3"))
	if err != nil {
		absent(t, "python3 is not installed")
	}
	if out, err := run(t, nil, python, "-c", "import moto.server"); err != nil {
		absent(t, "moto is not installed; pip install 'moto[server]', or set SDKTEST_PYTHON to a python that has it: "+firstLine(out))
	}
	other := &otherServices{addr: freeAddr(t), python: python}
	endpoint := serve(t, []string{
		"AWS_ENDPOINT_URL_SQS=http://" + other.addr, "AWS_ENDPOINT_URL_SNS=http://" + other.addr, "AWS_ENDPOINT_URL_S3=http://" + other.addr,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1",
	}, "--account", "123456789012") // moto's
	w := newLossWorld(t, endpoint, "http://"+other.addr)

	// Nobody listens when the first loss is to be told.
	down := w.lose(t, "down", "arn:aws:sqs:us-east-1:123456789012:down", false)
	await(t, "a delivery fails", func() bool {
		return regexp.MustCompile(`(?m)^millstream_trigger_destination_delivery_failures_total\{.*\} [1-9]`).MatchString(fetch(t, endpoint+"/metrics"))
	})
	other.start(t)

	t.Run("SQS", func(t *testing.T) {
		url, arn := w.queue(t, "losses")
		l := w.lose(t, "queue", arn, false)
		l.check(t, w.message(t, url), false)
	})
	t.Run("SNS", func(t *testing.T) {
		topic, err := w.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("losses")})
		if err != nil {
			t.Fatal(err)
		}
		url, arn := w.queue(t, "subscriber")
		if _, err := w.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: &arn}); err != nil {
			t.Fatal(err)
		}
		l := w.lose(t, "topic", *topic.TopicArn, true)
		var envelope struct{ TopicArn, Message string }
		if text := w.message(t, url); json.Unmarshal([]byte(text), &envelope) != nil || envelope.TopicArn != *topic.TopicArn {
			t.Fatalf("the subscriber got %s", text)
		}
		l.check(t, envelope.Message, false)
	})
	t.Run("S3", func(t *testing.T) {
		if _, err := w.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("losses")}); err != nil {
			t.Fatal(err)
		}
		l := w.lose(t, "bucket", "arn:aws:s3:::losses", true)
		var key string
		await(t, "an object", func() bool {
			out, err := w.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("losses")})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range out.Contents {
				key = *o.Key
			}
			return key != ""
		})
		out, err := w.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("losses"), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		document, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		timestamp := l.check(t, string(document), true)
		want := `^aws/lambda/` + l.mapping + `/shardId-\d{20}-[0-9a-f]{8}/` + timestamp.Format(`2006/01/02/2006-01-02T15\.04\.05`) + `-[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`
		if !regexp.MustCompile(want).MatchString(key) {
			t.Errorf("the object is %s, want %s", key, want)
		}
	})
	t.Run("throttled", func(t *testing.T) {
		// A function without concurrency refuses every call: no attempt is counted, so with no retries allowed nothing is
		// given up and nobody told.
		url, arn := w.queue(t, "throttled")
		stream := w.table(t, "throttled")
		function, mapping := w.mapped(t, "throttled", "/ok", stream, arn, func(in *lambda.CreateEventSourceMappingInput) {
			in.MaximumRetryAttempts, in.Enabled = aws.Int32(0), aws.Bool(false)
		})
		reserve := func(n *int32) {
			if n == nil {
				if _, err := w.lambda.DeleteFunctionConcurrency(t.Context(), &lambda.DeleteFunctionConcurrencyInput{FunctionName: &function}); err != nil {
					t.Fatal(err)
				}
				return
			}
			if _, err := w.lambda.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: &function, ReservedConcurrentExecutions: n}); err != nil {
				t.Fatal(err)
			}
		}
		reserve(aws.Int32(0))
		w.put(t, "throttled", "1", "2", "3")
		if _, err := w.lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &mapping, Enabled: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		refused := regexp.MustCompile(`"notDelivered":([0-9]+)`)
		await(t, "several refused calls", func() bool {
			m := refused.FindStringSubmatch(fetch(t, endpoint+"/_millstream/v1/triggers/"+mapping))
			return m != nil && len(m[1]) == 1 && m[1] >= "4" || m != nil && len(m[1]) > 1
		})
		reserve(nil)
		await(t, "the records", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.calls[stream]) > 0
		})
		w.mu.Lock()
		calls := w.calls[stream]
		w.mu.Unlock()
		if len(calls) != 1 || len(calls[0].records) != 3 {
			t.Errorf("delivered in %d calls, %+v", len(calls), calls)
		}
		out, err := w.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url})
		if err != nil || len(out.Messages) > 0 {
			t.Errorf("the destination was told: %+v, %v", out, err)
		}
	})
	t.Run("too old", func(t *testing.T) {
		if os.Getenv("SDKTEST_SLOW") != "1" {
			t.Skip("takes more than a minute, which is the smallest age: set SDKTEST_SLOW=1")
		}
		url, arn := w.queue(t, "expired")
		stream := w.table(t, "expired")
		w.put(t, "expired", "old")
		<-time.After(63 * time.Second) // the age itself is what is waited for
		w.put(t, "expired", "1", "2", "3", "4", "5")
		function, _ := w.mapped(t, "expired", "/ok", stream, arn, func(in *lambda.CreateEventSourceMappingInput) {
			in.BatchSize, in.MaximumRecordAgeInSeconds = aws.Int32(6), aws.Int32(60)
		})
		got := w.message(t, url)
		want := regexp.MustCompile(`^\{"requestContext":\{"requestId":"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}","functionArn":"` + regexp.QuoteMeta(function) +
			`","condition":"RecordAgeExceeded","approximateInvokeCount":1\},"version":"1\.0","timestamp":"[^"]*",` +
			`"DDBStreamBatchInfo":\{"shardId":"[^"]*","startSequenceNumber":"(\d+)","endSequenceNumber":"(\d+)",` +
			`"approximateArrivalOfFirstRecord":"([^"]*)","approximateArrivalOfLastRecord":"([^"]*)","batchSize":1,"streamArn":"` + regexp.QuoteMeta(stream) + `"\}\}$`)
		if m := want.FindStringSubmatch(got); m == nil || m[2] != m[3] || m[4] != m[5] {
			t.Errorf("the document is %s", got)
		}
		var pks []string
		await(t, "the younger records", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			pks = nil
			for _, c := range w.calls[stream] {
				for _, r := range c.records {
					pks = append(pks, r.Change.Keys["pk"].String())
				}
			}
			return len(pks) >= 5
		})
		if !slices.Equal(pks, []string{"1", "2", "3", "4", "5"}) {
			t.Errorf("delivered %v", pks)
		}
	})
	t.Run("events", func(t *testing.T) { w.eventEnds(t) })
	t.Run("down at first", func(t *testing.T) {
		url, _ := w.queue(t, "down")
		down.check(t, w.message(t, url), false)
	})
}

// eventEnds checks what dead-letter queues and destinations are told of Event invocations.
func (w *lossWorld) eventEnds(t *testing.T) {
	topic, err := w.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("dead")})
	if err != nil {
		t.Fatal(err)
	}
	subscriber, subscriberARN := w.queue(t, "dead-subscriber")
	if _, err := w.sns.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: &subscriberARN, Attributes: map[string]string{"RawMessageDelivery": "true"},
	}); err != nil {
		t.Fatal(err)
	}
	dead, deadARN := w.queue(t, "dead")
	failed, failedARN := w.queue(t, "failed")
	succeeded, succeededARN := w.queue(t, "succeeded")
	// The functions take records: an event without any fails, one with an end succeeds.
	const event, end = `{"no":"records"}`, `{"Records":[{"dynamodb":{"Keys":{"pk":{"S":"end"}}}}]}`
	invoke := func(name, deadLetters, payload string) (arn string) {
		f, err := w.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
			FunctionName: &name, Role: aws.String("arn:aws:iam::000000000000:role/r"), PackageType: lambdatypes.PackageTypeImage,
			Code: &lambdatypes.FunctionCode{ImageUri: aws.String(w.function + "/fail")}, DeadLetterConfig: &lambdatypes.DeadLetterConfig{TargetArn: &deadLetters},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.lambda.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{
			FunctionName: &name, MaximumRetryAttempts: aws.Int32(0), DestinationConfig: &lambdatypes.DestinationConfig{
				OnSuccess: &lambdatypes.OnSuccess{Destination: &succeededARN}, OnFailure: &lambdatypes.OnFailure{Destination: &failedARN},
			},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
		return *f.FunctionArn
	}
	deadLetter := func(queue string) {
		t.Helper()
		m := w.whole(t, queue)
		if *m.Body != event || len(m.MessageAttributes) != 3 {
			t.Errorf("the dead letter is %s with %+v", *m.Body, m.MessageAttributes)
		}
		for name, want := range map[string]string{"ErrorCode": "Number 200", "ErrorMessage": "String HTTP 500 Internal Server Error: no event\n", "RequestID": ""} {
			a := m.MessageAttributes[name]
			if got := aws.ToString(a.DataType) + " " + aws.ToString(a.StringValue); want != "" && got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	document := func(queue, arn, condition, payload string) {
		t.Helper()
		var d struct {
			RequestContext struct {
				FunctionArn, Condition string
				ApproximateInvokeCount int
			}
			RequestPayload json.RawMessage
		}
		if text := w.message(t, queue); json.Unmarshal([]byte(text), &d) != nil || d.RequestContext.FunctionArn != arn+":$LATEST" ||
			d.RequestContext.Condition != condition || d.RequestContext.ApproximateInvokeCount != 1 || string(d.RequestPayload) != payload {
			t.Errorf("told %s", text)
		}
	}
	arn := invoke("to-a-queue", deadARN, event)
	deadLetter(dead)
	document(failed, arn, "RetriesExhausted", event)
	arn = invoke("to-a-topic", *topic.TopicArn, event)
	deadLetter(subscriber)
	document(failed, arn, "RetriesExhausted", event)
	arn = invoke("done", deadARN, end)
	document(succeeded, arn, "Success", end)
}

// otherServices is moto's server: SQS, SNS and S3 on one port, in memory.
type otherServices struct{ addr, python string }

func (o *otherServices) start(t *testing.T) {
	t.Helper()
	host, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(o.python, "-m", "moto.server", "-H", host, "-p", port)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has nothing to keep
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("moto printed:\n%s", output.String())
		}
	})
	await(t, "moto answers", func() bool {
		resp, err := http.Get("http://" + o.addr + "/moto-api/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
}

// lossWorld makes tables whose records are given up.
type lossWorld struct {
	db       *dynamodb.Client
	lambda   *lambda.Client
	sqs      *sqs.Client
	sns      *sns.Client
	s3       *s3.Client
	function string // URL of the functions, see serve
	mu       sync.Mutex
	calls    map[string][]call // by stream
}

type call struct {
	requestID string
	records   []events.DynamoDBEventRecord
	event     string
}

func newLossWorld(t *testing.T, endpoint, others string) *lossWorld {
	config := config()
	w := &lossWorld{calls: map[string][]call{}}
	w.db = dynamodb.NewFromConfig(config, func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint })
	w.lambda = lambda.NewFromConfig(config, func(o *lambda.Options) { o.BaseEndpoint = &endpoint })
	w.sqs = sqs.NewFromConfig(config, func(o *sqs.Options) { o.BaseEndpoint = &others })
	w.sns = sns.NewFromConfig(config, func(o *sns.Options) { o.BaseEndpoint = &others })
	w.s3 = s3.NewFromConfig(config, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &others, true })
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(server.Close)
	w.function = server.URL
	return w
}

// serve is the functions: /ok succeeds, and on every record but those with key "end"
// /fail errs and /report reports the first as failed.
func (w *lossWorld) serve(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var event events.DynamoDBEvent
	if err != nil || json.Unmarshal(body, &event) != nil || len(event.Records) == 0 {
		http.Error(rw, "no event", http.StatusInternalServerError)
		return
	}
	w.mu.Lock()
	arn := event.Records[0].EventSourceArn
	w.calls[arn] = append(w.calls[arn], call{r.Header.Get("Lambda-Runtime-Aws-Request-Id"), event.Records, string(body)})
	w.mu.Unlock()
	switch {
	case r.URL.Path == "/ok", event.Records[0].Change.Keys["pk"].String() == "end":
		fmt.Fprint(rw, "null")
	case r.URL.Path == "/report":
		fmt.Fprintf(rw, `{"batchItemFailures":[{"itemIdentifier":"%s"}]}`, event.Records[0].Change.SequenceNumber)
	default:
		http.Error(rw, `{"errorMessage":"as told"}`, http.StatusInternalServerError)
	}
}

// loss is what a destination is to be told of.
type loss struct {
	world                              *lossWorld
	mapping, function, stream, problem string
}

// lose makes a table with three records that a mapping gives up after two calls, and
// one that comes after them. reported: the function reports failures and does not err.
func (w *lossWorld) lose(t *testing.T, name, destination string, reported bool) loss {
	t.Helper()
	path, problem := "/fail", `"Unhandled"`
	if reported {
		path, problem = "/report", "null"
	}
	stream := w.table(t, name)
	w.put(t, name, "1", "2", "3", "end")
	function, mapping := w.mapped(t, name, path, stream, destination, func(in *lambda.CreateEventSourceMappingInput) {
		in.BatchSize, in.MaximumRetryAttempts = aws.Int32(3), aws.Int32(1)
		in.FunctionResponseTypes = []lambdatypes.FunctionResponseType{"ReportBatchItemFailures"}
	})
	return loss{w, mapping, function, stream, problem}
}

// table makes a table and returns the ARN of its stream.
func (w *lossWorld) table(t *testing.T, name string) (stream string) {
	t.Helper()
	table, err := w.db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: dbtypes.BillingModePayPerRequest,
		KeySchema:            []dbtypes.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: dbtypes.KeyTypeHash}},
		AttributeDefinitions: []dbtypes.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: dbtypes.ScalarAttributeTypeS}},
		StreamSpecification:  &dbtypes.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: dbtypes.StreamViewTypeNewImage},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *table.TableDescription.LatestStreamArn
}

func (w *lossWorld) put(t *testing.T, table string, pks ...string) {
	t.Helper()
	for _, pk := range pks {
		if _, err := w.db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: map[string]dbtypes.AttributeValue{"pk": &dbtypes.AttributeValueMemberS{Value: pk}}}); err != nil {
			t.Fatal(err)
		}
	}
}

// mapped makes a function of a path, and a mapping with a destination.
func (w *lossWorld) mapped(t *testing.T, name, path, stream, destination string, change func(*lambda.CreateEventSourceMappingInput)) (function, mapping string) {
	t.Helper()
	f, err := w.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String("arn:aws:iam::000000000000:role/r"), PackageType: lambdatypes.PackageTypeImage,
		Code: &lambdatypes.FunctionCode{ImageUri: aws.String(w.function + path)},
	})
	if err != nil {
		t.Fatal(err)
	}
	in := &lambda.CreateEventSourceMappingInput{
		EventSourceArn: &stream, FunctionName: &name, StartingPosition: lambdatypes.EventSourcePositionTrimHorizon,
		DestinationConfig: &lambdatypes.DestinationConfig{OnFailure: &lambdatypes.OnFailure{Destination: &destination}},
	}
	change(in)
	m, err := w.lambda.CreateEventSourceMapping(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *f.FunctionArn, *m.UUID
}

// check compares a document with the one that AWS sends, byte for byte, waits until the
// record behind the loss has been delivered, and returns the document's time.
func (l loss) check(t *testing.T, document string, payload bool) time.Time {
	t.Helper()
	var calls []call
	await(t, "the record behind the loss", func() bool {
		l.world.mu.Lock()
		defer l.world.mu.Unlock()
		calls = slices.Clone(l.world.calls[l.stream])
		return len(calls) >= 3
	})
	lost := calls[1].records
	if len(calls) != 3 || len(lost) != 3 || calls[0].event != calls[1].event || calls[2].records[0].Change.Keys["pk"].String() != "end" {
		t.Errorf("the function was called with %+v", calls)
	}
	var own struct {
		RequestContext     struct{ RequestID string }
		Timestamp          string
		DDBStreamBatchInfo struct{ ShardID string }
	}
	if err := json.Unmarshal([]byte(document), &own); err != nil {
		t.Fatalf("%v: %s", err, document)
	}
	timestamp, err := time.Parse("2006-01-02T15:04:05.000Z", own.Timestamp)
	if age := time.Since(timestamp); err != nil || age < 0 || age > 5*time.Minute {
		t.Errorf("timestamp %s is %v old, %v", own.Timestamp, age, err)
	}
	if id := calls[1].requestID; id == "" || own.RequestContext.RequestID != id {
		t.Errorf("requestId is %s, that of the last call %s", own.RequestContext.RequestID, id)
	}
	if !regexp.MustCompile(`^shardId-\d{20}-[0-9a-f]{8}$`).MatchString(own.DDBStreamBatchInfo.ShardID) {
		t.Errorf("shardId is %s", own.DDBStreamBatchInfo.ShardID)
	}
	arrival := func(r events.DynamoDBEventRecord) string {
		return r.Change.ApproximateCreationDateTime.UTC().Format("2006-01-02T15:04:05Z")
	}
	var event string
	if payload {
		text, err := json.Marshal(calls[1].event)
		if err != nil {
			t.Fatal(err)
		}
		event = `,"payload":` + string(text)
	}
	want := `{"requestContext":{"requestId":"` + own.RequestContext.RequestID + `","functionArn":"` + l.function +
		`","condition":"RetryAttemptsExhausted","approximateInvokeCount":2},` +
		`"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":` + l.problem + `},` +
		`"version":"1.0","timestamp":"` + own.Timestamp + `",` +
		`"DDBStreamBatchInfo":{"shardId":"` + own.DDBStreamBatchInfo.ShardID + `","startSequenceNumber":"` + lost[0].Change.SequenceNumber +
		`","endSequenceNumber":"` + lost[2].Change.SequenceNumber + `","approximateArrivalOfFirstRecord":"` + arrival(lost[0]) +
		`","approximateArrivalOfLastRecord":"` + arrival(lost[2]) + `","batchSize":3,"streamArn":"` + l.stream + `"}` + event + `}`
	if document != want {
		t.Errorf("the document\n got  %s\n want %s", document, want)
	}
	return timestamp
}

// queue makes a queue.
func (w *lossWorld) queue(t *testing.T, name string) (url, arn string) {
	t.Helper()
	made, err := w.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *made.QueueUrl, got.Attributes["QueueArn"]
}

// message is the body of the message that whole returns.
func (w *lossWorld) message(t *testing.T, url string) string {
	t.Helper()
	return *w.whole(t, url).Body
}

// whole waits for a message and takes it from the queue, which must then be empty.
func (w *lossWorld) whole(t *testing.T, url string) (message sqstypes.Message) {
	t.Helper()
	await(t, "a message", func() bool {
		out, err := w.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) > 1 {
			t.Errorf("the queue has %d messages", len(out.Messages))
		}
		for _, m := range out.Messages {
			message = m
			if _, err := w.sqs.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
		}
		return message.Body != nil
	})
	return message
}

// await asks for a condition until it is true, for at most two minutes.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for !done() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	return ask(t, http.MethodGet, url)
}

// ask makes a request of Millstream's own protocol, signed, and returns the answer.
func ask(t *testing.T, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Millstream", "1")
	key, nothing := aws.Credentials{AccessKeyID: "test", SecretAccessKey: doors.Secret}, sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(t.Context(), key, req, hex.EncodeToString(nothing[:]), "millstream", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", method, url, resp.Status, body, err)
	}
	return strings.TrimSpace(string(body))
}

// freeAddr is a loopback address on which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
