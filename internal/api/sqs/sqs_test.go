package sqs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

const arns = "arn:aws:sqs:eu-west-1:123456789012:"

// serve starts a server with no queues, whose clock the test moves.
func serve(t *testing.T) (*client.Client, *httptest.Server, *worker.Clock) {
	t.Helper()
	st, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	clock := worker.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	queues, err := queue.Open(queue.Options{Store: st, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(queues, Options{Authenticate: func(*http.Request) (schema.Scope, *awserr.Error) {
		return schema.Scope{Account: "123456789012", Region: "eu-west-1"}, nil
	}}))
	t.Cleanup(func() {
		server.Close()
		queues.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return client.New(client.Options{HTTPClient: plainBodies{},
		BaseEndpoint: &server.URL, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), Retryer: aws.NopRetryer{},
	}), server, clock
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// fails checks the code and the text of an error, as the SDK reads them.
func fails(t *testing.T, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != text {
		t.Errorf("got %v, not %s: %s", err, code, text)
	}
}

func create(t *testing.T, c *client.Client, name string, attributes map[string]string) *string {
	t.Helper()
	return must[*client.CreateQueueOutput](t)(c.CreateQueue(t.Context(), &client.CreateQueueInput{QueueName: &name, Attributes: attributes})).QueueUrl
}

func send(t *testing.T, c *client.Client, q *string, body string) *client.SendMessageOutput {
	t.Helper()
	return must[*client.SendMessageOutput](t)(c.SendMessage(t.Context(), &client.SendMessageInput{QueueUrl: q, MessageBody: &body}))
}

func receive(t *testing.T, c *client.Client, in *client.ReceiveMessageInput) []types.Message {
	t.Helper()
	return must[*client.ReceiveMessageOutput](t)(c.ReceiveMessage(t.Context(), in)).Messages
}

func TestQueues(t *testing.T) {
	c, server, clock := serve(t)
	ctx := t.Context()
	q := create(t, c, "q", map[string]string{"VisibilityTimeout": "20"})
	if want := server.URL + "/123456789012/q"; *q != want {
		t.Errorf("the URL is %s, not %s", *q, want)
	}
	_, err := c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "21"}})
	fails(t, err, "QueueAlreadyExists", "A queue already exists with the same name and a different value for attribute VisibilityTimeout")
	create(t, c, "q", nil) // there already
	for _, row := range []struct {
		name, code, text string
		attributes       map[string]string
	}{
		{"bad name", "InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length", nil},
		{"q.fifo", "InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length", nil},
		{"q2", "InvalidAttributeName", "Unknown Attribute Nonsense.", map[string]string{"Nonsense": "1"}},
		{"q2", "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds.", map[string]string{"DelaySeconds": "901"}},
		{"q2", "InvalidAttributeName", "Unknown Attribute ContentBasedDeduplication.", map[string]string{"ContentBasedDeduplication": "true"}},
		{"q2", "InvalidAttributeName", "You can specify the DeduplicationScope only when FifoQueue is set to true.", map[string]string{"DeduplicationScope": "queue"}},
		{"q2", "InvalidParameterValue", `Value {"deadLetterTargetArn":"` + arns + `none","maxReceiveCount":3} for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.`,
			map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arns + `none","maxReceiveCount":3}`}},
	} {
		_, err := c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: &row.name, Attributes: row.attributes})
		fails(t, err, row.code, row.text)
	}
	got := must[*client.GetQueueUrlOutput](t)(c.GetQueueUrl(ctx, &client.GetQueueUrlInput{QueueName: aws.String("q")}))
	if *got.QueueUrl != *q {
		t.Errorf("GetQueueUrl: %s", *got.QueueUrl)
	}
	_, err = c.GetQueueUrl(ctx, &client.GetQueueUrlInput{QueueName: aws.String("none")})
	fails(t, err, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
	var missing *types.QueueDoesNotExist
	if !errors.As(err, &missing) {
		t.Errorf("%T is no QueueDoesNotExist", err)
	}
	if err := clock.Advance(ctx, 5*time.Second, nil); err != nil {
		t.Fatal(err)
	}
	must[*client.SetQueueAttributesOutput](t)(c.SetQueueAttributes(ctx, &client.SetQueueAttributesInput{QueueUrl: q, Attributes: map[string]string{"DelaySeconds": "7"}}))
	_, err = c.SetQueueAttributes(ctx, &client.SetQueueAttributesInput{QueueUrl: q, Attributes: map[string]string{"FifoQueue": "true"}})
	fails(t, err, "InvalidAttributeName", "Unknown Attribute FifoQueue.")
	all := must[*client.GetQueueAttributesOutput](t)(c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{QueueUrl: q, AttributeNames: []types.QueueAttributeName{"All"}})).Attributes
	want := map[string]string{
		"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesDelayed": "0", "ApproximateNumberOfMessagesNotVisible": "0",
		"CreatedTimestamp": "1893456000", "DelaySeconds": "7", "LastModifiedTimestamp": "1893456005", "MaximumMessageSize": "1048576",
		"MessageRetentionPeriod": "345600", "QueueArn": arns + "q", "ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true", "VisibilityTimeout": "20",
	}
	if !maps.Equal(all, want) {
		t.Errorf("attributes are %v", all)
	}
	fifo := create(t, c, "f.fifo", map[string]string{"FifoQueue": "true"})
	some := must[*client.GetQueueAttributesOutput](t)(c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{
		QueueUrl: fifo, AttributeNames: []types.QueueAttributeName{"DeduplicationScope", "FifoThroughputLimit", "ContentBasedDeduplication", "FifoQueue"},
	})).Attributes
	if !maps.Equal(some, map[string]string{"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue", "ContentBasedDeduplication": "false", "FifoQueue": "true"}) {
		t.Errorf("attributes of a FIFO queue are %v", some)
	}
	_, err = c.SetQueueAttributes(ctx, &client.SetQueueAttributesInput{QueueUrl: fifo, Attributes: map[string]string{"FifoQueue": "false"}})
	fails(t, err, "InvalidAttributeValue", "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.")
	_, err = c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{QueueUrl: fifo, AttributeNames: []types.QueueAttributeName{"Nonsense"}})
	fails(t, err, "InvalidAttributeName", "Unknown Attribute Nonsense.")

	must[*client.TagQueueOutput](t)(c.TagQueue(ctx, &client.TagQueueInput{QueueUrl: q, Tags: map[string]string{"a": "1", "b": "2", "c": ""}}))
	must[*client.UntagQueueOutput](t)(c.UntagQueue(ctx, &client.UntagQueueInput{QueueUrl: q, TagKeys: []string{"a"}}))
	if tags := must[*client.ListQueueTagsOutput](t)(c.ListQueueTags(ctx, &client.ListQueueTagsInput{QueueUrl: q})).Tags; !maps.Equal(tags, map[string]string{"b": "2", "c": ""}) {
		t.Errorf("tags are %v", tags)
	}

	must[*client.AddPermissionOutput](t)(c.AddPermission(ctx, &client.AddPermissionInput{QueueUrl: q, Label: aws.String("l"), AWSAccountIds: []string{"111111111111"}, Actions: []string{"SendMessage"}}))
	_, err = c.AddPermission(ctx, &client.AddPermissionInput{QueueUrl: q, Label: aws.String("l"), AWSAccountIds: []string{"111111111111"}, Actions: []string{"SendMessage"}})
	fails(t, err, "InvalidParameterValue", "Value l for parameter Label is invalid. Reason: Already exists.")
	must[*client.RemovePermissionOutput](t)(c.RemovePermission(ctx, &client.RemovePermissionInput{QueueUrl: q, Label: aws.String("l")}))
	_, err = c.RemovePermission(ctx, &client.RemovePermissionInput{QueueUrl: q, Label: aws.String("l")})
	fails(t, err, "InvalidParameterValue", "Value l for parameter Label is invalid. Reason: can't find label.")

	for i := range 5 {
		create(t, c, fmt.Sprint("page-", i), nil)
	}
	var names []string
	in := &client.ListQueuesInput{QueueNamePrefix: aws.String("page"), MaxResults: aws.Int32(2)}
	for pages := client.NewListQueuesPaginator(c, in); pages.HasMorePages(); {
		page := must[*client.ListQueuesOutput](t)(pages.NextPage(ctx))
		for _, u := range page.QueueUrls {
			names = append(names, u[strings.LastIndexByte(u, '/')+1:])
		}
	}
	if want := []string{"page-0", "page-1", "page-2", "page-3", "page-4"}; !slices.Equal(names, want) {
		t.Errorf("listed %v", names)
	}
	must[*client.DeleteQueueOutput](t)(c.DeleteQueue(ctx, &client.DeleteQueueInput{QueueUrl: q}))
	_, err = c.DeleteQueue(ctx, &client.DeleteQueueInput{QueueUrl: q})
	fails(t, err, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
}

