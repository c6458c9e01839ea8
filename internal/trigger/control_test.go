package trigger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

func destination(arn string) *struct{ Destination *string } {
	return &struct{ Destination *string }{Destination: &arn}
}

func filters(patterns ...string) *mapping.FilterCriteria {
	var f mapping.FilterCriteria
	for _, p := range patterns {
		f.Filters = append(f.Filters, struct{ Pattern *string }{&p})
	}
	return &f
}

// The texts are AWS's as recorded, unless they say "this version of Millstream".
func TestCreateErrors(t *testing.T) {
	arn := testScope.StreamARN("t", testLabel)
	none := testScope.StreamARN("none", testLabel)
	cases := []struct {
		name   string
		change func(*mapping.CreateRequest)
		want   string
	}{
		{"no function", func(r *mapping.CreateRequest) { r.FunctionName = nil },
			"ValidationException: 1 validation error detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null"},
		{"unknown function", func(r *mapping.CreateRequest) { r.FunctionName = new("nobody") }, "InvalidParameterValueException: Function does not exist"},
		{"no source", func(r *mapping.CreateRequest) { r.EventSourceArn = nil }, "InvalidParameterValueException: Unrecognized event source."},
		{"other source", func(r *mapping.CreateRequest) { r.EventSourceArn = new("arn:aws:sqs:us-east-1:000000000000:q") },
			"InvalidParameterValueException: Unrecognized event source."},
		{"unknown stream", func(r *mapping.CreateRequest) { r.EventSourceArn = &none }, "InvalidParameterValueException: Stream not found: " + none},
		{"no position", func(r *mapping.CreateRequest) { r.StartingPosition = nil },
			"InvalidParameterValueException: 1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."},
		{"bad position", func(r *mapping.CreateRequest) { r.StartingPosition = new("invalid") },
			"ValidationException: 1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"},
		{"timestamp", func(r *mapping.CreateRequest) { r.StartingPosition = new("AT_TIMESTAMP") },
			"InvalidParameterValueException: Unsupported starting position for arn type: " + arn},
		{"batch 0", func(r *mapping.CreateRequest) { r.BatchSize = new(0) },
			"ValidationException: 1 validation error detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"batch 10001", func(r *mapping.CreateRequest) { r.BatchSize = new(10001) },
			"ValidationException: 1 validation error detected: Value '10001' at 'batchSize' failed to satisfy constraint: Member must have value less than or equal to 10000"},
		{"two violations", func(r *mapping.CreateRequest) { r.ParallelizationFactor, r.MaximumRetryAttempts = new(11), new(-2) },
			"ValidationException: 2 validation errors detected: Value '11' at 'parallelizationFactor' failed to satisfy constraint: Member must have value less than or equal to 10; " +
				"Value '-2' at 'maximumRetryAttempts' failed to satisfy constraint: Member must have value greater than or equal to -1"},
		{"age 59", func(r *mapping.CreateRequest) { r.MaximumRecordAgeInSeconds = new(59) },
			"InvalidParameterValueException: MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"},
		{"on success", func(r *mapping.CreateRequest) {
			r.DestinationConfig = &mapping.DestinationConfig{OnSuccess: destination("arn:aws:sqs:us-east-1:000000000000:q")}
		}, "InvalidParameterValueException: Unsupported DestinationConfig parameter for given event source mapping type."},
		{"topics", func(r *mapping.CreateRequest) { r.Foreign = []string{"Topics"} },
			"InvalidParameterValueException: Unsupported Topics parameter for given event source mapping type"},
		{"on failure", func(r *mapping.CreateRequest) {
			r.DestinationConfig = &mapping.DestinationConfig{OnFailure: destination("arn:aws:sqs:us-east-1:000000000000:q")}
		}, "InvalidParameterValueException: The parameter DestinationConfig is not supported yet by this version of Millstream: leave it out"},
		{"key", func(r *mapping.CreateRequest) { r.KMSKeyArn = new("arn:aws:kms:us-east-1:000000000000:key/1") },
			"InvalidParameterValueException: The parameter KMSKeyArn is not supported yet by this version of Millstream: leave it out"},
		{"filter", func(r *mapping.CreateRequest) {
			r.FilterCriteria = filters(`{"eventName":["INSERT"]}`, `{"eventName":"INSERT"}`)
		},
			"InvalidParameterValueException: Invalid filter pattern definition."},
		{"no pattern", func(r *mapping.CreateRequest) {
			r.FilterCriteria = &mapping.FilterCriteria{Filters: make([]struct{ Pattern *string }, 1)}
		},
			"InvalidParameterValueException: Invalid filter pattern definition."},
		{"long filter", func(r *mapping.CreateRequest) { r.FilterCriteria = filters("{}", strings.Repeat("é", 4097)) },
			"ValidationException: 1 validation error detected: Value '" + strings.Repeat("é", 4097) +
				"' at 'filterCriteria.filters.2.member.pattern' failed to satisfy constraint: Member must have length less than or equal to 4096"},
		{"many filters", func(r *mapping.CreateRequest) { r.FilterCriteria = filters(make([]string, 11)...) },
			"InvalidParameterValueException: FilterCriteria can have at most 10 filters."},
		{"response type", func(r *mapping.CreateRequest) { r.FunctionResponseTypes = []string{"Other"} },
			"ValidationException: 1 validation error detected: Value 'Other' at 'functionResponseTypes' failed to satisfy constraint: Member must satisfy enum value set: [ReportBatchItemFailures]"},
		{"response types", func(r *mapping.CreateRequest) {
			r.FunctionResponseTypes = []string{"ReportBatchItemFailures", "ReportBatchItemFailures"}
		}, "ValidationException: 1 validation error detected: Value '[ReportBatchItemFailures, ReportBatchItemFailures]' at 'functionResponseTypes' " +
			"failed to satisfy constraint: Member must have length less than or equal to 1"},
		{"tumbling 901", func(r *mapping.CreateRequest) { r.TumblingWindowInSeconds = new(901) },
			"ValidationException: 1 validation error detected: Value '901' at 'tumblingWindowInSeconds' failed to satisfy constraint: Member must have value less than or equal to 900"},
		{"tumbling lanes", func(r *mapping.CreateRequest) { r.TumblingWindowInSeconds, r.ParallelizationFactor = new(60), new(2) },
			"InvalidParameterValueException: TumblingWindowInSeconds requires a ParallelizationFactor of 1."},
		{"fifo", func(r *mapping.CreateRequest) {
			r.DestinationConfig = &mapping.DestinationConfig{OnFailure: destination("arn:aws:sqs:us-east-1:000000000000:q.fifo")}
		}, "InvalidParameterValueException: The destination ARN arn:aws:sqs:us-east-1:000000000000:q.fifo is invalid."},
		{"no arn", func(r *mapping.CreateRequest) {
			r.DestinationConfig = &mapping.DestinationConfig{OnFailure: destination("kafka://topic")}
		}, "InvalidParameterValueException: The destination ARN kafka://topic is invalid."},
		{"metrics", func(r *mapping.CreateRequest) {
			r.MetricsConfig = &mapping.MetricsConfig{Metrics: []string{"Everything"}}
		},
			"ValidationException: 1 validation error detected: Value 'Everything' at 'metricsConfig.metrics' failed to satisfy constraint: Member must satisfy enum value set: [EventCount, ErrorCount, KafkaMetrics]"},
		{"metrics of others", func(r *mapping.CreateRequest) {
			r.MetricsConfig = &mapping.MetricsConfig{Metrics: []string{"KafkaMetrics"}}
		},
			"InvalidParameterValueException: Unsupported MetricsConfig parameter for given event source mapping type"},
		{"tag", func(r *mapping.CreateRequest) { r.Tags = map[string]string{"millstream:speed": "5"} },
			"InvalidParameterValueException: The tag millstream:speed is none of Millstream's settings; a mapping takes millstream:on-failure, millstream:exactly-once, " +
				"millstream:start, millstream:batching-window, millstream:tumbling-window, millstream:max-in-flight, millstream:rate"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				h.invoker.set("f", ok)
				r := mapping.CreateRequest{EventSourceArn: &arn, StartingPosition: new("LATEST"), Settings: mapping.Settings{FunctionName: new("f")}}
				c.change(&r)
				_, err := h.Create(t.Context(), testScope, r)
				if err == nil {
					t.Fatal("created")
				}
				expect(t, err.Error(), c.want)
				if len(h.backend.mappings) != 0 {
					t.Error("a mapping was stored")
				}
			})
		})
	}
}

