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

// 5,000 tweets in 20 minutes are counted by hashtag in windows of five, exactly. The
// minutes are those of a clock that the test advances.
func TestTrending(t *testing.T) {
	t.Parallel()
	tr := &trending{length: 5 * time.Minute}
	listen, front := freeAddr(t), freeAddr(t)
	tr.app = serveWith(t, "trending", "template.yaml", []string{"--listen", listen, "--http-listen", front, "--in-memory", "--clock", "manual"}, trendingNeeds(t))
	const steps = 100
	for step := range steps {
		tr.post(step*trendingTweets/steps, (step+1)*trendingTweets/steps)
		tr.command("clock", "advance", (20 * time.Minute / steps).String())
	}
	if now := tr.trends(); len(now) < 3 { // at most the first and the last are cut
		t.Errorf("%d windows have closed within 20 minutes", len(now))
	}
	tr.command("clock", "advance", "10m")
	tr.check(trendingTweets)
}

// The server is killed among the tweets; no window counts one twice, or forgets one.
// These windows are of two seconds.
func TestTrendingKilled(t *testing.T) {
	t.Parallel()
	tr := &trending{length: 2 * time.Second}
	tr.app = serve(t, "trending", "template.yaml", trendingNeeds(t), fmt.Sprintf("Window=%d", tr.length/time.Second))
	var posting sync.WaitGroup
	posting.Go(func() { tr.post(0, trendingTweets) })
	await(t, "a third of the tweets", func() bool { return tr.posted.Load() > trendingTweets/3 })
	tr.kill()
	tr.start()
	posting.Wait()
	tr.check(trendingTweets)
}

type trending struct {
	*app
	length time.Duration // of a window
	posted atomic.Int64
}

func trendingNeeds(t *testing.T) (env []string) {
	t.Helper()
	_, path := python(t, "boto3")
	return []string{nodeModules(t, "@aws-sdk/client-dynamodb"), path}
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

// post posts the tweets of these numbers from several clients at once, each again until it is taken. Every
// tenth goes through the API, the others straight into the table, for speed.
func (tr *trending) post(from, to int) {
	var all sync.WaitGroup
	for client := range 8 {
		all.Go(func() {
			for i := from + client; i < to; i += 8 {
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

func (tr *trending) trends() (windows []window) {
	tr.t.Helper()
	tr.call(http.MethodGet, "/trends", nil, http.StatusOK, &windows)
	return windows
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
		got = tr.trends()
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
	tr.t.Logf("%d tweets in %d windows of %s, counted by %d calls", all, len(got), tr.length, calls)
}

// counted counts what the stream holds, as the function should.
func (tr *trending) counted() (windows map[string]*window, all int) {
	tr.t.Helper()
	windows = map[string]*window{}
	for _, r := range streamRecords(tr.app, "Tweets") {
		start := r.Dynamodb.ApproximateCreationDateTime.Truncate(tr.length).UTC().Format("2006-01-02T15:04:05Z")
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
