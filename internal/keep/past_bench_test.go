package keep

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
)

// BenchmarkRestoreMoment undoes 300,000 changes over 200,000 items of 1 KB, into a new table: one round is all of it. What undoing took, without
// the writing of the table, is told in changes a second.
func BenchmarkRestoreMoment(b *testing.B) {
	const items, changes = 200_000, 300_000
	ctx := context.Background()
	st, err := store.Open(store.Options{Dir: b.TempDir(), Durability: store.NoSync})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	streams, err := stream.Open(st, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	db, err := table.Open(table.Options{Store: st, Streams: streams})
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(Options{Store: st, Tables: db, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	p := &past{t: b, db: db, s: s}
	must(p, request.DecodeCreateTable, db.CreateTable, `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`)
	value := item.AppendString(nil, strings.Repeat("x", 1000))
	write := func(from, to int, key func(int) int) {
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for i := from + n; i < to; i += 8 {
					number, _ := item.AppendNumber(nil, fmt.Append(nil, i))
					it := item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendString(nil, fmt.Sprintf("key-%012d", key(i)))}, {Name: "n", Value: number}, {Name: "v", Value: value}})
					if _, err := db.PutItem(ctx, scope, &request.PutItem{Common: request.Common{TableName: "tab"}, Item: it}); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	write(0, items, func(i int) int { return i })
	must(p, request.DecodeUpdateContinuousBackups, db.UpdateContinuousBackups, `{"TableName":"tab","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}}`)
	c := must(p, request.DecodeDescribeContinuousBackups, db.DescribeContinuousBackups, `{"TableName":"tab"}`)
	time.Sleep(2 * time.Millisecond)
	write(items, items+changes, func(int) int { return rand.IntN(items) })

	for b.Loop() {
		began := time.Now()
		saved, at, err := db.FreezePast(ctx, scope, "tab", "tab", frozenName("bench"), func(*table.ContinuousBackups) (from, at time.Time, err error) { return from, c.Latest, nil })
		if err != nil {
			b.Fatal(err)
		}
		froze := time.Since(began)
		n := 0
		if err := s.each(ctx, "bench", saved, at, func(it item.Item) error {
			if v, _ := it.Get("n").Int64(); v >= items {
				b.Fatalf("a change is not undone: %s", it.AppendJSON(nil))
			}
			n++
			return nil
		}); err != nil || n != items {
			b.Fatal(n, err)
		}
		undone := time.Since(began) - froze
		if err := st.Thaw(frozenName("bench")); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		must(p, request.DecodeRestoreTableToPointInTime, s.RestoreTableToPointInTime, fmt.Sprintf(`{"SourceTableName":"tab","TargetTableName":"new","RestoreDateTime":%.3f}`, float64(c.Latest.UnixMilli())/1000))
		if more, err := s.loadNext(ctx); err != nil || !more {
			b.Fatal(more, err)
		}
		whole := time.Since(began)
		must(p, request.DecodeDeleteTable, db.DeleteTable, `{"TableName":"new"}`)
		b.ReportMetric(froze.Seconds()*1000, "ms-frozen")
		b.ReportMetric(changes/undone.Seconds(), "undone/s")
		b.ReportMetric(changes/whole.Seconds(), "restored/s")
	}
}
