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

	"github.com/millstreamdb/millstream/internal/backend"
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
