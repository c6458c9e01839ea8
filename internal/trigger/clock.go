package trigger

import "github.com/millstreamdb/millstream/internal/worker"

// clock gives the instants of steps.
type clock struct{ *worker.Clock }

func (c clock) instant() Instant {
	mono, wall, ageing := c.Instant()
	return Instant{Mono: mono, Wall: wall, NoAgeing: !ageing}
}
