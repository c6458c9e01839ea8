package triggers

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// MaximumRetryAttempts R means 1+R invocations with the same records, then the
// next record is delivered.
func TestRetryArithmetic(t *testing.T) {
	t.Parallel()
	for _, r := range []int32{0, 1, 3} {
		t.Run(fmt.Sprintf("R=%d", r), func(t *testing.T) {
			t.Parallel()
			target := harness.The(t)
			table := table(t, target)
			f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
				if slices.Contains(keys(call.Records), "poison") {
					return harness.Answer{Fail: "poisoned"}
				}
				return harness.OK
			})
			table.Put(t, harness.Item{"pk": harness.S("poison")})
			table.Put(t, harness.Item{"pk": harness.S("next")})
			f.Map(t, table.StreamARN, batchSize(1), retries(r))
			calls := f.Await(t, 2*minute, "the record after the poison", func(calls []harness.Invocation) bool {
				return slices.ContainsFunc(calls, func(c harness.Invocation) bool { return slices.Contains(keys(c.Records), "next") })
			})
			var poisoned []harness.Invocation
			for _, c := range calls {
				if slices.Contains(keys(c.Records), "poison") {
					poisoned = append(poisoned, c)
				}
			}
			if len(poisoned) != 1+int(r) {
				t.Errorf("the failing record was delivered %d times, want %d", len(poisoned), 1+r)
			}
			for i, c := range poisoned {
				if c.Records[0].EventID != poisoned[0].Records[0].EventID {
					t.Errorf("delivery %d carries another eventID", i)
				}
				if i > 0 && string(c.Raw) != string(poisoned[0].Raw) {
					t.Errorf("delivery %d carries another payload", i)
				}
			}
		})
	}
}

// Every kind of failure is one attempt: an error, an exit, no answer in time.
func TestKindsOfFailure(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]harness.Answer{
		"error":   {Fail: "no"},
		"exit":    {Exit: true},
		"timeout": {Never: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := harness.The(t)
			table := table(t, target)
			f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
				if call.Records[0].Change.Keys["pk"].String() == "bad" {
					return answer
				}
				return harness.OK
			}, harness.Timeout(1))
			table.Put(t, harness.Item{"pk": harness.S("bad")})
			table.Put(t, harness.Item{"pk": harness.S("good")})
			f.Map(t, table.StreamARN, batchSize(1), retries(1))
			f.Await(t, 2*minute, "the good record", func(calls []harness.Invocation) bool {
				return len(calls) > 0 && slices.Contains(keys(calls[len(calls)-1].Records), "good")
			})
			if got := keys(f.Received()); !slices.Equal(got, []string{"bad", "bad", "good"}) {
				t.Errorf("received %v, want bad bad good", got)
			}
		})
	}
}

// A failing batch blocks its shard: nothing behind it is delivered before it has
// ended, and it is delivered whole each time.
func TestFailureBlocksTheShard(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	var fail atomic.Bool
	fail.Store(true)
	f := target.NewFunction(t, func(harness.Invocation) harness.Answer {
		if fail.Load() {
			return harness.Answer{Fail: "not yet"}
		}
		return harness.OK
	})
	fill(t, table, 0, 6)
	f.Map(t, table.StreamARN, batchSize(3))
	f.Await(t, minute, "three attempts", func(calls []harness.Invocation) bool { return len(calls) >= 3 })
	for _, c := range f.Calls() {
		if got := keys(c.Records); !slices.Equal(got, numbers(0, 3)) {
			t.Errorf("an attempt carries %v", got)
		}
	}
	fail.Store(false)
	f.Await(t, 2*minute, "the second batch", func(calls []harness.Invocation) bool {
		return slices.Equal(keys(calls[len(calls)-1].Records), numbers(3, 6))
	})
}

// A mapping whose function fails does not keep records from another.
func TestFailureStaysWithItsMapping(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	bad := target.NewFunction(t, func(harness.Invocation) harness.Answer { return harness.Answer{Fail: "always"} })
	stuck := target.NewFunction(t, func(harness.Invocation) harness.Answer { return harness.Answer{Never: true} })
	good := target.NewFunction(t, nil)
	for _, f := range []*harness.Function{bad, stuck, good} {
		f.Map(t, table.StreamARN)
	}
	fill(t, table, 0, 50)
	if got := keys(good.AwaitRecords(t, 50)); !slices.Equal(got, numbers(0, 50)) {
		t.Errorf("the healthy mapping received %v", got)
	}
}

