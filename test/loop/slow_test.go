package loop

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Under block-key an item that takes seconds, though its calls succeed, holds back itself
// only: once a few calls have shown which it is, the others of its shard come within
// moments, one call at a time. When it has become quick, it is one of them again.
func TestSlowItemDelaysNoOther(t *testing.T) {
	const keys, writes = 20, 240
	for _, onFailure := range []string{"block-key", "block-shard"} {
		t.Run(onFailure, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex // guards what follows
				slow := true
				began := time.Now()
				written := map[string]time.Duration{} // by value
				late := map[string]time.Duration{}    // the worst of the newest phase, by key
				last := map[string]int{}
				seen := 0
				busy := map[string]bool{}
				f := functions{"f": func(_ context.Context, payload []byte) lane.Result {
					events, err := parseEvents(payload, true)
					if err != nil {
						t.Error(err)
					}
					wait := time.Millisecond
					mu.Lock()
					for _, e := range events {
						key := e.Body.Keys.Pk.S
						if key == "k7" && slow {
							wait = 5 * time.Second
						}
						late[key] = max(late[key], time.Since(began)-written[e.Body.New.W.S])
					}
					for _, e := range events {
						if busy[e.Body.Keys.Pk.S] {
							t.Errorf("two calls with %s at once", e.Body.Keys.Pk.S)
						}
					}
					for _, e := range events {
						busy[e.Body.Keys.Pk.S] = true
					}
					mu.Unlock()
					time.Sleep(wait)
					mu.Lock()
					defer mu.Unlock()
					for _, e := range events {
						key := e.Body.Keys.Pk.S
						delete(busy, key)
						var n int
						if _, err := fmt.Sscan(e.Body.New.W.S, &n); err != nil || n <= last[key] {
							t.Errorf("%s: %s after %d", key, e.Body.New.W.S, last[key])
						}
						last[key] = n
						seen++
					}
					return lane.Result{}
				}}
				l, err := openLoop(crashtest.New(), store.Sync, f, nil)
				if err != nil {
					t.Fatal(err)
				}
				l.run()
				arn, err := l.createTable("orders", 1)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := l.create(arn, "f", mapping.StartTrimHorizon, mapping.Settings{BatchSize: new(100)}, onFailure); err != nil {
					t.Fatal(err)
				}
				n := 0
				phase := func() {
					mu.Lock()
					clear(late)
					mu.Unlock()
					for range writes {
						n++
						value := fmt.Sprint(n)
						mu.Lock()
						written[value] = time.Since(began)
						mu.Unlock()
						if err := l.put("orders", fmt.Sprint("k", n%keys), value); err != nil {
							t.Fatal(err)
						}
						time.Sleep(500 * time.Millisecond)
					}
				}
				worst := func() (others, itself time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					for key, l := range late {
						if key != "k7" {
							others = max(others, l)
						}
					}
					return others, late["k7"]
				}
				phase() // it is found out
				phase()
				others, itself := worst()
				t.Logf("others at worst %v, the slow one %v", others, itself)
				switch held := others > time.Second; {
				case onFailure == "block-key" && held:
					t.Errorf("others came up to %v after their writes", others)
				case onFailure == "block-shard" && !held:
					t.Error("nobody was held up: the test shows nothing")
				}
				mu.Lock()
				slow = false
				mu.Unlock()
				phase() // the rest of what waits
				phase()
				if others, itself = worst(); max(others, itself) > 100*time.Millisecond {
					t.Errorf("when it had become quick: others %v, itself %v after their writes", others, itself)
				}
				time.Sleep(time.Minute)
				if seen != n {
					t.Errorf("%d of %d records were seen", seen, n)
				}
				if err := l.close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
