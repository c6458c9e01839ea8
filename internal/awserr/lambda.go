package awserr

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The errors of the Lambda API. Its codes and statuses differ from DynamoDB's
// even where the names look alike.

// LambdaInvalidParameter returns an InvalidParameterValueException with AWS's text.
func LambdaInvalidParameter(text string) *Error {
	return &Error{Code: "InvalidParameterValueException", Message: text}
}

// LambdaNotFound returns a ResourceNotFoundException with AWS's text.
func LambdaNotFound(text string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: text, Status: http.StatusNotFound}
}

// LambdaConflict returns a ResourceConflictException with AWS's text.
func LambdaConflict(text string) *Error {
	return &Error{Code: "ResourceConflictException", Message: text, Status: http.StatusConflict}
}

// LambdaService returns Lambda's error for a fault of the server itself.
func LambdaService() *Error {
	return &Error{Code: "ServiceException", Message: "An error occurred and the request cannot be processed.", Status: http.StatusInternalServerError}
}

// FunctionNotFound is the answer for an unknown function, or an unknown version
// or alias of one; arn is what was looked for.
func FunctionNotFound(arn string) *Error {
	return LambdaNotFound("Function not found: " + arn)
}

// FunctionExists is CreateFunction's answer for a name in use (the grammar is AWS's).
func FunctionExists(name string) *Error {
	return LambdaConflict("Function already exist: " + name)
}

// FunctionOtherRegion is the answer for an ARN of another region.
func FunctionOtherRegion(theirs, ours string) *Error {
	return LambdaNotFound("Functions from '" + theirs + "' are not reachable in this region ('" + ours + "')")
}

// QualifierMismatch is the answer when name and Qualifier parameter disagree.
func QualifierMismatch() *Error {
	return LambdaInvalidParameter("The derived qualifier from the function name does not match the specified qualifier.")
}

// DeleteLatest is DeleteFunction's answer for the qualifier $LATEST.
func DeleteLatest() *Error {
	return LambdaInvalidParameter("$LATEST version cannot be deleted without deleting the function.")
}

// UnqualifiedOnly is the answer of calls that take no version or alias.
func UnqualifiedOnly() *Error {
	return LambdaInvalidParameter("This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.")
}

// ReservedTooMuch is PutFunctionConcurrency's answer when less than minimum would
// be left for functions without a reservation.
func ReservedTooMuch(minimum int) *Error {
	return LambdaInvalidParameter(fmt.Sprintf("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", minimum))
}

// RevisionMismatch is the answer to an update whose RevisionId is not the latest.
func RevisionMismatch() *Error {
	return &Error{Code: "PreconditionFailedException", Message: "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id", Status: http.StatusPreconditionFailed}
}

// BadZip is the answer to a package that is no zip file or not one that may be unpacked.
func BadZip() *Error {
	return LambdaInvalidParameter("Could not unzip uploaded file. Please check your file, then try to upload again.")
}

// UnzippedTooLarge is the answer to a package over limit bytes once unpacked.
func UnzippedTooLarge(limit int64) *Error {
	return LambdaInvalidParameter(fmt.Sprintf("Unzipped size must be smaller than %d bytes", limit))
}

// ZippedTooLarge is the answer to an inline zip over limit bytes.
func ZippedTooLarge(limit int64) *Error {
	return &Error{Code: "RequestEntityTooLargeException", Message: fmt.Sprintf("Zipped size must be smaller than %d bytes", limit), Status: http.StatusRequestEntityTooLarge}
}

// LambdaRequestTooLarge is the answer to a body over limit bytes.
func LambdaRequestTooLarge(limit int64, operation string) *Error {
	return &Error{Code: "RequestEntityTooLargeException", Message: fmt.Sprintf("Request must be smaller than %d bytes for the %s operation", limit, operation), Status: http.StatusRequestEntityTooLarge}
}

// EnvironmentTooLarge is the answer to over 4 KB of variables; measured is their JSON.
func EnvironmentTooLarge(measured string) *Error {
	return LambdaInvalidParameter("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: " + measured)
}

