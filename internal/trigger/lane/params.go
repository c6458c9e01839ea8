package lane

import (
	"time"

	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/setting"
)

// Instant is the moment of a step. Mono drives windows and backoff and never
// jumps; Wall is compared with record times.
type Instant struct {
	Mono time.Duration
	Wall int64 // milliseconds since 1970
	// Believed is what the time must be as far as is known, when that is later than Wall; else it may be 0.
	Believed int64
	// Gather is how long a lane that keeps up pauses after each invocation, without a
	// batching window, for a fuller batch (see pace).
	Gather time.Duration
	// NoAgeing suspends MaximumRecordAgeInSeconds: the wall clock is not trusted.
	NoAgeing bool
}

// stamp is the time of what is kept to judge an age by (worker.Clock.Stamp).
func (i Instant) stamp() int64 { return max(i.Wall, i.Believed) }

// SecondsSince is how long ago a wall time was, in milliseconds since 1970; not below 0.
func (i Instant) SecondsSince(ms int64) float64 { return max(0, float64(i.Wall-ms)/1000) }

// Params are the settings of a mapping that its machines act on.
type Params struct {
	Generation  uint64
	FunctionARN string
	BatchSize   int
	Window      time.Duration
	Factor      int
	MaxRetries  int           // below 0: endless
	MaxAge      time.Duration // below 0: endless

	Filters        pattern.Filters // none: every record passes
	When           *expr.Transition
	ReportFailures bool          // the answer may name the items that failed
	Bisect         bool          // a failed batch is cut in two
	Tumbling       time.Duration // length of the tumbling windows; 0: none. Asks for Factor 1
	Destination    string        // ARN that is told of what is given up; may be empty
	OnFailure      OnFailure
	ExactlyOnce    bool // the answer's writes commit with the position
}

// OnFailure says what waits while records are tried again (tag millstream:on-failure).
type OnFailure byte

// The values. As the zero value AWS's.
const (
	BlockShard OnFailure = iota // whatever comes later in the lane
	BlockKey                    // the record's key: it goes aside, and what follows it
	Park                        // as BlockShard; what is given up is parked
)

// String is the value of the setting.
func (o OnFailure) String() string {
	return [...]string{BlockShard: setting.BlockShard, BlockKey: setting.BlockKey, Park: setting.Park}[o]
}

// ParseOnFailure reads a value of the setting; what is none of its values, also the empty text, is BlockShard.
func ParseOnFailure(value string) OnFailure {
	for o := range Park + 1 {
		if o.String() == value {
			return o
		}
	}
	return BlockShard
}
