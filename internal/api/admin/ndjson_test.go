package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// answerOf is what a caller gets of a stream.
func answerOf(t *testing.T, run func(ctx context.Context, ready func(), emit func(any) error) error) (status int, body string) {
	t.Helper()
	h := &handler{Config: Config{Logger: slog.New(slog.DiscardHandler)}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.stream(w, r, run) }))
	defer server.Close()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// An error before the first document is the answer; one after it is the last line.
func TestErrorsOfStreams(t *testing.T) {
	for name, c := range map[string]struct {
		late   bool
		err    error
		status int
		body   string
	}{
		"refused":        {false, wire.NotFound("no table"), http.StatusNotFound, `{"error":{"code":"NotFound","message":"no table"}}`},
		"internal":       {false, errors.New("disk on fire"), http.StatusInternalServerError, `{"error":{"code":"Internal","message":"disk on fire"}}`},
		"late":           {true, wire.NotFound("it was deleted"), http.StatusOK, `{"error":{"code":"NotFound","message":"it was deleted"}}`},
		"nothing to say": {false, nil, http.StatusOK, ""},
	} {
		status, body := answerOf(t, func(_ context.Context, ready func(), _ func(any) error) error {
			if c.late {
				ready()
			}
			return c.err
		})
		if status != c.status || strings.TrimSpace(body) != c.body {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

// The header of a stream says that nothing will be missed: it comes before the first document.
func TestStreamIsReadyBeforeItsFirstDocument(t *testing.T) {
	h := &handler{Config: Config{Logger: slog.New(slog.DiscardHandler)}}
	write := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.stream(w, r, func(_ context.Context, ready func(), emit func(any) error) error {
			ready()
			<-write
			return emit(wire.LogLine{Text: "hello"})
		})
	}))
	defer server.Close()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	close(write)
	if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), "hello") {
		t.Fatalf("%s, %v", b, err)
	}
}
