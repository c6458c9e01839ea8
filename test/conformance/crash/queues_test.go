package crash

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// visibility is the visibility timeout of the queues; most is how often a message of the queue q is received, before it goes to the
// dead-letter queue.
const (
	visibility = 2 * time.Second
	most       = 2
)

// queueBook is what the clients of the queues have been told.
type queueBook struct {
	mu      sync.Mutex
	wrong   []string
	sent    map[string]bool  // acknowledged
	deleted map[string]bool  // acknowledged
	counts  map[string][]int // receive counts that were told, in order
	newest  map[string]int   // by group: the highest message that was received
}

func (b *queueBook) say(format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

// received notes a message. deleted are those that were gone before it was asked for.
func (b *queueBook) received(m *types.Message, gone map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body := aws.ToString(m.Body)
	count, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	if err != nil {
		b.say("%s: %v", body, err)
	}
	if gone[body] {
		b.say("%s was deleted and came again", body)
	}
	if count > most && strings.HasPrefix(body, "s") {
		b.say("%s came for the %dth time, and was to be a dead letter after %d", body, count, most)
	}
	if all := b.counts[body]; len(all) > 0 && all[len(all)-1] == count {
		b.say("%s came twice for the %dth time", body, count)
	}
	b.counts[body] = append(b.counts[body], count)
	group, number, fifo := strings.Cut(body, ".")
	if !fifo {
		return
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		b.say("%s: %v", body, err)
	}
	if n > b.newest[group]+1 {
		b.say("%s came after %s.%d", body, group, b.newest[group])
	}
	b.newest[group] = max(b.newest[group], n)
}

// deliveries counts what was received so far.
func (b *queueBook) deliveries() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, all := range b.counts {
		n += len(all)
	}
	return n
}

func (b *queueBook) gone() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]bool, len(b.deleted))
	for k := range b.deleted {
		all[k] = true
	}
	return all
}

// TestQueuesUnderKills sends, receives and deletes through CONFORMANCE_QUEUE_KILLS (3 unless set) kills of the server. No acknowledged
// message is lost, none whose delete was acknowledged comes back, the messages of a FIFO queue's group come in order and once,
// no receive count is told twice, and what was received too often is in the dead-letter queue, once.
func TestQueuesUnderKills(t *testing.T) {
	if os.Getenv("CONFORMANCE_ENDPOINT") != "" {
		harness.Unsupported(t, "killing the target: the suite did not start it")
	}
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("CONFORMANCE_QUEUE_KILLS"), "3"))
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	server, err := harness.StartServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	c := sqs.New(sqs.Options{
		BaseEndpoint: aws.String(server.Target().Endpoint), Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), Retryer: aws.NopRetryer{},
	})
	dead, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("dead")})
	if err != nil {
		t.Fatal(err)
	}
	policy := fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":%d}`, most)
	var urls []*string
	seconds := strconv.Itoa(int(visibility / time.Second))
	for name, attributes := range map[string]map[string]string{"q": {"VisibilityTimeout": seconds, "RedrivePolicy": policy}, "f.fifo": {"VisibilityTimeout": seconds, "FifoQueue": "true"}} {
		out, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, out.QueueUrl)
	}
	book := &queueBook{sent: map[string]bool{}, deleted: map[string]bool{}, counts: map[string][]int{}, newest: map[string]int{}}
	const senders = 3
	next := make([]int, senders) // by sender: the number that is to be sent
	for i := range next {
		next[i] = 1
	}
	for round := range kills + 1 {
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := range senders {
			clients.Go(func() {
				for ctx.Err() == nil && round < kills {
					sendNumber(ctx, c, urls, book, i, &next[i])
				}
			})
		}
		// Each queue has receivers of its own: who waits for one holds up no other.
		for i := range 4 {
			leave := rand.New(rand.NewPCG(random.Uint64(), 1))
			clients.Go(func() {
				for ctx.Err() == nil {
					receiveSome(ctx, c, urls[i%len(urls)], book, round < kills && leave.IntN(4) == 0)
				}
			})
		}
		if round == kills {
			drain(t, c, urls, book)
			cancel()
			clients.Wait()
			break
		}
		<-time.After(time.Duration(300+random.IntN(700)) * time.Millisecond)
		server.Kill()
		cancel()
		clients.Wait()
		if err := server.Start(); err != nil {
			t.Fatalf("round %d: restart: %v\n%s", round, err, server.Output())
		}
	}
	if len(book.sent) == 0 {
		t.Error("no message was acknowledged")
	}
	letters := deadLetters(t, c, dead.QueueUrl)
	for body, n := range letters {
		switch all := book.counts[body]; {
		case n > 1:
			t.Errorf("%s is %d times in the dead-letter queue", body, n)
		case book.deleted[body]:
			t.Errorf("%s was deleted, and is in the dead-letter queue", body)
		case len(all) > 0 && slices.Max(all) > most:
			t.Errorf("%s is a dead letter, and was received as %v", body, all)
		}
	}
	for body := range book.sent {
		if len(book.counts[body]) == 0 && letters[body] == 0 {
			t.Errorf("%s was acknowledged and never came", body)
		}
	}
	for _, text := range book.wrong {
		t.Error(text)
	}
	times := 0
	for _, all := range book.counts {
		times = max(times, len(all))
	}
	t.Logf("%d kills, %d messages acknowledged, received at most %d times, %d dead letters", kills, len(book.sent), times, len(letters))
}

