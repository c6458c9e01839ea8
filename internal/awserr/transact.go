package awserr

import "strings"

// Texts of transactions.

// Codes of cancellation reasons.
const (
	ReasonNone            = "None"
	ReasonConditionFailed = "ConditionalCheckFailed"
	ReasonValidation      = "ValidationError"
	ReasonDuplicateItem   = "DuplicateItem"
)

// TransactionCanceled carries one reason for each action, in order.
func TransactionCanceled(reasons []Reason) *Error {
	var b strings.Builder
	b.WriteString("Transaction cancelled, please refer cancellation reasons for specific reasons [")
	for i := range reasons {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(reasons[i].Code)
	}
	b.WriteByte(']')
	return &Error{Code: "TransactionCanceledException", Message: b.String(), Reasons: reasons}
}

// NoReason is the reason of an action that would have succeeded.
func NoReason() Reason { return Reason{Code: ReasonNone} }

// ConditionReason is the reason of a failed condition; it carries the stored item
// when the caller asked for it.
func ConditionReason(stored []byte) Reason {
	return Reason{Code: ReasonConditionFailed, Message: ConditionFailed(nil).Message, Item: stored}
}

// ValidationReason is the reason of an action that a single write would refuse
// with e.
func ValidationReason(e *Error) Reason { return Reason{Code: ReasonValidation, Message: e.Message} }

// DuplicateReason is the reason of a PartiQL INSERT of an item that is there.
func DuplicateReason() Reason {
	return Reason{Code: ReasonDuplicateItem, Message: "Duplicate primary key exists in table"}
}

// MultipleOperations is for a transaction that names one item twice.
func MultipleOperations() *Error {
	return Validation("Transaction request cannot include multiple operations on one item")
}

// ActionRequired is for an element of TransactItems without an action,
// ActionAmbiguous for one with several.
func ActionRequired() *Error {
	return Validation("Invalid Request: TransactWriteRequest should contain Delete or Put or Update request")
}

func ActionAmbiguous() *Error {
	return Validation("TransactItems can only contain one of Check, Put, Update or Delete")
}

// TransactionTooLarge is the limit of 4 MB on what a transaction sends or reads.
func TransactionTooLarge() *Error {
	return Validation("Transaction payload size cannot exceed 4194304 bytes")
}

// TokenMismatch is for a client request token that came with another request.
func TokenMismatch() *Error {
	return &Error{
		Code:    "IdempotentParameterMismatchException",
		Message: "DynamoDB rejected the request because you retried a request with a different payload but with an idempotent token that was already used.",
	}
}

// TokenInUse is for a client request token whose first request is still running.
func TokenInUse() *Error {
	return &Error{
		Code:    "TransactionInProgressException",
		Message: "The transaction with the given request token is already in progress.",
	}
}
