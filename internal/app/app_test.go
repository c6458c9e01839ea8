package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// send makes one request of the DynamoDB API as an SDK would and returns status and body.
func send(t *testing.T, h http.Handler, op, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+op)
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const makeTable = `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
	"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}`

// TestFailedSyncEndsServe holds the end of P1: after the first failed sync nothing
// is answered with data, health is red, and Serve returns an error by itself.
func TestFailedSyncEndsServe(t *testing.T) {
	disk := crashtest.New()
	s, err := Open(Options{}, disk.FS())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background(), ln) }()
	if status, body := send(t, s.Handler(), "CreateTable", makeTable); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if status, body := send(t, s.Handler(), "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"a"}}}`); status != http.StatusOK {
		t.Fatal(status, body)
	}
	disk.Fail(func(op, _ string) error {
		if op == "sync" {
			return errors.New("the disk is gone")
		}
		return nil
	})
	if status, body := send(t, s.Handler(), "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"b"}}}`); status != http.StatusInternalServerError {
		t.Errorf("a write whose sync failed was answered with %d %s", status, body)
	}
	for _, body := range []string{`{"TableName":"tab","Key":{"pk":{"S":"a"}}}`, `{"TableName":"tab","Key":{"pk":{"S":"a"}},"ConsistentRead":true}`} {
		if status, got := send(t, s.Handler(), "GetItem", body); status != http.StatusInternalServerError || strings.Contains(got, "Item") {
			t.Errorf("a read after the failure was answered with %d %s", status, got)
		}
	}
	select {
	case err := <-ended:
		if !errors.Is(err, store.ErrPoisoned) {
			t.Errorf("Serve ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("Serve goes on although the disk failed")
	}
	if err := s.Close(); err == nil {
		t.Error("Close hides that the disk failed")
	}
}

// TestRestartKeepsTablesAndStreams: what was made in one life is there in the next.
func TestRestartKeepsTablesAndStreams(t *testing.T) {
	dir := t.TempDir()
	for life := range 2 {
		s, err := Open(Options{Dir: dir}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			if status, body := send(t, s.Handler(), "CreateTable", makeTable); status != http.StatusOK {
				t.Fatal(status, body)
			}
			if status, body := send(t, s.Handler(), "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"a"},"n":{"N":"1.50"}}}`); status != http.StatusOK {
				t.Fatal(status, body)
			}
		} else if _, body := send(t, s.Handler(), "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}}}`); body != `{"Item":{"n":{"N":"1.5"},"pk":{"S":"a"}}}` {
			t.Errorf("after a restart: %s", body)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
