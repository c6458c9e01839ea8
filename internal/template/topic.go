package template

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// topic is an SNS topic to deploy.
type topic struct {
	TopicName, DisplayName    string
	FifoTopic                 bool
	ContentBasedDeduplication *bool
	Subscription              []struct{ Endpoint, Protocol string }
	Tags                      []tag

	FifoThroughputScope                             string
	KmsMasterKeyId, TracingConfig, SignatureVersion string // kept and given back

	DataProtectionPolicy, DeliveryStatusLogging, ArchivePolicy ignored
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
	action := Unchanged
	if arn == "" {
		in := &sns.CreateTopicInput{Name: &t.TopicName, Attributes: t.attributes(), Tags: topicTags(tagMap(t.Tags))}
		if t.FifoTopic {
			in.Attributes["FifoTopic"] = "true"
		}
		made, err := d.Topics.CreateTopic(ctx, in)
		if err != nil {
			return outcome{}, err
		}
		action, arn = Created, aws.ToString(made.TopicArn)
	} else {
		updated, err := t.update(ctx, d, arn)
		if err != nil {
			return outcome{}, err
		}
		if updated {
			action = Updated
		}
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

// attributes are the topic's settings as SNS takes them, those that a template may change.
func (t *topic) attributes() map[string]string {
	m := map[string]string{}
	for name, value := range map[string]string{
		"DisplayName": t.DisplayName, "FifoThroughputScope": t.FifoThroughputScope, "KmsMasterKeyId": t.KmsMasterKeyId, "TracingConfig": t.TracingConfig,
		"SignatureVersion": t.SignatureVersion,
	} {
		if value != "" {
			m[name] = value
		}
	}
	if c := t.ContentBasedDeduplication; c != nil && (*c || t.FifoTopic) {
		m["ContentBasedDeduplication"] = strconv.FormatBool(*c)
	}
	return m
}

// named lists what a later deployment takes back when its template names it no more.
func (t *topic) named() (properties, tags map[string]string) { return t.attributes(), tagMap(t.Tags) }

// topicDefaults are what a topic has again when a template named it before and no longer does.
var topicDefaults = map[string]string{
	"DisplayName": "", "FifoThroughputScope": "Topic", "KmsMasterKeyId": "", "TracingConfig": "PassThrough", "SignatureVersion": "1", "ContentBasedDeduplication": "false",
}

// update makes the attributes and tags of a topic that is there what the template says.
func (t *topic) update(ctx context.Context, d *deployment, arn string) (updated bool, err error) {
	is, err := d.Topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &arn})
	if err != nil {
		return false, err
	}
	want := t.attributes()
	for _, name := range slices.Sorted(maps.Keys(topicDefaults)) {
		now, shown := is.Attributes[name]
		value, named := want[name]
		if !named {
			value = topicDefaults[name]
		}
		if now == value || !named && !(shown && d.had(name)) {
			continue
		}
		if _, err := d.Topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: &arn, AttributeName: aws.String(name), AttributeValue: aws.String(value)}); err != nil {
			return updated, err
		}
		updated = true
	}
	has, err := d.Topics.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil {
		return updated, err
	}
	now := map[string]string{}
	for _, one := range has.Tags {
		now[aws.ToString(one.Key)] = aws.ToString(one.Value)
	}
	set, gone := d.retag(now, tagMap(t.Tags))
	if len(gone) > 0 {
		if _, err := d.Topics.UntagResource(ctx, &sns.UntagResourceInput{ResourceArn: &arn, TagKeys: gone}); err != nil {
			return updated, err
		}
	}
	if len(set) > 0 {
		if _, err := d.Topics.TagResource(ctx, &sns.TagResourceInput{ResourceArn: &arn, Tags: topicTags(set)}); err != nil {
			return updated, err
		}
	}
	return updated || len(set)+len(gone) > 0, nil
}

func topicTags(tags map[string]string) (all []types.Tag) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return all
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
