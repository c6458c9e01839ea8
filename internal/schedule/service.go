package schedule

import (
	"cmp"
	"encoding/binary"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Options of Open. All but Logger are required.
type Options struct {
	Store  *store.Store
	Clock  *worker.Clock
	Outbox *outbox.Outbox
	Logger *slog.Logger // nil: nothing is logged
}

// Service has all rules and schedules. Its methods may be called by many goroutines at once.
type Service struct {
	o      Options
	nextID uint64

	control sync.Mutex // guards all that follows, and is held while starts and definitions are stored
	entries map[name]*entry
	groups  map[groupName]*Group
	due     dueHeap
	timer   *worker.Timer
	started bool
	closed  bool
}

// Open loads rules and schedules. They start with Start.
func Open(o Options) (*Service, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{o: o, nextID: o.Store.Incarnation() << 40, entries: map[name]*entry{}, groups: map[groupName]*Group{}}
	states := map[uint64]state{}
	err := s.each(rowState, func(rest, v []byte) error {
		st, err := decodeState(v)
		if len(rest) == 8 {
			states[binary.BigEndian.Uint64(rest)] = st
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = s.each(rowDefinition, func(_, v []byte) error {
		d := &Definition{}
		if err := decodeJSON(v, d); err != nil {
			return err
		}
		e, err := newEntry(d)
		if err != nil { // it was accepted by a release that knew it
			o.Logger.Error("a schedule cannot be followed and does not start", "schedule", d.ARN(), "expression", d.Expression, "error", err)
			e = &entry{def: d, index: -1}
		}
		e.state = states[d.ID]
		s.entries[d.key()] = e
		s.nextID = max(s.nextID, d.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.each(rowGroup, func(_, v []byte) error {
		g := &Group{}
		if err := decodeJSON(v, g); err != nil {
			return err
		}
		s.groups[groupName{g.Scope, g.Name}] = g
		return nil
	})
	return s, err
}

func (s *Service) each(kind byte, f func(rest, value []byte) error) error {
	prefix := []byte{store.SpaceSchedule, kind}
	return s.o.Store.Each(prefix, func(k, v []byte) error { return f(k[len(prefix):], v) })
}

func (s *Service) now() int64 { return s.o.Clock.Wall().UnixMilli() }

// Shown is a definition with what it does next.
type Shown struct {
	*Definition
	NextMS, LastMS int64 // 0: none
}

func (e *entry) shown() Shown {
	return Shown{Definition: e.def, NextMS: e.state.next, LastMS: e.state.last}
}

// All returns the rules and schedules of a scope, those of all scopes when it is the zero one, by ascending ARN.
func (s *Service) All(scope arn.Scope) []Shown {
	s.control.Lock()
	defer s.control.Unlock()
	var all []Shown
	for _, e := range s.entries {
		if e.def.Scope == scope || scope == (arn.Scope{}) {
			all = append(all, e.shown())
		}
	}
	slices.SortFunc(all, func(a, b Shown) int { return cmp.Compare(a.ARN(), b.ARN()) })
	return all
}

// Rule returns a rule.
func (s *Service) Rule(scope arn.Scope, rule string) (Shown, error) {
	s.control.Lock()
	defer s.control.Unlock()
	e, err := s.rule(scope, rule)
	if err != nil {
		return Shown{}, err
	}
	return e.shown(), nil
}

func (s *Service) rule(scope arn.Scope, rule string) (*entry, error) {
	if e := s.entries[name{Rule, scope, "", rule}]; e != nil {
		return e, nil
	}
	return nil, awserr.RuleMissing(rule)
}

// Schedule returns a schedule; an empty group is the default one.
func (s *Service) Schedule(scope arn.Scope, group, schedule string) (Shown, error) {
	s.control.Lock()
	defer s.control.Unlock()
	e, err := s.schedule(scope, group, schedule)
	if err != nil {
		return Shown{}, err
	}
	return e.shown(), nil
}

func (s *Service) schedule(scope arn.Scope, group, schedule string) (*entry, error) {
	if e := s.entries[name{Schedule, scope, cmp.Or(group, DefaultGroup), schedule}]; e != nil {
		return e, nil
	}
	return nil, awserr.ScheduleMissing(schedule)
}

// admit refuses what takes space while the disk is nearly full. A change of what is there may remove something, and goes on for some longer.
func (s *Service) admit(k Kind, change bool) error {
	admit, code := s.o.Store.Admit, "InternalServerException"
	if change {
		admit = s.o.Store.AdmitDelete
	}
	if k == Rule {
		code = "InternalException"
	}
	return awserr.WhenFull(admit(), store.ErrDiskFull, code)
}

// put stores a definition in the place of what is there under its name. begin has it begin anew: its next start is worked out from now on. The caller
// holds control.
func (s *Service) put(d Definition, begin bool) error {
	old := s.entries[d.key()]
	if err := s.admit(d.Kind, old != nil); err != nil {
		return err
	}
	now := s.now()
	d.ModifiedMS = now
	if old == nil {
		s.nextID++
		d.ID, d.CreatedMS = s.nextID, now
		begin = true
	} else {
		d.ID, d.CreatedMS = old.def.ID, old.def.CreatedMS
		if !begin {
			d.AnchorMS = old.def.AnchorMS
		}
	}
	if begin {
		d.AnchorMS = now / 1000 * 1000
	}
	e, err := newEntry(&d)
	if err != nil {
		return err
	}
	if old != nil {
		e.state = old.state
	}
	if begin {
		e.state.next = e.first(now)
		e.state.due = e.within(e.state.next)
	}
	row, err := encodeJSON(&d)
	if err != nil {
		return err
	}
	b := s.o.Store.NewBatch()
	defer b.Close()
	b.Set(numbered(rowDefinition, d.ID), row)
	b.Set(numbered(rowState, d.ID), e.state.encode())
	if err := s.o.Store.Write(b); err != nil {
		return err
	}
	if old != nil {
		s.due.remove(old)
	}
	s.entries[d.key()] = e
	s.queue(e)
	return nil
}

// remove removes definitions. The caller holds control.
func (s *Service) remove(all ...*entry) error {
	b := s.o.Store.NewBatch()
	defer b.Close()
	for _, e := range all {
		b.Delete(numbered(rowDefinition, e.def.ID))
		b.Delete(numbered(rowState, e.def.ID))
	}
	if err := s.o.Store.Write(b); err != nil {
		return err
	}
	for _, e := range all {
		s.due.remove(e)
		delete(s.entries, e.def.key())
	}
	return nil
}

// Tags of what an ARN of the account names; the map is not to be changed.
func (s *Service) Tags(account, of string) (map[string]string, error) {
	s.control.Lock()
	defer s.control.Unlock()
	tags, _, err := s.tagged(account, of)
	return tags, err
}

// ChangeTags sets tags and removes others.
func (s *Service) ChangeTags(account, of string, set map[string]string, unset []string) error {
	s.control.Lock()
	defer s.control.Unlock()
	have, store, err := s.tagged(account, of)
	if err != nil {
		return err
	}
	tags := maps.Clone(have)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, set)
	for _, key := range unset {
		delete(tags, key)
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	return store(tags)
}

// tagged finds what an ARN of the account names, its tags, and what stores others. What is another account's is not there. The
// caller holds control.
func (s *Service) tagged(account, of string) (tags map[string]string, store func(map[string]string) error, err error) {
	if _, other := arn.OfOther(account, of); other {
		return nil, nil, missing(of)
	}
	for _, e := range s.entries {
		if e.def.ARN() == of && e.def.Kind == Rule {
			return e.def.Tags, func(tags map[string]string) error {
				d := *e.def
				d.Tags = tags
				return s.put(d, false)
			}, nil
		}
	}
	for _, g := range s.groups {
		if GroupARN(g.Scope, g.Name) == of {
			return g.Tags, func(tags map[string]string) error {
				changed := *g
				changed.Tags, changed.ModifiedMS = tags, s.now()
				return s.putGroup(&changed)
			}, nil
		}
	}
	return nil, nil, missing(of)
}

// missing is the answer to an ARN of what is not there.
func missing(of string) error {
	if a, ok := arn.Parse(of); ok && a.Service == "events" {
		if rule, is := strings.CutPrefix(a.Resource, "rule/"); is {
			return awserr.RuleMissing(rule)
		}
		switch bus, is := strings.CutPrefix(a.Resource, "event-bus/"); {
		case is && bus != "default":
			return awserr.BusMissing(bus)
		case is:
			return awserr.EventsUnsupported("Of EventBridge, Millstream has rules with a schedule expression, not tags of event buses.")
		}
	}
	return awserr.ScheduleResourceMissing(of)
}
