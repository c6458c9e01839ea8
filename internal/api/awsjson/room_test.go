package awsjson

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Large answers hold room until they are taken; without room, reads are throttled and what has been done is told.
func TestAnswersTakeRoom(t *testing.T) {
	const target = "DynamoDB_20120810."
	p := newProtocol(io.Discard)
	p.options.Answers = door.NewRoom(4<<20, time.Millisecond)
	p.options.Caller = func(*door.Request) (schema.Scope, *awserr.Error) { return schema.Scope{}, nil }
	ran := 0
	answer := func(n int) Operation {
		return func(_ context.Context, _ schema.Scope, _, dst []byte) ([]byte, error) {
			ran++
			return append(dst, bytes.Repeat([]byte{'a'}, n)...), nil
		}
	}
	p.Register(target+"Scan", answer(1<<20))
	p.Register(target+"Query", answer(100))
	p.Register(target+"GetItem", answer(400<<10))
	p.Register(target+"PutItem", answer(400<<10))
	p.Register(target+"TransactWriteItems", func(_ context.Context, _ schema.Scope, _, dst []byte) ([]byte, error) {
		return dst, &awserr.Error{Code: "TransactionCanceledException", Message: "m", Reasons: []awserr.Reason{{Code: "ConditionalCheckFailed", Message: strings.Repeat("a", 400<<10)}}}
	})
	do := func(operation string) door.Reply {
		return p.Answer(context.Background(), &door.Request{Target: []byte(target + operation), Body: []byte("{}")}, make([]byte, 10))
	}
	throttled := func(r door.Reply) bool {
		return r.Status == 400 && strings.Contains(string(r.Body), "ThrottlingException") && len(r.Headers) == 2 && r.Held == nil
	}
	// A small answer holds nothing in the end, whatever was taken for it.
	for range 10 {
		if r := do("Query"); r.Status != 200 || r.Held != nil || len(r.Body) != 110 {
			t.Fatalf("%d %v", r.Status, r.Held)
		}
	}
	first, second := do("Scan"), do("Scan")
	if first.Status != 200 || first.Held == nil || second.Status != 200 && !throttled(second) {
		t.Fatal(first.Status, second.Status)
	}
	before := ran
	if r := do("Scan"); !throttled(r) || ran != before {
		t.Fatalf("a scan without room: %d %s", r.Status, r.Body)
	}
	// What changes something has been done, and says so.
	var puts []door.Reply
	for range 20 {
		r := do("PutItem")
		if r.Status != 200 || r.Held == nil {
			t.Fatalf("a write: %d", r.Status)
		}
		puts = append(puts, r)
	}
	if r := do("GetItem"); !throttled(r) {
		t.Fatalf("an item of 400 KB without room: %d", r.Status)
	}
	if r := do("TransactWriteItems"); !throttled(r) {
		t.Fatalf("an error that shows 400 KB without room: %d", r.Status)
	}
	for _, r := range append(puts, first, second) {
		r.Held.Release()
	}
	r := do("GetItem")
	if r.Status != 200 || r.Held == nil {
		t.Fatalf("an item with room: %d", r.Status)
	}
	r.Held.Release()
	if r = do("TransactWriteItems"); r.Held == nil || !strings.Contains(string(r.Body), "TransactionCanceled") {
		t.Fatalf("an error that shows 400 KB with room: %d, %v", r.Status, r.Held)
	}
	r.Held.Release()
	if r := do("Scan"); r.Status != 200 {
		t.Fatalf("a scan with room: %d", r.Status)
	}
}

// A batch takes room for as many items as it asks for.
func TestLargestBatch(t *testing.T) {
	const target = "DynamoDB_20120810.BatchGetItem"
	key := `{"p":{"S":"a"},"s":{"N":"1"}}`
	for keys, most := range map[int]int64{1: 4 << 20, 10: 24 << 20, 100: 48 << 20} {
		body := `{"RequestItems":{"t":{"Keys":[` + strings.TrimSuffix(strings.Repeat(key+",", keys), ",") + `]}}}`
		n, _ := largest([]byte(target), []byte(body))
		if n > most || n < min(48<<20, int64(keys)*3*400<<10) {
			t.Errorf("%d keys: %d bytes", keys, n)
		}
	}
}
