package awserr

import (
	"strconv"
	"strings"
)

// Texts of the checks of requests that need no state.

// Constraints returns the aggregated ValidationException of violated member
// constraints, which are complete sentences.
func Constraints(violations []string) *Error {
	s := "s"
	if len(violations) == 1 {
		s = ""
	}
	return Validation(strconv.Itoa(len(violations)) + " validation error" + s + " detected: " + strings.Join(violations, "; "))
}

// TableNameRequired is what operations on tables answer without a name.
func TableNameRequired() *Error {
	return Validation("The parameter 'TableName' is required but was not present in the request")
}

// InvalidTableARN refuses a TableName that begins as an ARN and is none of a table.
func InvalidTableARN(arn string) *Error {
	return Validation("Invalid TableArn: Invalid ResourceArn provided as input " + arn)
}

// MixedParameters refuses expressions beside parameters of the older kind.
func MixedParameters(legacy, expressions []string) *Error {
	return Validation("Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {" +
		strings.Join(legacy, ", ") + "} Expression parameters: {" + strings.Join(expressions, ", ") + "}")
}

// NamesWithoutExpression refuses ExpressionAttributeNames that nothing can use.
func NamesWithoutExpression() *Error {
	return Validation("ExpressionAttributeNames can only be specified when using expressions")
}

// ValuesWithoutExpression refuses ExpressionAttributeValues that nothing can use;
// expressions are the operation's parameters that could, which the older layer names.
func (l Layer) ValuesWithoutExpression(expressions []string) *Error {
	const text = "ExpressionAttributeValues can only be specified when using expressions"
	if l == Current {
		return Validation(text)
	}
	verb := " is null"
	if len(expressions) > 1 {
		verb = " are null"
	}
	return Validation(text + ": " + strings.Join(expressions, " and ") + verb)
}

// InvalidExpressionValue wraps what is wrong with a value of
// ExpressionAttributeValues.
func InvalidExpressionValue(cause *Error, key string) *Error {
	return Validation("ExpressionAttributeValues contains invalid value: " + cause.Message + " for key " + key)
}

// ReturnValuesNotAllowed is for writes that can return the old item only.
func ReturnValuesNotAllowed() *Error {
	return Validation("ReturnValues can only be ALL_OLD or NONE")
}

// ItemTooLarge is the limit of 400 KiB on an item that is put.
func ItemTooLarge() *Error {
	return Validation("Item size has exceeded the maximum allowed size")
}

