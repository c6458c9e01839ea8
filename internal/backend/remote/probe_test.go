package remote

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// What an engine lacks is told at the start, and when a mapping is made, and not by a mapping that stands still.
func TestAnEngineIsProbed(t *testing.T) {
	for name, one := range map[string]struct {
		change       func(w http.ResponseWriter, r *http.Request) (answered bool)
		lacks, wrong bool
	}{
		"all is there": {change: func(http.ResponseWriter, *http.Request) bool { return false }},
		"no transactions": {lacks: true, change: func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".TransactWriteItems") {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#UnknownOperationException","message":"Unsupported operation TransactWriteItems"}`)
			return true
		}},
		"no conditions": {wrong: true, change: func(_ http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			body = bytes.ReplaceAll(body, []byte(`"ConditionExpression":"attribute_not_exists(p)",`), nil)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			return false
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenServer()
			if err != nil {
				t.Fatal(err)
			}
			handler := s.Handler()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !one.change(w, r) {
					handler.ServeHTTP(w, r)
				}
			}))
			defer func() {
				server.Close()
				_ = s.Close()
			}()
			client := &Client{URL: server.URL, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("000000000000", "b", ""), HTTP: server.Client()}
			b := New(Options{Endpoint: NewPolled(client, 0), Polled: true})
			if err := client.MakeTables(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if err := client.Probe(t.Context(), b); (err != nil) != one.wrong {
				t.Fatal(err)
			}
			if rows, err := client.Query(t.Context(), b.progress, "probe", ""); err != nil || len(rows) > 0 {
				t.Errorf("%v, %v are left", rows, err)
			}
			if why := b.Lacks(mapping.Definition{}, lane.Params{ExactlyOnce: true}); (why != "") != one.lacks {
				t.Errorf("lacks %q", why)
			}
			if why := b.Lacks(mapping.Definition{}, lane.Params{}); why != "" {
				t.Errorf("without the setting: lacks %q", why)
			}
			if one.lacks { // one that was made before: its calls fail, and it does not stand still for ever
				c := newClaim(b, "arn", 1, 1)
				defer time.AfterFunc(5*time.Second, c.lose).Stop()
				if err := c.transact(nil, nil, writing{uuid: "u"}); !errors.As(err, new(*backend.Refused)) {
					t.Errorf("a transaction: %v", err)
				}
			}
		})
	}
}
