package table

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/stream"
)

// reshape rolls the shards of tab over, or splits the widest (to eight at most),
// and notes what it was told.
func (w *world) reshape(what int, e *evidence) error {
	ctx := context.Background()
	if len(w.streams.All()[0].Shards()) >= 16 {
		return nil // more show nothing new and are slow to judge
	}
	if what > 0 {
		return w.db.rollShards(ctx, time.Now().Add(time.Hour))
	}
	n := w.db.find(scope, "tab").desc.Load().def.Partitions
	ids, err := w.db.SplitShards(ctx, scope, "tab", "", min(n+1, 8))
	if isCode(err, "ValidationException") {
		return nil // another client was first
	}
	e.sawShards(ids)
	return err
}

// checkLineage checks that every shard but the roots has a parent that has ended,
// with a number below all of the child's, that parents come first, that nothing is
// in a shard after its end, and that every partition has one open shard.
func (w *world) checkLineage(table string) error {
	d := w.db.find(scope, table).desc.Load()
	s := w.streams.Get(d.def.LatestStream)
	open := map[uint32]int{}
	seen := map[string]*stream.Shard{}
	for _, sh := range s.Shards() {
		end, closed := sh.End()
		if !closed {
			open[sh.Partition]++
		}
		if closed && end.Less(sh.Head()) {
			return fmt.Errorf("shard %s ended at %s and has record %s", sh.ID, end, sh.Head())
		}
		if p := seen[sh.Parent]; sh.Parent != "" {
			if p == nil {
				return fmt.Errorf("shard %s is before its parent %s", sh.ID, sh.Parent)
			}
			if end, closed := p.End(); !closed || !end.Less(sh.Start) {
				return fmt.Errorf("shard %s starts at %s, its parent ends at %s (%v)", sh.ID, sh.Start, end, closed)
			}
			if sh.ID <= p.ID {
				return fmt.Errorf("the id %s of a child is below its parent's %s", sh.ID, p.ID)
			}
		}
		seen[sh.ID] = sh
	}
	if _, disabled := s.Disabled(); disabled {
		return nil
	}
	for i := range d.def.Partitions {
		if open[uint32(i)] != 1 {
			return fmt.Errorf("partition %d has %d open shards", i, open[uint32(i)])
		}
	}
	return nil
}

