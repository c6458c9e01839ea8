package awserr

// AccessDenied is the answer to who uses what is another account's, which has no policy that lets it.
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)
func AccessDenied(user, action, resource string) *Error {
	return &Error{Code: "AccessDeniedException", Message: "User: " + user + " is not authorized to perform: " + action + " on resource: " + resource +
		" because no resource-based policy allows the " + action + " action"}
}

// LambdaRoleLacks is what Lambda answers when a function's role may not call what its configuration names.
func LambdaRoleLacks(call, resource string) *Error {
	return &Error{Code: "InvalidParameterValueException", Message: "The function's execution role does not have permissions to call " + call + " on " + resource}
}
