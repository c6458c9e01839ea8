package schedule

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schedule/when"
)

// startGrace is how long ago a StartDate may be, in ms.
const startGrace = 5 * 60_000

// Limits of lengths, which are AWS's. An Input has none there: what a target can get is bounded by the request.
const (
	maxExpression = 256
	maxARN        = 1600
	maxToken      = 64
)

// maxWindow is the longest flexible time window, in minutes.
const maxWindow = 1440

// Create makes a schedule. A client that asks for the same again, with the same Token, gets the same answer.
func (s *Service) Create(d Definition) (scheduleARN string, err error) { return s.putSchedule(d, true) }

// Update replaces a schedule as a whole.
func (s *Service) Update(d Definition) (scheduleARN string, err error) {
	return s.putSchedule(d, false)
}

func (s *Service) putSchedule(d Definition, create bool) (string, error) {
	d.Kind, d.Group = Schedule, cmp.Or(d.Group, DefaultGroup)
	if err := checkSchedule(&d); err != nil {
		return "", err
	}
	s.control.Lock()
	defer s.control.Unlock()
	if s.group(d.Scope, d.Group) == nil {
		return "", awserr.ScheduleGroupMissing(d.Group)
	}
	old := s.entries[d.key()]
	switch {
	case create && old != nil && d.again(old.def):
		return d.ARN(), nil
	case create && old != nil:
		return "", awserr.ScheduleExists(d.Name)
	case !create && old == nil:
		return "", awserr.ScheduleMissing(d.Name)
	}
	begin := true
	if old != nil {
		o := old.def
		begin = o.Expression != d.Expression || o.Timezone != d.Timezone || o.StartMS != d.StartMS || o.EndMS != d.EndMS || o.Disabled != d.Disabled
	}
	if d.StartMS != 0 && d.StartMS < s.now()-startGrace && (old == nil || old.def.StartMS != d.StartMS) {
		return "", awserr.ScheduleValidation("The StartDate you specify cannot be earlier than 5 minutes ago.")
	}
	return d.ARN(), s.put(d, begin)
}

// checkSchedule makes the checks that need no state.
func checkSchedule(d *Definition) error {
	var v constraints
	v.word(d.Name, "name", 64, scheduleWord)
	v.word(d.Group, "groupName", 64, scheduleWord)
	v.atMost(d.Description, "description", maxDescription)
	v.atMost(d.Expression, "scheduleExpression", maxExpression)
	v.atMost(d.Timezone, "scheduleExpressionTimezone", 50)
	v.atMost(d.KeyARN, "kmsKeyArn", 2048)
	v.atMost(d.Token, "clientToken", maxToken)
	if d.WindowMinutes < 0 || d.WindowMinutes > maxWindow {
		v.fail(itoa(d.WindowMinutes), "flexibleTimeWindow.maximumWindowInMinutes", "Member must have value between 1 and "+itoa(maxWindow))
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		v.retries(t, "target.retryPolicy")
		v.atMost(t.ARN, "target.arn", maxARN)
		v.atMost(t.RoleARN, "target.roleArn", maxARN)
		v.atMost(t.DeadLetter, "target.deadLetterConfig.arn", maxARN)
		v.atMost(t.GroupID, "target.sqsParameters.messageGroupId", 128)
	}
	if err := v.err(); err != nil {
		return err
	}
	if _, err := when.Parse(d.Expression); err != nil {
		return awserr.ScheduleExpression(d.Expression)
	}
	if _, err := zoneOf(d.Timezone); err != nil {
		return awserr.ScheduleValidation("Invalid ScheduleExpressionTimezone: " + d.Timezone + ".")
	}
	if d.StartMS > endOfTime || d.EndMS > endOfTime {
		return awserr.ScheduleValidation("StartDate and EndDate must not be later than the year 9999. They are in seconds since 1970.")
	}
	if d.StartMS != 0 && d.EndMS != 0 && d.EndMS <= d.StartMS {
		return awserr.ScheduleValidation("The EndDate you specify must come after the StartDate.")
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		if err := checkTarget(t); err != nil {
			return err
		}
		// What a queue is sent may be any text. AWS's words are JSON only when they have been replaced.
		if t.Input != nil && *t.Input != "" && arn.Service(t.ARN) == "lambda" && !json.Valid([]byte(inContext(*t.Input, "0", "0", "0"))) {
			return awserr.ScheduleValidation("Invalid Input: what a function is started with must be well-formed JSON.")
		}
	}
	return nil
}

