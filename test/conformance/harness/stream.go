package harness

import (
	"context"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// Record is one stream record and the shard it came from.
type Record struct {
	types.Record
	Shard string
}

// Seq returns the record's sequence number.
func (r Record) Seq() *big.Int { return SeqOf(aws.ToString(r.Dynamodb.SequenceNumber)) }

// SeqOf parses a sequence number; consumers compare them as big integers.
func SeqOf(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		panic(fmt.Sprintf("sequence number %q is not a number", text))
	}
	return n
}

// Describe returns the stream with all its shards, over as many pages as it takes.
func (t *Target) Describe(tb testing.TB, arn string) *types.StreamDescription {
	tb.Helper()
	desc, err := t.describe(tb.Context(), arn)
	Supported(tb, "DescribeStream", err)
	return desc
}

func (t *Target) describe(ctx context.Context, arn string) (*types.StreamDescription, error) {
	var whole *types.StreamDescription
	var from *string
	for {
		out, err := t.Streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &arn, ExclusiveStartShardId: from})
		if err != nil {
			return nil, err
		}
		if whole == nil {
			whole = out.StreamDescription
		} else {
			whole.Shards = append(whole.Shards, out.StreamDescription.Shards...)
		}
		if from = out.StreamDescription.LastEvaluatedShardId; from == nil {
			return whole, nil
		}
	}
}

// Iterator returns a shard iterator; seq is used by the two types that need it.
func (t *Target) Iterator(tb testing.TB, arn, shard string, kind types.ShardIteratorType, seq string) string {
	tb.Helper()
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: &arn, ShardId: &shard, ShardIteratorType: kind}
	if seq != "" {
		in.SequenceNumber = &seq
	}
	out, err := t.Streams.GetShardIterator(tb.Context(), in)
	if err != nil {
		tb.Fatalf("GetShardIterator %s %s: %v", kind, seq, err)
	}
	return aws.ToString(out.ShardIterator)
}

// Reader reads a whole stream: all shards, those born while it reads too, from
// the first record on. Not safe for several goroutines.
type Reader struct {
	target *Target
	arn    string
	shards map[string]*cursor
	order  []string
}

type cursor struct {
	iterator *string // nil: drained
	last     *big.Int
}

// NewReader returns a reader at the beginning of the stream.
func (t *Target) NewReader(arn string) *Reader {
	return &Reader{target: t, arn: arn, shards: map[string]*cursor{}}
}

// Poll reads one page of every shard. It fails if a page is out of order, or
// goes back below what the same reader has seen: that is a gap at the tail (P2).
func (r *Reader) Poll(ctx context.Context) ([]Record, error) {
	desc, err := r.target.describe(ctx, r.arn)
	if err != nil {
		return nil, err
	}
	for _, shard := range desc.Shards {
		id := aws.ToString(shard.ShardId)
		if r.shards[id] != nil {
			continue
		}
		out, err := r.target.Streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
			StreamArn: &r.arn, ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			return nil, fmt.Errorf("GetShardIterator: %w", err)
		}
		r.shards[id] = &cursor{iterator: out.ShardIterator, last: new(big.Int)}
		r.order = append(r.order, id)
	}
	var all []Record
	for _, id := range r.order {
		c := r.shards[id]
		if c.iterator == nil {
			continue
		}
		out, err := r.target.Streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: c.iterator})
		if err != nil {
			return nil, fmt.Errorf("GetRecords: %w", err)
		}
		if c.iterator = out.NextShardIterator; c.iterator != nil && *c.iterator == "" {
			return nil, fmt.Errorf("NextShardIterator of %s is an empty string", id)
		}
		for _, rec := range out.Records {
			next := Record{Record: rec, Shard: id}
			if next.Seq().Cmp(c.last) <= 0 {
				return nil, fmt.Errorf("shard %s: record %s comes after %s", id, next.Seq(), c.last)
			}
			c.last = next.Seq()
			all = append(all, next)
		}
	}
	return all, nil
}

// Drained reports whether every shard seen so far has ended.
func (r *Reader) Drained() bool {
	for _, c := range r.shards {
		if c.iterator != nil {
			return false
		}
	}
	return len(r.shards) > 0
}

// ReadUntil polls until enough says so and returns everything read.
func (r *Reader) ReadUntil(tb testing.TB, limit time.Duration, enough func([]Record) bool) []Record {
	tb.Helper()
	var all []Record
	Eventually(tb, limit, "records in the stream", func() bool {
		page, err := r.Poll(tb.Context())
		Supported(tb, "reading the stream", err)
		all = append(all, page...)
		return enough(all)
	})
	return all
}

// ReadStream returns the first n records of a stream, and any that were there
// beside them in the last page.
func (t *Target) ReadStream(tb testing.TB, arn string, n int) []Record {
	tb.Helper()
	return t.NewReader(arn).ReadUntil(tb, time.Minute, func(all []Record) bool { return len(all) >= n })
}
