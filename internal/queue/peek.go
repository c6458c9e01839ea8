package queue

import (
	"encoding/binary"
	"errors"
)

// Peeked is a message as it lies in its queue.
type Peeked struct {
	*Message
	// Count is how often it was received.
	Count int
	// Visible says that it can be received, but for the order of its group; DueMS is when it can.
	Visible bool
	DueMS   int64
}

// Peek reads the first messages in the order in which they were sent, and changes nothing: no receive is counted.
func (q *Queue) Peek(most int) (all []Peeked, err error) {
	it, err := q.s.store.NewIter(q.key(rowMessage), q.key(rowMessage+1))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	now := q.s.now()
	for ok := it.First(); ok && len(all) < most; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return nil, err
		}
		m, err := decodeMessage(v)
		if err != nil {
			return nil, err
		}
		k := it.Key()
		st, received, err := q.state(binary.BigEndian.Uint64(k[len(k)-8:]))
		if err != nil {
			return nil, err
		}
		p := Peeked{Message: m, DueMS: m.DueMS}
		if received {
			p.Count, p.DueMS = int(st.count), st.due
		}
		p.Visible = p.DueMS <= now
		all = append(all, p)
	}
	return all, q.settled()
}

// Oldest is when the first message that is left was sent, in ms since 1970; false: there is none. Messages that were moved here count
// from their own time, but in the order of the moves.
func (q *Queue) Oldest() (sentMS int64, some bool, err error) {
	q.mu.Lock()
	front := q.front
	q.mu.Unlock()
	it, err := q.s.store.NewIter(q.numbered(rowMessage, front), q.key(rowMessage+1))
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.First() {
		return 0, false, nil
	}
	v, err := it.Value()
	if err != nil {
		return 0, false, err
	}
	k := it.Key()
	seq := binary.BigEndian.Uint64(k[len(k)-8:])
	q.mu.Lock()
	q.front = max(q.front, seq)
	q.mu.Unlock()
	sentMS, _, err = times(v)
	return sentMS, err == nil, err
}

// DeadLetterTarget is the ARN of the queue's dead-letter queue, empty when it has none.
func (q *Queue) DeadLetterTarget() string {
	if r := q.definition().settings.redrive; r != nil {
		return r.target
	}
	return ""
}
