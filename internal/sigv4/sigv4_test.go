package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const date = "20261129T134500Z"

var at = time.Date(2026, 11, 29, 13, 45, 0, 0, time.UTC)

// received is what a server sees of a request that a client has made.
func received(t testing.TB, r *http.Request, body []byte) *http.Request {
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got := httptest.NewRequest(r.Method, "/", bytes.NewReader(body))
	line, rest, _ := strings.Cut(wire.String(), "\r\n")
	parts := strings.Split(line, " ")
	got.RequestURI = parts[1]
	got.URL.Path, got.URL.RawQuery, _ = strings.Cut(parts[1], "?")
	got.Header = http.Header{}
	for header := range strings.SplitSeq(rest, "\r\n") {
		if header == "" {
			break
		}
		name, value, _ := strings.Cut(header, ": ")
		switch name {
		case "Host":
			got.Host = value
		case "Content-Length":
		default:
			got.Header.Add(name, value)
		}
	}
	got.ContentLength = int64(len(body))
	return got
}

// claim is what a request says of its signature, by the shortest reading that does.
func claim(r *http.Request, body []byte, service string) (*Request, string) {
	hash := sha256.Sum256(body)
	s := &Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Headers: HTTP(r), Payload: hex.EncodeToString(hash[:]), S3: service == "s3"}
	if q := r.URL.Query(); q.Has("X-Amz-Signature") {
		s.Date, s.SignedHeaders = q.Get("X-Amz-Date"), q.Get("X-Amz-SignedHeaders")
		_, s.Scope, _ = strings.Cut(q.Get("X-Amz-Credential"), "/")
		return s, q.Get("X-Amz-Signature")
	}
	s.Date = r.Header.Get("X-Amz-Date")
	a := r.Header.Get("Authorization")
	part := func(name string) string {
		_, v, _ := strings.Cut(a, name+"=")
		v, _, _ = strings.Cut(v, ",")
		return v
	}
	s.SignedHeaders = part("SignedHeaders")
	_, s.Scope, _ = strings.Cut(part("Credential"), "/")
	return s, part("Signature")
}

var odd = []string{"a", "B", "0", "-", "_", ".", "~", " ", "  ", "+", "%", "&", "=", "é", "日本", "/", ":", "*", "'", "(", "!", "\"", ",", ";", "@", "$", "x.y", "arn:aws:lambda:us-east-1:1:function:f"}

func text(rnd *rand.Rand, most int) string {
	var b strings.Builder
	for range rnd.IntN(most + 1) {
		b.WriteString(odd[rnd.IntN(len(odd))])
	}
	return b.String()
}

// signedByGo is a request that AWS's SDK for Go has signed, in the header or in the query.
func signedByGo(t testing.TB, rnd *rand.Rand, secret string) (r *http.Request, body []byte, service string) {
	service = []string{"dynamodb", "lambda", "s3", "sts"}[rnd.IntN(4)]
	path := "/"
	if service != "dynamodb" {
		for range rnd.IntN(4) {
			if segment := strings.ReplaceAll(text(rnd, 4), "/", ""); strings.Trim(segment, ".") != "" {
				path += segment + "/"
			}
		}
		path += "end"
	}
	r, err := http.NewRequest([]string{"GET", "POST", "PUT", "DELETE"}[rnd.IntN(4)], "http://127.0.0.1:8000", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Path = path
	if service == "s3" { // its client escapes the path before it signs
		r.URL.RawPath = strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(path), "%2F", "/"), "+", "%20")
	}
	q := r.URL.Query()
	for range rnd.IntN(4) {
		q.Add(text(rnd, 3), text(rnd, 3))
	}
	r.URL.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	body = []byte(text(rnd, 20))
	if r.Method == "GET" {
		body = nil
	}
	r.Body, r.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		r.Body = readCloser{bytes.NewReader(body)}
	}
	for range rnd.IntN(4) {
		name := []string{"X-Amz-Target", "X-Amz-Meta-Q", "Content-Type", "X-Other", "Accept", "X-Amz-Client-Context"}[rnd.IntN(6)]
		r.Header.Add(name, []string{"a", "  two   words ", "x,y", "\"q  q\"", "application/x-amz-json-1.0"}[rnd.IntN(5)])
	}
	credentials := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}
	if rnd.IntN(2) == 0 {
		credentials.SessionToken = "token/+=" + text(rnd, 1)
	}
	hash := sha256.Sum256(body)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	if rnd.IntN(3) == 0 {
		uri, headers, err := signer.PresignHTTP(context.Background(), credentials, r, hex.EncodeToString(hash[:]), service, "us-east-1", at)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := http.NewRequest(r.Method, uri, r.Body)
		if err != nil {
			t.Fatal(err)
		}
		signed.Header, signed.ContentLength = headers, r.ContentLength
		return signed, body, service
	}
	if err := signer.SignHTTP(context.Background(), credentials, r, hex.EncodeToString(hash[:]), service, "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	return r, body, service
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

func keyOf(s *Request, secret string) Key {
	parts := strings.Split(s.Scope, "/")
	return NewKey(secret, parts[0], parts[1], parts[2])
}

// What AWS's SDK for Go signs is a signature, and nothing that was changed since is one.
func TestAgreesWithTheSDKForGo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	forger := rand.New(rand.NewPCG(3, 4)) // of its own, so that each request can be made again
	presigned := 0
	for i := range 10000 {
		const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
		sent, body, service := signedByGo(t, rnd, secret)
		r := received(t, sent, body)
		s, signature := claim(r, body, service)
		key := keyOf(s, secret)
		if !key.Matches(s, []byte(signature)) {
			canonical, ok := s.Canonical()
			t.Fatalf("%d: %s %s is refused, %v:\n%s", i, r.Method, r.RequestURI, ok, canonical)
		}
		if strings.Contains(r.RequestURI, "X-Amz-Signature") {
			presigned++
		}
		ways := tampering(forger)
		for _, what := range slices.Sorted(maps.Keys(ways)) {
			change := ways[what]
			forged := *s
			forgedSignature := signature
			if !change(&forged, &forgedSignature) {
				continue
			}
			if key.Matches(&forged, []byte(forgedSignature)) {
				t.Fatalf("%d: %s: %s %s is let in", i, what, forged.Method, forged.Path)
			}
		}
		other := NewKey(secret+"x", s.Scope[:8], "us-east-1", service)
		if other.Matches(s, []byte(signature)) {
			t.Fatal("another secret's key matches")
		}
	}
	if presigned < 2000 {
		t.Errorf("only %d were signed in the query", presigned)
	}
}

