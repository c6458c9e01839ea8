package app

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server that has taken another's place does not have the items with which a trigger of nodes began. The trigger stands still, also with its stream, and
// the log says why.
func TestItemsThatAreNotThereAnyMore(t *testing.T) {
	primary, _ := opened(t, Options{})
	to, err := url.Parse(primary.URL)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(to)
	pass.ErrorLog = log.New(io.Discard, "", 0) // reads that wait end with the node
	after := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && path.Base(path.Dir(r.URL.Path)) == "items" {
			r.URL.Path = path.Join(path.Dir(r.URL.Path), "00000000-1111-4222-8333-444444444444") // of which the server has none
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(after.Close)
	said := make(logLines, 100)
	a, node := opened(t, Options{Tables: after.URL, Logger: slog.New(slog.NewTextHandler(said, nil))})
	var calls atomic.Int64
	if err := node.RegisterFunction("f", func(context.Context, []byte) ([]byte, error) { calls.Add(1); return nil, nil }); err != nil {
		t.Fatal(err)
	}
	made := `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],` +
		`"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}}`
	must := func(status int, text string) string {
		t.Helper()
		if status/100 != 2 {
			t.Fatal(status, text)
		}
		return text
	}
	text := must(ask(t, primary.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.CreateTable", made))
	_, rest, _ := strings.Cut(text, `"LatestStreamArn":"`)
	stream, _, _ := strings.Cut(rest, `"`)
	put := func(key string) {
		t.Helper()
		must(ask(t, primary.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q}}}`, key)))
	}
	put("there")
	must(ask(t, a.URL, "lambda", "POST", "/2015-03-31/event-source-mappings/", "",
		fmt.Sprintf(`{"FunctionName":"f","EventSourceArn":%q,"StartingPosition":"LATEST","Tags":{"millstream:start":"snapshot"}}`, stream)))
	put("later")
	late := time.After(time.Minute)
	for n := 0; n < 2; {
		select {
		case line := <-said:
			if strings.Contains(line, "does not have the items any more that the trigger began with: delete it, and make it anew") {
				n++
			}
		case <-late:
			t.Fatal("the log does not say that the items are not there")
		}
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("the function was called %d times", n)
	}
}

// logLines are those of a log. It holds nobody up.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}
