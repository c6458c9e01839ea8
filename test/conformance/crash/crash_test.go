// Package crash kills the server with SIGKILL while it works and looks at what
// it shows after the restart: no acknowledged write may be lost or halved, no
// record may be without its item or an item without its record, nothing that was
// answered or acted on may have been taken back, and no mapping may skip a record.
//
// SIGKILL leaves the operating system's page cache in place, so this cannot see a
// missing fsync; the store's own tests crash the file system for that.
package crash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	stypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

const (
	writers       = 16
	keysPerWriter = 4
	claimers      = 8
	mappings      = 4 // the last with ParallelizationFactor 10
	// settled is how long before a kill a delivery must have ended for its repeat
	// to be a fault: a checkpoint interval, and room for a loaded machine.
	settled = time.Second
)

// TestKill runs CONFORMANCE_KILLS rounds (3 unless set): write, kill, restart,
// compare. CONFORMANCE_SEED repeats a schedule of kills.
func TestKill(t *testing.T) {
	if os.Getenv("CONFORMANCE_ENDPOINT") != "" {
		harness.Unsupported(t, "killing the target: the suite did not start it")
	}
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("CONFORMANCE_KILLS"), "3"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("CONFORMANCE_SEED"), strconv.FormatInt(time.Now().UnixNano(), 10)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("CONFORMANCE_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	server, err := harness.StartServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	w := newWorld(t, server)
	for round := range kills {
		ctx, cancel := context.WithCancel(t.Context())
		working := w.start(ctx, t, round)
		<-time.After(time.Duration(100+random.IntN(500)) * time.Millisecond)
		server.Kill()
		killed := time.Now()
		cancel()
		working.Wait()
		if err := server.Start(); err != nil {
			t.Fatalf("round %d: restart: %v", round, err)
		}
		w.compare(t, round)
		w.kills = append(w.kills, killed)
		if t.Failed() {
			t.Fatalf("round %d failed; the server's output:\n%s", round, server.Output())
		}
	}
	w.finish(t)
	t.Logf("%d kills, %d acknowledged writes, %d records, %d failed conditions shown", kills, w.acknowledged, len(w.records), w.refused)
}

// world is what the test knows to be true.
type world struct {
	target    *harness.Target
	table     harness.Made
	functions []*harness.Function
	reader    *harness.Reader
	kills     []time.Time

	mu           sync.Mutex
	acked        map[string]int    // key → last acknowledged n
	tried        map[string]int    // key → last n sent
	claims       map[string]string // claimed key → owner that was acknowledged or shown
	records      []harness.Record  // everything the tail reader has been shown
	acknowledged int
	refused      int
}

func newWorld(t *testing.T, server *harness.Server) *world {
	target := server.Target()
	w := &world{
		target: target, acked: map[string]int{}, tried: map[string]int{}, claims: map[string]string{},
		table: target.Create(t, harness.Table{View: types.StreamViewTypeNewAndOldImages}),
	}
	w.reader = target.NewReader(w.table.StreamARN)
	for i := range mappings {
		f := target.NewFunction(t, nil)
		f.Map(t, w.table.StreamARN, func(in *lambda.CreateEventSourceMappingInput) {
			if i == mappings-1 {
				in.ParallelizationFactor = aws.Int32(10)
			}
		})
		w.functions = append(w.functions, f)
	}
	return w
}

// start lets writers count their keys up, claimers race for new keys, and a
// reader poll the tail, until ctx ends or the server is gone.
func (w *world) start(ctx context.Context, t *testing.T, round int) *sync.WaitGroup {
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("w%d-%d", writer, i%keysPerWriter)
				if !w.countUp(ctx, t, key) {
					return
				}
			}
		})
	}
	for claimer := range claimers {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if !w.claim(ctx, t, fmt.Sprintf("claim-%d-%d", round, i), fmt.Sprint("owner-", claimer)) {
					return
				}
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil {
			page, err := w.reader.Poll(ctx)
			w.mu.Lock()
			w.records = append(w.records, page...)
			w.mu.Unlock()
			if err != nil {
				if !gone(err) {
					t.Errorf("the tail reader: %v", err)
				}
				return
			}
		}
	})
	return &all
}

