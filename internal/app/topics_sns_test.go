package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/store"
)

// TestTopics: SNS by AWS's SDK, to queues, a function and a URL.
func TestTopics(t *testing.T) {
	w := openQueues(t)
	c, ctx := sns.NewFromConfig(w.srv.Config()), t.Context()
	made, err := c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("t"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if err != nil {
		t.Fatal(err)
	}
	topicARN := made.TopicArn
	url, queue := w.newQueue("q", nil)
	rawURL, rawQueue := w.newQueue("raw", nil)
	var mu sync.Mutex
	var posted []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		posted = append(posted, r.Header.Get("x-amz-sns-message-type")+" "+string(body))
	}))
	defer hook.Close()
	subscribe := func(protocol, endpoint string, attributes map[string]string) string {
		t.Helper()
		out, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topicARN, Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		return *out.SubscriptionArn
	}
	sub := subscribe("sqs", queue, nil)
	subscribe("sqs", rawQueue, map[string]string{"RawMessageDelivery": "true", "FilterPolicy": `{"kind":["order"]}`})
	subscribe("lambda", w.srv.Scope().FunctionARN("f"), nil)
	if got := subscribe("http", hook.URL, nil); got != "pending confirmation" {
		t.Error("a URL is subscribed as ", got)
	}
	w.took(0)
	if len(posted) != 1 || !strings.HasPrefix(posted[0], "SubscriptionConfirmation {") {
		t.Fatal("the URL got ", posted)
	}
	_, link, _ := strings.Cut(posted[0], `"SubscribeURL" : "`)
	link, _, _ = strings.Cut(link, `"`)
	_, query, _ := strings.Cut(link, "?")
	if got := handled(w.srv, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/?"+query, nil)); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "<SubscriptionArn>"+*topicARN+":") {
		t.Error("the link answers ", got.Code, got.Body)
	}
	// Of an action that no message links to a link is not SNS's, or is refused when it is signed; and no other site's page may follow one that is.
	deletes := "http://127.0.0.1/?Action=DeleteTopic&TopicArn=" + *topicARN
	if got := handled(w.srv, httptest.NewRequest(http.MethodGet, deletes, nil)); strings.Contains(got.Body.String(), "sns") {
		t.Error("SNS answers a link that deletes a topic: ", got.Body)
	}
	if got := handled(w.srv, httptest.NewRequest(http.MethodGet, deletes+"&X-Amz-Credential=a/20300101/us-east-1/sns/aws4_request", nil)); got.Code != http.StatusMethodNotAllowed {
		t.Error("a signed link that deletes a topic is answered with ", got.Code, got.Body)
	}
	foreign := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/?Action=Unsubscribe&SubscriptionArn="+sub, nil)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := handled(w.srv, foreign); got.Code != http.StatusForbidden {
		t.Error("another site's page unsubscribes: ", got.Code, got.Body)
	}
	if got, err := c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: topicARN}); err != nil || got.Attributes["SubscriptionsConfirmed"] != "4" {
		t.Errorf("after the links the topic is %+v %v", got, err)
	}
	for i, kind := range []string{"order", "other"} {
		if _, err := c.Publish(ctx, &sns.PublishInput{TopicArn: topicARN, Message: aws.String(fmt.Sprint("m", i)), Subject: aws.String("s"), MessageAttributes: map[string]types.MessageAttributeValue{
			"kind": {DataType: aws.String("String"), StringValue: &kind},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := c.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: topicARN, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
		{Id: aws.String("a"), Message: aws.String("m2")}, {Id: aws.String("b"), Message: aws.String("")},
	}})
	if refusal(err) != "InvalidParameter: Invalid parameter: Empty message" { // for all of them
		t.Errorf("PublishBatch: %+v %v", batch, err)
	}
	if batch, err = c.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: topicARN, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{{Id: aws.String("a"), Message: aws.String("m2")}}}); err != nil || len(batch.Successful) != 1 {
		t.Errorf("PublishBatch: %+v %v", batch, err)
	}
	w.took(0)
	if got := w.bodies(rawURL); !slices.Equal(got, []string{"m0"}) {
		t.Error("the queue with a filter got ", got)
	}
	if got := w.bodies(url); len(got) != 3 || !strings.Contains(strings.Join(got, ""), `"Message" : "m2"`) {
		t.Error("the queue got ", got)
	}
	if len(w.events) != 3 || !strings.Contains(strings.Join(w.events, ""), `"MessageAttributes":{"kind":{"Type":"String","Value":"other"}}`) {
		t.Error("the function got ", w.events)
	}
	mu.Lock()
	if len(posted) != 4 || !strings.HasPrefix(posted[3], "Notification {") {
		t.Error("the URL got ", posted)
	}
	mu.Unlock()

	list, err := c.ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: topicARN})
	if err != nil || len(list.Subscriptions) != 4 {
		t.Errorf("ListSubscriptionsByTopic: %+v %v", list, err)
	}
	if got, err := c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: topicARN}); err != nil || got.Attributes["SubscriptionsConfirmed"] != "4" || got.Attributes["Owner"] != w.srv.Scope().Account {
		t.Errorf("GetTopicAttributes: %+v %v", got, err)
	}
	if got, err := c.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &sub}); err != nil || got.Attributes["Endpoint"] != queue || got.Attributes["PendingConfirmation"] != "false" {
		t.Errorf("GetSubscriptionAttributes: %+v %v", got, err)
	}
	if got, err := c.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: topicARN}); err != nil || len(got.Tags) != 1 {
		t.Errorf("ListTagsForResource: %+v %v", got, err)
	}
	if _, err := c.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(*topicARN + "x"), Message: aws.String("x")}); refusal(err) != "NotFound: Topic does not exist" {
		t.Error(err)
	}
	if _, err := c.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &sub}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: topicARN}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.ListTopics(ctx, &sns.ListTopicsInput{}); err != nil || len(got.Topics) != 0 {
		t.Errorf("ListTopics: %+v %v", got, err)
	}
}

