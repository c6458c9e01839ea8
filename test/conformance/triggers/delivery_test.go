package triggers

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// The event is the one that AWS's SDKs and samples show, member by member.
func TestEventShape(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	table.Put(t, harness.Item{"pk": harness.S("a"), "n": harness.N("1.50"), "b": harness.B([]byte("foobar")), "m": harness.M(harness.Item{"k": harness.Bool(true)})})
	table.Put(t, harness.Item{"pk": harness.S("a"), "n": harness.N("2")})
	table.Delete(t, harness.Item{"pk": harness.S("a")})
	f := target.NewFunction(t, nil)
	f.Map(t, table.StreamARN)
	f.AwaitRecords(t, 3)
	var raw []json.RawMessage
	for _, call := range f.Calls() {
		var event map[string][]json.RawMessage
		if err := json.Unmarshal(call.Raw, &event); err != nil {
			t.Fatalf("the event is not {\"Records\":[...]}: %s", call.Raw)
		}
		if len(event) != 1 {
			t.Errorf("the event has members beside Records: %s", call.Raw)
		}
		raw = append(raw, event["Records"]...)
	}
	order := []string{"eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"}
	for i, want := range []struct{ name, keys, newImage, oldImage string }{
		{"INSERT", `{"pk":{"S":"a"}}`, `{"pk":{"S":"a"},"n":{"N":"1.5"},"b":{"B":"Zm9vYmFy"},"m":{"M":{"k":{"BOOL":true}}}}`, ""},
		{"MODIFY", `{"pk":{"S":"a"}}`, `{"pk":{"S":"a"},"n":{"N":"2"}}`, `{"pk":{"S":"a"},"n":{"N":"1.5"},"b":{"B":"Zm9vYmFy"},"m":{"M":{"k":{"BOOL":true}}}}`},
		{"REMOVE", `{"pk":{"S":"a"}}`, "", `{"pk":{"S":"a"},"n":{"N":"2"}}`},
	} {
		if got := memberNames(t, raw[i]); !slices.Equal(got, order) {
			t.Errorf("members are %v, want %v", got, order)
		}
		var r struct {
			EventID, EventName, EventVersion, EventSource, AwsRegion, EventSourceARN string
			Dynamodb                                                                 map[string]json.RawMessage
		}
		if err := json.Unmarshal(raw[i], &r); err != nil {
			t.Fatal(err)
		}
		if r.EventName != want.name || r.EventVersion != "1.1" || r.EventSource != "aws:dynamodb" || r.AwsRegion != target.Region || r.EventSourceARN != table.StreamARN {
			t.Errorf("record %d: %s", i, raw[i])
		}
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(r.EventID) {
			t.Errorf("eventID is %q", r.EventID)
		}
		for member, value := range map[string]string{"Keys": want.keys, "NewImage": want.newImage, "OldImage": want.oldImage, "StreamViewType": `"NEW_AND_OLD_IMAGES"`} {
			if value == "" {
				if got, present := r.Dynamodb[member]; present {
					t.Errorf("%s has %s %s", want.name, member, got)
				}
			} else if !sameJSON(string(r.Dynamodb[member]), value) {
				t.Errorf("%s: %s is %s, want %s", want.name, member, r.Dynamodb[member], value)
			}
		}
		var at float64
		if err := json.Unmarshal(r.Dynamodb["ApproximateCreationDateTime"], &at); err != nil || at != float64(int64(at)) {
			t.Errorf("ApproximateCreationDateTime is %s", r.Dynamodb["ApproximateCreationDateTime"])
		}
		if !regexp.MustCompile(`^"\d{21,40}"$`).Match(r.Dynamodb["SequenceNumber"]) || !regexp.MustCompile(`^\d+$`).Match(r.Dynamodb["SizeBytes"]) {
			t.Errorf("SequenceNumber %s, SizeBytes %s", r.Dynamodb["SequenceNumber"], r.Dynamodb["SizeBytes"])
		}
	}
}

