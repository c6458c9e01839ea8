package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	keys "github.com/millstreamdb/millstream/internal/credential"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/sigv4"
)

// AuthMode says what is done with signatures.
type AuthMode byte

// The modes.
const (
	AuthOff  AuthMode = iota // their form is looked at
	AuthWarn                 // they are verified, and what would be refused is counted and logged
	AuthOn                   // they are verified
)

// ParseAuthMode reads "off", "warn" or "on".
func ParseAuthMode(s string) (AuthMode, error) {
	for mode, name := range authModes {
		if s == name {
			return AuthMode(mode), nil
		}
	}
	return 0, fmt.Errorf("auth %q: want off, warn or on", s)
}

var authModes = [...]string{AuthOff: "off", AuthWarn: "warn", AuthOn: "on"}

func (m AuthMode) String() string { return authModes[m] }

// Keys are the access keys by which signatures are verified: a credential.Service, or what asks one elsewhere.
type Keys interface {
	// Find returns the key that a request with this access key and token (empty: none) must be signed with.
	Find(accessKey, token, date, region, service string) (*sigv4.Key, keys.Caller, keys.Reason)
	// Known reports whether Find would find a key, with less work.
	Known(accessKey, token, date, region, service string) bool
	// Unguessable is Known without asking anybody, and for keys alone whose secret no person has chosen.
	Unguessable(accessKey, token, date, region, service string) bool
	// Used notes that a caller's request was let in.
	Used(keys.Caller)
}

// Auth is how signatures are verified.
type Auth struct {
	Mode AuthMode
	Keys Keys // required but for AuthOff
	// Now is the machine's clock, whatever the time of the data is.
	Now func() time.Time
	// OnRefused is told of each request that is refused, or with AuthWarn would be.
	OnRefused func(service, reason string)
	Logger    *slog.Logger
	Audit     *Audit // nil: none

	said said
}

// said bounds what is logged of refusals: one line a second.
type said struct {
	mu   sync.Mutex
	last time.Time
	more int
}

// refused tells of a request that is not let in, or would not be.
func (a *Authenticator) refused(c *claim, e *awserr.Error) {
	service := "other"
	switch c.service {
	case "dynamodb", "lambda", "sts", "s3", "sqs", "sns", "iam", "cloudformation", "logs", "events", "scheduler", "ssm", adminService:
		service = c.service
	}
	if a.OnRefused != nil {
		a.OnRefused(service, e.Code)
	}
	a.auditRefusal(c, e)
	if a.Logger == nil {
		return
	}
	a.said.mu.Lock()
	now := time.Now()
	if now.Sub(a.said.last) < time.Second {
		a.said.more++
		a.said.mu.Unlock()
		return
	}
	more := a.said.more
	a.said.last, a.said.more = now, 0
	a.said.mu.Unlock()
	text := "a request was refused"
	if a.Mode == AuthWarn {
		text = "a request would be refused with --auth on"
	}
	message := e.Message
	if c.service == "" { // AWS's texts for a header that cannot be read have the header, in which there may be anything
		message = "the signature cannot be read"
	}
	a.Logger.Warn(text, "key", keyName(c.accessKey), "service", service, "code", e.Code, "text", message, "andBefore", more)
}

// maxKeyID is more than the ids of access keys have that AWS or Millstream makes, and less than their secrets.
const maxKeyID = 24

// keyName is the id of an access key as it may be written down. What is not like one may be its secret, put at the wrong place.
func keyName(id string) string {
	if len(id) <= maxKeyID && !strings.ContainsFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
	}) {
		return id
	}
	return "[no id of a key]"
}

// short cuts what a stranger has sent.
func short(s string) string {
	if len(s) > 32 {
		s = s[:32] + "..."
	}
	return strconv.QuoteToASCII(s)
}

// adminService is the service for which calls of Millstream's own protocol are signed.
const adminService = "millstream"

// servedAs is the service that answers a request whose signature names one: by target and path, as Server.service has it.
func servedAs(r *http.Request, named string) string {
	switch path := r.URL.Path; {
	case path == "/" && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB"):
		return "dynamodb"
	case strings.HasPrefix(path, adminPath):
		return adminService
	case !elsewhere[named]:
		return named
	case isLambdaPath(path):
		return "lambda"
	}
	return "sts"
}

