package millstream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamstypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/millstreamdb/millstream"
)

// newYear is when the manual clocks of these tests begin.
var newYear = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func openManual(t testing.TB) (*millstream.Server, *dynamodb.Client) {
	t.Helper()
	srv := open(t, millstream.Options{ManualClock: true, Now: func() time.Time { return newYear }})
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	db := dynamodb.NewFromConfig(srv.Config())
	if _, err := db.CreateTable(t.Context(), ordersTable); err != nil {
		t.Fatal(err)
	}
	return srv, db
}

// advance moves the clock. What it does by itself takes no time to speak of; the
// deadline is for machines that stand still.
func advance(t testing.TB, srv *millstream.Server, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := srv.Advance(ctx, d); err != nil {
		t.Fatal(err)
	}
}

// since is the server's time as tests speak of it.
func since(srv *millstream.Server) time.Duration { return srv.Now().Sub(newYear) }

// attach makes a Go function and a mapping from the stream of orders to it.
func attach(t testing.TB, srv *millstream.Server, db *dynamodb.Client, settings lambda.CreateEventSourceMappingInput, run func(context.Context, []byte) ([]byte, error)) {
	t.Helper()
	if err := srv.RegisterFunction("f", run); err != nil {
		t.Fatal(err)
	}
	table, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	settings.FunctionName, settings.EventSourceArn = aws.String("f"), table.Table.LatestStreamArn
	settings.StartingPosition = lambdatypes.EventSourcePositionTrimHorizon
	if _, err := lambda.NewFromConfig(srv.Config()).CreateEventSourceMapping(t.Context(), &settings); err != nil {
		t.Fatal(err)
	}
}

// A function that fails is tried again with AWS's doubling pauses, all within one
// advance, until it works.
func TestManualClockFiresBackoffs(t *testing.T) {
	srv, db := openManual(t)
	var attempts []time.Duration
	attach(t, srv, db, lambda.CreateEventSourceMappingInput{}, func(context.Context, []byte) ([]byte, error) {
		attempts = append(attempts, since(srv))
		if len(attempts) < 8 {
			return nil, errors.New("not yet")
		}
		return nil, nil
	})
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	advance(t, srv, 10*time.Minute)
	if len(attempts) != 8 || attempts[0] != 0 {
		t.Fatalf("attempts at %v", attempts)
	}
	pause := 500 * time.Millisecond // half of a pause is chance
	for i := 1; i < len(attempts); i++ {
		if wait := attempts[i] - attempts[i-1]; wait < pause/2 || wait > pause {
			t.Errorf("attempt %d came %v after the one before, not %v to %v", i+1, wait, pause/2, pause)
		}
		pause = min(2*pause, time.Minute)
	}
	if err := srv.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	advance(t, srv, time.Hour)
	if len(attempts) != 8 {
		t.Errorf("a batch that has ended came again: %v", attempts)
	}
}

// An Event invocation that fails is tried twice more, after one and two minutes.
func TestManualClockRetriesEvents(t *testing.T) {
	srv, _ := openManual(t)
	var mu sync.Mutex
	var attempts []time.Duration
	if err := srv.RegisterFunction("f", func(context.Context, []byte) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		attempts = append(attempts, since(srv))
		return nil, errors.New("never")
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := lambda.NewFromConfig(srv.Config()).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("f"), InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte("{}"),
	}); err != nil {
		t.Fatal(err)
	}
	advance(t, srv, time.Hour)
	mu.Lock()
	defer mu.Unlock()
	if want := []time.Duration{0, time.Minute, 3 * time.Minute}; !slices.Equal(attempts, want) {
		t.Errorf("attempts at %v, not %v", attempts, want)
	}
}

// A mapping's rate of calls is one by the clock.
func TestManualClockPacesCalls(t *testing.T) {
	srv, db := openManual(t)
	var calls []time.Duration
	attach(t, srv, db, lambda.CreateEventSourceMappingInput{BatchSize: aws.Int32(1), Tags: map[string]string{"millstream:rate": "0.1"}}, func(context.Context, []byte) ([]byte, error) {
		calls = append(calls, since(srv))
		return nil, nil
	})
	for _, id := range []string{"a", "b", "c"} {
		put(t, db, map[string]types.AttributeValue{"id": text(id)})
	}
	advance(t, srv, time.Minute)
	if want := []time.Duration{0, 10 * time.Second, 20 * time.Second}; !slices.Equal(calls, want) {
		t.Errorf("calls at %v, not %v", calls, want)
	}
}

