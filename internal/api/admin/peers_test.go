package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/function"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A node that does not answer is told of, and the lines of the others come on.
func TestLogsOfASilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, lines := io.Pipe()
		h := &handler{Config: Config{PeerClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "silent" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			context.AfterFunc(r.Context(), func() { _ = body.CloseWithError(r.Context().Err()) })
			return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
		})}}}
		var mu sync.Mutex
		var seen []string
		_, end := h.logsOfPeers(t.Context(), []Peer{{Name: "a", URL: "http://silent"}, {Name: "b", URL: "http://other"}}, url.Values{}, true, func(v any) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, v.(wire.LogLine).Text)
			return nil
		})
		time.Sleep(time.Minute) // of the bubble
		go func() { _ = json.NewEncoder(lines).Encode(wire.LogLine{Text: "late"}) }()
		synctest.Wait()
		mu.Lock()
		if len(seen) != 2 || !strings.Contains(seen[0], "the node a may be missing: it has not answered") || seen[1] != "late" {
			t.Errorf("seen %q", seen)
		}
		mu.Unlock()
		end()
		if len(seen) != 2 {
			t.Errorf("in the end %q", seen)
		}
		_ = lines.Close()
	})
}

// While nobody tells which nodes there are, a node's own lines are shown.
func TestLogsWithoutTheTablesServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		functions, err := function.Open(function.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer functions.Close()
		h := New(Config{Functions: functions, Peers: func(ctx context.Context) ([]Peer, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Prefix+"logs", nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "lines of other nodes may be missing") {
			t.Error(w.Code, w.Body)
		}
	})
}
