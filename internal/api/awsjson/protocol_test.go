package awsjson

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// echo answers with the scope and the body, and fails on request.
func echo(_ context.Context, scope schema.Scope, body, dst []byte) ([]byte, error) {
	switch string(body) {
	case `{"fail":"condition"}`:
		return dst, &awserr.Error{Code: "ConditionalCheckFailedException", Message: "The conditional request failed", Item: item.NewItem([]item.Entry{{Name: "id", Value: item.String("a")}})}
	case `{"fail":"disk"}`:
		return append(dst, `{"half`...), errors.New("the disk is gone")
	}
	if !item.Valid(body) {
		return dst, awserr.Serialization("")
	}
	dst = AppendString(append(dst, '{'), "account", scope.Account)
	dst = append(Member(dst, "body"), body...)
	return append(dst, '}'), nil
}

func authenticate(r *http.Request) (schema.Scope, *awserr.Error) {
	if r.Header.Get("Authorization") == "" {
		return schema.Scope{}, awserr.MissingAuthenticationToken()
	}
	return schema.Scope{Account: "000000000000", Region: "us-east-1"}, nil
}

func newProtocol(log io.Writer) *Protocol {
	p := New(Options{
		Authenticate: authenticate,
		Logger:       slog.New(slog.NewTextHandler(log, nil)),
		Form:         http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "form") }),
	})
	p.Register("Echo_1.Echo", echo)
	return p
}

type call struct {
	method, target, contentType, auth, encoding, accept string
	body                                                io.Reader
}

