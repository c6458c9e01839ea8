package app

import (
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	scheduletypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// messenger has the provider's clients for queues, topics and scheduletypes.
type messenger struct {
	*provider
	sqs       *sqs.Client
	sns       *sns.Client
	events    *eventbridge.Client
	scheduler *scheduler.Client
}

func newMessenger(t *testing.T) *messenger {
	t.Helper()
	server := httptest.NewServer(openApp(t).Handler())
	t.Cleanup(server.Close)
	at, once := &server.URL, aws.NopRetryer{}
	return &messenger{&provider{T: t, ctx: t.Context()},
		sqs.New(sqs.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once}),
		sns.New(sns.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once}),
		eventbridge.New(eventbridge.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once}),
		scheduler.New(scheduler.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once}),
	}
}

// of is what is configured of what is read: attributes that are not are computed.
func of(read, configured map[string]string) map[string]string {
	out := map[string]string{}
	for name := range configured {
		out[name] = read[name]
	}
	return out
}

// queue makes a queue, and waits until it has its attributes.
func (m *messenger) queue(name string, attributes, tags map[string]string) (url *string) {
	m.Helper()
	made, err := m.sqs.CreateQueue(m.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes, Tags: tags})
	m.must(made, err)
	return made.QueueUrl
}

func (m *messenger) readQueue(url *string) map[string]string {
	m.Helper()
	out, err := m.sqs.GetQueueAttributes(m.ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	m.must(out, err)
	return out.Attributes
}

// aws_sqs_queue, _queue_policy, _queue_redrive_policy and _queue_redrive_allow_policy, which set attributes of the queue.
func TestTerraformQueue(t *testing.T) {
	m := newMessenger(t)
	dead := m.queue("dead", nil, nil)
	deadARN := m.readQueue(dead)["QueueArn"]
	for name, c := range map[string][]map[string]string{
		"jobs": {
			{"DelaySeconds": "0", "MaximumMessageSize": "262144", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30", "SqsManagedSseEnabled": "true"},
			{"DelaySeconds": "3", "MaximumMessageSize": "2048", "MessageRetentionPeriod": "60", "ReceiveMessageWaitTimeSeconds": "1", "VisibilityTimeout": "60", "SqsManagedSseEnabled": "false",
				"RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":4}`,
				"Policy":        `{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:us-east-1:000000000000:jobs"}]}`},
		},
		"ordered.fifo": {
			{"FifoQueue": "true", "ContentBasedDeduplication": "false", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"},
			{"ContentBasedDeduplication": "true", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"},
		},
	} {
		url := m.queue(name, c[0], map[string]string{"team": "shop"})
		undrifted(m.provider, name+" after it is made", of(m.readQueue(url), c[0]), c[0])
		m.must(m.sqs.SetQueueAttributes(m.ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: c[1]}))
		undrifted(m.provider, name+" after an update", of(m.readQueue(url), c[1]), c[1])
		for _, attribute := range []string{"Policy", "RedrivePolicy", "RedriveAllowPolicy"} { // an empty one removes it
			m.must(m.sqs.SetQueueAttributes(m.ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{attribute: ""}}))
			if value, is := m.readQueue(url)[attribute]; is {
				t.Errorf("%s still has the %s %s", name, attribute, value)
			}
		}
		m.must(m.sqs.UntagQueue(m.ctx, &sqs.UntagQueueInput{QueueUrl: url, TagKeys: []string{"team"}}))
		m.must(m.sqs.TagQueue(m.ctx, &sqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"more": "y"}}))
		tags, err := m.sqs.ListQueueTags(m.ctx, &sqs.ListQueueTagsInput{QueueUrl: url})
		m.must(tags, err)
		undrifted(m.provider, "its tags", tags.Tags, map[string]string{"more": "y"})
		m.must(m.sqs.DeleteQueue(m.ctx, &sqs.DeleteQueueInput{QueueUrl: url}))
		m.refused("AWS.SimpleQueueService.NonExistentQueue")(m.sqs.GetQueueAttributes(m.ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []sqstypes.QueueAttributeName{"All"}}))
	}
	allow := map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:jobs"]}`}
	m.must(m.sqs.SetQueueAttributes(m.ctx, &sqs.SetQueueAttributesInput{QueueUrl: dead, Attributes: allow}))
	undrifted(m.provider, "who may redrive", of(m.readQueue(dead), allow), allow)
}

