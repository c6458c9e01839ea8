package awserr

// NoSuchStream: a well-formed ARN of no stream.
func NoSuchStream(arn string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Requested resource not found: Stream: " + arn + " not found"}
}

// ShardNotFound: a stream has no such shard, or no longer.
func ShardNotFound() *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Requested resource not found: Shard does not exist"}
}

// TrimmedData: the position lies before the oldest record that is kept.
func TrimmedData() *Error {
	return &Error{Code: "TrimmedDataAccessException", Message: "The data you are trying to access has been trimmed"}
}

// ExpiredIterator: an iterator is older than 15 minutes.
func ExpiredIterator() *Error {
	return &Error{Code: "ExpiredIteratorException", Message: "Shard iterator has expired"}
}

// InvalidIterator: garbage, a foreign or a tampered iterator.
func InvalidIterator() *Error { return Validation("Invalid ShardIterator") }

// TimestampInFuture: AT_TIMESTAMP lies ahead of the clock.
func TimestampInFuture() *Error {
	return InvalidParameter("The Timestamp of AT_TIMESTAMP must not lie in the future")
}
