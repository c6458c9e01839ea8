package awsjson

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// AppendError appends the body of an error as DynamoDB writes it.
func AppendError(dst []byte, e *awserr.Error) []byte {
	dst = append(dst, `{"__type":"`...)
	dst = append(dst, namespace(e.Code)...)
	dst = append(dst, e.Code...)
	dst = append(dst, '"')
	if e.Message != "" {
		name := "message"
		// A failed condition has the capital only beside its item.
		if (capitalMessage(e.Code) || e.Item != nil) && !e.Lower {
			name = "Message"
		}
		dst = AppendString(dst, name, e.Message)
	}
	if e.Item != nil {
		dst = Member(dst, "Item")
		if e.Hashed {
			dst = item.Item(e.Item).AppendHashedJSON(dst)
		} else {
			dst = item.Item(e.Item).AppendJSON(dst)
		}
	}
	if e.Reasons != nil {
		dst = Member(dst, "CancellationReasons")
		dst = append(dst, '[')
		for i, reason := range e.Reasons {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '{')
			dst = AppendString(dst, "Code", reason.Code)
			if reason.Message != "" {
				dst = AppendString(dst, "Message", reason.Message)
			}
			if reason.Item != nil {
				dst = Member(dst, "Item")
				dst = item.Item(reason.Item).AppendHashedJSON(dst)
			}
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	if e.ThrottlingReasons != nil {
		dst = Member(dst, "throttlingReasons")
		dst = append(dst, '[')
		for i, reason := range e.ThrottlingReasons {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '{')
			dst = AppendString(dst, "reason", reason.Reason)
			dst = AppendString(dst, "resource", reason.Resource)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// namespace returns what AWS puts before an error's code; SDKs cut it off.
func namespace(code string) string {
	switch code {
	case "ValidationException":
		return "com.amazon.coral.validate#"
	case "SerializationException", "UnknownOperationException", "AccessDeniedException", "MissingAuthenticationTokenException",
		"IncompleteSignatureException", "InvalidSignatureException", "UnrecognizedClientException", "ExpiredTokenException", "InternalFailure":
		return "com.amazon.coral.service#"
	case "ThrottlingException":
		return "com.amazon.coral.availability#"
	}
	return "com.amazonaws.dynamodb.v20120810#"
}

// capitalMessage reports whether the member is Message and not message.
func capitalMessage(code string) bool {
	switch code {
	case "SerializationException", "AccessDeniedException", "TransactionCanceledException",
		"IdempotentParameterMismatchException", "TransactionInProgressException", "InvalidEndpointException":
		return true
	}
	return false
}
