package template

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/schedule/when"
)

// retryPolicy and deadLetters are of both kinds of targets.
type retryPolicy struct {
	MaximumRetryAttempts, MaximumEventAgeInSeconds *int32 `json:",omitempty"`
}

type deadLetters struct{ Arn string }

type fifoParameters struct{ MessageGroupId string }

// ruleStep is an AWS::Events::Rule to deploy, which SAM makes of a Schedule event.
type ruleStep struct {
	Name, Description, ScheduleExpression, EventBusName, RoleArn string
	State                                                        string
	EventPattern                                                 unsupported `effect:"the targets are called by the schedule alone"`
	Targets                                                      []ruleTarget
	Tags                                                         []tag
}

type ruleTarget struct {
	Id, Arn, RoleArn string
	Input            *string
	InputPath        unsupported `effect:"the target gets the whole event"`
	InputTransformer unsupported `effect:"the target gets the whole event"`
	SqsParameters    *fifoParameters
	DeadLetterConfig *deadLetters
	RetryPolicy      *retryPolicy
}

func prepareRule(c *preparation) step {
	r := &ruleStep{State: "ENABLED"}
	if bus := scalarOf(c.props.get("EventBusName")); bus != "" && bus != "default" && !strings.HasSuffix(bus, ":event-bus/default") {
		c.leave(c.r.line, effectOf(c.r.typ), "event buses of one's own are not supported, only the default one")
		return nil
	}
	if c.props.get("EventPattern") != nil && c.props.get("ScheduleExpression") == nil {
		c.leave(c.r.line, effectOf(c.r.typ), "rules with an EventPattern are not supported, only those with a ScheduleExpression")
		return nil
	}
	if list := c.props.get("Targets"); list != nil { // what cannot be started is told of before its own properties
		kept := *list
		kept.list = nil
		for i, t := range list.list {
			if !c.leftOut(i, len(list.list)) && c.canStart(t.get("Arn"), fmt.Sprintf("Targets[%d].Arn", i)) {
				kept.list = append(kept.list, t)
			}
		}
		if c.r.missing = len(kept.list) == 0 && len(list.list) > 0; c.r.missing {
			return nil
		}
		c.props = c.props.with("Targets", &kept)
	}
	c.into(r)
	r.Name = c.plan.name(c.r.id, r.Name)
	c.named(ruleNaming, r.Name)
	c.checkExpression("ScheduleExpression", r.ScheduleExpression, false)
	return r
}

// leftOut says whether one of n targets is a resource that is left out, of which it tells.
func (c *preparation) leftOut(i, n int) (left bool) {
	raw := c.r.props.get("Targets")
	if raw == nil || len(raw.list) != n {
		return false
	}
	mentions(raw.list[i].get("Arn"), func(line int, name string) {
		id, _, _ := strings.Cut(name, ".")
		if r := c.plan.byID[id]; r != nil && r.missing && !left {
			left = true
			if c.problems.skip {
				c.problems.lack(line, "it is not started", c.r.id+" of "+id)
			}
		}
	})
	return left
}

// canStart says whether a schedule can start a target, and tells of one that it cannot.
func (c *preparation) canStart(target *node, path string) bool {
	if target == nil || target.kind != scalar { // told of when the properties are decoded
		return true
	}
	switch service := arn.Service(target.text); service {
	case "lambda", "sqs", "":
		return true
	default:
		c.problems.lack(target.line, "it is not started", c.r.id+"."+path+": targets of "+service+" are not supported, only functions and queues")
		return false
	}
}

func (c *preparation) checkExpression(property, text string, once bool) {
	n := c.props.get(property)
	if n == nil {
		c.problems.add(c.r.line, "%s has no %s", c.r.id, property)
		return
	}
	e, err := when.Parse(text)
	if err == nil && e.Once() && !once {
		err = errors.New("at(...) is for schedules of EventBridge Scheduler")
	}
	if err != nil {
		c.problems.add(n.line, "%s.%s: %q: %s", c.r.id, property, text, err.Error())
	}
}

func (r *ruleStep) there(ctx context.Context, d *deployment) (ref string, err error) {
	now, err := d.rules.find(ctx, r.Name)
	if err != nil || now == nil {
		return "", err
	}
	return now.Name, nil
}

func (r *ruleStep) deploy(ctx context.Context, d *deployment) (outcome, error) {
	action := Unchanged
	now, err := d.rules.find(ctx, r.Name)
	switch {
	case err != nil:
		return outcome{}, err
	case now == nil:
		action, now = Created, &eventRule{}
	case now.State != r.State || now.ScheduleExpression != r.ScheduleExpression || now.Description != r.Description || now.RoleArn != r.RoleArn:
		action = Updated
	}
	if action != Unchanged {
		now.Arn, err = d.rules.put(ctx, &eventRule{Name: r.Name, ScheduleExpression: r.ScheduleExpression, State: r.State, Description: r.Description, RoleArn: r.RoleArn, Tags: r.Tags})
		if err != nil {
			return outcome{}, err
		}
	}
	changed, err := r.putTargets(ctx, d)
	if err != nil {
		return outcome{}, err
	}
	if changed && action == Unchanged {
		action = Updated
	}
	return outcome{name: r.Name, action: action, attributes: map[string]string{"": r.Name, "Arn": now.Arn}}, nil
}

