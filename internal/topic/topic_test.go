package topic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/worker"
)

var testScope = arn.Scope{Account: "123456789012", Region: "eu-west-1"}

// world is a store with topics, over the lives that crashes end. What is delivered is noted in the store, in the batch that ends the delivery.
type world struct {
	t     testing.TB
	disk  *crashtest.Disk
	store *store.Store
	clock *worker.Clock // stands still until it is moved
	box   *outbox.Outbox
	s     *Service

	machine bool         // the clock is one of a machine, not one that stands still
	ahead   atomic.Int64 // by how many ns that clock is wrong
	kept    worker.Kept  // what that clock knows of the life before

	count atomic.Int64 // deliveries, over all lives

	mu   sync.Mutex
	fail func(d *outbox.Delivery) error // nil: nothing fails
	hook func()                         // around the end of a delivery
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, disk: crashtest.New()}
	w.open(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	t.Cleanup(w.close)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open(now time.Time) {
	var err error
	w.store, err = store.Open(store.Options{FS: w.disk.FS(), Dir: "data"})
	w.must(err)
	if w.clock = worker.NewManualClock(now); w.machine {
		w.clock = worker.NewMachineClock(func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }, nil, nil)
		if w.kept != (worker.Kept{}) {
			w.clock.Resume(w.kept)
		}
	}
	w.box, err = outbox.Open(outbox.Options{Store: w.store, Clock: w.clock, Send: w.send})
	w.must(err)
	w.s, err = Open(Options{Store: w.store, Clock: w.clock, Outbox: w.box, Endpoint: func() string { return "http://here" }, Exists: func(a string) bool { return !strings.Contains(a, "missing") }})
	w.must(err)
	w.box.Start()
}

func (w *world) close() {
	w.box.Close()
	w.must(w.store.Close())
}

const noteSpace = 0xf7 // of no room

