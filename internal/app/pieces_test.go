package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// pieces is a body for S3 in pieces, each signed after the one before, as clients send it that read as they send.
type pieces struct {
	secret, stamp string
	trailer       bool
	each          []string
}

// body is the body that follows a request with the signature before. change is called with each piece once it is signed.
func (p *pieces) body(before string, change func(i int, piece, signature string) (string, string)) string {
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	digest := func(text string) string {
		d := sha256.Sum256([]byte(text))
		return hex.EncodeToString(d[:])
	}
	scope := p.stamp[:8] + "/us-east-1/s3/aws4_request"
	key := []byte("AWS4" + p.secret)
	for _, part := range strings.Split(scope, "/") {
		key = sum(key, part)
	}
	var b strings.Builder
	check := crc32.NewIEEE()
	for i, piece := range append(append([]string(nil), p.each...), "") {
		check.Write([]byte(piece))
		before = hex.EncodeToString(sum(key, strings.Join([]string{"AWS4-HMAC-SHA256-PAYLOAD", p.stamp, scope, before, digest(""), digest(piece)}, "\n")))
		sent, signature := change(i, piece, before)
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s", len(piece), signature, sent)
		if piece != "" {
			b.WriteString("\r\n")
		}
	}
	if p.trailer {
		line := "x-amz-checksum-crc32:" + base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, check.Sum32()))
		signature := hex.EncodeToString(sum(key, strings.Join([]string{"AWS4-HMAC-SHA256-TRAILER", p.stamp, scope, before, digest(line + "\n")}, "\n")))
		line, signature = change(-1, line, signature)
		fmt.Fprintf(&b, "%s\r\nx-amz-trailer-signature:%s\r\n", line, signature)
	}
	return b.String() + "\r\n"
}

// What is sent in signed pieces is stored when every signature is right, and else refused in S3's words, and nothing of it stays.
func TestSignedPieces(t *testing.T) {
	g := openGuarded(t, "on")
	if status, body := g.call(t, request{"s3", "PUT", "/things", "", nil}, g.root, nil); status != 200 {
		t.Fatal(status, body)
	}
	same := func(_ int, piece, signature string) (string, string) { return piece, signature }
	content := []string{strings.Repeat("a", 64<<10), "bcd"}
	for i, c := range []struct {
		name    string
		trailer bool
		change  func(i int, piece, signature string) (string, string)
		cut     func(body string) string
		want    int
		code    string
	}{
		{"right", false, same, nil, 200, ""},
		{"right, with trailers", true, same, nil, 200, ""},
		{"another piece", false, func(i int, piece, signature string) (string, string) {
			if i == 1 {
				piece = "bcD"
			}
			return piece, signature
		}, nil, 403, "SignatureDoesNotMatch"},
		{"another first piece", false, func(i int, piece, signature string) (string, string) {
			return strings.Replace(piece, "aaaa", "aaAa", 1), signature
		}, nil, 403, "SignatureDoesNotMatch"},
		{"no signature", false, func(i int, piece, _ string) (string, string) { return piece, "" }, nil, 403, "SignatureDoesNotMatch"},
		{"no signature of the end", false, func(i int, piece, signature string) (string, string) {
			if i == 2 {
				signature = strings.Repeat("0", 64)
			}
			return piece, signature
		}, nil, 403, "SignatureDoesNotMatch"},
		{"another trailer", true, func(i int, piece, signature string) (string, string) {
			if i < 0 {
				piece = "x-amz-checksum-crc32c:AAAAAA=="
			}
			return piece, signature
		}, nil, 403, "SignatureDoesNotMatch"},
		{"no signature of the trailers", true, same, func(body string) string {
			at := strings.Index(body, "x-amz-trailer-signature")
			return body[:at] + "\r\n"
		}, 403, "SignatureDoesNotMatch"},
		{"no end", false, same, func(body string) string { return body[:strings.Index(body, "0;chunk")] }, 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := fmt.Sprint("/things/", i)
			now := time.Now()
			p := pieces{rootSecret, now.UTC().Format("20060102T150405Z"), c.trailer, content}
			body := func(seed string) string {
				b := p.body(seed, c.change)
				if c.cut != nil {
					b = c.cut(b)
				}
				return b
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, g.url+at, strings.NewReader(body(strings.Repeat("0", 64))))
			if err != nil {
				t.Fatal(err)
			}
			payload := "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
			if c.trailer {
				payload += "-TRAILER"
				req.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
			}
			req.Header.Set("X-Amz-Content-Sha256", payload)
			req.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(content[0])+len(content[1])))
			req.Header.Set("Content-Encoding", "aws-chunked")
			if err := v4.NewSigner().SignHTTP(t.Context(), g.root, req, payload, "s3", "us-east-1", now); err != nil {
				t.Fatal(err)
			}
			_, seed, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
			req.Body = io.NopCloser(strings.NewReader(body(seed)))
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(res.Body)
			if _ = res.Body.Close(); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.want || !strings.Contains(string(answer), c.code) {
				t.Errorf("%d %s, want %d %s", res.StatusCode, answer, c.want, c.code)
			}
			status, stored := g.call(t, request{"s3", "GET", at, "", nil}, g.root, nil)
			if c.want == 200 && (status != 200 || strings.TrimSpace(stored) != strings.Join(content, "")) {
				t.Errorf("it is stored as %d, %d bytes", status, len(stored))
			}
			if c.want != 200 && status != 404 {
				t.Errorf("it was stored: %d", status)
			}
		})
	}
}
