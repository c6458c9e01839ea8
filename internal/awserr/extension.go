package awserr

// TagValue is a tag of Millstream's own with a value that it does not take.
func TagValue(key, value, want string) *Error {
	return InvalidParameter("The tag " + key + " takes " + want + ", not: " + value)
}