// verifyHTTP finds out who has signed a request of net/http.
func (a *Authenticator) verifyHTTP(r *http.Request, c *claim, service string) (keys.Caller, *awserr.Error) {
	if signedFor(r) != c.service { // the door was chosen by it
		return keys.Caller{}, awserr.InvalidSignature(awserr.CredentialService(service))
	}
	signed := sigv4.Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Headers: sigv4.HTTP(r), S3: service == "s3"}
	token := r.Header.Get("X-Amz-Security-Token")
	var expires string
	if c.query {
		q := r.URL.Query()
		token, expires = q.Get("X-Amz-Security-Token"), q.Get("X-Amz-Expires")
	}
	tooMany := func() *awserr.Error {
		switch service {
		case "dynamodb":
			return throttled(routeDynamoDB, r.Header.Get("X-Amz-Target"), retryFailures)
		case "lambda", adminService:
			return throttled(routeLambda, "", retryFailures)
		}
		return throttledService(r, service, retryFailures)
	}
	over := a.over(c)
	if over && !a.unguessable(c, token) {
		return keys.Caller{}, tooMany()
	}
	caller, refused := a.check(c, &signed, service, token, expires, func() (string, *awserr.Error) { return payloadOf(r, service, c.query) })
	if refused != nil && a.failed(c, over, refused) {
		return keys.Caller{}, tooMany()
	}
	if p, _ := r.Context().Value(payloadKey{}).(*payload); refused == nil && p != nil && p.pieces != nil {
		if key, _, _ := a.Keys.Find(c.accessKey, token, c.date, c.region, c.service); key != nil {
			p.pieces.Begin(key, &signed, string(c.signature))
		}
	}
	return caller, refused
}

// verifyPlain is verifyHTTP for a request of the door's kind.
func (a *Authenticator) verifyPlain(r *door.Request, p *plain) (keys.Caller, *awserr.Error) {
	r.Headers(p.add)
	p.signed = sigv4.Request{Method: http.MethodPost, Headers: p, Body: r.Body, Whole: true}
	token, over := string(r.Token), a.over(&p.claim)
	if over && !a.unguessable(&p.claim, token) {
		return keys.Caller{}, throttled(routeDynamoDB, string(r.Target), retryFailures)
	}
	caller, refused := a.check(&p.claim, &p.signed, "dynamodb", token, "", nil)
	if refused != nil && a.failed(&p.claim, over, refused) {
		return keys.Caller{}, throttled(routeDynamoDB, string(r.Target), retryFailures)
	}
	return caller, refused
}

// plain is what is looked at to verify a request of the door's kind, used again and again: such a request costs no memory.
// Its headers are read once: they are asked for as often as headers were signed.
type plain struct {
	claim  claim
	signed sigv4.Request
	lines  []plainHeader
	add    func(name, value []byte) bool // made once
}

type plainHeader struct{ name, value []byte }

var plainPool = sync.Pool{New: func() any {
	p := &plain{lines: make([]plainHeader, 0, 24)}
	p.add = func(name, value []byte) bool {
		p.lines = append(p.lines, plainHeader{name, value})
		return true
	}
	return p
}}

// put gives it back, without what it holds of a connection.
func (p *plain) put() {
	clear(p.lines)
	p.lines, p.claim, p.signed = p.lines[:0], claim{}, sigv4.Request{}
	plainPool.Put(p)
}

func (p *plain) Append(dst []byte, name string) (_ []byte, found bool) {
	for i := range p.lines {
		if l := &p.lines[i]; len(l.name) == len(name) && isLike(l.name, name) {
			if found {
				dst = append(dst, ',')
			}
			dst, found = sigv4.AppendValue(dst, l.value), true
		}
	}
	return dst, found
}

func (p *plain) Amz(list string, ok func(list string, name []byte) bool) string {
	for i := range p.lines {
		if name := p.lines[i].name; len(name) > 6 && isLike(name[:6], "x-amz-") && !ok(list, name) {
			return string(name)
		}
	}
	return ""
}