// replaced are headers of which one has another value.
type replaced struct {
	Headers
	name, value string
}

func (h replaced) Append(dst []byte, name string) ([]byte, bool) {
	if name == h.name {
		return append(dst, h.value...), true
	}
	return h.Headers.Append(dst, name)
}

// tampering are the ways to change a request, each of which reports whether it has changed anything.
func tampering(rnd *rand.Rand) map[string]func(r *Request, signature *string) bool {
	other := func(s string) string { // in one character
		b := []byte(s)
		i := rnd.IntN(len(b))
		for was := b[i]; b[i] == was; {
			b[i] = "abcdef0123456789"[rnd.IntN(16)]
		}
		return string(b)
	}
	return map[string]func(r *Request, signature *string) bool{
		"the signature":       func(_ *Request, s *string) bool { *s = other(*s); return true },
		"a shorter signature": func(_ *Request, s *string) bool { *s = (*s)[:62]; return true },
		"a longer signature":  func(_ *Request, s *string) bool { *s += "00"; return true },
		"an upper case one":   func(_ *Request, s *string) bool { up := strings.ToUpper(*s); was := *s; *s = up; return up != was },
		"the method":          func(r *Request, _ *string) bool { r.Method = "PATCH"; return true },
		"the method's case":   func(r *Request, _ *string) bool { r.Method = strings.ToLower(r.Method); return true },
		"the path":            func(r *Request, _ *string) bool { r.Path += "x"; return true },
		"a slash more":        func(r *Request, _ *string) bool { r.Path += "/"; return true },
		"dots in the path":    func(r *Request, _ *string) bool { r.Path = "/x/.." + r.Path; return true },
		"a parameter more":    func(r *Request, _ *string) bool { r.Query += "&z=1"; return true },
		"a parameter without": func(r *Request, _ *string) bool { r.Query += "&z"; return true },
		"an empty parameter":  func(r *Request, _ *string) bool { r.Query += "&=1"; return true },
		"the date":            func(r *Request, _ *string) bool { r.Date = "20261129T134501Z"; return true },
		"the region": func(r *Request, _ *string) bool {
			r.Scope = strings.Replace(r.Scope, "us-east-1", "us-west-2", 1)
			return true
		},
		"the day":              func(r *Request, _ *string) bool { r.Scope = "20261130" + r.Scope[8:]; return true },
		"the terminator":       func(r *Request, _ *string) bool { r.Scope += "x"; return true },
		"the payload":          func(r *Request, _ *string) bool { r.Payload = other(r.Payload); return true },
		"no payload":           func(r *Request, _ *string) bool { r.Payload = UnsignedPayload; return true },
		"a header less":        func(r *Request, _ *string) bool { return drop(&r.SignedHeaders) },
		"a header more":        func(r *Request, _ *string) bool { r.SignedHeaders += ";zzz"; return true },
		"headers out of order": func(r *Request, _ *string) bool { return swap(&r.SignedHeaders) },
		"a header twice":       func(r *Request, _ *string) bool { r.SignedHeaders = "host;" + r.SignedHeaders; return true },
		"a header's case":      func(r *Request, _ *string) bool { r.SignedHeaders = strings.ToUpper(r.SignedHeaders); return true },
		"no headers":           func(r *Request, _ *string) bool { r.SignedHeaders = ""; return true },
		"the host": func(r *Request, _ *string) bool {
			r.Headers = replaced{r.Headers, "host", "127.0.0.1:8001"}
			return true
		},
		"a host without a port": func(r *Request, _ *string) bool { r.Headers = replaced{r.Headers, "host", "127.0.0.1"}; return true },
		"the date's header": func(r *Request, _ *string) bool {
			r.Headers = replaced{r.Headers, "x-amz-date", "20261129T134501Z"}
			return r.Signed("x-amz-date")
		},
		"the target": func(r *Request, _ *string) bool {
			r.Headers = replaced{r.Headers, "x-amz-target", "DynamoDB_20120810.DeleteTable"}
			return r.Signed("x-amz-target")
		},
		"the token": func(r *Request, _ *string) bool {
			r.Headers = replaced{r.Headers, "x-amz-security-token", "other"}
			return r.Signed("x-amz-security-token")
		},
		"the length": func(r *Request, _ *string) bool {
			r.Headers = replaced{r.Headers, "content-length", "100000"}
			return r.Signed("content-length")
		},
		"half an escape":             func(r *Request, _ *string) bool { r.Query += "&z=%4"; return true },
		"half an escape in the path": func(r *Request, _ *string) bool { r.Path += "%4"; return true },
	}
}

