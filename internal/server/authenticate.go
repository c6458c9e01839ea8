package server

import (
	"bytes"
	"hash/maphash"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Authenticator reads who a request says it is from. It is safe for use by many
// goroutines at once.
type Authenticator struct {
	// Account is the account of access keys that are not account numbers.
	Account string

	known [64]atomic.Pointer[known] // by hash
}

// Authenticate checks that a request is signed in SigV4's form, in its header or
// in its query, and returns the account and region of its credential. The
// account is the access key if that has 12 digits, so that tests can keep apart
// what they store, else the configured one.
//
// Texts and their order are AWS's. Services other than DynamoDB answer with
// status 403 where DynamoDB has 400.
func (a *Authenticator) Authenticate(r *http.Request) (schema.Scope, *awserr.Error) {
	cred, err := readCredential(r)
	if err != nil {
		if r.URL.Path != "/" {
			err.Status = http.StatusForbidden
		}
		return schema.Scope{}, err
	}
	// A signature would be verified here, once accounts have secrets: cred names
	// the key, the scope and the headers that were signed.
	return a.scope(&cred), nil
}

func (a *Authenticator) scope(cred *credential) schema.Scope {
	if isAccount(cred.accessKey) {
		return schema.Scope{Account: cred.accessKey, Region: cred.region}
	}
	return schema.Scope{Account: a.Account, Region: cred.region}
}

// Caller is Authenticate for a request of path "/" and without a query, whose Authorization and date are in its headers. A
// client's requests differ in the signature only for a day, so what comes before it is remembered with its scope.
func (a *Authenticator) Caller(authorization, date []byte) (schema.Scope, *awserr.Error) {
	start, usual := beforeSignature(authorization)
	usual = usual && isSignatureDate(string(date))
	var place *atomic.Pointer[known]
	if usual {
		place = &a.known[maphash.Bytes(knownSeed, start)%uint64(len(a.known))]
		if k := place.Load(); k != nil && k.start == string(start) {
			return k.scope, nil
		}
	}
	cred, err := headerCredential(string(authorization), string(date))
	if err != nil {
		return schema.Scope{}, err
	}
	scope := a.scope(&cred)
	if usual {
		place.Store(&known{string(start), scope})
	}
	return scope, nil
}

// known is an Authorization up to its signature that was found in order, but for the date.
type known struct {
	start string
	scope schema.Scope
}

// maxKnown bounds the bytes of one.
const maxKnown = 512

var knownSeed = maphash.MakeSeed()

// beforeSignature cuts the signature off an Authorization that ends with it, as is usual.
func beforeSignature(authorization []byte) (start []byte, usual bool) {
	const last = " Signature="
	at := bytes.LastIndex(authorization, []byte(last))
	if at < 0 || at > maxKnown || bytes.ContainsAny(authorization[at+len(last):], ", ") {
		return nil, false
	}
	return authorization[:at+len(last)], true
}

// credential is what a SigV4 signature says of itself.
type credential struct {
	accessKey, date, region, service string
	signedHeaders, signature         string
}

const algorithm = "AWS4-HMAC-SHA256"

func readCredential(r *http.Request) (credential, *awserr.Error) {
	header := r.Header.Get("Authorization")
	var query url.Values
	if r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	presigned := query.Has("X-Amz-Algorithm")
	switch {
	case header != "" && presigned:
		return credential{}, awserr.SignedTwice()
	case presigned:
		return presignedCredential(query)
	}
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		date = r.Header.Get("Date")
	}
	return headerCredential(header, date)
}

