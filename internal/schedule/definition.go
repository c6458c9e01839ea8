package schedule

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // machines without it must know the zones too

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/schedule/when"
	"github.com/millstreamdb/millstream/internal/store"
)

// Kind says whose API a definition came by.
type Kind byte

const (
	Rule     Kind = 'r' // a rule of EventBridge
	Schedule Kind = 's' // a schedule of EventBridge Scheduler
)

// DefaultGroup is the schedule group that is always there, and DefaultBus the one event bus.
const (
	DefaultGroup = "default"
	DefaultBus   = "default"
)

// Definition is a rule or a schedule. It is stored as it is: members are only ever added. It is a value that never changes.
type Definition struct {
	ID          uint64
	Kind        Kind
	Scope       arn.Scope
	Group       string `json:",omitempty"` // of a schedule
	Name        string
	Description string `json:",omitempty"`
	Expression  string
	Timezone    string `json:",omitempty"` // IANA's name; empty: UTC
	Disabled    bool   `json:",omitempty"`
	StartMS     int64  `json:",omitempty"` // no start before, in ms since 1970; 0: no limit
	EndMS       int64  `json:",omitempty"` // none after
	// WindowMinutes is how much later than its moment a start may be; 0: not at all.
	WindowMinutes int    `json:",omitempty"`
	DeleteAfter   bool   `json:",omitempty"` // it is removed with its last start
	RoleARN       string `json:",omitempty"`
	KeyARN        string `json:",omitempty"`
	Targets       []Target
	Tags          map[string]string `json:",omitempty"`
	CreatedMS     int64
	ModifiedMS    int64
	AnchorMS      int64  // a rate() counts from here
	Token         string `json:",omitempty"` // the client's, of the request that made it
}

// again says that a definition is asked for as another one was, by the same client's token.
func (d *Definition) again(other *Definition) bool {
	a, b := *d, *other
	for _, x := range []*Definition{&a, &b} {
		x.ID, x.CreatedMS, x.ModifiedMS, x.AnchorMS = 0, 0, 0, 0
	}
	one, err1 := encodeJSON(a)
	two, err2 := encodeJSON(b)
	return d.Token != "" && err1 == nil && err2 == nil && bytes.Equal(one, two)
}

// Target is what a start goes to: a function or a queue of this server.
type Target struct {
	ID            string `json:",omitempty"` // of a rule's target
	ARN           string
	RoleARN       string  `json:",omitempty"`
	Input         *string `json:",omitempty"` // nil: the event of a scheduled start
	GroupID       string  `json:",omitempty"` // MessageGroupId of a FIFO queue
	RetryAttempts *int    `json:",omitempty"` // 0 to 185
	MaxAge        *int    `json:",omitempty"` // 60 to 86,400 seconds
	DeadLetter    string  `json:",omitempty"` // ARN of a queue
}

// Limits and defaults of retries, which are AWS's.
const (
	maxRetries    = 185
	minAgeSeconds = 60
	maxAgeSeconds = 86_400
)

// ARN names the definition.
func (d *Definition) ARN() string {
	if d.Kind == Rule {
		return d.Scope.ARN("events", "rule/"+d.Name)
	}
	return d.Scope.ARN("scheduler", "schedule/"+d.Group+"/"+d.Name)
}

// GroupARN names a schedule group.
func GroupARN(scope arn.Scope, group string) string {
	return scope.ARN("scheduler", "schedule-group/"+group)
}

// name is by what a definition is found.
type name struct {
	kind        Kind
	scope       arn.Scope
	group, name string
}

func (d *Definition) key() name { return name{d.Kind, d.Scope, d.Group, d.Name} }

// Group is a schedule group.
type Group struct {
	Scope                 arn.Scope
	Name                  string
	Tags                  map[string]string `json:",omitempty"`
	CreatedMS, ModifiedMS int64
	Token                 string `json:",omitempty"` // the client's, of the request that made it
}