// AmbiguousWriteRequest is for a WriteRequest that is not exactly one of put and
// delete; AWS reuses the text of attribute values.
func AmbiguousWriteRequest() *Error {
	return Validation("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
}

// RequestItemsRequired is for a batch that is empty.
func RequestItemsRequired(operation string) *Error {
	return Validation("The requestItems parameter is required for " + operation)
}

// TooManyItems is for a batch over its limit, summed over tables.
func TooManyItems(operation string) *Error {
	return Validation("Too many items requested for the " + operation + " call")
}

// DuplicateKeys is for a batch that names one item twice.
func DuplicateKeys() *Error {
	return Validation("Provided list of item keys contains duplicates")
}

// DuplicateAttributeToGet is for a name that AttributesToGet has twice.
func DuplicateAttributeToGet(name string) *Error {
	return InvalidParameter("Duplicate value in attribute name: " + name)
}

// KeyConditionRequired is for a Query that names no key.
func KeyConditionRequired() *Error {
	return Validation("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
}

// ProjectionRequired is for Select=SPECIFIC_ATTRIBUTES without a projection.
func ProjectionRequired() *Error {
	return Validation("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
}

// ProjectionNotAllowed is for a projection beside a Select that excludes it.
func ProjectionNotAllowed(parameter, selected string) *Error {
	if selected == "COUNT" {
		selected = "only the Count"
	}
	return Validation("Cannot specify the " + parameter + " when choosing to get " + selected)
}

// ProjectedNeedsIndex is for Select=ALL_PROJECTED_ATTRIBUTES on a table; Scan says
// "Querying" too.
func ProjectedNeedsIndex() *Error {
	return Validation("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
}

// SegmentNeedsTotal and TotalNeedsSegment are for half of a parallel scan.
func SegmentNeedsTotal() *Error {
	return Validation("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
}

func TotalNeedsSegment() *Error {
	return Validation("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
}

// SegmentBeyondTotal is for a segment that does not exist.
func (l Layer) SegmentBeyondTotal(segment, total int64) *Error {
	const text = "The Segment parameter is zero-based and must be less than parameter TotalSegments"
	if l == Current {
		return Validation(text)
	}
	return Validation(text + ": Segment: " + strconv.FormatInt(segment, 10) +
		" is not less than TotalSegments: " + strconv.FormatInt(total, 10))
}

// Texts of CreateTable and UpdateTable.

// ThroughputRequired and ThroughputNotAllowed hold capacity against the billing
// mode.
func ThroughputRequired() *Error {
	return InvalidParameter("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
}

func ThroughputNotAllowed() *Error {
	return InvalidParameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
}

// UnitsOutOfBounds is for more than 10^12 units.
func UnitsOutOfBounds(units int64, member string) *Error {
	return Validation("Given value " + strconv.FormatInt(units, 10) + " for " + member + " is out of bounds")
}

// OnDemandNotAllowed and OnDemandOutOfRange are for OnDemandThroughput's members.
func OnDemandNotAllowed(member string) *Error {
	return InvalidParameter(member + " for OnDemandThroughput cannot be specified when table BillingMode is PROVISIONED.")
}

func OnDemandOutOfRange(member string) *Error {
	return InvalidParameter("Requested " + member + " for OnDemandThroughput for table is outside of valid range")
}

// DuplicateDefinition is for an attribute that is defined twice.
func DuplicateDefinition(name string) *Error {
	return Validation("Attribute Name is duplicated: " + name)
}

// KeyWithoutDefinition is for more keys than definitions, KeysNotDefined for
// keys that have none.
func KeyWithoutDefinition() *Error {
	return Validation("Invalid KeySchema: Some index key attribute have no definition")
}

func KeysNotDefined(keys, defined []string) *Error {
	return InvalidParameter("Some index key attributes are not defined in AttributeDefinitions. Keys: [" +
		strings.Join(keys, ", ") + "], AttributeDefinitions: [" + strings.Join(defined, ", ") + "]")
}

// DefinitionsCount (without indexes) and DefinitionsUnused (with) are for
// definitions that no key uses.
func DefinitionsCount() *Error {
	return InvalidParameter("Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
}

func DefinitionsUnused(defined, used []string) *Error {
	return InvalidParameter("Some AttributeDefinitions are not used. AttributeDefinitions: [" +
		strings.Join(defined, ", ") + "], keys used: [" + strings.Join(used, ", ") + "]")
}

// HashAndRangeEqual, FirstKeyNotHash, SecondKeyNotRange, HashAfterRange,
// TooManyKeys and RepeatedIndexKey are for malformed key schemas.
func HashAndRangeEqual() *Error {
	return Validation("Both the Hash Key and the Range Key element in the KeySchema have the same name")
}

func FirstKeyNotHash() *Error {
	return Validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
}

func SecondKeyNotRange() *Error {
	return Validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
}

func HashAfterRange() *Error {
	return InvalidParameter("All HASH key attributes must precede RANGE key attributes in the KeySchema")
}

func TooManyKeys(keyType string) *Error {
	return InvalidParameter("The KeySchema exceeds the maximum allowed number of " + keyType + " key attributes")
}

func RepeatedIndexKey() *Error {
	return Validation("The KeySchema contains multiple key attributes with the same name")
}

// EmptyIndexList is for a list of indexes that is there and empty.
func EmptyIndexList(member string) *Error {
	return InvalidParameter("List of " + member + " is empty")
}

// LocalNeedsRange, IndexNeedsRange and IndexHashDiffers are for local indexes
// that do not fit their table.
func LocalNeedsRange() *Error {
	return InvalidParameter("Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
}

func IndexNeedsRange(index string) *Error {
	return InvalidParameter("Index KeySchema does not have a range key for index: " + index)
}

func IndexHashDiffers(index, indexHash, tableHash string) *Error {
	return InvalidParameter("Index KeySchema does not have the same leading hash key as table KeySchema for index: " +
		index + ". index hash key: " + indexHash + ", table hash key: " + tableHash)
}

// UnknownProjection, NonKeyNotAllowed, NonKeyRequired, DuplicateNonKey and
// TooManyProjected are for projections of indexes.
func UnknownProjection() *Error { return InvalidParameter("Unknown ProjectionType: null") }

func NonKeyNotAllowed(projection string) *Error {
	return InvalidParameter("ProjectionType is " + projection + ", but NonKeyAttributes is specified")
}

func NonKeyRequired() *Error {
	return InvalidParameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
}

func DuplicateNonKey(name string) *Error {
	return InvalidParameter("Duplicate element in NonKeyAttributes: " + name)
}

func TooManyProjected() *Error {
	return InvalidParameter("Number of NonKeyAttributes over all indexes exceeds per-table limit of 100")
}

// DuplicateIndex is for a name that two indexes have.
func DuplicateIndex(name string) *Error {
	return InvalidParameter("Duplicate index name: " + name)
}

// TooManyLocalIndexes and TooManyGlobalIndexes are the limits of one table.
func TooManyLocalIndexes() *Error {
	return InvalidParameter("Number of LocalSecondaryIndexes exceeds per-table limit of 5")
}

func TooManyGlobalIndexes() *Error {
	return InvalidParameter("GlobalSecondaryIndex count exceeds the per-table limit of 20")
}

// IndexThroughputRequired and IndexThroughputNotAllowed hold an index's capacity
// against the table's billing mode.
func IndexThroughputRequired(index string) *Error {
	return InvalidParameter("ProvisionedThroughput is not specified for index: " + index)
}

func IndexThroughputNotAllowed(index string) *Error {
	return InvalidParameter("ProvisionedThroughput should not be specified for index: " + index + " when BillingMode is PAY_PER_REQUEST")
}

// CreatedStreamNeedsView and its kin hold StreamViewType against StreamEnabled.
func CreatedStreamNeedsView() *Error {
	return InvalidParameter("Table is being created with a stream enabled, UpdateViewType is required")
}

func CreatedStreamHasView() *Error {
	return InvalidParameter("Table is being created with a stream disabled, UpdateViewType should not be specified")
}

func EnabledStreamNeedsView() *Error {
	return InvalidParameter("If stream is being enabled then UpdateViewType is required")
}

func DisabledStreamHasView() *Error {
	return InvalidParameter("If stream is being disabled, then UpdateViewType must not be specified")
}

// NothingToUpdate is for an UpdateTable without a change.
func NothingToUpdate() *Error {
	return Validation("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required")
}

// OnlyOperation and its kin are for changes that cannot go together.
func OnlyOperation(change string) *Error {
	return InvalidParameter(change + " must be the only operation in the request")
}

func StreamWithUnits() *Error {
	return InvalidParameter("You cannot modify stream status while updating table IOPS")
}

func IndexWithUnits() *Error {
	return InvalidParameter("You cannot create or delete index while updating table IOPS")
}

func IndexWithStream() *Error {
	return InvalidParameter("You cannot create or delete index while changing stream status")
}

func OnDemandCombined() *Error {
	return InvalidParameter("OnDemandThroughput can only be combined with BillingMode in an UpdateTable request")
}

// IndexActionRequired and its kin are for GlobalSecondaryIndexUpdates.
func IndexActionRequired() *Error {
	return InvalidParameter("One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null")
}

func IndexActionAmbiguous() *Error {
	return InvalidParameter("Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object")
}

func IndexUpdatedTwice(index string) *Error {
	return InvalidParameter("Only one global secondary index update per index is allowed simultaneously. Index: " + index)
}

func OneIndexAtOnce() *Error {
	return &Error{Code: "LimitExceededException", Message: "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"}
}

// NoGlobalTables is Millstream's own refusal of replicas.
func NoGlobalTables(parameter string) *Error {
	return Validation("The parameter " + parameter + " is not supported: Millstream has no global tables")
}

// Texts of tags.

// ReservedTagKey and its kin are for tags that AWS refuses.
func ReservedTagKey(key string) *Error {
	return Validation("Tag Key cannot be prefixed with aws:, Key: " + key)
}

func InvalidTagKey(key string) *Error {
	return Validation("The Tag Key provided is invalid, Key: " + key)
}

func InvalidTagValue(value string) *Error {
	return Validation("The Tag Value provided is invalid, Value: " + value)
}

func DuplicateTagKey(key string) *Error {
	return Validation("Duplicate Tag Keys provided as input: Duplicate Tag Key found " + key)
}

func TooManyTags() *Error {
	return Validation("Number of Tags exceed the current limit for the provided ResourceArn")
}

// Texts of the Streams API.

// InvalidStreamARN is for a text that is no ARN of a stream.
func InvalidStreamARN(arn string) *Error {
	return Validation("Invalid StreamArn: " + arn)
}

// InvalidShardFilter is for a ShardFilter that names no shard.
func InvalidShardFilter(shard string) *Error {
	return Validation("Invalid ShardFilter: ShardId is not valid: " + shard)
}

// InvalidSequenceNumber is for a text that is no sequence number.
func InvalidSequenceNumber(text string) *Error {
	return Validation("Invalid SequenceNumber: " + text)
}

// SequenceNumberRequired and its kin hold the position against the type of a
// shard iterator.
func SequenceNumberRequired(iteratorType string) *Error {
	return Validation("SequenceNumber must be specified when ShardIteratorType is " + iteratorType)
}

func SequenceNumberNotAllowed(iteratorType string) *Error {
	return Validation("SequenceNumber must not be specified when ShardIteratorType is " + iteratorType)
}

func TimestampRequired(iteratorType string) *Error {
	return Validation("Timestamp must be specified when ShardIteratorType is " + iteratorType)
}

func TimestampNotAllowed(iteratorType string) *Error {
	return Validation("Timestamp must not be specified when ShardIteratorType is " + iteratorType)
}

// UnknownOperation is for an X-Amz-Target that names nothing; AWS sends no text.
func UnknownOperation() *Error { return &Error{Code: "UnknownOperationException"} }
