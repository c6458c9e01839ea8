package stack

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/arn"
)

// One caller at a time has a client's stack, in the order in which they came. Who gives up lets nobody in early, and other
// stacks are not concerned.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{held: map[named]chan struct{}{}}
		here := arn.Scope{Account: "000000000000", Region: "us-east-1"}
		var seen []string
		come := func(ctx context.Context, who, stack string) (leave func()) {
			ended := make(chan struct{})
			go func() {
				release, err := s.Hold(ctx, here, stack, func() error { seen = append(seen, who+" waits"); return nil })
				if err != nil {
					seen = append(seen, fmt.Sprint(who, " ", err))
					return
				}
				seen = append(seen, who+" has "+stack)
				<-ended
				release()
			}()
			synctest.Wait()
			return func() { close(ended); synctest.Wait() }
		}
		impatient, giveUp := context.WithCancel(t.Context())
		one := come(t.Context(), "one", "shop")
		come(impatient, "two", "shop")
		three := come(t.Context(), "three", "shop")
		other := come(t.Context(), "four", "office")
		giveUp()
		synctest.Wait()
		one()
		three()
		other()
		five := come(t.Context(), "five", "shop")
		five()
		want := []string{"one has shop", "two waits", "three waits", "four has office", "two context canceled", "three has shop", "five has shop"}
		if !slices.Equal(seen, want) {
			t.Errorf("%q", seen)
		}
		if len(s.held) > 0 {
			t.Errorf("%d stacks are still held", len(s.held))
		}
	})
}
