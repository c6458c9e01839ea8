// Package events answers what rules with a schedule expression need of EventBridge. It speaks JSON 1.1, by target. Event buses, patterns and
// events are refused by name.
package events

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schedule"
)

const (
	target  = "AWSEvents."
	maxBody = 1 << 20 // bytes
	// maxPage is how many rules or targets an answer has at most.
	maxPage = 100
)

// Options of New.
type Options struct {
	// Authenticate reads who a request is from. Required.
	Authenticate func(*http.Request) (arn.Scope, *awserr.Error)
	// Apart has rules start what is of their own account only, as where no policy lets them in elsewhere.
	Apart  bool
	Logger *slog.Logger
}

// request has the members of all operations.
type request struct {
	Name, NamePrefix, Rule, EventBusName   string
	Description, RoleArn, State, NextToken string
	ScheduleExpression, EventPattern       string
	TargetArn, ResourceARN                 string
	Tags                                   []tag
	TagKeys, Ids                           []string
	Targets                                []ruleTarget
	Limit                                  *int
}

type tag struct{ Key, Value string }

// ruleTarget is AWS's Target. Members of which Millstream has nothing are kept to be told of by name.
type ruleTarget struct {
	ID               string          `json:"Id"`
	Arn              string          `json:"Arn"`
	RoleArn          string          `json:"RoleArn,omitempty"`
	Input            *string         `json:"Input,omitempty"`
	InputPath        string          `json:"InputPath,omitempty"`
	InputTransformer json.RawMessage `json:"InputTransformer,omitempty"`
	SqsParameters    *sqsParameters  `json:"SqsParameters,omitempty"`
	DeadLetterConfig *deadLetter     `json:"DeadLetterConfig,omitempty"`
	RetryPolicy      *retryPolicy    `json:"RetryPolicy,omitempty"`
}

type sqsParameters struct{ MessageGroupId string }

type deadLetter struct {
	Arn string `json:"Arn,omitempty"`
}

type retryPolicy struct {
	MaximumRetryAttempts     *int `json:"MaximumRetryAttempts,omitempty"`
	MaximumEventAgeInSeconds *int `json:"MaximumEventAgeInSeconds,omitempty"`
}

// rule is a rule as it is answered.
type rule struct {
	Name, Arn, State, ScheduleExpression, EventBusName string
	Description                                        string `json:",omitempty"`
	RoleArn                                            string `json:",omitempty"`
	CreatedBy                                          string `json:",omitempty"`
}

// New returns the handler.
func New(schedules *schedule.Service, o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope, refused := o.Authenticate(r)
		if refused != nil {
			fail(w, refused)
			return
		}
		var in request
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		if err != nil {
			fail(w, &awserr.Error{Code: "SerializationException", Message: "The request could not be read: " + err.Error()})
			return
		}
		name, isEvents := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
		op := operations[name]
		if !isEvents || op == nil {
			fail(w, awserr.EventsUnsupported("Of EventBridge, Millstream has rules with a schedule expression, not "+name+"."))
			return
		}
		answer, err := op(&call{schedules, scope, o.Apart, &in})
		var e *awserr.Error
		switch {
		case errors.As(err, &e):
			fail(w, e)
		case err != nil:
			o.Logger.Error("a request failed", "service", "events", "operation", name, "error", err)
			fail(w, &awserr.Error{Code: "InternalException", Message: "An internal error occurred.", Status: http.StatusInternalServerError})
		default:
			send(w, http.StatusOK, answer)
		}
	})
}

// call is one request under way.
type call struct {
	schedules *schedule.Service
	scope     arn.Scope
	apart     bool
	*request
}

var operations = map[string]func(c *call) (any, error){
	"PutRule": (*call).putRule, "DescribeRule": (*call).describeRule, "ListRules": (*call).listRules, "DeleteRule": (*call).deleteRule,
	"EnableRule":  func(c *call) (any, error) { return c.enable(true) },
	"DisableRule": func(c *call) (any, error) { return c.enable(false) },
	"PutTargets":  (*call).putTargets, "RemoveTargets": (*call).removeTargets, "ListTargetsByRule": (*call).listTargets, "ListRuleNamesByTarget": (*call).listNames,
	"TagResource": func(c *call) (any, error) {
		return struct{}{}, c.schedules.ChangeTags(c.scope.Account, c.ResourceARN, tagMap(c.Tags), nil)
	},
	"UntagResource": func(c *call) (any, error) {
		return struct{}{}, c.schedules.ChangeTags(c.scope.Account, c.ResourceARN, nil, c.TagKeys)
	},
	"ListTagsForResource": (*call).listTags,
}

