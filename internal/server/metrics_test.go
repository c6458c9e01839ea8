package server

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/counter"
)

// scrapeOf returns /metrics of s.
func scrapeOf(t *testing.T, s *Server) string {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantLines(t *testing.T, metrics string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "millstream_") && !strings.Contains(line, "_bucket") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
}

func TestRequestMetrics(t *testing.T) {
	names := map[string]string{
		"POST /2015-03-31/functions/a%3Ab/invocations": "Invoke", "GET /2015-03-31/functions/": "ListFunctions",
		"DELETE /2015-03-31/event-source-mappings/1234": "DeleteEventSourceMapping",
	}
	s := New(Config{
		Metrics: NewMetrics(Sources{
			LambdaOperations: slices.Collect(maps.Values(names)),
			LambdaOperation:  func(r *http.Request) string { return names[r.Method+" "+r.URL.EscapedPath()] },
		}),
		DynamoDB: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Header.Get("X-Test") {
			case "fail":
				w.WriteHeader(400)
				fmt.Fprint(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no"}`)
			case "empty":
				w.WriteHeader(413)
			}
		}),
		Lambda: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "DELETE" {
				w.Header().Set("x-amzn-ErrorType", "ResourceNotFoundException")
				w.WriteHeader(404)
			}
		}),
	})
	do := func(method, path string, header ...string) {
		r := httptest.NewRequest(method, path, nil)
		r.Host = "localhost"
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	do("POST", "/", "X-Amz-Target", "DynamoDB_20120810.PutItem")
	do("POST", "/", "X-Amz-Target", "DynamoDB_20120810.PutItem")
	do("POST", "/", "X-Amz-Target", "DynamoDB_20120810.PutItem", "X-Test", "fail")
	do("POST", "/", "X-Amz-Target", "DynamoDB_20120810.PutItem", "X-Test", "empty")
	do("POST", "/", "X-Amz-Target", "DynamoDBStreams_20120810.GetRecords")
	do("POST", "/", "Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	do("POST", "/2015-03-31/functions/a%3Ab/invocations")
	do("GET", "/2015-03-31/functions/")
	do("DELETE", "/2015-03-31/event-source-mappings/1234")
	do("POST", "/", "Origin", "https://evil.example")
	for i := range 1000 { // what a caller invents is not a label
		do("POST", "/", "X-Amz-Target", fmt.Sprintf("DynamoDB_20120810.Made%dUp", i))
		do("GET", fmt.Sprintf("/2015-03-31/made/%d/up", i))
	}
	wantLines(t, scrapeOf(t, s),
		`millstream_requests_total{api="dynamodb",code="OK",operation="PutItem"} 2`,
		`millstream_requests_total{api="dynamodb",code="ConditionalCheckFailedException",operation="PutItem"} 1`,
		`millstream_requests_total{api="dynamodb",code="RequestEntityTooLarge",operation="PutItem"} 1`,
		`millstream_requests_total{api="streams",code="OK",operation="GetRecords"} 1`,
		`millstream_requests_total{api="sts",code="OK",operation="GetCallerIdentity"} 1`,
		`millstream_requests_total{api="lambda",code="OK",operation="Invoke"} 1`,
		`millstream_requests_total{api="lambda",code="OK",operation="ListFunctions"} 1`,
		`millstream_requests_total{api="lambda",code="ResourceNotFoundException",operation="DeleteEventSourceMapping"} 1`,
		`millstream_requests_total{api="dynamodb",code="OK",operation="other"} 1000`,
		`millstream_requests_total{api="lambda",code="OK",operation="other"} 1000`,
		`millstream_request_seconds_count{api="dynamodb",operation="PutItem"} 4`,
		`millstream_requests_refused_total{reason="origin"} 1`,
		`millstream_requests_in_flight 0`,
	)
}

func TestSourceMetrics(t *testing.T) {
	m := NewMetrics(Sources{
		Version: "v1.2.3",
		Engine: func() EngineStats {
			return EngineStats{Commits: 7, DiskBytes: 4096, Compactions: 30, DebtBytes: 31, Syncs: 5, SyncTime: 20 * time.Millisecond}
		},
		StreamRecords: func() uint64 { return 8 },
		HeldBytes:     func() int64 { return 11 },
		GivenUp:       func() uint64 { return 12 },
		Untold:        func() uint64 { return 13 },
		Health:        func() error { return nil },
		Mappings: func() []MappingStats {
			return []MappingStats{{Mapping: "u-1", Table: "orders", Function: "f", LagRecords: 3, LagSeconds: 1.5,
				Counts: counter.Mapping{
					Polled: 10, FilteredOut: 1, Invoked: 9, FailedInvoke: 2, Dropped: 4, Delivered: 5, Expired: 6, Bisected: 7, DestinationFailures: 8,
					Held: 20, Parked: 21, ParkedExpired: 22,
				},
				Blocked: true, Unread: 9, HeldNow: 23, TellingNow: 24, ParkedNow: 25}}
		},
	})
	m.ObserveInvocation("f", "ok", 2*time.Millisecond)
	m.ObserveInvocation("f", "error", 2*time.Millisecond)
	m.ObserveInvocation("f", "throttled", 0)
	labels := `{function="f",mapping="u-1",table="orders"}`
	metrics := scrapeOf(t, New(Config{Metrics: m}))
	wantLines(t, metrics,
		`millstream_commits_total 7`,
		`millstream_disk_used_bytes 4096`,
		`millstream_syncs_total 5`,
		`millstream_compactions_total 30`,
		`millstream_compaction_debt_bytes 31`,
		`millstream_connections 0`,
		`millstream_sync_seconds_total 0.02`,
		`millstream_stream_records_total 8`,
		`millstream_stream_held_bytes 11`,
		`millstream_deliveries_given_up_total 12`,
		`millstream_untold_events_total 13`,
		`millstream_healthy 1`,
		`millstream_trigger_lag_records`+labels+` 3`,
		`millstream_trigger_lag_seconds`+labels+` 1.5`,
		`millstream_trigger_blocked`+labels+` 1`,
		`millstream_trigger_polled_events_total`+labels+` 10`,
		`millstream_trigger_filtered_out_events_total`+labels+` 1`,
		`millstream_trigger_invoked_events_total`+labels+` 9`,
		`millstream_trigger_failed_invoke_events_total`+labels+` 2`,
		`millstream_trigger_dropped_events_total`+labels+` 4`,
		`millstream_trigger_on_failure_destination_delivered_events_total`+labels+` 5`,
		`millstream_trigger_expired_events_total`+labels+` 6`,
		`millstream_trigger_removed_unread_events`+labels+` 9`,
		`millstream_trigger_bisected_batches_total`+labels+` 7`,
		`millstream_trigger_destination_delivery_failures_total`+labels+` 8`,
		`millstream_trigger_held_events_total`+labels+` 20`,
		`millstream_trigger_parked_events_total`+labels+` 21`,
		`millstream_trigger_parked_expired_events_total`+labels+` 22`,
		`millstream_invocations_total{function="f",outcome="ok"} 1`,
		`millstream_invocations_total{function="f",outcome="error"} 1`,
		`millstream_invocations_total{function="f",outcome="throttled"} 1`,
		`millstream_invocation_seconds_count{function="f"} 2`,
	)
	if !strings.Contains(metrics, `millstream_build_info{go="go1.`) {
		t.Error("no build info")
	}
}

// Every metric of the table is shown with its kind, and none that is not in it.
func TestMetricTableIsTrue(t *testing.T) {
	m := NewMetrics(Sources{
		Engine: func() EngineStats { return EngineStats{} }, StreamRecords: func() uint64 { return 0 },
		HeldBytes:    func() int64 { return 0 },
		Health:       func() error { return nil },
		DamagedFiles: func() int { return 1 }, ReplicationLag: func() time.Duration { return time.Second }, StandbyLag: func() time.Duration { return time.Second },
		Quarantined: func() int { return 1 }, Replication: func() ReplicationStats { return ReplicationStats{} }, Backups: func() (BackupStats, bool) { return BackupStats{}, true },
		Space:         func() (uint64, uint64, bool) { return 3, 2, true },
		RefusedWrites: func() uint64 { return 4 },
		GivenUp:       func() uint64 { return 5 },
		Untold:        func() uint64 { return 6 },
		Nodes:         func() NodeStats { return NodeStats{Calls: make([]TablesCalls, 1)} },
		ClockAhead:    func() time.Duration { return time.Hour },
		Mappings:      func() []MappingStats { return make([]MappingStats, 1) },
		Queues:        func() []QueueStats { return make([]QueueStats, 1) },
	})
	m.ObserveInvocation("f", "ok", 0)
	m.refused.WithLabelValues("host")
	m.AuthRefused(AuthOn)("dynamodb", "UnrecognizedClientException")
	m.targets["DynamoDB_20120810.GetItem"].done("OK", 0)
	shown := map[string]string{}
	for line := range strings.Lines(scrapeOf(t, New(Config{Metrics: m}))) {
		if rest, ok := strings.CutPrefix(line, "# TYPE millstream_"); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			shown["millstream_"+name] = kind
		}
	}
	for _, row := range MetricTable {
		if shown[row.Name] != row.Kind {
			t.Errorf("%s: shown as %q, want %q", row.Name, shown[row.Name], row.Kind)
		}
		delete(shown, row.Name)
	}
	if len(shown) > 0 {
		t.Errorf("not in the table: %v", shown)
	}
}

// The whole door, without a network: what it adds to each request.
func BenchmarkDoor(b *testing.B) {
	s := New(Config{DynamoDB: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})})
	r := httptest.NewRequest("POST", "/", nil)
	r.Host = "127.0.0.1:8000"
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem")
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(w, r)
	}
}
