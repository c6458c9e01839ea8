package trigger

import (
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/worker"
)

// clock gives the instants of steps.
type clock struct{ *worker.Clock }

func (c clock) instant() lane.Instant {
	mono, wall, ageing := c.Instant()
	return lane.Instant{Mono: mono, Wall: wall, Believed: c.Believed(), NoAgeing: !ageing}
}

// Tidy stores the positions that wait to be, and reports whether there were any. A manual
// clock asks for it when nothing else is under way.
func (e *Engine) Tidy() (bool, error) {
	if !e.commit.pending() {
		return false, nil
	}
	return true, e.commit.write(true)
}
