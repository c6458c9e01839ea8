package topic

import (
	"encoding/json"
	"errors"
	"fmt"
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

// defaultDelivery is the delivery policy of URLs when nobody set one, as AWS shows it.
const defaultDelivery = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`

// healthy is the retry policy of URLs.
type healthy struct {
	MinDelayTarget     int    `json:"minDelayTarget"` // seconds
	MaxDelayTarget     int    `json:"maxDelayTarget"`
	NumRetries         int    `json:"numRetries"`
	NumNoDelayRetries  int    `json:"numNoDelayRetries"`
	NumMinDelayRetries int    `json:"numMinDelayRetries"`
	NumMaxDelayRetries int    `json:"numMaxDelayRetries"`
	BackoffFunction    string `json:"backoffFunction"`
}

const defaultContentType = "text/plain; charset=UTF-8"

// deliveryPolicy is what the policy of a subscription, or of a topic, says.
type deliveryPolicy struct {
	healthy
	contentType string
	overrides   bool // false: those of subscriptions do not count
}

// parseDelivery reads the policy of a subscription, or of a topic; empty: the default.
func parseDelivery(text string) (p deliveryPolicy, err error) {
	retry := healthy{MinDelayTarget: 20, MaxDelayTarget: 20, NumRetries: 3, BackoffFunction: "linear"}
	p = deliveryPolicy{healthy: retry, contentType: defaultContentType, overrides: true}
	if text == "" {
		return p, nil
	}
	type throttle struct {
		MaxReceivesPerSecond *float64 `json:"maxReceivesPerSecond"`
	}
	type request struct {
		HeaderContentType *string `json:"headerContentType"`
	}
	var d struct {
		HealthyRetryPolicy, SicklyRetryPolicy json.RawMessage
		ThrottlePolicy                        throttle
		RequestPolicy                         request
		HTTP                                  struct {
			DefaultHealthyRetryPolicy, DefaultSicklyRetryPolicy json.RawMessage
			DefaultThrottlePolicy                               throttle
			DefaultRequestPolicy                                request
			DisableSubscriptionOverrides                        bool
		}
	}
	unreadable := errors.New("failed to parse JSON.")
	if json.Unmarshal([]byte(text), &d) != nil {
		return p, unreadable
	}
	for _, raw := range []json.RawMessage{d.HTTP.DefaultHealthyRetryPolicy, d.HealthyRetryPolicy} {
		if raw == nil {
			continue
		}
		p.healthy = retry
		if json.Unmarshal(raw, &p.healthy) != nil {
			return p, unreadable
		}
	}
	for _, r := range []request{d.HTTP.DefaultRequestPolicy, d.RequestPolicy} {
		if r.HeaderContentType == nil {
			continue
		}
		kind, _, err := mime.ParseMediaType(*r.HeaderContentType)
		if err != nil || len(*r.HeaderContentType) > maxContentType || !strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "application/") {
			return p, errors.New("headerContentType must be a media type of text or application")
		}
		p.contentType = *r.HeaderContentType
	}
	p.overrides = !d.HTTP.DisableSubscriptionOverrides
	set := func(raw json.RawMessage) bool { return raw != nil && string(raw) != "null" }
	h := p.healthy
	switch {
	case h.NumRetries < 0 || h.NumRetries > 100:
		return p, errors.New("numRetries must be between 0 and 100")
	case h.MinDelayTarget < 1 || h.MaxDelayTarget > 3600 || h.MinDelayTarget > h.MaxDelayTarget:
		return p, errors.New("minDelayTarget and maxDelayTarget must be between 1 and 3600, and the first not above the second")
	case h.NumNoDelayRetries < 0 || h.NumMinDelayRetries < 0 || h.NumMaxDelayRetries < 0 || h.NumNoDelayRetries+h.NumMinDelayRetries+h.NumMaxDelayRetries > h.NumRetries:
		return p, errors.New("numRetries must be at least the sum of numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries")
	}
	switch h.BackoffFunction {
	case "linear", "arithmetic", "geometric", "exponential":
	default:
		return p, errors.New("backoffFunction must be linear, arithmetic, geometric or exponential")
	}
	switch { // what an earlier release accepted and left undone counts for the rest of the policy still
	case d.ThrottlePolicy.MaxReceivesPerSecond != nil || d.HTTP.DefaultThrottlePolicy.MaxReceivesPerSecond != nil:
		return p, errNotDone("maxReceivesPerSecond")
	case set(d.SicklyRetryPolicy) || set(d.HTTP.DefaultSicklyRetryPolicy):
		return p, errNotDone("sicklyRetryPolicy")
	}
	return p, nil
}

// errNotDone refuses a member of a policy that AWS has.
type errNotDone string

func (e errNotDone) Error() string { return "Millstream has no " + string(e) + ": leave it out" }

// maxContentType is how long a content type may be, in bytes.
const maxContentType = 256

// effective is the policy of a subscription: its own, unless it has none or its topic's comes first. Both were checked when they were set; one that an
// earlier release accepted and this one cannot read is the default.
func effective(ofTopic, own string) deliveryPolicy {
	parsed := func(text string) deliveryPolicy {
		p, err := parseDelivery(text)
		if _, ok := err.(errNotDone); err != nil && !ok {
			p, _ = parseDelivery("") // which is never refused
		}
		return p
	}
	if p := parsed(ofTopic); own == "" || !p.overrides {
		return p
	}
	return parsed(own)
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
		if _, err := parseDelivery(value); err != nil {
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
