package template

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// queueProperties are those of AWS::SQS::Queue.
type queueProperties struct {
	QueueName                                                                                                  string
	DelaySeconds, MaximumMessageSize, MessageRetentionPeriod, ReceiveMessageWaitTimeSeconds, VisibilityTimeout *int
	FifoQueue, ContentBasedDeduplication                                                                       *bool
	DeduplicationScope, FifoThroughputLimit                                                                    *string
	RedrivePolicy                                                                                              *struct {
		DeadLetterTargetArn string
		MaxReceiveCount     int
	}
	Tags []tag

	RedriveAllowPolicy *struct {
		RedrivePermission string
		SourceQueueArns   []string
	}

	KmsMasterKeyId               string // kept and given back, as the two that follow
	KmsDataKeyReusePeriodSeconds *int
	SqsManagedSseEnabled         *bool
}

// queue is an SQS queue to deploy.
type queue struct{ props queueProperties }

func prepareQueue(c *preparation) step {
	q := &queue{}
	for _, policy := range []string{"RedrivePolicy", "RedriveAllowPolicy"} { // their members are written small
		r := c.props.get(policy)
		if r == nil {
			continue
		}
		small := &node{kind: object, line: r.line}
		for i, name := range r.keys {
			if name != "" {
				name = strings.ToUpper(name[:1]) + name[1:]
			}
			small.keys, small.vals = append(small.keys, name), append(small.vals, r.vals[i])
		}
		c.props = c.props.with(policy, small)
	}
	c.into(&q.props)
	isFIFO := q.props.FifoQueue != nil && *q.props.FifoQueue
	if q.props.QueueName == "" && isFIFO {
		q.props.QueueName = c.plan.name(c.r.id, "") + fifo
	}
	q.props.QueueName = c.plan.name(c.r.id, q.props.QueueName)
	c.fifoNamed(queueNaming, q.props.QueueName, isFIFO)
	if !c.plan.opts.Queues {
		c.leave(c.r.line, effectOf(c.r.typ), c.r.typ+" needs a server of queues: set AWS_ENDPOINT_URL_SQS")
	}
	return q
}

// attributes are the queue's settings as SQS takes them.
func (q *queue) attributes() map[string]string {
	p, m := &q.props, map[string]string{}
	number := func(name string, v *int) {
		if v != nil {
			m[name] = strconv.Itoa(*v)
		}
	}
	number("DelaySeconds", p.DelaySeconds)
	number("MaximumMessageSize", p.MaximumMessageSize)
	number("MessageRetentionPeriod", p.MessageRetentionPeriod)
	number("ReceiveMessageWaitTimeSeconds", p.ReceiveMessageWaitTimeSeconds)
	number("VisibilityTimeout", p.VisibilityTimeout)
	if p.FifoQueue != nil && *p.FifoQueue {
		m["FifoQueue"] = "true"
	}
	if p.ContentBasedDeduplication != nil {
		m["ContentBasedDeduplication"] = strconv.FormatBool(*p.ContentBasedDeduplication)
	}
	if p.KmsMasterKeyId != "" {
		m["KmsMasterKeyId"] = p.KmsMasterKeyId
	}
	number("KmsDataKeyReusePeriodSeconds", p.KmsDataKeyReusePeriodSeconds)
	if p.SqsManagedSseEnabled != nil {
		m["SqsManagedSseEnabled"] = strconv.FormatBool(*p.SqsManagedSseEnabled)
	}
	if p.DeduplicationScope != nil {
		m["DeduplicationScope"] = *p.DeduplicationScope
	}
	if p.FifoThroughputLimit != nil {
		m["FifoThroughputLimit"] = *p.FifoThroughputLimit
	}
	if r := p.RedrivePolicy; r != nil {
		body, _ := json.Marshal(map[string]any{"deadLetterTargetArn": r.DeadLetterTargetArn, "maxReceiveCount": r.MaxReceiveCount}) // always marshals
		m["RedrivePolicy"] = string(body)
	}
	if r := p.RedriveAllowPolicy; r != nil {
		policy := map[string]any{"redrivePermission": r.RedrivePermission}
		if len(r.SourceQueueArns) > 0 {
			policy["sourceQueueArns"] = r.SourceQueueArns
		}
		body, _ := json.Marshal(policy) // always marshals
		m["RedriveAllowPolicy"] = string(body)
	}
	return m
}

