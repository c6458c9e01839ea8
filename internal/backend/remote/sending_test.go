package remote

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// forgetful is a server whose answer to the next transaction with messages is lost, after which something happens.
type forgetful struct {
	*Client
	tries int
	lost  func()
}

func (e *forgetful) TransactSending(ctx context.Context, items []json.RawMessage, messages json.RawMessage, rows []Written) error {
	e.tries++
	err := e.Client.TransactSending(ctx, items, messages, rows)
	if lost := e.lost; lost != nil {
		e.lost = nil
		lost()
		return errNetwork
	}
	return err
}

// Messages are sent once with their position, whatever becomes of the answer: also when their queue is gone by the second try. Once another has the position,
// they are not sent.
func TestMessagesAreSentOnce(t *testing.T) {
	w := newSuiteWorld(t)
	e := &forgetful{Client: w.c}
	s, m, c := w.claimed(t, e)
	stream := m.StreamARN
	w.Sends() // the queue is there
	send := func(items, messages []byte) (applied int, err error) {
		err = s.TransactUnder(t.Context(), c, m.UUID, backend.Transaction{
			Items: items, Messages: messages, Applied: func() { applied++ }, Build: func() ([]backend.Row, []backend.AsideRows, error) { return nil, nil, nil },
		})
		return applied, err
	}
	sent := func(what string, want ...string) {
		t.Helper()
		all := w.Sent()
		if slices.Sort(all); !slices.Equal(all, want) {
			t.Errorf("%s: sent %v, want %v", what, all, want)
		}
	}
	e.lost = func() {}
	if applied, err := send(w.Writes(stream, 1, 1), w.Sends("a", "b")); err != nil || applied != 1 || e.tries != 2 {
		t.Errorf("a lost answer: %v, applied %d times, after %d tries", err, applied, e.tries)
	}
	sent("a lost answer", "a", "b")

	deleted := ""
	e.lost = func() {
		q, err := w.sqs().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("short")})
		w.check(err)
		_, err = w.sqs().DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: q.QueueUrl})
		w.check(err)
		deleted = *q.QueueUrl
	}
	_, err := w.sqs().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("short")})
	w.check(err)
	messages := w.Sends("c")
	messages = append(append(messages[:len(messages)-1], ','), []byte(`{"QueueUrl":"/000000000000/short","MessageBody":"gone"}]`)...)
	if applied, err := send(nil, messages); err != nil || applied != 1 || deleted == "" {
		t.Errorf("a queue that goes between two tries: %v, applied %d times", err, applied)
	}
	sent("a queue that goes between two tries", "a", "b", "c")

	applied, err := send(w.Writes(stream, 1, 2), messages)
	if refused, is := errors.AsType[*backend.Refused](err); !is || applied != 0 || !strings.HasPrefix(refused.Why, "sendMessages: AWS.SimpleQueueService.NonExistentQueue: Message 2: ") {
		t.Errorf("a queue that is not there: %v", err)
	}

	other := newClaim(s.Backend, stream, 2, 2)
	w.b.work.Go(other.feed.run)
	defer other.lose()
	_, err = s.Load(t.Context(), other, m.UUID)
	w.check(err)
	if applied, err := send(w.Writes(stream, 1, 2), w.Sends("d")); !errors.Is(err, backend.ErrLost) || applied != 0 {
		t.Errorf("after another has taken over: %v", err)
	}
	sent("after another has taken over", "a", "b", "c")
	if n := w.Stored(stream, 1); n != 1 {
		t.Errorf("the item says %d", n)
	}
}