// deadLetters counts the messages of the dead-letter queue by body, and empties it.
func deadLetters(t *testing.T, c *sqs.Client, u *string) map[string]int {
	t.Helper()
	all := map[string]int{}
	for {
		out, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: u, MaxNumberOfMessages: 10, VisibilityTimeout: 3600})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return all
		}
		for i := range out.Messages {
			all[aws.ToString(out.Messages[i].Body)]++
		}
	}
}

// sendNumber sends the next message of a sender to both queues. One that was cut off is sent again: to the FIFO queue with the same
// deduplication id, to the other as another message.
func sendNumber(ctx context.Context, c *sqs.Client, urls []*string, book *queueBook, sender int, next *int) {
	for _, u := range urls {
		in := &sqs.SendMessageInput{QueueUrl: u, MessageBody: aws.String(fmt.Sprintf("s%d-%d-%x", sender, *next, rand.Uint64()))}
		if strings.HasSuffix(*u, ".fifo") {
			in.MessageGroupId = aws.String(fmt.Sprint("g", sender))
			in.MessageBody = aws.String(fmt.Sprintf("g%d.%d", sender, *next))
			in.MessageDeduplicationId = in.MessageBody
		}
		if _, err := c.SendMessage(ctx, in); err != nil {
			return
		}
		book.mu.Lock()
		book.sent[*in.MessageBody] = true
		book.mu.Unlock()
	}
	*next++
}

// receiveSome receives, and deletes what came; with leave, the first half of it. A standard queue also says of a delete that came too late,
// after another receive, that it was done: so only those count that were answered before the messages were visible again.
func receiveSome(ctx context.Context, c *sqs.Client, u *string, book *queueBook, leave bool) {
	gone, asked := book.gone(), time.Now()
	out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: u, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount"},
	})
	if err != nil {
		return
	}
	for i := range out.Messages {
		m := &out.Messages[i]
		book.received(m, gone)
		if leave && i > len(out.Messages)/2 {
			return // the rest comes again
		}
		if _, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: u, ReceiptHandle: m.ReceiptHandle}); err == nil && (strings.HasSuffix(*u, ".fifo") || time.Since(asked) < visibility) {
			book.mu.Lock()
			book.deleted[aws.ToString(m.Body)] = true
			book.mu.Unlock()
		}
	}
}

// drain waits until the queues say that they are empty, as long as messages come at least every minute.
func drain(t *testing.T, c *sqs.Client, urls []*string, book *queueBook) {
	t.Helper()
	last, since := 0, time.Now()
	for {
		left := inQueues(t, c, urls)
		if left == "" {
			return
		}
		if n := book.deliveries(); n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) > time.Minute {
			t.Errorf("no message came for a minute, and there are left:%s", left)
			return
		}
		<-time.After(200 * time.Millisecond)
	}
}

// inQueues is what the queues say that they have; empty for nothing.
func inQueues(t *testing.T, c *sqs.Client, urls []*string) (left string) {
	t.Helper()
	for _, u := range urls {
		out, err := c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: u, AttributeNames: []types.QueueAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		visible, flying := out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
		if visible != "0" || flying != "0" {
			left += fmt.Sprintf(" %s: %s visible, %s in flight;", *u, visible, flying)
		}
	}
	return left
}
