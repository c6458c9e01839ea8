package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/store"
)

// queuesWorld is a server with a clock that the test moves, and a function that notes what it gets.
type queuesWorld struct {
	*testing.T
	srv    *App
	sqs    *sqs.Client
	lambda *lambda.Client

	mu     sync.Mutex
	calls  [][]string // bodies, by call
	events []string
	fail   func(body string) bool
	answer string
}

func openQueues(t *testing.T) *queuesWorld {
	t.Helper()
	w := &queuesWorld{T: t}
	var err error
	w.srv, err = Open(Options{ManualClock: true, Now: func() time.Time { return topicsStart }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.srv.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.srv.RegisterFunction("f", w.call); err != nil {
		t.Fatal(err)
	}
	w.sqs, w.lambda = sqs.NewFromConfig(w.srv.Config()), lambda.NewFromConfig(w.srv.Config())
	return w
}

func (w *queuesWorld) call(_ context.Context, event []byte) ([]byte, error) {
	var e struct{ Records []struct{ Body string } }
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var bodies []string
	failed := false
	for _, r := range e.Records {
		bodies = append(bodies, r.Body)
		failed = failed || w.fail != nil && w.fail(r.Body)
	}
	w.calls, w.events = append(w.calls, bodies), append(w.events, string(event))
	if failed {
		return nil, errors.New("not today")
	}
	return []byte(w.answer), nil
}

// took returns the calls since the last look, once nothing more is under way after d.
func (w *queuesWorld) took(d time.Duration) string {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	if err := w.srv.Advance(ctx, d); err != nil {
		w.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for _, c := range w.calls {
		texts = append(texts, strings.Join(c, ","))
	}
	w.calls = nil
	slices.Sort(texts) // calls run at once
	return strings.Join(texts, " | ")
}

func (w *queuesWorld) queue(name string, attributes map[string]string) *string {
	w.Helper()
	out, err := w.sqs.CreateQueue(w.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		w.Fatal(err)
	}
	return out.QueueUrl
}

func (w *queuesWorld) send(q *string, group string, bodies ...string) {
	w.Helper()
	for _, b := range bodies {
		in := &sqs.SendMessageInput{QueueUrl: q, MessageBody: &b}
		if group != "" {
			in.MessageGroupId = &group
		}
		if _, err := w.sqs.SendMessage(w.Context(), in); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *queuesWorld) mapping(queue string, change func(in *lambda.CreateEventSourceMappingInput)) *lambda.CreateEventSourceMappingOutput {
	w.Helper()
	in := &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("f"), EventSourceArn: aws.String(w.srv.scope.QueueARN(queue))}
	if change != nil {
		change(in)
	}
	out, err := w.lambda.CreateEventSourceMapping(w.Context(), in)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func (w *queuesWorld) count(q *string) string {
	w.Helper()
	out, err := w.sqs.GetQueueAttributes(w.Context(), &sqs.GetQueueAttributesInput{QueueUrl: q, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		w.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// A function gets the messages of a queue as Lambda hands them on, and what it was done with is gone.
func TestFunctionOnQueue(t *testing.T) {
	w := openQueues(t)
	q := w.queue("q", nil)
	m := w.mapping("q", nil)
	if aws.ToInt32(m.BatchSize) != 10 || aws.ToString(m.State) != "Creating" || aws.ToString(m.StateTransitionReason) != "USER_INITIATED" || m.StartingPosition != "" || m.ParallelizationFactor != nil {
		t.Errorf("the mapping is %+v", m)
	}
	sent, err := w.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String(`{"a":1}`), MessageAttributes: map[string]types.MessageAttributeValue{
		"s": {DataType: aws.String("String"), StringValue: aws.String("x")}, "z": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.took(0); got != `{"a":1}` {
		t.Fatalf("calls: %s", got)
	}
	event := w.events[0]
	_, after, _ := strings.Cut(event, `"receiptHandle":"`)
	receipt, _, _ := strings.Cut(after, `"`)
	s, z := `"s":{"stringValue":"x","stringListValues":[],"binaryListValues":[],"dataType":"String"}`,
		`"z":{"binaryValue":"AAE=","stringListValues":[],"binaryListValues":[],"dataType":"Binary"}`
	if strings.Index(event, `"z":`) < strings.Index(event, `"s":`) { // in the order in which the SDK sends a Go map
		s, z = z, s
	}
	want := `{"Records":[{"messageId":"` + *sent.MessageId + `","receiptHandle":"` + receipt + `","body":"{\"a\":1}",` +
		`"attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1893456000000","SenderId":"000000000000","ApproximateFirstReceiveTimestamp":"1893456000000"},` +
		`"messageAttributes":{` + s + "," + z + `},` +
		`"md5OfMessageAttributes":"` + *sent.MD5OfMessageAttributes + `","md5OfBody":"` + *sent.MD5OfMessageBody + `","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:q","awsRegion":"us-east-1"}]}`
	if event != want {
		t.Errorf("the event is\n%s\nnot\n%s", event, want)
	}
	if got := w.count(q); got != "0+0" {
		t.Errorf("left: %s", got)
	}
}

// What fails comes back after the visibility timeout, and goes to the dead-letter queue when it has been received too often.
func TestFailuresOnQueue(t *testing.T) {
	w := openQueues(t)
	dead := w.queue("dead", nil)
	q := w.queue("q", map[string]string{"VisibilityTimeout": "20", "RedrivePolicy": `{"deadLetterTargetArn":"` + w.srv.scope.QueueARN("dead") + `","maxReceiveCount":2}`})
	w.mapping("q", func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = aws.Int32(1) })
	w.fail = func(body string) bool { return body == "bad" }
	w.send(q, "", "good", "bad")
	for _, row := range []struct {
		d    time.Duration
		want string
	}{{0, "bad | good"}, {19 * time.Second, ""}, {time.Second, "bad"}, {19 * time.Second, ""}, {time.Second, ""}} {
		if got := w.took(row.d); got != row.want {
			t.Fatalf("after %v: %q, not %q", row.d, got, row.want)
		}
	}
	if got := w.count(q) + " " + w.count(dead); got != "0+0 1+0" {
		t.Errorf("left: %s", got)
	}
}

// Of a batch whose answer names failures the others are deleted; an answer that cannot be read is a failure of all.
func TestReportedFailuresOnQueue(t *testing.T) {
	w := openQueues(t)
	q := w.queue("q", nil)
	w.mapping("q", func(in *lambda.CreateEventSourceMappingInput) {
		in.FunctionResponseTypes = []lambdatypes.FunctionResponseType{lambdatypes.FunctionResponseTypeReportBatchItemFailures}
		in.MaximumBatchingWindowInSeconds = aws.Int32(1)
		in.BatchSize = aws.Int32(100)
	})
	for i, row := range []struct{ answer, left string }{
		{`{"batchItemFailures":[]}`, "0+0"}, {`null`, "0+0"}, {``, "0+0"}, {`{"batchItemFailures":[{"itemIdentifier":"FIRST"}]}`, "0+1"},
		{`{"batchItemFailures":[{"itemIdentifier":""}]}`, "0+2"}, {`{"batchItemFailures":[{"itemIdentifier":"nobody"}]}`, "0+2"}, {`{"batchItem`, "0+2"},
	} {
		if _, err := w.sqs.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: q}); err != nil {
			t.Fatal(err)
		}
		a, err := w.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("a")})
		if err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.answer = strings.Replace(row.answer, "FIRST", *a.MessageId, 1)
		w.mu.Unlock()
		w.send(q, "", "b")
		if got := w.took(time.Second); got != "a,b" {
			t.Fatalf("%d: calls: %s", i, got)
		}
		if got := w.count(q); got != row.left {
			t.Errorf("%s leaves %s, not %s", row.answer, got, row.left)
		}
		w.mu.Lock()
		w.answer = ""
		w.mu.Unlock()
		w.took(2 * time.Minute)
	}
}

// What no filter matches is deleted and never seen.
func TestFiltersOnQueue(t *testing.T) {
	w := openQueues(t)
	q := w.queue("q", nil)
	w.mapping("q", func(in *lambda.CreateEventSourceMappingInput) {
		in.FilterCriteria = &lambdatypes.FilterCriteria{Filters: []lambdatypes.Filter{
			{Pattern: aws.String(`{"body":{"n":[{"numeric":[">",5]}]}}`)}, {Pattern: aws.String(`{"body":["plain"]}`)},
		}}
	})
	w.send(q, "", `{"n":6}`, `{"n":5}`, "plain", "other", `{"m":6}`)
	got := strings.ReplaceAll(w.took(0), " | ", ",")
	parts := strings.Split(strings.ReplaceAll(got, " | ", ","), ",")
	slices.Sort(parts)
	if strings.Join(parts, " ") != `plain {"n":6}` {
		t.Errorf("calls: %s", got)
	}
	if got := w.count(q); got != "0+0" {
		t.Errorf("left: %s", got)
	}
}

// A window gathers until it is over or the batch is full.
func TestWindowOnQueue(t *testing.T) {
	w := openQueues(t)
	q := w.queue("q", map[string]string{"VisibilityTimeout": "100"})
	w.mapping("q", func(in *lambda.CreateEventSourceMappingInput) {
		in.BatchSize, in.MaximumBatchingWindowInSeconds = aws.Int32(12), aws.Int32(30)
	})
	w.send(q, "", "a", "b")
	if got := w.took(29 * time.Second); got != "" {
		t.Errorf("calls: %s", got)
	}
	w.send(q, "", "c")
	if got := w.took(time.Second); got != "a,b,c" {
		t.Errorf("calls: %s", got)
	}
	var many []string
	for i := range 12 {
		many = append(many, fmt.Sprint(i))
	}
	w.send(q, "", many...)
	if got := w.took(0); got != strings.Join(many, ",") {
		t.Errorf("calls: %s", got)
	}
}

// A group of a FIFO queue waits for its message that fails; others go on.
func TestFIFOOnQueue(t *testing.T) {
	w := openQueues(t)
	q := w.queue("f.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "20"})
	w.mapping("f.fifo", func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = aws.Int32(1) })
	broken := true
	w.fail = func(body string) bool { return body == "a1" && broken }
	w.send(q, "a", "a1", "a2")
	w.send(q, "b", "b1", "b2")
	if got := w.took(0); got != "a1 | b1 | b2" {
		t.Errorf("calls: %s", got)
	}
	w.mu.Lock()
	broken = false
	w.mu.Unlock()
	if got := w.took(20 * time.Second); got != "a1 | a2" {
		t.Errorf("calls: %s", got)
	}
}

// The control plane of mappings on queues, with AWS's errors, beside those on streams.
func TestMappingsOnQueues(t *testing.T) {
	w := openQueues(t)
	q := w.queue("q", nil)
	fifo := w.srv.scope.QueueARN("f.fifo")
	w.queue("f.fifo", map[string]string{"FifoQueue": "true"})
	for _, row := range []struct {
		change func(in *lambda.CreateEventSourceMappingInput)
		text   string
	}{
		{func(in *lambda.CreateEventSourceMappingInput) {
			in.EventSourceArn = aws.String(w.srv.scope.QueueARN("none"))
		},
			"Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist."},
		{func(in *lambda.CreateEventSourceMappingInput) { in.FunctionName = aws.String("none") }, "Function does not exist"},
		{func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = aws.Int32(11) },
			"Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"},
		{func(in *lambda.CreateEventSourceMappingInput) { in.EventSourceArn, in.BatchSize = &fifo, aws.Int32(11) }, "Maximum batch size of a FIFO queue is 10."},
		{func(in *lambda.CreateEventSourceMappingInput) { in.StartingPosition = "LATEST" }, "Unsupported starting position for arn type: " + w.srv.scope.QueueARN("q")},
		{func(in *lambda.CreateEventSourceMappingInput) { in.ParallelizationFactor = aws.Int32(2) }, "Unsupported ParallelizationFactor parameter for given event source mapping type"},
		{func(in *lambda.CreateEventSourceMappingInput) {
			in.FilterCriteria = &lambdatypes.FilterCriteria{Filters: []lambdatypes.Filter{{Pattern: aws.String("x")}}}
		}, "Invalid filter pattern definition."},
	} {
		in := &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("f"), EventSourceArn: aws.String(w.srv.scope.QueueARN("q"))}
		row.change(in)
		_, err := w.lambda.CreateEventSourceMapping(t.Context(), in)
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorMessage() != row.text {
			t.Errorf("got %v, not %s", err, row.text)
		}
	}
	m := w.mapping("q", func(in *lambda.CreateEventSourceMappingInput) {
		in.ScalingConfig = &lambdatypes.ScalingConfig{MaximumConcurrency: aws.Int32(2)}
		in.Tags = map[string]string{"k": "v"}
	})
	_, err := w.lambda.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("f"), EventSourceArn: m.EventSourceArn})
	var conflict *lambdatypes.ResourceConflictException
	if !errors.As(err, &conflict) {
		t.Errorf("a second mapping: %v", err)
	}
	got, err := w.lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: m.UUID})
	if err != nil || aws.ToInt32(got.ScalingConfig.MaximumConcurrency) != 2 || aws.ToString(got.State) != "Enabled" {
		t.Errorf("%+v %v", got, err)
	}
	list, err := w.lambda.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{EventSourceArn: m.EventSourceArn})
	if err != nil || len(list.EventSourceMappings) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	tags, err := w.lambda.ListTags(t.Context(), &lambda.ListTagsInput{Resource: m.EventSourceMappingArn})
	if err != nil || tags.Tags["k"] != "v" {
		t.Errorf("%+v %v", tags, err)
	}
	if _, err := w.lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	w.send(q, "", "a")
	if got := w.took(time.Second); got != "" {
		t.Errorf("a disabled mapping made calls: %s", got)
	}
	if _, err := w.lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if got := w.took(0); got != "a" {
		t.Errorf("calls: %s", got)
	}
	if _, err := w.lambda.DeleteEventSourceMapping(t.Context(), &lambda.DeleteEventSourceMappingInput{UUID: m.UUID}); err != nil {
		t.Fatal(err)
	}
	w.send(q, "", "b")
	if got := w.took(time.Second); got != "" {
		t.Errorf("a deleted mapping made calls: %s", got)
	}
}

