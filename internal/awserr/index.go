package awserr

import (
	"strconv"
	"strings"
)

// IndexKeyTypeMismatch: an attribute of a stored item has another type than an
// index declares for its key.
func IndexKeyTypeMismatch(attr, expected, actual, index string) *Error {
	return InvalidParameter("Type mismatch for Index Key " + attr + " Expected: " + expected + " Actual: " + actual + " IndexName: " + index)
}

// EmptyIndexKey: a stored item holds an empty value in the key of an index.
func EmptyIndexKey(attr string, binary bool, index string) *Error {
	return Validation("One or more parameter values are not valid. A value specified for a secondary index key is not supported. " +
		"The AttributeValue for a key attribute cannot contain an empty " + emptyKind(binary) + " value. IndexName: " + index + ", IndexKey: " + attr)
}

// EmptyIndexKeyUpdate: an update makes the key of an index empty.
func EmptyIndexKeyUpdate(binary bool) *Error {
	return Validation("One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. " +
		"The AttributeValue for a key attribute cannot contain an empty " + emptyKind(binary) + " value.")
}

func emptyKind(binary bool) string {
	if binary {
		return "binary"
	}
	return "string"
}

// IndexKeyUpdateType: an update gives the key of an index another type.
func IndexKeyUpdateType() *Error {
	return Validation("The update expression attempted to update the secondary index key to unsupported type")
}

// IndexKeyUpdateSize: an update makes the key of an index too large.
func IndexKeyUpdateSize() *Error {
	return Validation("The update expression attempted to update the secondary index key beyond allowed size limits")
}

// NestedIndexKeyPath: an expression leads into the key attribute of an index.
func NestedIndexKeyPath(attr string) *Error {
	return Validation("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: " + attr)
}

// ConsistentGlobalIndex: a consistent read of a global index.
func ConsistentGlobalIndex() *Error {
	return Validation("Consistent reads are not supported on global secondary indexes")
}

// AllAttributesOfPartialIndex: Select=ALL_ATTRIBUTES on a global index that does
// not project all.
func AllAttributesOfPartialIndex(index string) *Error {
	return InvalidParameter("Select type ALL_ATTRIBUTES is not supported for global secondary index " + index + " because its projection type is not ALL")
}

// NotProjected: a projection asks a global index for what it does not hold.
func NotProjected(index string, attributes []string) *Error {
	return InvalidParameter("Global secondary index " + index + " does not project " + "[" + strings.Join(attributes, ", ") + "]")
}

// FilterNotProjected: a filter reads what a global index does not hold.
func FilterNotProjected(index string, attributes []string) *Error {
	return InvalidParameter("Secondary index " + index + " does not project one or more filter attributes: " + "[" + strings.Join(attributes, ", ") + "]")
}

// IndexExists: UpdateTable makes an index of a name that is taken.
func IndexExists() *Error {
	return Validation("Attempting to create an index which already exists")
}

// AttributeRedefined: UpdateTable makes an index whose key gives an attribute another
// type than a key that is there. Both are shown as Schema:[SchemaElement: key{a:S:HASH}].
func AttributeRedefined(existing, new string) *Error {
	return InvalidParameter("Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. " +
		"Existing schema: " + existing + " New schema: " + new)
}

// IndexNotFound: UpdateTable names an index that is not there.
func IndexNotFound(index, table string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Requested resource not found: Index " + index + " for table " + table}
}

// NotAGlobalIndex: UpdateTable deletes a local index.
func NotAGlobalIndex(index string) *Error {
	return Validation("Cannot delete an index that is not a GlobalSecondaryIndex: " + index)
}

// GlobalIndexesFull: UpdateTable makes the 21st global index.
func GlobalIndexesFull() *Error {
	return &Error{Code: "LimitExceededException", Message: "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20"}
}

// IndexThroughputNeeded: an index of a provisioned table lacks its throughput.
func IndexThroughputNeeded(index string) *Error {
	return InvalidParameter("ProvisionedThroughput must be specified for index: " + index)
}

// IndexBackfilling: a read of an index that is not whole yet.
func IndexBackfilling(index string) *Error {
	return Validation("Cannot read from backfilling global secondary index: " + index)
}

// IndexThroughputUnchanged: UpdateTable sets the throughput that an index has.
func IndexThroughputUnchanged(index string, read, write int64) *Error {
	r, w := strconv.FormatInt(read, 10), strconv.FormatInt(write, 10)
	return Validation("The provisioned throughput for the index " + index + " will not change. The requested value equals the current value. " +
		"Current ReadCapacityUnits provisioned for the index: " + r + ". Requested ReadCapacityUnits: " + r +
		". Current WriteCapacityUnits provisioned for the index: " + w + ". Requested WriteCapacityUnits: " + w +
		". Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.")
}
