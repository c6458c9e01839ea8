package triggers

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func factor(n int32) harness.MappingOption {
	return with(func(in *lambda.CreateEventSourceMappingInput) { in.ParallelizationFactor = &n })
}

// While shards roll over and split under writers, every mapping sees every change, and
// those of an item in order: with one batch at a time, with ten, and when calls fail.
func TestOrderOverSplitsAndRollOvers(t *testing.T) {
	t.Parallel()
	if !harness.The(t).Millstream {
		harness.Unsupported(t, "shards roll over and split when the test says so")
	}
	server, err := harness.StartServer("", "--shard-roll", "100ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	target := server.Target()
	table := table(t, target)
	const writers, each, items = 4, 150, 12
	var flaky atomic.Int64
	plain, wide := target.NewFunction(t, nil), target.NewFunction(t, nil)
	failing := target.NewFunction(t, func(harness.Invocation) harness.Answer {
		if flaky.Add(1)%9 == 0 {
			return harness.Answer{Fail: "now and then"}
		}
		return harness.OK
	})
	plain.Map(t, table.StreamARN, batchSize(20))
	wide.Map(t, table.StreamARN, batchSize(5), factor(10))
	failing.Map(t, table.StreamARN, batchSize(20), factor(3))

	// Two splits make seven shards of one, and the first writer goes on until one has rolled over besides.
	const split = 7
	var writing sync.WaitGroup
	var written atomic.Int64
	shards := func() int { return len(target.Describe(t, table.StreamARN).Shards) }
	limit := time.Now().Add(2 * minute)
	for w := range writers {
		writing.Go(func() {
			for n := 0; n < each || w == 0 && shards() <= split && time.Now().Before(limit); n++ {
				switch {
				case w != 0:
				case n == each/3:
					target.SplitShards(t, table.Name, 2)
				case n == 2*each/3:
					target.SplitShards(t, table.Name, 4)
				}
				_, err := target.DB.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
					TableName: &table.Name, Key: harness.Item{"pk": harness.S(fmt.Sprint((w + n) % items))}, UpdateExpression: aws.String("ADD n :one"),
					ExpressionAttributeValues: harness.Item{":one": harness.Int(1)},
				})
				if err != nil {
					t.Errorf("UpdateItem: %v", err)
					return
				}
				written.Add(1)
			}
		})
	}
	writing.Wait()
	if n := shards(); n <= split {
		t.Errorf("the stream has %d shards, after two splits and a roll-over", n)
	}
	for name, f := range map[string]*harness.Function{"factor 1": plain, "factor 10": wide, "failing": failing} {
		seen := map[string]bool{} // event ids
		f.Await(t, 2*minute, "every record", func(calls []harness.Invocation) bool {
			clear(seen)
			for _, c := range calls {
				for _, r := range c.Records {
					seen[r.EventID] = true
				}
			}
			return len(seen) == int(written.Load())
		})
		clear(seen)
		next := map[string]int{}
		for _, r := range f.Received() {
			if seen[r.EventID] {
				if f != failing {
					t.Fatalf("%s: record %s came twice without a failure", name, r.EventID)
				}
				continue // a batch again, whole
			}
			seen[r.EventID] = true
			key := r.Change.Keys["pk"].String()
			next[key]++
			if n := r.Change.NewImage["n"].Number(); n != fmt.Sprint(next[key]) {
				t.Fatalf("%s, key %s: %s comes where %d was due", name, key, n, next[key])
			}
		}
	}
}

// A child shard waits until every record of its parent has ended, however slow that is.
func TestChildWaitsForItsParent(t *testing.T) {
	harness.NeedMillstream(t, "splitting shards at will")
	target := harness.The(t)
	table := table(t, target)
	release := make(chan struct{})
	slow := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
		if slices.Contains(keys(call.Records), "3") {
			<-release
		}
		return harness.OK
	})
	quick := target.NewFunction(t, nil)
	slow.Map(t, table.StreamARN, batchSize(1))
	quick.Map(t, table.StreamARN, batchSize(1))
	fill(t, table, 0, 5)
	slow.AwaitRecords(t, 4) // the fourth is under way
	target.SplitShards(t, table.Name, 2)
	fill(t, table, 5, 25) // into both children
	// The quick mapping gets to the end of the children; the slow one has not begun them.
	quick.AwaitRecords(t, 25)
	if got := keys(slow.Received()); !slices.Equal(got, numbers(0, 4)) {
		t.Errorf("with its parent under way, a child was read: %v", got)
	}
	close(release)
	got := keys(slow.AwaitRecords(t, 25))
	if !slices.Equal(got[:5], numbers(0, 5)) {
		t.Errorf("received %v", got)
	}
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != 25 {
		t.Errorf("received %d different records", len(got))
	}
}
