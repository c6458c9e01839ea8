package triggers

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func tumbling(seconds int32) harness.MappingOption {
	return with(func(in *lambda.CreateEventSourceMappingInput) { in.TumblingWindowInSeconds = &seconds })
}

// windowEvent is what the event of a tumbling window has beside its records.
type windowEvent struct {
	Window struct {
		Start, End string
	}
	State                   json.RawMessage
	ShardID                 string `json:"shardId"`
	EventSourceARN          string `json:"eventSourceARN"`
	IsFinalInvokeForWindow  *bool
	IsWindowTerminatedEarly *bool
}

func windowOf(t *testing.T, call harness.Invocation) (e windowEvent) {
	if err := json.Unmarshal(call.Raw, &e); err != nil || e.IsFinalInvokeForWindow == nil || e.IsWindowTerminatedEarly == nil {
		t.Errorf("no event of a window (%v): %.300s", err, call.Raw)
		e.IsFinalInvokeForWindow, e.IsWindowTerminatedEarly = new(bool), new(bool)
	}
	return e
}

// Windows of two seconds count the records of each: the state goes from call to call, a
// last call ends each window, and a record belongs to the window of its time. The first
// last call fails, and is made again before anything of a later window comes.
func TestTumblingWindow(t *testing.T) {
	t.Parallel()
	target := harness.The(t)
	table := table(t, target)
	var finals, counted atomic.Int64
	var failed atomic.Bool
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
		e := windowOf(t, call)
		var state struct{ N int64 }
		_ = json.Unmarshal(e.State, &state) // {} is none
		state.N += int64(len(call.Records))
		if *e.IsFinalInvokeForWindow {
			if failed.CompareAndSwap(false, true) {
				return harness.Answer{Fail: "not yet"}
			}
			finals.Add(1)
			counted.Add(state.N)
			return harness.OK
		}
		return harness.Answer{Body: fmt.Sprintf(`{"state":{"N":%d}}`, state.N)}
	})
	f.Map(t, table.StreamARN, batchSize(10), tumbling(2))

	// Records go on until two windows are over.
	written := int64(0)
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	limit := time.Now().Add(2 * minute)
	for ; finals.Load() < 2; <-pace.C {
		if time.Now().After(limit) {
			t.Fatal("two windows were not closed within two minutes")
		}
		fill(t, table, int(written), int(written)+1)
		written++
	}
	f.Await(t, 2*minute, "the end of the last window", func([]harness.Invocation) bool { return counted.Load() == written })

	var open, state string
	var again bool // the last call is due once more
	for _, call := range f.Calls() {
		e := windowOf(t, call)
		start, err := time.Parse("2006-01-02T15:04:05Z", e.Window.Start)
		end, err2 := time.Parse("2006-01-02T15:04:05Z", e.Window.End)
		if err != nil || err2 != nil || start.Unix()%2 != 0 || end.Sub(start) != 2*time.Second {
			t.Fatalf("window %+v", e.Window)
		}
		if !regexp.MustCompile(`^shardId-\d{20}-[0-9a-f]{8}$`).MatchString(e.ShardID) || e.EventSourceARN != table.StreamARN || *e.IsWindowTerminatedEarly {
			t.Errorf("call %d: %.300s", call.N, call.Raw)
		}
		if open == "" {
			if string(e.State) != "{}" || e.Window.Start <= state {
				t.Errorf("a window begins at %s, after %s, with state %s", e.Window.Start, state, e.State)
			}
			open, state = e.Window.Start, `{}`
		}
		if e.Window.Start != open || !sameJSON(string(e.State), state) {
			t.Fatalf("call %d is of window %s with state %s, want %s with %s", call.N, e.Window.Start, e.State, open, state)
		}
		for _, r := range call.Records {
			if at := r.Change.ApproximateCreationDateTime.Time; at.Before(start) || !at.Before(end) {
				t.Errorf("a record of %s is in the window from %s to %s", at, start, end)
			}
		}
		var n struct{ N int64 }
		_ = json.Unmarshal(e.State, &n) // compared above
		state = fmt.Sprintf(`{"N":%d}`, n.N+int64(len(call.Records)))
		if again && !*e.IsFinalInvokeForWindow {
			t.Errorf("call %d comes between a last call that failed and its repetition", call.N)
		}
		if *e.IsFinalInvokeForWindow {
			if again = !again && call.N == firstFinal(t, f.Calls()); !again {
				open, state = "", open
			} else {
				state = string(e.State)
			}
		}
	}
}

func firstFinal(t *testing.T, calls []harness.Invocation) int {
	for _, c := range calls {
		if *windowOf(t, c).IsFinalInvokeForWindow {
			return c.N
		}
	}
	return -1
}

// A state of more than 1 MB ends its window early, and the next record begins with
// an empty one.
func TestTumblingWindowEndsEarly(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	large := `{"state":{"text":"` + strings.Repeat("x", 1<<20) + `"}}`
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
		if len(call.Records) > 0 && keys(call.Records)[0] == "0" {
			return harness.Answer{Body: large}
		}
		return harness.Answer{Body: `{"state":{}}`}
	})
	fill(t, table, 0, 2)
	f.Map(t, table.StreamARN, batchSize(1), tumbling(900))
	calls := f.Await(t, 2*minute, "three calls", func(calls []harness.Invocation) bool { return len(calls) >= 3 })
	if e := windowOf(t, calls[0]); *e.IsWindowTerminatedEarly || *e.IsFinalInvokeForWindow || string(e.State) != "{}" {
		t.Errorf("first call: %.300s", calls[0].Raw)
	}
	if e := windowOf(t, calls[1]); !*e.IsWindowTerminatedEarly || len(e.State) < 1<<20 || len(calls[1].Records) != 0 {
		t.Errorf("the call that ends the window early: %.300s ... %.300s", calls[1].Raw, calls[1].Raw[max(0, len(calls[1].Raw)-300):])
	}
	if e := windowOf(t, calls[2]); *e.IsWindowTerminatedEarly || string(e.State) != "{}" || shape(calls[2:3]) != "1" {
		t.Errorf("the call after it: %.300s", calls[2].Raw)
	}
}

// An answer without state is a failure, and so counted.
func TestTumblingAnswersNeedState(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
		if len(call.Records) > 0 && keys(call.Records)[0] == "0" {
			return harness.OK
		}
		return harness.Answer{Body: `{"state":{}}`}
	})
	fill(t, table, 0, 1)
	table.Put(t, harness.Item{"pk": harness.S(endKey)})
	f.Map(t, table.StreamARN, batchSize(1), retries(1), tumbling(900))
	if got := shape(awaitEnd(t, f, table.StreamARN)); got != "0 | 0" {
		t.Errorf("calls %s", got)
	}
}

// The limits of a window's length, and that it goes with one batch at a time.
func TestTumblingParameters(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	for _, c := range []struct {
		seconds, factor int32
		code            string
	}{{901, 1, "ValidationException"}, {-1, 1, "ValidationException"}, {60, 2, "InvalidParameterValueException"}} {
		_, err := target.Lambda.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
			EventSourceArn: &table.StreamARN, FunctionName: &f.Name, StartingPosition: "LATEST",
			TumblingWindowInSeconds: aws.Int32(c.seconds), ParallelizationFactor: aws.Int32(c.factor),
		})
		harness.WantError(t, err, c.code, "")
	}
}
