package trigger

import (
	"errors"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/worker"
)

// clock gives the instants of steps.
type clock struct{ *worker.Clock }

func (c clock) instant() lane.Instant {
	mono, wall, believed, ageing := c.Reading()
	return lane.Instant{Mono: mono, Wall: wall, Believed: believed, NoAgeing: !ageing}
}

// Tidy stores the positions that wait to be, and reports whether there were any. A manual
// clock asks for it when nothing else is under way.
func (e *Engine) Tidy() (bool, error) {
	var stored bool
	var errs []error
	for _, c := range e.committers() {
		if c.pending() {
			stored = true
			errs = append(errs, c.write(true))
		}
	}
	return stored, errors.Join(errs...)
}