// countUp sets n of a key to the next number, in two attributes and a filler, so
// that half a write would show.
func (w *world) countUp(ctx context.Context, t *testing.T, key string) bool {
	w.mu.Lock()
	n := w.acked[key] + 1
	w.tried[key] = n
	w.mu.Unlock()
	filler := make([]byte, 200+n%800)
	_, err := w.target.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &w.table.Name, Key: harness.Item{"pk": harness.S(key)},
		UpdateExpression:          aws.String("SET n = :n, again = :n, filler = :f"),
		ConditionExpression:       aws.String("n = :p OR attribute_not_exists(n)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":n": harness.Int(n), ":p": harness.Int(n - 1), ":f": harness.B(filler)},
	})
	if err != nil {
		if !gone(err) {
			t.Errorf("UpdateItem of %s to %d: %v", key, n, err)
		}
		return false
	}
	w.mu.Lock()
	w.acked[key] = n
	w.acknowledged++
	w.mu.Unlock()
	return true
}

// claim puts an item that must not exist. Who is told so has been shown the
// owner, and that must stay true.
func (w *world) claim(ctx context.Context, t *testing.T, key, owner string) bool {
	_, err := w.target.DB.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &w.table.Name, Item: harness.Item{"pk": harness.S(key), "owner": harness.S(owner)},
		ConditionExpression:                 aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) {
		owner = harness.StringOf(refused.Item["owner"])
	} else if err != nil {
		if !gone(err) {
			t.Errorf("PutItem of %s: %v", key, err)
		}
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if before, known := w.claims[key]; known && before != owner {
		t.Errorf("%s belongs to %s and to %s", key, before, owner)
	}
	w.claims[key] = owner
	if refused != nil {
		w.refused++
	} else {
		w.acknowledged++
	}
	return true
}

// gone says that the error is the kill and not an answer.
func gone(err error) bool { return harness.ErrorCode(err) == "" }

