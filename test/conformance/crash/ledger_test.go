package crash

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// TestLedgerUnderKills: a ledger that is kept by nothing but the writes that a function returns (tag
// millstream:exactly-once) equals the sum of the stream, after CONFORMANCE_LEDGER_KILLS (6 unless set) kills of
// the server and of the function's processes by turns, with four shards, one split, ten batches at once
// for each shard, and batches of 1 to 1,000 records.
func TestLedgerUnderKills(t *testing.T) {
	if os.Getenv("CONFORMANCE_ENDPOINT") != "" {
		harness.Unsupported(t, "killing the target: the suite did not start it")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("the function's processes are found in /proc, which this system does not have")
	}
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("CONFORMANCE_LEDGER_KILLS"), "6"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 7))
	server, err := harness.StartServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	target := server.Target()
	orders := target.Create(t, harness.Table{View: types.StreamViewTypeNewImage, Shards: 4})
	ledger := target.Create(t, harness.Table{})
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer { return harness.Answer{Body: entries(ledger.Name, call)} })
	id := f.Map(t, orders.StreamARN, func(in *lambda.CreateEventSourceMappingInput) {
		in.Tags = map[string]string{"millstream:exactly-once": "true"}
		in.ParallelizationFactor = aws.Int32(10)
	})

	const writers, items = 6, 60
	var written, servers, functions atomic.Int64
	for round := range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var working sync.WaitGroup
		for range writers {
			r := rand.New(rand.NewPCG(random.Uint64(), 8))
			working.Go(func() {
				for ctx.Err() == nil {
					_, err := target.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
						TableName: &orders.Name, Key: harness.Item{"pk": harness.S(fmt.Sprint("k", r.IntN(items)))}, UpdateExpression: aws.String("ADD n :one"),
						ExpressionAttributeValues: harness.Item{":one": harness.Int(1)},
					})
					if err != nil {
						return // the server is gone
					}
					written.Add(1)
				}
			})
		}
		if _, err := target.Lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{
			UUID: &id, BatchSize: aws.Int32([]int32{1, 10, 100, 1000}[random.IntN(4)]),
		}); err != nil {
			t.Fatal(err)
		}
		if round == kills/2 {
			target.SplitShards(t, orders.Name, 8)
		}
		<-time.After(time.Duration(20+random.IntN(150)) * time.Millisecond)
		if random.IntN(2) == 0 {
			server.Kill()
			servers.Add(1)
			cancel()
			working.Wait()
			if err := server.Start(); err != nil {
				t.Fatalf("round %d: restart: %v", round, err)
			}
			continue
		}
		for _, pid := range children(t, server.Pid()) {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				functions.Add(1)
			}
		}
		cancel()
		working.Wait()
	}

	var last, sum int64
	harness.Eventually(t, 10*time.Minute, "the ledger has every record of the stream", func() bool {
		last = 0
		for _, it := range scan(t, target, ledger.Name) {
			last += it["n"]
		}
		sum = 0
		for _, it := range scan(t, target, orders.Name) {
			sum += it["n"]
		}
		if last > sum {
			t.Fatalf("the ledger has %d records, the stream %d", last, sum)
		}
		return last == sum
	})
	want, got := scan(t, target, orders.Name), scan(t, target, ledger.Name)
	for key, item := range want {
		if got[key]["n"] != item["n"] {
			t.Errorf("%s: the ledger has %d records, the stream %d", key, got[key]["n"], item["n"])
		}
	}
	if sum < written.Load() {
		t.Errorf("%d changes were acknowledged, the table has %d", written.Load(), sum)
	}
	t.Logf("%d kills of the server, %d of function processes, %d records", servers.Load(), functions.Load(), sum)
}

// entries are the writes of an answer: one for each key of the batch.
func entries(table string, call harness.Invocation) string {
	counts := map[string]int{}
	var keys []string
	for _, r := range call.Records {
		key := r.Change.Keys["pk"].String()
		if counts[key]++; counts[key] == 1 {
			keys = append(keys, key)
		}
	}
	var b bytes.Buffer
	for i, key := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"Update":{"TableName":%q,"Key":{"pk":{"S":%q}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"%d"}}}}`,
			table, key, counts[key])
	}
	return `{"transactItems":[` + b.String() + `]}`
}

// scan returns the numbers of a table's items, by key and attribute.
func scan(t *testing.T, target *harness.Target, table string) map[string]map[string]int64 {
	t.Helper()
	all := map[string]map[string]int64{}
	out, err := target.DB.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range out.Items {
		n, _ := strconv.ParseInt(it["n"].(*types.AttributeValueMemberN).Value, 10, 64)
		all[it["pk"].(*types.AttributeValueMemberS).Value] = map[string]int64{"n": n}
	}
	return all
}

// children are the processes that a process has started.
func children(t *testing.T, of int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent ...; the name may have blanks.
		_, rest, ok := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 2 || fields[1] != strconv.Itoa(of) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
