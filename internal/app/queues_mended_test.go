package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/store"
)

// settled opens a world whose mappings poll.
func settled(t *testing.T) *queuesWorld {
	w := openQueues(t)
	if err := w.srv.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// A batch of a FIFO queue that needs two calls ends with the first that fails: what follows in the group does not come before it.
func TestSplitBatchOfFIFO(t *testing.T) {
	w := settled(t)
	q := w.queue("f.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "30"})
	large := strings.Repeat("x", 1<<20-10)
	for _, n := range "1234567890" {
		w.send(q, "g", string(n)+large)
	}
	failed := false
	w.fail = func(body string) bool {
		first := body[0] == '1' && !failed
		failed = failed || first
		return first
	}
	w.mapping("f.fifo", nil)
	w.took(31 * time.Second) // the first call fails; all come again
	w.mu.Lock()
	defer w.mu.Unlock()
	order := ""
	for _, e := range w.events {
		for _, part := range strings.Split(e, `"body":"`)[1:] {
			order += part[:1]
		}
		order += " "
	}
	if !strings.HasPrefix(order, "12345 12345 ") || !strings.HasSuffix(order, "0 ") {
		t.Errorf("the calls had %s", order)
	}
}

// A dead letter arrives although what is said about it has characters that no message may have, is empty, or makes it too large.
func TestDeadLettersThatDoNotFit(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_ENDPOINT_URL_SQS", "")
	w := openQueues(t)
	q := w.queue("small", map[string]string{"MaximumMessageSize": "1024"})
	for _, message := range []string{"\x1b[31mred\x1b[0m", "", strings.Repeat("m", 1024)} {
		b := w.srv.store.NewBatch()
		if err := w.srv.destinations.Tell(b, w.srv.scope.QueueARN("small"), "event", "", map[string]string{"ErrorMessage": message}); err != nil {
			t.Errorf("%.20q: %v", message, err)
		}
		b.Close()
	}
	out, err := w.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
	if err != nil || len(out.Messages) != 3 || aws.ToString(out.Messages[0].MessageAttributes["ErrorMessage"].StringValue) != "\ufffd[31mred\ufffd[0m" {
		t.Errorf("%+v %v", out, err)
	}
}

// Settle does not wait for what cannot be received: messages behind those of a group that have failed.
func TestSettleBehindFailedGroup(t *testing.T) {
	w := settled(t)
	q := w.queue("f.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	for _, n := range "abcdefghijk" {
		w.send(q, "g", string(n))
	}
	w.fail = func(string) bool { return true }
	w.mapping("f.fifo", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.srv.Settle(ctx); errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("Settle waits for the visibility timeout")
	}
	if got := w.took(0); got != "a,b,c,d,e,f,g,h,i,j" {
		t.Errorf("calls: %s", got)
	}
}

// A window that is longer than the visibility timeout ends before a message can come twice into its batch.
func TestWindowWithinVisibility(t *testing.T) {
	w := settled(t)
	q := w.queue("q", map[string]string{"VisibilityTimeout": "10"})
	w.mapping("q", func(in *lambda.CreateEventSourceMappingInput) {
		in.MaximumBatchingWindowInSeconds, in.BatchSize = aws.Int32(60), aws.Int32(10)
	})
	w.send(q, "", "a")
	if got := w.took(70 * time.Second); got != "a" {
		t.Errorf("calls: %s", got)
	}
}

// A delivery to a FIFO queue arrives, and once, although a client has sent a message with its number as the deduplication id.
func TestDeliveryIsNoClientsMessage(t *testing.T) {
	w := openQueues(t)
	q := w.queue("f.fifo", map[string]string{"FifoQueue": "true"})
	for _, d := range []outbox.Delivery{{ID: 17, Lost: true}, {ID: 18, Group: "g"}, {ID: 19, Lost: true, Dedup: "shown"}} {
		id := fmt.Sprint(d.ID)
		if _, err := w.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("client's"), MessageGroupId: &id, MessageDeduplicationId: &id}); err != nil {
			t.Fatal(err)
		}
		d.Target = w.srv.scope.QueueARN("f.fifo")
		for range 2 {
			if err := w.srv.deliver(t.Context(), &d, []byte("delivery "+id), func(*store.Batch) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := w.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, m := range out.Messages {
		got += aws.ToString(m.Body) + " " + m.Attributes["MessageDeduplicationId"] + ", "
	}
	if want := "client's 17, delivery 17 17, client's 18, delivery 18 18, client's 19, delivery 19 shown, "; got != want {
		t.Errorf("the queue has %q, not %q", got, want)
	}
}
