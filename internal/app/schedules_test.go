package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	rules "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/millstreamdb/millstream/internal/template"
)

// refusal is an error's code and text.
func refusal(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode() + ": " + e.ErrorMessage()
	}
	return fmt.Sprint(err)
}

func (w *queuesWorld) newQueue(name string, attributes map[string]string) (url, arn string) {
	w.Helper()
	out, err := w.sqs.CreateQueue(w.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		w.Fatal(err)
	}
	return *out.QueueUrl, w.srv.Scope().QueueARN(name)
}

// bodies takes all messages out of a queue.
func (w *queuesWorld) bodies(url string) (all []string) {
	w.Helper()
	for {
		out, err := w.sqs.ReceiveMessage(w.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
		if err != nil {
			w.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return all
		}
		for _, m := range out.Messages {
			all = append(all, *m.Body)
			if _, err := w.sqs.DeleteMessage(w.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				w.Fatal(err)
			}
		}
	}
}

// TestScheduler: EventBridge Scheduler by AWS's SDK, to a function and to a FIFO queue.
func TestScheduler(t *testing.T) {
	w := openQueues(t)
	c := scheduler.NewFromConfig(w.srv.Config())
	ctx, role := t.Context(), "arn:aws:iam::000000000000:role/r"
	f := w.srv.Scope().FunctionARN("f")
	create := func(name, group, expression string, target types.Target) error {
		in := &scheduler.CreateScheduleInput{
			Name: &name, ScheduleExpression: &expression, FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff}, Target: &target,
			StartDate: aws.Time(topicsStart.Add(time.Hour)),
		}
		if group != "" {
			in.GroupName = &group
		}
		_, err := c.CreateSchedule(ctx, in)
		return err
	}
	if _, err := c.CreateScheduleGroup(ctx, &scheduler.CreateScheduleGroupInput{Name: aws.String("g"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}); err != nil {
		t.Fatal(err)
	}
	url, queue := w.newQueue("q.fifo", map[string]string{"FifoQueue": "true"})
	target := types.Target{Arn: &f, RoleArn: &role}
	if err := create("a", "", "rate(1 hour)", target); err != nil {
		t.Fatal(err)
	}
	if err := create("b", "g", "cron(30 * * * ? *)", types.Target{Arn: &queue, RoleArn: &role, Input: aws.String("wake up"), SqsParameters: &types.SqsParameters{MessageGroupId: aws.String("m")}}); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"ConflictException: Schedule a already exists.":                                                                                                                         create("a", "", "rate(1 hour)", target),
		"ResourceNotFoundException: Schedule group none does not exist.":                                                                                                        create("c", "none", "rate(1 hour)", target),
		"ValidationException: Invalid Schedule Expression rate(1 second).":                                                                                                      create("c", "", "rate(1 second)", target),
		"ValidationException: Provided Arn is not in correct format.":                                                                                                           create("c", "", "rate(1 hour)", types.Target{Arn: aws.String("f"), RoleArn: &role}),
		"ValidationException: Millstream starts functions and sends to queues: arn:aws:states:eu-west-1:1:x is neither.":                                                        create("c", "", "rate(1 hour)", types.Target{Arn: aws.String("arn:aws:states:eu-west-1:1:x"), RoleArn: &role}),
		"ValidationException: 1 validation error detected: Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9a-zA-Z-_.]+": create("a b", "", "rate(1 hour)", target),
	} {
		if refusal(err) != want {
			t.Errorf("refused with %s, want %s", refusal(err), want)
		}
	}
	w.took(2 * time.Hour)
	if len(w.events) != 2 || !strings.Contains(w.events[0], `"source":"aws.scheduler"`) || !strings.Contains(w.events[1], `"time":"2030-01-01T02:00:00Z"`) {
		t.Errorf("the function got %v", w.events)
	}
	if got := w.bodies(url); !slices.Equal(got, []string{"wake up"}) {
		t.Error("the queue got ", got)
	}
	got, err := c.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("b"), GroupName: aws.String("g")})
	if err != nil || *got.Target.Input != "wake up" || *got.Target.SqsParameters.MessageGroupId != "m" || got.State != types.ScheduleStateEnabled || *got.ScheduleExpressionTimezone != "UTC" ||
		!got.StartDate.Equal(topicsStart.Add(time.Hour)) || !got.CreationDate.Equal(topicsStart) {
		t.Errorf("GetSchedule: %+v %v", got, err)
	}
	list, err := c.ListSchedules(ctx, &scheduler.ListSchedulesInput{MaxResults: aws.Int32(1)})
	if err != nil || len(list.Schedules) != 1 || *list.Schedules[0].Name != "a" || list.NextToken == nil {
		t.Fatalf("ListSchedules: %+v %v", list, err)
	}
	if list, err = c.ListSchedules(ctx, &scheduler.ListSchedulesInput{NextToken: list.NextToken}); err != nil || len(list.Schedules) != 1 || *list.Schedules[0].GroupName != "g" || list.NextToken != nil {
		t.Errorf("the second page: %+v %v", list, err)
	}
	tags, err := c.ListTagsForResource(ctx, &scheduler.ListTagsForResourceInput{ResourceArn: aws.String(w.srv.Scope().ARN("scheduler", "schedule-group/g"))})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "v" {
		t.Errorf("tags: %+v %v", tags, err)
	}
	if _, err := c.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
		Name: aws.String("a"), ScheduleExpression: aws.String("rate(1 hour)"), State: types.ScheduleStateDisabled, Target: &target,
		FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteScheduleGroup(ctx, &scheduler.DeleteScheduleGroupInput{Name: aws.String("g")}); err != nil {
		t.Fatal(err)
	}
	w.took(10 * time.Hour)
	if len(w.events) != 2 || len(w.bodies(url)) != 0 {
		t.Error("what is disabled or removed goes on: ", w.events)
	}
	if _, err := c.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{Name: aws.String("none")}); refusal(err) != "ResourceNotFoundException: Schedule none does not exist." {
		t.Error(err)
	}
}

