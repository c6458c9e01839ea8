package topic

import (
	"encoding/json"
	"errors"
	"fmt"
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

// parseDelivery reads the policy of a subscription, or of a topic.
func parseDelivery(text string) (h healthy, err error) {
	h = healthy{MinDelayTarget: 20, MaxDelayTarget: 20, NumRetries: 3, BackoffFunction: "linear"}
	var policy struct {
		HealthyRetryPolicy *healthy `json:"healthyRetryPolicy"`
		HTTP               struct {
			DefaultHealthyRetryPolicy *healthy `json:"defaultHealthyRetryPolicy"`
		} `json:"http"`
	}
	own, ofTopic := h, h
	policy.HealthyRetryPolicy, policy.HTTP.DefaultHealthyRetryPolicy = &own, &ofTopic
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return h, errors.New("failed to parse JSON.")
	}
	if h = ofTopic; policy.HealthyRetryPolicy != nil && strings.Contains(text, `"healthyRetryPolicy"`) {
		h = own
	}
	switch {
	case h.NumRetries < 0 || h.NumRetries > 100:
		return h, errors.New("numRetries must be between 0 and 100")
	case h.MinDelayTarget < 1 || h.MaxDelayTarget > 3600 || h.MinDelayTarget > h.MaxDelayTarget:
		return h, errors.New("minDelayTarget and maxDelayTarget must be between 1 and 3600, and the first not above the second")
	case h.NumNoDelayRetries < 0 || h.NumMinDelayRetries < 0 || h.NumMaxDelayRetries < 0 || h.NumNoDelayRetries+h.NumMinDelayRetries+h.NumMaxDelayRetries > h.NumRetries:
		return h, errors.New("numRetries must be at least the sum of numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries")
	}
	switch h.BackoffFunction {
	case "linear", "arithmetic", "geometric", "exponential":
		return h, nil
	}
	return h, errors.New("backoffFunction must be linear, arithmetic, geometric or exponential")
}

// retryOf is how often and when a delivery to a URL is tried again: without a delay, then with the least, then with one that grows, then with the most.
func retryOf(policy string) outbox.Retry {
	h, err := parseDelivery(policy)
	if policy == "" || err != nil { // it was checked when it was set
		h = healthy{MinDelayTarget: 20, MaxDelayTarget: 20, NumRetries: 3, BackoffFunction: "linear"}
	}
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
		if strings.HasPrefix(name, protocol+"Success") || strings.HasPrefix(name, protocol+"Failure") {
			return nil
		}
	}
	return awserr.TopicParameter("AttributeName")
}
