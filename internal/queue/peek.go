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

// DeadLetterTarget is the ARN of the queue's dead-letter queue, empty when it has none.
func (q *Queue) DeadLetterTarget() string {
	if r := q.definition().settings.redrive; r != nil {
		return r.target
	}
	return ""
}
