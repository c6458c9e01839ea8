package template

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// subscription is an AWS::SNS::Subscription to deploy, which SAM makes of an SNS event.
type subscription struct {
	TopicArn, Protocol, Endpoint, FilterPolicyScope string
	RawMessageDelivery                              *bool
	FilterPolicy, RedrivePolicy, DeliveryPolicy     apart       // as documents
	Region, SubscriptionRoleArn                     ignored     // there is one server, and roles are not looked at
	ReplayPolicy                                    unsupported `effect:"no message of before comes"`

	attributes map[string]string
}

func prepareSubscription(c *preparation) step {
	s := &subscription{attributes: map[string]string{}}
	if c.withoutFunction("Endpoint", "TopicArn") {
		return nil
	}
	c.into(s)
	for _, name := range []string{"FilterPolicy", "RedrivePolicy", "DeliveryPolicy"} {
		if n := c.props.get(name); n != nil && n.kind == object {
			s.attributes[name] = jsonOf(n)
		} else if n != nil && n.kind == scalar { // a document as text
			s.attributes[name] = n.text
		}
	}
	if s.FilterPolicyScope != "" {
		s.attributes["FilterPolicyScope"] = s.FilterPolicyScope
	}
	if s.RawMessageDelivery != nil {
		s.attributes["RawMessageDelivery"] = strconv.FormatBool(*s.RawMessageDelivery)
	}
	switch s.Protocol {
	case "email", "email-json", "sms", "application", "firehose":
		c.leave(c.r.line, "nothing is sent by it", "subscriptions by "+s.Protocol+" are not supported, only those by sqs, lambda, http and https")
	default:
		if delivers(s.Protocol) {
			break
		}
		c.problems.add(c.r.line, "%s.Protocol must be sqs, lambda, http or https, not %q", c.r.id, s.Protocol)
	}
	if !c.plan.opts.Topics {
		c.leave(c.r.line, "nothing is sent by it", c.r.typ+" needs a server of topics: set AWS_ENDPOINT_URL_SNS")
	}
	return s
}

// delivers says whether topics here deliver by a protocol.
func delivers(protocol string) bool {
	return slices.Contains([]string{"sqs", "lambda", "http", "https"}, protocol)
}

func (s *subscription) there(ctx context.Context, d *deployment) (ref string, err error) {
	for in := (&sns.ListSubscriptionsByTopicInput{TopicArn: &s.TopicArn}); ; {
		out, err := d.Topics.ListSubscriptionsByTopic(ctx, in)
		if err != nil {
			return "", err
		}
		for _, is := range out.Subscriptions {
			if aws.ToString(is.Protocol) == s.Protocol && aws.ToString(is.Endpoint) == s.Endpoint {
				return aws.ToString(is.SubscriptionArn), nil
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return "", nil
		}
	}
}

func (s *subscription) deploy(ctx context.Context, d *deployment) (outcome, error) {
	ref, err := s.there(ctx, d)
	if err != nil {
		return outcome{}, err
	}
	action := Unchanged
	switch {
	case ref == "":
		out, err := d.Topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: &s.TopicArn, Protocol: &s.Protocol, Endpoint: &s.Endpoint, Attributes: s.attributes, ReturnSubscriptionArn: true})
		if err != nil {
			return outcome{}, err
		}
		action, ref = Created, aws.ToString(out.SubscriptionArn)
	case strings.HasPrefix(ref, "arn:"): // one that is to be confirmed has no ARN that is shown
		is, err := d.Topics.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &ref})
		if err != nil {
			return outcome{}, err
		}
		standard := map[string]string{"FilterPolicyScope": "MessageAttributes", "RawMessageDelivery": "false", "FilterPolicy": "", "RedrivePolicy": "", "DeliveryPolicy": ""}
		for _, name := range []string{"FilterPolicyScope", "FilterPolicy", "RawMessageDelivery", "RedrivePolicy", "DeliveryPolicy"} {
			want, ok := s.attributes[name]
			if !ok {
				want = standard[name]
			}
			if now, ok := is.Attributes[name]; now == want || !ok && want == standard[name] {
				continue
			}
			if _, err := d.Topics.SetSubscriptionAttributes(ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &ref, AttributeName: aws.String(name), AttributeValue: aws.String(want)}); err != nil {
				return outcome{}, err
			}
			action = Updated
		}
	}
	return outcome{name: ref, action: action, attributes: map[string]string{"": ref, "Arn": ref}}, nil
}

// subscribed makes the subscription of a function's SNS event.
func (x *expansion) subscribed(r *resource, name string, line int, props *node) {
	if q := props.get("SqsSubscription"); q != nil && scalarOf(q) != "false" {
		x.problems.lack(q.line, r.id+" is not called by it", r.id+".Events."+name+": SqsSubscription is not supported")
		return
	}
	if t := props.get("Topic"); t != nil {
		props = props.with("TopicArn", t)
	}
	props = props.without("Topic").without("SqsSubscription").with("Protocol", text(line, "lambda")).with("Endpoint", functionARN(line, r))
	x.add(&resource{id: r.id + name, typ: "AWS::SNS::Subscription", line: line, condition: r.condition, props: props, needs: r.published()})
}
