package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/storm"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// movedShard is the shard of rows set aside that come from a server: it is in front of those of the endpoint's stream, by its name too.
const movedShard = "moved"

// TestMovingAServer is the prototype of docs/scale-out.md, "Moving a server's tables to an endpoint": while writers write, a table, its items, the
// place of a trigger and what it holds go from a server to an endpoint that nodes work over. The function has each item's changes once, in their order.
func TestMovingAServer(t *testing.T) {
	ctx := t.Context()
	open := func() (TestServer, *Client, string) {
		s, err := OpenServer()
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(s.Handler())
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
			_ = s.Close()
		})
		c := clientOf(server.URL)
		var made struct {
			TableDescription struct{ LatestStreamArn string }
		}
		in := json.RawMessage(`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
			"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}}`)
		if _, err := c.call(ctx, tablesAPI, "CreateTable", in, &made, 0); err != nil {
			t.Fatal(err)
		}
		return s, c, made.TableDescription.LatestStreamArn
	}
	from, source, sourceStream := open()
	_, target, targetStream := open()

	books := &storm.Function{Fault: func(key string) bool { return key == "3" }}
	function := httptest.NewServer(noting(books))
	t.Cleanup(function.Close)
	call := urlInvoker(function.URL)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(from.RegisterFunction("f", func(ctx context.Context, event []byte) ([]byte, error) {
		if r := call.Invoke(ctx, "f", event); r.Outcome != lane.Succeeded {
			return nil, fmt.Errorf("%s", r.Error)
		}
		return nil, nil
	}))
	// 2. of the page: what is at the server is copied by a trigger of its own.
	must(from.RegisterFunction("copy", func(ctx context.Context, event []byte) ([]byte, error) {
		var e struct {
			Records []struct {
				DynamoDB struct{ Keys, NewImage json.RawMessage } `json:"dynamodb"`
			}
		}
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		for _, r := range e.Records {
			operation, in := "PutItem", map[string]any{"TableName": "tab", "Item": r.DynamoDB.NewImage}
			if len(r.DynamoDB.NewImage) == 0 {
				operation, in = "DeleteItem", map[string]any{"TableName": "tab", "Key": r.DynamoDB.Keys}
			}
			if _, err := target.call(ctx, tablesAPI, operation, in, &struct{}{}, 0); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}))
	mappings := lambda.NewFromConfig(from.Config())
	mapped := func(function string, tags map[string]string) string {
		m, err := mappings.CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
			FunctionName: &function, EventSourceArn: &sourceStream, StartingPosition: types.EventSourcePositionTrimHorizon, BatchSize: aws.Int32(10), Tags: tags,
		})
		must(err)
		return *m.UUID
	}
	uuid := mapped("f", map[string]string{"millstream:on-failure": "block-key"})

	// Writers write where the table is; while it is being moved their writes are refused, and tried again.
	var gate sync.RWMutex
	at := source
	write := func(key, n int) {
		gate.RLock()
		defer gate.RUnlock()
		in := json.RawMessage(fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}`, key, n))
		if _, err := at.call(ctx, tablesAPI, "PutItem", in, &struct{}{}, 0); err != nil {
			t.Error(err)
		}
	}
	const keys, half = 5, 60
	for key := range keys {
		write(key, 1)
	}
	mapped("copy", map[string]string{"millstream:start": "snapshot"})
	halfWay := make(chan struct{}, keys)
	var writers sync.WaitGroup
	var counts sync.Mutex
	written := map[int]int{}
	for key := range keys {
		writers.Go(func() {
			n := 1
			for i := range 2 * half {
				if i == half {
					halfWay <- struct{}{}
				}
				n++
				write(key, n)
			}
			counts.Lock()
			written[key] = n
			counts.Unlock()
		})
	}
	<-halfWay

	// 3.: writes are refused, all triggers catch up, and what they hold stays.
	gate.Lock()
	client, err := admin.New(admin.Options{Endpoint: source.URL})
	must(err)
	late := time.Now().Add(time.Minute)
	for done := false; !done; {
		all, err := client.Triggers(ctx)
		must(err)
		done = !slices.ContainsFunc(all, func(tr admin.Trigger) bool { return tr.LagRecords > 0 })
		if time.Now().After(late) {
			t.Fatalf("the triggers do not catch up: %+v", all)
		}
	}
	_, err = mappings.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: &uuid, Enabled: aws.Bool(false)}) // what it holds is not tried there any more
	must(err)
	for state := ""; state != "Disabled"; {
		m, err := mappings.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &uuid})
		must(err)
		state = *m.State
	}
	var held []lane.SetAside
	last := lane.Checkpoint{Generation: 1, Done: true}
	must(client.AsideRecords(ctx, uuid, admin.AsideFilter{}, func(r admin.AsideRecord) error {
		whole, err := client.AsideRecord(ctx, uuid, r.ID)
		if err != nil {
			return err
		}
		k, err := decodeItem(whole.Keys)
		if err != nil {
			return err
		}
		seq, err := number(whole.SequenceNumber)
		if err != nil {
			return err
		}
		last.Low = later(last.Low, seq)
		held = append(held, lane.SetAside{
			AsideKey: lane.AsideKey{Hash: xxhash.Sum64(k), Shard: movedShard, Seq: seq}, Kind: lane.Held, Since: whole.Since.UnixMilli(), Time: whole.Written.UnixMilli(),
			Error: whole.Error, Keys: string(whole.Keys), Size: len(whole.Record), Event: whole.Record,
		})
		return nil
	}))
	slices.SortFunc(held, func(a, b lane.SetAside) int { return cmp.Or(cmp.Compare(a.Hash, b.Hash), a.Seq.Compare(b.Seq)) })
	// 4.: the trigger is at the endpoint, behind all that was copied, with what it holds. Nobody works it yet.
	b := New(Options{Endpoint: target})
	b.deadline.Store(int64(1) << 60)
	must(target.MakeTables(ctx, b))
	d := simDefinition(targetStream)
	d.Start, d.FunctionARN, d.Tags = "LATEST", simScope.FunctionARN("f"), map[string]string{"millstream:on-failure": "block-key"}
	_, err = b.CreateMapping(ctx, d)
	must(err)
	mover := newClaim(b, targetStream, 1, 1)
	b.work.Go(mover.feed.run)
	_, err = b.Load(ctx, mover, d.UUID)
	must(err)
	o, err := mover.firstRow(d.UUID, shardInfo{ID: movedShard})
	must(err)
	mover.mu.Lock()
	mover.rows[d.UUID][movedShard] = o
	mover.mu.Unlock()
	var puts []lane.AsideChange
	for i := range held {
		puts = append(puts, lane.AsideChange{Key: held[i].AsideKey, Put: &held[i], New: true})
	}
	must(b.Advance(ctx, mover, d.UUID, []backend.Row{{UUID: d.UUID, Shard: movedShard, Checkpoint: last}}, puts))
	mover.lose()
	b.work.Wait()
	// 5.: a node works there, and the writers write there.
	log := slog.New(slog.DiscardHandler)
	running, stop := context.WithCancel(ctx)
	e, err := trigger.New(running, trigger.Options{Backend: New(Options{Endpoint: target, Lease: nodeLease, Drain: time.Second, Log: log}), Invoker: call, Log: log})
	must(err)
	ran := make(chan error, 1)
	go func() { ran <- e.Run(running) }()
	defer func() { stop(); <-ran }()
	at = target
	gate.Unlock()
	writers.Wait()

	total := 0
	for key, n := range written {
		if total += n; key == 3 {
			total -= n
		}
	}
	delivered(t, books, total)
	if seen, _, _ := books.Look(); seen != total {
		t.Errorf("%d records beside those that are held, want %d", seen, total)
	}
	books.Mend()
	total += written[3]
	delivered(t, books, total)
	byKey := map[string]int{}
	for key, n := range written {
		byKey[strconv.Itoa(key)] = n
	}
	for _, fault := range books.Judge(byKey) {
		t.Error(fault)
	}
	_, again, _ := books.Look()
	t.Logf("%d records, %d of them held when the server was left", total, len(held))
	if len(held) == 0 || again > 0 {
		t.Errorf("%d records were held, and %d came again", len(held), again)
	}
	for key, n := range written {
		var out struct{ Item map[string]attribute }
		_, err := target.call(ctx, tablesAPI, "GetItem", map[string]any{"TableName": "tab", "Key": map[string]attribute{"pk": text(strconv.Itoa(key))}, "ConsistentRead": true}, &out, 0)
		if must(err); out.Item["n"].string() != strconv.Itoa(n) {
			t.Errorf("item %d is at %s, want %d", key, out.Item["n"].string(), n)
		}
	}
}
