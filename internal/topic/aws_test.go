package topic

import (
	"errors"
	"strings"
	"testing"

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
		if len(got) != 1 || strings.Contains(got[0], `"Signature`) || !strings.Contains(got[0], `"SequenceNumber" : `) || !strings.Contains(got[0], `"UnsubscribeURL" : `) {
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
	first, err := w.s.Subscribe(topicARN, "sqs", queue, map[string]string{"RawMessageDelivery": "True"})
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
