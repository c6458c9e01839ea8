package awserr

import (
	"errors"
	"net/http"
)

// MissingKey: a stored item lacks a key attribute.
func MissingKey(attr string) *Error {
	return InvalidParameter("Missing the key " + attr + " in the item")
}

// KeyTypeMismatch: a key attribute of a stored item has another type than declared.
func KeyTypeMismatch(attr, expected, actual string) *Error {
	return InvalidParameter("Type mismatch for key " + attr + " expected: " + expected + " actual: " + actual)
}

// KeySchemaMismatch: a Key parameter has the wrong attributes or types.
func KeySchemaMismatch() *Error {
	return Validation("The provided key element does not match the schema")
}

// EmptyKeyValue: a key attribute holds an empty string or binary value.
func EmptyKeyValue(attr string, binary bool) *Error {
	kind := "string"
	if binary {
		kind = "binary"
	}
	return Validation("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty " + kind + " value. Key: " + attr)
}

// HashKeyTooLarge and RangeKeyTooLarge carry AWS's spelling.
func HashKeyTooLarge() *Error {
	return InvalidParameter("Size of hashkey has exceeded the maximum size limit of2048 bytes")
}

// RangeKeyTooLarge is AWS's text for a sort key past 1024 bytes.
func RangeKeyTooLarge() *Error {
	return InvalidParameter("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
}

// KeyUpdate: an update expression writes a key attribute.
func KeyUpdate(attr string) *Error {
	return InvalidParameter("Cannot update attribute " + attr + ". This attribute is part of the key")
}

// NestedKeyPath: an update expression addresses inside a key attribute.
func NestedKeyPath(attr string) *Error {
	return Validation("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: " + attr)
}

// ResourceNotFound is the data plane's text for a table that is not there.
func ResourceNotFound() *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Requested resource not found"}
}

// TableNotFound is the control plane's text for a table that is not there.
func TableNotFound(table string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Requested resource not found: Table: " + table + " not found"}
}

// ConditionFailed carries the stored item when the caller asked for it.
func ConditionFailed(stored []byte) *Error {
	return &Error{Code: "ConditionalCheckFailedException", Message: "The conditional request failed", Item: stored}
}

// ResourceInUse is the table API's error for what exists or is changing.
func ResourceInUse(text string) *Error {
	return &Error{Code: "ResourceInUseException", Message: text}
}

// UpdateTooLarge: an update would grow an item past 400 KiB.
func UpdateTooLarge() *Error {
	return Validation("Item size to update has exceeded the maximum allowed size")
}

// WhenFull is what a service answers while it may write no more: err as it is, and when it is over full, that the disk is nearly full, with
// the service's code for a fault of its own and status 500, which SDKs try again. That one is over full, too. It is nil for nil.
func WhenFull(err, full error, code string) error {
	if !errors.Is(err, full) {
		return err
	}
	return &Error{Code: code, Status: http.StatusInternalServerError, cause: err,
		Message: "The disk that holds the data is nearly full, so writes are refused until space is freed: " + err.Error()}
}
