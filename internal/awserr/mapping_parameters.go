package awserr

import "strconv"

// FilterPatternInvalid is the answer to a filter that is no pattern, whatever is wrong with it.
func FilterPatternInvalid() *Error {
	return LambdaInvalidParameter("Invalid filter pattern definition.")
}

// TooManyFilters is the answer to more filters than the quota. AWS's text is not known.
func TooManyFilters(most int) *Error {
	return LambdaInvalidParameter("FilterCriteria can have at most " + strconv.Itoa(most) + " filters.")
}

// DestinationInvalid is the answer to an on-failure destination that is no
// standard queue, standard topic or bucket.
func DestinationInvalid(arn string) *Error {
	return LambdaInvalidParameter("The destination ARN " + arn + " is invalid.")
}

// TumblingWithFactor is the answer to tumbling windows together with a
// ParallelizationFactor above 1. AWS's text is not known.
func TumblingWithFactor() *Error {
	return LambdaInvalidParameter("TumblingWindowInSeconds requires a ParallelizationFactor of 1.")
}

// AtMostLong is the constraint of a member's greatest length.
func AtMostLong(value, member, bound string) string {
	return "Value '" + value + "' at '" + member + "' failed to satisfy constraint: Member must have length less than or equal to " + bound
}
