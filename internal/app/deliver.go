package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/schedule"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/topic"
)

// openTopics opens what is owed, and the topics, before the functions: they may have something to tell a topic from their first moment on.
func (s *App) openTopics() (err error) {
	if s.outbox, err = outbox.Open(outbox.Options{Store: s.store, Clock: s.clock, Send: s.deliver, Logger: s.opts.Logger}); err != nil {
		return err
	}
	s.topics, err = topic.Open(topic.Options{Store: s.store, Clock: s.clock, Outbox: s.outbox, Endpoint: func() string { return cmp.Or(s.opts.LinkEndpoint, s.Endpoint()) }, Exists: s.exists, Logger: s.opts.Logger})
	return err
}

// openSchedules opens the schedules, whose starts are owed, too.
func (s *App) openSchedules() (err error) {
	s.schedules, err = schedule.Open(schedule.Options{Store: s.store, Clock: s.clock, Outbox: s.outbox, Logger: s.opts.Logger})
	return err
}

// deliver makes a delivery that is owed. It implements outbox.Options.Send.
func (s *App) deliver(ctx context.Context, d *outbox.Delivery, payload []byte, done func(*store.Batch)) error {
	switch arn.Service(d.Target) {
	case "lambda":
		return s.deliverToFunction(d, payload, done)
	case "sqs":
		return s.deliverToQueue(d, payload, done)
	}
	if strings.HasPrefix(d.Target, "http://") || strings.HasPrefix(d.Target, "https://") {
		return s.deliverToURL(ctx, d, payload)
	}
	return &outbox.Permanent{Err: fmt.Errorf("%s is no function, queue or URL", d.Target)}
}

// deliverToFunction has a function invoked as by an Event invocation, whose retries and destinations follow.
func (s *App) deliverToFunction(d *outbox.Delivery, payload []byte, done func(*store.Batch)) error {
	f, ok := arn.ParseFunction(d.Target)
	if !ok {
		return &outbox.Permanent{Err: errors.New("not the ARN of a function: " + d.Target)}
	}
	_, err := s.functions.InvokeEventWith(f.Scope, function.Invocation{Name: d.Target, Payload: payload, RequestID: uuid.NewString(), TraceID: d.Trace, Trusted: true}, done)
	return lasting(err)
}

// deliverToQueue sends to a queue of this server. Characters that no message may have are replaced, and attributes with which it is too large are
// left out: a message is better than none.
func (s *App) deliverToQueue(d *outbox.Delivery, payload []byte, done func(*store.Batch)) error {
	q := s.queues.FindARN(d.Target)
	if q == nil {
		return lasting(awserr.QueueMissing())
	}
	if d.Lost && d.Letter.Event {
		var err error
		if payload, err = topic.OfEvent(payload); err != nil {
			return &outbox.Permanent{Err: err}
		}
	}
	body := string(payload)
	e := queue.Entry{Body: &body}
	for _, a := range d.Attributes {
		e.Attributes = append(e.Attributes, queue.Attribute{Name: a.Name, Type: a.Type, Value: string(a.Value), Binary: a.Binary})
	}
	e = q.Sendable(e)
	if d.Group != "" && (q.FIFO() || !d.Ordered) { // a standard queue does not learn of a FIFO topic's groups
		e.Group = &d.Group
	}
	if q.FIFO() {
		if e.Group == nil && d.Lost { // what was owed to another kind of receiver has no group, and must not be lost for want of one
			id := fmt.Sprintf("%d", d.ID)
			e.Group = &id
		}
		// A delivery is one message, however often it is sent. A dead letter shows its topic's id, but is not compared by it: other subscriptions of
		// the topic may send theirs to the same queue.
		id := fmt.Sprintf("%d", d.ID)
		e.Dedup = &d.Dedup
		if d.Dedup == "" {
			e.Dedup = &id
		}
		if d.Dedup == "" || d.Lost {
			e.Once = "\x01delivery\x00" + id // no client's id is like this: they have no control characters
		}
	}
	if d.Trace != "" {
		e.System = []queue.Attribute{{Name: "AWSTraceHeader", Type: "String", Value: d.Trace}}
	}
	message, err := s.queues.NewOutbox(q.Scope().Account, []queue.Outgoing{{Queue: q, Entry: e}})
	if err != nil {
		return lasting(err)
	}
	b := s.store.NewBatch()
	defer b.Close()
	done(b)
	return lasting(message.Commit(b))
}

// lasting marks errors that no further attempt can mend: those that say what is wrong with the delivery, or that its receiver is not there.
func lasting(err error) error {
	var e *awserr.Error
	if errors.As(err, &e) && e.HTTPStatus() < 500 && e.HTTPStatus() != 429 {
		return &outbox.Permanent{Code: e.Code, Err: err}
	}
	return err
}

// exists says whether there is a queue or function of an ARN.
func (s *App) exists(text string) bool {
	if f, ok := arn.ParseFunction(text); ok && arn.Service(text) == "lambda" {
		_, err := s.functions.Resolve(f.Scope, text)
		return err == nil
	}
	return s.queues.FindARN(text) != nil
}
