package app

import (
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// TestStatusTellsWholePaths: who asks may be in another folder.
func TestStatusTellsWholePaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s, err := Open(Options{Dir: "data", KeyFile: "key"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.seals.Make(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/_millstream/v1/status", nil))
	var st wire.Status
	if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil || st.Data != filepath.Join(dir, "data") || st.KeyFile != filepath.Join(dir, "key") {
		t.Errorf("%v: %q, %q", err, st.Data, st.KeyFile)
	}
}
