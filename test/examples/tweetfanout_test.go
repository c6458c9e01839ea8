package examples

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	fans = 20000 // of the famous dog
	cats = 50    // other pets, each with one follower
)

// A dog with very many followers tweets, and the tweets of cats are no slower for it.
func TestTweetFanout(t *testing.T) {
	f := newFanout(t)
	alone := make(times, 0, cats)
	for n := range cats {
		alone = append(alone, f.tweetAndWait(n))
	}
	f.tweet("dog", "I am famous @cat0")
	f.awaitFans(1)
	// Cats tweet, one after the other, until the dog's last follower has its tweet.
	began, beside := time.Now(), times{}
	for n := 0; f.fansServed() < fans; n++ {
		beside = append(beside, f.tweetAndWait(n%cats))
	}
	t.Logf("to a follower's timeline, the dog silent: %s", alone)
	t.Logf("while %d of the dog's followers were served, in %s: %s", fans, time.Since(began).Round(time.Millisecond), beside)
	// A cat that had waited for the dog would have been the only one.
	if len(beside) < 10 {
		t.Errorf("%d tweets of cats came through while the dog's did", len(beside))
	}
	f.check()
}

// The server is killed while the dog's followers are served.
func TestTweetFanoutKilled(t *testing.T) {
	f := newFanout(t)
	for n := range cats {
		f.tweet(cat(n), "miaow @dog")
	}
	f.tweet("dog", "I am famous @cat0")
	f.awaitFans(fans / 4)
	n := f.fansServed()
	f.kill()
	t.Logf("killed when %d of %d followers were served", n, fans)
	f.start()
	f.tweet("dog", "I am back")
	f.check()
}

type fanout struct {
	*app
	tweets map[string]int // by pet
}

func newFanout(t *testing.T) *fanout {
	_, path := python(t, "boto3")
	env := []string{nodeModules(t, "@aws-sdk/client-dynamodb"), path}
	f := &fanout{app: serve(t, "tweet-fanout", "template.yaml", env), tweets: map[string]int{}}
	for n := range cats {
		f.call(http.MethodPut, "/pets/"+cat(n)+"/followers/"+friend(n), nil, http.StatusNoContent, nil)
	}
	f.makeFans()
	return f
}

func cat(n int) string    { return fmt.Sprintf("cat%d", n) }
func friend(n int) string { return fmt.Sprintf("friend%d", n) }

// makeFans writes the dog's followers, past the API, which takes them one by one.
func (f *fanout) makeFans() {
	f.t.Helper()
	var all sync.WaitGroup
	for part := range 8 {
		all.Go(func() {
			for first := part * 25; first < fans; first += 8 * 25 {
				var puts []types.WriteRequest
				for n := first; n < first+25; n++ {
					puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
						"pet": str("dog"), "reader": str(fmt.Sprintf("fan%06d", n)),
					}}})
				}
				in := &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{f.table("Followers"): puts}}
				if out, err := f.db.BatchWriteItem(f.t.Context(), in); err != nil || len(out.UnprocessedItems) > 0 {
					f.t.Errorf("followers were not taken: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	if f.t.Failed() {
		f.t.FailNow()
	}
}

func (f *fanout) tweet(pet, text string) (id string) {
	f.t.Helper()
	var made struct{ ID string }
	f.call(http.MethodPost, "/tweets", map[string]string{"pet": pet, "text": text}, http.StatusCreated, &made)
	f.tweets[pet]++
	return made.ID
}

// tweetAndWait is the time from before a cat's tweet until its follower has it.
func (f *fanout) tweetAndWait(n int) time.Duration {
	f.t.Helper()
	began := time.Now()
	id := f.tweet(cat(n), "miaow @dog")
	key := map[string]types.AttributeValue{"reader": str(friend(n)), "id": str(id)}
	await(f.t, "the tweet of "+cat(n), func() bool {
		out, err := f.db.GetItem(f.t.Context(), &dynamodb.GetItemInput{TableName: aws.String(f.table("Timelines")), Key: key})
		if err != nil {
			f.t.Fatal(err)
		}
		return out.Item != nil
	})
	return time.Since(began)
}

// fansServed is how many followers have the dog's first tweet. They are served in the
// order of their names.
func (f *fanout) fansServed() int {
	f.t.Helper()
	low, high := 0, fans // below low all are served, from high on none
	for low < high {
		middle := (low + high) / 2
		out, err := f.db.Query(f.t.Context(), &dynamodb.QueryInput{
			TableName: aws.String(f.table("Timelines")), KeyConditionExpression: aws.String("reader = :reader"), Limit: aws.Int32(1),
			ExpressionAttributeValues: map[string]types.AttributeValue{":reader": str(fmt.Sprintf("fan%06d", middle))},
		})
		if err != nil {
			f.t.Fatal(err)
		}
		if len(out.Items) > 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

func (f *fanout) awaitFans(n int) {
	f.t.Helper()
	await(f.t, fmt.Sprintf("%d followers of the dog are served", n), func() bool { return f.fansServed() >= n })
}

// check waits for the end and compares everything that has come of the tweets.
func (f *fanout) check() {
	f.t.Helper()
	f.settle() // what was written by then; the slices that follow are written later
	f.awaitFans(fans)
	f.settle()
	want := f.tweets["dog"] * fans
	all := 0
	for n := range cats {
		want += f.tweets[cat(n)]
	}
	await(f.t, fmt.Sprintf("%d entries in timelines", want), func() bool {
		all = len(f.scan("Timelines"))
		return all >= want
	})
	if all != want {
		f.t.Errorf("%d entries in timelines, want %d", all, want)
	}

	var timeline []struct{ Pet, ID, Text string }
	f.call(http.MethodGet, "/timelines/fan000007", nil, http.StatusOK, &timeline)
	if len(timeline) != f.tweets["dog"] || timeline[len(timeline)-1].Text != "I am famous @cat0" {
		f.t.Errorf("a fan's timeline is %+v", timeline)
	}

	for _, item := range f.scan("Pets") {
		if pet := text(item["pet"]); text(item["tweets"]) != fmt.Sprint(f.tweets[pet]) {
			f.t.Errorf("%s is counted with %s tweets of %d", pet, text(item["tweets"]), f.tweets[pet])
		}
	}
	notices := 0
	for pet, n := range f.tweets {
		if strings.HasPrefix(pet, "cat") {
			notices += n
		}
	}
	if got := len(f.scan("Notices")); got != notices+1 {
		f.t.Errorf("%d notices of mentions, want %d", got, notices+1)
	}
}
