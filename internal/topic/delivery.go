package topic

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
)

// maxAttribute is how long an attribute of a topic or a subscription may be, in bytes: AWS's bound of a topic's policy.
const maxAttribute = 30 << 10

// defaults of topics' attributes.
var defaults = map[string]string{"FifoTopic": "false", "ContentBasedDeduplication": "false", "FifoThroughputScope": "Topic", "SignatureVersion": "1", "TracingConfig": "PassThrough"}

// healthy is the retry policy of URLs.
type healthy struct {
	MinDelayTarget     int    `json:"minDelayTarget"` // seconds
	MaxDelayTarget     int    `json:"maxDelayTarget"`
	NumRetries         int    `json:"numRetries"`
	NumMaxDelayRetries int    `json:"numMaxDelayRetries"`
	NumNoDelayRetries  int    `json:"numNoDelayRetries"`
	NumMinDelayRetries int    `json:"numMinDelayRetries"`
	BackoffFunction    string `json:"backoffFunction"`
}

const defaultContentType = "text/plain; charset=UTF-8"

// deliveryPolicy is what the policy of a subscription, or of a topic, says; part is what it says itself, and not by default.
type deliveryPolicy struct {
	healthy
	perSecond   float64 // deliveries; 0: no limit
	contentType string
	overrides   bool // false: those of subscriptions do not count
	part        struct{ healthy, perSecond, contentType bool }
}

type throttlePolicy struct {
	MaxReceivesPerSecond *float64 `json:"maxReceivesPerSecond"`
}

type requestPolicy struct {
	HeaderContentType *string `json:"headerContentType"`
}

// subscriptionPolicy and topicPolicy are the documents, in the form in which AWS keeps them.
type subscriptionPolicy struct {
	HealthyRetryPolicy json.RawMessage `json:"healthyRetryPolicy"`
	SicklyRetryPolicy  json.RawMessage `json:"sicklyRetryPolicy"`
	ThrottlePolicy     *throttlePolicy `json:"throttlePolicy"`
	RequestPolicy      *requestPolicy  `json:"requestPolicy"`
	Guaranteed         bool            `json:"guaranteed"`
}

type topicPolicy struct {
	HTTP struct {
		DefaultHealthyRetryPolicy    json.RawMessage `json:"defaultHealthyRetryPolicy,omitempty"`
		DefaultSicklyRetryPolicy     json.RawMessage `json:"defaultSicklyRetryPolicy,omitempty"`
		DefaultThrottlePolicy        *throttlePolicy `json:"defaultThrottlePolicy,omitempty"`
		DisableSubscriptionOverrides bool            `json:"disableSubscriptionOverrides"`
		DefaultRequestPolicy         *requestPolicy  `json:"defaultRequestPolicy,omitempty"`
	} `json:"http"`
}

// isNull says that a member was not given.
func isNull(raw json.RawMessage) bool { return raw == nil || string(raw) == "null" }

var errUnreadable = errors.New("failed to parse JSON.")

// parseDelivery reads the policy of a subscription, or of a topic; empty: the default. kept is it in AWS's form.
func parseDelivery(text string, ofTopic bool) (p deliveryPolicy, kept string, err error) {
	p = deliveryPolicy{healthy: healthy{MinDelayTarget: 20, MaxDelayTarget: 20, NumRetries: 3, BackoffFunction: "linear"}, contentType: defaultContentType, overrides: true}
	if text == "" {
		return p, "", nil
	}
	var one subscriptionPolicy
	var doc any = &one
	if ofTopic {
		var of topicPolicy
		if json.Unmarshal([]byte(text), &of) != nil {
			return p, "", errUnreadable
		}
		h := &of.HTTP
		if isNull(h.DefaultHealthyRetryPolicy) {
			h.DefaultHealthyRetryPolicy = nil
		}
		if isNull(h.DefaultSicklyRetryPolicy) {
			h.DefaultSicklyRetryPolicy = nil
		}
		one = subscriptionPolicy{h.DefaultHealthyRetryPolicy, h.DefaultSicklyRetryPolicy, h.DefaultThrottlePolicy, h.DefaultRequestPolicy, false}
		p.overrides, doc = !h.DisableSubscriptionOverrides, &of
	} else if json.Unmarshal([]byte(text), &one) != nil {
		return p, "", errUnreadable
	}
	if kept, err = marshal(doc); err != nil {
		return p, "", err
	}
	return p, kept, p.read(&one)
}

