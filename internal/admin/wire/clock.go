package wire

import "time"

// Clock is the server's time.
type Clock struct {
	Now    time.Time `json:"now"`
	Manual bool      `json:"manual"`
	// AheadMS is how far the clock is ahead of what it was known to be, in ms: while it is above 0, nothing
	// is removed by age. Below 0 the clock is behind. Until is when the clock will be believed if nobody sets it.
	AheadMS int64     `json:"aheadMs,omitempty"`
	Until   time.Time `json:"until,omitzero"`
}

// Accepted is the answer of clock/accept.
type Accepted struct {
	Clock
	WasAheadMS int64 `json:"wasAheadMs"` // 0: the clock was not doubted
}

// Advanced is the answer of clock/advance.
type Advanced struct {
	Clock
	AdvancedMS int64 `json:"advancedMs"` // less than was asked for when it is not quiet
	// Quiet: all that was due has been done. Otherwise functions have not answered
	// within the timeout, and time stands at the moment at which they were called.
	Quiet    bool  `json:"quiet"`
	WaitedMS int64 `json:"waitedMs"` // of real time
}