// Records older than MaximumRecordAgeInSeconds are given up, after whole minutes of
// retries.
func TestManualClockAgesRecords(t *testing.T) {
	srv, db := openManual(t)
	var attempts []time.Duration
	attach(t, srv, db, lambda.CreateEventSourceMappingInput{
		MaximumRecordAgeInSeconds: aws.Int32(3600), Tags: map[string]string{"millstream:on-failure": "park"},
	}, func(context.Context, []byte) ([]byte, error) {
		attempts = append(attempts, since(srv))
		return nil, errors.New("never")
	})
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	advance(t, srv, 59*time.Minute)
	before := len(attempts)
	if before < 60 {
		t.Fatalf("%d attempts in 59 minutes", before)
	}
	advance(t, srv, 24*time.Hour)
	if last := attempts[len(attempts)-1]; len(attempts) < before || last > time.Hour+time.Minute {
		t.Errorf("%d attempts, the last after %v", len(attempts), last)
	}
	if err := srv.Settle(t.Context()); err != nil {
		t.Error(err)
	}
}

// An item expires in its second, and its removal reaches the function at that time.
func TestManualClockExpiresItems(t *testing.T) {
	srv, db := openManual(t)
	if _, err := db.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName: aws.String("orders"), TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("until"), Enabled: aws.Bool(true)},
	}); err != nil {
		t.Fatal(err)
	}
	type seen struct {
		kind string
		at   time.Duration
		ttl  bool
	}
	var got []seen
	if err := srv.OnChange("orders", millstream.Trigger{BatchSize: 1}, func(_ context.Context, changes []millstream.Change) error {
		got = append(got, seen{changes[0].Kind, since(srv), changes[0].Expired})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, days := range []int{1, 365} {
		until := newYear.AddDate(0, 0, days).Unix()
		put(t, db, map[string]types.AttributeValue{
			"id": text(strconv.Itoa(days)), "until": &types.AttributeValueMemberN{Value: strconv.FormatInt(until, 10)},
		})
	}
	const day = 24 * time.Hour
	advance(t, srv, 23*time.Hour)
	if len(got) != 2 {
		t.Fatalf("seen %v", got)
	}
	advance(t, srv, 3*time.Hour)
	if want := []seen{{"REMOVE", day + time.Second, true}}; !slices.Equal(got[2:], want) {
		t.Errorf("after a day: %v", got[2:])
	}
}

// Streams are cut at 24 hours, and iterators end after a quarter of one.
func TestManualClockEndsStreamsAndIterators(t *testing.T) {
	srv, db := openManual(t)
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	streams, table := streamsOf(t, srv, db)
	fresh := func() *string { return iterator(t, streams, table) }
	read := func(it *string) (int, error) { return records(t, streams, it) }
	old := fresh()
	advance(t, srv, 14*time.Minute)
	if n, err := read(old); n != 1 || err != nil {
		t.Errorf("an iterator of 14 minutes: %d records, %v", n, err)
	}
	advance(t, srv, 2*time.Minute)
	if _, err := read(old); err == nil {
		t.Error("an iterator of 16 minutes still reads")
	}
	if n, err := read(fresh()); n != 1 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	advance(t, srv, 24*time.Hour)
	if n, err := read(fresh()); n != 0 || err != nil {
		t.Errorf("after a day: %d records, %v", n, err)
	}
}

// A call that hangs holds the clock at its moment; Advance says so and goes on when
// it has ended.
func TestManualClockWaitsForFunctions(t *testing.T) {
	srv, db := openManual(t)
	called, release := make(chan struct{}), make(chan struct{})
	attach(t, srv, db, lambda.CreateEventSourceMappingInput{BatchSize: aws.Int32(10), MaximumBatchingWindowInSeconds: aws.Int32(5)}, func(context.Context, []byte) ([]byte, error) {
		close(called)
		<-release
		return nil, nil
	})
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-called; cancel() }()
	if err := srv.Advance(ctx, time.Hour); !errors.Is(err, context.Canceled) || since(srv) != 5*time.Second {
		t.Errorf("%v after %v", err, since(srv))
	}
	close(release)
	advance(t, srv, time.Hour)
	if at := since(srv); at != time.Hour+5*time.Second {
		t.Errorf("stands at %v", at)
	}
}

