package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDamageIsShown: an item in a damaged block is answered with an error and never as
// absent, all else is served, and health, status and metrics say what is damaged.
func TestDamageIsShown(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	must := func(op, body string) string {
		t.Helper()
		status, answer := send(t, s.Handler(), op, body)
		if status != http.StatusOK {
			t.Fatal(status, answer)
		}
		return answer
	}
	must("CreateTable", makeTable)
	if err := s.store.Flush(); err != nil {
		t.Fatal(err)
	}
	const items = 300
	for i := range items {
		must("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"text":{"S":%q}}}`, i, strings.Repeat("text", 50)))
	}
	if err := s.store.Flush(); err != nil {
		t.Fatal(err)
	}
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil))
		return w.Code, w.Body.String()
	}
	if status, body := get("/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Error(status, body)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	tables, err := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	var largest []byte
	name := ""
	for _, n := range tables {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > len(largest) {
			largest, name = b, n
		}
	}
	largest[len(largest)/5] ^= 1 // among the items, behind the first block, which reads of smaller keys touch
	if err := os.WriteFile(name, largest, 0o600); err != nil {
		t.Fatal(err)
	}

	if s, err = Open(Options{Dir: dir}, nil); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	failed := 0
	for i := range items {
		status, body := send(t, s.Handler(), "GetItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":"%d"}}}`, i))
		switch {
		case status == http.StatusInternalServerError && strings.Contains(body, "InternalServerError"):
			failed++
		case status != http.StatusOK || !strings.Contains(body, "texttext"):
			t.Fatal(i, status, body)
		}
	}
	if failed == 0 || failed == items {
		t.Errorf("%d of %d reads failed", failed, items)
	}
	if status, body := send(t, s.Handler(), "Scan", `{"TableName":"tab"}`); status != http.StatusInternalServerError {
		t.Error(status, body[:min(len(body), 200)])
	}
	must("PutItem", `{"TableName":"tab","Item":{"pk":{"S":"new"}}}`)
	// What is damaged is named at once, and its end too when it has been put in quarantine.
	want := regexp.MustCompile(`damaged: db/` + filepath.Base(name) + ` \((from )?items of table tab( to |\))`)
	if status, body := get("/healthz"); status != http.StatusOK || !strings.HasPrefix(body, "degraded: ") || !want.MatchString(body) {
		t.Error(status, body)
	}
	if _, body := get("/_millstream/v1/status"); !want.MatchString(body) || !strings.Contains(body, `"healthy":true`) {
		t.Error(body)
	}
	if _, body := get("/metrics"); !strings.Contains(body, "millstream_damaged_files 1\n") {
		t.Error("no metric")
	}
}
