package function

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/trace"
)

// tracingActive is the TracingConfig by which a function begins traces of its own.
const tracingActive = "Active"

// trace returns the trace header of a call, and, when spans are told of, who is told of its end.
func (s *Service) trace(d *definition, inv *Invocation, now time.Time) (header string, ended func(result string, out *Outcome)) {
	t := s.opts.Tracer
	if t == nil {
		return traceHeader(inv.TraceID, d.Tracing == tracingActive, now), nil
	}
	span := t.Begin(trace.Parse(inv.TraceID), "invoke "+d.Name, trace.Client, now, nil)
	span.Note("faas.invoked_name", d.Name)
	span.Note("faas.version", d.version())
	span.Note("faas.invocation_id", inv.RequestID)
	span.Note("cloud.region", d.Scope.Region)
	return span.ID().Header(), func(result string, out *Outcome) {
		failure := ""
		if result != "ok" {
			if failure = out.Error; failure == "" {
				failure = result
			}
		}
		span.End(s.opts.Now(), failure)
	}
}

// traceHeader returns the X-Ray trace header of a call: the trace that the caller gave goes on, or a
// new one begins, which is sampled when the function's tracing is active. AWS's documents give the
// form; what it does not know in a header is left out.
func traceHeader(given string, active bool, now time.Time) string {
	var root, parent, sampled, lineage string
	for given != "" {
		var field string
		field, given, _ = strings.Cut(given, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			if isTraceRoot(value) {
				root = value
			}
		case "Parent":
			if isHex(value, 16) {
				parent = value
			}
		case "Sampled":
			if value == "0" || value == "1" {
				sampled = value
			}
		case "Lineage":
			if len(value) <= 100 {
				lineage = value
			}
		}
	}
	b := make([]byte, 0, 96+len(lineage))
	b = append(b, "Root="...)
	if root != "" {
		b = append(b, root...)
	} else {
		b = appendHex(append(b, "1-"...), uint64(now.Unix()), 8)
		b = appendHex(append(b, '-'), rand.Uint64(), 16)
		b = appendHex(b, rand.Uint64(), 8)
		parent = ""
	}
	b = append(b, ";Parent="...)
	if parent != "" && !active {
		b = append(b, parent...)
	} else { // the service's own segment stands between
		b = appendHex(b, rand.Uint64(), 16)
	}
	if sampled == "" {
		sampled = "0"
		if active {
			sampled = "1"
		}
	}
	b = append(append(b, ";Sampled="...), sampled...)
	if lineage != "" {
		b = append(append(b, ";Lineage="...), lineage...)
	}
	return string(b)
}

// appendHex appends the lowest digits of v.
func appendHex(b []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, "0123456789abcdef"[v>>(4*i)&15])
	}
	return b
}

// isTraceRoot tells the id of a trace: a version, seconds, and 96 bits.
func isTraceRoot(s string) bool {
	return len(s) == 35 && strings.HasPrefix(s, "1-") && isHex(s[2:10], 8) && s[10] == '-' && isHex(s[11:], 24)
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