// isLike compares a name of ASCII with one in lower case that is as long.
func isLike(name []byte, lower string) bool {
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// over reports whether too many requests came from the address of this one that were not signed right. Then all from there are told so, but those that
// are signed right by a key whose secret nobody can guess: many clients may share an address, such as those of a node.
func (a *Authenticator) over(c *claim) bool {
	return a.Mode == AuthOn && a.failures.over(c.from, a.Now)
}

// failed notes that a request was refused, and reports whether its address had too many before it: then that is the answer.
func (a *Authenticator) failed(c *claim, over bool, refused *awserr.Error) bool {
	if a.Mode == AuthOn && !over && refused.RetryAfter == 0 { // else nobody knows yet
		a.failures.failed(c.from, a.Now())
	}
	return over
}

func (a *Authenticator) unguessable(c *claim, token string) bool {
	return a.Keys.Unguessable(c.accessKey, token, c.date, c.region, c.service)
}

// knownFrom reports whether what is signed is worth being read: it says that it is from a known key, and its address was not too often wrong.
func (a *Authenticator) knownFrom(c *claim, token string) bool {
	if a.over(c) {
		return a.unguessable(c, token)
	}
	return a.Keys.Known(c.accessKey, token, c.date, c.region, c.service)
}

// check makes the checks behind those of the form, in AWS's order: the service, the time, the key; only then the body, whose hash
// payload returns unless the whole of it is there.
func (a *Authenticator) check(c *claim, signed *sigv4.Request, service, token, expires string, payload func() (string, *awserr.Error)) (keys.Caller, *awserr.Error) {
	if c.service != service || c.repeated {
		return keys.Caller{}, awserr.InvalidSignature(awserr.CredentialService(service))
	}
	at, err := a.signatureTime(c.time)
	if err != nil {
		return keys.Caller{}, awserr.SignatureDate(c.time)
	}
	signed.Date = c.time
	if len(c.time) != len(isoBasic) {
		signed.Date = at.UTC().Format(isoBasic)
	}
	if c.date != signed.Date[:8] {
		return keys.Caller{}, awserr.InvalidSignature(awserr.CredentialDate(c.date, signed.Date))
	}
	if refused := a.inTime(at, service, c.query, expires); refused != nil {
		return keys.Caller{}, refused
	}
	key, caller, reason := a.Keys.Find(c.accessKey, token, c.date, c.region, c.service)
	switch {
	case reason == keys.ExpiredOne:
		return caller, awserr.ExpiredToken()
	case reason == keys.Unreached:
		return keys.Caller{}, awserr.KeysUnreached()
	case key == nil:
		return keys.Caller{}, awserr.UnrecognizedClient()
	}
	signed.Scope = c.scope
	signed.SignedHeaders = c.signedHeaders
	if name := signed.Unsigned(); name != "" {
		return caller, awserr.HeaderNotSigned(name)
	}
	if !signed.Whole {
		var refused *awserr.Error
		if signed.Payload, refused = payload(); refused != nil {
			return caller, refused
		}
	}
	if !key.Matches(signed, c.signature) {
		return caller, awserr.SignatureDoesNotMatch()
	}
	if reason == keys.TokenBeside {
		return caller, awserr.UnrecognizedClient()
	}
	return caller, nil
}

const isoBasic = "20060102T150405Z"

// signedAt is a time as requests have it. Those of a second have the same, and many come in one.
type signedAt struct {
	text string
	at   time.Time
}

// dateText is a date as a text. It is the last one's, as a rule.
func (a *Authenticator) dateText(date []byte) string {
	if last := a.second.Load(); last != nil && last.text == string(date) {
		return last.text
	}
	return string(date)
}

func (a *Authenticator) signatureTime(s string) (time.Time, error) {
	if len(s) != len(isoBasic) {
		return http.ParseTime(s)
	}
	if last := a.second.Load(); last != nil && last.text == s {
		return last.at, nil
	}
	at, err := time.Parse(isoBasic, s)
	if err == nil {
		a.second.Store(&signedAt{s, at})
	}
	return at, err
}

// maxExpires is the longest life of a pre-signed address.
const maxExpires = 7 * 24 * time.Hour

// inTime refuses what was signed too long ago, or is of the future.
func (a *Authenticator) inTime(at time.Time, service string, query bool, expires string) *awserr.Error {
	now := a.Now().UTC()
	back, unit := 15*time.Minute, "15 min."
	if service == "dynamodb" || service == "lambda" {
		back, unit = 5*time.Minute, "5 min."
	}
	if query {
		seconds, err := strconv.Atoi(expires)
		switch {
		case expires == "" && service != "s3": // AWS has it as optional elsewhere
		case err != nil || seconds < 1 || time.Duration(seconds)*time.Second > maxExpires:
			return awserr.IncompleteSignature("X-Amz-Expires must be a number of seconds from 1 to 604800, not '" + expires + "'")
		default:
			back = time.Duration(seconds) * time.Second
			unit = fmt.Sprintf("%d min.", seconds/60)
		}
	}
	const ahead = 15 * time.Minute
	switch {
	case at.Before(now.Add(-back)):
		return awserr.SignatureExpired(at.UTC().Format(isoBasic), now.Add(-back).Format(isoBasic), now.Format(isoBasic), unit)
	case at.After(now.Add(ahead)):
		return awserr.SignatureEarly(at.UTC().Format(isoBasic), now.Add(ahead).Format(isoBasic), now.Format(isoBasic), "15 min.")
	}
	return nil
}

// payload is what is known of a request's body.
type payload struct {
	hash     string        // of the body, once it was read
	declared string        // X-Amz-Content-Sha256
	received bool          // by receive
	pieces   *sigv4.Pieces // of a body for S3 whose pieces are verified as they are read; nil: they are not
}

type payloadKey struct{}

// payloadOf is the hash of a body, or the name in its place, that was signed.
func payloadOf(r *http.Request, service string, query bool) (string, *awserr.Error) {
	p, _ := r.Context().Value(payloadKey{}).(*payload)
	if p == nil {
		p = &payload{declared: r.Header.Get("X-Amz-Content-Sha256")}
		if r.ContentLength == 0 {
			p.hash = sigv4.EmptyPayload
		}
	}
	if service == "s3" {
		switch {
		case p.hash == "" && !p.received:
			return "", awserr.SignatureDoesNotMatch() // its key was unknown when the body came, so nobody looks at the body
		case query && p.declared == "":
			return sigv4.UnsignedPayload, nil
		case len(p.declared) == sha256.Size*2 && p.declared != sigv4.EmptyPayload && r.ContentLength == 0:
			return "", awserr.SignatureDoesNotMatch() // a body that was taken away is not compared as it is read
		case p.declared == "":
			return "", &awserr.Error{Code: "InvalidRequest", Message: "Missing required header for this request: x-amz-content-sha256", Status: http.StatusBadRequest}
		}
		return p.declared, nil
	}
	if p.declared != "" && p.declared != p.hash {
		return "", awserr.SignatureDoesNotMatch()
	}
	return p.hash, nil
}

// receive reads the body of a request that says it is from a known key, and takes its hash, which is signed. What is signed for
// S3 may be long and names its hash in a header: its body is compared with that as it is read. max bounds the body.
func (a *Authenticator) receive(r *http.Request, max int64) *http.Request {
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	c, err := readClaim(r)
	token := r.Header.Get("X-Amz-Security-Token")
	if c.query {
		token = r.URL.Query().Get("X-Amz-Security-Token")
	}
	c.from = addressOf(r)
	if err != nil || !a.knownFrom(&c, token) {
		if a.Mode == AuthOn && (r.ContentLength < 0 || r.ContentLength > SmallBody) { // it will be refused, and costs little until then
			copied := *r
			copied.Body = http.NoBody
			return &copied
		}
		return r
	}
	p := &payload{declared: r.Header.Get("X-Amz-Content-Sha256"), received: true}
	r = r.WithContext(context.WithValue(r.Context(), payloadKey{}, p))
	if c.service == "s3" {
		switch {
		case a.Mode != AuthOn: // nothing is refused for its body
		case len(p.declared) == sha256.Size*2:
			r.Body = &compared{r.Body, sha256.New(), p.declared}
		case p.declared == sigv4.SignedPieces, p.declared == sigv4.SignedPiecesTrailer:
			p.pieces = &sigv4.Pieces{}
			r = r.WithContext(sigv4.WithPieces(r.Context(), p.pieces))
		}
		return r
	}
	// There is room for as much as is announced; its end is found without growing.
	ahead := min(max, r.ContentLength)
	if ahead < 0 { // it is not announced
		ahead = 0
	}
	body := bytes.NewBuffer(make([]byte, 0, ahead+bytes.MinRead))
	_, failure := body.ReadFrom(io.LimitReader(r.Body, max+1))
	if failure == nil && int64(body.Len()) <= max {
		sum := sha256.Sum256(body.Bytes())
		p.hash = hex.EncodeToString(sum[:])
		failure = io.EOF
	}
	r.Body = &readAgain{bytes.NewReader(body.Bytes()), body.Bytes(), failure, r.Body}
	return r
}

// knows reports whether a request of the door's kind says that it is from a known key.
func (a *Authenticator) knows(r *door.Request) bool {
	c, err := headerClaim(string(r.Authorization), string(r.Date))
	c.from = r.Peer.Addr()
	return err == nil && a.knownFrom(&c, string(r.Token))
}

// readAgain is a body that was read once: the bytes, then what came of them, or the rest of what is too long.
type readAgain struct {
	*bytes.Reader
	all     []byte
	failure error
	rest    io.ReadCloser
}

func (b *readAgain) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		if b.failure != nil {
			return n, b.failure
		}
		return b.rest.Read(p)
	}
	return n, err
}