// failing has deliveries fail as f says from now on.
func (w *world) failing(f func(d *outbox.Delivery) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

func (w *world) send(_ context.Context, d *outbox.Delivery, payload []byte, done func(*store.Batch)) error {
	w.mu.Lock()
	fail, hook := w.fail, w.hook
	w.mu.Unlock()
	if fail != nil {
		if err := fail(d); err != nil {
			return err
		}
	}
	if hook != nil {
		hook()
		defer hook()
	}
	b := w.store.NewBatch()
	defer b.Close()
	done(b)
	b.Set(append([]byte{noteSpace}, fmt.Sprintf("%s|%020d|%s", d.Target, w.count.Add(1), uuid.NewString())...), payload)
	return w.store.Write(b)
}

func (w *world) settle() {
	w.t.Helper()
	w.advance(0)
}

func (w *world) advance(d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.must(w.clock.Advance(ctx, d, nil))
}

// got are the payloads that came to a target, in the order in which they came.
func (w *world) got(target string) (all []string) {
	w.t.Helper()
	w.must(w.store.Each(append([]byte{noteSpace}, target+"|"...), func(_, v []byte) error {
		all = append(all, string(v))
		return nil
	}))
	return all
}

func (w *world) topic(name string, attributes map[string]string) string {
	w.t.Helper()
	t, err := w.s.Create(testScope, name, attributes, nil)
	w.must(err)
	return t.ARN()
}

func (w *world) subscribe(topicARN, queue string, attributes map[string]string) string {
	w.t.Helper()
	s, err := w.s.Subscribe(topicARN, "sqs", testScope.QueueARN(queue), attributes)
	w.must(err)
	return s.ARN()
}

func (w *world) publish(topicARN, text string, m Message) Published {
	w.t.Helper()
	m.Text = &text
	p, err := w.s.Publish(topicARN, m)
	w.must(err)
	return p
}

var raw = map[string]string{"RawMessageDelivery": "true"}

// TestFilters: which messages pass a subscription's filter policy.
func TestFilters(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	n := 0
	for _, c := range []struct {
		policy, scope, text string
		attributes          []outbox.Attribute
		want                bool
	}{
		{`{"kind":["a","b"]}`, "", "x", []outbox.Attribute{{Name: "kind", Type: "String", Value: []byte("b")}}, true},
		{`{"kind":["a","b"]}`, "", "x", []outbox.Attribute{{Name: "kind", Type: "String", Value: []byte("c")}}, false},
		{`{"kind":["a","b"]}`, "", "x", nil, false},
		{`{"kind":[{"exists":false}]}`, "", "x", nil, true},
		{`{"kind":[{"anything-but":["a"]}]}`, "", "x", []outbox.Attribute{{Name: "kind", Type: "String", Value: []byte("b")}}, true},
		{`{"price":[{"numeric":[">=",100,"<",200]}]}`, "", "x", []outbox.Attribute{{Name: "price", Type: "Number", Value: []byte("150.5")}}, true},
		{`{"price":[{"numeric":[">=",100,"<",200]}]}`, "", "x", []outbox.Attribute{{Name: "price", Type: "Number", Value: []byte("200")}}, false},
		{`{"kinds":["b"]}`, "", "x", []outbox.Attribute{{Name: "kinds", Type: "String.Array", Value: []byte(`["a","b"]`)}}, true},
		{`{"kind":[{"prefix":"or"}],"n":[1]}`, "", "x", []outbox.Attribute{{Name: "kind", Type: "String", Value: []byte("order")}, {Name: "n", Type: "Number", Value: []byte("1")}}, true},
		{`{"a":{"b":["c"]}}`, "MessageBody", `{"a":{"b":"c"}}`, nil, true},
		{`{"a":{"b":["c"]}}`, "MessageBody", `{"a":{"b":"d"}}`, nil, false},
		{`{"a":{"b":["c"]}}`, "MessageBody", `no JSON`, nil, false},
		{`{}`, "", "x", nil, true},
	} {
		n++
		attributes := maps.Clone(raw)
		attributes["FilterPolicy"] = c.policy
		if c.scope != "" {
			attributes["FilterPolicyScope"] = c.scope
		}
		queue := fmt.Sprintf("q%d", n)
		sub := w.subscribe(topicARN, queue, attributes)
		w.publish(topicARN, c.text, Message{Attributes: c.attributes})
		w.settle()
		if got := len(w.got(testScope.QueueARN(queue))) == 1; got != c.want {
			t.Errorf("%s lets %s %v through: %v, want %v", c.policy, c.text, c.attributes, got, c.want)
		}
		w.must(w.s.Unsubscribe(sub, true))
	}
}

// TestEnvelope: a message as a queue gets it, byte for byte, and as a function gets it.
func TestEnvelope(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	sub := w.subscribe(topicARN, "q", nil)
	function := testScope.FunctionARN("f")
	ofFunction, err := w.s.Subscribe(topicARN, "lambda", function, nil)
	w.must(err)
	subject := `a "subject"`
	p := w.publish(topicARN, "line\n<1> & ü", Message{Subject: &subject, Attributes: []outbox.Attribute{
		{Name: "n", Type: "Number", Value: []byte("1")}, {Name: "b", Type: "Binary", Value: []byte{1, 2}, Binary: true},
	}})
	w.settle()
	link := "http://here/?Action=Unsubscribe&SubscriptionArn="
	want := `{
  "Type" : "Notification",
  "MessageId" : "` + p.ID + `",
  "TopicArn" : "arn:aws:sns:eu-west-1:123456789012:t",
  "Subject" : "a \"subject\"",
  "Message" : "line\n<1> & ü",
  "Timestamp" : "2030-01-01T00:00:00.000Z",
  "SignatureVersion" : "1",
  "Signature" : "EXAMPLE",
  "SigningCertURL" : "http://here/SimpleNotificationService-00000000000000000000000000000000.pem",
  "UnsubscribeURL" : "` + link + sub + `",
  "MessageAttributes" : {
    "b" : {"Type":"Binary","Value":"AQI="},
    "n" : {"Type":"Number","Value":"1"}
  }
}`
	if got := w.got(testScope.QueueARN("q")); len(got) != 1 || got[0] != want {
		t.Errorf("the queue got\n%v, want\n%s", got, want)
	}
	want = `{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"` + ofFunction.ARN() + `","Sns":{"Type":"Notification","MessageId":"` + p.ID +
		`","TopicArn":"arn:aws:sns:eu-west-1:123456789012:t","Subject":"a \"subject\"","Message":"line\n<1> & ü","Timestamp":"2030-01-01T00:00:00.000Z","SignatureVersion":"1","Signature":"EXAMPLE",` +
		`"SigningCertUrl":"http://here/SimpleNotificationService-00000000000000000000000000000000.pem","UnsubscribeUrl":"` + link + ofFunction.ARN() +
		`","MessageAttributes":{"b":{"Type":"Binary","Value":"AQI="},"n":{"Type":"Number","Value":"1"}}}}]}`
	if got := w.got(function); len(got) != 1 || got[0] != want {
		t.Errorf("the function got\n%v, want\n%s", got, want)
	}
}

// TestConfirmation: an endpoint is told nothing but how to confirm, until somebody does.
func TestConfirmation(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	const endpoint = "http://there/hook"
	s, err := w.s.Subscribe(topicARN, "http", endpoint, raw)
	w.must(err)
	w.publish(topicARN, "too early", Message{})
	w.settle()
	var told struct{ Type, Token, TopicArn, SubscribeURL string }
	got := w.got(endpoint)
	if len(got) != 1 || json.Unmarshal([]byte(got[0]), &told) != nil || told.Type != "SubscriptionConfirmation" || told.TopicArn != topicARN || !strings.Contains(told.SubscribeURL, told.Token) {
		t.Fatalf("the endpoint got %v", got)
	}
	// Asked again, it is told again, with the token that it has.
	again, err := w.s.Subscribe(topicARN, "http", endpoint, raw)
	w.must(err)
	w.settle()
	if got := w.got(endpoint); again.ARN() != s.ARN() || len(got) != 2 || !strings.Contains(got[1], told.Token) {
		t.Fatalf("asked again, %s instead of %s, the endpoint got %v", again.ARN(), s.ARN(), got)
	}
	if _, err := w.s.Confirm(topicARN, "guess", false); err == nil {
		t.Error("any token confirms")
	}
	if _, err := w.s.Confirm(topicARN, "", false); err == nil {
		t.Error("no token confirms")
	}
	for range 2 { // twice is no error
		if c, err := w.s.Confirm(topicARN, told.Token, false); err != nil || c.ARN() != s.ARN() {
			t.Fatal(c, err)
		}
	}
	w.publish(topicARN, "now", Message{})
	w.settle()
	if got := w.got(endpoint); len(got) != 3 || got[2] != "now" {
		t.Errorf("the endpoint got %v", got)
	}
}

// TestRetriesOfURLs: a URL that fails is tried again when the policy says, and then the dead-letter queue is told.
func TestRetriesOfURLs(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", map[string]string{"DeliveryPolicy": `{"http":{"defaultHealthyRetryPolicy":{"numRetries":6,"numNoDelayRetries":1,"numMinDelayRetries":1,"numMaxDelayRetries":1,"minDelayTarget":10,"maxDelayTarget":40}}}`})
	dead := testScope.QueueARN("dead")
	s, err := w.s.Subscribe(topicARN, "https", "https://there/", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`, "RawMessageDelivery": "true"})
	w.must(err)
	w.settle()
	_, err = w.s.Confirm(topicARN, s.Token, false)
	w.must(err)
	var at []int
	var letter []outbox.Attribute
	w.fail = func(d *outbox.Delivery) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if d.Target == dead {
			letter = d.Attributes
			return nil
		}
		at = append(at, int(w.clock.Wall().Unix()%3600))
		return errors.New("down")
	}
	own := []outbox.Attribute{{Name: "n", Type: "Number", Value: []byte("1")}}
	w.publish(topicARN, "x", Message{Attributes: own})
	w.advance(time.Hour - time.Second)
	if want := []int{0, 0, 10, 30, 60, 100, 140}; !slices.Equal(at, want) {
		t.Errorf("tried after %v seconds, want %v", at, want)
	}
	if got := w.got(dead); !slices.Equal(got, []string{"x"}) || len(letter) != 1 || letter[0].Name != "n" {
		t.Errorf("the dead-letter queue got %v %v", got, letter)
	}
}

// TestDeletedFIFO: a topic that was deleted leaves nothing to one of the same name, over a restart too.
func TestDeletedFIFO(t *testing.T) {
	w := newWorld(t)
	attributes := map[string]string{"FifoTopic": "true"}
	id, group := "id", "g"
	var seen []string
	for range 3 {
		topicARN := w.topic("t.fifo", attributes)
		if p := w.publish(topicARN, "x", Message{Group: &group, Dedup: &id}); !slices.Contains(seen, p.ID) {
			seen = append(seen, p.ID)
		}
		w.must(w.s.Delete(topicARN))
		if text := "x"; len(seen) == 1 {
			if _, err := w.s.Publish(topicARN, Message{Text: &text, Group: &group, Dedup: &id}); err == nil || len(w.s.fifo) != 0 {
				t.Error("a deleted topic took a message: ", err, w.s.fifo)
			}
			w.close()
			w.open(w.clock.Wall())
		}
	}
	if len(seen) != 3 {
		t.Error("ids of three topics: ", seen)
	}
}

// TestNearlyFullDisk: on a disk that is nearly full nothing is taken, in SNS's words; what is owed is delivered, and what is deleted goes.
func TestNearlyFullDisk(t *testing.T) {
	w := newWorld(t)
	topicARN := w.topic("t", nil)
	sub := w.subscribe(topicARN, "q", raw)
	w.failing(func(*outbox.Delivery) error { return errors.New("busy") })
	w.publish(topicARN, "owed", Message{})
	w.settle()
	w.close()
	w.disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 200 << 20, TotalBytes: 1 << 40})
	w.failing(nil)
	w.open(w.clock.Wall())
	refused := func(err error) {
		t.Helper()
		var e *awserr.Error
		if !errors.As(err, &e) || e.Code != "InternalError" || e.HTTPStatus() != 500 || !strings.Contains(e.Message, "nearly full") {
			t.Error("answered with ", err)
		}
	}
	text := "new"
	_, err := w.s.Publish(topicARN, Message{Text: &text})
	refused(err)
	_, err = w.s.Create(testScope, "other", nil, nil)
	refused(err)
	_, err = w.s.Subscribe(topicARN, "sqs", testScope.QueueARN("other"), nil)
	refused(err)
	refused(w.s.SetAttribute(topicARN, "DisplayName", "x"))
	w.advance(time.Minute)
	if got := w.got(testScope.QueueARN("q")); !slices.Equal(got, []string{"owed"}) {
		t.Error("the queue got ", got)
	}
	w.must(w.s.Unsubscribe(sub, true))
	w.must(w.s.Delete(topicARN))
}

// TestClockThatIsAhead: a deduplication id is neither forgotten nor kept for longer because the machine's clock is wrong for a while.
func TestClockThatIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.machine = true
		topicARN := w.topic("t.fifo", map[string]string{"FifoTopic": "true"})
		id, group := "id", "g"
		again := func() string { return w.publish(topicARN, "x", Message{Group: &group, Dedup: &id}).ID }
		restart := func(ahead time.Duration) {
			w.kept = w.clock.Keep()
			w.close()
			w.ahead.Store(int64(ahead))
			w.open(time.Time{})
		}
		restart(0)
		first := again()
		w.ahead.Store(int64(400 * 24 * time.Hour))
		time.Sleep(time.Minute)
		if again() != first {
			t.Error("the id was forgotten when the clock jumped")
		}
		restart(400 * 24 * time.Hour)
		if again() != first {
			t.Error("the id was forgotten at a start with a clock that is ahead")
		}
		time.Sleep(dedupWindow * time.Millisecond)
		second := again()
		if second == first {
			t.Error("the id was kept for longer than its time")
		}
		restart(0)
		time.Sleep(dedupWindow * time.Millisecond)
		if again() == second {
			t.Error("the id is kept since the clock was ahead")
		}
	})
}

// TestRefused: what cannot be, and AWS's words for it.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	topicARN, fifo := w.topic("t", nil), w.topic("t.fifo", map[string]string{"FifoTopic": "true"})
	queue, empty, long, group := testScope.QueueARN("q"), "", strings.Repeat("x", MaxMessage+1), "g"
	text := "x"
	publish := func(to string, m Message) error { _, err := w.s.Publish(to, m); return err }
	subscribe := func(to, protocol, endpoint string, attributes map[string]string) error {
		_, err := w.s.Subscribe(to, protocol, endpoint, attributes)
		return err
	}
	create := func(name string, attributes map[string]string) error {
		_, err := w.s.Create(testScope, name, attributes, nil)
		return err
	}
	attribute := func(name string) error {
		return publish(topicARN, Message{Text: &text, Attributes: []outbox.Attribute{{Name: name, Type: "String", Value: []byte("v")}}})
	}
	confirm := func(token string) error { _, err := w.s.Confirm(topicARN, token, false); return err }
	for i, c := range []struct {
		err  error
		want string
	}{
		{publish(topicARN, Message{}), "Invalid parameter: Empty message"},
		{publish(topicARN, Message{Text: &empty}), "Invalid parameter: Empty message"},
		{publish(topicARN, Message{Text: &long}), "Invalid parameter: Message too long"},
		{publish(topicARN+"x", Message{Text: &text}), "Topic does not exist"},
		{publish("t", Message{Text: &text}), "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"},
		{publish(topicARN, Message{Text: &text, Structure: "json"}), "Invalid parameter: Message Structure - JSON message body failed to parse"},
		{publish(fifo, Message{Text: &text}), "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"},
		{publish(fifo, Message{Text: &text, Group: &group}), "Invalid parameter: The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"},
		{subscribe(topicARN, "sqs", "q", nil), "Invalid parameter: SQS endpoint ARN"},
		{subscribe(topicARN, "sqs", queue+".fifo", nil), "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"},
		{subscribe(topicARN, "sqs", testScope.QueueARN("missing"), nil), "Invalid parameter: Endpoint Reason: Millstream delivers to its own queues, and has no " + testScope.QueueARN("missing")},
		{subscribe(topicARN, "https", "http://x", nil), "Invalid parameter: Endpoint must match the specified protocol"},
		{subscribe(topicARN, "email", "a@b", nil), "Invalid parameter: Protocol Reason: Millstream delivers by sqs, lambda, http and https, not by email"},
		{subscribe(fifo, "lambda", testScope.FunctionARN("f"), nil), "Invalid parameter: Invalid protocol type: lambda"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicy": "{"}), "Invalid parameter: Attributes Reason: FilterPolicy: failed to parse JSON."},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicy": "null"}), "Invalid parameter: Attributes Reason: FilterPolicy: failed to parse JSON."},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicy": `{"a":["1"],"b":["1"],"c":["1"],"d":["1"],"e":["1"],"f":["1"]}`}), "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy can not have more than 5 keys"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicy": `{"a":{"b":["1"]}}`}), "Invalid parameter: Attributes Reason: Filter policy scope MessageAttributes does not support nested filter policy"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicy": `{"a":[` + strings.Repeat(`"1",`, 150) + `"1"]}`}), "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy is too complex"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicyScope": "MessageBody", "FilterPolicy": `{"a":{"b":{"c":["1","2","3","4","5","6","7","8","9"]}},"d":{"e":["1","2","3"]}}`}), "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy is too complex"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicyScope": "MessageBody", "FilterPolicy": strings.Repeat(`{"a":`, 4000) + "[1]" + strings.Repeat("}", 4000)}), "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy is too complex"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicy": strings.Repeat(`{"$or":[`, 2500) + `{"a":[1]}` + strings.Repeat("]}", 2500)}), "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy is too complex"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicy": `{"a":["` + strings.Repeat("x", maxAttribute) + `"]}`}), "Invalid parameter: FilterPolicy Reason: it has more than 30720 bytes"},
		{publish(topicARN, Message{Text: &text, Attributes: []outbox.Attribute{{Name: "a", Type: `String","x":"`, Value: []byte("v")}}}), "has an invalid message attribute type."},
		{publish(topicARN, Message{Text: &text, Attributes: []outbox.Attribute{{Name: "a", Type: "String", Value: []byte("v")}, {Name: "a", Type: "String", Value: []byte("w")}}}), "The message attribute 'a' is there twice."},
		{subscribe(topicARN, "sqs", queue, map[string]string{"RawMessageDelivery": "yes"}), "Invalid parameter: Attributes Reason: RawMessageDelivery: Invalid value [yes]. Must be true or false."},
		{subscribe(topicARN, "sqs", queue, map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":101}}`}), "Invalid parameter: DeliveryPolicy Reason: numRetries must be between 0 and 100"},
		{attribute("a^*?"), "Invalid non-alphanumeric character '#x5E' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots."},
		{attribute(".abc"), "Invalid message attribute name starting with character '.' was found."},
		{attribute("abc."), "Invalid message attribute name ending with character '.' was found."},
		{attribute("a..bc"), "Message attribute name can not have successive '.' character."},
		{attribute(strings.Repeat("a", 257)), "Length of message attribute name must be less than 256 bytes."},
		{w.s.Unsubscribe("randomstring", true), "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"},
		{w.s.Unsubscribe("arn:aws:sns:us-east-1:111111111111:random", true), "Invalid parameter: SubscriptionId"},
		{w.s.Unsubscribe("", true), "Invalid parameter: SubscriptionArn Reason: no value for required parameter"},
		{confirm("randomtoken"), "Invalid token"},
		{confirm(strings.Repeat("a", 100)), "Invalid parameter: Token"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"FilterPolicyScope": "x"}), "Invalid parameter: Attributes Reason: FilterPolicyScope: Invalid value [x]. Please use either MessageBody or MessageAttributes"},
		{subscribe(topicARN, "sqs", queue, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"fake-arn"}`}), "Invalid parameter: Attributes Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn"},
		{subscribe(fifo, "sqs", queue+".fifo", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + queue + `"}`}), "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."},
		{create("a b", nil), "Invalid parameter: Topic Name"},
		{create("a", map[string]string{"FifoTopic": "true"}), "Invalid parameter: Topic Name"},
		{create("t", map[string]string{"DisplayName": "other"}), "Invalid parameter: Attributes Reason: Topic already exists with different attributes"},
	} {
		if fmt.Sprint(c.err) == "<nil>" || !strings.HasSuffix(c.err.Error(), c.want) {
			t.Errorf("%d: %v, want %s", i, c.err, c.want)
		}
	}
}