// A queue of the server is told of records that are given up in one transaction with their end: a node that dies when the server has made it, and before it knows
// of that, has the next owner go on behind them. What cannot be told in that way is said to be so, and nothing is stored.
func TestANoticeIsOneWithTheEnd(t *testing.T) {
	w := newSuiteWorld(t)
	e := &forgetful{Client: w.c}
	s, m, c := w.claimed(t, e)
	w.Sends() // the queue is there
	tell := func(c *claim, queue string) (applied int, err error) {
		err = s.TransactUnder(t.Context(), c, m.UUID, backend.Transaction{
			Notice: &backend.Notice{Queue: queue, Document: []byte(`{"lost":1}`)}, Applied: func() { applied++ },
			Build: func() (rows []backend.Row, _ []backend.AsideRows, _ error) {
				for shard := range c.rows[m.UUID] {
					rows = append(rows, backend.Row{UUID: m.UUID, Shard: shard, Checkpoint: spot(7)})
				}
				return rows, nil, nil
			},
		})
		return applied, err
	}
	scope, _ := arn.Parse(m.StreamARN)
	for what, queue := range map[string]string{
		"no queue":                   scope.Scope().QueueARN(w.prefix + "nowhere"),
		"one of another account":     arn.Scope{Account: "444455556666", Region: scope.Region}.QueueARN(w.prefix + "sent"),
		"one of another region":      arn.Scope{Account: scope.Account, Region: "eu-west-1"}.QueueARN(w.prefix + "sent"),
		"one that is no ARN's queue": "sent",
	} {
		if applied, err := tell(c, queue); !errors.Is(err, backend.ErrNoNotice) || applied != 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
	queue := scope.Scope().QueueARN(w.prefix + "sent")
	e.lost = c.lose // the server has made it, and the node is no more
	if _, err := tell(c, queue); !errors.Is(err, backend.ErrLost) {
		t.Errorf("a node that dies: %v", err)
	}
	next := newClaim(s.Backend, m.StreamARN, 2, 2)
	w.b.work.Go(next.feed.run)
	defer next.lose()
	rows, err := s.Load(t.Context(), next, m.UUID)
	w.check(err)
	for shard, at := range rows {
		if at.Low != spot(7).Low {
			t.Errorf("the next owner begins shard %s at %s", shard, at.Low)
		}
	}
	if applied, err := tell(c, queue); !errors.Is(err, backend.ErrLost) || applied != 0 { // it was only asleep
		t.Errorf("the old owner: %v", err)
	}
	if sent := w.Sent(); !slices.Equal(sent, []string{`{"lost":1}`}) {
		t.Errorf("the queue was told %q", sent)
	}
	b := New(Options{Endpoint: NewPolled(w.c, 0), Polled: true})
	if err := b.TransactUnder(t.Context(), &claim{b: b, stream: m.StreamARN}, m.UUID, backend.Transaction{Notice: &backend.Notice{Queue: queue}}); !errors.Is(err, backend.ErrNoNotice) {
		t.Errorf("over another engine: %v", err)
	}
}

func spot(n uint64) lane.Checkpoint {
	return lane.Checkpoint{Generation: 1, Low: seqnum.Num{Hi: 1 << 40, Lo: n}, Ordinal: n}
}

// Where messages cannot be in one transaction with the position, it is said by name.
func TestMessagesAreRefusedByName(t *testing.T) {
	refused := func(what string, err error, want string) {
		t.Helper()
		if r, is := errors.AsType[*backend.Refused](err); !is || !strings.Contains(r.Why, want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	older := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"com.amazon.coral.service#UnknownOperationException"}`)
	}))
	defer older.Close()
	err := clientOf(older.URL).TransactSending(t.Context(), nil, json.RawMessage(`[]`), nil)
	unwritable, is := errors.AsType[*Unwritable](err)
	if !is {
		t.Fatalf("an older server: %v", err)
	}
	refused("an older server", unwritable.refused(), "sendMessages: the server of the tables (serve --tables) is of an earlier release")

	b := New(Options{Endpoint: NewPolled(clientOf(older.URL), 0), Polled: true})
	refused("another engine", b.TransactUnder(t.Context(), &claim{}, "", backend.Transaction{Messages: []byte(`[{}]`)}), "sendMessages: the engine that has the tables")
}

// Streams are at the same place as their tables, but those of Amazon.
func TestStreamsAt(t *testing.T) {
	for tables, want := range map[string]string{
		"https://dynamodb.eu-west-1.amazonaws.com":      "https://streams.dynamodb.eu-west-1.amazonaws.com",
		"https://dynamodb.eu-west-1.amazonaws.com:443":  "https://streams.dynamodb.eu-west-1.amazonaws.com:443",
		"https://dynamodb.cn-north-1.amazonaws.com.cn":  "https://streams.dynamodb.cn-north-1.amazonaws.com.cn",
		"http://127.0.0.1:8000":                         "http://127.0.0.1:8000",
		"http://dynamodb.local:8000":                    "http://dynamodb.local:8000",
		"https://dynamodb.eu-west-1.amazonaws.com.evil": "https://dynamodb.eu-west-1.amazonaws.com.evil",
	} {
		if got := streamsAt(tables); got != want {
			t.Errorf("%s: %s, want %s", tables, got, want)
		}
	}
}