// Destinations and dead-letter queues find the server's own queues by their ARN.
func TestOwnQueuesAsDestinations(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_ENDPOINT_URL_SQS", "")
	w := openQueues(t)
	q := w.queue("given-up", nil)
	d, arn := &w.srv.destinations, w.srv.scope.QueueARN("given-up")
	if d.Here(w.srv.scope.QueueARN("none")) || !d.Here(arn) || d.Here("arn:aws:sns:eu-west-1:123456789012:given-up") {
		t.Error("queues are taken for others")
	}
	for _, tell := range []func(b *store.Batch) error{
		func(b *store.Batch) error { return d.Tell(b, arn, "document", "", nil) },
		func(b *store.Batch) error {
			return d.Tell(b, arn, "event", "", map[string]string{"ErrorCode": "200", "RequestID": "r"})
		},
	} {
		b := w.srv.store.NewBatch()
		if err := tell(b); err != nil {
			t.Fatal(err)
		}
		b.Close()
	}
	t.Setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
	if d.Here(arn) {
		t.Error("an endpoint variable sends nothing elsewhere")
	}
	out, err := w.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
	if err != nil || len(out.Messages) != 2 || *out.Messages[0].Body != "document" || *out.Messages[1].MessageAttributes["ErrorCode"].DataType != "Number" {
		t.Errorf("%+v %v", out, err)
	}
}

