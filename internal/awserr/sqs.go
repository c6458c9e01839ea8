package awserr

import (
	"net/http"
	"strconv"
)

// The errors of SQS. Codes are those of the query protocol, which the JSON protocol tells too.

// QueueMissing is the answer to a queue that does not exist.
func QueueMissing() *Error {
	return &Error{Code: "AWS.SimpleQueueService.NonExistentQueue", Message: "The specified queue does not exist."}
}

// QueueExists is CreateQueue's answer when the queue is there with another value of an attribute.
func QueueExists(attribute string) *Error {
	return &Error{Code: "QueueAlreadyExists", Message: "A queue already exists with the same name and a different value for attribute " + attribute}
}

// QueueParameter is an InvalidParameterValue with AWS's text as it is.
func QueueParameter(text string) *Error { return &Error{Code: "InvalidParameterValue", Message: text} }

// QueueParameterValue names the value, the parameter and the reason.
func QueueParameterValue(value, parameter, reason string) *Error {
	return QueueParameter("Value " + value + " for parameter " + parameter + " is invalid. Reason: " + reason)
}

// QueueParameterMissing is the answer to a request without a parameter that it needs.
func QueueParameterMissing(name string) *Error {
	return &Error{Code: "MissingParameter", Message: "The request must contain the parameter " + name + "."}
}

// QueueName is the answer to a name that is none.
func QueueName() *Error {
	return QueueParameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
}

// FIFOQueueName is the answer to a name of a FIFO queue that does not end with .fifo.
func FIFOQueueName() *Error {
	return QueueParameter("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length")
}

// QueueAttributeUnknown is the answer to an attribute that queues do not have or that cannot be set.
func QueueAttributeUnknown(name string) *Error {
	return &Error{Code: "InvalidAttributeName", Message: "Unknown Attribute " + name + "."}
}

// QueueAttributeFIFOOnly is the answer to an attribute of FIFO queues on a standard queue.
func QueueAttributeFIFOOnly(name string) *Error {
	return &Error{Code: "InvalidAttributeName", Message: "You can specify the " + name + " only when FifoQueue is set to true."}
}

// QueueTwoEncryptions is the answer to a queue that is to be encrypted by SQS and by a key of KMS.
func QueueTwoEncryptions() *Error {
	return &Error{Code: "InvalidAttributeName", Message: "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."}
}

// QueueAttributeValue is the answer to a value that an attribute cannot have; reason may be empty.
func QueueAttributeValue(name, reason string) *Error {
	text := "Invalid value for the parameter " + name + "."
	if reason != "" {
		text += " Reason: " + reason
	}
	return &Error{Code: "InvalidAttributeValue", Message: text}
}

// MessageTooLong is the answer to a message above the queue's limit.
func MessageTooLong(limit int) *Error {
	return QueueParameter("One or more parameters are invalid. Reason: Message must be shorter than " + strconv.Itoa(limit) + " bytes.")
}

// BatchMessageTooLong is the same for a message of a batch.
func BatchMessageTooLong(limit int) *Error {
	return QueueParameter("One or more parameters cannot be validated. Reason: Message must be shorter than " + strconv.Itoa(limit) + " bytes.")
}

// MessageContents is the answer to characters that XML does not have.
func MessageContents() *Error {
	return &Error{Code: "InvalidMessageContents", Message: "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"}
}

// DeduplicationMissing is the answer to a message of a FIFO queue that has no way to be deduplicated.
func DeduplicationMissing() *Error {
	return QueueParameter("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
}

// ReceiptHandleInvalid is the answer to a handle that this queue has not given out.
func ReceiptHandleInvalid(handle string) *Error {
	return &Error{Code: "ReceiptHandleIsInvalid", Message: `The input receipt handle "` + handle + `" is not a valid receipt handle.`}
}

// ReceiptHandleExpired is the answer to a handle of a FIFO queue whose visibility timeout has passed.
func ReceiptHandleExpired(handle string) *Error {
	return QueueParameterValue(handle, "ReceiptHandle", "The receipt handle has expired.")
}

// VisibilityUnavailable is the answer to a change of the visibility of a message that is not in flight.
func VisibilityUnavailable(handle string) *Error {
	return QueueParameterValue(handle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
}

// OverLimit is the answer to a short poll of a queue with too many messages in flight. AWS's text is not known.
func OverLimit(limit int) *Error {
	return &Error{Code: "OverLimit", Message: "The queue has " + strconv.Itoa(limit) + " messages in flight, which is the most there can be: delete some.", Status: http.StatusForbidden}
}

// PurgeInProgress is the answer to a second PurgeQueue within a minute.
func PurgeInProgress(queue string) *Error {
	return &Error{Code: "AWS.SimpleQueueService.PurgeQueueInProgress", Message: "Only one PurgeQueue operation on " + queue + " is allowed every 60 seconds.", Status: http.StatusForbidden}
}

// BatchEmpty is the answer to a batch without entries of a kind, such as SendMessageBatchRequestEntry.
func BatchEmpty(entry string) *Error {
	return &Error{Code: "AWS.SimpleQueueService.EmptyBatchRequest", Message: "There should be at least one " + entry + " in the request."}
}

// BatchTooMany is the answer to a batch of more than ten entries.
func BatchTooMany(n int) *Error {
	return &Error{Code: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", Message: "Maximum number of entries per request are 10. You have sent " + strconv.Itoa(n) + "."}
}

// BatchTooLong is the answer to a batch whose messages together are above 1 MiB.
func BatchTooLong(limit, n int) *Error {
	return &Error{Code: "AWS.SimpleQueueService.BatchRequestTooLong", Message: "Batch requests cannot be longer than " + strconv.Itoa(limit) + " bytes. You have sent " + strconv.Itoa(n) + " bytes."}
}

// BatchEntryID is the answer to an id of a batch's entry that is none.
func BatchEntryID() *Error {
	return &Error{Code: "AWS.SimpleQueueService.InvalidBatchEntryId", Message: "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."}
}

// BatchEntryIDTwice is the answer to an id that two entries have.
func BatchEntryIDTwice(id string) *Error {
	return &Error{Code: "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", Message: "Id " + id + " repeated."}
}

// QueueResourceMissing is the answer of the tasks that move messages to a queue or task that is not there.
func QueueResourceMissing(text string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: text, Status: http.StatusNotFound}
}

// QueueActionUnsupported is the answer to an operation that SQS does not have.
func QueueActionUnsupported(action string) *Error {
	return &Error{Code: "InvalidAction", Message: "The action " + action + " is not valid for this endpoint."}
}