func memberNames(t *testing.T, object json.RawMessage) (names []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(object)))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.(string))
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	p, _ := json.Marshal(x) // of values that were just decoded
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

func TestBatchSize(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	fill(t, table, 0, 25)
	f := target.NewFunction(t, nil)
	f.Map(t, table.StreamARN, batchSize(10))
	if got := keys(f.AwaitRecords(t, 25)); !slices.Equal(got, numbers(0, 25)) {
		t.Errorf("received %v", got)
	}
	for _, call := range f.Calls() {
		if len(call.Records) > 10 || len(call.Records) == 0 {
			t.Errorf("a batch holds %d records", len(call.Records))
		}
	}
	if target.Millstream && len(f.Calls()) != 3 {
		t.Errorf("25 waiting records came in %d batches, want 3", len(f.Calls()))
	}
}

// A batching window gathers what is written within it.
func TestBatchingWindow(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	f.Map(t, table.StreamARN, batchSize(1000), harness.MappingOption(func(in *lambda.CreateEventSourceMappingInput) { in.MaximumBatchingWindowInSeconds = aws.Int32(2) }))
	fill(t, table, 0, 20)
	f.AwaitRecords(t, 20)
	if calls := len(f.Calls()); calls > 2 {
		t.Errorf("20 writes within a window of 2 s came in %d batches", calls)
	}
}

// A full batch does not wait for the window's end.
func TestFullBatchClosesTheWindow(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	f.Map(t, table.StreamARN, batchSize(10), harness.MappingOption(func(in *lambda.CreateEventSourceMappingInput) { in.MaximumBatchingWindowInSeconds = aws.Int32(120) }))
	start := time.Now()
	fill(t, table, 0, 10)
	f.AwaitRecords(t, 10)
	if took := time.Since(start); took > time.Minute {
		t.Errorf("a full batch waited %v", took)
	}
}

// A payload never passes 6 MB, and nothing is lost by cutting.
func TestPayloadLimit(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	for i := range 40 {
		table.Put(t, harness.Item{"pk": harness.S(fmt.Sprint(i)), "v": harness.S(strings.Repeat("x", 390_000))})
	}
	f := target.NewFunction(t, nil)
	f.Map(t, table.StreamARN, batchSize(100))
	if got := keys(f.AwaitRecords(t, 40)); !slices.Equal(got, numbers(0, 40)) {
		t.Errorf("received %v", got)
	}
	for _, call := range f.Calls() {
		if len(call.Raw) > 6<<20 {
			t.Errorf("a payload has %d bytes", len(call.Raw))
		}
	}
}

// LATEST takes its position inside Create: what was acknowledged before is not
// delivered, what is written after Create has answered is.
func TestLatestIsExact(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	latest := harness.MappingOption(func(in *lambda.CreateEventSourceMappingInput) { in.StartingPosition = types.EventSourcePositionLatest })
	for round := range 5 {
		fill(t, table, round*20, round*20+10)
		in := &lambda.CreateEventSourceMappingInput{EventSourceArn: &table.StreamARN, FunctionName: &f.Name}
		latest(in)
		before := len(f.Received())
		out, err := target.Lambda.CreateEventSourceMapping(t.Context(), in)
		harness.Supported(t, "CreateEventSourceMapping", err)
		if !target.Millstream {
			target.AwaitMapping(t, *out.UUID, "Enabled") // AWS misses what is written before
		}
		fill(t, table, round*20+10, round*20+20)
		f.AwaitRecords(t, before+10)
		if got := keys(f.Received())[before:]; !slices.Equal(got, numbers(round*20+10, round*20+20)) {
			t.Errorf("round %d received %v", round, got)
		}
		target.Unmap(t, *out.UUID)
		awaitGone(t, target, *out.UUID)
	}
}

func awaitGone(t *testing.T, target *harness.Target, id string) {
	t.Helper()
	harness.Eventually(t, 5*minute, "the mapping is gone", func() bool {
		_, err := target.Lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
		return harness.ErrorCode(err) == "ResourceNotFoundException"
	})
}