// putTargets gives the rule the template's targets, and no others.
func (r *ruleStep) putTargets(ctx context.Context, d *deployment) (changed bool, err error) {
	is, err := d.rules.targets(ctx, r.Name)
	if err != nil {
		return false, err
	}
	var put []eventTarget
	for _, t := range r.Targets {
		one := eventTarget{Id: t.Id, Arn: t.Arn, RoleArn: t.RoleArn, Input: t.Input, SqsParameters: t.SqsParameters, DeadLetterConfig: t.DeadLetterConfig, RetryPolicy: t.RetryPolicy}
		if i := slices.IndexFunc(is, func(o eventTarget) bool { return o.Id == t.Id }); i < 0 || !sameDocument(is[i], one) {
			put = append(put, one)
		}
	}
	var gone []string
	for _, t := range is {
		if !slices.ContainsFunc(r.Targets, func(o ruleTarget) bool { return o.Id == t.Id }) {
			gone = append(gone, t.Id)
		}
	}
	if len(gone) > 0 {
		if err := d.rules.removeTargets(ctx, r.Name, gone); err != nil {
			return false, err
		}
	}
	if len(put) > 0 {
		if err := d.rules.putTargets(ctx, r.Name, put); err != nil {
			return false, err
		}
	}
	return len(gone)+len(put) > 0, nil
}

// removeRule removes a rule with its targets.
func (t *Target) removeRule(ctx context.Context, rule string) error {
	all, err := t.rules.targets(ctx, rule)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		var ids []string
		for _, one := range all {
			ids = append(ids, one.Id)
		}
		if err := t.rules.removeTargets(ctx, rule, ids); err != nil {
			return err
		}
	}
	return t.rules.remove(ctx, rule)
}

// sameDocument compares what goes to a service with what it has.
func sameDocument(a, b any) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(x) == string(y)
}

// scheduleStep is an AWS::Scheduler::Schedule to deploy, which SAM makes of a ScheduleV2 event.
type scheduleStep struct {
	Name, GroupName, Description, ScheduleExpression, ScheduleExpressionTimezone, KmsKeyArn string
	StartDate, EndDate                                                                      string // RFC 3339
	State                                                                                   string
	FlexibleTimeWindow                                                                      *struct {
		Mode                   string
		MaximumWindowInMinutes *int32
	}
	Target *struct {
		Arn, RoleArn     string
		Input            *string
		SqsParameters    *fifoParameters
		DeadLetterConfig *deadLetters
		RetryPolicy      *retryPolicy

		EcsParameters, EventBridgeParameters, KinesisParameters, SageMakerPipelineParameters ignored // of targets that are not supported
	}

	start, end *time.Time
}

func prepareSchedule(c *preparation) step {
	s := &scheduleStep{State: "ENABLED"}
	if c.withoutFunction("Target") {
		return nil
	}
	c.into(s)
	s.Name = c.plan.name(c.r.id, s.Name)
	c.refuseName(scheduleNaming, scheduleNaming.wrong(s.Name))
	c.alone(scheduleNaming, s.identity())
	c.checkExpression("ScheduleExpression", s.ScheduleExpression, true)
	if n := c.props.get("ScheduleExpressionTimezone"); n != nil {
		if _, err := time.LoadLocation(s.ScheduleExpressionTimezone); err != nil {
			c.problems.add(n.line, "%s.ScheduleExpressionTimezone: %s", c.r.id, err.Error())
		}
	}
	s.start, s.end = c.date("StartDate", s.StartDate), c.date("EndDate", s.EndDate)
	if s.FlexibleTimeWindow == nil {
		c.problems.add(c.r.line, "%s has no FlexibleTimeWindow", c.r.id)
	}
	if s.Target == nil {
		c.problems.add(c.r.line, "%s has no Target", c.r.id)
		return s
	}
	if !c.canStart(c.props.get("Target").get("Arn"), "Target.Arn") {
		c.r.missing = true
	}
	if s.Target.RoleArn == "" || !arn.Is(s.Target.RoleArn) { // roles are not looked at
		s.Target.RoleArn = c.plan.role(c.r.id + "Role")
	}
	return s
}

func (c *preparation) date(property, text string) *time.Time {
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		c.problems.add(c.props.get(property).line, "%s.%s must be a date and time such as 2030-01-31T12:00:00Z, not %q", c.r.id, property, text)
		return nil
	}
	return &t
}

