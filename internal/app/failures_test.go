package app

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Who guesses keys from another machine is turned away after twenty wrong ones in a second, with the right one too, until a while has
// passed; nobody else is, and nobody on this machine.
func TestFailuresAreLimited(t *testing.T) {
	g := openGuarded(t, "on")
	now := time.Now()
	g.auth.Now = func() time.Time { return now }
	send := func(from, service string, key aws.Credentials) (int, string) {
		t.Helper()
		method, path, body := http.MethodPost, "/", "{}"
		if service == "lambda" {
			method, path, body = http.MethodGet, "/2015-03-31/functions/", ""
		}
		req := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
		req.RemoteAddr = from
		if service == "dynamodb" {
			req.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
			req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		}
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), key, req, hex.EncodeToString(sum[:]), service, "us-east-1", now); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	wrong := aws.Credentials{AccessKeyID: g.root.AccessKeyID, SecretAccessKey: "a guess of somebody's own"}
	want := func(from, service string, key aws.Credentials, status int, text string) {
		t.Helper()
		if code, body := send(from, service, key); code != status || !strings.Contains(body, text) {
			t.Fatalf("%s from %s: %d %s; want %d, %s", service, from, code, body, status, text)
		}
	}
	for n := range 20 {
		want("203.0.113.7:1", "dynamodb", wrong, 400, "InvalidSignatureException")
		want("[2001:db8:1:2::"+string(rune('a'+n%6))+"]:1", "dynamodb", wrong, 400, "InvalidSignatureException")
		want("127.0.0.1:1", "dynamodb", wrong, 400, "InvalidSignatureException")
	}
	want("203.0.113.7:2", "dynamodb", wrong, 400, "ThrottlingException")
	want("203.0.113.7:2", "dynamodb", g.root, 400, "ThrottlingException")
	want("203.0.113.7:2", "lambda", g.root, 429, "Rate Exceeded.")
	want("203.0.113.7:2", "dynamodb", g.ordinary, 200, "TableNames") // nobody guesses a secret that was made here
	want("203.0.113.7:2", "dynamodb", aws.Credentials{AccessKeyID: g.ordinary.AccessKeyID, SecretAccessKey: "a guess"}, 400, "ThrottlingException")
	want("[2001:db8:1:2:ffff::1]:1", "dynamodb", g.root, 400, "ThrottlingException")
	want("[2001:db8:1:3::1]:1", "dynamodb", g.root, 200, "TableNames")
	want("203.0.113.8:1", "dynamodb", g.root, 200, "TableNames")
	want("127.0.0.1:1", "dynamodb", wrong, 400, "InvalidSignatureException")
	want("127.0.0.1:1", "dynamodb", g.root, 200, "TableNames")
	now = now.Add(50 * time.Millisecond) // one more
	want("203.0.113.7:2", "dynamodb", g.root, 200, "TableNames")
	want("203.0.113.7:2", "dynamodb", wrong, 400, "InvalidSignatureException")
	want("203.0.113.7:2", "dynamodb", g.root, 400, "ThrottlingException")
}
