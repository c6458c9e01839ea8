package streams

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	stypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// S.4: shards roll over and split under a writer; who reads each shard to its end
// and then its children (asked for with ShardFilter) sees every change once, and
// those of an item in order.
func TestLineage(t *testing.T) {
	if !harness.The(t).Millstream {
		harness.Unsupported(t, "shards roll over and split when the test says so")
	}
	server, err := harness.StartServer("", "--shard-roll", "50ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	target := server.Target()
	table := target.Create(t, harness.Table{View: types.StreamViewTypeNewImage})

	const writes, keys = 400, 7
	written := make(chan struct{})
	go func() {
		defer close(written)
		pace := time.NewTicker(time.Millisecond)
		defer pace.Stop()
		for i := range writes {
			<-pace.C
			if i == writes/2 {
				target.SplitShards(t, table.Name, 3)
			}
			_, err := target.DB.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: &table.Name, Key: harness.Item{"pk": harness.S(fmt.Sprint(i % keys))}, UpdateExpression: aws.String("ADD n :one"),
				ExpressionAttributeValues: harness.Item{":one": harness.Int(1)},
			})
			if err != nil {
				t.Error(err)
			}
		}
	}()

	counts := map[string]int{}
	total := 0
	var queue []stypes.Shard
	for _, s := range pages(t, table.StreamARN, target) {
		if s.ParentShardId == nil {
			queue = append(queue, s)
		}
	}
	ended := 0
	open := map[string]*string{} // iterators of shards that are being read
	for done := false; ; {
		rest := 0
		for _, s := range queue {
			id := aws.ToString(s.ShardId)
			it, err := target.Streams.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{StreamArn: &table.StreamARN, ShardId: &id, ShardIteratorType: stypes.ShardIteratorTypeTrimHorizon})
			if err != nil {
				t.Fatal(err)
			}
			open[id] = it.ShardIterator
		}
		queue = nil
		for id, it := range open {
			out, err := target.Streams.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: it})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Records {
				image := r.Dynamodb.NewImage
				key := image["pk"].(*stypes.AttributeValueMemberS).Value
				counts[key]++
				if n := image["n"].(*stypes.AttributeValueMemberN).Value; n != fmt.Sprint(counts[key]) {
					t.Fatalf("%s: change %s came as the %dth", key, n, counts[key])
				}
				total++
			}
			rest += len(out.Records)
			if open[id] = out.NextShardIterator; out.NextShardIterator != nil {
				continue
			}
			delete(open, id)
			ended++
			rest++
			kids, err := target.Streams.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{
				StreamArn: &table.StreamARN, ShardFilter: &stypes.ShardFilter{Type: stypes.ShardFilterTypeChildShards, ShardId: &id},
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(kids.StreamDescription.Shards) == 0 {
				t.Fatalf("shard %s has ended and no child is shown", id)
			}
			queue = append(queue, kids.StreamDescription.Shards...)
		}
		if done && rest == 0 {
			break
		}
		select {
		case <-written:
			done = true
		default:
		}
	}
	if total != writes || ended < 3 {
		t.Errorf("read %d of %d changes over %d ended shards", total, writes, ended)
	}

	shards := pages(t, table.StreamARN, target)
	byID := map[string]stypes.Shard{}
	for i, s := range shards {
		id := aws.ToString(s.ShardId)
		byID[id] = s
		if i > 0 && id <= aws.ToString(shards[i-1].ShardId) {
			t.Error("shards are not in lexical order")
		}
		parent, found := byID[aws.ToString(s.ParentShardId)]
		if s.ParentShardId == nil {
			continue
		}
		if end := parent.SequenceNumberRange; !found || end == nil || end.EndingSequenceNumber == nil ||
			number(t, end.EndingSequenceNumber).Cmp(number(t, s.SequenceNumberRange.StartingSequenceNumber)) >= 0 {
			t.Errorf("shard %s starts at %s, its parent is %+v", id, aws.ToString(s.SequenceNumberRange.StartingSequenceNumber), end)
		}
	}
	// LATEST on a shard that has ended is its end.
	it, err := target.Streams.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{StreamArn: &table.StreamARN, ShardId: shards[0].ShardId, ShardIteratorType: stypes.ShardIteratorTypeLatest})
	if err != nil {
		t.Fatal(err)
	}
	out, err := target.Streams.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: it.ShardIterator})
	if err != nil || len(out.Records) > 0 || out.NextShardIterator != nil {
		t.Errorf("LATEST on a shard that has ended: %d records, next %v, %v", len(out.Records), out.NextShardIterator, err)
	}
}

func number(t *testing.T, text *string) *big.Int {
	n, ok := new(big.Int).SetString(aws.ToString(text), 10)
	if !ok {
		t.Fatalf("%q is no number", aws.ToString(text))
	}
	return n
}

// pages goes through the shards of a stream, three at a time.
func pages(t *testing.T, arn string, target *harness.Target) (shards []stypes.Shard) {
	for after := (*string)(nil); ; {
		out, err := target.Streams.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: &arn, Limit: aws.Int32(3), ExclusiveStartShardId: after})
		if err != nil {
			t.Fatal(err)
		}
		shards = append(shards, out.StreamDescription.Shards...)
		if after = out.StreamDescription.LastEvaluatedShardId; after == nil {
			return shards
		}
	}
}
