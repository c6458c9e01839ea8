package awserr

// Layer is one of the two validators of requests that AWS runs side by side. Which
// operation is validated by which is for package request to say; here are the
// texts that differ.
type Layer byte

const (
	Older   Layer = iota
	Current       // rolled out since the summer of 2026, operation by operation
)

// NumberEmpty is for the empty text as a number.
func (l Layer) NumberEmpty() *Error {
	if l == Current {
		return NumberMalformed(nil)
	}
	return Validation("The parameter cannot be converted to a numeric value")
}

// DuplicatesInSet is for a set that names an element twice; collection shows its
// elements as the layer prints them (not used for NS).
func (l Layer) DuplicatesInSet(set, collection string) *Error {
	switch {
	case set == "SS":
		return InvalidParameter("Input collection " + collection + " contains duplicates.")
	case set == "BS":
		return InvalidParameter("Input collection " + collection + "of type BS contains duplicates.")
	case l == Current:
		return InvalidParameter("Input collection contains duplicates.")
	}
	return Validation("Input collection contains duplicates")
}

// ExpressionTooLong is for an expression over 4096 bytes. The older layer shows
// the size of conditions, and of nothing else.
func (l Layer) ExpressionTooLong(x Expression, size int) *Error {
	if l == Older && (x == ConditionExpression || x == FilterExpression) {
		return x.TooLong(size)
	}
	return x.invalid("Expression size has exceeded the maximum allowed size;")
}
