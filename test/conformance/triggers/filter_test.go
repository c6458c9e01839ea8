package triggers

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func criteria(patterns ...string) *types.FilterCriteria {
	c := &types.FilterCriteria{Filters: []types.Filter{}}
	for _, p := range patterns {
		c.Filters = append(c.Filters, types.Filter{Pattern: &p})
	}
	return c
}

func filters(patterns ...string) harness.MappingOption {
	return with(func(in *lambda.CreateEventSourceMappingInput) { in.FilterCriteria = criteria(patterns...) })
}

const endPattern = `{"dynamodb":{"Keys":{"pk":{"S":["` + endKey + `"]}}}}`

// What AWS's filters match, surprises included. Each case has a stream with the same
// changes; a second filter lets the last one through, so that everything before it
// has been decided when it comes.
func TestFilters(t *testing.T) {
	target := harness.The(t)
	f := target.NewFunction(t, nil)
	newImage := func(attribute, pattern string) string {
		return `{"dynamodb":{"NewImage":{"` + attribute + `":` + pattern + `}}}`
	}
	const all = "paid open Paid empty null bare pairs open-REMOVE"
	for _, c := range []struct{ name, pattern, want string }{
		{"literal", newImage("status", `{"S":["paid"]}`), "paid"},
		{"one of several", newImage("status", `{"S":["paid","open"]}`), "paid open"},
		{"empty string", newImage("status", `{"S":[""]}`), "empty"},
		{"no type descriptor", newImage("status", `["paid"]`), ""},
		{"numeric never matches an N", newImage("n", `{"N":[{"numeric":[">",0]}]}`), ""},
		{"an N is a string", newImage("n", `{"N":["42"]}`), "paid"},
		{"anything-but needs the attribute", newImage("n", `{"N":[{"anything-but":"101"}]}`), "paid"},
		{"alternatives", newImage("n", `{"N":[{"numeric":[">",100]},{"anything-but":"101"}]}`), "paid"},
		{"anything-but list", newImage("status", `{"S":[{"anything-but":["paid","open"]}]}`), "Paid empty"},
		{"anything-but or missing", newImage("status", `{"S":[{"anything-but":["paid"]},{"exists":false}]}`), "open Paid empty null bare pairs open-REMOVE"},
		{"exists on an inner node", newImage("status", `[{"exists":true}]`), ""},
		{"not exists on an inner node", newImage("status", `[{"exists":false}]`), all},
		{"exists on a leaf", newImage("status", `{"S":[{"exists":true}]}`), "paid open Paid empty"},
		{"not exists on a leaf", newImage("status", `{"S":[{"exists":false}]}`), "null bare pairs open-REMOVE"},
		{"exists on an empty list", newImage("none", `{"L":[{"exists":true}]}`), ""},
		{"prefix", newImage("status", `{"S":[{"prefix":"pa"}]}`), "paid"},
		{"empty prefix", newImage("status", `{"S":[{"prefix":""}]}`), "paid open Paid empty"},
		{"suffix", newImage("status", `{"S":[{"suffix":"aid"}]}`), "paid Paid"},
		{"equals-ignore-case", newImage("status", `{"S":[{"equals-ignore-case":"PAID"}]}`), "paid Paid"},
		{"map", newImage("addr", `{"M":{"city":{"S":["x"]}}}`), "paid"},
		{"list", newImage("orgs", `{"L":{"S":["b"]}}`), "paid"},
		{"set", newImage("tags", `{"SS":["y"]}`), "paid"},
		{"one element of a list", newImage("pairs", `{"L":{"M":{"a":{"S":["x"]},"b":{"N":["1"]}}}}`), "pairs"},
		{"two elements of a list", newImage("pairs", `{"L":{"M":{"a":{"S":["x"]},"b":{"N":["2"]}}}}`), ""},
		{"NULL", newImage("gone", `{"NULL":[true]}`), "null"},
		{"null is not missing", newImage("status", `{"S":[null]}`), ""},
		{"two attributes", `{"dynamodb":{"NewImage":{"status":{"S":["open"]},"n":{"N":["42"]}}}}`, ""},
		{"eventName", `{"eventName":["REMOVE"]}`, "open-REMOVE"},
		{"eventName and eventSource", `{"eventName":["INSERT"],"eventSource":["aws:dynamodb"]}`, "paid open Paid empty null bare pairs"},
		{"$or", `{"$or":[{"eventName":["REMOVE"]},{"dynamodb":{"NewImage":{"status":{"S":["paid"]}}}}]}`, "paid open-REMOVE"},
		{"dots join levels", `{"dynamodb.NewImage.status.S":["paid"]}`, "paid"},
		{"the time is a number", `{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">",1600000000]}]}}`, all},
		{"the size is a number", `{"dynamodb":{"SizeBytes":[{"numeric":[">",0,"<",1]}]}}`, ""},
		{"a key twice", `{"dynamodb":{"NewImage":{"n":{"N":["42"]}}},"dynamodb":{"Keys":{"pk":{"S":["open"]}}}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := table(t, target)
			for _, item := range []harness.Item{
				{
					"pk": harness.S("paid"), "status": harness.S("paid"), "n": harness.N("42"), "addr": harness.M(harness.Item{"city": harness.S("x")}),
					"orgs": harness.L(harness.S("a"), harness.S("b")), "tags": &stringSet{Value: []string{"x", "y"}},
				},
				{"pk": harness.S("open"), "status": harness.S("open"), "n": harness.N("101")},
				{"pk": harness.S("Paid"), "status": harness.S("Paid")},
				{"pk": harness.S("empty"), "status": harness.S("")},
				{"pk": harness.S("null"), "gone": &null{Value: true}},
				{"pk": harness.S("bare"), "none": harness.L()},
				{"pk": harness.S("pairs"), "pairs": harness.L(
					harness.M(harness.Item{"a": harness.S("x"), "b": harness.N("1")}), harness.M(harness.Item{"a": harness.S("y"), "b": harness.N("2")}))},
			} {
				table.Put(t, item)
			}
			table.Delete(t, harness.Item{"pk": harness.S("open")})
			table.Put(t, harness.Item{"pk": harness.S(endKey)})
			f.Map(t, table.StreamARN, batchSize(1), filters(c.pattern, endPattern))
			var got []string
			for _, call := range awaitEnd(t, f, table.StreamARN) {
				name := keys(call.Records)[0]
				if call.Records[0].EventName == "REMOVE" {
					name += "-REMOVE"
				}
				got = append(got, name)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s\n got  %v\n want %s", c.pattern, got, c.want)
			}
		})
	}
}

// Whatever is wrong with a pattern, the text is the same, when a mapping is made and
// when it is changed.
func TestBadFilters(t *testing.T) {
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	id := f.Map(t, table.StreamARN, filters(endPattern))
	for _, pattern := range []string{
		`status`, `[]`, `"x"`, `{"a":[]}`, `{"a":"x"}`, `{"a":[{"EXISTS":true}]}`, `{"a":[{"exists":"yes"}]}`, `{"a":[{"numeric":5}]}`,
		`{"a":[{"numeric":[">"]}]}`, `{"a":[{"numeric":[">",1,">",2]}]}`, `{"a":[{"NUMERIC":["=",1]}]}`, `{"a":[{"prefix":1}]}`,
		`{"a":[{"suffix":["x"]}]}`, `{"a":[{"anything-but":[null]}]}`, `{"a":[{"anything-but":["x",1]}]}`,
	} {
		_, err := target.Lambda.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
			EventSourceArn: &table.StreamARN, FunctionName: &f.Name, StartingPosition: types.EventSourcePositionLatest, FilterCriteria: criteria(pattern),
		})
		if harness.WantError(t, err, "InvalidParameterValueException", "Invalid filter pattern definition."); t.Failed() {
			t.Fatalf("pattern %s", pattern)
		}
		_, err = target.Lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, FilterCriteria: criteria(pattern)})
		if harness.WantError(t, err, "InvalidParameterValueException", "Invalid filter pattern definition."); t.Failed() {
			t.Fatalf("pattern %s in an update", pattern)
		}
	}
	got, err := target.Lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
	if err != nil || got.FilterCriteria == nil || len(got.FilterCriteria.Filters) != 1 || aws.ToString(got.FilterCriteria.Filters[0].Pattern) != endPattern {
		t.Errorf("after refused updates: %v %+v", err, got.FilterCriteria)
	}
}

// The position passes what the filters refuse: no later filter, and no restart, brings
// it back.
func TestFilteredRecordsHaveEnded(t *testing.T) {
	if !harness.The(t).Millstream {
		harness.Unsupported(t, "the server is stopped and started")
	}
	server, err := harness.StartServer(t.TempDir() + "/data")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	target := server.Target()
	table := table(t, target)
	f := target.NewFunction(t, nil)
	fill(t, table, 0, 20)
	id := f.Map(t, table.StreamARN, filters(endPattern))
	table.Put(t, harness.Item{"pk": harness.S(endKey)})
	if calls := awaitEnd(t, f, table.StreamARN); len(calls) != 0 {
		t.Errorf("called with %s", shape(calls))
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, FilterCriteria: &types.FilterCriteria{}}); err != nil {
		t.Fatal(err)
	}
	got, err := target.Lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
	if err != nil || got.FilterCriteria != nil {
		t.Errorf("after the filters were removed: %v %+v", err, got.FilterCriteria)
	}
	fill(t, table, 20, 25)
	f.Await(t, 2*minute, "what was written last", func(calls []harness.Invocation) bool {
		return slices.Contains(keys(calls[len(calls)-1].Records), "24")
	})
	// The call that was under way when the server stopped may come again.
	if got := slices.Compact(keys(f.Received())); !slices.Equal(got, append([]string{endKey}, numbers(20, 25)...)) {
		t.Errorf("received %v", got)
	}
}
