package schedule

import (
	"slices"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
)

// Limits of rules, which are AWS's.
const (
	maxTargets     = 5
	maxRuleInput   = 8192 // bytes
	maxDescription = 512
)

// PutRule makes a rule with a schedule expression, or changes it. Its targets and tags stay.
func (s *Service) PutRule(d Definition) (ruleARN string, err error) {
	d.Kind, d.Group = Rule, ""
	var v constraints
	v.word(d.Name, "name", 64, ruleWord)
	v.atMost(d.Description, "description", maxDescription)
	v.atMost(d.Expression, "scheduleExpression", maxExpression)
	v.atMost(d.RoleARN, "roleArn", maxARN)
	if err := v.err(); err != nil {
		return "", err
	}
	if !ruleExpression(d.Expression) {
		return "", awserr.RuleExpression()
	}
	if err := checkTags(d.Tags); err != nil {
		return "", err
	}
	s.control.Lock()
	defer s.control.Unlock()
	begin := true
	if old := s.entries[d.key()]; old != nil {
		d.Targets, d.Tags = old.def.Targets, old.def.Tags
		begin = old.def.Expression != d.Expression || old.def.Disabled != d.Disabled
	}
	return d.ARN(), s.put(d, begin)
}

// EnableRule has a rule start its targets, or no more.
func (s *Service) EnableRule(scope arn.Scope, rule string, enabled bool) error {
	s.control.Lock()
	defer s.control.Unlock()
	e, err := s.rule(scope, rule)
	if err != nil || e.def.Disabled == !enabled {
		return err
	}
	d := *e.def
	d.Disabled = !enabled
	return s.put(d, true)
}

// DeleteRule removes a rule, which must have no target. A rule that is not there is no error.
func (s *Service) DeleteRule(scope arn.Scope, rule string) error {
	s.control.Lock()
	defer s.control.Unlock()
	e := s.entries[name{Rule, scope, "", rule}]
	switch {
	case e == nil:
		return nil
	case len(e.def.Targets) > 0:
		return awserr.RuleHasTargets()
	}
	return s.remove(e)
}

// Refused is a target that was not taken.
type Refused struct{ ID, Code, Message string }

// PutTargets adds targets to a rule, or replaces those with the same ids.
func (s *Service) PutTargets(scope arn.Scope, rule string, targets []Target) ([]Refused, error) {
	s.control.Lock()
	defer s.control.Unlock()
	e, err := s.rule(scope, rule)
	if err != nil {
		return nil, err
	}
	d := *e.def
	d.Targets = slices.Clone(d.Targets)
	for i := range targets {
		t := targets[i]
		var v constraints
		v.word(t.ID, "targets."+itoa(i+1)+".member.id", 64, ruleWord)
		v.retries(&t, "targets."+itoa(i+1)+".member.retryPolicy")
		v.atMost(t.ARN, "targets."+itoa(i+1)+".member.arn", maxARN)
		v.atMost(t.RoleARN, "targets."+itoa(i+1)+".member.roleArn", maxARN)
		if t.Input != nil && len(*t.Input) > maxRuleInput {
			v.fail(*t.Input, "targets."+itoa(i+1)+".member.input", "Member must have length less than or equal to "+itoa(maxRuleInput))
		}
		if err := v.err(); err != nil {
			return nil, err
		}
		if err := checkTarget(&t); err != nil {
			return nil, err
		}
		if at := slices.IndexFunc(d.Targets, func(o Target) bool { return o.ID == t.ID }); at >= 0 {
			d.Targets[at] = t
		} else {
			d.Targets = append(d.Targets, t)
		}
	}
	if len(d.Targets) > maxTargets {
		return nil, awserr.RuleTargets()
	}
	return nil, s.put(d, false)
}

// RemoveTargets removes targets from a rule.
func (s *Service) RemoveTargets(scope arn.Scope, rule string, ids []string) ([]Refused, error) {
	s.control.Lock()
	defer s.control.Unlock()
	e, err := s.rule(scope, rule)
	if err != nil {
		return nil, err
	}
	d := *e.def
	var refused []Refused
	for _, id := range ids {
		if !slices.ContainsFunc(d.Targets, func(t Target) bool { return t.ID == id }) {
			refused = append(refused, Refused{id, "ResourceNotFoundException", "Rule " + rule + " does not have a target with the id " + id + "."})
		}
	}
	d.Targets = slices.DeleteFunc(slices.Clone(d.Targets), func(t Target) bool { return slices.Contains(ids, t.ID) })
	return refused, s.put(d, false)
}
