package sigv4

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"sync"
)

// Algorithm is the one that is verified.
const Algorithm = "AWS4-HMAC-SHA256"

// Unsigned payloads and those that are signed piece by piece have a name in the place of their hash. Only S3 takes them.
const (
	UnsignedPayload = "UNSIGNED-PAYLOAD"
	EmptyPayload    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// Headers gives the headers of a request as they came.
type Headers interface {
	// Append appends the value of a header, whose name is in lower case, to dst: without blanks at its ends, with one blank for
	// each run of them, and with a comma between values when there are several. ok is false when there is no such header.
	Append(dst []byte, name string) (value []byte, ok bool)
	// Amz returns the name of the first header that begins with x-amz-, in any case, and for which ok, called with list and the
	// name, is false; empty: there is none.
	Amz(list string, ok func(list string, name []byte) bool) string
}

// Request is a request as its signature sees it.
type Request struct {
	Method  string
	Path    string // as it came, escaped; empty: "/"
	Query   string // as it came
	Headers Headers
	// Date is when it was signed, 20060102T150405Z. Scope is DATE/REGION/SERVICE/aws4_request.
	Date, Scope string
	// SignedHeaders is the client's list, such as "host;x-amz-date".
	SignedHeaders string
	// Payload is the hash of the body, 64 hexadecimal digits, or a name in its place. With Whole it is that of Body.
	Payload string
	Body    []byte
	Whole   bool
	// S3 has the path escaped once, as S3 does; other services escape what came once more.
	S3 bool
}

// Key signs for a day, a region and a service.
type Key [sha256.Size]byte

// NewKey derives the key of a secret. date is 20060102.
func NewKey(secret, date, region, service string) Key {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	key := append(append(s.sum[:0], "AWS4"...), secret...)
	for _, part := range [...]string{date, region, service, "aws4_request"} {
		sum := s.hmac(key, append(s.text[:0], part...))
		key = append(key[:0], sum[:]...)
	}
	s.sum = key[:0]
	return Key(key)
}

// Matches reports whether signature, 64 hexadecimal digits, is the request's by this key. It takes as long for each signature.
// Headers that are listed out of order, twice or in upper case do not match: no signer writes them so.
func (k *Key) Matches(r *Request, signature []byte) bool {
	var digits [2 * sha256.Size]byte
	if len(signature) != len(digits) {
		return false
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	canonical, ok := s.canonical(r)
	if !ok {
		return false
	}
	hash := sha256.Sum256(canonical)
	text := append(s.text[:0], Algorithm...)
	text = append(append(text, '\n'), r.Date...)
	text = append(append(text, '\n'), r.Scope...)
	text = hex.AppendEncode(append(text, '\n'), hash[:])
	want := s.hmac(k[:], text)
	s.text = text[:0]
	hex.Encode(digits[:], want[:])
	return subtle.ConstantTimeCompare(digits[:], signature) == 1
}

// Canonical is the text whose hash is signed, for tests and for logs: it tells a stranger how to sign.
func (r *Request) Canonical() (string, bool) {
	s := &scratch{}
	text, ok := s.canonical(r)
	return string(text), ok
}

// Signed reports whether the client's list has a header; name is in lower case.
func (r *Request) Signed(name string) bool { return signed(r.SignedHeaders, name) }

func signed[T string | []byte](list string, name T) bool {
	for at := 0; at+len(name) <= len(list); at++ { // at the beginning of a name in the list
		end := at + len(name)
		if (end == len(list) || list[end] == ';') && isLower(list[at:end], name) {
			return true
		}
		next := strings.IndexByte(list[at:], ';')
		if next < 0 {
			return false
		}
		at += next
	}
	return false
}

// isLower reports whether lower is name in lower case; they are as long.
func isLower[T string | []byte](lower string, name T) bool {
	for i := range len(lower) {
		if lower[i] != lowerCase(name[i]) {
			return false
		}
	}
	return true
}

// Unsigned is the name, as it came, of a header that must be signed when it is there, and is not: without that, who stands
// between makes a PutItem a DeleteTable by another X-Amz-Target. Empty: there is none. Tokens of sessions need not be signed,
// since they name their key.
func (r *Request) Unsigned() string { return r.Headers.Amz(r.SignedHeaders, maySend) }

// maySend reports whether a header that begins with x-amz- may be there when these are signed.
func maySend(list string, name []byte) bool {
	const token = "x-amz-security-token"
	return signed(list, name) || len(name) == len(token) && isLower(token, name)
}

// scratch is memory for one verification.
type scratch struct {
	buf, text, sum []byte
	pad            []byte
	params         []param
}

var scratches = sync.Pool{New: func() any { return &scratch{} }}

// The pads of HMAC.
var (
	innerPad = [sha256.BlockSize]byte(bytes.Repeat([]byte{0x36}, sha256.BlockSize))
	outerPad = [sha256.BlockSize]byte(bytes.Repeat([]byte{0x5c}, sha256.BlockSize))
)

// hmac is HMAC-SHA256 without memory of its own. key has at most 64 bytes, or is hashed first.
func (s *scratch) hmac(key, text []byte) [sha256.Size]byte {
	var block [sha256.BlockSize]byte
	if len(key) > len(block) {
		sum := sha256.Sum256(key)
		copy(block[:], sum[:])
	} else {
		copy(block[:], key)
	}
	pad := append(s.pad[:0], block[:]...)
	subtle.XORBytes(pad, pad, innerPad[:])
	pad = append(pad, text...)
	inner := sha256.Sum256(pad)
	pad = append(pad[:0], block[:]...)
	subtle.XORBytes(pad, pad, outerPad[:])
	pad = append(pad, inner[:]...)
	s.pad = pad[:0]
	return sha256.Sum256(pad)
}

// canonical writes the canonical request. ok is false when the request cannot be one that a signer has written.
func (s *scratch) canonical(r *Request) (text []byte, ok bool) {
	b := append(s.buf[:0], r.Method...)
	b = append(b, '\n')
	if b, ok = appendPath(b, r.Path, r.S3); !ok {
		return nil, false
	}
	b = append(b, '\n')
	if b, ok = s.appendQuery(b, r.Query); !ok {
		return nil, false
	}
	b = append(b, '\n')
	last := ""
	for list := r.SignedHeaders; list != ""; {
		name := list
		if i := strings.IndexByte(list, ';'); i >= 0 {
			name, list = list[:i], list[i+1:]
		} else {
			list = ""
		}
		if name <= last || !isLowerName(name) {
			return nil, false
		}
		last = name
		b = append(append(b, name...), ':')
		b, _ = r.Headers.Append(b, name) // one that is not there is signed as an empty one
		b = append(b, '\n')
	}
	b = append(append(b, '\n'), r.SignedHeaders...)
	b = append(b, '\n')
	if r.Whole {
		hash := sha256.Sum256(r.Body)
		b = hex.AppendEncode(b, hash[:])
	} else {
		b = append(b, r.Payload...)
	}
	s.buf = b[:0]
	return b, true
}

func isLowerName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != lowerCase(c) || c <= ' ' || c > '~' || c == ':' {
			return false
		}
	}
	return true
}

func lowerCase(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
