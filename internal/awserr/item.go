package awserr

// The errors of attribute values.

var valueEmpty = Validation("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")

// ValueEmpty is for an AttributeValue without a member that DynamoDB knows. It is one
// value, which can be told by ==.
func ValueEmpty() *Error { return valueEmpty }

// ValueAmbiguous is for an AttributeValue with several members.
func ValueAmbiguous() *Error {
	return Validation("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
}

// NullFalse is for {"NULL": false}.
func NullFalse() *Error {
	return InvalidParameter("Null attribute value types must have the value of true")
}

// EmptySet is for a set without elements; set is "SS", "NS" or "BS".
func EmptySet(set string) *Error {
	switch set {
	case "SS":
		return InvalidParameter("An string set  may not be empty")
	case "NS":
		return InvalidParameter("An number set  may not be empty")
	default:
		return InvalidParameter("Binary sets should not be empty")
	}
}

// NullInSet is for a JSON null among a set's elements.
func (l Layer) NullInSet(set string) *Error {
	switch set {
	case "SS":
		return InvalidParameter("An string set may not have a null string as a member")
	case "NS":
		return l.NumberEmpty()
	default:
		return InvalidParameter("Binary sets may not contain null or empty values")
	}
}

// AttributeNameEmpty is for an empty attribute name. It is one value, which may be compared.
func AttributeNameEmpty() *Error { return attributeNameEmpty }

var attributeNameEmpty = Validation("Empty attribute name")

// AttributeNameTooLong is for an attribute name over 65535 bytes.
func AttributeNameTooLong() *Error {
	return InvalidParameter("Attribute name is too large, must be less than 65536 bytes")
}

var nestingTooDeep = Validation("Nesting Levels have exceeded supported limits: " +
	"Attributes in the item have nested levels beyond supported limit")

// NestingTooDeep is for a value that nests more than 32 levels. It is one value, which
// can be told by ==.
func NestingTooDeep() *Error { return nestingTooDeep }

// ResultTooDeep is for an item that would nest too deep after an update.
func ResultTooDeep() *Error {
	return Validation("Nesting Levels have exceeded supported limits")
}

// NumberMalformed is for a text that is not a number.
func NumberMalformed(text []byte) *Error {
	return Validation("The parameter cannot be converted to a numeric value: " + string(text))
}

// NumberTooPrecise is for a number of more than 38 significant digits.
func NumberTooPrecise() *Error {
	return Validation("Attempting to store more than 38 significant digits in a Number")
}

// NumberOverflow is for a number that is too large, and for a sum that cannot
// be exact.
func NumberOverflow() *Error {
	return Validation("Number overflow. Attempting to store a number with magnitude larger than supported range")
}

// NumberUnderflow is for a number that is too close to zero.
func NumberUnderflow() *Error {
	return Validation("Number underflow. Attempting to store a number with magnitude smaller than supported range")
}

// The errors of JSON of another kind than the member's shape.

// CannotConvert is for a scalar: token is Jackson's name of what came, such as
// "NUMBER_VALUE"; want is a Java type, such as "String".
func CannotConvert(token, want string) *Error {
	return Serialization(token + " cannot be converted to " + want)
}

// UnexpectedToken is for a string that is no Boolean.
func UnexpectedToken() *Error { return Serialization("Unexpected token received from parser") }

// UnexpectedCollection is for an array; class is what Java prints for the type
// wanted, such as "class java.lang.String".
func UnexpectedCollection(class string) *Error {
	return Serialization("Unrecognized collection type " + class)
}

// UnexpectedStructure is for an object.
func UnexpectedStructure() *Error {
	return Serialization("Start of structure or map found where not expected")
}

// UnexpectedField is for a scalar in place of a member's list, map or structure.
func UnexpectedField() *Error { return Serialization("Unexpected field type") }

// UnexpectedValue is for a scalar in place of a structure in a list or map.
func UnexpectedValue() *Error { return Serialization("Unexpected value type in payload") }

// NotBase64Text is for a number or Boolean in place of bytes.
func NotBase64Text() *Error {
	return Serialization("only base-64-encoded strings are convertible to bytes")
}

// Base64Length is for base64 whose length is not a multiple of 4.
func Base64Length(length string) *Error {
	return Serialization("Base64 encoded length is expected a multiple of 4 bytes but found: " + length)
}

// Base64Malformed is for any other text that is not base64.
func Base64Malformed() *Error {
	return Serialization("Invalid last non-pad Base64 character dectected")
}
