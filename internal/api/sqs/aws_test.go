package sqs

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// What public suites have seen of AWS, by recordings or by tests that were run against it.

func TestEmptyBatches(t *testing.T) {
	c, _, _ := serve(t)
	ctx := t.Context()
	q := create(t, c, "q", nil)
	const code = "AWS.SimpleQueueService.EmptyBatchRequest"
	_, err := c.SendMessageBatch(ctx, &client.SendMessageBatchInput{QueueUrl: q, Entries: []types.SendMessageBatchRequestEntry{}})
	fails(t, err, code, "There should be at least one SendMessageBatchRequestEntry in the request.")
	_, err = c.DeleteMessageBatch(ctx, &client.DeleteMessageBatchInput{QueueUrl: q, Entries: []types.DeleteMessageBatchRequestEntry{}})
	fails(t, err, code, "There should be at least one DeleteMessageBatchRequestEntry in the request.")
	_, err = c.ChangeMessageVisibilityBatch(ctx, &client.ChangeMessageVisibilityBatchInput{QueueUrl: q, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{}})
	fails(t, err, code, "There should be at least one ChangeMessageVisibilityBatchRequestEntry in the request.")
}

// A standard queue takes the handle of an earlier delivery too; a FIFO queue does not.
func TestEarlierHandles(t *testing.T) {
	c, _, _ := serve(t)
	ctx := t.Context()
	q := create(t, c, "q", nil)
	send(t, c, q, "a")
	first := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, VisibilityTimeout: 0})[0]
	must[*client.ChangeMessageVisibilityOutput](t)(c.ChangeMessageVisibility(ctx, &client.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: first.ReceiptHandle}))
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, VisibilityTimeout: 30}); len(got) != 1 {
		t.Fatalf("got %d messages", len(got))
	}
	must[*client.ChangeMessageVisibilityOutput](t)(c.ChangeMessageVisibility(ctx, &client.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: first.ReceiptHandle}))
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q, VisibilityTimeout: 30}); len(got) != 1 {
		t.Fatal("its visibility was not ended by the first delivery's handle")
	}
	must[*client.DeleteMessageOutput](t)(c.DeleteMessage(ctx, &client.DeleteMessageInput{QueueUrl: q, ReceiptHandle: first.ReceiptHandle}))
	attributes := must[*client.GetQueueAttributesOutput](t)(c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{QueueUrl: q, AttributeNames: []types.QueueAttributeName{"All"}})).Attributes
	if attributes["ApproximateNumberOfMessages"] != "0" || attributes["ApproximateNumberOfMessagesNotVisible"] != "0" {
		t.Errorf("it was not deleted: %v", attributes)
	}
}