func (b *readAgain) WriteTo(io.Writer) (int64, error) { return 0, errors.ErrUnsupported }

func (b *readAgain) Close() error { return b.rest.Close() }

// compared is a body that must be what its header says.
type compared struct {
	io.ReadCloser
	sum  hash.Hash
	want string
}

var errPayload = &awserr.Error{Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed.", Status: http.StatusBadRequest}

func (b *compared) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	_, _ = b.sum.Write(p[:n]) // never fails
	if err == io.EOF && hex.EncodeToString(b.sum.Sum(nil)) != b.want {
		return n, errPayload
	}
	return n, err
}

// Guard lets only requests through to a handler that knows no signatures, with the account that they are of; fail answers the others. Where no
// signature is verified, what cannot be read is of Account.
func (a *Authenticator) Guard(next func(w http.ResponseWriter, r *http.Request, account string), fail func(http.ResponseWriter, *http.Request, *awserr.Error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope, refused := a.Authenticate(r)
		switch {
		case refused == nil:
			next(w, r, scope.Account)
		case a.Mode == AuthOn:
			fail(w, r, refused)
		default:
			next(w, r, a.Account)
		}
	})
}

// Verified returns who has signed a request that Authenticate has let in; ok is false when its signature is not accepted, as with
// AuthWarn it may be.
func (a *Authenticator) Verified(r *http.Request) (caller keys.Caller, ok bool) {
	c, refused := readClaim(r)
	if refused == nil {
		caller, refused = a.verifyHTTP(r, &c, servedAs(r, c.service))
	}
	return caller, refused == nil
}