// read takes over what a document says.
func (p *deliveryPolicy) read(d *subscriptionPolicy) error {
	if !isNull(d.HealthyRetryPolicy) {
		p.part.healthy = true
		if json.Unmarshal(d.HealthyRetryPolicy, &p.healthy) != nil {
			return errUnreadable
		}
	}
	if r := d.RequestPolicy; r != nil && r.HeaderContentType != nil {
		kind, _, err := mime.ParseMediaType(*r.HeaderContentType)
		if err != nil || len(*r.HeaderContentType) > maxContentType || !strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "application/") {
			return errors.New("headerContentType must be a media type of text or application")
		}
		p.contentType, p.part.contentType = *r.HeaderContentType, true
	}
	if t := d.ThrottlePolicy; t != nil && t.MaxReceivesPerSecond != nil {
		if *t.MaxReceivesPerSecond < 1 {
			return errors.New("maxReceivesPerSecond must be at least 1")
		}
		p.perSecond, p.part.perSecond = *t.MaxReceivesPerSecond, true
	}
	h := p.healthy
	switch {
	case h.NumRetries < 0 || h.NumRetries > 100:
		return errors.New("numRetries must be between 0 and 100")
	case h.MinDelayTarget < 1 || h.MaxDelayTarget > 3600 || h.MinDelayTarget > h.MaxDelayTarget:
		return errors.New("minDelayTarget and maxDelayTarget must be between 1 and 3600, and the first not above the second")
	case h.NumNoDelayRetries < 0 || h.NumMinDelayRetries < 0 || h.NumMaxDelayRetries < 0 || h.NumNoDelayRetries+h.NumMinDelayRetries+h.NumMaxDelayRetries > h.NumRetries:
		return errors.New("numRetries must be at least the sum of numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries")
	}
	switch h.BackoffFunction {
	case "linear", "arithmetic", "geometric", "exponential":
	default:
		return errors.New("backoffFunction must be linear, arithmetic, geometric or exponential")
	}
	if !isNull(d.SicklyRetryPolicy) { // what an earlier release accepted and left undone counts for the rest of the policy still
		return errNotDone("sicklyRetryPolicy")
	}
	return nil
}

// errNotDone refuses a member of a policy that AWS has.
type errNotDone string

func (e errNotDone) Error() string { return "Millstream has no " + string(e) + ": leave it out" }

// maxContentType is how long a content type may be, in bytes.
const maxContentType = 256

// keptDelivery are attributes with a delivery policy in AWS's form. One that cannot be read stays as it is, for the checks.
func keptDelivery(attributes map[string]string, ofTopic bool) map[string]string {
	if text := attributes["DeliveryPolicy"]; text != "" {
		if _, kept, err := parseDelivery(text, ofTopic); err == nil {
			attributes = maps.Clone(attributes)
			attributes["DeliveryPolicy"] = kept
		}
	}
	return attributes
}

// effective is the policy of a subscription: of each part its own, unless it has none or its topic's comes first. Both were checked when they were set;
// one that an earlier release accepted and this one cannot read is the default.
func effective(ofTopic, own string) deliveryPolicy {
	parsed := func(text string, ofTopic bool) deliveryPolicy {
		p, _, err := parseDelivery(text, ofTopic)
		if _, ok := err.(errNotDone); err != nil && !ok {
			p, _, _ = parseDelivery("", ofTopic) // which is never refused
		}
		return p
	}
	p := parsed(ofTopic, true)
	if own == "" || !p.overrides {
		return p
	}
	o := parsed(own, false)
	if o.part.healthy {
		p.healthy = o.healthy
	}
	if o.part.perSecond {
		p.perSecond = o.perSecond
	}
	if o.part.contentType {
		p.contentType = o.contentType
	}
	return p
}

