package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/millstreamdb/millstream/internal/storm"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// TestTotalsAreExact counts records (MILLSTREAM_COUNTED says how many) exactly once while the owner of the stream is killed or stopped again and again: the
// function adds them up in a table by its answer's writes, and tells a queue of them by its answer's messages.
func TestTotalsAreExact(t *testing.T) {
	total := 2000
	if text := os.Getenv("MILLSTREAM_COUNTED"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	const keys, pieces = 50, 25
	total -= total % keys
	f := &storm.Function{}
	least, most := 500, 5000 // ms between kills
	if total > 2000 {
		f.Fails, least, most = 100, 5000, 20_000
	}
	w := newClusterOver(t, startServer(t, t.TempDir()), []string{"f1"}, func(_ string, d *mapping.Definition) {
		d.Tags, d.BatchSize = map[string]string{"millstream:exactly-once": "true"}, min(max(total/100, 1), 1000)
	}, func(_ string, by int, event []byte) ([]byte, error) { // it answers with the number of each item's records, and the sum of their numbers
		counts, err := f.Call(by, event)
		if err != nil {
			return nil, err
		}
		sums, err := sumsOf(event)
		if err != nil {
			return nil, err
		}
		var items, told []string
		for k, n := range counts {
			items = append(items, fmt.Sprintf(`{"Update":{"TableName":"out","Key":{"pk":{"S":%q}},"UpdateExpression":"ADD n :n, s :s","ExpressionAttributeValues":{":n":{"N":"%d"},":s":{"N":"%d"}}}}`, k, n, sums[k]))
			told = append(told, fmt.Sprintf("%s %d %d", k, n, sums[k]))
		}
		return fmt.Appendf(nil, `{"transactItems":[%s],"sendMessages":[{"QueueUrl":"/000000000000/told","MessageBody":%q}]}`, strings.Join(items, ","), strings.Join(told, ",")), nil
	})
	ctx := t.Context()
	w.table("out", false)
	queues := sqs.New(sqs.Options{BaseEndpoint: &w.c.URL, Region: w.c.Region, Credentials: w.c.Credentials})
	queue, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("told")})
	if err != nil {
		t.Fatal(err)
	}

	seen := func() int {
		n, _, _ := f.Look()
		return n
	}
	nth := map[string]int{} // of each item
	for k := range keys {
		nth[strconv.Itoa(k)] = total / keys
	}
	began := time.Now()
	var written atomic.Int64
	var writers sync.WaitGroup
	for half := range keys / pieces {
		writers.Go(func() { // what is written is ahead of what is counted, and not by all of it
			for n := 1; n <= total/keys; n++ {
				for n*keys-seen() > 50_000 {
					time.Sleep(10 * time.Millisecond)
				}
				var puts []string
				for i := range pieces {
					puts = append(puts, fmt.Sprintf(`{"PutRequest":{"Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}}`, half*pieces+i, n))
				}
				var out struct{ UnprocessedItems map[string]json.RawMessage }
				if _, err := w.c.call(context.Background(), tablesAPI, "BatchWriteItem", json.RawMessage(`{"RequestItems":{"tab":[`+strings.Join(puts, ",")+`]}}`), &out, 0); err != nil || len(out.UnprocessedItems) > 0 {
					t.Errorf("%v, %d tables are not written", err, len(out.UnprocessedItems))
					return
				}
				written.Add(pieces)
			}
		})
	}
	kills, pauses := 0, 0
	for seen() < total && !t.Failed() && (kills+pauses == 0 || total > 2000) { // one is enough where there is little
		from := seen()
		for late := time.Now().Add(time.Duration(least+rand.IntN(most-least)) * time.Millisecond); time.Now().Before(late) && seen() < total && (total > 2000 || seen() < from+total/4); {
			time.Sleep(5 * time.Millisecond)
		}
		_, _, owner := f.Look()
		if w.nodes[owner] == nil {
			continue // it has gone, and nobody has called since
		}
		if rand.IntN(3) > 0 {
			w.end(owner, os.Kill)
			kills++
			continue
		}
		_ = w.nodes[owner].Process.Signal(syscall.SIGSTOP)
		time.Sleep(nodeLease + time.Duration(rand.IntN(2000))*time.Millisecond)
		_ = w.nodes[owner].Process.Signal(syscall.SIGCONT)
		pauses++
	}
	writers.Wait()
	delivered(t, f, total)
	if int(written.Load()) != total {
		t.Fatalf("%d records were written, want %d", written.Load(), total)
	}

	type sum struct{ n, sum int }
	stored := func(k string) (s sum) {
		var out struct{ Item map[string]attribute }
		if err := w.c.Do(ctx, "GetItem", storm.Get("out", k), &out); err != nil {
			t.Fatal(err)
		}
		s.n, _ = strconv.Atoi(out.Item["n"].string())
		s.sum, _ = strconv.Atoi(out.Item["s"].string())
		return s
	}
	want := func(k string) sum { return sum{nth[k], nth[k] * (nth[k] + 1) / 2} }
	for late := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // what was answered last may still be on its way
		wrong := ""
		for k := range nth {
			if got := stored(k); got != want(k) {
				wrong = fmt.Sprintf("of item %s %+v is stored, want %+v", k, got, want(k))
			}
		}
		if wrong == "" {
			break
		}
		if time.Now().After(late) {
			t.Fatal(wrong)
		}
	}
	told, messages := map[string]sum{}, 0
	for {
		got, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 43200})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			break
		}
		for _, m := range got.Messages {
			messages++
			for part := range strings.SplitSeq(*m.Body, ",") {
				var k string
				var n, s int
				if _, err := fmt.Sscan(part, &k, &n, &s); err != nil {
					t.Fatal(err)
				}
				told[k] = sum{told[k].n + n, told[k].sum + s}
			}
		}
	}
	for k := range nth {
		if told[k] != want(k) {
			t.Errorf("of item %s the queue was told %+v, want %+v", k, told[k], want(k))
		}
	}
	for _, fault := range f.Judge(nth) {
		t.Error(fault)
	}
	_, again, _ := f.Look()
	took := time.Since(began)
	t.Logf("%d records in %v (%.0f a second), counted exactly by writes and by %d messages; %d kills and %d pauses of the owner, %d records came to the function again (%.1f %%); longest time between calls %v",
		total, took.Round(time.Second), float64(total)/took.Seconds(), messages, kills, pauses, again, float64(again)*100/float64(total), f.Gap().Round(time.Millisecond))
}

// sumsOf adds the numbers of an event's records up, by item.
func sumsOf(event []byte) (map[string]int, error) {
	var e struct {
		Records []struct {
			DynamoDB struct {
				NewImage map[string]attribute
			} `json:"dynamodb"`
		}
	}
	err := json.Unmarshal(event, &e)
	sums := map[string]int{}
	for _, r := range e.Records {
		n, _ := strconv.Atoi(r.DynamoDB.NewImage["n"].string())
		sums[r.DynamoDB.NewImage["pk"].string()] += n
	}
	return sums, err
}
