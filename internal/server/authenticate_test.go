package server

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	keys "github.com/millstreamdb/millstream/internal/credential"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

const goodHeader = "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=0123abcd"

func TestAuthenticateTexts(t *testing.T) {
	const date = "20260102T030405Z"
	query := func(without ...string) string {
		q := url.Values{
			"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {"AKID/20260102/eu-west-1/dynamodb/aws4_request"},
			"X-Amz-Signature": {"00"}, "X-Amz-SignedHeaders": {"host"}, "X-Amz-Date": {date},
		}
		for _, w := range without {
			q.Del(w)
		}
		return "/?" + q.Encode()
	}
	for _, c := range []struct {
		name, target, header, date string
		code, text                 string // "" for success
	}{
		{"header", "/", goodHeader, date, "", ""},
		{"no blanks after the commas", "/", strings.ReplaceAll(goodHeader, ", ", ","), date, "", ""},
		{"an RFC 1123 date", "/", goodHeader, "Fri, 02 Jan 2026 03:04:05 GMT", "", ""},
		{"query", query(), "", "", "", ""},
		{"nothing", "/", "", date, "MissingAuthenticationTokenException", "Request is missing Authentication Token"},
		{"another scheme", "/", "Bearer abc", date, "MissingAuthenticationTokenException", "Request is missing Authentication Token"},
		{"both", query(), goodHeader, date, "InvalidSignatureException",
			"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."},
		{"prefix only", "/", "AWS4-", "", "IncompleteSignatureException",
			"Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
				"Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " +
				"Authorization=AWS4-"},
		{"no date", "/", goodHeader, "", "IncompleteSignatureException",
			"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=" + goodHeader},
		{"no signature", "/", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host", date, "IncompleteSignatureException",
			"Authorization header requires 'Signature' parameter. Authorization=AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host"},
		{"not a pair", "/", "AWS4-HMAC-SHA256 Credential", date, "IncompleteSignatureException",
			"'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: 'AWS4-HMAC-SHA256 Credential'."},
		{"query lacks parts", query("X-Amz-Credential", "X-Amz-Date"), "", "", "IncompleteSignatureException",
			"AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
		{"bad date", "/", goodHeader, "yesterday", "IncompleteSignatureException",
			"Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"host not signed", "/", strings.Replace(goodHeader, ";host;", ";", 1), date, "InvalidSignatureException",
			"'Host' must be a 'SignedHeader' in the AWS Authorization."},
		{"algorithm", "/", strings.Replace(goodHeader, "HMAC", "ECDSA", 1), date, "IncompleteSignatureException",
			"Unsupported AWS 'algorithm': 'AWS4-ECDSA-SHA256' (only AWS4-HMAC-SHA256 for now). "},
		{"credential shape", "/", strings.Replace(goodHeader, "/dynamodb/", "/", 1), date, "IncompleteSignatureException",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKID/20260102/eu-west-1/aws4_request'"},
		{"region", "/", strings.Replace(goodHeader, "eu-west-1", "eu_west", 1), date, "InvalidSignatureException",
			"Credential should be scoped to a valid region, not 'eu_west'. "},
		{"terminator and region", "/", strings.Replace(goodHeader, "/eu-west-1/dynamodb/aws4_request", "//dynamodb/aws4", 1), date, "InvalidSignatureException",
			"Credential should be scoped to a valid region, not ''. Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'. "},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", c.target, nil)
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			if c.date != "" {
				r.Header.Set("X-Amz-Date", c.date)
			}
			a := Authenticator{Account: "000000000000"}
			scope, err := a.Authenticate(r)
			if c.target == "/" {
				for range 2 { // the second may be remembered
					got, refused := a.Caller(&door.Request{Authorization: []byte(c.header), Date: []byte(c.date)})
					if got != scope || (refused == nil) != (err == nil) || refused != nil && (refused.Code != err.Code || refused.Message != err.Message) {
						t.Errorf("Caller: %v, %v", got, refused)
					}
				}
			}
			if c.code == "" {
				if want := (schema.Scope{Account: "000000000000", Region: "eu-west-1"}); err != nil || scope != want {
					t.Fatalf("got %v, %v; want %v", scope, err, want)
				}
				return
			}
			if err == nil || err.Code != c.code || err.Message != c.text || err.HTTPStatus() != 400 {
				t.Fatalf("got  %+v\nwant %s: %s", err, c.code, c.text)
			}
		})
	}
}

func TestAuthenticateScope(t *testing.T) {
	a := Authenticator{Account: "000000000000"}
	for key, want := range map[string]string{
		"AKIAIOSFODNN7EXAMPLE": "000000000000",
		"123456789012":         "123456789012",
		"12345678901":          "000000000000",
		"12345678901a":         "000000000000",
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Authorization", strings.Replace(goodHeader, "AKID", key, 1))
		r.Header.Set("X-Amz-Date", "20260102T030405Z")
		if scope, err := a.Authenticate(r); err != nil || scope.Account != want {
			t.Errorf("key %s: got %v, %v; want account %s", key, scope, err, want)
		}
	}
}

