package tables

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// [9.06 T AL M]
func TestAnswersAreCodedForWhoAsks(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	large, small := strings.Repeat("x", 8<<10), "x"
	for pk, text := range map[string]string{"large": large, "small": small} {
		target.Raw(t, "PutItem", names.Replace(`{"TableName":"$H","Item":{"pk":{"S":"`+pk+`"},"v":{"S":"`+text+`"}}}`)).Want(t, "", "")
	}
	for _, row := range []struct{ accept, pk, want string }{
		{"", "large", ""}, {"identity", "large", ""}, {"gzip", "large", "gzip"}, {"deflate", "large", "deflate"}, {"gzip", "small", ""},
	} {
		reply := target.RawRequest(t, func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem")
			if row.accept != "" {
				r.Header.Set("Accept-Encoding", row.accept)
			}
		}, []byte(names.Replace(`{"TableName":"$H","Key":{"pk":{"S":"`+row.pk+`"}},"ConsistentRead":true}`)), true)
		if got := reply.Header.Get("Content-Encoding"); reply.Status != http.StatusOK || got != row.want {
			t.Errorf("%s item, %q accepted: %d, coding %q", row.pk, row.accept, reply.Status, got)
			continue
		}
		var source io.Reader = bytes.NewReader(reply.Body)
		var err error
		switch row.want {
		case "gzip":
			source, err = gzip.NewReader(source)
		case "deflate":
			source, err = zlib.NewReader(source)
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(source)
		if err != nil || !bytes.Contains(body, []byte(`"pk":{"S":"`+row.pk+`"}`)) {
			t.Errorf("%s item, %q accepted: %v, %d bytes", row.pk, row.accept, err, len(body))
		}
	}
}

// [9.06 T AL M]
func TestLimitsOfHTTP(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	body := []byte(names.Replace(`{"TableName":"$H","Key":{"pk":{"S":"a"}}}`))
	for name, row := range map[string]struct {
		edit   func(r *http.Request)
		status int
	}{
		"unknown coding": {func(r *http.Request) { r.Header.Set("Content-Encoding", "br") }, http.StatusInternalServerError},
		"large header":   {func(r *http.Request) { r.Header.Set("X-Large", strings.Repeat("x", 24<<10)) }, http.StatusBadRequest},
		"long line":      {func(r *http.Request) { r.URL.RawQuery = strings.Repeat("x", 24<<10) }, http.StatusBadRequest},
	} {
		reply := target.RawRequest(t, func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem")
			row.edit(r)
		}, body, true)
		if reply.Status != row.status {
			t.Errorf("%s: %d %s, want %d", name, reply.Status, reply.Type, row.status)
		}
	}
}
