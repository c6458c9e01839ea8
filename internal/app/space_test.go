package app

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// On a disk that is nearly full writes are refused, and what frees space is still done: deletes of items and tables. Health says
// so with the reason, and gauges show the space.
func TestNearlyFullDisk(t *testing.T) {
	disk := vfs.NewMem()
	s, err := Open(Options{}, disk)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	do := func(operation, body string) string {
		t.Helper()
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20261129/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
		r.Header.Set("X-Amz-Date", "20261129T060000Z")
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code == 200 {
			return ""
		}
		return w.Body.String()
	}
	get := func(path string) string {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w.Body.String()
	}
	free := func(bytes uint64) {
		disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: bytes, TotalBytes: 1 << 40})
		time.Sleep(1100 * time.Millisecond) // a look a second
	}
	const (
		table = `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`
		item  = `{"TableName":"tab","Item":{"pk":{"S":"a"}}}`
		key   = `{"TableName":"tab","Key":{"pk":{"S":"a"}}}`
	)
	must := func(operation, body string) {
		t.Helper()
		if problem := do(operation, body); problem != "" {
			t.Fatalf("%s: %s", operation, problem)
		}
	}
	refused := func(operation, body string) {
		t.Helper()
		if problem := do(operation, body); !strings.Contains(problem, "nearly full") {
			t.Fatalf("%s: %q", operation, problem)
		}
	}
	must("CreateTable", table)
	must("PutItem", item)
	free(200 << 20)
	refused("PutItem", item)
	refused("UpdateItem", key)
	refused("CreateTable", strings.ReplaceAll(table, "tab", "other"))
	must("GetItem", key)
	must("DeleteItem", key)
	if text := get("/healthz"); !strings.HasPrefix(text, "degraded: ") || !strings.Contains(text, "reserve") {
		t.Errorf("health: %q", text)
	}
	metrics := get("/metrics")
	for _, line := range []string{"millstream_disk_free_bytes 2.097152e+08", "millstream_disk_reserve_bytes 2.68435456e+08", "millstream_writes_refused_total 3", "millstream_healthy 1"} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %q", line)
		}
	}
	free(100 << 20) // what deletes may take is gone as well
	refused("DeleteItem", key)
	free(200 << 20)
	must("DeleteTable", `{"TableName":"tab"}`)
	free(1 << 30)
	must("CreateTable", table)
	if text := get("/healthz"); text != "ok\n" {
		t.Errorf("health: %q", text)
	}
}
