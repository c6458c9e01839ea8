package function

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

// roomy has other nodes with room for all.
type roomy struct {
	placing
	routed func()
}

func (p *roomy) Route(context.Context, schema.Scope, string, string, *Invocation, int, time.Duration) (Outcome, bool, error) {
	p.routed()
	return Outcome{Delivered: true}, true, nil
}

// Of calls that come at once no more stay here than there is room for. Each has looked for room here before the first of them goes on.
func TestABurstGoesWhereThereIsRoom(t *testing.T) {
	t.Parallel()
	const calls = 24
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `"here"`) }))
	defer f.Close()
	for name, reserved := range map[string]int{"with reserved concurrency": 10, "without": 0} {
		var looked, routed atomic.Int32
		var armed atomic.Bool
		all := make(chan struct{})
		arrive := func() {
			if n := looked.Add(1); n == calls {
				close(all)
			}
			<-all
		}
		s := open(t, Options{Concurrency: 10, Placing: &roomy{routed: func() { routed.Add(1); arrive() }}, Now: func() time.Time {
			if armed.Load() {
				arrive()
			}
			return time.Now()
		}})
		create(t, s, CreateRequest{FunctionName: "f", PackageType: ptr("Image"), Code: CodeRequest{ImageURI: f.URL}, Settings: Settings{Role: ptr(role), Timeout: ptr(60)}})
		if reserved > 0 {
			if err := s.PutConcurrency(scope, "f", reserved); err != nil {
				t.Fatal(err)
			}
		}
		armed.Store(true)
		var callers sync.WaitGroup
		for range calls {
			callers.Go(func() {
				if out, err := s.Invoke(t.Context(), scope, Invocation{Name: "f"}); err != nil || out.FunctionError != "" {
					t.Errorf("%s: %+v, %v", name, out, err)
				}
			})
		}
		callers.Wait()
		if n := routed.Load(); n != calls-10 {
			t.Errorf("%s: of %d calls %d ran elsewhere, and there was room for 10", name, calls, n)
		}
		// All places are free again.
		live := s.lookup(scope, "f")
		live.limit.mu.Lock()
		if live.limit.running != 0 {
			t.Errorf("%s: %d places are taken", name, live.limit.running)
		}
		live.limit.mu.Unlock()
	}
}
