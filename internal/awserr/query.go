package awserr

import "strconv"

// NoSuchIndex: Query or Scan names an index that the table does not have.
func NoSuchIndex(index string) *Error {
	return Validation("The table does not have the specified index: " + index)
}

// MissedKeyElement: a key condition lacks a key attribute, or names another.
func MissedKeyElement(attr string) *Error {
	return Validation("Query condition missed key schema element: " + attr)
}

// KeyConditionNotSupported: no equality on the partition key, or one condition
// too many.
func KeyConditionNotSupported() *Error { return Validation("Query key condition not supported") }

// ConditionTypeMismatch: a literal of a key condition has another type than the key.
func ConditionTypeMismatch() *Error {
	return InvalidParameter("Condition parameter type does not match schema type")
}

// FilterOnKey: a query's filter reads a key attribute.
func FilterOnKey(attr string) *Error {
	return Validation("Filter Expression can only contain non-primary key attributes: Primary key attribute: " + attr)
}

// InvalidStartKey: a query's ExclusiveStartKey has the wrong number of attributes.
func InvalidStartKey() *Error { return Validation("The provided starting key is invalid") }

// InvalidStartKeyBecause wraps the error of a key.
func InvalidStartKeyBecause(e *Error) *Error {
	return Validation("The provided starting key is invalid: " + e.Message)
}

// StartKeyOutsideQuery: ExclusiveStartKey lies in another partition.
func StartKeyOutsideQuery() *Error {
	return Validation("The provided starting key is outside query boundaries based on provided conditions")
}

// StartKeyOutsideRange: its sort key does not satisfy the condition.
func StartKeyOutsideRange() *Error {
	return Validation("The provided starting key does not match the range key predicate")
}

// QueryOfOneRow: a query with a condition on the sort key was given a starting key
// that satisfies it, but of another partition. The text is AWS's.
func QueryOfOneRow() *Error {
	return Validation("The query can return at most one row and cannot be restarted")
}

// StartKeyOfOtherSegment: a scan's starting key belongs to another segment.
func StartKeyOfOtherSegment(total, segment int) *Error {
	return Validation("The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: " +
		strconv.Itoa(total) + " Segment: " + strconv.Itoa(segment))
}