// TestRules: rules with a schedule by AWS's SDK.
func TestRules(t *testing.T) {
	w := openQueues(t)
	c := eventbridge.NewFromConfig(w.srv.Config())
	ctx, f := t.Context(), w.srv.Scope().FunctionARN("f")
	rule := "r"
	put := func(in eventbridge.PutRuleInput) error {
		in.Name = &rule
		_, err := c.PutRule(ctx, &in)
		return err
	}
	for want, err := range map[string]error{
		"ValidationException: Parameter ScheduleExpression is not valid.":                                                                             put(eventbridge.PutRuleInput{ScheduleExpression: aws.String("rate(1 minutes)")}),
		"ValidationException: Parameter(s) EventPattern or ScheduleExpression must be specified.":                                                     put(eventbridge.PutRuleInput{}),
		"ResourceNotFoundException: Event bus mine does not exist.":                                                                                   put(eventbridge.PutRuleInput{ScheduleExpression: aws.String("rate(1 minute)"), EventBusName: aws.String("mine")}),
		"UnsupportedOperationException: Millstream has rules with a ScheduleExpression, and none with an EventPattern: there are no events to match.": put(eventbridge.PutRuleInput{EventPattern: aws.String(`{"source":["x"]}`)}),
	} {
		if refusal(err) != want {
			t.Errorf("refused with %s, want %s", refusal(err), want)
		}
	}
	if err := put(eventbridge.PutRuleInput{ScheduleExpression: aws.String("cron(0/10 * * * ? *)"), Description: aws.String("often")}); err != nil {
		t.Fatal(err)
	}
	url, queue := w.newQueue("q", nil)
	if _, err := c.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &rule, Targets: []rules.Target{
		{Id: aws.String("1"), Arn: &f}, {Id: aws.String("2"), Arn: &queue, Input: aws.String(`{"n":1}`)},
	}}); err != nil {
		t.Fatal(err)
	}
	_, err := c.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &rule, Targets: []rules.Target{{Id: aws.String("!@"), Arn: &f}}})
	if want := `ValidationException: 1 validation error detected: Value '!@' at 'targets.1.member.id' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+`; refusal(err) != want {
		t.Errorf("refused with %s, want %s", refusal(err), want)
	}
	w.took(21 * time.Minute)
	if len(w.events) != 2 || !strings.HasPrefix(w.events[1], `{"version":"0","id":"`) ||
		!strings.HasSuffix(w.events[1], `","detail-type":"Scheduled Event","source":"aws.events","account":"000000000000","time":"2030-01-01T00:20:00Z","region":"us-east-1","resources":["arn:aws:events:us-east-1:000000000000:rule/r"],"detail":{}}`) {
		t.Errorf("the function got %v", w.events)
	}
	if got := w.bodies(url); !slices.Equal(got, []string{`{"n":1}`, `{"n":1}`}) {
		t.Error("the queue got ", got)
	}
	if got, err := c.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &rule}); err != nil || *got.Description != "often" || got.State != rules.RuleStateEnabled || *got.EventBusName != "default" {
		t.Errorf("DescribeRule: %+v %v", got, err)
	}
	if got, err := c.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule, Limit: aws.Int32(1)}); err != nil || len(got.Targets) != 1 || *got.Targets[0].Arn != f || got.NextToken == nil {
		t.Errorf("ListTargetsByRule: %+v %v", got, err)
	}
	if got, err := c.ListRuleNamesByTarget(ctx, &eventbridge.ListRuleNamesByTargetInput{TargetArn: &f}); err != nil || !slices.Equal(got.RuleNames, []string{"r"}) {
		t.Errorf("ListRuleNamesByTarget: %+v %v", got, err)
	}
	if _, err := c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &rule}); refusal(err) != "ValidationException: Rule can't be deleted since it has targets." {
		t.Error(err)
	}
	if _, err := c.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &rule, Ids: []string{"1", "2"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &rule}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &rule}); refusal(err) != "ResourceNotFoundException: Rule r does not exist on EventBus default." {
		t.Error(err)
	}
	for resource, want := range map[string]string{
		"rule/r":            "ResourceNotFoundException: Rule r does not exist on EventBus default.",
		"event-bus/mine":    "ResourceNotFoundException: Event bus mine does not exist.",
		"event-bus/default": "UnsupportedOperationException: Of EventBridge, Millstream has rules with a schedule expression, not tags of event buses.",
	} {
		if _, err := c.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: aws.String(w.srv.Scope().ARN("events", resource))}); refusal(err) != want {
			t.Errorf("tags of %s: %v", resource, err)
		}
	}
	if _, err := c.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []rules.PutEventsRequestEntry{{Source: aws.String("x")}}}); refusal(err) !=
		"UnsupportedOperationException: Of EventBridge, Millstream has rules with a schedule expression, not PutEvents." {
		t.Error(err)
	}
}

