package topic

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
)

// TestFanOutIsWhole: a message for more subscriptions than one piece has comes to all of them; when there is no room for one of them it is refused, and comes
// to none.
func TestFanOutIsWhole(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	const n = 12 // three pieces
	for i := range n {
		w.subscribe(topicARN, fmt.Sprint("q", i), raw)
	}
	text := strings.Repeat("x", 200<<10)
	w.publish(topicARN, text, Message{})
	w.settle()
	for i := range n {
		if got := w.got(testScope.QueueARN(fmt.Sprint("q", i))); len(got) != 1 || got[0] != text {
			t.Errorf("queue %d got %d messages", i, len(got))
		}
	}
	if w.box.Len() != 0 {
		t.Fatal(w.box.Len(), " are owed")
	}
	// One subscription that is among the last owes all that it may.
	var last string
	for _, sub := range w.s.of[topicARN] {
		last = max(last, sub.ARN())
	}
	for {
		d := &outbox.Delivery{Source: last}
		if d.Weigh(0); w.box.Reserve(d) != nil {
			break
		}
	}
	owed := w.box.Len()
	var e *awserr.Error
	if _, err := w.s.Publish(topicARN, Message{Text: &text}); !errors.As(err, &e) || e.Code != "Throttling" {
		t.Error("answered with ", err)
	}
	if n := w.box.Len(); n != owed {
		t.Error(n-owed, " deliveries of a refused message are owed")
	}
	w.settle()
	if got := w.got(testScope.QueueARN("q0")); len(got) != 1 {
		t.Error("a part of a refused message was delivered: ", len(got)-1)
	}
}

// TestIdleFIFO: the deduplication ids of a topic that gets no more messages go when their time is over, also those of before a restart.
func TestIdleFIFO(t *testing.T) {
	w := newWorld(t)
	group := "g"
	publish := func(topicARN string) {
		for i := range 40 {
			id := fmt.Sprint(i)
			w.publish(topicARN, "x", Message{Group: &group, Dedup: &id})
		}
	}
	rows := func() (n int) {
		w.must(w.store.Each(key(rowDedup, ""), func(_, _ []byte) error { n++; return nil }))
		return n
	}
	first, second := w.topic("a.fifo", map[string]string{"FifoTopic": "true"}), w.topic("b.fifo", map[string]string{"FifoTopic": "true"})
	publish(first)
	w.advance(3 * time.Minute)
	publish(second)
	if n := rows(); n != 80 {
		t.Fatal(n, " ids are kept")
	}
	w.advance(2 * time.Minute)
	if n := rows(); n != 40 {
		t.Error(n, " ids are kept when the time of the first topic's is over")
	}
	w.close()
	w.open(w.clock.Wall())
	w.advance(10 * time.Minute)
	if n := rows(); n != 0 || len(w.s.fifo[second].known) != 0 {
		t.Error(n, " ids are kept by topics that get no messages")
	}
	if w.s.sweeper != nil {
		t.Error("a timer goes on for nothing")
	}
}

