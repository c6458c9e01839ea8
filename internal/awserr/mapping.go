package awserr

import "strconv"

import "strings"

// The errors of Lambda's event source mapping operations.

// MappingNotFound is the answer of Get, Update and Delete for an unknown UUID.
func MappingNotFound() *Error {
	return LambdaNotFound("The resource you requested does not exist.")
}

// MappingOfTagsNotFound is the answer of the tag operations for an unknown mapping.
func MappingOfTagsNotFound(arn string) *Error {
	return LambdaNotFound("Event source mapping not found: " + arn)
}

// MappingExists is the answer to a second mapping of a function on a stream (the
// blanks within the quotes are AWS's).
func MappingExists(streamARN, function, uuid string) *Error {
	return LambdaConflict(`The event source arn (" ` + streamARN + ` ") and function (" ` + function +
		` ") provided mapping already exists. Please update or delete the existing mapping with UUID ` + uuid)
}

// StartingPositionMissing is CreateEventSourceMapping's answer without one.
func StartingPositionMissing() *Error {
	return LambdaInvalidParameter("1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.")
}

// StartingPositionUnsupported is the answer to AT_TIMESTAMP, which DynamoDB
// streams do not have.
func StartingPositionUnsupported(streamARN string) *Error {
	return LambdaInvalidParameter("Unsupported starting position for arn type: " + streamARN)
}

// EventSourceUnrecognized is the answer to an EventSourceArn that is none of a stream.
func EventSourceUnrecognized() *Error {
	return LambdaInvalidParameter("Unrecognized event source.")
}

// MappingStreamMissing is the answer to the ARN of a stream that does not exist.
func MappingStreamMissing(arn string) *Error {
	return LambdaInvalidParameter("Stream not found: " + arn)
}

// MappingFunctionMissing is the answer to an unknown function; for mappings AWS
// answers 400, not 404.
func MappingFunctionMissing() *Error {
	return LambdaInvalidParameter("Function does not exist")
}

// OnSuccessUnsupported is the answer to DestinationConfig.OnSuccess.
func OnSuccessUnsupported() *Error {
	return LambdaInvalidParameter("Unsupported DestinationConfig parameter for given event source mapping type.")
}

// MappingParameterForeign is the answer to a parameter of another kind of source.
func MappingParameterForeign(name string) *Error {
	return LambdaInvalidParameter("Unsupported " + name + " parameter for given event source mapping type")
}

// MappingParameterUnsupported is Millstream's own refusal of a parameter that AWS
// acts upon and this version does not: storing it would promise what is not kept.
func MappingParameterUnsupported(name string) *Error {
	return LambdaInvalidParameter("The parameter " + name + " is not supported yet by this version of Millstream: leave it out")
}

// MappingSnapshot is the answer to a start by snapshot on a stream that is not its table's enabled one.
func MappingSnapshot(arn string) *Error {
	return LambdaInvalidParameter("The tag millstream:start takes snapshot for the stream that is enabled on a table only: " + arn + " is not")
}

// LambdaTooManyTags is the answer to more tags of a resource than AWS allows.
func LambdaTooManyTags() *Error {
	return LambdaInvalidParameter("The number of tags exceeds the limit of " + strconv.Itoa(MaxTags) + ".")
}

// MaxTags is how many tags a function or a mapping has at most.
const MaxTags = 50

// RecordAgeRange is the answer to a MaximumRecordAgeInSeconds from 0 to 59.
func RecordAgeRange() *Error {
	return LambdaInvalidParameter("MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)")
}

// BadMarker is the answer to a Marker that no list operation has given out.
func BadMarker() *Error {
	return LambdaInvalidParameter("Invalid Marker: use the NextMarker of an earlier answer")
}

// NotNull, AtLeast, AtMost and InEnum are violated constraints for Constraints.
func NotNull(member string) string {
	return "Value null at '" + member + "' failed to satisfy constraint: Member must not be null"
}

// AtLeast is the constraint of a member's lower bound.
func AtLeast(value, member, bound string) string {
	return "Value '" + value + "' at '" + member + "' failed to satisfy constraint: Member must have value greater than or equal to " + bound
}

// AtMost is the constraint of a member's upper bound.
func AtMost(value, member, bound string) string {
	return "Value '" + value + "' at '" + member + "' failed to satisfy constraint: Member must have value less than or equal to " + bound
}

// InEnum is the constraint of a member that has a set of values.
func InEnum(value, member string, set []string) string {
	return "Value '" + value + "' at '" + member + "' failed to satisfy constraint: Member must satisfy enum value set: [" + strings.Join(set, ", ") + "]"
}

// MappingChanging is the answer to a change that has met another one.
func MappingChanging(uuid string) *Error {
	return LambdaConflict("An operation that changes the event source mapping " + uuid + " is under way: try again")
}