// TestScheduledFunctionIsTriedAgain: a scheduled start is an Event invocation, whose retries follow; a function that is not there is told to the dead-letter queue.
func TestScheduledFunctionIsTriedAgain(t *testing.T) {
	w := openQueues(t)
	var calls atomic.Int32
	if err := w.srv.RegisterFunction("flaky", func(context.Context, []byte) ([]byte, error) {
		if calls.Add(1) < 3 {
			return nil, errors.New("not today")
		}
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	c := scheduler.NewFromConfig(w.srv.Config())
	url, dead := w.newQueue("dead", nil)
	for _, name := range []string{"flaky", "missing"} {
		if _, err := c.CreateSchedule(t.Context(), &scheduler.CreateScheduleInput{
			Name: &name, ScheduleExpression: aws.String("at(2030-01-01T00:01:00)"), FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
			Target: &types.Target{Arn: aws.String(w.srv.Scope().FunctionARN(name)), RoleArn: aws.String("arn:aws:iam::000000000000:role/r"), Input: aws.String(`"go"`), DeadLetterConfig: &types.DeadLetterConfig{Arn: &dead}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.took(time.Hour)
	if n := calls.Load(); n != 3 {
		t.Error("the function was called ", n, " times")
	}
	if got := w.bodies(url); !slices.Equal(got, []string{`"go"`}) {
		t.Error("the dead letters are ", got)
	}
}

// deployTwice deploys a template, and again, which must change nothing.
func (w *queuesWorld) deployTwice(text string) (target *template.Target, result *template.Result, kept []template.Kept) {
	w.Helper()
	must := func(err error) {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
	}
	path := filepath.Join(w.TempDir(), "template.yaml")
	must(os.WriteFile(path, []byte(text), 0o600))
	tpl, err := template.Read(path)
	must(err)
	target, err = w.srv.target(w.srv.Scope())
	must(err)
	var o template.Options
	must(target.Fill(w.Context(), &o))
	for _, want := range []template.Action{template.Created, template.Unchanged} {
		plan, err := tpl.Plan(o)
		must(err)
		result, err = plan.Deploy(w.Context(), target, nil)
		must(err)
		for _, c := range result.Changes {
			if c.Action != want {
				w.Errorf("%s is %s, want %s", c.ID, c.Action, want)
			}
			kept = append(kept, template.Kept{Type: c.Type, ID: c.Ref})
		}
	}
	return target, result, kept
}

// TestTemplateWithSchedules: what a template deploys starts, a second deployment changes nothing, and what is removed is gone.
func TestTemplateWithSchedules(t *testing.T) {
	w := openQueues(t)
	target, result, kept := w.deployTwice(`
Resources:
  Jobs: {Type: AWS::SQS::Queue}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      Name: often
      ScheduleExpression: rate(10 minutes)
      Targets: [{Id: jobs, Arn: !GetAtt Jobs.Arn, Input: '"rule"', RetryPolicy: {MaximumRetryAttempts: 2}}]
  Group: {Type: AWS::Scheduler::ScheduleGroup, Properties: {Name: nights}}
  Night:
    Type: AWS::Scheduler::Schedule
    Properties:
      Name: night
      GroupName: !Ref Group
      ScheduleExpression: cron(0 1 * * ? *)
      ScheduleExpressionTimezone: Europe/Berlin
      StartDate: '2030-01-01T01:00:00+01:00'
      FlexibleTimeWindow: {Mode: 'OFF'}
      Target: {Arn: !GetAtt Jobs.Arn, RoleArn: !Sub 'arn:aws:iam::${AWS::AccountId}:role/r', Input: night}
Outputs:
  Jobs: {Value: !Ref Jobs}
`)
	url := result.Outputs[0].Value
	w.took(20 * time.Minute)
	got := w.bodies(url)
	slices.Sort(got)
	if !slices.Equal(got, []string{`"rule"`, `"rule"`}) {
		t.Error("the queue got ", got)
	}
	w.took(24*time.Hour - 20*time.Minute)
	if n := strings.Count(strings.Join(w.bodies(url), ""), "night"); n != 1 {
		t.Error("the schedule has sent ", n, " messages")
	}
	slices.Reverse(kept)
	for _, one := range kept {
		if err := target.Remove(t.Context(), one); err != nil {
			t.Error(one, err)
		}
	}
	if left := w.srv.schedules.All(w.srv.Scope()); len(left) != 0 {
		t.Error("left over: ", left)
	}
}