// What is given with the value that switches it off is accepted.
func TestCreateAcceptsWhatIsOff(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", func(r *mapping.CreateRequest) {
			r.BisectBatchOnFunctionError, r.TumblingWindowInSeconds = new(false), new(0)
			r.FunctionResponseTypes, r.FilterCriteria = []string{}, &mapping.FilterCriteria{}
			r.DestinationConfig = &mapping.DestinationConfig{OnFailure: destination("")}
			r.MaximumRecordAgeInSeconds, r.BatchSize = new(-1), new(10000) // window 0 with a large batch is fine on streams
			r.Tags = map[string]string{"team": "a"}
		})
		if v.State != mapping.Creating || v.Tags["team"] != "a" || v.FunctionARN != testScope.FunctionARN("f") {
			t.Errorf("%+v", v)
		}
		g, err := h.Get(t.Context(), testScope, v.UUID)
		if err != nil || g.State != mapping.Enabled {
			t.Error(g, err)
		}
	})
}

func TestDuplicate(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		h.invoker.set("g", ok)
		v := h.create("t", "f", nil)
		g := h.create("t", "g", nil)
		qualified := h.create("t", "f:live", nil) // another function as far as mappings go
		arn := testScope.StreamARN("t", testLabel)
		want := `ResourceConflictException: The event source arn (" ` + arn + ` ") and function (" f ") provided mapping already exists. Please update or delete the existing mapping with UUID ` + v.UUID
		_, err := h.Create(t.Context(), testScope, mapping.CreateRequest{
			EventSourceArn: &arn, StartingPosition: new("LATEST"), Settings: mapping.Settings{FunctionName: new(testScope.FunctionARN("f"))},
		})
		if err == nil {
			t.Fatal("created twice")
		}
		expect(t, err.Error(), want)
		if e := new(awserr.Error); !errors.As(err, &e) || e.HTTPStatus() != 409 {
			t.Errorf("%v", err)
		}
		if _, err := h.Update(t.Context(), testScope, g.UUID, mapping.Settings{FunctionName: new("f")}); err == nil || err.Error() != want {
			t.Errorf("update to a pair in use: %v", err)
		}
		// The function is changed away: the pair is free, the position stays.
		h.backend.write("t", 0, 1)
		synctest.Wait()
		h.invoker.set("h", ok)
		h.update(v.UUID, mapping.Settings{FunctionName: new("h")})
		h.backend.write("t", 0, 1)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("h")), "2")
		h.create("t", "f", nil)
		if _, err := h.Delete(t.Context(), testScope, qualified.UUID); err != nil {
			t.Error(err)
		}
	})
}