func TestMessages(t *testing.T) {
	c, _, clock := serve(t)
	ctx := t.Context()
	q := create(t, c, "q", nil)
	// The SDK compares the digests by itself.
	sent := must[*client.SendMessageOutput](t)(c.SendMessage(ctx, &client.SendMessageInput{
		QueueUrl: q, MessageBody: aws.String("héllo \"<&>\"\n"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"General": {DataType: aws.String("String"), StringValue: aws.String("Kenobi")}, "Hello": {DataType: aws.String("String"), StringValue: aws.String("There")},
			"Help.Me": {DataType: aws.String("String"), StringValue: aws.String("Me")},
		},
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1-5759e988")}},
	}))
	if got := aws.ToString(sent.MD5OfMessageAttributes); got != "4c360f3fdafd970e05fae2f149d997f5" { // AWS's own answer
		t.Errorf("the digest of the attributes is %s", got)
	}
	got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"Help.*"}})
	if len(got) != 1 || *got[0].Body != "héllo \"<&>\"\n" || *got[0].MessageId != *sent.MessageId || *got[0].MD5OfBody != *sent.MD5OfMessageBody {
		t.Fatalf("received %+v", got)
	}
	if a := got[0].MessageAttributes; len(a) != 1 || *a["Help.Me"].StringValue != "Me" {
		t.Errorf("attributes are %v", a)
	}
	if want := map[string]string{
		"ApproximateReceiveCount": "1", "SenderId": "123456789012", "SentTimestamp": "1893456000000", "ApproximateFirstReceiveTimestamp": "1893456000000", "AWSTraceHeader": "Root=1-5759e988",
	}; !maps.Equal(got[0].Attributes, want) {
		t.Errorf("system attributes are %v", got[0].Attributes)
	}
	must[*client.ChangeMessageVisibilityOutput](t)(c.ChangeMessageVisibility(ctx, &client.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: 0}))
	got = receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount"}})
	if len(got) != 1 || !maps.Equal(got[0].Attributes, map[string]string{"ApproximateReceiveCount": "2"}) {
		t.Fatalf("received %+v", got)
	}
	must[*client.DeleteMessageOutput](t)(c.DeleteMessage(ctx, &client.DeleteMessageInput{QueueUrl: q, ReceiptHandle: got[0].ReceiptHandle}))
	must[*client.DeleteMessageOutput](t)(c.DeleteMessage(ctx, &client.DeleteMessageInput{QueueUrl: q, ReceiptHandle: got[0].ReceiptHandle}))
	_, err := c.ChangeMessageVisibility(ctx, &client.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: 5})
	fails(t, err, "InvalidParameterValue", "Value "+*got[0].ReceiptHandle+" for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.")
	_, err = c.DeleteMessage(ctx, &client.DeleteMessageInput{QueueUrl: q, ReceiptHandle: aws.String("x")})
	fails(t, err, "ReceiptHandleIsInvalid", `The input receipt handle "x" is not a valid receipt handle.`)

	for _, row := range []struct {
		in         client.SendMessageInput
		code, text string
	}{
		{client.SendMessageInput{MessageBody: aws.String("")}, "MissingParameter", "The request must contain the parameter MessageBody."},
		{client.SendMessageInput{MessageBody: aws.String("\x01")}, "InvalidMessageContents", awserr.MessageContents().Message},
		{client.SendMessageInput{MessageBody: aws.String(strings.Repeat("a", 1<<20+1))}, "InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."},
		{client.SendMessageInput{MessageBody: aws.String("a"), MessageGroupId: aws.String("a b")}, "InvalidParameterValue",
			"Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length."},
		{client.SendMessageInput{MessageBody: aws.String("a"), MessageDeduplicationId: aws.String("a")}, "InvalidParameterValue",
			"Value a for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid for this queue type."},
	} {
		row.in.QueueUrl = q
		_, err := c.SendMessage(ctx, &row.in)
		fails(t, err, row.code, row.text)
	}
	big := strings.Repeat("a", 1<<20)
	send(t, c, q, big)
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q}); len(got) != 1 || *got[0].Body != big {
		t.Error("a message of 1 MiB did not come")
	}

	var entries []types.SendMessageBatchRequestEntry
	for i := range 10 {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint("id", i)), MessageBody: aws.String(fmt.Sprint("body ", i))})
	}
	entries[3].MessageBody = aws.String("")
	batch := must[*client.SendMessageBatchOutput](t)(c.SendMessageBatch(ctx, &client.SendMessageBatchInput{QueueUrl: q, Entries: entries}))
	if len(batch.Successful) != 9 || len(batch.Failed) != 1 || *batch.Failed[0].Id != "id3" || *batch.Failed[0].Code != "MissingParameter" || !batch.Failed[0].SenderFault {
		t.Errorf("a batch was answered with %+v", batch)
	}
	_, err = c.SendMessageBatch(ctx, &client.SendMessageBatchInput{QueueUrl: q, Entries: append(entries, entries[0])})
	fails(t, err, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent 11.")
	_, err = c.SendMessageBatch(ctx, &client.SendMessageBatchInput{QueueUrl: q, Entries: []types.SendMessageBatchRequestEntry{entries[0], entries[0]}})
	fails(t, err, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id id0 repeated.")
	_, err = c.SendMessageBatch(ctx, &client.SendMessageBatchInput{QueueUrl: q, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("1"), MessageBody: &big}, {Id: aws.String("2"), MessageBody: aws.String("a")}}})
	fails(t, err, "AWS.SimpleQueueService.BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.")
	got = receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 10})
	if len(got) != 9 || *got[0].Body != "body 0" || *got[8].Body != "body 9" {
		t.Fatalf("received %d", len(got))
	}
	var changes []types.ChangeMessageVisibilityBatchRequestEntry
	var deletes []types.DeleteMessageBatchRequestEntry
	for i, m := range got {
		changes = append(changes, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 100})
		deletes = append(deletes, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
	}
	if out := must[*client.ChangeMessageVisibilityBatchOutput](t)(c.ChangeMessageVisibilityBatch(ctx, &client.ChangeMessageVisibilityBatchInput{QueueUrl: q, Entries: changes})); len(out.Successful) != 9 {
		t.Errorf("visibilities: %+v", out)
	}
	deletes[4].ReceiptHandle = aws.String("nonsense")
	out := must[*client.DeleteMessageBatchOutput](t)(c.DeleteMessageBatch(ctx, &client.DeleteMessageBatchInput{QueueUrl: q, Entries: deletes}))
	if len(out.Successful) != 8 || len(out.Failed) != 1 || *out.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("deletes: %+v", out)
	}
	if err := clock.Advance(ctx, 99*time.Second, nil); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q}); len(got) != 1 || *got[0].Body != big {
		t.Errorf("received %d", len(got))
	}
	if err := clock.Advance(ctx, time.Second, nil); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q}); len(got) != 1 || *got[0].Body != "body 5" {
		t.Errorf("received %+v", got)
	}
	must[*client.PurgeQueueOutput](t)(c.PurgeQueue(ctx, &client.PurgeQueueInput{QueueUrl: q}))
	_, err = c.PurgeQueue(ctx, &client.PurgeQueueInput{QueueUrl: q})
	fails(t, err, "AWS.SimpleQueueService.PurgeQueueInProgress", "Only one PurgeQueue operation on q is allowed every 60 seconds.")
	_, err = c.ReceiveMessage(ctx, &client.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 11})
	fails(t, err, "InvalidParameterValue", "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.")
	_, err = c.ReceiveMessage(ctx, &client.ReceiveMessageInput{QueueUrl: q, WaitTimeSeconds: 21})
	fails(t, err, "InvalidParameterValue", "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.")
}

