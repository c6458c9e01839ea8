package awserr

import (
	"net/http"
	"time"
)

// The errors of SNS.

// TopicParameter is the answer to a value that a parameter cannot have.
func TopicParameter(parameter string) *Error {
	return &Error{Code: "InvalidParameter", Message: "Invalid parameter: " + parameter}
}

// TopicParameterReason says why; an empty reason leaves it out.
func TopicParameterReason(parameter, reason string) *Error {
	e := TopicParameter(parameter)
	if reason != "" {
		e.Message += " Reason: " + reason
	}
	return e
}

// TopicMissing is the answer to a topic that does not exist.
func TopicMissing() *Error {
	return &Error{Code: "NotFound", Message: "Topic does not exist", Status: http.StatusNotFound}
}

// SubscriptionMissing is the answer to a subscription that does not exist.
func SubscriptionMissing() *Error {
	return &Error{Code: "NotFound", Message: "Subscription does not exist", Status: http.StatusNotFound}
}

// TopicResourceMissing is the answer to the tags of what does not exist.
func TopicResourceMissing() *Error {
	return &Error{Code: "ResourceNotFound", Message: "Resource does not exist", Status: http.StatusNotFound}
}

// TopicTags is the answer to more tags than a topic can have.
func TopicTags() *Error {
	return &Error{Code: "TagLimitExceeded", Message: "Could not complete request: tag quota of per resource exceeded"}
}

// topicRetry is when a caller is told to come back: nobody knows when the receivers of
// what is owed will answer.
const topicRetry = time.Second

// TopicForbidden is the answer to who may not do what it asks for.
func TopicForbidden(reason string) *Error {
	return &Error{Code: "AuthorizationError", Message: "Not authorized: " + reason, Status: http.StatusForbidden}
}

// TopicThrottled is the answer while too many deliveries are owed. Its code is the one that AWS
// answers in every service of this protocol: SDKs try it again, and do not try SNS's own "Throttled" again.
func TopicThrottled() *Error {
	return &Error{Code: "Throttling", Message: "Rate exceeded: too many deliveries are owed", RetryAfter: topicRetry}
}

// TopicBatch is the answer to entries of a batch that do not go together.
func TopicBatch(code, text string) *Error { return &Error{Code: code, Message: text} }