func (s *scheduleStep) there(ctx context.Context, d *deployment) (ref string, err error) {
	now, err := d.schedules.find(ctx, s.Name, s.GroupName)
	if now == nil {
		return "", err
	}
	return s.identity(), err
}

// identity is the schedule's group and name: a name alone may be in several groups.
func (s *scheduleStep) identity() string { return cmp.Or(s.GroupName, "default") + "/" + s.Name }

// wanted is the whole schedule as it is to be.
func (s *scheduleStep) wanted() *schedule {
	attempts, age := int32(185), int32(86400)
	w := &schedule{
		Name: s.Name, GroupName: cmp.Or(s.GroupName, "default"), Description: s.Description, ScheduleExpression: s.ScheduleExpression,
		ScheduleExpressionTimezone: cmp.Or(s.ScheduleExpressionTimezone, "UTC"), KmsKeyArn: s.KmsKeyArn, State: s.State, StartDate: inSeconds(s.start), EndDate: inSeconds(s.end),
		ActionAfterCompletion: "NONE",
		FlexibleTimeWindow:    flexibleWindow{s.FlexibleTimeWindow.Mode, s.FlexibleTimeWindow.MaximumWindowInMinutes},
		Target: scheduleTarget{
			Arn: s.Target.Arn, RoleArn: s.Target.RoleArn, Input: s.Target.Input, SqsParameters: s.Target.SqsParameters, DeadLetterConfig: s.Target.DeadLetterConfig,
			RetryPolicy: &retryPolicy{MaximumRetryAttempts: &attempts, MaximumEventAgeInSeconds: &age},
		},
	}
	if r := s.Target.RetryPolicy; r != nil {
		if r.MaximumRetryAttempts != nil {
			w.Target.RetryPolicy.MaximumRetryAttempts = r.MaximumRetryAttempts
		}
		if r.MaximumEventAgeInSeconds != nil {
			w.Target.RetryPolicy.MaximumEventAgeInSeconds = r.MaximumEventAgeInSeconds
		}
	}
	return w
}

func inSeconds(t *time.Time) *float64 {
	if t == nil {
		return nil
	}
	seconds := float64(t.UnixMilli()) / 1000
	return &seconds
}

func (s *scheduleStep) deploy(ctx context.Context, d *deployment) (outcome, error) {
	wanted, action := s.wanted(), Unchanged
	now, err := d.schedules.find(ctx, s.Name, s.GroupName)
	if err != nil {
		return outcome{}, err
	}
	var scheduleARN string
	if now == nil {
		if scheduleARN, err = d.schedules.create(ctx, wanted); err != nil {
			return outcome{}, err
		}
		action = Created
	} else {
		scheduleARN, now.Arn = now.Arn, ""
		if !sameDocument(now, wanted) {
			if err := d.schedules.update(ctx, wanted); err != nil {
				return outcome{}, err
			}
			action = Updated
		}
	}
	return outcome{name: s.Name, identity: s.identity(), action: action, attributes: map[string]string{"": s.Name, "Arn": scheduleARN}}, nil
}

// removeSchedule removes a schedule by its group and name. Older releases have kept the name alone:
// it is looked for in all groups.
func (t *Target) removeSchedule(ctx context.Context, id string) error {
	if group, name, ok := strings.Cut(id, "/"); ok {
		return t.schedules.remove(ctx, name, group)
	}
	groups, err := t.schedules.groupsOf(ctx, id)
	if err != nil {
		return err
	}
	if len(groups) > 1 {
		return fmt.Errorf("there are %d schedules %s, in several groups: remove the one that is not needed yourself", len(groups), id)
	}
	for _, group := range groups {
		if err := t.schedules.remove(ctx, id, group); err != nil {
			return err
		}
	}
	return nil
}

// scheduleGroup is an AWS::Scheduler::ScheduleGroup to deploy.
type scheduleGroup struct {
	Name string
	Tags []tag
}

func prepareScheduleGroup(c *preparation) step {
	g := &scheduleGroup{}
	c.into(g)
	g.Name = c.plan.name(c.r.id, g.Name)
	c.named(groupNaming, g.Name)
	return g
}

func (g *scheduleGroup) there(ctx context.Context, d *deployment) (ref string, err error) {
	groupARN, err := d.schedules.findGroup(ctx, g.Name)
	if groupARN == "" {
		return "", err
	}
	return g.Name, err
}

func (g *scheduleGroup) deploy(ctx context.Context, d *deployment) (outcome, error) {
	action := Unchanged
	groupARN, err := d.schedules.findGroup(ctx, g.Name)
	if err == nil && groupARN == "" {
		groupARN, err = d.schedules.createGroup(ctx, g.Name, g.Tags)
		action = Created
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{name: g.Name, action: action, attributes: map[string]string{"": g.Name, "Arn": groupARN, "State": "ACTIVE"}}, nil
}