// TestOrderOverLineage holds P2 over splits and roll-overs: with 32 writers, who
// reads the Streams API as its consumers do (a shard to its end, then its
// children) sees each change once and those of a key in their order.
func TestOrderOverLineage(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 2, "NEW_AND_OLD_IMAGES")
	const writers, each, keys = 32, 60, 9
	var wg sync.WaitGroup
	var written atomic.Bool
	reshaped := make(chan struct{}) // closed when there were enough changes of shards
	for n := range writers {
		wg.Go(func() {
			for i := range each {
				if i == each/2 {
					<-reshaped // also where the writers would be through before the first
				}
				if _, err := w.call("UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":"k%d"}},"UpdateExpression":"ADD n :one",
					"ExpressionAttributeValues":{":one":{"N":"1"}}}`, (n+i)%keys)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var reshaping sync.WaitGroup
	reshaping.Go(func() {
		for i := 0; !written.Load(); i++ {
			if err := w.reshape(i%3, newEvidence()); err != nil {
				t.Error(err)
			}
			if i == 12 {
				close(reshaped)
			}
		}
	})
	read := make(chan map[string]int64)
	go func() { read <- w.consume(t, &written) }()
	wg.Wait()
	written.Store(true)
	reshaping.Wait()
	total := int64(0)
	for _, n := range <-read {
		total += n
	}
	if total != writers*each {
		t.Errorf("read %d records, want %d", total, writers*each)
	}
	if _, _, err := w.replay("tab"); err != nil {
		t.Error(err)
	}
	shards := len(w.streams.All()[0].Shards())
	w.reopen(t)
	if _, _, err := w.replay("tab"); err != nil {
		t.Error("after a restart:", err)
	}
	if got := len(w.streams.All()[0].Shards()); got != shards || shards < 10 {
		t.Errorf("%d shards, %d after a restart", shards, got)
	}
}

// consume reads a stream through the Streams API until all is written and every
// leaf was read to its head. It returns the last counter of each key.
func (w *world) consume(t *testing.T, written *atomic.Bool) map[string]int64 {
	ctx := context.Background()
	arn := w.streams.All()[0].ARN
	last := map[string]int64{}
	ended := map[string]bool{}
	iterators := map[string]string{}
	for {
		done := written.Load()
		d, err := w.streams.DescribeStream(ctx, scope, &request.DescribeStream{Stream: request.StreamName{ARN: arn}, Limit: math.MaxInt})
		if err != nil {
			t.Error(err)
			return last
		}
		rest := 0
		for _, sh := range d.Shards {
			if ended[sh.ID] || sh.Parent != "" && !ended[sh.Parent] {
				continue
			}
			it := iterators[sh.ID]
			if it == "" {
				it, err = w.streams.GetShardIterator(ctx, scope, &request.GetShardIterator{Stream: request.StreamName{ARN: arn}, Shard: sh.ID, Type: request.TrimHorizon})
				if err != nil {
					t.Error(err)
					return last
				}
			}
			res, err := w.streams.GetRecords(ctx, scope, &request.GetRecords{Iterator: it, Limit: 100})
			if err != nil {
				t.Error(err)
				return last
			}
			for _, r := range res.Records {
				key, n := counterOf(t, r)
				if n != last[key]+1 {
					t.Errorf("%s: %d follows %d", key, n, last[key])
				}
				last[key] = n
			}
			rest += len(res.Records)
			if iterators[sh.ID] = res.Next; res.Next == "" {
				ended[sh.ID] = true
				rest++
			}
		}
		if done && rest == 0 {
			return last
		}
	}
}

// TestSplitRanges: splits halve the widest ranges, every hash has one partition,
// and one shard that is named is split into two.
func TestSplitRanges(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	w.createTable(t, "tab", 3, "KEYS_ONLY")
	for i := range 100 {
		w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"a%d"},"w":{"S":"%d"}}}`, i, i))
	}
	ids, err := w.db.SplitShards(ctx, scope, "tab", "", 5)
	if err != nil || len(ids) != 5 {
		t.Fatal(ids, err)
	}
	again, err := w.db.SplitShards(ctx, scope, "tab", ids[4], 0)
	if err != nil || len(again) != 6 || again[4] == ids[4] || !slices.Equal(again[:4], ids[:4]) {
		t.Fatal(again, err)
	}
	d := &w.db.find(scope, "tab").desc.Load().def
	for i, r := range d.Ranges {
		if d.partition(r.From) != r.Partition || i > 0 && d.partition(r.From-1) != d.Ranges[i-1].Partition {
			t.Errorf("range %d: %+v", i, r)
		}
	}
	if got := d.partition(math.MaxUint64); got != d.Ranges[5].Partition {
		t.Error("the last hash is of partition", got)
	}
	for i := range 100 {
		w.must(t, "DeleteItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":"a%d"}}}`, i))
	}
	for _, when := range []string{"now", "after a restart"} {
		if desc := w.must(t, "DescribeTable", `{"TableName":"tab"}`).(*Description); desc.ItemCount != 0 || desc.SizeBytes != 0 {
			t.Errorf("%s: %d items, %d bytes", when, desc.ItemCount, desc.SizeBytes)
		}
		w.reopen(t)
	}
	// A stream made later has a root for each partition.
	w.must(t, "UpdateTable", `{"TableName":"tab","StreamSpecification":{"StreamEnabled":false}}`)
	w.must(t, "UpdateTable", `{"TableName":"tab","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}}`)
	for i := range 30 {
		w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"a%d"},"w":{"S":"%d"}}}`, i, i))
	}
	if _, _, err := w.replay("tab"); err != nil {
		t.Error(err)
	}

	for _, c := range []struct {
		table, shard string
		into         int
	}{{"none", "", 2}, {"tab", "", 0}, {"tab", "", 257}, {"tab", "", 2}, {"tab", "shardId-1", 0}, {"tab", ids[0], 0}} {
		if _, err := w.db.SplitShards(ctx, scope, c.table, c.shard, c.into); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// TestEqualRangesStay: definitions without ranges mean what they meant.
func TestEqualRangesStay(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 256} {
		whole := &definition{Partitions: n}
		listed := &definition{Partitions: n, Ranges: whole.ranges()}
		for i := range 1000 {
			h := uint64(i) * 0x9E3779B97F4A7C15
			if a, b := whole.partition(h), listed.partition(h); a != b || a != schema.Partition(h, n) {
				t.Fatalf("n=%d hash %x: %d and %d", n, h, a, b)
			}
		}
	}
}

// TestRollKeepsQuietShards: a shard without a record is not rolled over, nor a
// young one.
func TestRollKeepsQuietShards(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 1, "KEYS_ONLY")
	roll := func(opened time.Time) int {
		if err := w.db.rollShards(t.Context(), opened); err != nil {
			t.Fatal(err)
		}
		return len(w.streams.All()[0].Shards())
	}
	if n := roll(time.Now().Add(time.Hour)); n != 1 {
		t.Error("an empty shard was rolled over:", n)
	}
	w.must(t, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"a"},"w":{"S":"1"}}}`)
	if n := roll(time.Now().Add(-time.Hour)); n != 1 {
		t.Error("a young shard was rolled over:", n)
	}
	if n := roll(time.Now().Add(time.Hour)); n != 2 {
		t.Error("not rolled over:", n)
	}
	if n := roll(time.Now().Add(time.Hour)); n != 2 {
		t.Error("the empty child was rolled over:", n)
	}
}

// counterOf reads the key and the counter of a record's JSON.
func counterOf(t *testing.T, record []byte) (key string, n int64) {
	t.Helper()
	var r struct {
		Dynamodb struct {
			NewImage struct{ Pk, N struct{ S, N string } }
		}
	}
	unmarshal(t, record, &r)
	n, err := strconv.ParseInt(r.Dynamodb.NewImage.N.N, 10, 64)
	if err != nil {
		t.Error(err)
	}
	return r.Dynamodb.NewImage.Pk.S, n
}

func unmarshal(t *testing.T, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Error(err)
	}
}

// TestRetentionTag: the tag says for how many hours a stream keeps its records.
func TestRetentionTag(t *testing.T) {
	w := newWorld(t)
	const table = `{"TableName":%q,"BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"Tags":[{"Key":"millstream:retention","Value":%q}]}`
	for _, bad := range []string{"", "day", "23", "87601", "-1"} {
		if _, err := w.call("CreateTable", fmt.Sprintf(table, "bad", bad)); !isCode(err, "ValidationException") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	w.must(t, "CreateTable", fmt.Sprintf(table, "tab", "72"))
	w.reopen(t)
	w.must(t, "UpdateTable", `{"TableName":"tab","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}`)
	if got := w.streams.All()[0].Retention; got != 72*time.Hour {
		t.Error("the stream keeps records for", got)
	}
}
