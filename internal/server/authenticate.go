package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash/maphash"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/millstreamdb/millstream/internal/awserr"
	keys "github.com/millstreamdb/millstream/internal/credential"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Authenticator reads who a request says it is from, and with Mode verifies it. It is safe for use by many
// goroutines at once.
type Authenticator struct {
	// Account is the account of access keys that are not account numbers.
	Account string
	Auth

	known    [64]atomic.Pointer[known] // by hash
	second   atomic.Pointer[signedAt]  // the last one in which a request was signed
	failures failures
}

// Authenticate checks that a request is signed in SigV4's form, in its header or
// in its query, and returns the account and region of its credential. The
// account is the access key if that has 12 digits, so that tests can keep apart
// what they store, else the configured one. With AuthOn the signature is verified,
// and the account is that of its key.
//
// Texts and their order are AWS's. Services other than DynamoDB answer with
// status 403 where DynamoDB has 400.
func (a *Authenticator) Authenticate(r *http.Request) (schema.Scope, *awserr.Error) {
	if refused, is := r.Context().Value(refusedKey{}).(*awserr.Error); is {
		return schema.Scope{}, refused
	}
	c, err := readClaim(r)
	c.from = addressOf(r)
	if err != nil && a.Mode != AuthOff {
		a.refused(&c, err)
	}
	if err == nil {
		if a.Mode == AuthOff {
			return a.scope(&c), nil
		}
		var scope schema.Scope
		caller, refused := a.verifyHTTP(r, &c, servedAs(r, c.service))
		if scope, err = a.judge(&c, caller, refused); err == nil {
			return scope, nil
		}
	}
	if r.URL.Path != "/" && err.RetryAfter == 0 {
		err.Status = http.StatusForbidden
	}
	return schema.Scope{}, err
}

type refusedKey struct{}

// Refused is a request that Authenticate has refused, and refuses again without another look.
func Refused(r *http.Request, why *awserr.Error) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), refusedKey{}, why))
}

// judge makes the scope of a request whose claim is in order, of what verifying it has found.
func (a *Authenticator) judge(c *claim, caller keys.Caller, refused *awserr.Error) (schema.Scope, *awserr.Error) {
	switch {
	case refused == nil:
		a.Keys.Used(caller)
		return schema.Scope{Account: caller.Account, Region: c.region}, nil
	case a.Mode == AuthOn:
		a.refused(c, refused)
		return schema.Scope{}, refused
	}
	a.refused(c, refused)
	if caller.Account != "" { // a key that is known has its account, also where its signature is not accepted
		return schema.Scope{Account: caller.Account, Region: c.region}, nil
	}
	return a.scope(c), nil
}

func (a *Authenticator) scope(c *claim) schema.Scope {
	if isAccount(c.accessKey) {
		return schema.Scope{Account: c.accessKey, Region: c.region}
	}
	return schema.Scope{Account: a.Account, Region: c.region}
}

// Caller is Authenticate for a request of the door's kind: of path "/" and without a query, whose Authorization and date are in
// its headers. A client's requests differ in the signature only for a day, so what comes before it is remembered.
func (a *Authenticator) Caller(r *door.Request) (schema.Scope, *awserr.Error) {
	start, usual := beforeSignature(r.Authorization)
	usual = usual && isSignatureDate(string(r.Date))
	var place *atomic.Pointer[known]
	if usual {
		place = &a.known[maphash.Bytes(knownSeed, start)%uint64(len(a.known))]
		if k := place.Load(); k != nil && k.start == string(start) {
			if a.Mode == AuthOff {
				return k.scope, nil
			}
			p := plainPool.Get().(*plain)
			defer p.put()
			p.claim = k.claim
			p.claim.from = r.Peer.Addr()
			p.claim.signature, p.claim.time = r.Authorization[len(start):], a.dateText(r.Date)
			caller, refused := a.verifyPlain(r, p)
			return a.judge(&p.claim, caller, refused)
		}
	}
	c, err := headerClaim(string(r.Authorization), string(r.Date))
	c.from = r.Peer.Addr()
	if err != nil {
		if a.Mode != AuthOff {
			a.refused(&c, err)
		}
		return schema.Scope{}, err
	}
	if usual {
		kept := c
		kept.signature = nil
		place.Store(&known{string(start), a.scope(&c), kept})
	}
	if a.Mode == AuthOff {
		return a.scope(&c), nil
	}
	p := plainPool.Get().(*plain)
	defer p.put()
	p.claim = c
	caller, refused := a.verifyPlain(r, p)
	return a.judge(&p.claim, caller, refused)
}

// known is an Authorization up to its signature that was found in order, but for the date.
type known struct {
	start string
	scope schema.Scope // with AuthOff
	claim claim
}

