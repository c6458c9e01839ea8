package app

import (
	"errors"
	"maps"
	"slices"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/queue/poll"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// openPollers opens the event source mappings on queues.
func (s *App) openPollers() (*poll.Mappings, error) {
	return poll.Open(poll.Options{
		Store: s.store, Queues: s.queues, Invoker: invoker{s}, Clock: s.clock, Log: s.opts.Logger,
		IsMissing: func(err error) bool { return errors.Is(err, trigger.ErrNoFunction) },
		Timeout:   s.timeoutOf,
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

// sendToOwn sends a message to a queue of this server; there is false when it has none of this ARN. So that a record is not lost for the sake
// of what is said about it, characters that no message may have are replaced, and attributes with which it is too large are left out.
func (s *App) sendToOwn(queueARN, body string, attributes map[string]string) (there bool, err error) {
	q := s.queues.FindARN(queueARN)
	if q == nil {
		return false, nil
	}
	body = queue.SendableText(body)
	e := queue.Entry{Body: &body}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := queue.Attribute{Name: name, Type: "String", Value: queue.SendableText(attributes[name])}
		if a.Value == "" {
			continue // no attribute may be empty
		}
		if name == "ErrorCode" {
			a.Type = "Number"
		}
		e.Attributes = append(e.Attributes, a)
	}
	if !q.Fits(e) {
		e.Attributes = nil
	}
	sent, err := q.Send(q.Scope().Account, false, []queue.Entry{e})
	if err == nil {
		err = sent[0].Err
	}
	return true, err
}
