package template

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// topic is an SNS topic to deploy.
type topic struct {
	TopicName, DisplayName    string
	FifoTopic                 bool
	ContentBasedDeduplication bool
	Subscription              []struct{ Endpoint, Protocol string }
	Tags                      []tag

	KmsMasterKeyId, TracingConfig, SignatureVersion, DataProtectionPolicy, DeliveryStatusLogging, ArchivePolicy ignored
}

func prepareTopic(c *preparation) step {
	t := &topic{}
	c.into(t)
	if t.TopicName == "" && t.FifoTopic {
		t.TopicName = c.plan.name(c.r.id, "") + fifo
	}
	t.TopicName = c.plan.name(c.r.id, t.TopicName)
	c.fifoNamed(topicNaming, t.TopicName, t.FifoTopic)
	if !c.plan.opts.Topics {
		c.leave(c.r.line, effectOf(c.r.typ), c.r.typ+" needs a server of topics: set AWS_ENDPOINT_URL_SNS")
	}
	for _, s := range t.Subscription {
		if !delivers(s.Protocol) {
			c.problems.lack(c.r.line, "nothing is sent by it", c.r.id+": subscriptions by "+s.Protocol+" are not supported, only those by sqs, lambda, http and https")
		}
	}
	return t
}

func (t *topic) there(ctx context.Context, d *deployment) (ref string, err error) {
	all, err := d.topicARNs(ctx)
	for _, is := range all {
		if strings.HasSuffix(is, ":"+t.TopicName) {
			return is, nil
		}
	}
	return "", err
}

func (t *topic) deploy(ctx context.Context, d *deployment) (outcome, error) {
	arn, err := t.there(ctx, d)
	if err != nil {
		return outcome{}, err
	}
	in := &sns.CreateTopicInput{Name: &t.TopicName, Attributes: map[string]string{}}
	if t.DisplayName != "" {
		in.Attributes["DisplayName"] = t.DisplayName
	}
	if t.FifoTopic {
		in.Attributes["FifoTopic"] = "true"
	}
	if t.ContentBasedDeduplication {
		in.Attributes["ContentBasedDeduplication"] = "true"
	}
	for _, one := range t.Tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(one.Key), Value: aws.String(one.Value)})
	}
	action := Unchanged
	if arn == "" {
		made, err := d.Topics.CreateTopic(ctx, in)
		if err != nil {
			return outcome{}, err
		}
		action, arn = Created, aws.ToString(made.TopicArn)
	}
	for _, s := range t.Subscription { // subscribing again gives the same subscription
		if !delivers(s.Protocol) {
			continue
		}
		if _, err := d.Topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: &arn, Endpoint: aws.String(s.Endpoint), Protocol: aws.String(s.Protocol)}); err != nil {
			return outcome{}, err
		}
	}
	return outcome{name: arn, action: action, attributes: map[string]string{"": arn, "TopicArn": arn, "TopicName": t.TopicName}}, nil
}

func (d *deployment) topicARNs(ctx context.Context) (all []string, err error) {
	for in := (&sns.ListTopicsInput{}); ; {
		out, err := d.Topics.ListTopics(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, t := range out.Topics {
			all = append(all, aws.ToString(t.TopicArn))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all, nil
		}
	}
}