func (c call) do(p http.Handler) *httptest.ResponseRecorder {
	if c.method == "" {
		c.method = "POST"
	}
	r := httptest.NewRequest(c.method, "/", c.body)
	set := func(name, value, fallback string) {
		if value == "" {
			value = fallback
		}
		if value != "-" {
			r.Header.Set(name, value)
		}
	}
	set("X-Amz-Target", c.target, "Echo_1.Echo")
	set("Content-Type", c.contentType, "application/x-amz-json-1.0")
	set("Authorization", c.auth, "AWS4-HMAC-SHA256 x")
	set("Content-Encoding", c.encoding, "-")
	set("Accept-Encoding", c.accept, "-")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func text(s string) io.Reader { return strings.NewReader(s) }

func zipped(t *testing.T, s string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func deflated(t *testing.T, s string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestOrderOfChecks(t *testing.T) {
	const (
		serialization = `{"__type":"com.amazon.coral.service#SerializationException"}`
		unknown       = `{"__type":"com.amazon.coral.service#UnknownOperationException"}`
		unsigned      = `{"__type":"com.amazon.coral.service#MissingAuthenticationTokenException","message":"Request is missing Authentication Token"}`
		notFound      = "<UnknownOperationException/>\n"
		internal      = `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"The request processing has failed because of an unknown error, exception or failure."}`
		answer        = `{"account":"000000000000","body":{}}`
	)
	p := newProtocol(io.Discard)
	for _, row := range []struct {
		name   string
		call   call
		status int
		want   string
	}{
		{"answer", call{body: text(`{}`)}, 200, answer},
		{"plain JSON", call{contentType: "application/json; charset=utf-8", body: text(`{}`)}, 200, answer},
		{"newer JSON", call{contentType: "application/x-amz-json-1.1", body: text(`{}`)}, 404, notFound},
		{"other content", call{contentType: "text/plain", body: text(`{}`)}, 404, notFound},
		{"no content type, no body", call{contentType: "-"}, 400, serialization},
		{"PUT", call{method: "PUT", body: text(`{}`)}, 404, notFound},
		{"OPTIONS", call{method: "OPTIONS"}, 404, notFound},
		{"GET", call{method: "GET"}, 200, "healthy: dynamodb.us-east-1.amazonaws.com "},
		{"form", call{contentType: "application/x-www-form-urlencoded; charset=utf-8", body: text(`Action=x`)}, 200, "form"},
		{"malformed before target", call{target: "x", auth: "-", body: text(`{`)}, 400, serialization},
		{"target before signature", call{target: "Echo_1.Other", auth: "-", body: text(`{}`)}, 400, unknown},
		{"no target, no body", call{target: "-", auth: "-"}, 400, unknown},
		{"malformed before signature", call{auth: "-", body: text(`{`)}, 400, serialization},
		{"signature before empty body", call{auth: "-"}, 400, unsigned},
		{"empty body", call{}, 400, serialization},
		{"malformed", call{body: text(`{`)}, 400, serialization},
		{"cut off", call{body: io.MultiReader(text(`{"a":`), iotest.ErrReader(io.ErrUnexpectedEOF))}, 400, serialization},
		{"gzip", call{encoding: "gzip", body: zipped(t, `{}`)}, 200, answer},
		{"deflate", call{encoding: "deflate", body: deflated(t, `{}`)}, 200, answer},
		{"no gzip", call{encoding: "gzip", body: text(`{}`)}, 500, internal},
		{"half a gzip", call{encoding: "gzip", body: io.LimitReader(zipped(t, `{"a":"`+strings.Repeat("x", 1000)+`"}`), 20)}, 500, internal},
		{"other encoding", call{encoding: "br", body: text(`{}`)}, 500, internal},
		{"a condition's item", call{body: text(`{"fail":"condition"}`)}, 400, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Message":"The conditional request failed","Item":{"id":{"S":"a"}}}`},
		{"a fault", call{body: text(`{"fail":"disk"}`)}, 500, internal},
	} {
		w := row.call.do(p)
		if w.Code != row.status || w.Body.String() != row.want {
			t.Errorf("%s: %d %s\nwant %d %s", row.name, w.Code, w.Body, row.status, row.want)
		}
	}
}

// Bodies are bounded as sent and as decompressed, whether their length is told
// or not; AWS answers 413 and nothing else.
func TestBodiesAreBounded(t *testing.T) {
	p := newProtocol(io.Discard)
	filler := strings.Repeat("x", MaxBody-2)
	unknownLength := func(s string) io.Reader { return io.MultiReader(text(s)) }
	for _, row := range []struct {
		name   string
		call   call
		status int
	}{
		{"largest", call{body: text(`"` + filler + `"`)}, 200},
		{"one byte more", call{body: text(`"` + filler + `" `)}, 413},
		{"largest of unknown length", call{body: unknownLength(`"` + filler + `"`)}, 200},
		{"more of unknown length", call{body: unknownLength(`"` + filler + `" `)}, 413},
		{"bomb", call{encoding: "gzip", body: zipped(t, strings.Repeat(" ", MaxBody+1))}, 413},
		{"largest compressed", call{encoding: "gzip", body: zipped(t, `"`+filler+`"`)}, 200},
		{"endless compressed", call{encoding: "gzip", body: io.MultiReader(zipped(t, "{}"), zeros{})}, 500},
	} {
		w := row.call.do(p)
		if w.Code != row.status {
			t.Errorf("%s: %d, want %d", row.name, w.Code, row.status)
		}
		if w.Code == 413 && (w.Body.Len() > 0 || w.Header().Get("X-Amzn-Requestid") != "" || w.Header().Get("Connection") != "close") {
			t.Errorf("%s: %v %q", row.name, w.Header(), shown(w.Body.String()))
		}
	}
}

func shown(s string) string { return s[:min(len(s), 200)] }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestHeaders(t *testing.T) {
	p := newProtocol(io.Discard)
	id := regexp.MustCompile(`^[0-9A-Z]{52}$`)
	seen := make(map[string]bool)
	for _, row := range []struct {
		call        call
		contentType string
	}{
		{call{body: text(`{}`)}, "application/x-amz-json-1.0"},
		{call{body: text(`{}`), contentType: "application/json"}, "application/json"},
		{call{body: text(`{`)}, "application/x-amz-json-1.0"},
		{call{body: text(`{}`), contentType: "text/plain"}, ""},
	} {
		w := row.call.do(p)
		h := w.Header()
		sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(w.Body.Bytes())), 10)
		if h.Get("Content-Type") != row.contentType || h.Get("X-Amz-Crc32") != sum || h.Get("Content-Length") != strconv.Itoa(w.Body.Len()) || h.Get("Server") != "Server" {
			t.Errorf("%+v: %v", row.call, h)
		}
		if got := h.Get("X-Amzn-Requestid"); !id.MatchString(got) || seen[got] {
			t.Errorf("request id %q", got)
		} else {
			seen[got] = true
		}
	}
	if w := (call{body: text(`{}`), contentType: "text/plain"}).do(p); w.Header().Get("X-Amz-Crc32") != "3552371480" {
		t.Errorf("checksum of AWS's own 404: %s", w.Header().Get("X-Amz-Crc32"))
	}
}

// A fault is logged once; a caller's mistake is not.
func TestFaultsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	p := newProtocol(&log)
	call{body: text(`{"fail":"condition"}`)}.do(p)
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
	call{body: text(`{"fail":"disk"}`)}.do(p)
	if n := strings.Count(log.String(), "the disk is gone"); n != 1 {
		t.Errorf("logged %d times: %s", n, &log)
	}
}

func TestErrorBodies(t *testing.T) {
	for _, row := range []struct {
		e    *awserr.Error
		want string
	}{
		{awserr.Validation("a \"b\""), `{"__type":"com.amazon.coral.validate#ValidationException","message":"a \"b\""}`},
		{awserr.Serialization("x"), `{"__type":"com.amazon.coral.service#SerializationException","Message":"x"}`},
		{awserr.Throttled("", 0), `{"__type":"com.amazon.coral.availability#ThrottlingException","message":"` + awserr.Throttled("", 0).Message + `"}`},
		{awserr.Throttled("GetItem", 0), `{"__type":"com.amazon.coral.availability#ThrottlingException","message":"` + awserr.Throttled("", 0).Message +
			`","throttlingReasons":[{"reason":"TableReadAccountLimitExceeded","resource":"arn:aws:dynamodb:*:*:table/*"}]}`},
		{awserr.Unexpected("type", "null", "i32", 1, 2), `{"__type":"com.amazon.coral.service#SerializationException","message":"invalid type: null, expected i32 at line 1 column 2"}`},
		{awserr.ResourceNotFound(), `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}`},
		{&awserr.Error{Code: "AccessDeniedException", Message: "no"}, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}`},
		{&awserr.Error{Code: "TransactionCanceledException", Message: "m", Reasons: []awserr.Reason{{Code: "None"}, {Code: "ConditionalCheckFailed", Message: "The conditional request failed", Item: item.NewItem(nil)}}},
			`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"m","CancellationReasons":[{"Code":"None"},{"Code":"ConditionalCheckFailed","Message":"The conditional request failed","Item":{}}]}`},
	} {
		if got := string(AppendError(nil, row.e)); got != row.want {
			t.Errorf("got  %s\nwant %s", got, row.want)
		}
	}
}

// Answers over 4 KB are coded for who asks, and for nobody else; the checksum is of what
// is sent.
func TestAnswersAreCodedOnRequest(t *testing.T) {
	p := newProtocol(io.Discard)
	long, short := `"`+strings.Repeat("x", 5000)+`"`, `"x"`
	for _, row := range []struct{ accept, body, want string }{
		{"-", long, ""},
		{"identity", long, ""},
		{"br", long, ""},
		{"gzip", long, "gzip"},
		{"deflate", long, "deflate"},
		{"deflate, GZIP;q=0.5", long, "gzip"},
		{"gzip; q=0, deflate", long, "deflate"},
		{"gzip;q=0.0", long, ""},
		{"gzip", short, ""},
		{"gzip", "{", ""}, // an error
	} {
		plain := call{body: text(row.body)}.do(p)
		w := call{accept: row.accept, body: text(row.body)}.do(p)
		h := w.Header()
		if got := h.Get("Content-Encoding"); got != row.want {
			t.Errorf("%q, %d bytes: %q, want %q", row.accept, len(row.body), got, row.want)
		}
		sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(w.Body.Bytes())), 10)
		if h.Get("X-Amz-Crc32") != sum || h.Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%q: %v", row.accept, h)
		}
		var source io.Reader = w.Body
		var err error
		switch row.want {
		case "gzip":
			source, err = gzip.NewReader(w.Body)
		case "deflate":
			source, err = zlib.NewReader(w.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(source); err != nil || string(got) != plain.Body.String() {
			t.Errorf("%q: %d bytes, %v; want %d", row.accept, len(got), err, plain.Body.Len())
		}
	}
}

func BenchmarkServeLargeAnswer(b *testing.B) {
	p := newProtocol(io.Discard)
	body := []byte(`{"a":"` + strings.Repeat("x", 8<<10) + `"}`)
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("X-Amz-Target", "Echo_1.Echo")
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
	r.ContentLength = int64(len(body))
	reader := bytes.NewReader(body)
	r.Body = io.NopCloser(reader)
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		p.ServeHTTP(w, r)
	}
}

func BenchmarkServeHTTP(b *testing.B) {
	p := newProtocol(io.Discard)
	body := []byte(`{"TableName":"Orders","Key":{"id":{"S":"order-0000001"}}}`)
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("X-Amz-Target", "Echo_1.Echo")
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
	r.ContentLength = int64(len(body))
	reader := bytes.NewReader(body)
	r.Body = io.NopCloser(reader)
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		p.ServeHTTP(w, r)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
