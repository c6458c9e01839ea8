package streams

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	stypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

const minute = time.Minute

// With 32 writers on overlapping keys every record of a key appears in commit
// order, exactly once, while readers poll at the tail all the time (P2). Each
// update counts its key up by one, so the order of commits is in the items:
// the n-th record of a key must show n.
func TestOrderUnderConcurrentWriters(t *testing.T) {
	for _, shards := range []int{1, 8} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			target := harness.The(t)
			if shards > 1 {
				harness.NeedMillstream(t, "the table tag millstream:shards")
			}
			table := target.Create(t, harness.Table{View: types.StreamViewTypeNewAndOldImages, Shards: shards})
			if got := len(describe(t, table.StreamARN)); shards > 1 && got != shards {
				harness.Unsupported(t, "the table tag millstream:shards=%d opened %d shards", shards, got)
			}
			const writers, updates, keys = 32, 100, 16
			var written [keys]atomic.Int64
			var done atomic.Bool
			var writing, reading sync.WaitGroup
			for w := range writers {
				random := rand.New(rand.NewPCG(uint64(shards), uint64(w)))
				writing.Go(func() {
					for range updates {
						key := random.IntN(keys)
						_, err := target.DB.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
							TableName: &table.Name, Key: harness.Item{"pk": harness.S(strconv.Itoa(key))}, UpdateExpression: aws.String("ADD n :one"),
							ExpressionAttributeValues: map[string]types.AttributeValue{":one": harness.Int(1)},
						})
						if err != nil {
							t.Errorf("UpdateItem: %v", err)
							return
						}
						written[key].Add(1)
					}
				})
			}
			// Two readers poll the tail as fast as they can; each must see all.
			results := make([][]harness.Record, 2)
			for i := range results {
				reader := target.NewReader(table.StreamARN)
				reading.Go(func() {
					for {
						last := done.Load() // read before the poll, so that one poll follows the last write
						page, err := reader.Poll(t.Context())
						if err != nil {
							t.Errorf("reader %d: %v", i, err)
							return
						}
						results[i] = append(results[i], page...)
						if last && len(page) == 0 && len(results[i]) >= writers*updates {
							return
						}
						if last && len(page) == 0 && target.Millstream {
							return // durable records are visible at once: what is missing now is lost
						}
					}
				})
			}
			writing.Wait()
			done.Store(true)
			reading.Wait()
			for i, records := range results {
				var seen [keys]int64
				shardOf := map[string]string{}
				ids := map[string]bool{}
				for _, r := range records {
					pk := r.Dynamodb.Keys["pk"].(*stypes.AttributeValueMemberS).Value
					key, err := strconv.Atoi(pk)
					if err != nil {
						t.Fatal(err)
					}
					n, err := strconv.ParseInt(r.Dynamodb.NewImage["n"].(*stypes.AttributeValueMemberN).Value, 10, 64)
					if err != nil {
						t.Fatal(err)
					}
					if seen[key]++; n != seen[key] {
						t.Fatalf("reader %d: record %d of key %d shows n = %d", i, seen[key], key, n)
					}
					if old, had := r.Dynamodb.OldImage["n"].(*stypes.AttributeValueMemberN); had && old.Value != strconv.FormatInt(n-1, 10) {
						t.Fatalf("reader %d: key %d goes from %s to %d", i, key, old.Value, n)
					}
					if home, known := shardOf[pk]; known && home != r.Shard {
						t.Fatalf("key %s has records in shards %s and %s", pk, home, r.Shard)
					}
					shardOf[pk] = r.Shard
					if id := aws.ToString(r.EventID); ids[id] {
						t.Fatalf("eventID %s appears twice", id)
					} else {
						ids[id] = true
					}
				}
				for key := range keys {
					if want := written[key].Load(); seen[key] != want {
						t.Errorf("reader %d: key %d has %d records of %d writes", i, key, seen[key], want)
					}
				}
			}
		})
	}
}

// A write's record can be read as soon as the write is answered: a reader that
// polls after every answer never finds the tail short. Only Millstream promises
// that (AWS's streams lag by up to seconds).
func TestRecordIsThereWhenTheWriteIsAnswered(t *testing.T) {
	target := harness.NeedMillstream(t, "a stream without lag")
	table := target.Create(t, harness.Table{View: types.StreamViewTypeKeysOnly})
	reader := target.NewReader(table.StreamARN)
	for i := range 300 {
		table.Put(t, harness.Item{"pk": harness.S(strconv.Itoa(i))})
		page, err := reader.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page) != 1 {
			t.Fatalf("after write %d the reader found %d records", i, len(page))
		}
	}
}

// Iterators outlive a restart: they are positions, not sessions.
func TestIteratorsSurviveARestart(t *testing.T) {
	target := harness.NeedMillstream(t, "a restart by the suite")
	if target.Server == nil {
		harness.Unsupported(t, "the suite did not start the target")
	}
	dir := t.TempDir()
	server, err := harness.StartServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	own := server.Target()
	table := own.Create(t, harness.Table{View: types.StreamViewTypeNewImage})
	table.Put(t, harness.Item{"pk": harness.S("before")})
	shard := aws.ToString(own.Describe(t, table.StreamARN).Shards[0].ShardId)
	trim := own.Iterator(t, table.StreamARN, shard, stypes.ShardIteratorTypeTrimHorizon, "")
	latest := own.Iterator(t, table.StreamARN, shard, stypes.ShardIteratorTypeLatest, "")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	table.Put(t, harness.Item{"pk": harness.S("after")})
	for _, c := range []struct {
		name, iterator string
		want           int
	}{{"TRIM_HORIZON", trim, 2}, {"LATEST", latest, 1}} {
		out, err := own.Streams.GetRecords(t.Context(), getRecords(c.iterator))
		if err != nil {
			t.Errorf("%s iterator after a restart: %v", c.name, err)
		} else if len(out.Records) != c.want {
			t.Errorf("%s iterator after a restart gives %d records, want %d", c.name, len(out.Records), c.want)
		}
	}
}
