package awserr

import (
	"strconv"
	"strings"
)

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

// TooManyKeyConditions: a key condition says more than the key has attributes.
func TooManyKeyConditions(given, defined int) *Error {
	return Validation("The number of query conditions (" + strconv.Itoa(given) + ") exceeds the number of key attributes defined in the schema (" +
		strconv.Itoa(defined) + ")")
}

// HashKeysNeedEquality: a key with several attributes, of whose partition key some have
// no equality.
func HashKeysNeedEquality(missing []string) *Error {
	return Validation("HASH key attributes " + strings.Join(missing, ", ") + " must have equality conditions specified in the query")
}

// RangeKeysNeedEquality: some attributes of a sort key have no equality, and one behind
// them has a condition.
func RangeKeysNeedEquality(missing []string, behind string) *Error {
	return Validation("RANGE key attributes " + strings.Join(missing, ", ") +
		" must have equality conditions specified in the query because a condition is present on key attribute " + behind)
}

// StartKeyOfOneItem: a query of a table without a sort key is given a starting key.
func StartKeyOfOneItem() *Error { return Validation("The provided exclusive start key is invalid") }

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
