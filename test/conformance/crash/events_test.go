package crash

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// TestEventsUnderKills sends CONFORMANCE_EVENTS (200 unless set) Event invocations through
// CONFORMANCE_EVENT_KILLS (4) kills of the server: none that was accepted is lost, none is
// tried again without a failure or a kill in between, and how each ended reaches its
// destination, which is a function too.
func TestEventsUnderKills(t *testing.T) {
	if os.Getenv("CONFORMANCE_ENDPOINT") != "" {
		harness.Unsupported(t, "killing the target: the suite did not start it")
	}
	number := func(name, otherwise string) int {
		n, err := strconv.Atoi(cmp.Or(os.Getenv(name), otherwise))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	events, kills := number("CONFORMANCE_EVENTS", "200"), number("CONFORMANCE_EVENT_KILLS", "4")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	server, err := harness.StartServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	target := server.Target()
	told := target.NewFunction(t, nil)
	// Every fifth event fails, and is not tried again.
	f := target.NewFunction(t, func(in harness.Invocation) harness.Answer {
		var n int
		if json.Unmarshal(in.Raw, &n) == nil && n%5 == 0 {
			return harness.Answer{Fail: "not this one"}
		}
		return harness.OK
	})
	if _, err := target.Lambda.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName: &f.Name, MaximumRetryAttempts: aws.Int32(0),
		DestinationConfig: &types.DestinationConfig{OnSuccess: &types.OnSuccess{Destination: &told.ARN}, OnFailure: &types.OnFailure{Destination: &told.ARN}},
	}); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	accepted := map[int]bool{}
	type kill struct{ at, over time.Time } // over: before the server is started again, when all calls of the one before have come in
	var killed []kill
	for round := range kills + 1 {
		from, to := events*round/(kills+1), events*(round+1)/(kills+1)
		if round == kills {
			from = 0 // what a kill has cut off is sent again, as a client would
		}
		var clients sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for client := range 8 {
			clients.Go(func() {
				for n := from + client; n < to && ctx.Err() == nil; n += 8 {
					mu.Lock()
					done := accepted[n]
					mu.Unlock()
					if done {
						continue
					}
					_, err := target.Lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &f.Name, InvocationType: types.InvocationTypeEvent, Payload: fmt.Append(nil, n)},
						func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} })
					if err == nil {
						mu.Lock()
						accepted[n] = true
						mu.Unlock()
					}
				}
			})
		}
		if round == kills {
			clients.Wait()
			cancel()
			break
		}
		if random.IntN(2) == 0 {
			clients.Wait()
		}
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
		at := time.Now()
		server.Kill()
		cancel()
		clients.Wait()
		f.AllIn(t)
		killed = append(killed, kill{at, time.Now()})
		if err := server.Start(); err != nil {
			t.Fatalf("round %d: restart: %v\n%s", round, err, server.Output())
		}
	}
	// An event whose acceptance a kill kept from its client is sent again, and is another one then, with another request id.
	type event struct {
		n  int
		id string
	}
	tries, tried := map[event][]time.Time{}, map[int]bool{}
	type ending struct {
		RequestContext struct{ Condition string }
		RequestPayload int
	}
	ends := map[ending]int{}
	told.Await(t, 2*time.Minute, "every end told", func(calls []harness.Invocation) bool {
		clear(ends)
		seen := map[int]bool{}
		for _, c := range calls {
			var e ending
			if err := json.Unmarshal(c.Raw, &e); err != nil {
				t.Fatalf("%s: %v", c.Raw, err)
			}
			ends[e]++
			seen[e.RequestPayload] = true
		}
		for n := range accepted {
			if !seen[n] {
				return false
			}
		}
		return true
	})
	for _, c := range f.Calls() {
		var n int
		if err := json.Unmarshal(c.Raw, &n); err != nil {
			t.Fatal(err)
		}
		e := event{n, c.RequestID}
		tries[e], tried[n] = append(tries[e], c.At), true
	}
	most := 0
	for e, at := range tries {
		most = max(most, len(at))
		for i := 1; i < len(at); i++ {
			explained := false
			for _, k := range killed {
				explained = explained || at[i-1].Before(k.over) && at[i].After(k.at)
			}
			if !explained {
				t.Errorf("event %d was tried again at %v after %v, without a kill in between", e.n, at[i], at[i-1])
			}
		}
	}
	for n := range accepted {
		if !tried[n] {
			t.Errorf("event %d was accepted and never tried", n)
		}
		var e ending
		e.RequestPayload, e.RequestContext.Condition = n, "Success"
		if n%5 == 0 {
			e.RequestContext.Condition = "RetriesExhausted"
		}
		if ends[e] == 0 || ends[e] > 1+2*kills {
			t.Errorf("%+v was told %d times", e, ends[e])
		}
	}
	t.Logf("%d kills, %d of %d events accepted, tried at most %d times", len(killed), len(accepted), events, most)
}
