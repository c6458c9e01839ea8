package local

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
	"github.com/millstreamdb/millstream/internal/trigger/backendtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/worker"
)

// The suite that every backend passes, over tables on a disk that forgets what was not synced.
func TestSuite(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.World {
		w := &suiteWorld{t: t, disk: crashtest.New(), nth: map[string]*counter{}}
		w.open()
		return w
	})
}

// suiteWorld is a database whose items have a key, pk, and say how often they were written, n.
type suiteWorld struct {
	t       *testing.T
	disk    *crashtest.Disk
	streams *stream.Streams
	db      *table.DB
	queues  *queue.Service
	b       *Backend
	tables  int

	mu  sync.Mutex
	nth map[string]*counter // by ARN and key
}

// counter counts the writes of an item, and holds its writers apart.
type counter struct {
	sync.Mutex
	n int
}

func (w *suiteWorld) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *suiteWorld) open() {
	st, err := store.Open(store.Options{FS: w.disk.FS(), Dir: "data", CacheBytes: 1 << 20})
	w.check(err)
	w.streams, err = stream.Open(st, time.Now)
	w.check(err)
	quiet := slog.New(slog.DiscardHandler)
	w.db, err = table.Open(table.Options{Store: st, Streams: w.streams, Logger: quiet})
	w.check(err)
	w.queues, err = queue.Open(queue.Options{Store: st, Clock: worker.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))})
	w.check(err)
	if !w.queues.Has(arn.Scope(scope).ARN("sqs", queueName)) {
		_, err = w.queues.Create(arn.Scope(scope), queueName, nil, nil)
		w.check(err)
	}
	b, err := Open(st, w.streams, w.db, w.queues, quiet)
	w.check(err)
	w.b = b
	w.t.Cleanup(func() {
		_ = b.Close()
		w.queues.Close()
		_ = st.Close()
	})
}

func (w *suiteWorld) Backend() backend.Backend { return w.b }

// do runs one operation from its JSON.
func do[Q, A any](w *suiteWorld, decode func([]byte) (*Q, error), op func(context.Context, schema.Scope, *Q) (*A, error), format string, args ...any) *A {
	w.t.Helper()
	q, err := decode(fmt.Appendf(nil, format, args...))
	w.check(err)
	a, err := op(context.Background(), scope, q)
	w.check(err)
	return a
}

func (w *suiteWorld) Stream(shards int) string {
	w.tables++
	name := fmt.Sprint("table-", w.tables)
	do(w, request.DecodeCreateTable, w.db.CreateTable, `{"TableName":%q,"BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
		"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"},
		"Tags":[{"Key":"millstream:shards","Value":"%d"}]}`, name, shards)
	return w.db.LatestStream(scope, name)
}

// table is asked by writers while a crash changes the world under them.
func (w *suiteWorld) table(streamARN string) string { return arn.TableOf(streamARN) }

func (w *suiteWorld) counter(arn string, key int) *counter {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := fmt.Sprint(arn, "/", key)
	if w.nth[id] == nil {
		w.nth[id] = &counter{n: w.Stored(arn, key)}
	}
	return w.nth[id]
}

func (w *suiteWorld) Write(arn string, keys ...int) {
	for _, k := range keys {
		c := w.counter(arn, k)
		c.Lock()
		c.n++
		do(w, request.DecodePutItem, w.db.PutItem, `{"TableName":%q,"Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}`, w.table(arn), k, c.n)
		c.Unlock()
	}
}

func (w *suiteWorld) Item(r lane.Record) (key, nth int) {
	key, nth, err := backendtest.ItemOf(r)
	w.check(err)
	return key, nth
}

func (w *suiteWorld) Stored(arn string, key int) int {
	q, err := request.DecodeGetItem(fmt.Appendf(nil, `{"TableName":%q,"ConsistentRead":true,"Key":{"pk":{"S":"%d"}}}`, w.table(arn), key))
	w.check(err)
	a, err := w.db.GetItem(context.Background(), scope, q)
	w.check(err)
	if !a.Found {
		return 0
	}
	var i struct {
		N struct{ N string } `json:"n"`
	}
	w.check(json.Unmarshal(a.Item.AppendJSON(nil), &i))
	n, err := strconv.Atoi(i.N.N)
	w.check(err)
	return n
}

func (w *suiteWorld) Writes(arn string, key, nth int) []byte {
	return fmt.Appendf(nil, `[{"Put":{"TableName":%q,"Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}}]`, w.table(arn), key, nth)
}

func (w *suiteWorld) Refused(arn string) []byte {
	return fmt.Appendf(nil, `[{"Put":{"TableName":%q,"Item":{"pk":{"S":"1"}},"ConditionExpression":"attribute_exists(pk)"}}]`, w.table(arn))
}

// queueName is that of the one queue.
const queueName = "sent"

func (w *suiteWorld) Sends(bodies ...string) []byte {
	return backendtest.Messages("/"+scope.Account+"/"+queueName, bodies...)
}

func (w *suiteWorld) Unsendable(body string) []byte {
	return backendtest.AndOne(w.Sends(body), "/"+scope.Account+"/nowhere")
}

func (w *suiteWorld) Sent() (bodies []string) {
	q := w.queues.FindARN(arn.Scope(scope).ARN("sqs", queueName))
	all, err := q.Peek(1 << 20)
	w.check(err)
	for _, m := range all {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

func (w *suiteWorld) Split(arn, shard string) {
	_, err := w.db.SplitShards(context.Background(), scope, w.table(arn), shard, 0)
	w.check(err)
}

func (w *suiteWorld) SwitchOff(arn string) {
	do(w, request.DecodeUpdateTable, w.db.UpdateTable, `{"TableName":%q,"StreamSpecification":{"StreamEnabled":false}}`, w.table(arn))
}

func (w *suiteWorld) Age(string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.streams.Retain(ctx, stream.Retaining{Log: slog.New(slog.DiscardHandler)}) }()
	time.Sleep(stream.Retention + 2*time.Hour)
	cancel()
	w.check(<-done)
	w.Crash() // what is removed may be read from memory for a while
}

// Crash leaves what is at work on the old disk to itself.
func (w *suiteWorld) Crash() {
	w.disk = w.disk.Clone(uint64(w.tables) + uint64(time.Now().UnixNano()))
	w.mu.Lock()
	w.nth = map[string]*counter{}
	w.mu.Unlock()
	w.open()
}