// Delete removes a schedule.
func (s *Service) Delete(scope arn.Scope, group, schedule string) error {
	s.control.Lock()
	defer s.control.Unlock()
	e, err := s.schedule(scope, group, schedule)
	if err != nil {
		return err
	}
	return s.remove(e)
}

// group finds a schedule group; the default one is always there. The caller holds control.
func (s *Service) group(scope arn.Scope, group string) *Group {
	if g := s.groups[groupName{scope, group}]; g != nil || group != DefaultGroup {
		return g
	}
	return &Group{Scope: scope, Name: DefaultGroup}
}

// Group returns a schedule group.
func (s *Service) Group(scope arn.Scope, group string) (Group, error) {
	s.control.Lock()
	defer s.control.Unlock()
	if g := s.group(scope, group); g != nil {
		return *g, nil
	}
	return Group{}, awserr.ScheduleGroupMissing(group)
}

// Groups returns the schedule groups of a scope by ascending name.
func (s *Service) Groups(scope arn.Scope) []Group {
	s.control.Lock()
	defer s.control.Unlock()
	all := []Group{*s.group(scope, DefaultGroup)}
	for n, g := range s.groups {
		if n.scope == scope && n.name != DefaultGroup {
			all = append(all, *g)
		}
	}
	slices.SortFunc(all, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// CreateGroup makes a schedule group. A client that asks for the same again, with the same token, gets the same answer; an empty token is none.
func (s *Service) CreateGroup(scope arn.Scope, group string, tags map[string]string, token string) (groupARN string, err error) {
	var v constraints
	v.word(group, "name", 64, scheduleWord)
	v.atMost(token, "clientToken", maxToken)
	if err := v.err(); err != nil {
		return "", err
	}
	if err := checkTags(tags); err != nil {
		return "", err
	}
	s.control.Lock()
	defer s.control.Unlock()
	if old := s.group(scope, group); old != nil {
		if token != "" && old.Token == token && maps.Equal(old.Tags, tags) {
			return GroupARN(scope, group), nil
		}
		return "", awserr.ScheduleGroupExists(group)
	}
	now := s.now()
	return GroupARN(scope, group), s.putGroup(&Group{Scope: scope, Name: group, Tags: tags, Token: token, CreatedMS: now, ModifiedMS: now})
}

// putGroup stores a group. The caller holds control.
func (s *Service) putGroup(g *Group) error {
	row, err := encodeJSON(g)
	if err != nil {
		return err
	}
	key := groupName{g.Scope, g.Name}
	if err := s.admit(Schedule, s.groups[key] != nil); err != nil {
		return err
	}
	b := s.o.Store.NewBatch()
	defer b.Close()
	b.Set(groupKey(key), row)
	if err := s.o.Store.Write(b); err != nil {
		return err
	}
	s.groups[key] = g
	return nil
}

// DeleteGroup removes a schedule group with its schedules.
func (s *Service) DeleteGroup(scope arn.Scope, group string) error {
	s.control.Lock()
	defer s.control.Unlock()
	if group == DefaultGroup {
		return awserr.ScheduleValidation("Cannot delete the default schedule group.")
	}
	key := groupName{scope, group}
	if s.groups[key] == nil {
		return awserr.ScheduleGroupMissing(group)
	}
	var all []*entry
	for n, e := range s.entries {
		if n.kind == Schedule && n.scope == scope && n.group == group {
			all = append(all, e)
		}
	}
	if err := s.remove(all...); err != nil {
		return err
	}
	b := s.o.Store.NewBatch()
	defer b.Close()
	b.Delete(groupKey(key))
	if err := s.o.Store.Write(b); err != nil {
		return err
	}
	delete(s.groups, key)
	return nil
}

// Schedules returns the schedules of a scope by group and name: those of a group, all for an empty one, whose names begin with prefix.
func (s *Service) Schedules(scope arn.Scope, group, prefix string) (all []Shown, err error) {
	if group != "" {
		if _, err := s.Group(scope, group); err != nil {
			return nil, err
		}
	}
	for _, d := range s.All(scope) {
		if d.Kind == Schedule && (group == "" || d.Group == group) && strings.HasPrefix(d.Name, prefix) {
			all = append(all, d)
		}
	}
	return all, nil
}