// maxKnown bounds the bytes of one.
const maxKnown = 512

var knownSeed = maphash.MakeSeed()

// beforeSignature cuts the signature off an Authorization that ends with it, as is usual.
func beforeSignature(authorization []byte) (start []byte, usual bool) {
	const last = " Signature="
	at := len(authorization) - 2*sha256.Size
	if at < len(last) || string(authorization[at-len(last):at]) != last { // one of another length, as tests send them
		at = bytes.LastIndex(authorization, []byte(last)) + len(last)
	}
	if at < len(last) || at > maxKnown || bytes.IndexByte(authorization[at:], ',') >= 0 || bytes.IndexByte(authorization[at:], ' ') >= 0 {
		return nil, false
	}
	return authorization[:at], true
}

// claim is what a SigV4 signature says of itself.
type claim struct {
	accessKey, date, region, service string
	scope                            string // DATE/REGION/SERVICE/aws4_request
	signedHeaders                    string
	signature                        []byte // valid as long as the request
	time                             string // as it was sent
	query                            bool   // it stands in the query
	repeated                         bool   // a part of it stands there twice
	from                             netip.Addr
}

const algorithm = "AWS4-HMAC-SHA256"

func readClaim(r *http.Request) (claim, *awserr.Error) {
	header := r.Header.Get("Authorization")
	var query url.Values
	if r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	presigned := query.Has("X-Amz-Algorithm")
	switch {
	case header != "" && presigned:
		return claim{}, awserr.SignedTwice()
	case presigned:
		return presignedClaim(query)
	}
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		date = r.Header.Get("Date")
	}
	return headerClaim(header, date)
}

// headerClaim reads
//
//	AWS4-HMAC-SHA256 Credential=AKID/20060102/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123
//
// Another scheme's header counts as none.
func headerClaim(header, date string) (claim, *awserr.Error) {
	if !strings.HasPrefix(header, "AWS4-") {
		return claim{}, awserr.MissingAuthenticationToken()
	}
	alg, rest, _ := strings.Cut(header, " ")
	var scope, signed, signature string
	var hasScope, hasSigned, hasSignature, repeated bool
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
			return claim{}, awserr.AuthorizationNotPair(part, header)
		}
		repeated = repeated || key == "Credential" && hasScope || key == "SignedHeaders" && hasSigned || key == "Signature" && hasSignature
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
		return claim{}, awserr.AuthorizationLacks(lacks, date == "", header)
	}
	return checkClaim(claim{signedHeaders: signed, signature: []byte(signature), repeated: repeated}, alg, scope, date)
}

// presignedParameters are the parts of a pre-signed address, in the order in
// which AWS lists those that are missing.
var presignedParameters = [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"}

func presignedClaim(query url.Values) (claim, *awserr.Error) {
	var lacks []string
	for _, p := range presignedParameters {
		if query.Get(p) == "" {
			lacks = append(lacks, p)
		}
	}
	if len(lacks) > 0 {
		return claim{}, awserr.QueryLacks(lacks)
	}
	c := claim{query: true, signedHeaders: query.Get("X-Amz-SignedHeaders"), signature: []byte(query.Get("X-Amz-Signature"))}
	return checkClaim(c, query.Get("X-Amz-Algorithm"), query.Get("X-Amz-Credential"), query.Get("X-Amz-Date"))
}

// checkClaim makes the checks that both forms share. The age of the
// signature, its date against the credential's and the service are parts of
// verifying it: see Auth.
func checkClaim(c claim, alg, scope, date string) (claim, *awserr.Error) {
	switch {
	case !isSignatureDate(date):
		return claim{}, awserr.SignatureDate(date)
	case !hasHost(c.signedHeaders):
		return claim{}, awserr.HostNotSigned()
	case alg != algorithm:
		return claim{}, awserr.SignatureAlgorithm(alg)
	}
	if strings.Count(scope, "/") != 4 {
		return claim{}, awserr.CredentialShape(scope)
	}
	c.time = date
	var terminator string
	c.accessKey, scope, _ = strings.Cut(scope, "/")
	c.scope = scope
	c.date, scope, _ = strings.Cut(scope, "/")
	c.region, scope, _ = strings.Cut(scope, "/")
	c.service, terminator, _ = strings.Cut(scope, "/")

	var wrong string
	if !isRegion(c.region) {
		wrong = awserr.CredentialRegion(c.region)
	}
	if terminator != "aws4_request" {
		wrong += awserr.CredentialTerminator(terminator)
	}
	if wrong != "" {
		return claim{}, awserr.InvalidSignature(wrong)
	}
	return c, nil
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
