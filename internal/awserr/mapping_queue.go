package awserr

import "strconv"

// The errors of event source mappings on queues.

// MappingQueueMissing is the answer to the ARN of a queue that does not exist.
func MappingQueueMissing() *Error {
	e := QueueMissing()
	return LambdaInvalidParameter("Error occurred while ReceiveMessage. SQS Error Code: " + e.Code + ". SQS Error Message: " + e.Message)
}

// MappingOnQueueExists is the answer to a second mapping of a function on a queue (the blanks within the quotes are AWS's).
func MappingOnQueueExists(queueARN, function, uuid string) *Error {
	return LambdaConflict(`An event source mapping with SQS arn (" ` + queueARN + ` ") and function (" ` + function +
		` ") already exists. Please update or delete the existing mapping with UUID ` + uuid)
}

// QueueVisibilityTooShort is the answer to a queue whose messages are visible again before the function's timeout.
func QueueVisibilityTooShort(queueSeconds, functionSeconds int) *Error {
	return LambdaInvalidParameter("Queue visibility timeout: " + strconv.Itoa(queueSeconds) + " seconds is less than Function timeout: " + strconv.Itoa(functionSeconds) + " seconds")
}

// QueueBatchWithoutWindow is the answer to a batch of more than ten messages without a window.
func QueueBatchWithoutWindow() *Error {
	return LambdaInvalidParameter("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
}

// QueueBatchOfFIFO is the answer to a batch of more than ten messages of a FIFO queue. AWS's text is not known.
func QueueBatchOfFIFO() *Error {
	return LambdaInvalidParameter("Maximum batch size of a FIFO queue is 10.")
}

// QueueWindowOfFIFO is the answer to a batching window on a FIFO queue. AWS's text is not known.
func QueueWindowOfFIFO() *Error {
	return LambdaInvalidParameter("Batching window is not supported for FIFO queues.")
}