// documents are a policy as AWS shows it, with its defaults: of a topic, and of a subscription.
func (p *deliveryPolicy) documents() (ofTopic, ofSubscription string) {
	var t topicPolicy
	retry, _ := json.Marshal(p.healthy) // these always marshal
	request := &requestPolicy{&p.contentType}
	var throttle *throttlePolicy
	if p.perSecond > 0 {
		throttle = &throttlePolicy{&p.perSecond}
	}
	t.HTTP.DefaultHealthyRetryPolicy, t.HTTP.DefaultThrottlePolicy, t.HTTP.DisableSubscriptionOverrides, t.HTTP.DefaultRequestPolicy = retry, throttle, !p.overrides, request
	ofTopic, _ = marshal(t)
	ofSubscription, _ = marshal(subscriptionPolicy{retry, nil, throttle, request, false})
	return ofTopic, ofSubscription
}

// retry is how often and when a delivery to a URL is tried again: without a delay, then with the least, then with one that grows, then with the most.
func (h healthy) retry() outbox.Retry {
	r := outbox.Retry{Attempts: h.NumRetries}
	grow := h.NumRetries - h.NumNoDelayRetries - h.NumMinDelayRetries - h.NumMaxDelayRetries
	for range h.NumNoDelayRetries {
		r.Delays = append(r.Delays, 0)
	}
	for range h.NumMinDelayRetries {
		r.Delays = append(r.Delays, h.MinDelayTarget)
	}
	for i := range grow {
		r.Delays = append(r.Delays, h.backoff(i+1, grow))
	}
	for range h.NumMaxDelayRetries {
		r.Delays = append(r.Delays, h.MaxDelayTarget)
	}
	return r
}

// backoff is the i-th of n delays that grow from the least to the most; the function says how.
func (h healthy) backoff(i, n int) int {
	span, part := float64(h.MaxDelayTarget-h.MinDelayTarget), float64(i)/float64(n)
	switch h.BackoffFunction {
	case "arithmetic":
		part *= part
	case "geometric":
		part *= part * part
	case "exponential":
		part *= part * part * part
	}
	return h.MinDelayTarget + int(span*part)
}

// checkTopicAttribute accepts the value of a topic's attribute.
func checkTopicAttribute(name, value string, create, fifo bool) error {
	boolean := func() error {
		if value != "true" && value != "false" {
			return awserr.TopicParameterReason("Attributes", name+" must be true or false")
		}
		return nil
	}
	if len(value) > maxAttribute {
		return awserr.TopicParameterReason(name, fmt.Sprintf("it has more than %d bytes", maxAttribute))
	}
	switch name {
	case "DisplayName":
		if len([]rune(value)) > 100 {
			return awserr.TopicParameter("DisplayName")
		}
		return nil
	case "Policy", "KmsMasterKeyId", "TracingConfig", "DataProtectionPolicy": // kept and given back
		return nil
	case "DeliveryPolicy":
		if value == "" {
			return nil
		}
		if _, _, err := parseDelivery(value, true); err != nil {
			return awserr.TopicParameterReason("DeliveryPolicy", err.Error())
		}
		return nil
	case "SignatureVersion":
		if value != "1" && value != "2" {
			return awserr.TopicParameterReason("SignatureVersion", "must be 1 or 2")
		}
		return nil
	case "FifoTopic":
		if create {
			return boolean()
		}
	case "ContentBasedDeduplication":
		if fifo {
			return boolean()
		}
	case "FifoThroughputScope":
		if fifo && (value == "Topic" || value == "MessageGroup") {
			return nil
		}
	}
	for _, protocol := range []string{"HTTP", "Lambda", "SQS", "Firehose", "Application"} { // logs of deliveries, of which there are none
		if what, ok := strings.CutPrefix(name, protocol); ok && slices.Contains([]string{"SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"}, what) {
			return nil
		}
	}
	return awserr.TopicParameter("AttributeName")
}
