package awserr

// Texts of resource policies, of recordings of AWS of 2026.

// PolicyNotFound is for a resource without a policy.
func PolicyNotFound(arn string) *Error { return policyNotFound(arn) }

// PolicyThere: a policy is put where none is expected to be.
func PolicyThere(table, revision string) *Error {
	return policyNotFound("Requested policy update expecting none to be present for table " + table + ", but a policy exists with revision id " + revision + ".")
}

// PolicyRevisionDiffers: the policy that is there is not the expected one.
func PolicyRevisionDiffers(table, expected, revision string) *Error {
	return policyNotFound("Requested update for policy with revision id " + expected + ", but the policy associated to target table " + table + " has revision id " + revision + ".")
}

func policyNotFound(detail string) *Error {
	return &Error{Code: "PolicyNotFoundException", Message: "Resource-based policy not found for the provided ResourceArn: " + detail}
}

// PolicyOfOther: the ARN of another account's resource. The apostrophe is AWS's.
func PolicyOfOther() *Error {
	return Validation("This action is only supported by accounts that match the resource owner’s account.")
}

// PolicyElsewhere: the ARN of another region's resource, or of another partition's.
func PolicyElsewhere(arn string) *Error { return InvalidParameter("Invalid resource Arn: " + arn) }

// NoDynamoDBResource: an ARN of something that has no policy.
func NoDynamoDBResource(arn string) *Error {
	return InvalidParameter("Provided Arn is not a DynamoDB resource arn: " + arn)
}

// StreamOfTableNotFound: the ARN of a stream that there is not.
func StreamOfTableNotFound(label, table string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Requested resource not found: Stream: " + label + " not found for Table: " + table}
}

// InvalidPolicy: a document that is no policy; why is AWS's reason.
func InvalidPolicy(why string) *Error { return InvalidParameter("Invalid policy document: " + why) }

// PolicyTooLarge: a document of more than 20 KB, white space included.
func PolicyTooLarge() *Error {
	return InvalidParameter("Maximum policy size of 20480 bytes exceeded")
}

// PolicyUnbounded: a policy that allows something to everybody.
func PolicyUnbounded() *Error {
	return Validation("Resource-based policy grants unbounded access in one or more elements. Please revise the policy to ensure least-privilege form of access")
}