func (q *queue) there(ctx context.Context, d *deployment) (ref string, err error) {
	now, err := d.Queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.props.QueueName})
	var missing *types.QueueDoesNotExist
	switch {
	case errors.As(err, &missing):
		return "", nil
	case err != nil:
		return "", err
	}
	return aws.ToString(now.QueueUrl), nil
}

func (q *queue) deploy(ctx context.Context, d *deployment) (outcome, error) {
	action, url := Unchanged, ""
	now, err := d.Queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.props.QueueName})
	var missing *types.QueueDoesNotExist
	switch {
	case errors.As(err, &missing):
		made, err := d.Queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &q.props.QueueName, Attributes: q.attributes(), Tags: tagMap(q.props.Tags)})
		if err != nil {
			return outcome{}, err
		}
		action, url = Created, aws.ToString(made.QueueUrl)
	case err != nil:
		return outcome{}, err
	default:
		url = aws.ToString(now.QueueUrl)
	}
	is, err := d.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return outcome{}, err
	}
	if action == Unchanged {
		updated, err := q.update(ctx, d, url, is.Attributes)
		if err != nil {
			return outcome{}, err
		}
		if updated {
			action = Updated
		}
	}
	arn := is.Attributes["QueueArn"]
	return outcome{name: url, action: action, attributes: map[string]string{"": url, "Arn": arn, "QueueName": q.props.QueueName, "QueueUrl": url}}, nil
}

// named lists what a later deployment takes back when its template names it no more.
func (q *queue) named() (properties, tags map[string]string) {
	return q.attributes(), tagMap(q.props.Tags)
}

// queueDefaults are what a queue has again when a template named it before and no longer does. DeduplicationScope and FifoThroughputLimit stay as they are, as
// with CloudFormation, whose size of messages is SQS's of before 2025.
var queueDefaults = map[string]string{
	"DelaySeconds": "0", "MaximumMessageSize": "262144", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30",
	"ContentBasedDeduplication": "false", "RedrivePolicy": "", "RedriveAllowPolicy": "", "KmsMasterKeyId": "",
}

// update makes a queue's attributes and tags what the template says. is has the attributes as they are. What no template has named stays: a retention that
// somebody else has set would go with the messages that it keeps.
func (q *queue) update(ctx context.Context, d *deployment, url string, is map[string]string) (updated bool, err error) {
	changed := map[string]string{}
	want := q.attributes()
	for name, value := range queueDefaults {
		if _, named := want[name]; !named && is[name] != "" && d.had(name) {
			want[name] = value
		}
	}
	for name, value := range want {
		if is[name] != value && name != "FifoQueue" && !(name == "RedrivePolicy" && sameJSON(is[name], value)) {
			changed[name] = value
		}
	}
	if want["KmsMasterKeyId"] == "" { // without a key there is no such time
		delete(changed, "KmsDataKeyReusePeriodSeconds")
	}
	if len(changed) > 0 {
		if _, err := d.Queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: changed}); err != nil {
			return false, err
		}
	}
	has, err := d.Queues.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	if err != nil {
		return false, err
	}
	set, gone := d.retag(has.Tags, tagMap(q.props.Tags))
	if len(gone) > 0 {
		if _, err := d.Queues.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: &url, TagKeys: gone}); err != nil {
			return false, err
		}
	}
	if len(set) > 0 {
		if _, err := d.Queues.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &url, Tags: set}); err != nil {
			return false, err
		}
	}
	return len(changed)+len(set)+len(gone) > 0, nil
}

// sameJSON compares objects whose members may be written in another order, or
// numbers as text.
func sameJSON(a, b string) bool {
	var x, y struct {
		DeadLetterTargetArn string      `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.Number `json:"maxReceiveCount"`
	}
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && x == y
}
