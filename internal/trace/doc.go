// Package trace knows by which ids one request is followed: from its header into the records that it writes, and on to the
// functions that these trigger.
//
// An ID travels in a context, in X-Ray's trace header and, in 25 bytes, in a stream record. A Tracer, when there is one,
// tells of spans; package otlp has the one that speaks to OpenTelemetry. Without one nothing is measured: an ID that came
// with a request is passed on as it came.
//
// The package is pure but for a Tracer's spans, and imports nothing of the project.
package trace
