package sdk

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/sigv4"
)

// What botocore and the SDK for JavaScript sign is a signature: 10,000 odd requests of each.
func TestSigners(t *testing.T) {
	python, err := exec.LookPath(cmp.Or(os.Getenv("SDKTEST_PYTHON"), "python3"))
	if err != nil {
		absent(t, "python3 is not installed")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		absent(t, "node is not installed")
	}
	modules := "NODE_PATH=" + os.Getenv("SDKTEST_NODE_PATH")
	for _, signer := range []struct {
		name, there string
		command     []string
		env         []string
	}{
		{"botocore", "import botocore", []string{python, "python/sign.py"}, nil},
		{"the SDK for JavaScript", "require.resolve('@smithy/signature-v4')", []string{node, "javascript/sign.cjs"}, []string{modules}},
	} {
		flag := "-c"
		if signer.command[0] == node {
			flag = "-e"
		}
		if out, err := run(t, signer.env, signer.command[0], flag, signer.there); err != nil {
			absent(t, signer.name+" is not installed: "+firstLine(out))
		}
		out, err := run(t, signer.env, signer.command[0], signer.command[1:]...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		n, presigned, wrong := 0, 0, 0
		for line := range strings.Lines(out) {
			var one signedRequest
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			n++
			request, key, signature := one.read(t)
			if strings.Contains(one.Query, "X-Amz-Signature") {
				presigned++
			}
			if !key.Matches(request, []byte(signature)) {
				if wrong++; wrong < 5 {
					canonical, _ := request.Canonical()
					t.Errorf("%s: %s\nis refused; canonical is\n%s", signer.name, line, canonical)
				}
			}
			for name, change := range map[string]func(*sigv4.Request){
				"method": func(r *sigv4.Request) { r.Method = "PATCH" }, "path": func(r *sigv4.Request) { r.Path += "x" }, "query": func(r *sigv4.Request) { r.Query += "&x=y" },
				"payload": func(r *sigv4.Request) { r.Payload = strings.Repeat("0", 64) }, "date": func(r *sigv4.Request) { r.Date = "20261129T000000Z" },
			} {
				forged := *request
				if change(&forged); key.Matches(&forged, []byte(signature)) {
					t.Errorf("%s: another %s of %s is let in", signer.name, name, line)
				}
			}
		}
		if n != 10000 || presigned < 2000 || wrong > 0 {
			t.Errorf("%s: %d requests, %d of them signed in the query, %d refused", signer.name, n, presigned, wrong)
		}
	}
}

// signedRequest is a request as it goes over the wire.
type signedRequest struct {
	Service, Method, Path, Query, Host, Body, Hash string
	Headers                                        map[string]string
}

func (s *signedRequest) read(t *testing.T) (*sigv4.Request, sigv4.Key, string) {
	body, err := base64.StdEncoding.DecodeString(s.Body)
	if err != nil {
		t.Fatal(err)
	}
	http1 := &http.Request{Method: s.Method, Host: s.Host, Header: http.Header{}, ContentLength: int64(len(body))}
	for name, value := range s.Headers {
		http1.Header.Set(name, value)
	}
	r := &sigv4.Request{Method: s.Method, Path: s.Path, Query: s.Query, Headers: sigv4.HTTP(http1), Payload: s.Hash, S3: s.Service == "s3"}
	q, err := url.ParseQuery(s.Query)
	if err != nil {
		t.Fatal(err)
	}
	var signature, scope string
	if signature = q.Get("X-Amz-Signature"); signature != "" {
		r.Date, r.SignedHeaders, scope = q.Get("X-Amz-Date"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Credential")
		if s.Service == "s3" {
			r.Payload = sigv4.UnsignedPayload
		}
	} else {
		authorization := http1.Header.Get("Authorization")
		part := func(name string) string {
			_, v, _ := strings.Cut(authorization, name+"=")
			v, _, _ = strings.Cut(v, ",")
			return v
		}
		r.Date, r.SignedHeaders, scope, signature = http1.Header.Get("X-Amz-Date"), part("SignedHeaders"), part("Credential"), part("Signature")
		if declared := http1.Header.Get("X-Amz-Content-Sha256"); declared != "" {
			r.Payload = declared
		}
	}
	_, r.Scope, _ = strings.Cut(scope, "/")
	return r, sigv4.NewKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", r.Scope[:8], "us-east-1", s.Service), signature
}
