package queue

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What an answer sends is checked as SendMessage checks it; an error names the message, and nothing is sent.
func TestAnswered(t *testing.T) {
	w := openWorld(t)
	plain, fifo := w.create("plain", nil), w.create("line.fifo", map[string]string{"FifoQueue": "true"})
	url := func(name string) string {
		return `"QueueUrl":"http://127.0.0.1:8000/` + testScope.Account + "/" + name + `"`
	}
	for _, c := range []struct{ list, want string }{
		{`[]`, ""},
		{`[{` + url("plain") + `,"MessageBody":"a","DelaySeconds":0,"MessageAttributes":{"n":{"DataType":"Number","StringValue":"7"}}}]`, ""},
		{`[{` + url("line.fifo") + `,"MessageBody":"a","MessageGroupId":"g","MessageDeduplicationId":"1"},{` + url("line.fifo") + `,"MessageBody":"b","MessageGroupId":"g","MessageDeduplicationId":"1"}]`, ""},
		{`{}`, "SerializationException"},
		{`[1]`, "Message 1: "},
		{`[{"MessageBody":"a"}]`, "MissingParameter: Message 1: "},
		{`[{` + url("plain") + `}]`, "MissingParameter: Message 1: "},
		{`[{` + url("plain") + `,"MessageBody":"a"},{` + url("none") + `,"MessageBody":"a"}]`, "AWS.SimpleQueueService.NonExistentQueue: Message 2: "},
		{`[{` + url("line.fifo") + `,"MessageBody":"a"}]`, "MissingParameter: Message 1: "},
		{`[{` + url("plain") + `,"MessageBody":"a","DelaySeconds":901}]`, "InvalidParameterValue: Message 1: "},
		{`[{` + url("plain") + `,"MessageBody":"\u0001"}]`, "InvalidMessageContents: Message 1: "},
		{`[{` + url("plain") + `,"MessageBody":"` + strings.Repeat("x", MaxMessage+1) + `"}]`, "InvalidParameterValue: Message 1: "},
		{"[" + strings.TrimSuffix(strings.Repeat("{"+url("plain")+`,"MessageBody":"a"},`, MaxAnswer+1), ",") + "]", "at most 10 messages"},
	} {
		o, err := w.s.Answered(testScope, []byte(c.list))
		if err != nil {
			if text := fmt.Sprint(err); c.want == "" || !strings.Contains(text, c.want) {
				t.Errorf("%.200s: %s, want %q", c.list, text, c.want)
			}
			continue
		}
		if c.want != "" {
			t.Errorf("%.200s was taken, want %q", c.list, c.want)
		}
		b := w.store.NewBatch()
		w.must(o.Commit(b))
		b.Close()
	}
	w.counted(t, plain, Counts{Visible: 1})
	w.counted(t, fifo, Counts{Visible: 1}) // the second has the id of the first
}

// An outbox whose queue was deleted meanwhile writes nothing, and holds no queue up.
func TestOutboxWithoutQueue(t *testing.T) {
	w := openWorld(t)
	a, b := w.create("a", nil), w.create("b", nil)
	o, err := w.s.NewOutbox(testScope.Account, []Outgoing{{a, Entry{Body: new("x")}}, {b, Entry{Body: new("y")}}})
	w.must(err)
	w.must(w.s.Delete(b))
	batch := w.store.NewBatch()
	defer batch.Close()
	if err := o.Commit(batch); err == nil {
		t.Error("a message was sent to a queue that is not there")
	}
	w.counted(t, a, Counts{})
	w.put(a, "", "z")
	w.counted(t, a, Counts{Visible: 1})
}

// The rows of a batch are bounded in bytes, but for one message; also of those that came back.
func TestReceiveIsBoundedInBytes(t *testing.T) {
	w := openWorld(t)
	q := w.create("q", nil)
	large := strings.Repeat("x", 100_000)
	for i := range 20 {
		w.put(q, "", fmt.Sprint(i, large))
	}
	none := time.Duration(0)
	take := func(maxBytes, visibility int) int {
		got, err := q.Receive(t.Context(), ReceiveRequest{Max: 10_000, MaxBytes: maxBytes, Visibility: &visibility, Wait: &none})
		w.must(err)
		return len(got)
	}
	for round := range 2 {
		if n := take(550_000, 1); n != 5 {
			t.Errorf("round %d: %d messages of 100 kB in 550 kB", round, n)
		}
		if n := take(10, 1); n != 1 {
			t.Errorf("round %d: %d messages in 10 bytes", round, n)
		}
		w.crash(uint64(round)) // what is known of sizes is stored
		q = w.queue("q")
		w.sleep(2 * time.Second)
	}
	if n := take(0, 1); n != 20 {
		t.Errorf("%d messages without a bound", n)
	}
}