func TestUnknownMapping(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", nil)
		other := schema.Scope{Account: "111111111111", Region: "us-east-1"}
		_, err1 := h.Get(t.Context(), testScope, "no-such")
		_, err2 := h.Get(t.Context(), other, v.UUID)
		_, err3 := h.Update(t.Context(), other, v.UUID, mapping.Settings{})
		_, err4 := h.Delete(t.Context(), other, v.UUID)
		for _, err := range []error{err1, err2, err3, err4} {
			if err == nil {
				t.Fatal("found")
			}
			expect(t, err.Error(), "ResourceNotFoundException: The resource you requested does not exist.")
		}
	})
}

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, "t", "u")
		defer func() { h.stop() }()
		var want []string
		for i := range 250 {
			f := fmt.Sprint("f", i)
			h.invoker.set(f, ok)
			want = append(want, h.create("t", f, nil).UUID)
		}
		h.create("u", "f7", nil)
		list := func(r mapping.ListRequest) (uuids []string, pages int) {
			for {
				vs, next, err := h.List(t.Context(), testScope, r)
				if err != nil {
					t.Fatal(err)
				}
				pages++
				for _, v := range vs {
					uuids = append(uuids, v.UUID)
				}
				if next == "" {
					return uuids, pages
				}
				r.Marker = next
			}
		}
		arn := testScope.StreamARN("t", testLabel)
		all, pages := list(mapping.ListRequest{EventSourceArn: arn, MaxItems: new(10000)})
		if strings.Join(all, " ") != strings.Join(want, " ") || pages != 3 {
			t.Errorf("%d mappings in %d pages", len(all), pages)
		}
		if all, pages := list(mapping.ListRequest{EventSourceArn: arn, MaxItems: new(125)}); len(all) != 250 || pages != 3 {
			t.Errorf("%d mappings in %d pages", len(all), pages)
		}
		for _, name := range []string{"f7", testScope.FunctionARN("f7"), "000000000000:function:f7"} {
			if got, _ := list(mapping.ListRequest{FunctionName: name}); len(got) != 2 || got[0] != want[7] {
				t.Errorf("%s: %v", name, got)
			}
		}
		for _, r := range []mapping.ListRequest{{FunctionName: "nobody"}, {EventSourceArn: "arn:none"}, {FunctionName: "f7:live"}} {
			if got, _ := list(r); len(got) != 0 {
				t.Errorf("%+v: %v", r, got)
			}
		}
		// A marker holds when its mapping is deleted meanwhile.
		vs, next, _ := h.List(t.Context(), testScope, mapping.ListRequest{MaxItems: new(2)})
		if _, err := h.Delete(t.Context(), testScope, vs[1].UUID); err != nil {
			t.Fatal(err)
		}
		if vs, _, _ = h.List(t.Context(), testScope, mapping.ListRequest{Marker: next}); vs[0].UUID != want[2] {
			t.Error("the page after a deleted mapping is wrong")
		}
		if _, _, err := h.List(t.Context(), testScope, mapping.ListRequest{Marker: "?"}); err == nil {
			t.Error("a bad marker was accepted")
		}
		// The order survives a restart.
		h.stop()
		h.start()
		if vs, _, _ = h.List(t.Context(), testScope, mapping.ListRequest{MaxItems: new(1)}); vs[0].UUID != want[0] {
			t.Error("the order has changed")
		}
	})
}