// EnvironmentReserved is the answer to variables that only Lambda may set.
func EnvironmentReserved(keys []string) *Error {
	return LambdaInvalidParameter("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: " + strings.Join(keys, ", "))
}

// RuntimeUnknown is the answer to a runtime that AWS does not have either.
func RuntimeUnknown(runtime string, known []string) *Error {
	return LambdaInvalidParameter(fmt.Sprintf("Value %s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [%s] or be a valid ARN", runtime, strings.Join(known, ", ")))
}

// RuntimeRetired is the answer to a runtime that AWS no longer takes.
func RuntimeRetired(runtime string) *Error {
	return LambdaInvalidParameter("The runtime parameter of " + runtime + " is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.")
}

// InvalidRequestContent is the answer to a body that is not JSON.
func InvalidRequestContent(text string) *Error {
	return &Error{Code: "InvalidRequestContentException", Message: text}
}

// InvokePayloadTooLarge is Invoke's answer to an event over limit bytes.
func InvokePayloadTooLarge(size, limit int) *Error {
	return &Error{Code: "RequestTooLargeException", Message: fmt.Sprintf("%d byte payload is too large for the RequestResponse invocation type (limit %d bytes)", size, limit), Status: http.StatusRequestEntityTooLarge}
}

// InvokeEventTooLarge is the same for the invocation type Event.
func InvokeEventTooLarge(size, limit int) *Error {
	return &Error{Code: "RequestTooLargeException", Message: fmt.Sprintf("%d byte payload is too large for the Event invocation type (limit %d bytes)", size, limit), Status: http.StatusRequestEntityTooLarge}
}

// Reasons of LambdaThrottled.
const (
	ThrottleReserved   = "ReservedFunctionConcurrentInvocationLimitExceeded"
	ThrottleConcurrent = "ConcurrentInvocationLimitExceeded"
	ThrottleRate       = "FunctionInvocationRateLimitExceeded"
)

// LambdaThrottled is the answer when a function has no room for another
// invocation; it was not delivered. retryAfter may be 0: not known.
func LambdaThrottled(reason string, retryAfter time.Duration) *Error {
	return &Error{Code: "TooManyRequestsException", Message: "Rate Exceeded.", Reason: reason, Status: http.StatusTooManyRequests, RetryAfter: retryAfter}
}

// LambdaNotReady is the answer when the function's receiver cannot be reached.
func LambdaNotReady(text string) *Error {
	return &Error{Code: "ResourceNotReadyException", Message: text, Status: http.StatusBadGateway}
}

// EnvironmentLocked is the answer to a call of a function whose variables cannot be opened; why is for people.
func EnvironmentLocked(why string) *Error {
	return &Error{
		Code:    "KMSAccessDeniedException",
		Message: "Lambda was unable to decrypt the environment variables because KMS access was denied. Please check the function's KMS key settings. KMS Exception: NotFoundException KMS Message: " + why,
		Status:  http.StatusBadGateway,
	}
}

// NoEventConfig is the answer for a function, version or alias without settings for Event
// invocations.
func NoEventConfig(arn string) *Error {
	return LambdaNotFound("The function " + arn + " doesn't have an EventInvokeConfig")
}

// NoAlias is the answer for an alias that is not there.
func NoAlias(arn string) *Error { return LambdaNotFound("Cannot find alias arn: " + arn) }

// PolicyRevisionMismatch is the answer to a change of a policy whose RevisionId is not the
// latest.
func PolicyRevisionMismatch() *Error {
	return &Error{Code: "PreconditionFailedException", Message: "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id", Status: http.StatusPreconditionFailed}
}

// NoProvisioned is the answer for a version or alias without provisioned concurrency.
func NoProvisioned() *Error {
	return &Error{Code: "ProvisionedConcurrencyConfigNotFoundException", Message: "No Provisioned Concurrency Config found for this function", Status: http.StatusNotFound}
}

// NotThere is the answer for things of many kinds that are not there.
func NotThere() *Error { return LambdaNotFound("The resource you requested does not exist.") }
