package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Reply is an answer as it came over the wire.
type Reply struct {
	Status    int
	Header    http.Header
	Body      []byte
	Namespace string // of __type, before the '#'
	Type      string // the error code; empty on success
	Message   string // member "message" or "Message"
}

// Raw sends one signed DynamoDB request whose body is given as text, for what an
// SDK would refuse to send or would hide.
func (t *Target) Raw(tb testing.TB, operation, body string) Reply {
	tb.Helper()
	return t.RawRequest(tb, func(r *http.Request) {
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	}, []byte(body), true)
}

// RawStreams is Raw for the DynamoDB Streams API.
func (t *Target) RawStreams(tb testing.TB, operation, body string) Reply {
	tb.Helper()
	return t.RawRequest(tb, func(r *http.Request) {
		r.Header.Set("X-Amz-Target", "DynamoDBStreams_20120810."+operation)
	}, []byte(body), true)
}

// RawRequest sends a POST / that edit may change before it is signed.
func (t *Target) RawRequest(tb testing.TB, edit func(*http.Request), body []byte, sign bool) Reply {
	tb.Helper()
	endpoint := t.Endpoint
	req, err := http.NewRequest(http.MethodPost, endpoint+"/", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	if edit != nil {
		edit(req)
	}
	if strings.HasPrefix(req.Header.Get("X-Amz-Target"), "DynamoDBStreams") {
		moved, err := http.NewRequest(req.Method, t.StreamsEndpoint+req.URL.Path, bytes.NewReader(body))
		if err != nil {
			tb.Fatal(err)
		}
		moved.Header = req.Header
		req = moved
	}
	if sign {
		t.sign(tb, req, "dynamodb", body)
	}
	resp, err := t.http.Do(req)
	if err != nil {
		tb.Fatalf("%s: %v", req.Header.Get("X-Amz-Target"), err)
	}
	defer resp.Body.Close()
	reply := Reply{Status: resp.StatusCode, Header: resp.Header}
	if reply.Body, err = io.ReadAll(resp.Body); err != nil {
		tb.Fatal(err)
	}
	if sum := resp.Header.Get("X-Amz-Crc32"); sum != "" {
		if want := strconv.FormatUint(uint64(crc32.ChecksumIEEE(reply.Body)), 10); sum != want {
			tb.Errorf("x-amz-crc32 is %s, the body's is %s", sum, want)
		}
	}
	var e struct {
		Type    string `json:"__type"`
		Lower   string `json:"message"`
		Capital string `json:"Message"`
	}
	// encoding/json matches names without regard to case: read the exact ones.
	var members map[string]json.RawMessage
	if json.Unmarshal(reply.Body, &members) == nil {
		_ = json.Unmarshal(members["__type"], &e.Type)
		_ = json.Unmarshal(members["message"], &e.Lower)
		_ = json.Unmarshal(members["Message"], &e.Capital)
	}
	if space, code, ok := strings.Cut(e.Type, "#"); ok {
		reply.Namespace, reply.Type = space, code
	} else {
		reply.Type = e.Type
	}
	reply.Message = e.Lower + e.Capital
	return reply
}

func (t *Target) sign(tb testing.TB, req *http.Request, service string, body []byte) {
	tb.Helper()
	creds, err := t.creds.Retrieve(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials(creds), req, hex.EncodeToString(sum[:]), service, t.Region, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
}

// JSON decodes the body into v.
func (r Reply) JSON(tb testing.TB, v any) {
	tb.Helper()
	if r.Status != http.StatusOK {
		tb.Fatalf("answer %d %s: %s", r.Status, r.Type, r.Message)
	}
	if err := json.Unmarshal(r.Body, v); err != nil {
		tb.Fatalf("answer is not JSON: %v: %s", err, r.Body)
	}
}

// Want checks an error's type and text. An empty message is not compared: the
// text is then not well evidenced. A message that ends in "..." is compared up
// to there.
func (r Reply) Want(tb testing.TB, errorType, message string) {
	tb.Helper()
	if errorType == "" {
		if r.Status != http.StatusOK {
			tb.Errorf("answer %d %s: %s; want success", r.Status, r.Type, r.Message)
		}
		return
	}
	if r.Type != errorType {
		tb.Errorf("answer %d %q: %q; want type %q", r.Status, r.Type, r.Message, errorType)
		return
	}
	if r.Status != http.StatusBadRequest {
		tb.Errorf("status %d, want 400 (%s)", r.Status, r.Type)
	}
	if prefix, cut := strings.CutSuffix(message, "..."); cut {
		if !strings.HasPrefix(r.Message, prefix) {
			tb.Errorf("text\n got  %q\n want %q...", r.Message, prefix)
		}
	} else if message != "" && !sameText(r.Message, message) {
		tb.Errorf("text\n got  %q\n want %q", r.Message, message)
	}
}

// sameText compares without the prefix that the service began to put before some
// texts in 2026 and that not every region has.
func sameText(got, want string) bool {
	const prefix = "1 validation error detected: "
	return strings.TrimPrefix(got, prefix) == strings.TrimPrefix(want, prefix)
}
