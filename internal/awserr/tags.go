package awserr

// NotAnARN: a resource is named by something else than an ARN.
func NotAnARN(name string) *Error { return InvalidParameter("ARNs must start with 'arn:': " + name) }

// InvalidResourceARN: an ARN that names no table.
func InvalidResourceARN(arn string) *Error {
	return Validation("Invalid TableArn: Invalid ResourceArn provided as input " + arn)
}

// ResourceNotTaggable: the ARN of an index.
func ResourceNotTaggable(arn string) *Error {
	return InvalidParameter("Invalid resource arn provided, only table or stream is accepted. Provided resource arn: " + arn)
}

// TagRequired: TagResource without a tag. The spelling is AWS's.
func TagRequired() *Error { return Validation("Atleast one Tag needs to be provided as Input.") }

// TagKeyRequired: UntagResource without a key.
func TagKeyRequired() *Error { return Validation("Atleast one Tag Key needs to be provided as Input.") }

// ResourceARNNotFound: the table of an ARN is not there.
func ResourceARNNotFound(arn string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Requested resource not found: ResourcArn: " + arn + " not found"}
}

// ResourceOfOther: the ARN of another account's table, or of another region's.
func ResourceOfOther(arn string) *Error {
	return &Error{Code: "AccessDeniedException", Message: "User is not authorized to access the resource: " + arn}
}

// InvalidTagToken: a NextToken that no answer gave.
func InvalidTagToken() *Error { return Validation("The provided NextToken is invalid") }
