package wire

import "time"

// Clock is the server's time.
type Clock struct {
	Now    time.Time `json:"now"`
	Manual bool      `json:"manual"`
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
