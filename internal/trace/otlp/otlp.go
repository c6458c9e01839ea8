// Package otlp exports spans to a collector, through OpenTelemetry's SDK, when the standard variables name one.
package otlp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/millstreamdb/millstream/internal/trace"
)

// Tracer exports spans.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   oteltrace.Tracer
}

var _ trace.Tracer = (*Tracer)(nil)

// Open returns nil when no collector is configured: by OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. The
// SDK reads the variables itself, those of sampling and of the resource too. Of the protocols it speaks http/protobuf.
func Open(ctx context.Context, version string, log *slog.Logger) (*Tracer, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" ||
		strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	c, err := newClient()
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	exporter, err := otlptrace.New(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "millstream"), attribute.String("service.version", version)), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&teller{SpanExporter: exporter, log: log}), sdk.WithResource(about), sdk.WithIDGenerator(ids{}))
	return &Tracer{provider, provider.Tracer("github.com/millstreamdb/millstream", oteltrace.WithInstrumentationVersion(version))}, nil
}

// teller says what could not be exported, where OpenTelemetry would ask a handler that the whole program shares.
type teller struct {
	sdk.SpanExporter
	log  *slog.Logger
	last time.Time // of one goroutine, the SDK's
}

func (e *teller) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil && time.Since(e.last) > time.Minute {
		e.last = time.Now()
		e.log.Warn("spans were not exported, and are lost", "spans", len(spans), "error", err)
	}
	return nil
}

// Close exports what waits, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("export the last traces: %w", err)
	}
	return nil
}

func contextOf(id trace.ID) oteltrace.SpanContext {
	c := oteltrace.SpanContextConfig{TraceID: id.Trace, SpanID: id.Span, Remote: true}
	if id.Sampled {
		c.TraceFlags = oteltrace.FlagsSampled
	}
	return oteltrace.NewSpanContext(c)
}

var kinds = map[trace.Kind]oteltrace.SpanKind{
	trace.Internal: oteltrace.SpanKindInternal, trace.Server: oteltrace.SpanKindServer,
	trace.Client: oteltrace.SpanKindClient, trace.Consumer: oteltrace.SpanKindConsumer,
}

// Begin implements trace.Tracer.
func (t *Tracer) Begin(parent trace.ID, name string, kind trace.Kind, at time.Time, links []trace.ID) trace.Span {
	options := []oteltrace.SpanStartOption{oteltrace.WithSpanKind(kinds[kind]), oteltrace.WithTimestamp(at)}
	for _, l := range links {
		options = append(options, oteltrace.WithLinks(oteltrace.Link{SpanContext: contextOf(l)}))
	}
	ctx := context.Background()
	switch {
	case parent.IsZero():
	case parent.Span == [8]byte{}: // a trace of which no span is known goes on under a new one
		ctx = context.WithValue(ctx, wanted{}, oteltrace.TraceID(parent.Trace))
	default:
		ctx = oteltrace.ContextWithRemoteSpanContext(ctx, contextOf(parent))
	}
	_, s := t.tracer.Start(ctx, name, options...)
	return span{s}
}

type span struct{ s oteltrace.Span }

func (s span) ID() trace.ID {
	c := s.s.SpanContext()
	return trace.ID{Trace: c.TraceID(), Span: c.SpanID(), Sampled: c.IsSampled()}
}

func (s span) Note(name string, value any) {
	switch v := value.(type) {
	case string:
		s.s.SetAttributes(attribute.String(name, v))
	case int:
		s.s.SetAttributes(attribute.Int(name, v))
	case int64:
		s.s.SetAttributes(attribute.Int64(name, v))
	}
}

func (s span) End(at time.Time, failure string) {
	if failure != "" {
		s.s.SetStatus(codes.Error, failure)
	}
	s.s.End(oteltrace.WithTimestamp(at))
}

// wanted is the key of the id that a new trace is to have.
type wanted struct{}

// ids makes ids as X-Ray wants them: a trace's begins with the second of its beginning.
type ids struct{}

func (ids) NewIDs(ctx context.Context) (oteltrace.TraceID, oteltrace.SpanID) {
	id, given := ctx.Value(wanted{}).(oteltrace.TraceID)
	if !given {
		_, _ = rand.Read(id[:]) // never fails
		binary.BigEndian.PutUint32(id[:], uint32(time.Now().Unix()))
	}
	return id, ids{}.NewSpanID(ctx, id)
}

func (ids) NewSpanID(context.Context, oteltrace.TraceID) (id oteltrace.SpanID) {
	_, _ = rand.Read(id[:])
	id[0] |= 1 // zero is none
	return id
}
