package template

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Policies of queues and topics are kept and given back, and not looked at. An AWS::SQS::QueuePolicy is one of each queue that it names, and so is an
// AWS::SNS::TopicPolicy of each topic.

// queuePolicy is the policy of a queue, an AWS::SQS::QueueInlinePolicy.
type queuePolicy struct {
	PolicyDocument apart // as a document
	Queue          string

	document string
}

// topicPolicy is the policy of a topic, an AWS::SNS::TopicInlinePolicy.
type topicPolicy struct {
	PolicyDocument apart // as a document
	TopicArn       string

	document string
}

const (
	queuePolicyType = "AWS::SQS::QueueInlinePolicy"
	topicPolicyType = "AWS::SNS::TopicInlinePolicy"
)

// policies makes one policy of each queue or topic that a policy of several names.
func (x *expansion) policies(r *resource, list, typ, member string) {
	all := r.props.get(list)
	if all == nil {
		return
	}
	for i, one := range all.list {
		props := (&node{kind: object, line: r.line}).with(member, one).with("PolicyDocument", r.props.get("PolicyDocument"))
		x.add(&resource{id: r.id + list + strconv.Itoa(i+1), typ: typ, line: r.line, condition: r.condition, needs: r.needs, props: props})
	}
}

func (c *preparation) policyDocument() string {
	n := c.props.get("PolicyDocument")
	if n != nil && n.kind == scalar { // a document as text
		return n.text
	}
	return jsonOf(n)
}

func prepareQueuePolicy(c *preparation) step {
	p := &queuePolicy{document: c.policyDocument()}
	c.into(p)
	c.required("Queue", "PolicyDocument")
	if !c.plan.opts.Queues {
		c.leave(c.r.line, "", c.r.typ+" needs a server of queues: set AWS_ENDPOINT_URL_SQS")
	}
	return p
}

func prepareTopicPolicy(c *preparation) step {
	p := &topicPolicy{document: c.policyDocument()}
	c.into(p)
	c.required("TopicArn", "PolicyDocument")
	if !c.plan.opts.Topics {
		c.leave(c.r.line, "", c.r.typ+" needs a server of topics: set AWS_ENDPOINT_URL_SNS")
	}
	return p
}

func (p *queuePolicy) deploy(ctx context.Context, d *deployment) (outcome, error) {
	out := outcome{name: p.Queue, action: Unchanged, attributes: map[string]string{"": p.Queue}}
	is, err := d.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &p.Queue, AttributeNames: []types.QueueAttributeName{"Policy"}})
	var missing *types.QueueDoesNotExist
	switch {
	case errors.As(err, &missing): // it is elsewhere
		return out, nil
	case err != nil:
		return outcome{}, err
	case samePolicy(is.Attributes["Policy"], p.document):
		return out, nil
	}
	out.action = Updated
	if is.Attributes["Policy"] == "" {
		out.action = Created
	}
	_, err = d.Queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &p.Queue, Attributes: map[string]string{"Policy": p.document}})
	return out, err
}

func (p *topicPolicy) deploy(ctx context.Context, d *deployment) (outcome, error) {
	out := outcome{name: p.TopicArn, action: Unchanged, attributes: map[string]string{"": p.TopicArn}}
	is, err := d.Topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &p.TopicArn})
	var missing *snstypes.NotFoundException
	switch {
	case errors.As(err, &missing): // it is elsewhere
		return out, nil
	case err != nil:
		return outcome{}, err
	case samePolicy(is.Attributes["Policy"], p.document):
		return out, nil
	}
	out.action = Created
	_, err = d.Topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: &p.TopicArn, AttributeName: aws.String("Policy"), AttributeValue: &p.document})
	return out, err
}

// removePolicy has a queue or topic go back to the policy of a new one.
func (t *Target) removePolicy(ctx context.Context, typ, id string) (err error) {
	if typ == queuePolicyType {
		_, err = t.Queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &id, Attributes: map[string]string{"Policy": ""}})
	} else {
		_, err = t.Topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: &id, AttributeName: aws.String("Policy"), AttributeValue: aws.String("")})
	}
	return err
}

// samePolicy compares documents whose members may be written in another order.
func samePolicy(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