// Operator reports why a request may not use Millstream's own protocol, which spans accounts; nil: it may.
func (a *Authenticator) Operator(r *http.Request) *awserr.Error {
	c, refused := readClaim(r)
	c.from = addressOf(r)
	var caller keys.Caller
	if refused == nil {
		caller, refused = a.verifyHTTP(r, &c, adminService)
	}
	if refused == nil && !caller.Operator {
		refused = &awserr.Error{Code: "AccessDeniedException", Message: "The access key " + c.accessKey + " is of one account, and this spans all: use an operator's key (millstream credentials create --operator)"}
	}
	if refused == nil {
		a.Keys.Used(caller)
		return nil
	}
	a.refused(&c, refused)
	return refused
}

// FunctionURL reports whether a request to a function URL that asks for AWS_IAM is signed by a key of the function's account.
func (a *Authenticator) FunctionURL(r *http.Request, account string) bool {
	if a.Mode == AuthOff {
		return true
	}
	c, refused := readClaim(r)
	c.from = addressOf(r)
	var caller keys.Caller
	if refused == nil {
		caller, refused = a.verifyHTTP(r, &c, "lambda")
	}
	if refused == nil && caller.Account != account {
		refused = &awserr.Error{Code: "AccessDeniedException", Message: "The access key is another account's"}
	}
	if refused == nil {
		a.Keys.Used(caller)
		return true
	}
	a.refused(&c, refused)
	return a.Mode == AuthWarn
}