// TestDeliveryPolicies: what a policy says of requests is done, a topic may have its policy come first, and what is not done is refused by name.
func TestDeliveryPolicies(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	sub, err := w.s.Subscribe(topicARN, "http", "http://far", nil)
	w.must(err)
	_, err = w.s.Confirm(topicARN, sub.Token, false)
	w.must(err)
	kind := func() string {
		t.Helper()
		got := ""
		w.failing(func(d *outbox.Delivery) error { got = d.Headers["Content-Type"]; return nil })
		w.publish(topicARN, "x", Message{})
		w.settle()
		return got
	}
	for _, step := range []struct{ ofTopic, own, want string }{
		{"", "", "text/plain; charset=UTF-8"},
		{`{"http":{"defaultRequestPolicy":{"headerContentType":"application/xml"}}}`, "", "application/xml"},
		{`{"http":{"defaultRequestPolicy":{"headerContentType":"application/xml"}}}`, `{"requestPolicy":{"headerContentType":"application/json"}}`, "application/json"},
		{`{"http":{"defaultRequestPolicy":{"headerContentType":"application/xml"}}}`, `{"healthyRetryPolicy":{"numRetries":0}}`, "application/xml"}, // part by part
		{`{"http":{"disableSubscriptionOverrides":true}}`, `{"requestPolicy":{"headerContentType":"application/json"}}`, "text/plain; charset=UTF-8"},
	} {
		w.must(w.s.SetAttribute(topicARN, "DeliveryPolicy", step.ofTopic))
		w.must(w.s.SetSubscriptionAttribute(sub.ARN(), "DeliveryPolicy", step.own))
		if got := kind(); got != step.want {
			t.Errorf("%s and %s: %s", step.ofTopic, step.own, got)
		}
	}
	for policy, want := range map[string]string{
		`{"throttlePolicy":{"maxReceivesPerSecond":0.5}}`:                "maxReceivesPerSecond must be at least 1",
		`{"sicklyRetryPolicy":{"numRetries":1}}`:                         "Millstream has no sicklyRetryPolicy",
		`{"requestPolicy":{"headerContentType":"a\nb"}}`:                 "headerContentType must be",
		`{"requestPolicy":{"headerContentType":"image/png"}}`:            "headerContentType must be",
		`{"healthyRetryPolicy":{"numRetries":3,"minDelayTarget":"two"}}`: "failed to parse JSON",
	} {
		if err := w.s.SetSubscriptionAttribute(sub.ARN(), "DeliveryPolicy", policy); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", policy, err)
		}
	}
	w.must(w.s.SetSubscriptionAttribute(sub.ARN(), "DeliveryPolicy", `{"throttlePolicy":null,"sicklyRetryPolicy":null,"guaranteed":false}`))
	// What an earlier release accepted counts still, but for what is not done.
	if p := effective("", `{"sicklyRetryPolicy":{"numRetries":1},"healthyRetryPolicy":{"numRetries":7}}`); p.NumRetries != 7 {
		t.Error("retries: ", p.NumRetries)
	}
}

// A filter policy of {} is how AWS has one removed: nothing of it is shown then.
func TestRemovedFilterPolicy(t *testing.T) {
	w := newWorld(t)
	sub, err := w.s.Subscribe(w.topic("t", nil), "http", "http://far", map[string]string{"FilterPolicy": `{"a":["1"]}`})
	w.must(err)
	w.must(w.s.SetSubscriptionAttribute(sub.ARN(), "FilterPolicy", "{}"))
	now, err := w.s.Subscription(sub.ARN())
	w.must(err)
	if policy, is := now.Attributes["FilterPolicy"]; is {
		t.Errorf("the filter policy is %q", policy)
	}
}

// TestAuthenticateOnUnsubscribe: the link of a message does not unsubscribe who has asked for that, over a restart too; its owner does.
func TestAuthenticateOnUnsubscribe(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	sub, err := w.s.Subscribe(topicARN, "http", "http://far", nil)
	w.must(err)
	_, err = w.s.Confirm(topicARN, sub.Token, true)
	w.must(err)
	w.close()
	w.open(w.clock.Wall())
	var e *awserr.Error
	if err := w.s.Unsubscribe(sub.ARN(), false); !errors.As(err, &e) || e.Code != "AuthorizationError" || e.HTTPStatus() != 403 {
		t.Error("a link unsubscribes: ", err)
	}
	w.must(w.s.Unsubscribe(sub.ARN(), true))
	if _, err := w.s.Subscription(sub.ARN()); err == nil {
		t.Error("its owner does not unsubscribe")
	}
}

// TestNamesAreBounded: neither an attribute with a name of any length nor a tag of any length is kept.
func TestNamesAreBounded(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	for _, name := range []string{"HTTPSuccess", "HTTPSuccessFeedbackRoleArnX", "SQSFailure" + strings.Repeat("x", 1000), "LambdaFailureFeedbackSampleRate"} {
		if err := w.s.SetAttribute(topicARN, name, "x"); err == nil || !strings.HasSuffix(err.Error(), "Invalid parameter: AttributeName") {
			t.Errorf("%.40s: %v", name, err)
		}
	}
	w.must(w.s.SetAttribute(topicARN, "HTTPSuccessFeedbackSampleRate", "100"))
	for key, value := range map[string]string{strings.Repeat("k", 129): "", "": "v", "k": strings.Repeat("v", 257)} {
		tags := map[string]string{key: value}
		if err := w.s.ChangeTags(topicARN, tags, nil); err == nil {
			t.Errorf("a tag of %d and %d characters is kept", len(key), len(value))
		}
		if _, err := w.s.Create(testScope, "other", nil, tags); err == nil {
			t.Errorf("a topic with a tag of %d and %d characters is made", len(key), len(value))
		}
	}
	w.must(w.s.ChangeTags(topicARN, map[string]string{strings.Repeat("\u00e9", 128): strings.Repeat("\u00e9", 256)}, nil))
}