// With ParallelizationFactor 10 batches run at once, and records of one key still
// come one after the other, in order.
func TestParallelizationKeepsOrderPerKey(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	const items, changes = 40, 15
	var running sync.Map // key → *atomic.Int32
	var atOnce, most atomic.Int32
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
		most.Store(max(most.Load(), atOnce.Add(1)))
		defer atOnce.Add(-1)
		own := map[string]bool{}
		for _, r := range call.Records {
			own[r.Change.Keys["pk"].String()] = true
		}
		for key := range own {
			counter, _ := running.LoadOrStore(key, new(atomic.Int32))
			if counter.(*atomic.Int32).Add(1) != 1 {
				t.Errorf("two batches with key %s run at once", key)
			}
			defer counter.(*atomic.Int32).Add(-1)
		}
		<-time.After(5 * time.Millisecond) // the work of a function: makes overlap visible
		return harness.OK
	})
	f.Map(t, table.StreamARN, batchSize(10), harness.MappingOption(func(in *lambda.CreateEventSourceMappingInput) { in.ParallelizationFactor = aws.Int32(10) }))
	var writers sync.WaitGroup
	for item := range items {
		writers.Go(func() {
			for n := range changes {
				_, err := target.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table.Name, Item: harness.Item{"pk": harness.S(fmt.Sprint(item)), "n": harness.Int(n)}})
				if err != nil {
					t.Errorf("PutItem: %v", err)
				}
			}
		})
	}
	writers.Wait()
	f.AwaitRecords(t, items*changes)
	next := map[string]int{}
	for _, r := range f.Received() {
		key := r.Change.Keys["pk"].String()
		if n := r.Change.NewImage["n"].Number(); n != fmt.Sprint(next[key]) {
			t.Fatalf("key %s: %s comes where %d was due", key, n, next[key])
		}
		next[key]++
	}
	if most.Load() < 2 || most.Load() > 10 {
		t.Errorf("at most %d batches ran at once, want 2 to 10", most.Load())
	}
}

// Any number of mappings on one stream each see every record, in order.
func TestTenMappingsOnOneStream(t *testing.T) {
	for _, shards := range []int{1, 8} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			target := harness.The(t)
			if shards > 1 {
				harness.NeedMillstream(t, "the table tag millstream:shards")
			}
			table := target.Create(t, harness.Table{View: dbtypes.StreamViewTypeNewImage, Shards: shards})
			functions := make([]*harness.Function, 10)
			for i := range functions {
				functions[i] = target.NewFunction(t, nil)
				functions[i].Map(t, table.StreamARN)
			}
			const writers, each, items = 32, 30, 8
			var writing sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					for n := range each {
						_, err := target.DB.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
							TableName: &table.Name, Key: harness.Item{"pk": harness.S(fmt.Sprint((w + n) % items))}, UpdateExpression: aws.String("ADD n :one"),
							ExpressionAttributeValues: map[string]dbtypes.AttributeValue{":one": harness.Int(1)},
						})
						if err != nil {
							t.Errorf("UpdateItem: %v", err)
						}
					}
				})
			}
			writing.Wait()
			for i, f := range functions {
				f.AwaitRecords(t, writers*each)
				next := map[string]int{}
				ids := map[string]bool{}
				for _, r := range f.Received() {
					key := r.Change.Keys["pk"].String()
					next[key]++
					if n := r.Change.NewImage["n"].Number(); n != fmt.Sprint(next[key]) {
						t.Fatalf("mapping %d, key %s: %s comes where %d was due", i, key, n, next[key])
					}
					if ids[r.EventID] {
						t.Fatalf("mapping %d: record %s came twice without a failure", i, r.EventID)
					}
					ids[r.EventID] = true
				}
				if len(ids) != writers*each {
					t.Errorf("mapping %d saw %d of %d records", i, len(ids), writers*each)
				}
			}
		})
	}
}
