package loop

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Records of a blocked shard count once for its mapping's lag, also when children wait for the shard.
func TestLagOverSplits(t *testing.T) {
	fails := func(context.Context, []byte) lane.Result {
		return lane.Result{Outcome: lane.FunctionError, Error: "boom"}
	}
	lag := func(splits, later int, want uint64) {
		synctest.Test(t, func(t *testing.T) {
			l, err := openLoop(crashtest.New(), store.Sync, functions{"f": fails}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.close() }()
			l.run()
			check := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			arn, err := l.createTable("orders", 1)
			check(err)
			v, err := l.create(arn, "f", mapping.StartTrimHorizon, mapping.Settings{}, "")
			check(err)
			for n := range 5 {
				check(l.put("orders", fmt.Sprint(n), "x"))
			}
			synctest.Wait()
			for n := range splits {
				_, err := l.db.SplitShards(context.Background(), scope, "orders", "", 3*(n+1))
				check(err)
			}
			for n := range later {
				check(l.put("orders", fmt.Sprint(n), "y"))
			}
			synctest.Wait()
			st, err := l.engine.Status(context.Background(), v.UUID)
			check(err)
			if st.LagRecords != want || !st.Blocked() {
				t.Errorf("%d splits, %d later: a lag of %d records, want %d; blocked %t", splits, later, st.LagRecords, want, st.Blocked())
			}
		})
	}
	lag(0, 0, 5)
	lag(1, 0, 5)
	lag(2, 0, 5)
	lag(2, 7, 12)
}