// TestCrashes is a model test: messages are published to a topic and a FIFO topic, deliveries fail, and the machine crashes at any moment. At the
// end each message that was acknowledged has come to each subscription once, those of the FIFO topic in order and without what was sent twice.
func TestCrashes(t *testing.T) {
	rounds := 16
	if testing.Short() {
		rounds = 4
	}
	for seed := range uint64(rounds) {
		crashes(t, seed)
		if t.Failed() {
			t.Fatal("seed ", seed)
		}
	}
}

func crashes(t *testing.T, seed uint64) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(seed, 1))
	plain, fifo := w.topic("t", nil), w.topic("t.fifo", map[string]string{"FifoTopic": "true"})
	for _, q := range []string{"q1", "q2"} {
		w.subscribe(plain, q, raw)
		w.subscribe(fifo, q+".fifo", raw)
	}
	failing := 0
	w.fail = func(*outbox.Delivery) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if failing > 0 {
			failing--
			return errors.New("busy")
		}
		return nil
	}
	var want, wantFIFO []string
	known := map[string]time.Time{}
	group := "g"
	for i := range 60 {
		text := fmt.Sprint(i)
		switch r.IntN(6) {
		case 0, 1:
			w.publish(plain, text, Message{})
			want = append(want, text)
		case 2, 3:
			id := fmt.Sprint(r.IntN(8))
			w.publish(fifo, text, Message{Group: &group, Dedup: &id})
			if at, ok := known[id]; !ok || w.clock.Wall().Sub(at) >= 5*time.Minute {
				wantFIFO = append(wantFIFO, text)
				known[id] = w.clock.Wall()
			}
		case 4:
			w.mu.Lock()
			failing = r.IntN(5)
			w.mu.Unlock()
			w.advance(time.Duration(r.IntN(200)) * time.Second)
		default: // a crash, at once or around the end of some delivery
			clone, at := w.disk.Clone(seed), w.clock.Wall()
			n, chosen := 0, 1+r.IntN(6)
			w.mu.Lock()
			w.hook = func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				if n++; n == chosen {
					clone, at = w.disk.Clone(seed), w.clock.Wall()
				}
			}
			w.mu.Unlock()
			w.advance(time.Duration(r.IntN(20)) * time.Second)
			w.mu.Lock()
			w.hook = nil
			w.mu.Unlock()
			w.close()
			w.disk = clone
			w.open(at)
		}
	}
	w.mu.Lock()
	failing = 0
	w.mu.Unlock()
	w.advance(time.Hour)
	for _, q := range []string{"q1", "q2"} {
		got := w.got(testScope.QueueARN(q))
		slices.Sort(got)
		sorted := slices.Sorted(slices.Values(want))
		if !slices.Equal(got, sorted) {
			t.Errorf("%s got %v, want %v", q, got, sorted)
		}
		if got := w.got(testScope.QueueARN(q + ".fifo")); !slices.Equal(got, wantFIFO) {
			t.Errorf("%s.fifo got %v, want %v", q, got, wantFIFO)
		}
	}
	if n := w.box.Len(); n != 0 {
		t.Error(n, " deliveries are owed")
	}
}

// Who publishes while too much is owed is told when to come back.
func TestFullOutboxThrottles(t *testing.T) {
	var e *awserr.Error
	if !errors.As(full(outbox.ErrFull), &e) || e.Code != "Throttling" || e.RetryAfter < time.Millisecond {
		t.Errorf("%+v", e)
	}
}
