package loop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// ledger is a function that counts the records of each key in a table, by nothing but the
// writes that it returns. It fails, hangs and is killed by chance, until it is calm.
type ledger struct {
	calm atomic.Bool

	mu   sync.Mutex // guards rand
	rand *rand.Rand
}

func (f *ledger) chance(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rand.IntN(n)
}

func (f *ledger) invoke(ctx context.Context, payload []byte) lane.Result {
	events, err := parseEvents(payload, true)
	if err != nil {
		return lane.Result{Outcome: lane.FunctionError, Error: err.Error()}
	}
	if !f.calm.Load() {
		switch f.chance(12) {
		case 0:
			return lane.Result{Outcome: lane.FunctionError, Error: "by chance"}
		case 1:
			return lane.Result{Outcome: lane.NotDelivered, Error: "by chance"}
		case 2: // the writes of one answer cannot be made
			return lane.Result{Payload: []byte(`{"transactItems":[{"Put":{"TableName":"ledger","Item":{"pk":{"S":"never"}},
				"ConditionExpression":"attribute_exists(pk)"}}]}`)}
		case 3:
			timer := time.NewTimer(time.Duration(f.chance(int(50 * time.Millisecond))))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return lane.Result{Outcome: lane.FunctionError, Error: "killed"}
			}
		}
	}
	counts := map[string]int{}
	var keys []string
	for _, e := range events {
		k := e.Body.Keys.Pk.S
		if counts[k]++; counts[k] == 1 {
			keys = append(keys, k)
		}
	}
	var writes []string
	for _, k := range keys {
		writes = append(writes, fmt.Sprintf(`{"Update":{"TableName":"ledger","Key":{"pk":{"S":%q}},"UpdateExpression":"ADD n :n",
			"ExpressionAttributeValues":{":n":{"N":"%d"}}}}`, k, counts[k]))
	}
	return lane.Result{Payload: []byte(`{"transactItems":[` + strings.Join(writes, ",") + `]}`)}
}

// ledgerRound is a chain of lives of one database; in the last one everything settles.
func ledgerRound(seed uint64) (crashes, records, held int, err error) {
	rng := rand.New(rand.NewPCG(seed, 23))
	disk := crashtest.New()
	arn, uuid := "", ""
	settings := func() mapping.Settings {
		return mapping.Settings{
			BatchSize: new([]int{1, 3, 20, 1000}[rng.IntN(4)]), ParallelizationFactor: new([]int{1, 3, 10}[rng.IntN(3)]),
		}
	}
	var open *loop
	defer func() {
		if open != nil {
			_ = open.close()
		}
	}()
	lives := 2 + rng.IntN(3)
	for n := range lives {
		last := n == lives-1
		f := &ledger{rand: rand.New(rand.NewPCG(rng.Uint64(), 29))}
		l, err := openLoop(disk, store.Sync, functions{"ledger": f.invoke}, nil)
		if err != nil {
			return crashes, records, held, err
		}
		l.run()
		open = l
		if n == 0 {
			if arn, err = l.createTable("orders", 1+rng.IntN(3)); err == nil {
				_, err = do(request.DecodeCreateTable, l.db.CreateTable, `{"TableName":"ledger","BillingMode":"PAY_PER_REQUEST",
					"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}`)
			}
			if err == nil {
				tags := map[string]string{"millstream:exactly-once": "true", "millstream:on-failure": []string{"block-shard", "block-key"}[rng.IntN(2)]}
				set := settings()
				set.FunctionName = new("ledger")
				var v mapping.View
				v, err = l.engine.Create(context.Background(), scope, mapping.CreateRequest{
					Settings: set, EventSourceArn: &arn, StartingPosition: new("TRIM_HORIZON"), Tags: tags,
				})
				uuid = v.UUID
			}
			if err != nil {
				return crashes, records, held, err
			}
		}
		var end *doom
		if !last {
			end = doomed(disk, rng, [3]int64{30, 200, 600}, nil)
		}
		var work sync.WaitGroup
		for w := range 3 {
			r := rand.New(rand.NewPCG(rng.Uint64(), 31))
			work.Go(func() {
				for i := range 25 {
					_ = l.put("orders", fmt.Sprint("k", r.IntN(9)), fmt.Sprint(n, "-", w, "-", i)) // refused after the crash
					time.Sleep(time.Duration(r.IntN(int(3 * time.Millisecond))))
				}
			})
		}
		if rng.IntN(3) == 0 {
			time.Sleep(20 * time.Millisecond)
			if _, err := l.db.SplitShards(context.Background(), scope, "orders", "", 4); err != nil && !strings.Contains(err.Error(), "has") {
				return crashes, records, held, err
			}
		}
		for range rng.IntN(4) {
			set := settings()
			set.Enabled = new(rng.IntN(2) == 0)
			if _, err := l.engine.Update(context.Background(), scope, uuid, set); err != nil {
				return crashes, records, held, err
			}
			time.Sleep(time.Duration(rng.IntN(int(15 * time.Millisecond))))
		}
		work.Wait()
		if !last {
			crashed := end.left(rng)
			open = nil
			if err := l.close(); err != nil {
				return crashes, records, held, err
			}
			disk = crashed
			crashes++
			continue
		}
		f.calm.Store(true)
		if _, err := l.engine.Update(context.Background(), scope, uuid, mapping.Settings{Enabled: new(true)}); err != nil {
			return crashes, records, held, err
		}
		for {
			if err := l.engine.Settle(context.Background()); err != nil {
				return crashes, records, held, err
			}
			st, err := l.engine.Status(context.Background(), uuid)
			if err != nil {
				return crashes, records, held, err
			}
			if held += int(st.Counters.Held); st.Held == 0 {
				break
			}
			time.Sleep(time.Minute)
		}
		all, err := l.readLog([]string{arn})
		if err != nil {
			return crashes, records, held, err
		}
		records = len(all)
		want := map[string]int{}
		for _, r := range all {
			want[r.key]++
		}
		for _, k := range slices.Sorted(func(yield func(string) bool) {
			for k := range want {
				if !yield(k) {
					return
				}
			}
		}) {
			res, err := do(request.DecodeGetItem, l.db.GetItem, `{"TableName":"ledger","Key":{"pk":{"S":%q}},"ConsistentRead":true}`, k)
			if err != nil {
				return crashes, records, held, err
			}
			got := int64(0)
			if res.Item != nil {
				got, _ = res.Item.Get("n").Int64()
			}
			if got != int64(want[k]) {
				return crashes, records, held, fmt.Errorf("P5: the ledger has %d records of %s, the stream %d", got, k, want[k])
			}
		}
	}
	return crashes, records, held, nil
}

// TestLedger (P5): a ledger that is kept only by returned writes equals the sum of the stream, after
// crashes, splits, failures, refused writes, held keys and stops of the mapping.
func TestLedger(t *testing.T) {
	total := crashes(t, 150)
	sum, records, held := 0, 0, 0
	for seed := uint64(0); sum < max(1, total); seed++ {
		synctest.Test(t, func(t *testing.T) {
			c, r, h, err := ledgerRound(seed)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			sum, records, held = sum+c, records+r, held+h
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d crashes, %d records, %d held", sum, records, held)
	if total >= 40 && held == 0 {
		t.Error("no record was held: the test does not reach what it is about")
	}
}
