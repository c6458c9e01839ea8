package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/app"
)

// What a storm has found is told also when its tables cannot be removed.
func TestVerifyTellsTheReport(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	s, err := app.Open(app.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DeleteTable") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			if bytes.Contains(body, []byte("-items")) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"__type":"x#AccessDeniedException","message":"not you"}`)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		s.Handler().ServeHTTP(w, r)
	}))
	defer endpoint.Close()
	var out, told bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"verify", endpoint.URL, "--storm", "1s", "--lease", "1s", "--rate", "200"})
	root.SetOut(&out)
	root.SetErr(&told)
	err = root.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "-items is left there: AccessDeniedException: not you") {
		t.Errorf("it ended with %v", err)
	}
	if text := out.String(); !strings.Contains(text, "out of order for their item") || !strings.Contains(text, "THE NODES' CALLS") {
		t.Errorf("it told %s", text)
	}
}
