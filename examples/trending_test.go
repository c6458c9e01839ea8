package examples

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

const trendingTweets = 5000

// 5,000 tweets are counted by hashtag in windows, exactly.
func TestTrending(t *testing.T) {
	tr := newTrending(t)
	tr.post(trendingTweets)
	tr.check(trendingTweets)
}

// The server is killed among the tweets; no window counts one twice, or forgets one.
func TestTrendingKilled(t *testing.T) {
	tr := newTrending(t)
	var posting sync.WaitGroup
	posting.Go(func() { tr.post(trendingTweets) })
	await(t, "a third of the tweets", func() bool { return tr.posted.Load() > trendingTweets/3 })
	tr.kill()
	tr.start()
	posting.Wait()
	tr.check(trendingTweets)
}

const trendingWindow = 2 // seconds

type trending struct {
	*app
	posted atomic.Int64
}

func newTrending(t *testing.T) *trending {
	_, path := python(t, "boto3")
	env := []string{nodeModules(t, "@aws-sdk/client-dynamodb"), path}
	return &trending{app: serve(t, "trending", "template.yaml", env, fmt.Sprintf("Window=%d", trendingWindow))}
}

// tweetOf is the n-th tweet: tag 0 is in every second one, tag 1 in every third.
func tweetOf(n int) string {
	s := fmt.Sprintf("tweet %d", n)
	for tag := range 20 {
		if n%(tag+2) == 0 {
			s += fmt.Sprintf(" #tag%d", tag)
		}
	}
	return s
}

// post posts tweets from several clients at once, each again until it is taken. Every
// tenth goes through the API, the others straight into the table, for speed.
func (tr *trending) post(n int) {
	var all sync.WaitGroup
	for client := range 8 {
		all.Go(func() {
			for i := client; i < n; i += 8 {
				await(tr.t, "a tweet is taken", func() bool {
					if i/8%10 == 0 {
						status, _, err := tr.try(http.MethodPost, "/tweets", map[string]string{"text": tweetOf(i)})
						return err == nil && status == http.StatusCreated
					}
					_, err := tr.db.PutItem(tr.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tr.table("Tweets")), Item: map[string]types.AttributeValue{
						"id": str(fmt.Sprint(i)), "text": str(tweetOf(i)),
					}})
					return err == nil
				})
				tr.posted.Add(1)
			}
		})
	}
	all.Wait()
}

// window is what was counted in one.
type window struct {
	Start  string
	Tweets int
	Calls  int
	Tags   map[string]int
}

// check compares the trends with the stream itself. A tweet that was posted again may
// be there twice: then it counts twice.
func (tr *trending) check(atLeast int) {
	tr.t.Helper()
	want, all := tr.counted()
	if all < atLeast {
		tr.t.Fatalf("%d tweets are in the stream, of %d", all, atLeast)
	}
	var got []window
	await(tr.t, "the windows have all tweets", func() bool {
		got = nil
		tr.call(http.MethodGet, "/trends", nil, http.StatusOK, &got)
		n := 0
		for _, w := range got {
			n += w.Tweets
		}
		return n >= all
	})
	calls := 0
	for _, g := range got {
		w := want[g.Start]
		if w == nil || g.Tweets != w.Tweets || !maps.Equal(g.Tags, w.Tags) {
			tr.t.Errorf("window %s has %d tweets, %v, and should have %+v", g.Start, g.Tweets, g.Tags, w)
		}
		calls += g.Calls
	}
	if len(got) != len(want) {
		tr.t.Errorf("%d windows, want %d", len(got), len(want))
	}
	tr.t.Logf("%d tweets in %d windows of %d s, counted by %d calls", all, len(got), trendingWindow, calls)
}

// counted counts what the stream holds, as the function should.
func (tr *trending) counted() (windows map[string]*window, all int) {
	tr.t.Helper()
	windows = map[string]*window{}
	for _, r := range streamRecords(tr.app, "Tweets") {
		start := r.Dynamodb.ApproximateCreationDateTime.Truncate(trendingWindow * time.Second).UTC().Format("2006-01-02T15:04:05Z")
		w := windows[start]
		if w == nil {
			w = &window{Start: start, Tags: map[string]int{}}
			windows[start] = w
		}
		w.Tweets++
		all++
		text := r.Dynamodb.NewImage["text"].(*streams.AttributeValueMemberS).Value
		for _, tag := range regexp.MustCompile(`#\w+`).FindAllString(text, -1) {
			w.Tags[tag]++
		}
	}
	return windows, all
}

// streamRecords reads the stream of a table to its end.
func streamRecords(a *app, table string) []streams.Record {
	a.t.Helper()
	client, ctx := dynamodbstreams.NewFromConfig(a.aws), a.t.Context()
	described, err := a.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(a.table(table))})
	if err != nil {
		a.t.Fatal(err)
	}
	stream := described.Table.LatestStreamArn
	shards, err := client.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: stream})
	if err != nil {
		a.t.Fatal(err)
	}
	var records []streams.Record
	for _, shard := range shards.StreamDescription.Shards {
		at, err := client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
			StreamArn: stream, ShardId: shard.ShardId, ShardIteratorType: streams.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			a.t.Fatal(err)
		}
		for next := at.ShardIterator; next != nil; {
			page, err := client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: next})
			if err != nil {
				a.t.Fatal(err)
			}
			if len(page.Records) == 0 {
				break
			}
			records, next = append(records, page.Records...), page.NextShardIterator
		}
	}
	return records
}
