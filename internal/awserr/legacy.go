package awserr

// Texts of the parameters that expressions replaced.

// ConditionalOperatorAlone refuses ConditionalOperator without what it joins.
func ConditionalOperatorAlone() *Error {
	return Validation("ConditionalOperator cannot be used without Filter or Expected")
}

// ConditionalOperatorOfOne refuses ConditionalOperator with a single condition.
func ConditionalOperatorOfOne() *Error {
	return Validation("ConditionalOperator can only be used when Filter or Expected has two or more elements")
}

// ConditionalOperatorUnknown has AWS's slip: what is accepted is AND, and OR.
func ConditionalOperatorUnknown() *Error {
	return Validation("Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]")
}

// ComparatorUnknown is for a ComparisonOperator that does not exist.
func ComparatorUnknown() *Error { return InvalidParameter("Invalid comparison operator") }

// ExpectedTwoForms is for a condition with Value and with AttributeValueList.
func ExpectedTwoForms(attribute string) *Error {
	return InvalidParameter("Value and AttributeValueList cannot be used together for Attribute: " + attribute)
}

// ExpectedExistsCompared is for a condition with Exists and ComparisonOperator.
func ExpectedExistsCompared(attribute string) *Error {
	return InvalidParameter("Exists and ComparisonOperator cannot be used together for Attribute: " + attribute)
}

// ExpectedNothing is for an operator without anything to compare with.
func ExpectedNothing(operator, attribute string) *Error {
	return InvalidParameter("Value or AttributeValueList must be used with ComparisonOperator: " + operator + " for Attribute: " + attribute)
}

// ExpectedNoOperator is for AttributeValueList without ComparisonOperator.
func ExpectedNoOperator(attribute string) *Error {
	return InvalidParameter("AttributeValueList can only be used with a ComparisonOperator for Attribute: " + attribute)
}

// ExpectedNoValue is for a condition without Value that does not say Exists:
// false; exists is "null" or "true".
func ExpectedNoValue(exists, attribute string) *Error {
	return InvalidParameter("Value must be provided when Exists is " + exists + " for Attribute: " + attribute)
}

// ExpectedAbsentValue is for Exists: false with a Value.
func ExpectedAbsentValue(attribute string) *Error {
	return InvalidParameter("Value cannot be used when Exists is false for Attribute: " + attribute)
}

// ComparisonArguments is for too few or too many values.
func ComparisonArguments(operator string) *Error {
	return InvalidParameter("Invalid number of argument(s) for the " + operator + " ComparisonOperator")
}

// ComparisonMixed is for values of several types.
func ComparisonMixed() *Error {
	return InvalidParameter("AttributeValues inside AttributeValueList must be of same type")
}

// ComparisonType is for values of a type that the operator does not take.
func ComparisonType(operator, typ string) *Error {
	return InvalidParameter("ComparisonOperator " + operator + " is not valid for " + typ + " AttributeValue type")
}

// ComparisonRange is for BETWEEN with its bounds the wrong way round.
func ComparisonRange() *Error {
	return Validation("The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")
}

// KeyNotIndexable is for a key condition by which keys cannot be searched.
func KeyNotIndexable() *Error {
	return Validation("Attempted conditional constraint is not an indexable operation")
}

// QueryFilterOnKey is FilterOnKey for QueryFilter.
func QueryFilterOnKey(attribute string) *Error {
	return Validation("QueryFilter can only contain non-primary key attributes: Primary key attribute: " + attribute)
}

// UpdateNeedsValue is for PUT or ADD without a value.
func UpdateNeedsValue() *Error {
	return InvalidParameter("Only DELETE action is allowed when no attribute value is specified")
}

// UpdateActionType is for ADD or DELETE with a value of a type that it does not take.
func UpdateActionType(action, typ string) *Error {
	verb := " is"
	if action == "DELETE" {
		verb = " with value is"
	}
	return InvalidParameter(action + " action" + verb + " not supported for the type " + typ)
}

// AttributeUpdateMismatch is for an attribute of another type than what is added
// to it or taken from it.
func AttributeUpdateMismatch() *Error { return Validation("Type mismatch for attribute to update") }

// TooManyConditions is Millstream's own bound on a request of the older kind; no
// item can have as many attributes of use.
func TooManyConditions() *Error {
	return InvalidParameter("Too many attributes in one condition or update")
}
