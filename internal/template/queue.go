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

	KmsMasterKeyId, KmsDataKeyReusePeriodSeconds, SqsManagedSseEnabled ignored
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
	changed := map[string]string{}
	for name, value := range q.attributes() {
		if is.Attributes[name] != value && name != "FifoQueue" && !(name == "RedrivePolicy" && sameJSON(is.Attributes[name], value)) {
			changed[name] = value
		}
	}
	if action == Unchanged && len(changed) > 0 {
		if _, err := d.Queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: changed}); err != nil {
			return outcome{}, err
		}
		action = Updated
	}
	arn := is.Attributes["QueueArn"]
	return outcome{name: url, action: action, attributes: map[string]string{"": url, "Arn": arn, "QueueName": q.props.QueueName, "QueueUrl": url}}, nil
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
