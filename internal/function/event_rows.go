package function

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// An event's rows: SpaceEvent ‖ kind ‖ id (8), and as value a version byte and what the
// kind says. Only heads change.
const (
	eventHeadRow     = 'h' // JSON
	eventPayloadRow  = 'p' // the payload
	eventDocumentRow = 'd' // what a destination is told

	eventVersion = 1
)

// eventHead is the stored state of an event. Fields are only ever added.
type eventHead struct {
	Scope      schema.Scope `json:"scope"`
	Name       string       `json:"name"`
	Qualifier  string       `json:"qualifier,omitempty"`
	RequestID  string       `json:"requestId"`
	AcceptedMS int64        `json:"acceptedMs"`
	Size       int          `json:"size"` // of the payload in bytes
	Failures   int          `json:"failures,omitempty"`
	DueMS      int64        `json:"dueMs,omitempty"` // when it is tried again
	Trace      string       `json:"trace,omitempty"` // X-Ray's header of the request

	// Of an event that has ended: who has still to be told, since when, and what the
	// message for a dead-letter queue says.
	Tell         []teller `json:"tell,omitempty"`
	EndedMS      int64    `json:"endedMs,omitempty"`
	ErrorCode    int      `json:"errorCode,omitempty"`
	ErrorMessage string   `json:"errorMessage,omitempty"`
	ToldSize     int      `json:"toldSize,omitempty"` // of what a destination is told, in bytes
}

// bytes is what an event counts for in its room.
func (h *eventHead) bytes() int { return h.Size + h.ToldSize }

// teller is one who has to be told how an event ended.
type teller struct {
	ARN        string `json:"arn"`
	DeadLetter bool   `json:"deadLetter,omitempty"` // gets the event itself, not the document
}

// eventRows are the events on the disk, or those of a node in shared. With neither they are in memory only.
type eventRows struct {
	store  *store.Store
	shared SharedEvents
	ctx    context.Context // the service's, for shared
}

func newEventRows(s *Service) eventRows {
	if s.opts.SharedEvents != nil {
		return eventRows{shared: s.opts.SharedEvents, ctx: s.ctx}
	}
	return eventRows{store: s.opts.Store}
}

func (r eventRows) durable() bool { return r.store != nil || r.shared != nil }

func eventKey(kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceEvent, kind}, id)
}

func (h *eventHead) encode() ([]byte, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("function: encode an event: %w", err)
	}
	return append([]byte{eventVersion}, body...), nil
}

// add stores a new event, and what also puts beside it, synced.
func (r eventRows) add(e *event, also func(*store.Batch)) error {
	if r.shared != nil {
		return r.addShared(e)
	}
	return r.write(func(b *store.Batch) error {
		if also != nil {
			also(b)
		}
		b.Set(eventKey(eventPayloadRow, e.id), append([]byte{eventVersion}, e.payload...))
		return r.setHead(b, e)
	})
}

// update stores an event's head, synced.
func (r eventRows) update(e *event) error {
	if r.shared != nil {
		return r.putShared(r.ctx, e)
	}
	return r.write(func(b *store.Batch) error { return r.setHead(b, e) })
}

// ended stores that an event has ended, and what its destination is told (nil:
// nothing, the payload goes to a dead-letter queue), synced; and removes these others.
func (r eventRows) ended(e *event, out []*event) error {
	if r.shared != nil {
		return r.endedShared(e, out)
	}
	return r.write(func(b *store.Batch) error {
		for _, old := range out {
			r.delete(b, old)
		}
		if e.document != nil {
			b.Set(eventKey(eventDocumentRow, e.id), append([]byte{eventVersion}, e.document...))
		}
		return r.setHead(b, e)
	})
}

// remove removes events, synced.
func (r eventRows) remove(events ...*event) error {
	if r.shared != nil {
		return r.removeShared(events...)
	}
	return r.write(func(b *store.Batch) error {
		for _, e := range events {
			r.delete(b, e)
		}
		return nil
	})
}

func (eventRows) delete(b *store.Batch, e *event) {
	for _, kind := range []byte{eventHeadRow, eventPayloadRow, eventDocumentRow} {
		b.Delete(eventKey(kind, e.id))
	}
}

// told puts into a batch that the first of those who are to be told has been: the last one's event is gone.
func (r eventRows) told(b *store.Batch, e *event) error {
	if len(e.head.Tell) == 1 {
		r.delete(b, e)
		return nil
	}
	left := event{id: e.id, head: e.head}
	left.head.Tell = e.head.Tell[1:]
	return r.setHead(b, &left)
}

func (r eventRows) setHead(b *store.Batch, e *event) error {
	value, err := e.head.encode()
	if err == nil {
		b.Set(eventKey(eventHeadRow, e.id), value)
	}
	return err
}

func (r eventRows) write(fill func(b *store.Batch) error) error {
	if r.store == nil {
		return nil
	}
	b := r.store.NewBatch()
	defer b.Close()
	if err := fill(b); err != nil {
		return err
	}
	return r.store.Write(b)
}

func (r eventRows) payload(e *event) ([]byte, error)  { return r.get(eventPayloadRow, e) }
func (r eventRows) document(e *event) ([]byte, error) { return r.get(eventDocumentRow, e) }

func (r eventRows) get(kind byte, e *event) ([]byte, error) {
	if r.shared != nil {
		return r.getShared(kind, e)
	}
	value, found, err := r.store.Get(nil, eventKey(kind, e.id))
	switch {
	case err != nil:
		return nil, err
	case !found || len(value) == 0:
		return nil, errors.New("a part of it is not on the disk")
	case value[0] != eventVersion:
		return nil, errors.New("it was written by a newer release")
	}
	return value[1:], nil
}

// all returns the events that have not ended, in the order in which they were accepted.
func (r eventRows) all() (events []*event, err error) {
	if r.store == nil {
		return nil, nil
	}
	prefix := []byte{store.SpaceEvent, eventHeadRow}
	err = r.store.Each(prefix, func(key, v []byte) error {
		if len(key) != len(prefix)+8 || len(v) == 0 || v[0] != eventVersion {
			return errors.New("function: an Event invocation has an unknown format: it was written by a newer release")
		}
		e := &event{id: binary.BigEndian.Uint64(key[len(prefix):])}
		if err := json.Unmarshal(v[1:], &e.head); err != nil {
			return fmt.Errorf("function: decode an Event invocation: %w", err)
		}
		events = append(events, e)
		return nil
	})
	return events, err
}