// A long poll ends with the message that comes meanwhile, also one that becomes visible by time.
func TestLongPoll(t *testing.T) {
	c, _, clock := serve(t)
	q := create(t, c, "q", nil)
	got := make(chan []types.Message)
	poll := func() {
		go func() {
			out, err := c.ReceiveMessage(t.Context(), &client.ReceiveMessageInput{QueueUrl: q, WaitTimeSeconds: 20, VisibilityTimeout: 9})
			if err != nil {
				t.Error(err)
			}
			got <- out.Messages
		}()
	}
	poll()
	send(t, c, q, "now")
	if m := <-got; len(m) != 1 {
		t.Fatalf("received %v", m)
	}
	must[*client.SendMessageOutput](t)(c.SendMessage(t.Context(), &client.SendMessageInput{QueueUrl: q, MessageBody: aws.String("later"), DelaySeconds: 8}))
	poll()
	poll()
	for _, seconds := range []time.Duration{8, 1} {
		if err := clock.Advance(t.Context(), seconds*time.Second, nil); err != nil {
			t.Fatal(err)
		}
		if m := <-got; len(m) != 1 {
			t.Fatalf("received %v", m)
		}
	}
}

func TestFIFO(t *testing.T) {
	c, _, clock := serve(t)
	ctx := t.Context()
	q := create(t, c, "f.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "30"})
	put := func(body, group, dedup string) *client.SendMessageOutput {
		in := &client.SendMessageInput{QueueUrl: q, MessageBody: &body, MessageGroupId: &group}
		if dedup != "" {
			in.MessageDeduplicationId = &dedup
		}
		return must[*client.SendMessageOutput](t)(c.SendMessage(ctx, in))
	}
	first := put("a1", "a", "")
	if again := put("a1", "a", ""); *again.MessageId != *first.MessageId || *again.SequenceNumber != *first.SequenceNumber {
		t.Errorf("a duplicate was answered with %s, not %s", *again.MessageId, *first.MessageId)
	}
	if second := put("a2", "a", "x"); *second.SequenceNumber <= *first.SequenceNumber || len(*second.SequenceNumber) != 20 {
		t.Errorf("numbers are %s and %s", *first.SequenceNumber, *second.SequenceNumber)
	}
	put("b1", "b", "")
	_, err := c.SendMessage(ctx, &client.SendMessageInput{QueueUrl: q, MessageBody: aws.String("a")})
	fails(t, err, "MissingParameter", "The request must contain the parameter MessageGroupId.")
	_, err = c.SendMessage(ctx, &client.SendMessageInput{QueueUrl: q, MessageBody: aws.String("a"), MessageGroupId: aws.String("a"), DelaySeconds: 2})
	fails(t, err, "InvalidParameterValue", "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.")
	take := func(attempt string, most int32) []types.Message {
		in := &client.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: most, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}}
		if attempt != "" {
			in.ReceiveRequestAttemptId = &attempt
		}
		return receive(t, c, in)
	}
	got := take("try", 1)
	if len(got) != 1 || *got[0].Body != "a1" || got[0].Attributes["MessageGroupId"] != "a" || got[0].Attributes["SequenceNumber"] != *first.SequenceNumber {
		t.Fatalf("received %+v", got)
	}
	if again := take("try", 1); len(again) != 1 || *again[0].ReceiptHandle != *got[0].ReceiptHandle {
		t.Errorf("the same attempt gave %+v", again)
	}
	if others := take("", 10); len(others) != 1 || *others[0].Body != "b1" {
		t.Errorf("received %+v while a group was in flight", others)
	}
	if err := clock.Advance(ctx, 31*time.Second, nil); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteMessage(ctx, &client.DeleteMessageInput{QueueUrl: q, ReceiptHandle: got[0].ReceiptHandle})
	fails(t, err, "InvalidParameterValue", "Value "+*got[0].ReceiptHandle+" for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")
	if got = take("", 10); len(got) != 3 || *got[0].Body != "a1" || *got[1].Body != "a2" || *got[2].Body != "b1" {
		t.Errorf("received %+v", got)
	}
}

