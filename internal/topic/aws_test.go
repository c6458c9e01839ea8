package topic

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
)

// What recordings of AWS show, in the public suite that has them.

// TestRecordedEnvelopes: messages of FIFO topics are not signed.
func TestRecordedEnvelopes(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t.fifo", map[string]string{"FifoTopic": "true"})
	w.subscribe(topicARN, "q", nil)
	w.subscribe(topicARN, "q.fifo", nil)
	group, id := "g", "i"
	w.publish(topicARN, "x", Message{Group: &group, Dedup: &id})
	w.settle()
	for _, name := range []string{"q", "q.fifo"} {
		got := w.got(testScope.QueueARN(name))
		if len(got) != 1 || strings.Contains(got[0], `"Sign`) || !strings.Contains(got[0], `"SequenceNumber" : `) || !strings.Contains(got[0], `"UnsubscribeURL" : `) {
			t.Errorf("%s got %v", name, got)
		}
	}
}

// TestLetterOfAFunction: the dead-letter queue of a function's subscription gets the message as a queue would have.
func TestLetterOfAFunction(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	dead := testScope.QueueARN("dead")
	w.subscribe(topicARN, "q", nil)
	_, err := w.s.Subscribe(topicARN, "lambda", testScope.FunctionARN("f"), map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`})
	w.must(err)
	var lost *outbox.Delivery
	w.fail = func(d *outbox.Delivery) error {
		switch d.Target {
		case testScope.FunctionARN("f"):
			return &outbox.Permanent{Code: "ResourceNotFoundException", Err: errors.New("no function")}
		case dead:
			w.mu.Lock()
			defer w.mu.Unlock()
			lost = d
		}
		return nil
	}
	subject := "s"
	w.publish(topicARN, "line\n<1>", Message{Subject: &subject, Attributes: []outbox.Attribute{{Name: "n", Type: "Number", Value: []byte("1")}}})
	w.settle()
	if lost == nil || !lost.Lost || !lost.Letter.Event || len(lost.Attributes) != 0 {
		t.Fatalf("the dead-letter queue got %+v", lost)
	}
	letter, err := OfEvent([]byte(w.got(dead)[0]))
	w.must(err)
	// The link to unsubscribe is of another subscription.
	cut := func(s string) string {
		head, rest, _ := strings.Cut(s, `"UnsubscribeURL"`)
		_, tail, _ := strings.Cut(rest, "\n")
		return head + tail
	}
	if want := w.got(testScope.QueueARN("q"))[0]; cut(string(letter)) != cut(want) {
		t.Errorf("the dead-letter queue got\n%s, want\n%s", letter, want)
	}
	if _, err := OfEvent([]byte("{}")); err == nil {
		t.Error("what is no event is taken for one")
	}
}

func TestRecordedPermissions(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	policy := func() string {
		t.Helper()
		all, err := w.s.Attributes(topicARN)
		w.must(err)
		return all["Policy"]
	}
	before := policy()
	w.must(w.s.AddPermission(topicARN, "test", []string{"123456789012"}, []string{"Publish"}))
	statement := `{"Action":"SNS:Publish","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Resource":"` + topicARN + `","Sid":"test"}`
	if got, want := policy(), strings.TrimSuffix(before, "]}")+","+statement+"]}"; got != want {
		t.Errorf("the policy is\n%s, not\n%s", got, want)
	}
	refused := func(err error, text string) {
		t.Helper()
		var e *awserr.Error
		if !errors.As(err, &e) || e.Message != text {
			t.Errorf("got %v, want %s", err, text)
		}
	}
	refused(w.s.AddPermission(topicARN, "test", []string{"1"}, []string{"AddPermission"}), "Invalid parameter: Statement already exists")
	refused(w.s.AddPermission(topicARN, "test-2", []string{"1"}, []string{"InvalidAction"}), "Invalid parameter: Policy statement action out of service scope!")
	refused(w.s.AddPermission(topicARN+"-none", "test-2", []string{"1"}, []string{"Publish"}), "Topic does not exist")
	w.must(w.s.RemovePermission(topicARN, "test"))
	if got := policy(); got != before {
		t.Errorf("the policy is\n%s, not\n%s", got, before)
	}
}

func TestRecordedAttributes(t *testing.T) {
	w := newWorld(t)
	_, err := w.s.Create(testScope, "t", map[string]string{"FifoTopic": "false"}, map[string]string{"a": "1", "b": "2"})
	w.must(err)
	topicARN := testScope.ARN("sns", "t")
	all, err := w.s.Attributes(topicARN)
	w.must(err)
	if _, there := all["FifoTopic"]; there {
		t.Error("a standard topic shows FifoTopic")
	}
	for _, tags := range []map[string]string{nil, {"a": "1"}, {"b": "2", "a": "1"}} {
		if _, err := w.s.Create(testScope, "t", nil, tags); err != nil {
			t.Errorf("created again with %v: %v", tags, err)
		}
	}
	if _, err := w.s.Create(testScope, "t", nil, map[string]string{"a": "1", "c": "3"}); err == nil {
		t.Error("another tag is no difference")
	}
	queue := testScope.QueueARN("q")
	first, err := w.s.Subscribe(topicARN, "sqs", queue, map[string]string{"RawMessageDelivery": "TrUe"})
	w.must(err)
	if first.Attributes["RawMessageDelivery"] != "true" {
		t.Errorf("the subscription has %v", first.Attributes)
	}
	for _, attributes := range []map[string]string{nil, {"RawMessageDelivery": "true", "FilterPolicyScope": "MessageAttributes"}} {
		if again, err := w.s.Subscribe(topicARN, "sqs", queue, attributes); err != nil || again.ID != first.ID {
			t.Errorf("subscribed again with %v: %v", attributes, err)
		}
	}
	if _, err := w.s.Subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicyScope": "MessageBody"}); err == nil {
		t.Error("another scope is no difference")
	}
	// Of a text for each protocol AWS leaves out what is no text.
	text := `{"default":"d","sqs":["no text"]}`
	w.publish(topicARN, text, Message{Structure: "json"})
	w.settle()
	if got := w.got(queue); len(got) != 1 || got[0] != "d" {
		t.Errorf("the queue got %v", got)
	}
	text = `{"default":{"object":"test"}}`
	if _, err := w.s.Publish(topicARN, Message{Text: &text, Structure: "json"}); err == nil || !strings.Contains(err.Error(), "No default entry") {
		t.Errorf("a default that is no text: %v", err)
	}
	for kind, want := range map[string]bool{"String.": false, "Stringprefixed": false, "String.prefixed": true, "String.  prefixed.": true} {
		text := "x"
		_, err := w.s.Publish(topicARN, Message{Text: &text, Attributes: []outbox.Attribute{{Name: "a", Type: kind, Value: []byte("v")}}})
		if (err == nil) != want {
			t.Errorf("an attribute of the type %q: %v", kind, err)
		}
	}
}

// TestRecordedDeliveryPolicies: a delivery policy is kept in AWS's form and shown with what counts in the end, part by part.
func TestRecordedDeliveryPolicies(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", map[string]string{"DeliveryPolicy": `{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}`})
	sub, err := w.s.Subscribe(topicARN, "http", "http://far", map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0},"sicklyRetryPolicy":null,"throttlePolicy":{"maxReceivesPerSecond":1000}}`})
	w.must(err)
	show := func(kept, effective, own, ofSubscription string) {
		t.Helper()
		all, err := w.s.Attributes(topicARN)
		w.must(err)
		one, err := w.s.Subscription(sub.ARN())
		w.must(err)
		for _, c := range [][2]string{{all["DeliveryPolicy"], kept}, {all["EffectiveDeliveryPolicy"], effective}, {one.Attributes["DeliveryPolicy"], own}, {w.s.EffectivePolicy(one), ofSubscription}} {
			if c[0] != c[1] {
				t.Errorf("got  %s\nwant %s", c[0], c[1])
			}
		}
	}
	const (
		standard = `{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"}`
		once     = `{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"}`
		plain    = `{"headerContentType":"text/plain; charset=UTF-8"}`
	)
	show(`{"http":{"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"application/json"}}}`,
		`{"http":{"defaultHealthyRetryPolicy":`+standard+`,"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"application/json"}}}`,
		`{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0},"sicklyRetryPolicy":null,"throttlePolicy":{"maxReceivesPerSecond":1000},"requestPolicy":null,"guaranteed":false}`,
		`{"healthyRetryPolicy":`+once+`,"sicklyRetryPolicy":null,"throttlePolicy":{"maxReceivesPerSecond":1000},"requestPolicy":{"headerContentType":"application/json"},"guaranteed":false}`)
	_, err = w.s.Confirm(topicARN, sub.Token, false)
	w.must(err)
	w.settle() // the confirmation is delivered
	var made *outbox.Delivery
	w.failing(func(d *outbox.Delivery) error { made = d; return nil })
	w.publish(topicARN, "x", Message{})
	w.settle()
	if made.PerSecond != 1000 || made.Headers["Content-Type"] != "application/json" || made.Retry.Attempts != 0 {
		t.Errorf("the delivery is %+v", made)
	}
	w.must(w.s.SetAttribute(topicARN, "DeliveryPolicy", `{"http":{"defaultHealthyRetryPolicy":null}}`))
	w.must(w.s.SetSubscriptionAttribute(sub.ARN(), "DeliveryPolicy", `{"requestPolicy":{"headerContentType":"text/csv"}}`))
	show(`{"http":{"disableSubscriptionOverrides":false}}`, `{"http":{"defaultHealthyRetryPolicy":`+standard+`,"disableSubscriptionOverrides":false,"defaultRequestPolicy":`+plain+`}}`,
		`{"healthyRetryPolicy":null,"sicklyRetryPolicy":null,"throttlePolicy":null,"requestPolicy":{"headerContentType":"text/csv"},"guaranteed":false}`,
		`{"healthyRetryPolicy":`+standard+`,"sicklyRetryPolicy":null,"throttlePolicy":null,"requestPolicy":{"headerContentType":"text/csv"},"guaranteed":false}`)
	w.must(w.s.SetAttribute(topicARN, "DeliveryPolicy", ""))
	all, err := w.s.Attributes(topicARN)
	w.must(err)
	if policy, there := all["DeliveryPolicy"]; there {
		t.Errorf("a policy that was taken away is shown as %q", policy)
	}
}

