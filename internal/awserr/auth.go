package awserr

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Constructors for what AWS answers before a request reaches an operation: the
// checks of its Authorization, and throttling of the whole account. DynamoDB
// sends all of them with status 400.

// MissingAuthenticationToken is the answer to a request that is not signed.
func MissingAuthenticationToken() *Error {
	return &Error{Code: "MissingAuthenticationTokenException", Message: "Request is missing Authentication Token"}
}

// SignedTwice is the answer to a request signed in its header and in its query.
func SignedTwice() *Error {
	return InvalidSignature("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
}

// InvalidSignature returns an InvalidSignatureException with AWS's text.
func InvalidSignature(text string) *Error {
	return &Error{Code: "InvalidSignatureException", Message: text}
}

// IncompleteSignature returns an IncompleteSignatureException with AWS's text.
func IncompleteSignature(text string) *Error {
	return &Error{Code: "IncompleteSignatureException", Message: text}
}

// AuthorizationLacks names the parameters that an Authorization header should
// have had; date says whether a date header is missing too.
func AuthorizationLacks(parameters []string, date bool, header string) *Error {
	var text strings.Builder
	for _, p := range parameters {
		text.WriteString("Authorization header requires '" + p + "' parameter. ")
	}
	if date {
		text.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	text.WriteString("Authorization=" + header)
	return IncompleteSignature(text.String())
}

// AuthorizationNotPair is the answer to a part of the header without "=".
func AuthorizationNotPair(part, header string) *Error {
	return IncompleteSignature("'" + part + "' not a valid key=value pair (missing equal-sign) in Authorization header: '" + header + "'.")
}

// QueryLacks names the parameters that a pre-signed address should have had.
func QueryLacks(parameters []string) *Error {
	var text strings.Builder
	for _, p := range parameters {
		text.WriteString("AWS query-string parameters must include '" + p + "'. ")
	}
	text.WriteString("Re-examine the query-string parameters.")
	return IncompleteSignature(text.String())
}

// SignatureDate is the answer to a date that is not like 20060102T150405Z.
func SignatureDate(got string) *Error {
	return IncompleteSignature("Date must be in ISO-8601 'basic format'. Got '" + got + "'. See http://en.wikipedia.org/wiki/ISO_8601")
}

// HostNotSigned is the answer to SignedHeaders without host.
func HostNotSigned() *Error {
	return InvalidSignature("'Host' must be a 'SignedHeader' in the AWS Authorization.")
}

// SignatureAlgorithm is the answer to any algorithm but AWS4-HMAC-SHA256.
func SignatureAlgorithm(got string) *Error {
	return IncompleteSignature("Unsupported AWS 'algorithm': '" + got + "' (only AWS4-HMAC-SHA256 for now). ")
}

// CredentialShape is the answer to a credential that is not
// keyid/date/region/service/term.
func CredentialShape(got string) *Error {
	return IncompleteSignature("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + got + "'")
}

// CredentialRegion and CredentialTerminator are sentences about the parts of a
// credential; AWS joins those that apply into one InvalidSignatureException.
func CredentialRegion(got string) string {
	return "Credential should be scoped to a valid region, not '" + got + "'. "
}

// CredentialTerminator: see CredentialRegion.
func CredentialTerminator(got string) string {
	return "Credential should be scoped with a valid terminator: 'aws4_request', not '" + got + "'. "
}

// CredentialService: see CredentialRegion.
func CredentialService(want string) string {
	return "Credential should be scoped to correct service: '" + want + "'. "
}

// CredentialDate is about a credential of another day than its date; time is like 20060102T150405Z.
func CredentialDate(got, time string) string {
	return "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" + got + "' != '" + time[:8] + "', from '" + time + "'."
}

// UnrecognizedClient is the answer to an access key, or a session's token, that is not known.
func UnrecognizedClient() *Error {
	return &Error{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
}

// ExpiredToken is the answer to a session that has ended.
func ExpiredToken() *Error {
	return &Error{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}
}

// SignatureDoesNotMatch is the answer to a signature by another secret, or of another request.
func SignatureDoesNotMatch() *Error {
	return InvalidSignature("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. " +
		"Consult the service documentation for details.")
}

// HeaderNotSigned is the answer to a header that changes a request's meaning and is not signed.
func HeaderNotSigned(name string) *Error {
	return InvalidSignature("'" + name + "' must be a 'SignedHeader' in the AWS Authorization.")
}

// SignatureExpired and SignatureEarly are the answers to what was signed outside of the time that is allowed.
func SignatureExpired(signed, limit, now, allowed string) *Error {
	return InvalidSignature("Signature expired: " + signed + " is now earlier than " + limit + " (" + now + " - " + allowed + ")")
}

// SignatureEarly: see SignatureExpired.
func SignatureEarly(signed, limit, now, allowed string) *Error {
	return InvalidSignature("Signature not yet current: " + signed + " is still later than " + limit + " (" + now + " + " + allowed + ")")
}

// QueryCode is the code that services of the query protocol have for a refusal.
func QueryCode(code string) string {
	switch code {
	case "UnrecognizedClientException":
		return "InvalidClientTokenId"
	case "InvalidSignatureException":
		return "SignatureDoesNotMatch"
	}
	return strings.TrimSuffix(code, "Exception")
}

// readOperations and writeOperations are those of DynamoDB's data.
var (
	readOperations  = []string{"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}
	writeOperations = []string{"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
)

// Throttled is DynamoDB's answer when an account sends more than can be taken on; every
// SDK backs off and tries again. The table is not known: nothing was read.
func Throttled(operation string, retryAfter time.Duration) *Error {
	e := &Error{Code: "ThrottlingException", Message: "Rate of requests exceeds the allowed throughput.", RetryAfter: retryAfter}
	switch {
	case slices.Contains(readOperations, operation):
		e.ThrottlingReasons = []ThrottlingReason{{"TableReadAccountLimitExceeded", "arn:aws:dynamodb:*:*:table/*"}}
	case slices.Contains(writeOperations, operation):
		e.ThrottlingReasons = []ThrottlingReason{{"TableWriteAccountLimitExceeded", "arn:aws:dynamodb:*:*:table/*"}}
	}
	return e
}

// KeysUnreached is for a server that has no access keys of its own, while the one that has them does not answer.
func KeysUnreached() *Error {
	return &Error{Code: "ServiceUnavailableException", Message: "The server that knows the access keys does not answer this one.", Status: http.StatusServiceUnavailable, RetryAfter: time.Second}
}