type groupName struct {
	scope arn.Scope
	name  string
}

// state is what changes of a definition with each start, in ms since 1970; 0 is none.
type state struct {
	next int64 // the moment of the next start
	due  int64 // when that is made: within the window after next
	last int64 // the moment of the latest start
}

// Rows: SpaceSchedule ‖ kind ‖ id (8), or the group's account, region and name; and as value a version byte and what the kind says.
const (
	rowDefinition = 'd' // JSON
	rowState      = 's' // next, due, last (8 each)
	rowGroup      = 'g' // JSON

	rowVersion = 1
)

func numbered(kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceSchedule, kind}, id)
}

func groupKey(g groupName) []byte {
	return append([]byte{store.SpaceSchedule, rowGroup}, strings.Join([]string{g.scope.Account, g.scope.Region, g.name}, "\x00")...)
}

func encodeJSON(v any) ([]byte, error) {
	row, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("schedule: encode: %w", err)
	}
	return append([]byte{rowVersion}, row...), nil
}

var errRow = errors.New("a schedule cannot be read: it is damaged, or was written by a newer release")

func decodeJSON(row []byte, into any) error {
	if len(row) == 0 || row[0] != rowVersion || json.Unmarshal(row[1:], into) != nil {
		return errRow
	}
	return nil
}

func (s state) encode() []byte {
	b := append(make([]byte, 0, 25), rowVersion)
	for _, n := range []int64{s.next, s.due, s.last} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func decodeState(row []byte) (state, error) {
	if len(row) != 25 || row[0] != rowVersion {
		return state{}, errRow
	}
	at := func(i int) int64 { return int64(binary.BigEndian.Uint64(row[1+8*i:])) }
	return state{at(0), at(1), at(2)}, nil
}

// entry is a definition at work. Service.control guards it.
type entry struct {
	def   *Definition
	expr  when.Expression
	zone  *time.Location
	state state
	index int   // in the heap; -1: it is not due any more
	held  int64 // it owes too much and is not started before, in ms since 1970
}

// newEntry reads a definition's expression and zone.
func newEntry(d *Definition) (*entry, error) {
	e := &entry{def: d, index: -1}
	var err error
	if e.expr, err = when.Parse(d.Expression); err != nil {
		return nil, err
	}
	e.zone, err = zoneOf(d.Timezone)
	return e, err
}

// zoneOf finds a time zone; the zone of the machine has no name here.
func zoneOf(timezone string) (*time.Location, error) {
	if timezone == "Local" {
		return nil, errors.New("unknown time zone Local")
	}
	return time.LoadLocation(timezone)
}

// endOfTime is the end of the year 9999 in ms since 1970. No date is later, and nothing starts later.
const endOfTime = 253_402_300_799_999

// after is the next moment after another one, 0 for none.
func (e *entry) after(ms int64) int64 {
	anchor := e.def.AnchorMS
	if e.def.StartMS != 0 {
		anchor = e.def.StartMS
		if !e.expr.Once() {
			ms = max(ms, anchor-1)
		}
	}
	t, ok := e.expr.Next(time.UnixMilli(ms), time.UnixMilli(anchor), e.zone)
	if !ok || t.Year() > 9999 || e.def.EndMS != 0 && !e.expr.Once() && t.UnixMilli() > e.def.EndMS {
		return 0
	}
	return t.UnixMilli()
}

// onceGrace is how long ago the moment of a new at() may be; AWS starts within the minute.
const onceGrace = 60_000

// first is the first moment of a definition that begins now, 0 for none. A rule's rate() is due after one rate, a schedule's at once.
func (e *entry) first(now int64) int64 {
	switch {
	case e.def.Disabled:
		return 0
	case e.expr.Once():
		return e.after(now - onceGrace)
	case e.def.Kind == Schedule && e.expr.Rate() > 0 && e.def.StartMS == 0:
		return e.after(e.def.AnchorMS - 1)
	}
	return e.after(now)
}