func TestDeadLetters(t *testing.T) {
	c, _, clock := serve(t)
	ctx := t.Context()
	dead := create(t, c, "dead", nil)
	q := create(t, c, "q", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arns + `dead","maxReceiveCount":"2"}`, "VisibilityTimeout": "0"})
	if out := must[*client.ListDeadLetterSourceQueuesOutput](t)(c.ListDeadLetterSourceQueues(ctx, &client.ListDeadLetterSourceQueuesInput{QueueUrl: dead})); !slices.Equal(out.QueueUrls, []string{*q}) {
		t.Errorf("sources are %v", out.QueueUrls)
	}
	_, err := c.SetQueueAttributes(ctx, &client.SetQueueAttributesInput{QueueUrl: dead, Attributes: map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`}})
	if err != nil {
		t.Fatal(err)
	}
	policy := `{"deadLetterTargetArn":"` + arns + `dead","maxReceiveCount":1}`
	_, err = c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: aws.String("q2"), Attributes: map[string]string{"RedrivePolicy": policy}})
	fails(t, err, "InvalidParameterValue", "Value "+policy+" for parameter RedrivePolicy is invalid. Reason: Queue "+arns+"q2 does not have permission to use "+arns+"dead as a dead-letter queue.")
	for i := range 3 {
		send(t, c, q, fmt.Sprint("m", i))
	}
	for range 2 {
		if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 10}); len(got) != 3 {
			t.Fatalf("received %d", len(got))
		}
	}
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 10}); len(got) != 0 {
		t.Fatalf("received %d", len(got))
	}
	got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: dead, VisibilityTimeout: 1, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"DeadLetterQueueSourceArn"}})
	if len(got) != 3 || *got[0].Body != "m0" || got[0].Attributes["DeadLetterQueueSourceArn"] != arns+"q" {
		t.Fatalf("received %+v", got)
	}
	_, err = c.StartMessageMoveTask(ctx, &client.StartMessageMoveTaskInput{SourceArn: aws.String(arns + "q")})
	fails(t, err, "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
	_, err = c.StartMessageMoveTask(ctx, &client.StartMessageMoveTaskInput{SourceArn: aws.String(arns + "dead"), DestinationArn: aws.String(arns + "none")})
	fails(t, err, "ResourceNotFoundException", "The resource that you specified for the DestinationArn parameter doesn't exist.")
	if err := clock.Advance(ctx, time.Second, nil); err != nil {
		t.Fatal(err)
	}
	task := must[*client.StartMessageMoveTaskOutput](t)(c.StartMessageMoveTask(ctx, &client.StartMessageMoveTaskInput{SourceArn: aws.String(arns + "dead"), MaxNumberOfMessagesPerSecond: aws.Int32(1)}))
	_, err = c.StartMessageMoveTask(ctx, &client.StartMessageMoveTaskInput{SourceArn: aws.String(arns + "dead")})
	fails(t, err, "InvalidParameterValue", "There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	if err := clock.Advance(ctx, time.Second, nil); err != nil {
		t.Fatal(err)
	}
	list := func() types.ListMessageMoveTasksResultEntry {
		return must[*client.ListMessageMoveTasksOutput](t)(c.ListMessageMoveTasks(ctx, &client.ListMessageMoveTasksInput{SourceArn: aws.String(arns + "dead")})).Results[0]
	}
	if r := list(); aws.ToString(r.Status) != "RUNNING" || r.ApproximateNumberOfMessagesMoved != 2 || aws.ToString(r.TaskHandle) != *task.TaskHandle || aws.ToInt64(r.ApproximateNumberOfMessagesToMove) != 3 {
		t.Errorf("the task is %+v", r)
	}
	if out := must[*client.CancelMessageMoveTaskOutput](t)(c.CancelMessageMoveTask(ctx, &client.CancelMessageMoveTaskInput{TaskHandle: task.TaskHandle})); out.ApproximateNumberOfMessagesMoved != 2 {
		t.Errorf("cancelled after %d", out.ApproximateNumberOfMessagesMoved)
	}
	if err := clock.Advance(ctx, time.Second, nil); err != nil {
		t.Fatal(err)
	}
	if r := list(); aws.ToString(r.Status) != "CANCELLED" {
		t.Errorf("the task is %+v", r)
	}
	_, err = c.CancelMessageMoveTask(ctx, &client.CancelMessageMoveTaskInput{TaskHandle: aws.String("x")})
	fails(t, err, "InvalidParameterValue", "Value for parameter TaskHandle is invalid.")
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, VisibilityTimeout: 5, MaxNumberOfMessages: 10}); len(got) != 2 || *got[0].Body != "m0" {
		t.Errorf("received %+v", got)
	}
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: dead, MaxNumberOfMessages: 10}); len(got) != 1 || *got[0].Body != "m2" {
		t.Errorf("received %+v", got)
	}
}

// The query protocol: forms in, XML out, also at the address of a queue.
func TestQueryProtocol(t *testing.T) {
	c, server, _ := serve(t)
	q := create(t, c, "q", nil)
	post := func(address string, form url.Values) (int, string) {
		t.Helper()
		out, err := http.Post(address, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = out.Body.Close() // it was read
		return out.StatusCode, string(body)
	}
	expect := func(address string, form url.Values, status int, parts ...string) {
		t.Helper()
		code, body := post(address, form)
		if code != status {
			t.Errorf("status %d: %s", code, body)
		}
		for _, p := range parts {
			if !strings.Contains(body, p) {
				t.Errorf("%s lacks %s", body, p)
			}
		}
	}
	expect(server.URL, url.Values{"Action": {"CreateQueue"}, "QueueName": {"made"}, "Attribute.1.Name": {"DelaySeconds"}, "Attribute.1.Value": {"0"}, "Tag.1.Key": {"k"}, "Tag.1.Value": {"v"}}, 200,
		`<CreateQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><CreateQueueResult><QueueUrl>`+server.URL+`/123456789012/made</QueueUrl></CreateQueueResult><ResponseMetadata><RequestId>`)
	expect(*q, url.Values{
		"Action": {"SendMessage"}, "MessageBody": {"a<b"}, "MessageAttribute.1.Name": {"n"}, "MessageAttribute.1.Value.DataType": {"Binary"}, "MessageAttribute.1.Value.BinaryValue": {"AAE="},
	}, 200, "<SendMessageResult><MD5OfMessageBody>", "<MD5OfMessageAttributes>", "<MessageId>")
	expect(*q, url.Values{
		"Action": {"SendMessageBatch"}, "SendMessageBatchRequestEntry.1.Id": {"x"}, "SendMessageBatchRequestEntry.1.MessageBody": {"1"},
		"SendMessageBatchRequestEntry.2.Id": {"y"}, "SendMessageBatchRequestEntry.2.MessageBody": {""},
	}, 200, "<SendMessageBatchResultEntry><Id>x</Id>", "<BatchResultErrorEntry><Id>y</Id><SenderFault>true</SenderFault><Code>MissingParameter</Code>")
	_, body := post(*q, url.Values{"Action": {"ReceiveMessage"}, "MaxNumberOfMessages": {"10"}, "AttributeName.1": {"All"}, "MessageAttributeName.1": {"All"}})
	for _, p := range []string{
		"<ReceiveMessageResult><Message><MessageId>", "<Body>a&lt;b</Body>", "<Attribute><Name>SenderId</Name><Value>123456789012</Value></Attribute>",
		"<MessageAttribute><Name>n</Name><Value><BinaryValue>AAE=</BinaryValue><DataType>Binary</DataType></Value></MessageAttribute></Message><Message>",
	} {
		if !strings.Contains(body, p) {
			t.Errorf("%s lacks %s", body, p)
		}
	}
	_, after, _ := strings.Cut(body, "<ReceiptHandle>")
	receipt, _, _ := strings.Cut(after, "</ReceiptHandle>")
	expect(*q, url.Values{"Action": {"ChangeMessageVisibilityBatch"}, "ChangeMessageVisibilityBatchRequestEntry.1.Id": {"x"}, "ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle": {receipt}, "ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout": {"5"}}, 200,
		"<ChangeMessageVisibilityBatchResultEntry><Id>x</Id></ChangeMessageVisibilityBatchResultEntry>")
	expect(*q, url.Values{"Action": {"DeleteMessage"}, "ReceiptHandle": {receipt}}, 200, `/"><ResponseMetadata><RequestId>`)
	expect(server.URL, url.Values{"Action": {"GetQueueAttributes"}, "QueueUrl": {*q}, "AttributeName.1": {"VisibilityTimeout"}}, 200,
		"<GetQueueAttributesResult><Attribute><Name>VisibilityTimeout</Name><Value>30</Value></Attribute></GetQueueAttributesResult>")
	expect(server.URL, url.Values{"Action": {"ListQueues"}}, 200, "<QueueUrl>"+*q+"</QueueUrl>")
	expect(server.URL, url.Values{"Action": {"ListQueueTags"}, "QueueUrl": {"/123456789012/made"}}, 200, "<Tag><Key>k</Key><Value>v</Value></Tag>")
	expect(server.URL, url.Values{"Action": {"GetQueueUrl"}, "QueueName": {"none"}}, 400,
		`<ErrorResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><Error><Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist for this wsdl version.</Message><Detail/></Error><RequestId>`)
	expect(server.URL, url.Values{"Action": {"Nonsense"}}, 400, "<Code>InvalidAction</Code>")
	// Calls by GET are signed in a header, which no link has; a queue's own URL takes what is about a queue.
	get := func(address string, form url.Values) (int, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, address+"?"+form.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "signed")
		out, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = out.Body.Close() }() // it was read
		body, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		return out.StatusCode, string(body)
	}
	for _, c := range []struct {
		address string
		form    url.Values
		code    int
		part    string
	}{
		{*q, url.Values{"Action": {"SendMessage"}, "MessageBody": {"by GET"}}, 200, "<SendMessageResult>"},
		{*q, url.Values{"Action": {"ReceiveMessage"}}, 200, "<Body>by GET</Body>"},
		{*q, url.Values{"Action": {"ReceiveMessage"}}, 200, "<ReceiveMessageResult/>"},
		{*q, url.Values{"Action": {"GetQueueUrl"}, "QueueName": {"made"}}, 200, "<QueueUrl>" + server.URL + "/123456789012/made</QueueUrl>"},
		{*q, url.Values{"Action": {"CreateQueue"}, "QueueName": {"by-get"}}, 400, "<Code>InvalidAction</Code><Message>The action CreateQueue is not valid for this endpoint.</Message>"},
		{*q, url.Values{"Action": {"ListQueues"}}, 400, "<Message>The action ListQueues is not valid for this endpoint.</Message>"},
		{*q, nil, 404, "<UnknownOperationException/>"},
	} {
		if code, body := get(c.address, c.form); code != c.code || !strings.Contains(body, c.part) {
			t.Errorf("GET %v: %d %s", c.form, code, body)
		}
	}
	// A link that somebody follows must not change anything.
	got, err := http.Get(server.URL + "/?Action=CreateQueue&QueueName=linked")
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Body.Close() // its status is enough
	if _, body := post(server.URL, url.Values{"Action": {"ListQueues"}}); got.StatusCode != 405 || strings.Contains(body, "linked") {
		t.Errorf("a call by GET: %d, and there are %s", got.StatusCode, body)
	}
}

// plainBodies sends requests whose bodies can only be read. The body that AWS's SDK gives can also write itself, and answers EOF, which
// net/http takes for a failure, when the server's answer came before net/http had looked for the body's end: then the client closes the
// connection under the answer.
type plainBodies struct{}

func (plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return http.DefaultClient.Do(r)
}
