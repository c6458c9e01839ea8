package lane

import (
	"bytes"
	"time"
)

// Window is a tumbling window of a shard: [Start, End) in seconds since 1970, by
// the records' times, with the state that the function has built up. A Window
// does not change: the next state makes another.
type Window struct {
	Start, End int64
	// State is a JSON object; the function's newest answer.
	State []byte
	// Newest is the time of the newest record that State knows, in ms since 1970.
	Newest int64
}

// MaxWindowState is the largest state in bytes that a window goes on with; beyond,
// it is closed early.
const MaxWindowState = 1 << 20

const emptyState = "{}"

// windowGrace is how long the closing call waits after a window's end, when no later record shows that the
// window is complete: records that were stamped within the window may not be readable yet.
const windowGrace = time.Second

// windowOf is the window that a time in milliseconds since 1970 falls into, with
// the empty state. Windows are aligned to 1970.
func windowOf(ms int64, length time.Duration) *Window {
	n := int64(length / time.Second)
	start := ms / 1000 / n * n
	return &Window{Start: start, End: start + n, State: []byte(emptyState)}
}

// holds reports whether a record of this time belongs to the window, or to an
// earlier one.
func (w *Window) holds(ms int64) bool { return ms < w.End*1000 }

// outlived reports whether the mapping's windows have another length by now, or it has
// none: then a window under way is closed, whatever else its records wait for.
func (w *Window) outlived(length time.Duration) bool {
	return w != nil && time.Duration(w.End-w.Start)*time.Second != length
}

func (w *Window) tooLarge() bool { return len(w.State) > MaxWindowState }

func (w *Window) equal(o *Window) bool {
	if w == nil || o == nil {
		return w == o
	}
	return w.Start == o.Start && w.End == o.End && w.Newest == o.Newest && bytes.Equal(w.State, o.State)
}
