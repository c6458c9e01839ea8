package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/worker"
)

func untilAsked(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestEarlyReturnIsUnhealthy(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		run  func(context.Context) error
		want string
	}{
		"error": {func(context.Context) error { return broken }, "worker mill: broken"},
		"nil":   {func(context.Context) error { return nil }, "worker mill: returned although it was not asked to stop"},
		"panic": {func(context.Context) error { panic("oh") }, "worker mill: panic: oh"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := worker.NewGroup(t.Context())
				others := false
				g.Start("other", func(ctx context.Context) error {
					defer func() { others = true }()
					return untilAsked(ctx)
				})
				synctest.Wait()
				if err := g.Err(); err != nil {
					t.Fatalf("unhealthy at first: %v", err)
				}
				g.Start("mill", c.run)
				<-g.Failed()
				synctest.Wait()
				if others {
					t.Fatal("the failure of one stopped another")
				}
				if err := g.Err(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Fatalf("got %v, want %s", err, c.want)
				}
				if err := g.Stop(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Fatalf("Stop: got %v, want %s", err, c.want)
				}
				if !others {
					t.Fatal("Stop did not wait")
				}
			})
		})
	}
}

func TestStopIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := worker.NewGroup(t.Context())
		for range 3 {
			g.Start("mill", untilAsked)
		}
		if err := errors.Join(g.Stop(), g.Stop(), g.Err()); err != nil {
			t.Fatal(err)
		}
		g.Start("late", func(context.Context) error { panic("started after Stop") })
		synctest.Wait()
		select {
		case <-g.Failed():
			t.Fatal("unhealthy")
		default:
		}
	})
}

func TestStopReportsErrorsMetWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		g := worker.NewGroup(t.Context())
		g.Start("mill", func(ctx context.Context) error {
			<-ctx.Done()
			return lost
		})
		if err := g.Stop(); !errors.Is(err, lost) {
			t.Fatalf("got %v", err)
		}
		if err := g.Err(); err != nil {
			t.Fatalf("unhealthy: %v", err)
		}
	})
}