// Disabling keeps the position; what is written meanwhile comes after enabling. A call
// whose answer is still on its way when the mapping is disabled may come again, and
// nothing else may.
func TestDisableAndEnableLoseNothing(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	id := f.Map(t, table.StreamARN)
	ends := func(calls []harness.Invocation, key string) bool {
		if len(calls) == 0 {
			return false
		}
		got := keys(calls[len(calls)-1].Records)
		return got[len(got)-1] == key
	}
	var fresh []string // without repeats
	for round := range 3 {
		begin := len(f.Calls())
		fill(t, table, round*20, round*20+10)
		calls := f.Await(t, 2*minute, "the records of a round", func(calls []harness.Invocation) bool { return ends(calls, fmt.Sprint(round*20+9)) })
		for _, c := range calls[begin:] {
			fresh = append(fresh, keys(c.Records)...)
		}
		set(t, target, id, false)
		fill(t, table, round*20+10, round*20+20)
		if got := len(f.Calls()); got != len(calls) {
			t.Errorf("a disabled mapping made %d calls", got-len(calls))
		}
		set(t, target, id, true)
		last := keys(calls[len(calls)-1].Records)
		after := f.Await(t, 2*minute, "what was written meanwhile", func(calls []harness.Invocation) bool { return ends(calls, fmt.Sprint(round*20+19)) })
		var got []string
		for _, c := range after[len(calls):] {
			got = append(got, keys(c.Records)...)
		}
		if len(got) > 0 && got[0] == last[0] {
			if len(got) < len(last) || !slices.Equal(got[:len(last)], last) {
				t.Fatalf("after %v, %v", last, got)
			}
			got = got[len(last):] // the whole of the call that was under way, and no more
		}
		fresh = append(fresh, got...)
	}
	if !slices.Equal(fresh, numbers(0, 60)) {
		t.Errorf("received %v", fresh)
	}
}

func set(t *testing.T, target *harness.Target, id string, enabled bool) {
	t.Helper()
	out, err := target.Lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, Enabled: &enabled})
	harness.Supported(t, "UpdateEventSourceMapping", err)
	state, settled := "Disabling", "Disabled"
	if enabled {
		state, settled = "Enabling", "Enabled"
	}
	if got := aws.ToString(out.State); got != state {
		t.Errorf("State of the answer is %s, want %s", got, state)
	}
	target.AwaitMapping(t, id, settled)
}

// A mapping outlives its function: it stays, and delivers when a function of that
// name is there again. The time without one costs no attempt.
func TestFunctionDeletedAndMadeAgain(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	id := f.Map(t, table.StreamARN, retries(0))
	fill(t, table, 0, 5)
	f.AwaitRecords(t, 5)
	f.Remove(t)
	fill(t, table, 5, 10)
	target.AwaitMapping(t, id, "Enabled")
	f.Deploy(t)
	if got := keys(f.AwaitRecords(t, 10)); !slices.Equal(got, numbers(0, 10)) {
		t.Errorf("received %v", got)
	}
}

// A function without concurrency is not a failing one: nothing is dropped.
func TestThrottlesCostNoAttempt(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	_, err := target.Lambda.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: &f.Name, ReservedConcurrentExecutions: aws.Int32(0)})
	harness.Supported(t, "PutFunctionConcurrency", err)
	fill(t, table, 0, 5)
	f.Map(t, table.StreamARN, retries(0))
	<-time.After(2 * time.Second) // several throttled attempts fit in here
	if n := len(f.Calls()); n != 0 {
		t.Fatalf("a function with concurrency 0 was called %d times", n)
	}
	if _, err := target.Lambda.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: &f.Name, ReservedConcurrentExecutions: aws.Int32(5)}); err != nil {
		t.Fatal(err)
	}
	if got := keys(f.AwaitRecords(t, 5)); !slices.Equal(got, numbers(0, 5)) {
		t.Errorf("received %v", got)
	}
}

// Invoke answers with what the function said, or with its error and status 200.
func TestInvokeAndLogTail(t *testing.T) {
	target := harness.The(t)
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
		if strings.Contains(string(call.Raw), "fail") {
			return harness.Answer{Fail: "as told"}
		}
		return harness.Answer{Body: `{"echo":` + string(call.Raw) + `}`}
	})
	out, err := target.Lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &f.Name, Payload: []byte(`{"a":1}`), LogType: "Tail"})
	harness.Supported(t, "Invoke", err)
	if string(out.Payload) != `{"echo":{"a":1}}` || out.StatusCode != 200 || out.FunctionError != nil {
		t.Errorf("answer %d %s, error %v", out.StatusCode, out.Payload, out.FunctionError)
	}
	if aws.ToString(out.LogResult) == "" {
		t.Error("no log tail")
	}
	out, err = target.Lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &f.Name, Payload: []byte(`"fail"`)})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.FunctionError) != "Unhandled" || !strings.Contains(string(out.Payload), `"errorMessage":"as told"`) || out.StatusCode != 200 {
		t.Errorf("a failing function answers %d %v %s", out.StatusCode, aws.ToString(out.FunctionError), out.Payload)
	}
}