func tagMap(tags []tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// bus accepts the one event bus, by its name or ARN.
func (c *call) bus() error {
	if bus := c.EventBusName; bus != "" && bus != schedule.DefaultBus && bus != c.scope.ARN("events", "event-bus/"+schedule.DefaultBus) {
		return awserr.BusMissing(bus)
	}
	return nil
}

func (c *call) putRule() (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	switch {
	case c.EventPattern == "" && c.ScheduleExpression == "":
		return nil, awserr.RuleEmpty()
	case c.EventPattern != "":
		return nil, awserr.EventsUnsupported("Millstream has rules with a ScheduleExpression, and none with an EventPattern: there are no events to match.")
	}
	d := schedule.Definition{Scope: c.scope, Name: c.Name, Description: c.Description, Expression: c.ScheduleExpression, RoleARN: c.RoleArn, Tags: tagMap(c.Tags)}
	switch c.State {
	case "", "ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS":
	case "DISABLED":
		d.Disabled = true
	default:
		return nil, awserr.ScheduleConstraint([]string{"Value '" + c.State + "' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]"})
	}
	ruleARN, err := c.schedules.PutRule(d)
	return map[string]string{"RuleArn": ruleARN}, err
}

func show(d schedule.Shown) rule {
	r := rule{Name: d.Name, Arn: d.ARN(), State: "ENABLED", ScheduleExpression: d.Expression, EventBusName: schedule.DefaultBus, Description: d.Description, RoleArn: d.RoleARN}
	if d.Disabled {
		r.State = "DISABLED"
	}
	return r
}

func (c *call) describeRule() (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	d, err := c.schedules.Rule(c.scope, c.Name)
	if err != nil {
		return nil, err
	}
	r := show(d)
	r.CreatedBy = c.scope.Account
	return r, nil
}

// rules are those of the scope, by ascending name.
func (c *call) rules() []schedule.Shown {
	return slices.DeleteFunc(c.schedules.All(c.scope), func(d schedule.Shown) bool { return d.Kind != schedule.Rule })
}

func (c *call) listRules() (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	all := []rule{}
	for _, d := range c.rules() {
		if strings.HasPrefix(d.Name, c.NamePrefix) && d.Name > c.NextToken {
			all = append(all, show(d))
		}
	}
	all, next := page(c, all, func(r rule) string { return r.Name })
	return struct {
		Rules     []rule
		NextToken string `json:",omitempty"`
	}{all, next}, nil
}

// page cuts the first page off what comes behind the token.
func page[T any](c *call, all []T, token func(T) string) (first []T, next string) {
	most := maxPage
	if c.Limit != nil && *c.Limit >= 1 {
		most = min(*c.Limit, maxPage)
	}
	if len(all) <= most {
		return all, ""
	}
	return all[:most], token(all[most-1])
}

func (c *call) deleteRule() (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	return struct{}{}, c.schedules.DeleteRule(c.scope, c.Name)
}

func (c *call) enable(enabled bool) (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	return struct{}{}, c.schedules.EnableRule(c.scope, c.Name, enabled)
}

// entry is a target that was not taken.
type entry struct{ TargetId, ErrorCode, ErrorMessage string }

func entries(refused []schedule.Refused, err error) (any, error) {
	out := struct {
		FailedEntryCount int
		FailedEntries    []entry
	}{len(refused), []entry{}}
	for _, r := range refused {
		out.FailedEntries = append(out.FailedEntries, entry{r.ID, r.Code, r.Message})
	}
	return out, err
}

func (c *call) putTargets() (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	var all []schedule.Target
	for i := range c.Targets {
		t, err := c.Targets[i].target()
		if err != nil {
			return nil, err
		}
		if other, is := arn.OfOther(c.scope.Account, t.ARN, t.DeadLetter); is && c.apart {
			return nil, awserr.AccessDenied(c.scope.Global("iam", "root"), arn.Use(other), other)
		}
		all = append(all, t)
	}
	return entries(c.schedules.PutTargets(c.scope, c.Rule, all))
}

// target is what a start goes to; what cannot be done is refused by name.
func (t *ruleTarget) target() (schedule.Target, error) {
	out := schedule.Target{ID: t.ID, ARN: t.Arn, RoleARN: t.RoleArn, Input: t.Input}
	switch {
	case len(t.InputTransformer) > 0 && string(t.InputTransformer) != "null":
		return out, awserr.EventsUnsupported("Millstream has no InputTransformer: give the target a constant Input, or none to get the event.")
	case t.InputPath != "" && t.InputPath != "$":
		return out, awserr.EventsUnsupported("Millstream has no InputPath: give the target a constant Input, or none to get the event.")
	case t.Input != nil && !json.Valid([]byte(*t.Input)):
		return out, awserr.ScheduleValidation("JSON syntax error in input for target " + t.ID + ".")
	}
	if t.SqsParameters != nil {
		out.GroupID = t.SqsParameters.MessageGroupId
	}
	if t.DeadLetterConfig != nil {
		out.DeadLetter = t.DeadLetterConfig.Arn
	}
	if t.RetryPolicy != nil {
		out.RetryAttempts, out.MaxAge = t.RetryPolicy.MaximumRetryAttempts, t.RetryPolicy.MaximumEventAgeInSeconds
	}
	return out, nil
}

func (c *call) removeTargets() (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	return entries(c.schedules.RemoveTargets(c.scope, c.Rule, c.Ids))
}

func (c *call) listTargets() (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	d, err := c.schedules.Rule(c.scope, c.Rule)
	if err != nil {
		return nil, err
	}
	all := []ruleTarget{}
	for _, t := range d.Targets {
		one := ruleTarget{ID: t.ID, Arn: t.ARN, RoleArn: t.RoleARN, Input: t.Input}
		if t.GroupID != "" {
			one.SqsParameters = &sqsParameters{t.GroupID}
		}
		if t.DeadLetter != "" {
			one.DeadLetterConfig = &deadLetter{t.DeadLetter}
		}
		if t.RetryAttempts != nil || t.MaxAge != nil {
			one.RetryPolicy = &retryPolicy{t.RetryAttempts, t.MaxAge}
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b ruleTarget) int { return cmp.Compare(a.ID, b.ID) })
	all = slices.DeleteFunc(all, func(t ruleTarget) bool { return t.ID <= c.NextToken })
	all, next := page(c, all, func(t ruleTarget) string { return t.ID })
	return struct {
		Targets   []ruleTarget
		NextToken string `json:",omitempty"`
	}{all, next}, nil
}

func (c *call) listNames() (any, error) {
	if err := c.bus(); err != nil {
		return nil, err
	}
	all := []string{}
	for _, d := range c.rules() {
		if d.Name > c.NextToken && slices.ContainsFunc(d.Targets, func(t schedule.Target) bool { return t.ARN == c.TargetArn }) {
			all = append(all, d.Name)
		}
	}
	all, next := page(c, all, func(name string) string { return name })
	return struct {
		RuleNames []string
		NextToken string `json:",omitempty"`
	}{all, next}, nil
}

func (c *call) listTags() (any, error) {
	tags, err := c.schedules.Tags(c.scope.Account, c.ResourceARN)
	all := []tag{}
	for key, value := range tags {
		all = append(all, tag{key, value})
	}
	slices.SortFunc(all, func(a, b tag) int { return cmp.Compare(a.Key, b.Key) })
	return map[string]any{"Tags": all}, err
}

func fail(w http.ResponseWriter, e *awserr.Error) {
	status := e.HTTPStatus()
	if status == http.StatusNotFound || status == http.StatusConflict { // those of JSON 1.1 are all 400
		status = http.StatusBadRequest
	}
	w.Header().Set("x-amzn-ErrorType", e.Code)
	send(w, status, map[string]string{"__type": e.Code, "message": e.Message})
}

func send(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("x-amzn-RequestId", uuid.NewString())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the caller has gone: there is nobody to tell
}