func drop(list *string) bool {
	name, rest, ok := strings.Cut(*list, ";")
	_ = name
	*list = rest
	return ok
}

func swap(list *string) bool {
	names := strings.Split(*list, ";")
	if len(names) < 2 {
		return false
	}
	names[0], names[1] = names[1], names[0]
	*list = strings.Join(names, ";")
	return true
}

// AWS's own example of a key, from its documentation of Signature Version 4.
func TestKeyOfTheDocumentation(t *testing.T) {
	key := NewKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam")
	if got := hex.EncodeToString(key[:]); got != "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d" {
		t.Error(got)
	}
}

// What changes the meaning of a request and is not signed is named.
func TestWhatMustBeSigned(t *testing.T) {
	for _, row := range []struct{ header, signed, want string }{
		{"X-Amz-Target", "host;x-amz-date", "X-Amz-Target"},
		{"X-Amz-Target", "host;x-amz-date;x-amz-target", ""},
		{"X-Amz-Security-Token", "host;x-amz-date", ""},
		{"X-Amz-Meta-Anything-That-Is-Longer-Than-Names-Of-Headers-Are-Elsewhere-Ever", "host;x-amz-date", "X-Amz-Meta-Anything-That-Is-Longer-Than-Names-Of-Headers-Are-Elsewhere-Ever"},
		{"X-Amzn-Trace-Id", "host;x-amz-date", ""},
		{"Content-Type", "host;x-amz-date", ""},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("X-Amz-Date", date)
		r.Header.Set(row.header, "x")
		s := Request{Headers: HTTP(r), SignedHeaders: row.signed}
		if got := s.Unsigned(); got != row.want {
			t.Errorf("%s of %s: %q, want %q", row.header, row.signed, got, row.want)
		}
	}
}

// typical is a PutItem of 1 KiB with eight signed headers.
func typical(t testing.TB) (*Request, Key, string) {
	r, err := http.NewRequest("POST", "http://127.0.0.1:8000/", nil)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 1024)
	r.ContentLength = int64(len(body))
	for name, value := range map[string]string{
		"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.PutItem", "Amz-Sdk-Invocation-Id": "b1e8fbd5-3b1c-4b0e-9a55-5a4c7f7b27f9",
		"Amz-Sdk-Request": "attempt=1; max=3", "Accept-Encoding": "identity",
	} {
		r.Header.Set(name, value)
	}
	hash := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: strings.Repeat("t", 300)}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, r, hex.EncodeToString(hash[:]), "dynamodb", "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	s, signature := claim(r, body, "dynamodb")
	return s, keyOf(s, "secret"), signature
}

// A verification allocates next to nothing.
func TestVerifyAllocates(t *testing.T) {
	s, key, signature := typical(t)
	if n := testing.AllocsPerRun(1000, func() {
		if !key.Matches(s, []byte(signature)) {
			t.Fatal("it does not match")
		}
	}); n > 4 && !underRace {
		t.Errorf("%.1f allocations", n)
	}
}

func BenchmarkMatches(b *testing.B) {
	s, key, signature := typical(b)
	b.ReportAllocs()
	for b.Loop() {
		if !key.Matches(s, []byte(signature)) {
			b.Fatal("it does not match")
		}
	}
}

// The canonical path and query never panic, and what Go's signer would sign is matched.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"/", "/a/%3A", "/..", "//", "/%", "/%zz", "a"} {
		f.Add(s, "a=b&c")
		f.Add("/", s)
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		r := httptest.NewRequest("GET", "/", nil)
		for _, s3 := range []bool{false, true} {
			one := Request{Method: "GET", Path: path, Query: query, Headers: HTTP(r), SignedHeaders: "host", S3: s3}
			text, ok := one.Canonical()
			if !ok {
				continue
			}
			if n := strings.Count(text, "\n"); n != 6 {
				t.Fatalf("%d lines: %q", n, text)
			}
		}
	})
}