// headerCredential reads
//
//	AWS4-HMAC-SHA256 Credential=AKID/20060102/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123
//
// Another scheme's header counts as none.
func headerCredential(header, date string) (credential, *awserr.Error) {
	if !strings.HasPrefix(header, "AWS4-") {
		return credential{}, awserr.MissingAuthenticationToken()
	}
	alg, rest, _ := strings.Cut(header, " ")
	var scope, signed, signature string
	var hasScope, hasSigned, hasSignature bool
	for rest != "" {
		end := strings.IndexAny(rest, ", ")
		part := rest
		if end >= 0 {
			part, rest = rest[:end], rest[end+1:]
		} else {
			rest = ""
		}
		if part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return credential{}, awserr.AuthorizationNotPair(part, header)
		}
		switch key {
		case "Credential":
			scope, hasScope = value, true
		case "SignedHeaders":
			signed, hasSigned = value, true
		case "Signature":
			signature, hasSignature = value, true
		}
	}
	if !hasScope || !hasSigned || !hasSignature || date == "" {
		var lacks []string
		if !hasScope {
			lacks = append(lacks, "Credential")
		}
		if !hasSignature {
			lacks = append(lacks, "Signature")
		}
		if !hasSigned {
			lacks = append(lacks, "SignedHeaders")
		}
		return credential{}, awserr.AuthorizationLacks(lacks, date == "", header)
	}
	return checkCredential(credential{signedHeaders: signed, signature: signature}, alg, scope, date)
}

// presignedParameters are the parts of a pre-signed address, in the order in
// which AWS lists those that are missing.
var presignedParameters = [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"}

func presignedCredential(query url.Values) (credential, *awserr.Error) {
	var lacks []string
	for _, p := range presignedParameters {
		if query.Get(p) == "" {
			lacks = append(lacks, p)
		}
	}
	if len(lacks) > 0 {
		return credential{}, awserr.QueryLacks(lacks)
	}
	cred := credential{signedHeaders: query.Get("X-Amz-SignedHeaders"), signature: query.Get("X-Amz-Signature")}
	return checkCredential(cred, query.Get("X-Amz-Algorithm"), query.Get("X-Amz-Credential"), query.Get("X-Amz-Date"))
}

// checkCredential makes the checks that both forms share. The age of the
// signature, its date against the credential's and the service are parts of
// verifying it and are not looked at.
func checkCredential(cred credential, alg, scope, date string) (credential, *awserr.Error) {
	switch {
	case !isSignatureDate(date):
		return credential{}, awserr.SignatureDate(date)
	case !hasHost(cred.signedHeaders):
		return credential{}, awserr.HostNotSigned()
	case alg != algorithm:
		return credential{}, awserr.SignatureAlgorithm(alg)
	}
	if strings.Count(scope, "/") != 4 {
		return credential{}, awserr.CredentialShape(scope)
	}
	var terminator string
	cred.accessKey, scope, _ = strings.Cut(scope, "/")
	cred.date, scope, _ = strings.Cut(scope, "/")
	cred.region, scope, _ = strings.Cut(scope, "/")
	cred.service, terminator, _ = strings.Cut(scope, "/")

	var wrong string
	if !isRegion(cred.region) {
		wrong = awserr.CredentialRegion(cred.region)
	}
	if terminator != "aws4_request" {
		wrong += awserr.CredentialTerminator(terminator)
	}
	if wrong != "" {
		return credential{}, awserr.InvalidSignature(wrong)
	}
	return cred, nil
}

// isSignatureDate accepts ISO 8601's basic form, 20060102T150405Z, which is what
// every SDK sends, and the form of a Date header, which SigV4 allows in its place.
func isSignatureDate(s string) bool {
	if len(s) == len("20060102T150405Z") && s[8] == 'T' && s[15] == 'Z' {
		return isDigits(s[:8]) && isDigits(s[9:15])
	}
	_, err := http.ParseTime(s)
	return err == nil
}

// hasHost reports whether host is among the signed headers, a list like
// "content-type;host;x-amz-date".
func hasHost(signed string) bool {
	for signed != "" {
		var name string
		name, signed, _ = strings.Cut(signed, ";")
		if strings.EqualFold(name, "host") {
			return true
		}
	}
	return false
}

// isRegion accepts what can be a part of an ARN and of a key: letters, digits and
// hyphens, 1 to 32 of them. Regions need not exist.
func isRegion(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

func isAccount(s string) bool { return len(s) == 12 && isDigits(s) }

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
