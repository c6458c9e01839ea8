package trace

import "time"

// Kind is what a span stands for to OpenTelemetry.
type Kind byte

const (
	Internal Kind = iota
	Server        // a request that was answered
	Client        // a call of a function
	Consumer      // a batch of records that was delivered
)

// Tracer tells of spans. Its methods may be called by many goroutines at once. Where there is none, nothing is told: callers
// ask for that once, before they put anything together.
type Tracer interface {
	// Begin begins a span. parent may be zero: then a trace begins. links are spans of whatever traces that led to it.
	Begin(parent ID, name string, kind Kind, at time.Time, links []ID) Span
}

// Span is a span that is under way, of one goroutine.
type Span interface {
	ID() ID
	// Note adds what it concerned: value is a string, an int or an int64.
	Note(name string, value any)
	// End ends it. failure is empty for success.
	End(at time.Time, failure string)
}
