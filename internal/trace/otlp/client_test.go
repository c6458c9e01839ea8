package otlp

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/millstreamdb/millstream/internal/trace"
)

// The standard variables are followed: endpoint, headers, compression, resource; and a collector that is busy is asked again.
func TestVariables(t *testing.T) {
	got := make(chan *tracepb.TracesData, 1)
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		b, err := io.ReadAll(z)
		var in tracepb.TracesData
		if err != nil || proto.Unmarshal(b, &in) != nil || r.URL.Path != "/base/v1/traces" || r.Header.Get("Api-Key") != "a b" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %v %v", r.URL.Path, r.Header, err)
		}
		got <- &in
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL+"/base/")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_SERVICE_NAME", "mine")
	tracer, err := Open(t.Context(), "1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	parent := trace.Parse("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
	at := time.Unix(1, 0)
	s := tracer.Begin(parent, "s", trace.Server, at, nil)
	s.End(at.Add(time.Second), "broken")
	unsampled := tracer.Begin(trace.Parse("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"), "u", trace.Server, at, nil)
	if unsampled.ID().Sampled || unsampled.ID().Trace != parent.Trace {
		t.Errorf("%+v", unsampled.ID())
	}
	unsampled.End(at, "")
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	in := <-got
	span := in.ResourceSpans[0].ScopeSpans[0].Spans[0]
	if string(span.TraceId) != string(parent.Trace[:]) || span.EndTimeUnixNano-span.StartTimeUnixNano != 1e9 || span.Status.Message != "broken" ||
		len(in.ResourceSpans[0].ScopeSpans[0].Spans) != 1 || !strings.Contains(in.ResourceSpans[0].Resource.String(), `"mine"`) {
		t.Errorf("%v", in)
	}
}

func TestOff(t *testing.T) {
	if tracer, err := Open(t.Context(), "1", nil); tracer != nil || err != nil {
		t.Error(tracer, err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	if tracer, err := Open(t.Context(), "1", nil); tracer != nil || err != nil {
		t.Error(tracer, err)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "localhost:4317", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/none",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if _, err := Open(t.Context(), "1", nil); err == nil {
				t.Error("accepted")
			}
		})
	}
}