// TestRecordedConfirmations: a token names its subscription. A topic of another name does, one of another region does not, nor what is no topic's ARN;
// and a token that is no number in hexadecimal is told apart.
func TestRecordedConfirmations(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	sub, err := w.s.Subscribe(topicARN, "http", "http://far", nil)
	w.must(err)
	elsewhere := testScope
	elsewhere.Region = "eu-central-9"
	for _, c := range []struct{ topic, token, want string }{
		{"not-an-arn", sub.Token, "Invalid parameter: Topic"},
		{elsewhere.ARN("sns", "t"), sub.Token, "Invalid parameter: Topic"},
		{topicARN, "abc123", "Invalid parameter: Token"},
		{topicARN, "randomtoken", "Invalid token"},
		{topicARN, "", "Invalid parameter: Token"},
	} {
		var e *awserr.Error
		if _, err := w.s.Confirm(c.topic, c.token, false); !errors.As(err, &e) || e.Message != c.want {
			t.Errorf("%s with %q: %v", c.topic, c.token, err)
		}
	}
	if one, err := w.s.Confirm(topicARN+"x", sub.Token, false); err != nil || one.Pending || one.ARN() != sub.ARN() {
		t.Errorf("by a topic that is not there: %+v %v", one, err)
	}
}

// TestRecordedUnsubscribeConfirmation: whoever removes the subscription of a URL by a message's link has its endpoint told, which may bring it back, also
// over a restart; what a signed request removes is gone.
func TestRecordedUnsubscribeConfirmation(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	subscribe := func() *Subscription {
		t.Helper()
		one, err := w.s.Subscribe(topicARN, "http", "http://far", nil)
		w.must(err)
		one, err = w.s.Confirm(topicARN, one.Token, false)
		w.must(err)
		w.settle()
		return one
	}
	one := subscribe()
	w.must(w.s.Unsubscribe(one.ARN(), false))
	w.settle()
	all := w.got("http://far")
	var told struct{ Type, Token, TopicArn, Message, SubscribeURL string }
	w.must(json.Unmarshal([]byte(all[len(all)-1]), &told))
	if told.Type != "UnsubscribeConfirmation" || told.TopicArn != topicARN || !strings.HasPrefix(told.Message, "You have chosen to deactivate subscription "+one.ARN()+".\nTo cancel this operation and restore the subscription, visit") ||
		!strings.HasSuffix(told.SubscribeURL, "&Token="+told.Token) || told.Token == one.Token {
		t.Fatalf("the endpoint was told %+v", told)
	}
	w.publish(topicARN, "nobody", Message{})
	w.settle()
	if got := w.got("http://far"); len(got) != len(all) {
		t.Errorf("the endpoint got %v", got[len(all):])
	}
	w.kept = w.clock.Keep()
	w.close()
	w.open(time.Time{})
	back, err := w.s.Confirm(topicARN, told.Token, false)
	if err != nil || back.ARN() != one.ARN() || len(w.s.removed) != 0 {
		t.Fatalf("%+v %v, and %d are removed", back, err, len(w.s.removed))
	}
	w.must(w.s.Unsubscribe(one.ARN(), true))
	w.settle()
	if got := w.got("http://far"); len(got) != len(all) || len(w.s.removed) != 0 {
		t.Errorf("after a signed request the endpoint got %v, and %d are removed", got[len(all):], len(w.s.removed))
	}
	// They are bounded, and go with their topic.
	for range maxRemoved + 2 {
		w.must(w.s.Unsubscribe(subscribe().ARN(), false))
	}
	rows := 0
	count := func() int {
		rows = 0
		w.must(w.s.o.Store.Each(key(rowSubscription, ""), func(_, _ []byte) error { rows++; return nil }))
		return rows
	}
	if count() != maxRemoved || len(w.s.removed) != maxRemoved {
		t.Errorf("%d rows of %d that were removed", rows, len(w.s.removed))
	}
	w.must(w.s.Delete(topicARN))
	if count() != 0 || len(w.s.removed) != 0 {
		t.Errorf("%d rows of %d are left of a topic that is gone", rows, len(w.s.removed))
	}
}