// TestNoMessageToLinkLocal: what counts is the address that is dialled, whatever name leads to it.
func TestNoMessageToLinkLocal(t *testing.T) {
	for address, want := range map[string]error{
		"169.254.169.254:80": errLinkLocal, "[fe80::1%lo]:80": errLinkLocal, "[::ffff:169.254.169.254]:80": errLinkLocal, "[fd00:ec2::254]:80": errLinkLocal,
		"127.0.0.1:80": nil, "[::1]:80": nil, "192.0.2.1:443": nil,
	} {
		if err := refuseLinkLocal("tcp", address, nil); err != want {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
	// The same dialler is the one that delivers; a name that resolves to such an address is stopped after it was looked up.
	transport := urls.Transport.(*http.Transport).Clone()
	dialled := ""
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		dialled = "169.254.169.254:80" // what a resolver would have answered
		return urls.Transport.(*http.Transport).DialContext(ctx, network, dialled)
	}
	if _, err := (&http.Client{Transport: transport}).Get("http://rebound.example/"); !errors.Is(err, errLinkLocal) || dialled == "" {
		t.Error("a rebound name: ", err)
	}
	var permanent *outbox.Permanent
	if err := (&App{}).deliverToURL(t.Context(), &outbox.Delivery{Target: "http://169.254.169.254/latest/meta-data"}, nil); !errors.As(err, &permanent) {
		t.Error("it is tried again: ", err)
	}
	// Nor does a redirect lead there.
	leads := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/", http.StatusTemporaryRedirect))
	defer leads.Close()
	if err := (&App{}).deliverToURL(t.Context(), &outbox.Delivery{Target: leads.URL}, nil); err == nil || !strings.Contains(err.Error(), "307") {
		t.Error("a redirect: ", err)
	}
}

// TestLetterToAnotherKindOfQueue: a dead letter comes to a FIFO queue whatever was to get the message, in its group or one of its own; and a standard
// queue does not learn of a FIFO topic's groups.
func TestLetterToAnotherKindOfQueue(t *testing.T) {
	w := openQueues(t)
	c, ctx := sns.NewFromConfig(w.srv.Config()), t.Context()
	fifo := map[string]string{"FifoQueue": "true"}
	deadURL, dead := w.newQueue("dead.fifo", fifo)
	hereURL, here := w.newQueue("here", nil)
	publish := func(name string, attributes map[string]string, in sns.PublishInput) {
		t.Helper()
		made, err := c.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name, Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		goneURL, gone := w.newQueue("gone-"+strings.TrimSuffix(name, ".fifo"), nil)
		for _, queue := range []string{gone, here} {
			if _, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("sqs"), Endpoint: &queue, Attributes: map[string]string{
				"RawMessageDelivery": "true", "RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`,
			}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &goneURL}); err != nil {
			t.Fatal(err)
		}
		in.TopicArn = made.TopicArn
		if _, err := c.Publish(ctx, &in); err != nil {
			t.Fatal(err)
		}
		w.took(time.Minute)
	}
	groups := func(url string) map[string]string {
		t.Helper()
		got, err := w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, m := range got.Messages {
			all[*m.Body] = m.Attributes["MessageGroupId"]
		}
		return all
	}
	publish("t.fifo", map[string]string{"FifoTopic": "true"}, sns.PublishInput{Message: aws.String("ordered"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("i")})
	publish("grouped", nil, sns.PublishInput{Message: aws.String("grouped"), MessageGroupId: aws.String("h")})
	if got := groups(hereURL); len(got) != 2 || got["ordered"] != "" || got["grouped"] != "h" {
		t.Errorf("the standard queue got %v", got)
	}
	publish("plain", nil, sns.PublishInput{Message: aws.String("plain")})
	if got := groups(deadURL); len(got) != 3 || got["ordered"] != "g" || got["grouped"] != "h" || got["plain"] == "" {
		t.Errorf("the dead-letter queue got %v", got)
	}
	// What an earlier release owes: the message of a FIFO topic for a standard queue, without its group.
	earlier := &outbox.Delivery{ID: 7, Source: "s", Ordered: true, Lost: true, Target: dead, Dedup: "j"}
	if err := w.srv.deliver(ctx, earlier, []byte("earlier"), func(*store.Batch) {}); err != nil {
		t.Fatal(err)
	}
	if got := groups(deadURL); got["earlier"] == "" {
		t.Errorf("the dead-letter queue got %v", got)
	}
	// Only a letter gets a group of its own: another message without one is refused, as AWS refuses it.
	earlier.Lost = false
	var permanent *outbox.Permanent
	if err := w.srv.deliver(ctx, earlier, []byte("x"), func(*store.Batch) {}); !errors.As(err, &permanent) || permanent.Code != "MissingParameter" {
		t.Error("a message without a group: ", err)
	}
}

// TestLettersToOneQueue: the letters of several subscriptions of a FIFO topic about one message all come to the FIFO queue that they share.
func TestLettersToOneQueue(t *testing.T) {
	w := openQueues(t)
	c, ctx := sns.NewFromConfig(w.srv.Config()), t.Context()
	fifo := map[string]string{"FifoQueue": "true"}
	deadURL, dead := w.newQueue("dead.fifo", fifo)
	made, err := c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("t.fifo"), Attributes: map[string]string{"FifoTopic": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.fifo", "b.fifo"} {
		url, queue := w.newQueue(name, fifo)
		if _, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("sqs"), Endpoint: &queue, Attributes: map[string]string{
			"RawMessageDelivery": "true", "RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`,
		}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Publish(ctx, &sns.PublishInput{TopicArn: made.TopicArn, Message: aws.String("x"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("i")}); err != nil {
		t.Fatal(err)
	}
	w.took(time.Minute)
	got, err := w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &deadURL, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"}})
	if err != nil || len(got.Messages) != 2 {
		t.Errorf("%d letters, %v", len(got.Messages), err)
	}
	for _, m := range got.Messages { // as on AWS
		if id := m.Attributes["MessageDeduplicationId"]; id != "i" {
			t.Errorf("a letter has the deduplication id %q", id)
		}
	}
}

// TestTopicAsDestination: an asynchronous invocation's destination finds the server's own topic.
func TestTopicAsDestination(t *testing.T) {
	w := openQueues(t)
	t.Setenv("AWS_ENDPOINT_URL_SNS", "")
	t.Setenv("AWS_ENDPOINT_URL", "")
	c, ctx := sns.NewFromConfig(w.srv.Config()), t.Context()
	made, err := c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("t")})
	if err != nil {
		t.Fatal(err)
	}
	url, queue := w.newQueue("q", nil)
	if _, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("sqs"), Endpoint: &queue, Attributes: map[string]string{"RawMessageDelivery": "true"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.lambda.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{FunctionName: aws.String("f"), DestinationConfig: &lambdatypes.DestinationConfig{OnSuccess: &lambdatypes.OnSuccess{Destination: made.TopicArn}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("f"), InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	w.took(time.Minute)
	if got := w.bodies(url); len(got) != 1 || !strings.Contains(got[0], `"condition":"Success"`) {
		t.Error("the queue got ", got)
	}
}

// TestTemplateWithTopics: a topic and its subscription from a template, twice.
func TestTemplateWithTopics(t *testing.T) {
	w := openQueues(t)
	target, changes, kept := w.deployTwice(`
Resources:
  Jobs: {Type: AWS::SQS::Queue}
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: news}}
  Policy: {Type: AWS::SNS::TopicPolicy, Properties: {Topics: [!Ref Topic], PolicyDocument: {}}}
  Sub:
    Type: AWS::SNS::Subscription
    Properties:
      TopicArn: !Ref Topic
      Protocol: sqs
      Endpoint: !GetAtt Jobs.Arn
      RawMessageDelivery: true
      FilterPolicy: {version: ["1"], n: [{numeric: [">", 2]}]}
Outputs:
  Jobs: {Value: !Ref Jobs}
`)
	c := sns.NewFromConfig(w.srv.Config())
	for i, version := range []string{"1", "2"} {
		if _, err := c.Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(w.srv.Scope().ARN("sns", "news")), Message: &version, MessageAttributes: map[string]types.MessageAttributeValue{
			"version": {DataType: aws.String("String"), StringValue: &version}, "n": {DataType: aws.String("Number"), StringValue: aws.String(fmt.Sprint(3 + i))},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	w.took(0)
	if got := w.bodies(changes.Outputs[0].Value); !slices.Equal(got, []string{"1"}) {
		t.Error("the queue got ", got)
	}
	slices.Reverse(kept)
	for _, one := range kept {
		if err := target.Remove(t.Context(), one); err != nil {
			t.Error(one, err)
		}
	}
	if left, err := w.srv.topics.Subscriptions(w.srv.Scope(), ""); err != nil || len(left) != 0 {
		t.Error("left over: ", left, err)
	}
}
