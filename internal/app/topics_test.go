package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// TestTrendingTopics: 5,000 tweets over two and a half tumbling windows are counted to
// the tweet, with a restart in the first window, and in the second a crash while the
// function is being called.
func TestTrendingTopics(t *testing.T) {
	for _, c := range []struct {
		name     string
		window   time.Duration
		restarts bool
	}{
		{"20 minutes", 20 * time.Minute, false},
		{"20 minutes, restarts", 20 * time.Minute, true},
		{"24 hours", 24 * time.Hour, false},
		{"24 hours, restarts", 24 * time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &topicsWorld{t: t, window: c.window, disk: crashtest.New(), counted: map[time.Duration]topics{}}
			w.open(topicsStart)
			defer func() { w.close() }()
			w.create()
			const tweets, batch = 5000, 25
			const steps = tweets / batch
			step := (c.window * 5 / 2 / steps).Truncate(time.Second)
			want := map[time.Duration]topics{}
			for i := range steps {
				window := w.srv.Now().Sub(topicsStart).Truncate(c.window)
				if want[window] == nil {
					want[window] = topics{}
				}
				w.tweet(i*batch, batch, want[window])
				if c.restarts && i == steps*3/5 {
					w.crashSoon()
				}
				w.advance(step)
				if c.restarts && i == steps/5 {
					now := w.srv.Now()
					w.close()
					w.open(now)
				}
				w.crashed()
			}
			w.advance(c.window)
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(want) != 3 || len(w.counted) != len(want) {
				t.Fatalf("%d windows were closed, and %d begun", len(w.counted), len(want))
			}
			for start, topics := range want {
				if !maps.Equal(w.counted[start], topics) {
					t.Errorf("window after %v: counted %v, not %v", start, w.counted[start], topics)
				}
			}
			if lives := map[bool]int{false: 1, true: 3}[c.restarts]; w.lives != lives {
				t.Errorf("%d lives, not %d", w.lives, lives)
			}
		})
	}
}

var topicsStart = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

type topics map[string]int

// topicsWorld is a server with a table of tweets and a function that counts their
// topics.
type topicsWorld struct {
	t      *testing.T
	window time.Duration
	disk   *crashtest.Disk
	srv    *App
	lives  int

	mu      sync.Mutex // guards what the function writes
	counted map[time.Duration]topics
	crash   bool            // the machine is to crash at the next call
	left    *crashtest.Disk // what the crash has left
	at      time.Time       // when
}

func (w *topicsWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// open begins a life at a time.
func (w *topicsWorld) open(now time.Time) {
	var err error
	w.srv, err = Open(Options{ManualClock: true, Now: func() time.Time { return now }}, w.disk.FS())
	w.must(err)
	w.must(w.srv.RegisterFunction("count", w.count))
	w.lives++
}

func (w *topicsWorld) close() { w.must(w.srv.Close()) }

func (w *topicsWorld) create() {
	db := dynamodb.NewFromConfig(w.srv.Config())
	table, err := db.CreateTable(w.t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("tweets"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeN}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	w.must(err)
	_, err = lambda.NewFromConfig(w.srv.Config()).CreateEventSourceMapping(w.t.Context(), &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("count"), EventSourceArn: table.TableDescription.LatestStreamArn,
		StartingPosition: lambdatypes.EventSourcePositionTrimHorizon, BatchSize: aws.Int32(40),
		Tags: map[string]string{"millstream:tumbling-window": strconv.Itoa(int(w.window / time.Second))},
	})
	w.must(err)
}

// tweet writes n tweets, numbered from first on, and counts them.
func (w *topicsWorld) tweet(first, n int, count topics) {
	var writes []types.WriteRequest
	for i := first; i < first+n; i++ {
		topic := fmt.Sprint("topic", i*i%17)
		count[topic]++
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
			"id": &types.AttributeValueMemberN{Value: strconv.Itoa(i)}, "topic": &types.AttributeValueMemberS{Value: topic},
		}}})
	}
	_, err := dynamodb.NewFromConfig(w.srv.Config()).BatchWriteItem(w.t.Context(), &dynamodb.BatchWriteItemInput{
		RequestItems: map[string][]types.WriteRequest{"tweets": writes},
	})
	w.must(err)
}

func (w *topicsWorld) advance(d time.Duration) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	w.must(w.srv.Advance(ctx, d))
}

// count is the function.
func (w *topicsWorld) count(_ context.Context, event []byte) ([]byte, error) {
	var batch struct {
		Records []struct {
			Dynamodb struct {
				NewImage struct{ Topic struct{ S string } }
			}
		}
		Window  struct{ Start time.Time }
		State   topics
		IsFinal bool `json:"isFinalInvokeForWindow"`
	}
	if err := json.Unmarshal(event, &batch); err != nil {
		return nil, err
	}
	if batch.State == nil {
		batch.State = topics{}
	}
	for i := range batch.Records {
		batch.State[batch.Records[i].Dynamodb.NewImage.Topic.S]++
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crash {
		w.crash, w.at, w.left = false, w.srv.Now(), w.disk.Clone(1)
	}
	if start := batch.Window.Start.Sub(topicsStart); batch.IsFinal {
		if before := w.counted[start]; before != nil && !maps.Equal(before, batch.State) {
			return nil, fmt.Errorf("the window after %v was closed with %v before", start, before)
		}
		w.counted[start] = batch.State
	}
	return json.Marshal(map[string]topics{"state": batch.State})
}

// crashSoon has the machine crash at the next call of the function.
func (w *topicsWorld) crashSoon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.crash = true
}

// crashed goes on with what a crash has left, if there was one.
func (w *topicsWorld) crashed() {
	w.mu.Lock()
	left, at := w.left, w.at
	w.left = nil
	w.mu.Unlock()
	if left == nil {
		return
	}
	w.close()
	w.disk = left
	w.open(at)
}
