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

// P6: beside a function that always fails and one that never answers, nine healthy
// mappings of the same stream get every record in the very instant of its write.
func TestBadFunctionsDelayNoOther(t *testing.T) {
	const healthy, records = 9, 200
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		written := map[string]time.Time{} // by value
		seen := map[string]int{}          // by function
		f := functions{
			"fails": func(context.Context, []byte) lane.Result {
				return lane.Result{Outcome: lane.FunctionError, Error: "always"}
			},
			"hangs": func(ctx context.Context, _ []byte) lane.Result {
				<-ctx.Done()
				return lane.Result{Outcome: lane.FunctionError, Error: "never"}
			},
		}
		for n := range healthy {
			name := fmt.Sprint("healthy", n)
			f[name] = func(_ context.Context, payload []byte) lane.Result {
				events, err := parseEvents(payload, true)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					if late := time.Since(written[e.Body.New.W.S]); late != 0 {
						t.Errorf("%s got %s %v after its write", name, e.Body.New.W.S, late)
					}
				}
				seen[name] += len(events)
				return lane.Result{}
			}
		}
		l, err := openLoop(crashtest.New(), store.Sync, f, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.run()
		arn, err := l.createTable("orders", 1)
		if err != nil {
			t.Fatal(err)
		}
		for name := range f {
			if _, err := l.create(arn, name, mapping.StartTrimHorizon, mapping.Settings{}, ""); err != nil {
				t.Fatal(err)
			}
		}
		for n := range records {
			value := fmt.Sprint(n)
			mu.Lock()
			written[value] = time.Now()
			mu.Unlock()
			if err := l.put("orders", fmt.Sprint("k", n%5), value); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond) // of fake time; below the engine's pace
		}
		synctest.Wait()
		if len(seen) != healthy {
			t.Errorf("%d of %d healthy functions were invoked", len(seen), healthy)
		}
		for name, n := range seen {
			if n != records {
				t.Errorf("%s saw %d of %d records", name, n, records)
			}
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
}