// compare looks at the restarted server.
func (w *world) compare(t *testing.T, round int) {
	t.Helper()
	items := map[string]harness.Item{}
	in := &dynamodb.ScanInput{TableName: &w.table.Name, ConsistentRead: aws.Bool(true)}
	for {
		out, err := w.target.DB.Scan(t.Context(), in)
		if err != nil {
			t.Fatalf("Scan: %v", err)
		}
		for _, item := range out.Items {
			items[harness.StringOf(item["pk"])] = item
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			break
		}
	}
	for key, tried := range w.tried {
		n := 0
		if item := items[key]; item != nil {
			n = harness.IntOf(item["n"])
			filler, _ := item["filler"].(*types.AttributeValueMemberB)
			if harness.IntOf(item["again"]) != n || filler == nil || len(filler.Value) != 200+n%800 {
				t.Errorf("round %d: %s is half written: %v", round, key, item)
			}
		}
		if n < w.acked[key] || n > tried {
			t.Errorf("round %d: %s shows %d; %d was acknowledged and %d sent", round, key, n, w.acked[key], tried)
		}
		w.acked[key] = n // a write without an answer may have landed
	}
	for key, owner := range w.claims {
		if got := harness.StringOf(items[key]["owner"]); got != owner {
			t.Errorf("round %d: %s belongs to %q; a caller was told %q", round, key, got, owner)
		}
	}

	// The whole stream, from its start, beside what the tail reader was shown.
	last := map[string]harness.Record{}
	bySeq := map[string]string{}
	fresh := w.target.NewReader(w.table.StreamARN)
	for {
		page, err := fresh.Poll(t.Context())
		if err != nil {
			t.Fatalf("round %d: reading the stream: %v", round, err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			key := keyOf(r)
			if n, counted := countOf(r); counted {
				before := 0
				if old, had := last[key]; had {
					before, _ = countOf(old)
				}
				if n != before+1 {
					t.Errorf("round %d: the records of %s go from %d to %d", round, key, before, n)
				}
			}
			last[key] = r
			bySeq[aws.ToString(r.Dynamodb.SequenceNumber)] = aws.ToString(r.EventID)
		}
	}
	for key, item := range items {
		r, recorded := last[key]
		if !recorded {
			t.Errorf("round %d: item %s has no record", round, key)
		} else if n, counted := countOf(r); counted && n != harness.IntOf(item["n"]) {
			t.Errorf("round %d: the last record of %s shows %d, the item %d", round, key, n, harness.IntOf(item["n"]))
		}
	}
	for key := range last {
		if items[key] == nil {
			t.Errorf("round %d: %s has a record and no item", round, key)
		}
	}
	for _, r := range w.records {
		if bySeq[aws.ToString(r.Dynamodb.SequenceNumber)] != aws.ToString(r.EventID) {
			t.Errorf("round %d: record %s of %s was shown before the kill and is gone", round, aws.ToString(r.Dynamodb.SequenceNumber), keyOf(r))
		}
	}
	for i, f := range w.functions {
		for _, r := range f.Received() {
			if bySeq[r.Change.SequenceNumber] != r.EventID {
				t.Errorf("round %d: mapping %d acted on record %s, which is gone", round, i, r.Change.SequenceNumber)
			}
		}
	}
}

// finish waits until the mappings have caught up and judges what they received.
func (w *world) finish(t *testing.T) {
	t.Helper()
	reader := w.target.NewReader(w.table.StreamARN)
	var whole []harness.Record
	for {
		page, err := reader.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		whole = append(whole, page...)
	}
	w.records = whole
	for i, f := range w.functions {
		f.Await(t, 2*time.Minute, "every record", func(calls []harness.Invocation) bool {
			ids := map[string]bool{}
			for _, c := range calls {
				for _, r := range c.Records {
					ids[r.EventID] = true
				}
			}
			return len(ids) >= len(whole)
		})
		// The order that is promised: of the whole stream, which has one shard, or with
		// several batches at once of each key.
		orderOf := func(key string) string {
			if i == mappings-1 {
				return key
			}
			return ""
		}
		place := map[string]int{} // eventID → place in its order
		length := map[string]int{}
		for _, r := range whole {
			order := orderOf(keyOf(r))
			place[aws.ToString(r.EventID)] = length[order]
			length[order]++
		}
		first := map[string]time.Time{}
		next := map[string]int{} // place of the next record that has not come yet
		for _, call := range f.Calls() {
			for _, r := range call.Records {
				at, known := place[r.EventID]
				if !known {
					t.Fatalf("mapping %d received %s, which is not in the stream", i, r.EventID)
				}
				order := orderOf(r.Change.Keys["pk"].String())
				if at > next[order] {
					t.Fatalf("mapping %d received record %d before record %d (%s)", i, at, next[order], order)
				}
				if at == next[order] {
					next[order]++
					first[r.EventID] = call.At
				} else if !w.excused(first[r.EventID], call.At) {
					t.Errorf("mapping %d received record %d at %v and again at %v, with no kill soon after the first", i, at, first[r.EventID], call.At)
				}
			}
		}
		for order, n := range length {
			if next[order] != n {
				t.Errorf("mapping %d received %d of %d records (%s)", i, next[order], n, order)
			}
		}
	}
}

// excused says whether a kill explains the repeat: it came before the second
// delivery and at most the settling time after the first.
func (w *world) excused(first, second time.Time) bool {
	for _, kill := range w.kills {
		if kill.Before(second) && kill.Sub(first) < settled {
			return true
		}
	}
	return false
}

func keyOf(r harness.Record) string {
	return r.Dynamodb.Keys["pk"].(*stypes.AttributeValueMemberS).Value
}

// countOf returns n of the record's new image.
func countOf(r harness.Record) (int, bool) {
	v, counted := r.Dynamodb.NewImage["n"].(*stypes.AttributeValueMemberN)
	if !counted {
		return 0, false
	}
	n, err := strconv.Atoi(v.Value)
	if err != nil {
		panic(fmt.Sprintf("n is %q", v.Value)) // the suite wrote it
	}
	return n, true
}
