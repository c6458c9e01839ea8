package loop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
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

// reader is a function that notes the first delivery of each record, by key, over all lives, and does badly by
// chance, until it is calm.
type reader struct {
	calm, dead atomic.Bool

	mu   sync.Mutex
	rand *rand.Rand
	seen map[string]bool // event ids
	keys map[string][]first
}

// first is the first delivery of a record.
type first struct {
	name  string
	value int
}

func (f *reader) invoke(ctx context.Context, payload []byte) lane.Result {
	events, err := parseEvents(payload, true)
	if err != nil {
		return lane.Result{Outcome: lane.FunctionError, Error: err.Error()}
	}
	f.mu.Lock()
	mood := f.rand.IntN(10)
	if !f.dead.Load() { // what a life is told after the moment at which it crashed never was
		for _, e := range events {
			if !f.seen[e.ID] {
				f.seen[e.ID] = true
				n, _ := strconv.Atoi(e.Body.New.W.S)
				f.keys[e.Body.Keys.Pk.S] = append(f.keys[e.Body.Keys.Pk.S], first{e.Name, n})
			}
		}
	}
	f.mu.Unlock()
	switch {
	case f.calm.Load() || mood > 2:
		return lane.Result{}
	case mood == 0:
		return lane.Result{Outcome: lane.NotDelivered, Error: "by chance"}
	case mood == 1:
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return lane.Result{Outcome: lane.FunctionError, Error: "by chance"}
}

// snapshotRound is a chain of lives of one database; some time in the first one a mapping is made that begins with a snapshot,
// in the last one everything settles.
func snapshotRound(seed uint64) (crashes, existing int, err error) {
	rng := rand.New(rand.NewPCG(seed, 41))
	disk := crashtest.New()
	f := &reader{rand: rand.New(rand.NewPCG(seed, 43)), seen: map[string]bool{}, keys: map[string][]first{}}
	var open *loop
	defer func() {
		if open != nil {
			_ = open.close()
		}
	}()
	const writers, perWriter = 3, 7
	lives := 2 + rng.IntN(3)
	for n := range lives {
		last := n == lives-1
		f.dead.Store(false)
		l, err := openLoop(disk, store.Sync, functions{"reader": f.invoke}, nil)
		if err != nil {
			return crashes, existing, err
		}
		open = l
		l.run()
		if n == 0 {
			if _, err := l.createTable("orders", 1+rng.IntN(3)); err != nil {
				return crashes, existing, err
			}
		}
		values := map[string]int{}
		for i := range writers * perWriter {
			key := fmt.Sprint("k", i)
			if values[key], err = l.valueOf(key); err != nil {
				return crashes, existing, err
			}
		}
		var end *doom
		if !last {
			end = doomed(disk, rng, [3]int64{60, 200, 500}, func() { f.dead.Store(true) })
		}
		var work sync.WaitGroup
		for w := range writers {
			r := rand.New(rand.NewPCG(rng.Uint64(), 47))
			now := map[string]int{}
			for k, v := range values {
				now[k] = v
			}
			work.Go(func() {
				for range 40 {
					key := fmt.Sprint("k", w+writers*r.IntN(perWriter))
					now[key]++
					if l.put("orders", key, fmt.Sprint(now[key])) != nil {
						return
					}
					time.Sleep(time.Duration(r.IntN(int(2 * time.Millisecond))))
				}
			})
		}
		if len(l.engineMappings()) == 0 {
			time.Sleep(time.Duration(rng.IntN(int(30 * time.Millisecond))))
			arn := l.db.LatestStream(scope, "orders")
			tags := map[string]string{"millstream:start": "snapshot", "millstream:on-failure": []string{"block-shard", "block-key"}[rng.IntN(2)]}
			_, err := l.engine.Create(context.Background(), scope, mapping.CreateRequest{
				Settings: mapping.Settings{
					FunctionName: new("reader"), BatchSize: new(1 + rng.IntN(20)), ParallelizationFactor: new(1 + rng.IntN(4)),
				},
				EventSourceArn: &arn, StartingPosition: new("LATEST"), Tags: tags,
			})
			if err != nil {
				return crashes, existing, err
			}
		}
		if rng.IntN(3) == 0 {
			if _, err := l.db.SplitShards(context.Background(), scope, "orders", "", 4); err != nil && !strings.Contains(err.Error(), "has") {
				return crashes, existing, err
			}
		}
		work.Wait()
		if !last {
			crashed := end.left(rng)
			open = nil
			if err := l.close(); err != nil {
				return crashes, existing, err
			}
			disk = crashed
			crashes++
			continue
		}
		f.calm.Store(true)
		for {
			if err := l.engine.Settle(context.Background()); err != nil {
				return crashes, existing, err
			}
			st, err := l.engine.Statuses(context.Background())
			if err != nil {
				return crashes, existing, err
			}
			if st[0].Held == 0 {
				break
			}
			time.Sleep(time.Minute)
		}
		if names, err := l.store.FrozenNames(); err != nil || len(names) > 0 {
			return crashes, existing, fmt.Errorf("what was frozen is there still: %v, %w", names, err)
		}
		for i := range writers * perWriter {
			key := fmt.Sprint("k", i)
			value, err := l.valueOf(key)
			if err != nil {
				return crashes, existing, err
			}
			f.mu.Lock()
			got := f.keys[key]
			f.mu.Unlock()
			if value == 0 && len(got) == 0 {
				continue
			}
			if len(got) == 0 || got[0].name != "INSERT" || got[len(got)-1].value != value {
				return crashes, existing, fmt.Errorf("%s has the value %d in the end; delivered was %v", key, value, got)
			}
			if got[0].value > 1 {
				existing++
			}
			for j := 1; j < len(got); j++ {
				if got[j].value != got[j-1].value+1 || got[j].name != "MODIFY" {
					return crashes, existing, fmt.Errorf("%s: delivered was %v", key, got)
				}
			}
		}
	}
	return crashes, existing, nil
}

func (l *loop) engineMappings() []mapping.View {
	views, _, err := l.engine.List(context.Background(), scope, mapping.ListRequest{})
	if err != nil {
		return nil
	}
	return views
}

// valueOf reads an item's value, 0 when there is none.
func (l *loop) valueOf(key string) (int, error) {
	res, err := do(request.DecodeGetItem, l.db.GetItem, `{"TableName":"orders","Key":{"pk":{"S":%q}},"ConsistentRead":true}`, key)
	if err != nil || res.Item == nil {
		return 0, err
	}
	return strconv.Atoi(res.Item.Get("w").Text())
}

// TestSnapshot: a mapping that starts with a snapshot is told of every item there is and of every later change, nothing
// missed and nothing twice where one goes over into the other, in the order of each key, across crashes. (That a record is
// delivered again after a failure or a crash is another matter: deliveries of one record count once.)
func TestSnapshot(t *testing.T) {
	total := crashes(t, 100)
	sum, existing := 0, 0
	for seed := uint64(0); sum < max(1, total); seed++ {
		synctest.Test(t, func(t *testing.T) {
			c, e, err := snapshotRound(seed)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			sum, existing = sum+c, existing+e
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d crashes, %d keys begun by an existing item", sum, existing)
	if total >= 40 && existing == 0 {
		t.Error("no item was there before: the test does not reach what it is about")
	}
}
