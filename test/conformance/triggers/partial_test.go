package triggers

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// The verdict table of ReportBatchItemFailures: what an answer to a batch of three makes
// of it. {1} to {3} stand for the sequence numbers. Every later call succeeds.
func TestVerdicts(t *testing.T) {
	const (
		succeeded = "1,2,3"
		failed    = "1,2,3 | 1,2,3"
	)
	rows := []struct{ name, answer, want string }{
		{"no failures", `{"batchItemFailures":[]}`, succeeded},
		{"null failures", `{"batchItemFailures":null}`, succeeded},
		{"empty object", `{}`, succeeded},
		{"null", `null`, succeeded},
		{"empty list", `[]`, succeeded},
		{"empty string", `""`, succeeded},
		{"something else", `{"ok":true}`, succeeded},
		{"another case", `{"BatchItemFailures":[{"ItemIdentifier":"{1}"}]}`, succeeded},
		{"the first", `{"batchItemFailures":[{"itemIdentifier":"{1}"}]}`, failed},
		{"the second", `{"batchItemFailures":[{"itemIdentifier":"{2}"}]}`, "1,2,3 | 2,3"},
		{"the last", `{"batchItemFailures":[{"itemIdentifier":"{3}"}]}`, "1,2,3 | 3"},
		{"the lowest counts", `{"batchItemFailures":[{"itemIdentifier":"{3}"},{"itemIdentifier":"{2}"}]}`, "1,2,3 | 2,3"},
		{"empty identifier", `{"batchItemFailures":[{"itemIdentifier":""}]}`, failed},
		{"null identifier", `{"batchItemFailures":[{"itemIdentifier":null}]}`, failed},
		{"another key", `{"batchItemFailures":[{"foo":123}]}`, failed},
		{"another key, null", `{"batchItemFailures":[{"foo":null}]}`, failed},
		{"a number", `{"batchItemFailures":[{"itemIdentifier":123}]}`, failed},
		{"not in the batch", `{"batchItemFailures":[{"itemIdentifier":"123456789012345678901"}]}`, failed},
		{"valid and invalid", `{"batchItemFailures":[{"itemIdentifier":"{3}"},{"itemIdentifier":""}]}`, failed},
		{"an error", ``, failed},
	}
	target := harness.The(t)
	answers := map[string]string{} // by stream, complete before the first mapping
	var mu sync.Mutex
	seen := map[string]bool{}
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
		arn := call.Records[0].EventSourceArn
		mu.Lock()
		defer mu.Unlock()
		if seen[arn] {
			return harness.OK
		}
		seen[arn] = true
		if answers[arn] == "" {
			return harness.Answer{Fail: "no"}
		}
		return harness.Answer{Body: named(answers[arn], call.Records)}
	})
	tables := make([]harness.Made, len(rows))
	for i, row := range rows {
		tables[i] = table(t, target)
		fill(t, tables[i], 1, 4)
		tables[i].Put(t, harness.Item{"pk": harness.S(endKey)})
		answers[tables[i].StreamARN] = row.answer
	}
	for _, table := range tables {
		f.Map(t, table.StreamARN, batchSize(3), retries(5), reportFailures)
	}
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := shape(awaitEnd(t, f, tables[i].StreamARN)); got != row.want {
				t.Errorf("%s: calls %s, want %s", row.answer, got, row.want)
			}
		})
	}
}

// named puts the sequence numbers of records in the places of {1}, {2}...
func named(answer string, records []events.DynamoDBEventRecord) string {
	for i, r := range records {
		answer = strings.ReplaceAll(answer, fmt.Sprintf("{%d}", i+1), r.Change.SequenceNumber)
	}
	return answer
}

// report names every record with one of the keys as failed.
func report(records []events.DynamoDBEventRecord, bad ...string) harness.Answer {
	var items []string
	for _, r := range records {
		if slices.Contains(bad, r.Change.Keys["pk"].String()) {
			items = append(items, `{"itemIdentifier":"`+r.Change.SequenceNumber+`"}`)
		}
	}
	return harness.Answer{Body: `{"batchItemFailures":[` + strings.Join(items, ",") + `]}`}
}

// Without the option an answer is not looked at.
func TestAnswersAreIgnoredUnlessAskedFor(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer { return report(call.Records, "0", "1") })
	fill(t, table, 0, 2)
	table.Put(t, harness.Item{"pk": harness.S(endKey)})
	f.Map(t, table.StreamARN, batchSize(2))
	if got := shape(awaitEnd(t, f, table.StreamARN)); got != "0,1" {
		t.Errorf("calls %s", got)
	}
}

// Progress renews the budget of retries: the record that fails for ever is delivered in
// its batch, and then 1+R times alone.
func TestProgressRenewsTheBudget(t *testing.T) {
	t.Parallel()
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer { return report(call.Records, "5") })
	fill(t, table, 0, 6)
	table.Put(t, harness.Item{"pk": harness.S(endKey)})
	f.Map(t, table.StreamARN, batchSize(3), retries(3), reportFailures)
	if got := shape(awaitEnd(t, f, table.StreamARN)); got != "0,1,2 | 3,4,5 | 5 | 5 | 5 | 5" {
		t.Errorf("calls %s", got)
	}
}

// Eight records of which one fails: seven are delivered, the bad one is sent alone with
// its whole budget, and cutting costs none of it.
func TestBisect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		retries int32
		want    string
	}{
		{0, "1,2,3,4,5,6,7,8 | 1,2,3,4 | 5,6,7,8 | 5,6 | 5 | 6 | 7,8"},
		{1, "1,2,3,4,5,6,7,8 | 1,2,3,4 | 5,6,7,8 | 5,6 | 5 | 6 | 6 | 7,8"},
	} {
		t.Run(fmt.Sprintf("R=%d", c.retries), func(t *testing.T) {
			t.Parallel()
			target := harness.The(t)
			table := table(t, target)
			f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
				if slices.Contains(keys(call.Records), "6") {
					return harness.Answer{Fail: "six"}
				}
				return harness.OK
			})
			fill(t, table, 1, 9)
			table.Put(t, harness.Item{"pk": harness.S(endKey)})
			f.Map(t, table.StreamARN, batchSize(8), retries(c.retries), bisect)
			if got := shape(awaitEnd(t, f, table.StreamARN)); got != c.want {
				t.Errorf("calls\n got  %s\n want %s", got, c.want)
			}
		})
	}
}

// With both options a batch is cut where the answer says, and in half when it says
// nothing.
func TestBisectWithReportedFailures(t *testing.T) {
	t.Parallel()
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, func(call harness.Invocation) harness.Answer {
		switch keys := keys(call.Records); {
		case len(keys) == 8:
			return report(call.Records, "4") // cut there
		case slices.Contains(keys, "7"):
			return harness.Answer{Fail: "seven"}
		}
		return harness.OK
	})
	fill(t, table, 1, 9)
	table.Put(t, harness.Item{"pk": harness.S(endKey)})
	f.Map(t, table.StreamARN, batchSize(8), retries(0), bisect, reportFailures)
	if got, want := shape(awaitEnd(t, f, table.StreamARN)), "1,2,3,4,5,6,7,8 | 4,5,6,7,8 | 4,5 | 6,7,8 | 6 | 7,8 | 7 | 8"; got != want {
		t.Errorf("calls\n got  %s\n want %s", got, want)
	}
}