func TestStates(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.invoker.set("f", ok)
		v := h.create("t", "f", func(r *mapping.CreateRequest) { r.Enabled = new(false) })
		expect(t, string(v.State), "Creating")
		v, _ = h.Get(t.Context(), testScope, v.UUID)
		expect(t, string(v.State), "Disabled")
		before := v.Modified
		u := h.update(v.UUID, mapping.Settings{BatchSize: new(7)})
		expect(t, string(u.State), "Updating")
		if u.BatchSize != 7 || u.Modified.Before(before) || u.Enabled {
			t.Errorf("%+v", u)
		}
		expect(t, string(h.update(v.UUID, mapping.Settings{Enabled: new(true)}).State), "Enabling")
		expect(t, string(h.update(v.UUID, mapping.Settings{Enabled: new(false), BatchSize: new(8)}).State), "Disabling")
		if _, err := h.Update(t.Context(), testScope, v.UUID, mapping.Settings{BatchSize: new(0)}); err == nil {
			t.Error("a bad update was accepted")
		}
		d, err := h.Delete(t.Context(), testScope, v.UUID)
		if err != nil || d.State != mapping.Deleting {
			t.Error(d, err)
		}
		if _, err := h.Get(t.Context(), testScope, v.UUID); err == nil {
			t.Error("still there")
		}
	})
}