// aws_sns_topic and _topic_policy, and aws_sns_topic_subscription, whose filter policy is removed by an empty one.
func TestTerraformTopic(t *testing.T) {
	m := newMessenger(t)
	made, err := m.sns.CreateTopic(m.ctx, &sns.CreateTopicInput{Name: aws.String("news"), Tags: []snstypes.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}})
	m.must(made, err)
	topic := made.TopicArn
	for _, c := range []map[string]string{
		{"DisplayName": "News", "Policy": `{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish","Resource":"` + *topic + `"}]}`},
		{"DisplayName": "", "TracingConfig": "PassThrough"},
	} {
		for name, value := range c {
			m.must(m.sns.SetTopicAttributes(m.ctx, &sns.SetTopicAttributesInput{TopicArn: topic, AttributeName: &name, AttributeValue: &value}))
		}
		is, err := m.sns.GetTopicAttributes(m.ctx, &sns.GetTopicAttributesInput{TopicArn: topic})
		m.must(is, err)
		undrifted(m.provider, "the topic", of(is.Attributes, c), c)
	}
	tags, err := m.sns.ListTagsForResource(m.ctx, &sns.ListTagsForResourceInput{ResourceArn: topic})
	if m.must(tags, err); len(tags.Tags) != 1 {
		t.Errorf("its tags are %v", tags.Tags)
	}

	dead := m.readQueue(m.queue("dead", nil, nil))["QueueArn"]
	endpoint := m.readQueue(m.queue("jobs", nil, nil))["QueueArn"]
	c := map[string]string{"RawMessageDelivery": "false", "FilterPolicy": `{"kind":["a"]}`, "FilterPolicyScope": "MessageAttributes", "RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `"}`}
	sub, err := m.sns.Subscribe(m.ctx, &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("sqs"), Endpoint: &endpoint, ReturnSubscriptionArn: true, Attributes: c})
	m.must(sub, err)
	read := func() map[string]string {
		t.Helper()
		out, err := m.sns.GetSubscriptionAttributes(m.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: sub.SubscriptionArn})
		m.must(out, err)
		return out.Attributes
	}
	set := func(name, value string) {
		t.Helper()
		m.must(m.sns.SetSubscriptionAttributes(m.ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: sub.SubscriptionArn, AttributeName: &name, AttributeValue: &value}))
	}
	m.until("the subscription's confirmation", func() string { return read()["PendingConfirmation"] }, []string{"true"}, "false")
	undrifted(m.provider, "the subscription", of(read(), c), c)
	c["RawMessageDelivery"], c["FilterPolicyScope"], c["FilterPolicy"] = "true", "MessageBody", `{"kind":{"of":["b"]}}`
	for _, name := range []string{"FilterPolicyScope", "FilterPolicy", "RawMessageDelivery"} { // the scope of bodies first
		set(name, c[name])
	}
	undrifted(m.provider, "the subscription after an update", of(read(), c), c)
	set("FilterPolicy", "{}")
	m.must(m.sns.SetSubscriptionAttributes(m.ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: sub.SubscriptionArn, AttributeName: aws.String("RedrivePolicy")}))
	for _, name := range []string{"FilterPolicy", "RedrivePolicy"} {
		if value, is := read()[name]; is {
			t.Errorf("the subscription still has the %s %s", name, value)
		}
	}
	m.must(m.sns.Unsubscribe(m.ctx, &sns.UnsubscribeInput{SubscriptionArn: sub.SubscriptionArn}))
	m.refused("NotFound")(m.sns.GetSubscriptionAttributes(m.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: sub.SubscriptionArn}))
	m.must(m.sns.DeleteTopic(m.ctx, &sns.DeleteTopicInput{TopicArn: topic}))
	m.refused("NotFound")(m.sns.GetTopicAttributes(m.ctx, &sns.GetTopicAttributesInput{TopicArn: topic}))
}

// aws_cloudwatch_event_rule and _event_target.
func TestTerraformRule(t *testing.T) {
	m := newMessenger(t)
	dead, jobs := m.readQueue(m.queue("dead", nil, nil))["QueueArn"], m.readQueue(m.queue("jobs", nil, nil))["QueueArn"]
	name := aws.String("hourly")
	m.refused("ResourceNotFoundException")(m.events.DescribeRule(m.ctx, &eventbridge.DescribeRuleInput{Name: name, EventBusName: aws.String("default")}))
	for i, c := range []eventbridge.PutRuleInput{
		{Name: name, EventBusName: aws.String("default"), Description: aws.String("one"), ScheduleExpression: aws.String("rate(1 hour)"), State: eventtypes.RuleStateEnabled,
			Tags: []eventtypes.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}},
		{Name: name, EventBusName: aws.String("default"), Description: aws.String("two"), ScheduleExpression: aws.String("cron(0 7 * * ? *)"), State: eventtypes.RuleStateDisabled},
	} {
		m.must(m.events.PutRule(m.ctx, &c))
		is, err := m.events.DescribeRule(m.ctx, &eventbridge.DescribeRuleInput{Name: name, EventBusName: aws.String("default")})
		m.must(is, err)
		undrifted(m.provider, "the rule", []string{*is.Name, *is.EventBusName, *is.Description, *is.ScheduleExpression, string(is.State)},
			[]string{*c.Name, "default", *c.Description, *c.ScheduleExpression, string(c.State)})
		tags, err := m.events.ListTagsForResource(m.ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: is.Arn})
		if m.must(tags, err); len(tags.Tags) != 1 {
			t.Errorf("its tags are %v", tags.Tags)
		}
		target := eventtypes.Target{Id: aws.String("jobs"), Arn: &jobs, Input: aws.String(`{"v":1}`), DeadLetterConfig: &eventtypes.DeadLetterConfig{Arn: &dead},
			RetryPolicy: &eventtypes.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(600), MaximumRetryAttempts: aws.Int32(int32(i))}}
		put, err := m.events.PutTargets(m.ctx, &eventbridge.PutTargetsInput{Rule: name, EventBusName: aws.String("default"), Targets: []eventtypes.Target{target}})
		if m.must(put, err); put.FailedEntryCount != 0 {
			t.Errorf("%+v", put.FailedEntries)
		}
		list, err := m.events.ListTargetsByRule(m.ctx, &eventbridge.ListTargetsByRuleInput{Rule: name, EventBusName: aws.String("default")})
		m.must(list, err)
		undrifted(m.provider, "the target", list.Targets, []eventtypes.Target{target})
	}
	m.refused("ValidationException")(m.events.DeleteRule(m.ctx, &eventbridge.DeleteRuleInput{Name: name, EventBusName: aws.String("default")}))
	gone, err := m.events.RemoveTargets(m.ctx, &eventbridge.RemoveTargetsInput{Rule: name, EventBusName: aws.String("default"), Ids: []string{"jobs"}})
	if m.must(gone, err); gone.FailedEntryCount != 0 {
		t.Errorf("%+v", gone.FailedEntries)
	}
	m.must(m.events.DeleteRule(m.ctx, &eventbridge.DeleteRuleInput{Name: name, EventBusName: aws.String("default")}))
	m.refused("ResourceNotFoundException")(m.events.DescribeRule(m.ctx, &eventbridge.DescribeRuleInput{Name: name, EventBusName: aws.String("default")}))
}

// aws_scheduler_schedule_group and _schedule.
func TestTerraformSchedule(t *testing.T) {
	m := newMessenger(t)
	dead, jobs := m.readQueue(m.queue("dead", nil, nil))["QueueArn"], m.readQueue(m.queue("jobs", nil, nil))["QueueArn"]
	group, name := aws.String("g"), aws.String("daily")
	m.must(m.scheduler.CreateScheduleGroup(m.ctx, &scheduler.CreateScheduleGroupInput{Name: group}))
	is, err := m.scheduler.GetScheduleGroup(m.ctx, &scheduler.GetScheduleGroupInput{Name: group})
	if m.must(is, err); is.State != scheduletypes.ScheduleGroupStateActive {
		t.Errorf("the group is %s", is.State)
	}
	type config struct {
		expression, zone, description string
		state                         scheduletypes.ScheduleState
		window                        scheduletypes.FlexibleTimeWindow
		target                        scheduletypes.Target
	}
	target := scheduletypes.Target{Arn: &jobs, RoleArn: aws.String(functionRole), Input: aws.String(`{"v":1}`), DeadLetterConfig: &scheduletypes.DeadLetterConfig{Arn: &dead},
		RetryPolicy: &scheduletypes.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(600), MaximumRetryAttempts: aws.Int32(2)}}
	plain := target
	plain.Input, plain.DeadLetterConfig = nil, nil
	plain.RetryPolicy = &scheduletypes.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(86400), MaximumRetryAttempts: aws.Int32(185)} // the defaults, which are shown
	read := func() config {
		t.Helper()
		s, err := m.scheduler.GetSchedule(m.ctx, &scheduler.GetScheduleInput{Name: name, GroupName: group})
		m.must(s, err)
		return config{*s.ScheduleExpression, aws.ToString(s.ScheduleExpressionTimezone), aws.ToString(s.Description), s.State, *s.FlexibleTimeWindow, *s.Target}
	}
	c := config{"cron(0 7 * * ? *)", "Europe/Berlin", "one", scheduletypes.ScheduleStateEnabled, scheduletypes.FlexibleTimeWindow{Mode: scheduletypes.FlexibleTimeWindowModeFlexible, MaximumWindowInMinutes: aws.Int32(5)}, target}
	m.must(m.scheduler.CreateSchedule(m.ctx, &scheduler.CreateScheduleInput{Name: name, GroupName: group, ScheduleExpression: &c.expression, ScheduleExpressionTimezone: &c.zone,
		Description: &c.description, State: c.state, FlexibleTimeWindow: &c.window, Target: &c.target}))
	undrifted(m.provider, "after it is made", read(), c)
	c = config{"rate(1 days)", "UTC", "", scheduletypes.ScheduleStateDisabled, scheduletypes.FlexibleTimeWindow{Mode: scheduletypes.FlexibleTimeWindowModeOff}, plain}
	sent := plain
	sent.RetryPolicy = nil
	m.must(m.scheduler.UpdateSchedule(m.ctx, &scheduler.UpdateScheduleInput{Name: name, GroupName: group, ScheduleExpression: &c.expression, ScheduleExpressionTimezone: &c.zone,
		State: c.state, FlexibleTimeWindow: &c.window, Target: &sent}))
	undrifted(m.provider, "after an update", read(), c)
	m.must(m.scheduler.DeleteSchedule(m.ctx, &scheduler.DeleteScheduleInput{Name: name, GroupName: group}))
	m.refused("ResourceNotFoundException")(m.scheduler.GetSchedule(m.ctx, &scheduler.GetScheduleInput{Name: name, GroupName: group}))
	m.must(m.scheduler.DeleteScheduleGroup(m.ctx, &scheduler.DeleteScheduleGroupInput{Name: group}))
	m.until("the group", func() string {
		return code(m.scheduler.GetScheduleGroup(m.ctx, &scheduler.GetScheduleGroupInput{Name: group}))
	}, []string{""}, "ResourceNotFoundException")
}
