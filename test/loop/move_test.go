package loop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// moveRound is a chain of lives of one database whose mapping is rewound, paused and changed, with writers, splits and a function
// that does badly by chance; each life but the last ends with a crash at a chosen moment.
func moveRound(seed uint64) (crashes, moves int, err error) {
	rng := rand.New(rand.NewPCG(seed, 53))
	disk := crashtest.New()
	f := &reader{rand: rand.New(rand.NewPCG(seed, 59)), seen: map[string]bool{}, keys: map[string][]first{}}
	var open *loop
	defer func() {
		if open != nil {
			_ = open.close()
		}
	}()
	uuid := ""
	const writers, perWriter = 3, 5
	lives := 2 + rng.IntN(3)
	for n := range lives {
		last := n == lives-1
		f.dead.Store(false)
		l, err := openLoop(disk, store.Sync, functions{"reader": f.invoke}, nil)
		if err != nil {
			return crashes, moves, err
		}
		open = l
		l.run()
		if n == 0 {
			arn, err := l.createTable("orders", 1+rng.IntN(3))
			if err != nil {
				return crashes, moves, err
			}
			v, err := l.engine.Create(context.Background(), scope, mapping.CreateRequest{
				Settings: mapping.Settings{
					FunctionName: new("reader"), BatchSize: new(1 + rng.IntN(20)), ParallelizationFactor: new(1 + rng.IntN(4)),
				},
				EventSourceArn: &arn, StartingPosition: new("TRIM_HORIZON"),
				Tags: map[string]string{"millstream:on-failure": []string{"block-shard", "block-key", "park"}[rng.IntN(3)]},
			})
			if err != nil {
				return crashes, moves, err
			}
			uuid = v.UUID
		}
		values := map[string]int{}
		for i := range writers * perWriter {
			key := fmt.Sprint("k", i)
			if values[key], err = l.valueOf(key); err != nil {
				return crashes, moves, err
			}
		}
		var end *doom
		if !last {
			end = doomed(disk, rng, [3]int64{40, 200, 500}, func() { f.dead.Store(true) })
		}
		var work sync.WaitGroup
		for w := range writers {
			r := rand.New(rand.NewPCG(rng.Uint64(), 61))
			now := map[string]int{}
			for k, v := range values {
				now[k] = v
			}
			work.Go(func() {
				for range 30 {
					key := fmt.Sprint("k", w+writers*r.IntN(perWriter))
					now[key]++
					if l.put("orders", key, fmt.Sprint(now[key])) != nil {
						return
					}
					time.Sleep(time.Duration(r.IntN(int(2 * time.Millisecond))))
				}
			})
		}
		for range rng.IntN(6) {
			time.Sleep(time.Duration(rng.IntN(int(15 * time.Millisecond))))
			ctx := context.Background()
			switch rng.IntN(6) {
			case 0:
				_, err = l.engine.Rewind(ctx, uuid, backend.Place{Horizon: true})
				moves++
			case 1:
				_, err = l.engine.Rewind(ctx, uuid, backend.Place{Time: time.Now().Add(-time.Duration(rng.IntN(int(30 * time.Millisecond))))})
				moves++
			case 2:
				err = errors.Join(l.engine.Pause(ctx, uuid), l.engine.Resume(ctx, uuid))
			case 3:
				_, err = l.engine.Update(ctx, scope, uuid, mapping.Settings{Enabled: new(rng.IntN(3) > 0), ParallelizationFactor: new(1 + rng.IntN(4))})
			case 4:
				if _, err = l.db.SplitShards(ctx, scope, "orders", "", 4); err != nil && strings.Contains(err.Error(), "has") {
					err = nil
				}
			}
			if err != nil {
				return crashes, moves, err
			}
		}
		work.Wait()
		if !last {
			crashed := end.left(rng)
			open = nil
			if err := l.close(); err != nil {
				return crashes, moves, err
			}
			disk = crashed
			crashes++
			continue
		}
		f.calm.Store(true)
		if _, err := l.engine.Update(context.Background(), scope, uuid, mapping.Settings{Enabled: new(true)}); err != nil {
			return crashes, moves, err
		}
		if err := l.engine.Resume(context.Background(), uuid); err != nil { // a crash may have come before it
			return crashes, moves, err
		}
		for _, whole := range []bool{false, true} {
			if whole { // all of it once more, from now on
				f.mu.Lock()
				f.seen, f.keys = map[string]bool{}, map[string][]first{}
				f.mu.Unlock()
				if _, err := l.engine.Rewind(context.Background(), uuid, backend.Place{Horizon: true}); err != nil {
					return crashes, moves, err
				}
			}
			if err := l.settled(uuid); err != nil {
				return crashes, moves, err
			}
			for i := range writers * perWriter {
				key := fmt.Sprint("k", i)
				value, err := l.valueOf(key)
				if err != nil {
					return crashes, moves, err
				}
				f.mu.Lock()
				got := f.keys[key]
				f.mu.Unlock()
				if len(got) != value {
					return crashes, moves, fmt.Errorf("%s was changed %d times; delivered was, whole %t: %v", key, value, whole, got)
				}
				for j := range got {
					if got[j].value != j+1 {
						return crashes, moves, fmt.Errorf("%s: delivered was, whole %t: %v", key, whole, got)
					}
				}
			}
		}
	}
	return crashes, moves, nil
}

// settled waits until the mapping has handled everything, also what it holds.
func (l *loop) settled(uuid string) error {
	for {
		if err := l.engine.Settle(context.Background()); err != nil {
			return err
		}
		st, err := l.engine.Status(context.Background(), uuid)
		if err != nil || st.Held == 0 && st.LagRecords == 0 {
			return err
		}
		time.Sleep(time.Minute)
	}
}

// TestMovesAcrossCrashes: whatever is rewound, paused, changed, split and crashed, every record is delivered, the records of a
// key for the first time in their order, and after a last rewind all of them again, in order.
func TestMovesAcrossCrashes(t *testing.T) {
	total := crashes(t, 100)
	sum, moved := 0, 0
	for seed := uint64(0); sum < max(1, total); seed++ {
		synctest.Test(t, func(t *testing.T) {
			c, m, err := moveRound(seed)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			sum, moved = sum+c, moved+m
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d crashes, %d rewinds", sum, moved)
	if total >= 40 && moved == 0 {
		t.Error("nothing was rewound: the test does not reach what it is about")
	}
}