// Lambda and other REST services answer 403 where DynamoDB answers 400.
func TestAuthenticateStatusOfRESTServices(t *testing.T) {
	a := Authenticator{}
	if _, err := a.Authenticate(httptest.NewRequest("GET", "/2015-03-31/functions/", nil)); err.HTTPStatus() != http.StatusForbidden {
		t.Fatalf("got status %d", err.HTTPStatus())
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add(goodHeader, "20260102T030405Z")
	f.Add("AWS4- =,=,= Credential=////", "x")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request,SignedHeaders=;;host;,Signature=", "")
	// What is remembered is what was read: after headers of all kinds, each is answered as by a new authenticator.
	old := &Authenticator{Account: "000000000000"}
	f.Fuzz(func(t *testing.T, header, date string) {
		want, refused := (&Authenticator{Account: "000000000000"}).Caller(&door.Request{Authorization: []byte(header), Date: []byte(date)})
		for _, date := range []string{"20260102T030405Z", date} {
			got, e := old.Caller(&door.Request{Authorization: []byte(header), Date: []byte(date)})
			_, direct := headerClaim(header, date)
			if (e == nil) != (direct == nil) || e != nil && e.Message != direct.Message {
				t.Fatalf("remembered: %v; read: %v", e, direct)
			}
			if e == nil && refused == nil && got != want {
				t.Fatalf("remembered %v, read %v", got, want)
			}
		}
		cred, err := headerClaim(header, date)
		if err != nil {
			signed := strings.HasPrefix(header, "AWS4-") && (err.Code == "IncompleteSignatureException" || err.Code == "InvalidSignatureException")
			if !signed && err.Code != "MissingAuthenticationTokenException" || err.Message == "" {
				t.Fatalf("error %+v", err)
			}
			return
		}
		// What passes is fit to be a part of an ARN and of a key.
		if !isRegion(cred.region) || strings.Contains(cred.accessKey, "/") {
			t.Fatalf("credential %+v", cred)
		}
		scope := strings.Join([]string{cred.accessKey, cred.date, cred.region, cred.service, "aws4_request"}, "/")
		if !strings.Contains(header, "Credential="+scope) {
			t.Fatalf("credential %q is not in %q", scope, header)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Authorization", goodHeader)
	r.Header.Set("X-Amz-Date", "20260102T030405Z")
	a := Authenticator{Account: "000000000000"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}

// A request of the door's kind that is verified: what --auth on adds to it, but for the hash of more than its 1 KiB.
func BenchmarkCallerVerified(b *testing.B) {
	withSigned(b, func(a *Authenticator, r *door.Request) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Caller(r); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// It takes no memory.
func TestCallerVerifiedAllocates(t *testing.T) {
	withSigned(t, func(a *Authenticator, r *door.Request) {
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := a.Caller(r); err != nil {
				t.Error(err)
			}
		}); n > 0 && !underRace {
			t.Errorf("%.1f allocations", n)
		}
	})
}

// withSigned calls f with a signed request of 1 KiB, and with what verifies it.
func withSigned(b testing.TB, f func(*Authenticator, *door.Request)) {
	rows, err := store.Open(store.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	service, err := keys.Open(keys.Options{Store: rows, Root: "AKIABENCH", RootSecret: strings.Repeat("secret", 3), RootAccount: "000000000000", Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	a := &Authenticator{Account: "000000000000", Auth: Auth{Mode: AuthOn, Keys: service, Now: time.Now}}
	body := strings.Repeat("x", 1024)
	req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.PutItem")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(b.Context(), aws.Credentials{AccessKeyID: "AKIABENCH", SecretAccessKey: strings.Repeat("secret", 3)}, req, hex.EncodeToString(sum[:]), "dynamodb", "us-east-1", time.Now()); err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	d := door.New(ln, answering(func(r *door.Request) { f(a, r) }), door.Limits{Connections: 1, HeaderTime: time.Minute, BodyTime: time.Minute, IdleTime: time.Minute, WriteTime: time.Minute})
	go func() { _ = d.Serve(ctx, &http.Server{}, time.Second, func() {}) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if err := req.Write(conn); err != nil {
		b.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(conn), req); err != nil {
		b.Fatal(err)
	}
}

// answering is a handler of the door that lets each request in and answers nothing.
type answering func(*door.Request)

func (answering) Enter(*door.Request) (door.Entry, door.Reply) { return door.Taken, door.Reply{} }
func (answering) Leave(*door.Request, *door.Reply, time.Time)  {}
func (f answering) Answer(r *door.Request, dst []byte) door.Reply {
	f(r)
	return door.Reply{Status: 200, Body: dst}
}
