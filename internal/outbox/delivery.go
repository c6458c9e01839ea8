package outbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
)

// Delivery is one that is owed. It is stored as it is, apart from its payload: members are only ever added.
type Delivery struct {
	ID uint64 `json:"-"`
	// Source owes it: the ARN of a subscription, a schedule, or a rule and its target.
	Source string `json:"source"`
	// Ordered has it wait for the source's earlier ones.
	Ordered bool `json:"ordered,omitempty"`
	// Target is the ARN of a function or queue, or an http or https URL.
	Target string `json:"target"`
	// Attributes, Group and Dedup are a queue message's, of which a receiver takes those that its kind has; Headers and the rest are a request's.
	Attributes []Attribute       `json:"attributes,omitempty"`
	Group      string            `json:"group,omitempty"`
	Dedup      string            `json:"dedup,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	Trace      string            `json:"trace,omitempty"` // X-Ray's header

	Retry Retry `json:"retry"`
	// PerSecond is how many of the source's deliveries to others than this server begin in a second at most; 0: no limit.
	PerSecond float64 `json:"perSecond,omitempty"`
	SinceMS   int64   `json:"sinceMs"` // its age counts from here
	// DeadLetter is the ARN of the queue that is told when it is given up; empty: none. About are attributes of that message, beside those
	// that say what went wrong, whose names are in Letter.
	DeadLetter string            `json:"deadLetter,omitempty"`
	About      map[string]string `json:"about,omitempty"`
	Letter     Letter            `json:"letter"`

	Lost bool `json:"lost,omitempty"` // it was given up: Target is its dead-letter queue

	// Attempts that have failed, and when the next one is due.
	Attempts int    `json:"attempts,omitempty"`
	DueMS    int64  `json:"dueMs,omitempty"`
	Error    string `json:"error,omitempty"` // of the last attempt
	Size     int    `json:"size"`            // of the payload, attributes and headers in bytes
}

// Attribute is one of a message.
type Attribute struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Value  []byte `json:"value"`
	Binary bool   `json:"binary,omitempty"`
}

// Retry says how often a delivery is tried again.
type Retry struct {
	Attempts int   `json:"attempts"`        // after the first
	AgeMS    int64 `json:"ageMs,omitempty"` // 0: no limit
	// Delays are the seconds before each, the last one for all that follow; none: 1, 2, 4 and so on up to five minutes.
	Delays []int `json:"delays,omitempty"`
}

// Letter names the attributes by which a dead-letter queue is told what went wrong; an empty name leaves one out.
type Letter struct {
	Code      string `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
	Condition string `json:"condition,omitempty"` // MaximumRetryAttempts or MaximumEventAgeInSeconds
	Attempts  string `json:"attempts,omitempty"`  // retries that were made
	// Plain has the dead-letter queue get what was to be delivered, with its own attributes and nothing else. Event says that this is the event of a
	// topic's subscription to a function: what makes it ready for the queue is Options.Send.
	Plain bool `json:"plain,omitempty"`
	Event bool `json:"event,omitempty"`
}

// far says that the receiver is not this server's.
func (d *Delivery) far() bool { return strings.HasPrefix(d.Target, "http") }

// endMS is when it is given up should it not be read: when it would be in any case, and not before a letter would be.
func (d *Delivery) endMS() int64 { return d.SinceMS + max(d.Retry.AgeMS, letterAge.Milliseconds()) }

const maxBackoff = 5 * time.Minute

// delay is the time before the next attempt.
func (d *Delivery) delay() time.Duration {
	if n := len(d.Retry.Delays); n > 0 {
		return time.Duration(d.Retry.Delays[min(d.Attempts-1, n-1)]) * time.Second
	}
	return min(time.Second<<min(d.Attempts-1, 16), maxBackoff)
}

// Permanent is an error of Send that no further attempt can mend.
type Permanent struct {
	Code string // as AWS has it; may be empty
	Err  error
}

func (e *Permanent) Error() string { return e.Err.Error() }
func (e *Permanent) Unwrap() error { return e.Err }

// letterAge is how long a dead-letter queue is tried to be told, and at least how long a delivery that cannot be read is kept.
const letterAge = 14 * 24 * time.Hour

// maxLetterError is how much of an error a dead-letter queue is told, in bytes.
const maxLetterError = 1024

// toDeadLetter makes the message to its dead-letter queue of a delivery that was given up.
func (d *Delivery) toDeadLetter(code, condition, message string, now time.Time) {
	d.Target, d.DeadLetter = d.DeadLetter, ""
	attempts := d.Attempts
	d.Headers = nil
	d.Attempts, d.DueMS, d.SinceMS, d.Lost = 0, 0, now.UnixMilli(), true
	d.Retry = Retry{Attempts: 1 << 30, AgeMS: letterAge.Milliseconds()}
	if d.Letter.Plain {
		return
	}
	d.Attributes = nil
	add := func(name, value string) {
		if name != "" && value != "" {
			d.Attributes = append(d.Attributes, Attribute{Name: name, Type: "String", Value: []byte(value)})
		}
	}
	for _, name := range sortedKeys(d.About) {
		add(name, d.About[name])
	}
	add(d.Letter.Code, code)
	add(d.Letter.Message, message[:min(len(message), maxLetterError)])
	add(d.Letter.Condition, condition)
	add(d.Letter.Attempts, strconv.Itoa(max(0, attempts-1)))
}

// A delivery's rows: SpaceOutbox ‖ kind ‖ id (8), and as value a version byte and what the kind says. Only heads change.
const (
	headRow    = 'h' // JSON
	payloadRow = 'p'

	rowVersion = 1
)

func key(kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceOutbox, kind}, id)
}

func (d *Delivery) setHead(b *store.Batch) error {
	row, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("outbox: encode a delivery: %w", err)
	}
	b.Set(key(headRow, d.ID), append([]byte{rowVersion}, row...))
	return nil
}

func (d *Delivery) remove(b *store.Batch) {
	b.Delete(key(headRow, d.ID))
	b.Delete(key(payloadRow, d.ID))
}

var errRow = errors.New("outbox: a delivery cannot be read: it is damaged, or was written by a newer release")

func decodeHead(id uint64, row []byte) (*Delivery, error) {
	d := &Delivery{ID: id}
	if len(row) == 0 || row[0] != rowVersion || json.Unmarshal(row[1:], d) != nil {
		return nil, errRow
	}
	return d, nil
}
