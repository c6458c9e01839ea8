// Package scheduler answers EventBridge Scheduler: schedules, their groups and tags. It speaks REST with JSON.
package scheduler

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schedule"
)

const (
	maxBody = 1 << 20 // bytes
	maxPage = 100
)

// Options of New.
type Options struct {
	// Authenticate reads who a request is from. Required.
	Authenticate func(*http.Request) (arn.Scope, *awserr.Error)
	// Apart has schedules start what is of their own account only, as where no policy lets them in elsewhere.
	Apart  bool
	Logger *slog.Logger
}

// document is a schedule as it is put and answered.
type document struct {
	Name, Arn, GroupName       string   `json:",omitempty"`
	Description                string   `json:",omitempty"`
	ScheduleExpression         string   `json:",omitempty"`
	ScheduleExpressionTimezone string   `json:",omitempty"`
	StartDate, EndDate         *float64 `json:",omitempty"` // seconds since 1970
	State                      string   `json:",omitempty"`
	KmsKeyArn                  string   `json:",omitempty"`
	ActionAfterCompletion      string   `json:",omitempty"`
	FlexibleTimeWindow         *window  `json:",omitempty"`
	Target                     *target  `json:",omitempty"`
	CreationDate               *float64 `json:",omitempty"`
	LastModificationDate       *float64 `json:",omitempty"`

	ClientToken string `json:",omitempty"`
	Tags        []tag  `json:",omitempty"`
}

type window struct {
	Mode                   string
	MaximumWindowInMinutes *int `json:",omitempty"`
}

type target struct {
	Arn              string
	RoleArn          string         `json:",omitempty"`
	Input            *string        `json:",omitempty"`
	SqsParameters    *sqsParameters `json:",omitempty"`
	DeadLetterConfig *deadLetter    `json:",omitempty"`
	RetryPolicy      *retryPolicy   `json:",omitempty"`

	EcsParameters, EventBridgeParameters, KinesisParameters, SageMakerPipelineParameters json.RawMessage `json:",omitempty"`
}

type sqsParameters struct {
	MessageGroupId string `json:",omitempty"`
}

type deadLetter struct {
	Arn string `json:",omitempty"`
}

type retryPolicy struct {
	MaximumRetryAttempts     *int `json:",omitempty"`
	MaximumEventAgeInSeconds *int `json:",omitempty"`
}

type tag struct{ Key, Value string }

// group is a schedule group as it is answered.
type group struct {
	Name, Arn, State                   string
	CreationDate, LastModificationDate *float64 `json:",omitempty"`
}

type handler struct {
	schedules *schedule.Service
	o         Options
	mux       *http.ServeMux
}

// call is one request under way.
type call struct {
	*handler
	scope arn.Scope
	path  string // what the path names
	query url.Values
	in    document
}

// New returns the handler.
func New(schedules *schedule.Service, o Options) http.Handler {
	h := &handler{schedules: schedules, o: o, mux: http.NewServeMux()}
	for pattern, op := range map[string]func(*call) (any, error){
		"POST /schedules/{name}": (*call).create, "PUT /schedules/{name}": (*call).update, "GET /schedules/{name}": (*call).get,
		"DELETE /schedules/{name}": (*call).remove, "GET /schedules": (*call).list,
		"POST /schedule-groups/{name}": (*call).createGroup, "GET /schedule-groups/{name}": (*call).getGroup,
		"DELETE /schedule-groups/{name}": (*call).removeGroup, "GET /schedule-groups": (*call).listGroups,
		"POST /tags/{name...}": (*call).tag, "DELETE /tags/{name...}": (*call).untag, "GET /tags/{name...}": (*call).tags,
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, op) })
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &awserr.Error{Code: "UnknownOperationException", Message: "EventBridge Scheduler has no " + r.Method + " " + r.URL.Path + ".", Status: http.StatusNotFound})
	})
	return h.mux
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, op func(*call) (any, error)) {
	c := &call{handler: h, path: r.PathValue("name"), query: r.URL.Query()}
	var refused *awserr.Error
	if c.scope, refused = h.o.Authenticate(r); refused != nil {
		fail(w, refused)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &c.in)
	}
	if err != nil {
		fail(w, &awserr.Error{Code: "SerializationException", Message: "The request could not be read: " + err.Error()})
		return
	}
	answer, err := op(c)
	var e *awserr.Error
	switch {
	case errors.As(err, &e):
		fail(w, e)
	case err != nil:
		h.o.Logger.Error("a request failed", "service", "scheduler", "path", r.URL.Path, "error", err)
		fail(w, &awserr.Error{Code: "InternalServerException", Message: "Unexpected error encountered while processing the request.", Status: http.StatusInternalServerError})
	default:
		send(w, http.StatusOK, answer)
	}
}