// What the tools tell of a mapping on a queue: its backlog and counts; a pause stops its calls, and the rate its haste.
func TestMappingOnQueueInTheTools(t *testing.T) {
	w := openQueues(t)
	q := w.queue("jobs", nil)
	m := w.mapping("jobs", func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = aws.Int32(1) })
	w.send(q, "", "a", "b")
	if got := w.took(0); got != "a | b" {
		t.Errorf("calls: %s", got)
	}
	st, err := w.srv.pollers.Status(*m.UUID)
	if err != nil || st.Counters.Invocations != 2 || st.Counters.Polled != 2 || st.Backlog != 0 || st.Error != "" || st.Queue() != "jobs" {
		t.Errorf("status %+v, %v", st, err)
	}
	if err := w.srv.pollers.Pause(*m.UUID); err != nil {
		t.Fatal(err)
	}
	w.send(q, "", "c")
	if got := w.took(time.Minute); got != "" {
		t.Errorf("paused, and called for %s", got)
	}
	if st, err = w.srv.pollers.Status(*m.UUID); err != nil || st.Backlog != 1 || st.AgeSeconds < 60 || !st.Paused || st.State != "Enabled" {
		t.Errorf("status %+v, %v", st, err)
	}
	if err := w.srv.pollers.Resume(*m.UUID); err != nil {
		t.Fatal(err)
	}
	if got := w.took(0); got != "c" {
		t.Errorf("calls: %s", got)
	}
	if err := w.srv.pollers.Retag(w.srv.scope, *m.UUID, func(tags map[string]string) { tags["millstream:rate"] = "0.1" }); err != nil {
		t.Fatal(err)
	}
	w.send(q, "", "d", "e", "f")
	if got := w.took(5 * time.Second); got != "d" {
		t.Errorf("one call in ten seconds, and it was called for %s after five", got)
	}
	if got := w.took(16 * time.Second); got != "e | f" {
		t.Errorf("calls after 21 seconds: %s", got)
	}
}

// Who watches is told of what was sent, with the ids by which the calls name their messages.
func TestActivityOfQueues(t *testing.T) {
	w := openQueues(t)
	q := w.queue("jobs", nil)
	w.mapping("jobs", nil)
	ctx, cancel := context.WithCancel(t.Context())
	ready, sent, called := make(chan struct{}), make(chan []string, 10), make(chan []wire.CalledFor, 10)
	var watch sync.WaitGroup
	watch.Go(func() {
		_ = w.srv.activity.Watch(ctx, func() { close(ready) }, func(e wire.Activity) error {
			if e.Kind == wire.Write {
				sent <- e.Sent
			} else {
				called <- e.Changes
			}
			return nil
		})
	})
	defer watch.Wait()
	defer cancel()
	<-ready
	w.send(q, "", "a")
	w.took(0)
	ids, changes := <-sent, <-called
	if len(ids) != 1 || len(changes) != 1 || changes[0].Queue != "jobs" || changes[0].Message != ids[0] {
		t.Errorf("sent %v, called for %+v", ids, changes)
	}
}
