package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/trace"
	"github.com/millstreamdb/millstream/internal/trace/otlp"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// exportTimeout is how long the end of the server waits for the last spans.
const exportTimeout = 5 * time.Second

// openTraces begins to export spans, if that is configured.
func (s *App) openTraces() error {
	t, err := otlp.Open(context.Background(), s.opts.Version, s.opts.Logger)
	if err != nil || t == nil {
		return err
	}
	s.tracer = t
	s.closeTraces = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), exportTimeout)
		defer cancel()
		return t.Close(ctx)
	}
	return nil
}

// traced has requests go on with the trace that their header names, or that of the function that makes them; with a Tracer
// each is a span. name tells what a request asks for.
func (s *App) traced(next http.Handler, name func(r *http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := s.traceOf(r.Header.Get(trace.Header), r.Header.Get("X-Amz-Security-Token"))
		if header == "" && s.tracer == nil {
			next.ServeHTTP(w, r)
			return
		}
		id := trace.Parse(header)
		if s.tracer == nil {
			if !id.IsZero() {
				r = r.WithContext(trace.With(r.Context(), id))
			}
			next.ServeHTTP(w, r)
			return
		}
		began := time.Now()
		span := s.tracer.Begin(id, name(r), trace.Server, began, nil)
		span.Note("http.request.method", r.Method)
		span.Note("url.path", r.URL.Path)
		answer := &answerStatus{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r.WithContext(trace.With(r.Context(), span.ID())))
		span.Note("http.response.status_code", answer.status)
		failure := ""
		if answer.status >= http.StatusInternalServerError {
			failure = http.StatusText(answer.status)
		}
		span.End(time.Now(), failure)
	})
}

// traceOf is the trace header of a request, or of the call of the function that makes it, as its token tells.
func (s *App) traceOf(header, token string) string {
	if header == "" && token != "" {
		return s.functions.RunningTrace(token)
	}
	return header
}

// tracedAnswer is traced for requests that do not come through net/http, which they do while spans are told of.
func (s *App) tracedAnswer(next func(context.Context, *door.Request, []byte) door.Reply) func(context.Context, *door.Request, []byte) door.Reply {
	return func(ctx context.Context, r *door.Request, dst []byte) door.Reply {
		if r.Trace != nil || r.Token != nil {
			if id := trace.Parse(s.traceOf(string(r.Trace), string(r.Token))); !id.IsZero() {
				ctx = trace.With(ctx, id)
			}
		}
		return next(ctx, r, dst)
	}
}

// answerStatus remembers an answer's status.
type answerStatus struct {
	http.ResponseWriter
	status int
}

func (w *answerStatus) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *answerStatus) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// What requests ask for: an operation of DynamoDB, one of Lambda's paths, a path of the front door.
func operationName(r *http.Request) string {
	service, operation, named := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !named { // in SQS's older protocol, and in SNS's, the body names it
		return r.Method
	}
	service, _, _ = strings.Cut(service, "_")
	return service + "." + operation
}

func lambdaName(r *http.Request) string { return "Lambda " + r.Method }
func frontName(r *http.Request) string  { return r.Method }

// maxLinks is how many writes a batch's span is linked to: OpenTelemetry's limit.
const maxLinks = 128

// traceRecords is traceBatch for a batch of records. Of those of a snapshot no request is known.
func (s *App) traceRecords(ctx context.Context, functionARN string, records []lane.Record) (context.Context, func(lane.Result)) {
	return s.traceBatch(ctx, functionARN, len(records), func(i int) string {
		if t, is := records[i].(lane.Traced); is {
			return t.TraceHeader()
		}
		return ""
	})
}

// traceBatch has the call of a batch go on with the trace of the first of n records or messages that has one; header returns X-Ray's
// header of one. With a Tracer the batch is a span of that trace, linked to those of all writes.
func (s *App) traceBatch(ctx context.Context, functionARN string, n int, header func(i int) string) (context.Context, func(lane.Result)) {
	var first trace.ID
	var links []trace.ID
	for i := range n {
		text := header(i)
		if text == "" {
			continue
		}
		id := trace.Parse(text)
		if id.IsZero() {
			continue
		}
		if first.IsZero() {
			first = id
			if s.tracer == nil {
				return trace.With(ctx, first), nil
			}
		}
		if l := len(links); l < maxLinks && (l == 0 || links[l-1] != id) {
			links = append(links, id)
		}
	}
	if s.tracer == nil {
		return ctx, nil
	}
	name := functionARN
	if f, ok := arn.ParseFunction(functionARN); ok {
		name = f.Name
	}
	span := s.tracer.Begin(first, "batch for "+name, trace.Consumer, time.Now(), links)
	span.Note("messaging.batch.message_count", n)
	span.Note("faas.invoked_name", name)
	return trace.With(ctx, span.ID()), func(r lane.Result) {
		failure := ""
		if r.Outcome != lane.Succeeded {
			if failure = r.Error; failure == "" {
				failure = "failed"
			}
		}
		span.End(time.Now(), failure)
	}
}
