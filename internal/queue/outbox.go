package queue

import (
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
)

// Outgoing is a message for a queue.
type Outgoing struct {
	Queue *Queue
	Entry Entry
}

// Outbox is messages that a caller commits in one batch with changes of its own: Fill, then Applied when the batch is
// visible, and TakeBack in any case. It is used by one goroutine, once.
type Outbox struct {
	s      *Service
	queues []*Queue // by ascending id
	sent   map[*Queue][]Sent
	locked bool
	staged int // queues whose memory was changed
}

// NewOutbox checks messages of an account as SendMessage does. An error is about the first message that cannot be sent.
func (s *Service) NewOutbox(sender string, all []Outgoing) (*Outbox, error) {
	o := &Outbox{s: s, sent: map[*Queue][]Sent{}}
	for i := range all {
		q := all[i].Queue
		sent := q.check(sender, false, []Entry{all[i].Entry})
		if err := sent[0].Err; err != nil {
			return nil, err
		}
		o.sent[q] = append(o.sent[q], sent[0])
	}
	o.queues = slices.SortedFunc(maps.Keys(o.sent), func(a, b *Queue) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	for _, q := range o.queues { // now, since with Fill others wait, too
		if err := q.refresh(); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Fill takes the locks of the queues, which Applied or TakeBack release, and puts the messages into a batch.
func (o *Outbox) Fill(b *store.Batch) error {
	for _, q := range o.queues {
		q.mu.Lock()
	}
	o.locked = true
	for _, q := range o.queues {
		if q.deleted {
			return awserr.QueueMissing()
		}
	}
	now := o.s.now()
	for _, q := range o.queues {
		if err := q.current(); err != nil {
			return err
		}
		o.staged++
		if _, err := q.stage(b, o.sent[q], now); err != nil {
			return err
		}
	}
	return nil
}

// Applied has receivers see the messages: the batch is visible with this commit.
func (o *Outbox) Applied(c *store.Commit) {
	now := o.s.now()
	for _, q := range o.queues {
		q.last = c
		q.applied()
		q.rouse(now)
		q.mu.Unlock()
	}
	o.locked = false
}

// TakeBack is for a batch that will not be applied. After Applied it does nothing.
func (o *Outbox) TakeBack() {
	if !o.locked {
		return
	}
	for i, q := range o.queues {
		if i < o.staged {
			q.giveUp()
		}
		q.mu.Unlock()
	}
	o.locked = false
}

// Commit writes the messages in one batch with what b holds, and returns when that is durable. With an error nothing of
// it is written. It may go on under the reserve of the disk as deletes do, since b takes away what is owed.
func (o *Outbox) Commit(b *store.Batch) error {
	if err := o.s.store.AdmitDelete(); err != nil {
		return err
	}
	defer o.TakeBack()
	if err := o.Fill(b); err != nil {
		return err
	}
	c := o.s.store.Begin()
	if err := o.s.store.Apply(c, b); err != nil {
		return err
	}
	o.Applied(c)
	return o.s.store.Sync(c)
}

// Has reports whether there is a queue with an ARN.
func (s *Service) Has(queueARN string) bool { return s.FindARN(queueARN) != nil }

// Notice makes ready what a queue is told of records or an event that were given up. So that these are not lost for the
// sake of what is said about them, characters that no message may have are replaced, and attributes with which it is too large are left out.
func (s *Service) Notice(queueARN, body, trace string, attributes map[string]string) (*Outbox, error) {
	q := s.FindARN(queueARN)
	if q == nil {
		return nil, awserr.QueueMissing()
	}
	e := Entry{Body: &body, Trace: trace}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := Attribute{Name: name, Type: "String", Value: attributes[name]}
		if a.Value == "" {
			continue // no attribute may be empty
		}
		if name == "ErrorCode" {
			a.Type = "Number"
		}
		e.Attributes = append(e.Attributes, a)
	}
	return s.NewOutbox(q.Scope().Account, []Outgoing{{q, q.Sendable(e)}})
}

// Sendable is an entry with what the queue may take of it: characters that no message may have are replaced, and attributes with which it is too
// large are left out. The entry has a body.
func (q *Queue) Sendable(e Entry) Entry {
	body := sendable(*e.Body)
	e.Body, e.Attributes = &body, slices.Clone(e.Attributes)
	for i := range e.Attributes {
		if a := &e.Attributes[i]; !a.Binary {
			a.Value = sendable(a.Value)
		}
	}
	if !q.fits(e) {
		e.Attributes = nil
	}
	return e
}

// Tell sends what Notice makes, in one batch with what b holds, and returns when that is durable.
func (s *Service) Tell(b *store.Batch, queueARN, body, trace string, attributes map[string]string) error {
	o, err := s.Notice(queueARN, body, trace, attributes)
	if err != nil {
		return err
	}
	return o.Commit(b)
}

// MaxAnswer is how many messages the answer of a function may send.
const MaxAnswer = 10

// Answered reads the messages of a function's answer: a list of members in the form of SendMessage requests. Errors
// say which of them they are about.
func (s *Service) Answered(scope arn.Scope, list []byte) (*Outbox, error) {
	all, err := s.readAnswer(scope, list)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if _, err := s.NewOutbox(scope.Account, all[i:i+1]); err != nil {
			return nil, messageError(i, err)
		}
	}
	return s.NewOutbox(scope.Account, all)
}

// messageError says of an error which message of an answer it is about, counted from 1.
func messageError(i int, err error) error {
	var e *awserr.Error
	if !errors.As(err, &e) {
		return err
	}
	about := *e
	about.Message = "Message " + strconv.Itoa(i+1) + ": " + e.Message
	return &about
}