// definition is the schedule that a request describes.
func (c *call) definition() (d schedule.Definition, err error) {
	in := &c.in
	d = schedule.Definition{
		Scope: c.scope, Group: in.GroupName, Name: c.path, Description: in.Description, Expression: in.ScheduleExpression, Timezone: in.ScheduleExpressionTimezone,
		KeyARN: in.KmsKeyArn, StartMS: millis(in.StartDate), EndMS: millis(in.EndDate), Token: in.ClientToken,
	}
	var wrong []string
	null := func(member string) {
		wrong = append(wrong, "Value null at '"+member+"' failed to satisfy constraint: Member must not be null")
	}
	one := func(value, member string, set ...string) {
		if value != "" && !slices.Contains(set, value) {
			wrong = append(wrong, "Value '"+value+"' at '"+member+"' failed to satisfy constraint: Member must satisfy enum value set: ["+strings.Join(set, ", ")+"]")
		}
	}
	if in.ScheduleExpression == "" {
		null("scheduleExpression")
	}
	one(in.State, "state", "ENABLED", "DISABLED")
	one(in.ActionAfterCompletion, "actionAfterCompletion", "NONE", "DELETE")
	switch {
	case in.FlexibleTimeWindow == nil:
		null("flexibleTimeWindow")
	case in.FlexibleTimeWindow.Mode == "":
		null("flexibleTimeWindow.mode")
	default:
		one(in.FlexibleTimeWindow.Mode, "flexibleTimeWindow.mode", "OFF", "FLEXIBLE")
	}
	if in.Target == nil {
		null("target")
	} else {
		if in.Target.Arn == "" {
			null("target.arn")
		}
		if in.Target.RoleArn == "" {
			null("target.roleArn")
		}
	}
	if len(wrong) > 0 {
		return d, awserr.ScheduleConstraint(wrong)
	}
	switch w := in.FlexibleTimeWindow; {
	case w.Mode == "FLEXIBLE" && w.MaximumWindowInMinutes == nil:
		return d, awserr.ScheduleValidation("FlexibleTimeWindow.MaximumWindowInMinutes must be provided when FlexibleTimeWindow.Mode is FLEXIBLE.")
	case w.Mode == "FLEXIBLE":
		if d.WindowMinutes = *w.MaximumWindowInMinutes; d.WindowMinutes == 0 {
			d.WindowMinutes = -1 // is refused with its name
		}
	case w.MaximumWindowInMinutes != nil:
		return d, awserr.ScheduleValidation("FlexibleTimeWindow.MaximumWindowInMinutes must not be provided when FlexibleTimeWindow.Mode is OFF.")
	}
	d.Disabled, d.DeleteAfter = in.State == "DISABLED", in.ActionAfterCompletion == "DELETE"
	t, err := in.Target.target()
	d.Targets = []schedule.Target{t}
	if other, is := arn.OfOther(c.scope.Account, t.ARN, t.DeadLetter); is && c.o.Apart && err == nil {
		err = awserr.AccessDenied(c.scope.Global("iam", "root"), arn.Use(other), other)
	}
	return d, err
}

