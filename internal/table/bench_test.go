package table

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
)

// newDiskWorld is a database on the machine's own disk.
func newDiskWorld(b *testing.B) *world {
	b.Helper()
	w := &world{}
	var err error
	if w.store, err = store.Open(store.Options{Dir: b.TempDir(), Durability: store.Sync}); err != nil {
		b.Fatal(err)
	}
	if w.streams, err = stream.Open(w.store, time.Now); err != nil {
		b.Fatal(err)
	}
	if w.db, err = Open(Options{Store: w.store, Streams: w.streams}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			b.Error(err)
		}
	})
	return w
}

const benchClients = 32

// parallel runs f on as many goroutines as there are clients.
func parallel(b *testing.B, f func(i int64)) {
	var next atomic.Int64
	b.SetParallelism(max(1, benchClients/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f(next.Add(1))
		}
	})
}

func benchPut(b *testing.B, fresh bool) {
	w := newDiskWorld(b)
	w.createTable(b, "tab", 1, "NEW_AND_OLD_IMAGES")
	w.putAll(b, fresh)
}

// putAll puts items of 1 KiB, new ones or over 10,000 that there are.
func (w *world) putAll(b *testing.B, fresh bool) {
	value := item.AppendString(nil, strings.Repeat("x", 1000))
	ctx := context.Background()
	parallel(b, func(i int64) {
		key := i
		if !fresh {
			key %= 10_000
		}
		it := item.NewItem([]item.Entry{
			{Name: "pk", Value: item.AppendString(nil, fmt.Sprintf("key-%012d", key))},
			{Name: "v", Value: value}, {Name: "w", Value: item.AppendString(nil, fmt.Sprintf("%012d", i))},
		})
		if _, err := w.db.PutItem(ctx, scope, &request.PutItem{Common: request.Common{TableName: "tab"}, Item: it}); err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkPutNew stores new items of 1 KiB, streamed and synced; BenchmarkPutOver
// replaces items, so that the record carries both images.
func BenchmarkPutNew(b *testing.B)  { benchPut(b, true) }
func BenchmarkPutOver(b *testing.B) { benchPut(b, false) }

// BenchmarkPutPlain replaces items of a table without a stream; BenchmarkPutRecovered does so with point-in-time recovery.
func BenchmarkPutPlain(b *testing.B) { benchRecovered(b, false) }

func BenchmarkPutRecovered(b *testing.B) { benchRecovered(b, true) }

func benchRecovered(b *testing.B, on bool) {
	w := newDiskWorld(b)
	w.createTable(b, "tab", 1, "")
	if on {
		w.must(b, "UpdateContinuousBackups", `{"TableName":"tab","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}}`)
	}
	w.putAll(b, false)
}

func benchFilled(b *testing.B) *world {
	w := newDiskWorld(b)
	w.createKeyed(b, "tab", "S", "N")
	value := strings.Repeat("x", 1000)
	var items []string
	for i := range 2000 {
		items = append(items, fmt.Sprintf(`{"pk":{"S":"p%d"},"sk":{"N":"%d"},"v":{"S":%q}}`, i%20, i/20, value))
	}
	w.put(b, "tab", items)
	return w
}

func BenchmarkGetConsistent(b *testing.B) {
	w := benchFilled(b)
	keys := make([]item.Item, 2000)
	for i := range keys {
		sk, _ := item.AppendNumber(nil, fmt.Append(nil, i/20))
		keys[i] = item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendString(nil, fmt.Sprintf("p%d", i%20))}, {Name: "sk", Value: sk}})
	}
	ctx := context.Background()
	parallel(b, func(i int64) {
		r := request.GetItem{Common: request.Common{TableName: "tab"}, Key: keys[i%2000], ConsistentRead: true}
		if res, err := w.db.GetItem(ctx, scope, &r); err != nil || !res.Found {
			b.Error(err)
		}
	})
}

// BenchmarkQuery reads 100 items of 1 KiB.
func BenchmarkQuery(b *testing.B) {
	w := benchFilled(b)
	queries := make([]*request.Query, 20)
	for i := range queries {
		q, err := request.DecodeQuery(fmt.Appendf(nil, `{"TableName":"tab","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"p%d"}},"ConsistentRead":true}`, i))
		if err != nil {
			b.Fatal(err)
		}
		queries[i] = q
	}
	ctx := context.Background()
	parallel(b, func(i int64) {
		if res, err := w.db.Query(ctx, scope, queries[i%20]); err != nil || res.Count != 100 {
			b.Error(err, res.Count)
		}
	})
}

// benchTransact writes transactions of n new items of 1 KiB, streamed and synced.
func benchTransact(b *testing.B, n int) {
	w := newDiskWorld(b)
	w.createTable(b, "tab", 1, "NEW_AND_OLD_IMAGES")
	value := item.AppendString(nil, strings.Repeat("x", 1000))
	ctx := context.Background()
	parallel(b, func(i int64) {
		r := &request.TransactWriteItems{Writes: make([]request.TransactWrite, n)}
		for k := range r.Writes {
			r.Writes[k] = request.TransactWrite{
				Common: request.Common{TableName: "tab"}, Action: request.TransactPut,
				Item: item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendString(nil, fmt.Sprintf("key-%012d-%d", i, k))}, {Name: "v", Value: value}}),
			}
		}
		if _, err := w.db.TransactWriteItems(ctx, scope, r); err != nil {
			b.Error(err)
		}
	})
}

func BenchmarkTransact1(b *testing.B)  { benchTransact(b, 1) }
func BenchmarkTransact2(b *testing.B)  { benchTransact(b, 2) }
func BenchmarkTransact10(b *testing.B) { benchTransact(b, 10) }

// BenchmarkTransactGet reads ten items of 1 KiB.
func BenchmarkTransactGet(b *testing.B) {
	w := benchFilled(b)
	reads := make([]*request.TransactGetItems, 200)
	for i := range reads {
		reads[i] = &request.TransactGetItems{}
		for k := range 10 {
			sk, _ := item.AppendNumber(nil, fmt.Append(nil, i/2))
			key := item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendString(nil, fmt.Sprintf("p%d", i%2*10+k))}, {Name: "sk", Value: sk}})
			reads[i].Gets = append(reads[i].Gets, request.TransactGet{Common: request.Common{TableName: "tab"}, Key: key})
		}
	}
	ctx := context.Background()
	parallel(b, func(i int64) {
		if res, err := w.db.TransactGetItems(ctx, scope, reads[i%200]); err != nil || res.Items[9] == nil {
			b.Error(err)
		}
	})
}
