package keep

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
)

// TestRestoreUnderWriters: while eight writers put pairs into two tables, one moment of both is restored, again and again. Each restored pair is whole, has at least
// what was acknowledged before the moment was asked for, and nothing that was begun after; and a moment asked for twice is the same.
func TestRestoreUnderWriters(t *testing.T) {
	const writers, rounds = 8, 6
	st, err := store.Open(store.Options{FS: crashtest.New().FS(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := stream.Open(st, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	db, err := table.Open(table.Options{Store: st, Streams: streams})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Store: st, Tables: db, Now: time.Now, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	p := &past{t: t, db: db, s: s}
	ctx := context.Background()
	for _, name := range []string{"one", "two"} {
		must(p, request.DecodeCreateTable, db.CreateTable, `{"TableName":"`+name+`","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
			"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"Tags":[{"Key":"millstream:shards","Value":"4"}]}`)
		must(p, request.DecodeUpdateContinuousBackups, db.UpdateContinuousBackups, `{"TableName":"`+name+`","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}}`)
	}
	var begun, done [writers]atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for n := range writers {
		wg.Go(func() {
			for i := int64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				put := func(name string) string {
					return fmt.Sprintf(`{"Put":{"TableName":%q,"Item":{"pk":{"S":"w%d"},"n":{"N":"%d"}}}}`, name, n, i)
				}
				begun[n].Store(i)
				if _, err := ask(p, request.DecodeTransactWriteItems, db.TransactWriteItems, `{"TransactItems":[`+put("one")+`,`+put("two")+`]}`); err != nil {
					t.Error(err)
					return
				}
				done[n].Store(i)
			}
		})
	}
	// at restores a moment of a table, and returns each writer's number.
	at := func(name, to string, moment time.Time) (got [writers]int64) {
		must(p, request.DecodeRestoreTableToPointInTime, s.RestoreTableToPointInTime, fmt.Sprintf(`{"SourceTableName":%q,"TargetTableName":%q,"RestoreDateTime":%.3f}`, name, to, float64(moment.UnixMilli())/1000))
		if _, err := s.loadNext(ctx); err != nil {
			t.Fatal(err)
		}
		for n := range writers {
			r := must(p, request.DecodeGetItem, db.GetItem, fmt.Sprintf(`{"TableName":%q,"Key":{"pk":{"S":"w%d"}},"ConsistentRead":true}`, to, n))
			if r.Found {
				got[n], _ = r.Item.Get("n").Int64()
			}
		}
		must(p, request.DecodeDeleteTable, db.DeleteTable, `{"TableName":"`+to+`"}`)
		return got
	}
	for round := range rounds {
		for had := done[0].Load(); done[0].Load() < had+20; {
			time.Sleep(time.Millisecond)
		}
		var before, after [writers]int64
		for n := range writers {
			before[n] = done[n].Load()
		}
		moment := must(p, request.DecodeDescribeContinuousBackups, db.DescribeContinuousBackups, `{"TableName":"one"}`).Latest
		for n := range writers {
			after[n] = begun[n].Load()
		}
		one, two, again := at("one", "then-one", moment), at("two", "then-two", moment), at("one", "then-again", moment)
		if one != two || one != again {
			t.Errorf("round %d: %v in one table, %v in the other, %v when asked again", round, one, two, again)
		}
		for n := range writers {
			if one[n] < before[n] || one[n] > after[n] {
				t.Errorf("round %d, writer %d: %d is restored; %d was acknowledged before, and %d begun", round, n, one[n], before[n], after[n])
			}
		}
	}
	close(stop)
	wg.Wait()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}
