package queue

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/store"
)

// Kinds of rows of the key space. Those of messages lie under kindMessages ‖ queue's id.
const (
	kindDefinition = 'q' // ‖ id (8): JSON
	kindTask       = 't' // ‖ queue's id (8) ‖ task's id (8): JSON
	kindMessages   = 'm' // ‖ queue's id (8) ‖ one of the following

	rowMessage = 'b' // ‖ number (8): the message
	rowState   = 's' // ‖ number (8): its state, once it was received
	rowReady   = 'v' // ‖ due in ms (8) ‖ number (8): index entry
	rowDelayed = 'w' // the same, of what was sent with a delay and has not been received
	rowOrder   = 'o' // ‖ group ‖ 00 ‖ number (8): due at first, in ms (8); FIFO queues only
	rowGroup   = 'g' // ‖ group: the index entry of the group
	rowDedup   = 'd' // ‖ scope ‖ id: what was sent with it
	rowExpiry  = 'e' // ‖ expiry in ms (8) ‖ number (8): what follows rowDedup

	rowVersion = 1
)

// definition is what is stored of a queue. Fields are only ever added.
type definition struct {
	ID         uint64            `json:"id"`
	Scope      arn.Scope         `json:"scope"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"` // those that were set
	Tags       map[string]string `json:"tags,omitempty"`
	CreatedMS  int64             `json:"createdMs"`
	ModifiedMS int64             `json:"modifiedMs"`

	settings settings // of the attributes
}

func (d *definition) arn() string { return d.Scope.QueueARN(d.Name) }

func definitionKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceQueue, kindDefinition}, id)
}

func encodeJSON(what string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("queue: encode %s: %w", what, err)
	}
	return append([]byte{rowVersion}, body...), nil
}

func decodeJSON(what string, row []byte, v any) error {
	if len(row) == 0 || row[0] != rowVersion {
		return fmt.Errorf("queue: %s has an unknown format: it was written by a newer release", what)
	}
	if err := json.Unmarshal(row[1:], v); err != nil {
		return fmt.Errorf("queue: decode %s: %w", what, err)
	}
	return nil
}

// key begins the key of a row of a queue's messages.
func (q *Queue) key(row byte) []byte {
	k := append(make([]byte, 0, 48), store.SpaceQueue, kindMessages)
	return append(binary.BigEndian.AppendUint64(k, q.id), row)
}

func (q *Queue) numbered(row byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(q.key(row), seq)
}

func (q *Queue) timed(row byte, ms int64, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(q.key(row), uint64(max(0, ms))), seq)
}

func (q *Queue) ordered(group string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(append(q.key(rowOrder), group...), 0), seq)
}

// state is what is known of a message that was received.
type state struct {
	due, first, received int64 // ms
	count                uint32
	nonce                uint64
}

func (s state) encode() []byte {
	b := append(make([]byte, 0, 37), rowVersion)
	for _, n := range []uint64{uint64(s.due), uint64(s.first), uint64(s.received), s.nonce} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return binary.BigEndian.AppendUint32(b, s.count)
}

var errStateRow = errors.New("queue: the state of a message cannot be read: it is damaged, or was written by a newer release")

// state reads a message's state; found is false when it was never received, or is not there.
func (q *Queue) state(seq uint64) (s state, found bool, err error) {
	row, found, err := q.s.store.Probe(nil, q.numbered(rowState, seq))
	if err != nil || !found {
		return state{}, false, err
	}
	s, err = decodeState(row)
	return s, err == nil, err
}

func decodeState(row []byte) (state, error) {
	if len(row) != 37 || row[0] != rowVersion {
		return state{}, errStateRow
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(row[1+8*i:]) }
	return state{int64(at(0)), int64(at(1)), int64(at(2)), binary.BigEndian.Uint32(row[33:]), at(3)}, nil
}

// entry is one of the index: a message of a standard queue, or a group of a FIFO queue with its first message.
type entry struct {
	row   byte // rowReady or rowDelayed
	due   int64
	seq   uint64
	count uint32 // of the message: how often it was received
	size  uint32 // of the message's row, in bytes; 0: not known. Of standard queues
	group string
}

func (e entry) before(o entry) bool { return e.due < o.due || e.due == o.due && e.seq < o.seq }

func (q *Queue) entryKey(e entry) []byte { return q.timed(e.row, e.due, e.seq) }

// encode makes the value of an entry: version, count (4), then the group, or of a standard queue the size (4).
func (e entry) encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{rowVersion}, e.count)
	if e.group == "" && e.size > 0 {
		return binary.BigEndian.AppendUint32(b, e.size)
	}
	return append(b, e.group...)
}

func (q *Queue) decodeEntry(row byte, key, value []byte) (entry, error) {
	n := len(key)
	if n != 27 || len(value) < 5 || value[0] != rowVersion {
		return entry{}, errStateRow
	}
	e := entry{row: row, due: int64(binary.BigEndian.Uint64(key[n-16:])), seq: binary.BigEndian.Uint64(key[n-8:]), count: binary.BigEndian.Uint32(value[1:])}
	switch rest := value[5:]; {
	case q.def.settings.fifo:
		e.group = string(rest)
	case len(rest) == 4:
		e.size = binary.BigEndian.Uint32(rest)
	}
	return e, nil
}

// groupEntry reads the index entry of a group; found is false when the group has no message.
func (q *Queue) groupEntry(group string) (e entry, found bool, err error) {
	row, found, err := q.s.store.Probe(nil, append(q.key(rowGroup), group...))
	if err != nil || !found {
		return entry{}, false, err
	}
	if len(row) != 18 || row[0] != rowVersion {
		return entry{}, false, errStateRow
	}
	return entry{row: row[1], due: int64(binary.BigEndian.Uint64(row[2:])), seq: binary.BigEndian.Uint64(row[10:]), group: group}, true, nil
}

func encodeGroup(e entry) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{rowVersion, e.row}, uint64(e.due)), e.seq)
}

// message reads a message; nil when it is not there.
func (q *Queue) message(seq uint64) (*Message, error) {
	row, found, err := q.s.store.Get(nil, q.numbered(rowMessage, seq))
	if err != nil || !found {
		return nil, err
	}
	return decodeMessage(row)
}