// Attributes are kept as SQS keeps them, and a dead-letter queue goes on counting.
func TestNormalAttributes(t *testing.T) {
	c, _, _ := serve(t)
	ctx := t.Context()
	dead := create(t, c, "dead", nil)
	q := create(t, c, "q", map[string]string{"RedrivePolicy": `{"maxReceiveCount":"1", "deadLetterTargetArn":"` + arns + `dead"}`, "VisibilityTimeout": "0", "SqsManagedSseEnabled": "False", "KmsDataKeyReusePeriodSeconds": "300"})
	all := func(q *string) map[string]string {
		t.Helper()
		return must[*client.GetQueueAttributesOutput](t)(c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{QueueUrl: q, AttributeNames: []types.QueueAttributeName{"All"}})).Attributes
	}
	got := all(q)
	if want := `{"deadLetterTargetArn":"` + arns + `dead","maxReceiveCount":1}`; got["RedrivePolicy"] != want || got["SqsManagedSseEnabled"] != "false" {
		t.Errorf("got %v", got)
	}
	if period, there := got["KmsDataKeyReusePeriodSeconds"]; there {
		t.Errorf("there is a period of %s without a key", period)
	}
	if got := all(create(t, c, "f.fifo", map[string]string{"FifoQueue": "True", "ContentBasedDeduplication": "TRUE"})); got["FifoQueue"] != "true" || got["ContentBasedDeduplication"] != "true" {
		t.Errorf("got %v", got)
	}
	send(t, c, q, "a")
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q}); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q}); len(got) != 0 {
		t.Fatalf("got %v once more", got)
	}
	m := receive(t, c, &client.ReceiveMessageInput{QueueUrl: dead, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if len(m) != 1 {
		t.Fatal("nothing came to the dead-letter queue")
	}
	if n := m[0].Attributes["ApproximateReceiveCount"]; n != "2" {
		t.Errorf("the receive count in the dead-letter queue is %s", n)
	}
}

// A purge has a FIFO queue forget deduplication ids.
func TestPurgeForgetsIDs(t *testing.T) {
	c, _, _ := serve(t)
	ctx := t.Context()
	q := create(t, c, "f.fifo", map[string]string{"FifoQueue": "true"})
	put := func(body string) {
		t.Helper()
		must[*client.SendMessageOutput](t)(c.SendMessage(ctx, &client.SendMessageInput{QueueUrl: q, MessageBody: &body, MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d")}))
	}
	put("a")
	must[*client.PurgeQueueOutput](t)(c.PurgeQueue(ctx, &client.PurgeQueueInput{QueueUrl: q}))
	put("b")
	if got := receive(t, c, &client.ReceiveMessageInput{QueueUrl: q}); len(got) != 1 || *got[0].Body != "b" {
		t.Errorf("got %v", got)
	}
}

func TestPermissionErrors(t *testing.T) {
	c, _, _ := serve(t)
	ctx := t.Context()
	q := create(t, c, "q", nil)
	add := func(accounts, actions []string) error {
		_, err := c.AddPermission(ctx, &client.AddPermissionInput{QueueUrl: q, Label: aws.String("l"), AWSAccountIds: accounts, Actions: actions})
		return err
	}
	one := []string{"111111111111"}
	fails(t, add(one, []string{}), "MissingParameter", "The request must contain the parameter Actions.")
	fails(t, add([]string{}, []string{"SendMessage"}), "InvalidParameterValue", "Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.")
	fails(t, add(one, []string{"RemovePermission"}), "InvalidParameterValue",
		"Value SQS:RemovePermission for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action.")
	fails(t, add(one, []string{"ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue", "ReceiveMessage", "SendMessage"}),
		"OverLimit", "8 Actions were found, maximum allowed is 7.")
	_, err := c.TagQueue(ctx, &client.TagQueueInput{QueueUrl: q, Tags: map[string]string{}})
	fails(t, err, "MissingParameter", "The request must contain the parameter Tags.")
}

// A key of KMS takes the place of SQS's own encryption; without it there is none then. Both at once are refused.
func TestEncryptionAttributes(t *testing.T) {
	c, _, _ := serve(t)
	ctx := t.Context()
	q := create(t, c, "q", map[string]string{"SqsManagedSseEnabled": "true"})
	set := func(attributes map[string]string) error {
		_, err := c.SetQueueAttributes(ctx, &client.SetQueueAttributesInput{QueueUrl: q, Attributes: attributes})
		return err
	}
	shown := func(want map[string]string) {
		t.Helper()
		got := must[*client.GetQueueAttributesOutput](t)(c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{QueueUrl: q,
			AttributeNames: []types.QueueAttributeName{"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"}})).Attributes
		if !maps.Equal(got, want) {
			t.Errorf("got %v, not %v", got, want)
		}
	}
	fails(t, set(map[string]string{"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "true"}), "InvalidAttributeName",
		"You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.")
	shown(map[string]string{"SqsManagedSseEnabled": "true"})
	for _, step := range []struct{ given, want map[string]string }{
		{map[string]string{"KmsMasterKeyId": "k", "KmsDataKeyReusePeriodSeconds": "6000"}, map[string]string{"KmsMasterKeyId": "k", "KmsDataKeyReusePeriodSeconds": "6000", "SqsManagedSseEnabled": "false"}},
		{map[string]string{"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": "300"}, map[string]string{"SqsManagedSseEnabled": "false"}},
		{map[string]string{"SqsManagedSseEnabled": "true"}, map[string]string{"SqsManagedSseEnabled": "true"}},
		{map[string]string{"KmsMasterKeyId": ""}, map[string]string{"SqsManagedSseEnabled": "true"}},
	} {
		if err := set(step.given); err != nil {
			t.Fatal(err)
		}
		shown(step.want)
	}
}

// Where signatures are verified, one in the address of a GET counts too.
func TestGetWithVerifiedAddress(t *testing.T) {
	asked := false
	h := New(nil, Options{Apart: true, Authenticate: func(*http.Request) (schema.Scope, *awserr.Error) {
		asked = true
		return schema.Scope{}, &awserr.Error{Code: "SignatureDoesNotMatch", Status: http.StatusForbidden}
	}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/?Action=ListQueues&X-Amz-Signature=0", nil))
	if !asked || w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "SignatureDoesNotMatch") {
		t.Errorf("asked %v, and answered %d %s", asked, w.Code, w.Body)
	}
}
