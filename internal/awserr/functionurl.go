package awserr

// The errors of function URLs, with AWS's texts.

// FunctionURLExists is CreateFunctionUrlConfig's answer for a function that has one.
func FunctionURLExists(arn string) *Error {
	return LambdaConflict("Failed to create function url config for [functionArn = " + arn + "]. Error message:  FunctionUrlConfig exists for this Lambda function")
}

// NoFunctionURL is the answer for a function without a URL.
func NoFunctionURL() *Error {
	return LambdaNotFound("The resource you requested does not exist.")
}

// NoFunctionForURL is the answer for a URL of an unknown function.
func NoFunctionForURL() *Error {
	return LambdaNotFound("Function does not exist")
}