// A manual clock is for memory, and only a manual clock is moved.
func TestManualClockIsRefused(t *testing.T) {
	if _, err := millstream.Open(millstream.Options{Dir: t.TempDir(), ManualClock: true}); err == nil {
		t.Error("opened a folder with a manual clock")
	}
	srv := open(t, millstream.Options{})
	defer srv.Close()
	if err := srv.Advance(t.Context(), time.Second); !errors.Is(err, millstream.ErrNotManual) {
		t.Errorf("%v", err)
	}
}

func ExampleServer_Advance() {
	srv, err := millstream.Open(millstream.Options{ManualClock: true})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	db := dynamodb.NewFromConfig(srv.Config())
	if _, err := db.CreateTable(ctx, ordersTable); err != nil {
		panic(err)
	}
	start := srv.Now()
	attempts := 0
	err = srv.OnChange("orders", millstream.Trigger{BatchSize: 100, BatchingWindow: 5 * time.Minute}, func(_ context.Context, changes []millstream.Change) error {
		if attempts++; attempts == 1 {
			return errors.New("the partner's API is down")
		}
		fmt.Println(len(changes), "orders after", srv.Now().Sub(start).Truncate(time.Minute))
		return nil
	})
	if err != nil {
		panic(err)
	}
	for _, id := range []string{"1001", "1002"} {
		item := map[string]types.AttributeValue{"id": text(id)}
		if _, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("orders"), Item: item}); err != nil {
			panic(err)
		}
	}
	if err := srv.Advance(ctx, time.Hour); err != nil { // milliseconds
		panic(err)
	}
	// Output: 2 orders after 5m0s
}

func streamsOf(t testing.TB, srv *millstream.Server, db *dynamodb.Client) (*dynamodbstreams.Client, string) {
	t.Helper()
	table, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	return dynamodbstreams.NewFromConfig(srv.Config()), *table.Table.LatestStreamArn
}

// iterator begins at the oldest record of a stream's first shard.
func iterator(t testing.TB, streams *dynamodbstreams.Client, arn string) *string {
	t.Helper()
	d, err := streams.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	it, err := streams.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &arn, ShardId: d.StreamDescription.Shards[0].ShardId, ShardIteratorType: streamstypes.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatal(err)
	}
	return it.ShardIterator
}

func records(t testing.TB, streams *dynamodbstreams.Client, it *string) (int, error) {
	t.Helper()
	page, err := streams.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: it})
	if err != nil {
		return 0, err
	}
	return len(page.Records), nil
}

// Nothing is waited for that only a later time brings: a retry, or a window's end.
func TestManualClockSettlesAtOnce(t *testing.T) {
	srv, db := openManual(t)
	fails := true
	attach(t, srv, db, lambda.CreateEventSourceMappingInput{}, func(context.Context, []byte) ([]byte, error) {
		if fails {
			return nil, errors.New("not yet")
		}
		return nil, nil
	})
	put(t, db, map[string]types.AttributeValue{"id": text("a")})
	err := srv.Settle(t.Context()) // which has no end of its own
	var behind *millstream.NotSettled
	if !errors.Is(err, millstream.ErrTimeStands) || !errors.As(err, &behind) || len(behind.Behind) != 1 || behind.Behind[0].Item != `{"id":{"S":"a"}}` {
		t.Fatal(err)
	}
	fails = false
	advance(t, srv, time.Minute)
	if err := srv.Settle(t.Context()); err != nil {
		t.Error(err)
	}
}

// Nor for the end of a queue's batching window.
func TestManualClockSettlesBesideAWindow(t *testing.T) {
	srv, _ := openManual(t)
	called := 0
	if err := srv.RegisterFunction("f", func(context.Context, []byte) ([]byte, error) {
		called++
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	queues := sqs.NewFromConfig(srv.Config())
	q, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lambda.NewFromConfig(srv.Config()).CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("f"), EventSourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:q"), MaximumBatchingWindowInSeconds: aws.Int32(5), BatchSize: aws.Int32(20),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("m")}); err != nil {
		t.Fatal(err)
	}
	if err := srv.Settle(t.Context()); !errors.Is(err, millstream.ErrTimeStands) || called != 0 { // it has no end of its own
		t.Fatal(err, called)
	}
	advance(t, srv, 5*time.Second)
	if err := srv.Settle(t.Context()); err != nil || called != 1 {
		t.Fatal(err, called)
	}
}
