package app

import (
	"errors"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/queue/poll"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// openPollers opens the event source mappings on queues.
func (s *App) openPollers() (*poll.Mappings, error) {
	return poll.Open(poll.Options{
		Store: s.store, Queues: s.queues, Invoker: invoker{s}, Clock: s.clock, Log: s.opts.Logger,
		IsMissing: func(err error) bool { return errors.Is(err, trigger.ErrNoFunction) },
		Timeout:   s.timeoutOf, Places: s.placesOf, Trace: s.traceBatch,
		Tags: func(functionARN string) map[string]string {
			function, _ := s.tagsOf(functionARN, "")
			return function
		},
	})
}

// timeoutOf is the timeout of a function in seconds; 0: not known, as of one that was registered in Go.
func (s *App) timeoutOf(functionARN string) int {
	f, ok := arn.ParseFunction(functionARN)
	if !ok {
		return 0
	}
	c, err := s.functions.Configuration(f.Scope, functionARN, "")
	if err != nil || c.CodeSha256 == "" {
		return 0
	}
	return c.Timeout
}

// placesOf is how many calls of a function may run at once; 0: not known.
func (s *App) placesOf(functionARN string) int {
	f, ok := arn.ParseFunction(functionARN)
	if !ok {
		return 0
	}
	return s.functions.Places(f.Scope, functionARN)
}
