package template

import (
	"context"
	"errors"
	"net/url"

	"github.com/aws/smithy-go"
)

// scheduleClient calls EventBridge Scheduler.
type scheduleClient struct{ signedClient }

// schedule is a schedule as GetSchedule gives it, and CreateSchedule and UpdateSchedule take it. Dates are seconds since 1970.
type schedule struct {
	Arn, Name, GroupName, Description, ScheduleExpression, ScheduleExpressionTimezone, KmsKeyArn, State, ActionAfterCompletion string `json:",omitempty"`

	StartDate, EndDate *float64 `json:",omitempty"`
	FlexibleTimeWindow flexibleWindow
	Target             scheduleTarget
}

type flexibleWindow struct {
	Mode                   string
	MaximumWindowInMinutes *int32 `json:",omitempty"`
}

type scheduleTarget struct {
	Arn, RoleArn     string
	Input            *string         `json:",omitempty"`
	SqsParameters    *fifoParameters `json:",omitempty"`
	DeadLetterConfig *deadLetters    `json:",omitempty"`
	RetryPolicy      *retryPolicy    `json:",omitempty"`
}

// notFound reports whether a call was refused since what it names is not there.
func notFound(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && e.ErrorCode() == "ResourceNotFoundException"
}

func schedulePath(name string) string { return "/schedules/" + url.PathEscape(name) }

func inGroup(group string) string {
	if group == "" {
		return ""
	}
	return "?groupName=" + url.QueryEscape(group)
}

// find returns a schedule, nil when there is none.
func (c *scheduleClient) find(ctx context.Context, name, group string) (*schedule, error) {
	out := &schedule{}
	err := c.call(ctx, "GET", schedulePath(name)+inGroup(group), "", nil, out)
	if notFound(err) {
		return nil, nil
	}
	return out, err
}

// create makes a schedule and returns its ARN.
func (c *scheduleClient) create(ctx context.Context, s *schedule) (string, error) {
	var out struct{ ScheduleArn string }
	err := c.call(ctx, "POST", schedulePath(s.Name), "", s, &out)
	return out.ScheduleArn, err
}

func (c *scheduleClient) update(ctx context.Context, s *schedule) error {
	return c.call(ctx, "PUT", schedulePath(s.Name), "", s, nil)
}

func (c *scheduleClient) remove(ctx context.Context, name, group string) error {
	return c.call(ctx, "DELETE", schedulePath(name)+inGroup(group), "", nil, nil)
}

// groupsOf are the groups that have a schedule of this name.
func (c *scheduleClient) groupsOf(ctx context.Context, name string) (groups []string, err error) {
	for next := ""; ; {
		var out struct {
			Schedules []struct{ Name, GroupName string }
			NextToken string
		}
		q := url.Values{"NamePrefix": {name}}
		if next != "" {
			q.Set("NextToken", next)
		}
		if err := c.call(ctx, "GET", "/schedules?"+q.Encode(), "", nil, &out); err != nil {
			return nil, err
		}
		for _, s := range out.Schedules {
			if s.Name == name {
				groups = append(groups, s.GroupName)
			}
		}
		if next = out.NextToken; next == "" {
			return groups, nil
		}
	}
}

func groupPath(name string) string { return "/schedule-groups/" + url.PathEscape(name) }

// findGroup returns the ARN of a group, empty when there is none.
func (c *scheduleClient) findGroup(ctx context.Context, name string) (string, error) {
	var out struct{ Arn string }
	err := c.call(ctx, "GET", groupPath(name), "", nil, &out)
	if notFound(err) {
		return "", nil
	}
	return out.Arn, err
}

func (c *scheduleClient) createGroup(ctx context.Context, name string, tags []tag) (string, error) {
	var out struct{ ScheduleGroupArn string }
	err := c.call(ctx, "POST", groupPath(name), "", struct {
		Tags []tag `json:",omitempty"`
	}{tags}, &out)
	return out.ScheduleGroupArn, err
}

func (c *scheduleClient) removeGroup(ctx context.Context, name string) error {
	return c.call(ctx, "DELETE", groupPath(name), "", nil, nil)
}