// target is what a start goes to; what cannot be done is refused by name.
func (t *target) target() (schedule.Target, error) {
	out := schedule.Target{ARN: t.Arn, RoleARN: t.RoleArn, Input: t.Input}
	for _, other := range []struct {
		name  string
		value json.RawMessage
	}{
		{"EcsParameters", t.EcsParameters}, {"EventBridgeParameters", t.EventBridgeParameters}, {"KinesisParameters", t.KinesisParameters},
		{"SageMakerPipelineParameters", t.SageMakerPipelineParameters},
	} {
		if len(other.value) > 0 && string(other.value) != "null" {
			return out, awserr.ScheduleValidation("Millstream starts functions and sends to queues: Target." + other.name + " is of neither.")
		}
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

// millis is a date in ms. One that no int64 can hold stays as far off as one can, and is refused as too late or too early.
func millis(seconds *float64) int64 {
	if seconds == nil {
		return 0
	}
	return int64(min(max(*seconds*1000, -1<<62), 1<<62))
}

func seconds(millis int64) *float64 {
	if millis == 0 {
		return nil
	}
	s := float64(millis) / 1000
	return &s
}

func (c *call) create() (any, error) {
	d, err := c.definition()
	if err != nil {
		return nil, err
	}
	scheduleARN, err := c.schedules.Create(d)
	return map[string]string{"ScheduleArn": scheduleARN}, err
}

func (c *call) update() (any, error) {
	d, err := c.definition()
	if err != nil {
		return nil, err
	}
	scheduleARN, err := c.schedules.Update(d)
	return map[string]string{"ScheduleArn": scheduleARN}, err
}

func state(d schedule.Shown) string {
	if d.Disabled {
		return "DISABLED"
	}
	return "ENABLED"
}

func (c *call) get() (any, error) {
	d, err := c.schedules.Schedule(c.scope, c.query.Get("groupName"), c.path)
	if err != nil {
		return nil, err
	}
	out := document{
		Name: d.Name, Arn: d.ARN(), GroupName: d.Group, Description: d.Description, ScheduleExpression: d.Expression,
		ScheduleExpressionTimezone: cmp.Or(d.Timezone, "UTC"), StartDate: seconds(d.StartMS), EndDate: seconds(d.EndMS), State: state(d), KmsKeyArn: d.KeyARN,
		ActionAfterCompletion: "NONE", FlexibleTimeWindow: &window{Mode: "OFF"}, CreationDate: seconds(d.CreatedMS), LastModificationDate: seconds(d.ModifiedMS),
	}
	if d.DeleteAfter {
		out.ActionAfterCompletion = "DELETE"
	}
	if d.WindowMinutes > 0 {
		out.FlexibleTimeWindow = &window{"FLEXIBLE", &d.WindowMinutes}
	}
	t := d.Targets[0]
	out.Target = &target{Arn: t.ARN, RoleArn: t.RoleARN, Input: t.Input, RetryPolicy: &retryPolicy{t.RetryAttempts, t.MaxAge}}
	retries, age := 185, 86400
	if out.Target.RetryPolicy.MaximumRetryAttempts == nil {
		out.Target.RetryPolicy.MaximumRetryAttempts = &retries
	}
	if out.Target.RetryPolicy.MaximumEventAgeInSeconds == nil {
		out.Target.RetryPolicy.MaximumEventAgeInSeconds = &age
	}
	if t.GroupID != "" {
		out.Target.SqsParameters = &sqsParameters{t.GroupID}
	}
	if t.DeadLetter != "" {
		out.Target.DeadLetterConfig = &deadLetter{t.DeadLetter}
	}
	return out, nil
}

func (c *call) remove() (any, error) {
	return struct{}{}, c.schedules.Delete(c.scope, c.query.Get("groupName"), c.path)
}

// summary is a schedule in a list.
type summary struct {
	Name, Arn, GroupName, State string
	CreationDate                *float64
	LastModificationDate        *float64
	Target                      struct{ Arn string }
}

func (c *call) list() (any, error) {
	all, err := c.schedules.Schedules(c.scope, c.query.Get("ScheduleGroup"), c.query.Get("NamePrefix"))
	if err != nil {
		return nil, err
	}
	want, out := c.query.Get("State"), []summary{}
	for _, d := range all {
		if want != "" && want != state(d) {
			continue
		}
		one := summary{Name: d.Name, Arn: d.ARN(), GroupName: d.Group, State: state(d), CreationDate: seconds(d.CreatedMS), LastModificationDate: seconds(d.ModifiedMS)}
		one.Target.Arn = d.Targets[0].ARN
		out = append(out, one)
	}
	out, next, err := page(c, out, func(s summary) string { return s.Arn })
	return struct {
		Schedules []summary
		NextToken string `json:",omitempty"`
	}{out, next}, err
}

// page cuts a page out of what is sorted by key.
func page[T any](c *call, all []T, key func(T) string) (one []T, next string, err error) {
	most := maxPage
	if text := c.query.Get("MaxResults"); text != "" {
		if most, err = strconv.Atoi(text); err != nil || most < 1 || most > maxPage {
			return nil, "", awserr.ScheduleConstraint([]string{"Value '" + text + "' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 100"})
		}
	}
	if token := c.query.Get("NextToken"); token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return nil, "", awserr.ScheduleValidation("Invalid NextToken.")
		}
		all = slices.DeleteFunc(all, func(t T) bool { return key(t) <= string(after) })
	}
	if len(all) <= most {
		return all, "", nil
	}
	return all[:most], base64.RawURLEncoding.EncodeToString([]byte(key(all[most-1]))), nil
}

