package function

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// recorder is a Go function that fails as often as it is told to.
type recorder struct {
	mu    sync.Mutex
	fails int
	at    []time.Time
	start time.Time
}

func (r *recorder) run(context.Context, []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = append(r.at, time.Now())
	if len(r.at) <= r.fails {
		return nil, errors.New("not yet")
	}
	return nil, nil
}

func (r *recorder) times() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, at := range r.at {
		fmt.Fprintf(&b, "%v ", at.Sub(r.start))
	}
	return strings.TrimSpace(b.String())
}

func TestEventRetries(t *testing.T) {
	for fails, want := range map[int]string{0: "0s", 1: "0s 1m0s", 2: "0s 1m0s 3m0s", 9: "0s 1m0s 3m0s"} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, Options{})
				r := &recorder{fails: fails, start: time.Now()}
				if err := s.RegisterGo(scope, "g", r.run); err != nil {
					t.Fatal(err)
				}
				id, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: []byte("1")})
				if err != nil || id == "" {
					t.Fatal(id, err)
				}
				time.Sleep(time.Hour) // of the bubble's clock
				synctest.Wait()
				if got := r.times(); got != want {
					t.Errorf("called at %s, want %s", got, want)
				}
				if n := s.Stats().Queued; n != 0 {
					t.Errorf("%d events are left", n)
				}
			})
		})
	}
}

// With HoldEvents nothing runs before GoOn: neither what an earlier run has accepted nor what comes meanwhile.
func TestEventsAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "db"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		dir := t.TempDir()
		r := &recorder{start: time.Now()}
		invoke := func(s *Service) {
			if err := s.RegisterGo(scope, "g", r.run); err != nil {
				t.Fatal(err)
			}
			if _, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: []byte("1")}); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, Options{Store: st, Dir: dir, HoldEvents: true})
		invoke(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, Options{Store: st, Dir: dir, HoldEvents: true})
		invoke(s)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := r.times(); got != "" {
			t.Errorf("called at %s, and they were held", got)
		}
		s.GoOn()
		synctest.Wait()
		if got, want := r.times(), "1h0m0s 1h0m0s"; got != want || s.Stats().Queued != 0 {
			t.Errorf("called at %q, want %s; %d are left", got, want, s.Stats().Queued)
		}
		invoke(s)
		synctest.Wait()
		if got, want := r.times(), "1h0m0s 1h0m0s 1h0m0s"; got != want {
			t.Errorf("called at %q, want %s", got, want)
		}
	})
}

// A clock that jumps ahead gives no event up, and retries come after the same time; one that goes back delays none.
func TestEventsWhenTheClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{400 * 24 * time.Hour, -400 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var step atomic.Int64
			s := open(t, Options{Clock: worker.NewClock(func() time.Time { return time.Now().Add(time.Duration(step.Load())) })})
			r := &recorder{fails: 2, start: time.Now()}
			if err := s.RegisterGo(scope, "g", r.run); err != nil {
				t.Fatal(err)
			}
			if _, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: []byte("1")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
			step.Store(int64(jump))
			time.Sleep(time.Hour)
			synctest.Wait()
			if got, want := r.times(), "0s 1m0s 3m0s"; got != want {
				t.Errorf("called at %s, want %s", got, want)
			}
		})
	}
}

// An event that was accepted while the clock was behind is as old as it is when that is set right.
func TestEventsOfAClockBehind(t *testing.T) {
	for _, back := range []time.Duration{7 * time.Hour, 50 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var step atomic.Int64
			s := open(t, Options{Clock: worker.NewClock(func() time.Time { return time.Now().Add(time.Duration(step.Load())) })})
			r := &recorder{fails: 2, start: time.Now()}
			if err := s.RegisterGo(scope, "g", r.run); err != nil {
				t.Fatal(err)
			}
			step.Store(int64(-back))
			if _, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: []byte("1")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
			step.Store(0)
			time.Sleep(time.Hour)
			synctest.Wait()
			if got, want := r.times(), "0s 1m0s 3m0s"; got != want {
				t.Errorf("called at %s, want %s", got, want)
			}
		})
	}
}

func TestEventsWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{})
		var mu sync.Mutex
		running, most, total := 0, 0, 0
		if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) {
			mu.Lock()
			running++
			total++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil, nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.PutConcurrency(scope, "g", 2); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 10 {
			if _, err := s.InvokeEvent(scope, Invocation{Name: "g"}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if _, err := s.Invoke(t.Context(), scope, Invocation{Name: "g"}); err == nil {
			t.Error("a call beyond the reserved concurrency ran")
		}
		for s.Stats().Queued > 0 {
			time.Sleep(time.Second)
		}
		if most != 2 || total != 10 || time.Since(start) > 6*time.Second {
			t.Errorf("%d ran, at most %d at once, in %v", total, most, time.Since(start))
		}
	})
}

func TestEventQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{})
		s.events.toRun.maxBytes = 128 << 20
		if err := s.RegisterGo(scope, "slow", func(context.Context, []byte) ([]byte, error) {
			time.Sleep(700 * time.Millisecond)
			return nil, nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.PutConcurrency(scope, "slow", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Invoke(t.Context(), scope, Invocation{Name: "slow"}); err != nil {
			t.Fatal(err)
		}
		if err := s.RegisterGo(scope, "g", func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}); err != nil {
			t.Fatal(err)
		}
		big := []byte(`"` + strings.Repeat("x", 1<<20-2) + `"`)
		taken := 0
		for range 100 {
			_, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: big})
			var e *awserr.Error
			switch {
			case err == nil:
				taken++
			case !errors.As(err, &e) || e.Status != 429 || e.RetryAfter == 0:
				t.Fatal(err)
			}
		}
		if taken != 64 { // half of the room is left for others
			t.Errorf("%d events of 1 MB were taken", taken)
		}
		// So there is room for the next one, which leaves as much again.
		s.events.mu.Lock()
		next := &event{head: eventHead{Scope: scope, Name: "slow", Size: 32 << 20}}
		if !s.events.toRun.fits(next.of(), 32<<20) {
			t.Error("there is no room for another function's events")
		}
		s.events.hold(next)
		s.events.mu.Unlock()
		// A caller is told to wait as the function's own calls end: the second behind the first.
		for _, want := range []time.Duration{700 * time.Millisecond, 1400 * time.Millisecond} {
			_, err := s.InvokeEvent(scope, Invocation{Name: "slow", Payload: big})
			var e *awserr.Error
			if !errors.As(err, &e) || e.RetryAfter != want {
				t.Errorf("told to come back: %+v, want %v", e, want)
			}
		}
		_, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: append(big, ' ')})
		wantError(t, err, "RequestTooLargeException", "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)")
	})
}

func TestEventOfAFunctionWithoutConcurrencyIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{})
		if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.PutConcurrency(scope, "g", 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.InvokeEvent(scope, Invocation{Name: "g"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.Stats().Queued; n != 0 {
			t.Errorf("%d events are left", n)
		}
	})
}

func TestCallsWaitInOrderAndFindADeletedFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{Concurrency: 1})
		var order []string
		if err := s.RegisterGo(scope, "g", func(_ context.Context, p []byte) ([]byte, error) {
			order = append(order, string(p)) // one at a time
			time.Sleep(time.Second)
			return nil, nil
		}); err != nil {
			t.Fatal(err)
		}
		errs := make([]error, 6)
		var calls sync.WaitGroup
		for i := range errs {
			calls.Go(func() {
				_, errs[i] = s.Invoke(t.Context(), scope, Invocation{Name: "g", Payload: fmt.Append(nil, i)})
			})
			synctest.Wait()
		}
		time.Sleep(3500 * time.Millisecond)
		if err := s.Delete(scope, "g", ""); err != nil {
			t.Fatal(err)
		}
		calls.Wait()
		if got := strings.Join(order, ""); got != "0123" {
			t.Errorf("ran in order %s", got)
		}
		for i, err := range errs {
			if IsNotFound(err) != (i > 3) {
				t.Errorf("call %d: %v", i, err)
			}
		}
	})
}

// A call that is late before it has a place is throttled, and takes none; one that has begun goes on.
func TestLateCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{Concurrency: 1})
		ran := 0
		if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) {
			ran++ // one at a time
			time.Sleep(10 * time.Second)
			return nil, nil
		}); err != nil {
			t.Fatal(err)
		}
		late := make(chan struct{})
		began := time.Now()
		errs := make([]error, 3)
		ended := make([]time.Duration, 3)
		var calls sync.WaitGroup
		for i := range errs {
			inv := Invocation{Name: "g", Late: late}
			if i == 2 {
				inv.Late = nil
			}
			calls.Go(func() {
				_, errs[i] = s.Invoke(t.Context(), scope, inv)
				ended[i] = time.Since(began)
			})
			synctest.Wait()
		}
		time.Sleep(5 * time.Second)
		close(late)
		calls.Wait()
		var e *awserr.Error
		if errs[0] != nil || !errors.As(errs[1], &e) || e.Code != "TooManyRequestsException" || errs[2] != nil || ran != 2 {
			t.Errorf("%v, %d ran", errs, ran)
		}
		if ended[0] != 10*time.Second || ended[1] != 5*time.Second || ended[2] != 20*time.Second {
			t.Errorf("ended after %v", ended)
		}
		calls.Go(func() { _, errs[0] = s.Invoke(t.Context(), scope, Invocation{Name: "g", Late: late}) })
		calls.Wait()
		if errs[0] != nil {
			t.Errorf("with a free place: %v", errs[0])
		}
	})
}

func TestTimeoutOfAGoFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{})
		if err := s.RegisterGo(scope, "g", func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		if _, err := s.Invoke(ctx, scope, Invocation{Name: "g"}); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that gives up gets %v", err)
		}
		start := time.Now()
		out, err := s.Invoke(t.Context(), scope, Invocation{Name: "g"})
		if err != nil || out.FunctionError == "" || time.Since(start) != goTimeout*time.Second {
			t.Errorf("%+v, %v after %v", out, err, time.Since(start))
		}
	})
}