func (c *call) createGroup() (any, error) {
	groupARN, err := c.schedules.CreateGroup(c.scope, c.path, tagMap(c.in.Tags), c.in.ClientToken)
	return map[string]string{"ScheduleGroupArn": groupARN}, err
}

func showGroup(g schedule.Group) group {
	return group{g.Name, schedule.GroupARN(g.Scope, g.Name), "ACTIVE", seconds(g.CreatedMS), seconds(g.ModifiedMS)}
}

func (c *call) getGroup() (any, error) {
	g, err := c.schedules.Group(c.scope, c.path)
	return showGroup(g), err
}

func (c *call) removeGroup() (any, error) {
	return struct{}{}, c.schedules.DeleteGroup(c.scope, c.path)
}

func (c *call) listGroups() (any, error) {
	out := []group{}
	for _, g := range c.schedules.Groups(c.scope) {
		if strings.HasPrefix(g.Name, c.query.Get("NamePrefix")) {
			out = append(out, showGroup(g))
		}
	}
	out, next, err := page(c, out, func(g group) string { return g.Name })
	return struct {
		ScheduleGroups []group
		NextToken      string `json:",omitempty"`
	}{out, next}, err
}

func tagMap(tags []tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

func (c *call) tag() (any, error) {
	return struct{}{}, c.schedules.ChangeTags(c.scope.Account, c.path, tagMap(c.in.Tags), nil)
}

func (c *call) untag() (any, error) {
	return struct{}{}, c.schedules.ChangeTags(c.scope.Account, c.path, nil, c.query["TagKeys"])
}

func (c *call) tags() (any, error) {
	tags, err := c.schedules.Tags(c.scope.Account, c.path)
	all := []tag{}
	for key, value := range tags {
		all = append(all, tag{key, value})
	}
	slices.SortFunc(all, func(a, b tag) int { return cmp.Compare(a.Key, b.Key) })
	return map[string]any{"Tags": all}, err
}

func fail(w http.ResponseWriter, e *awserr.Error) {
	w.Header().Set("x-amzn-ErrorType", e.Code)
	send(w, e.HTTPStatus(), map[string]string{"Message": e.Message})
}

func send(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("x-amzn-RequestId", uuid.NewString())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the caller has gone: there is nobody to tell
}
