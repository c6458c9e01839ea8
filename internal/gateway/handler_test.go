package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

var scope = schema.Scope{Account: "123456789012", Region: "eu-west-1"}

// fake are functions that answer what the test says.
type fake struct {
	answer string
	failed bool
	err    error
	hang   bool
	events []string
	url    *FunctionURL
	gate   *fake // the function called gate, an authorizer; nil: as all others
}

func (f *fake) Invoke(ctx context.Context, _ schema.Scope, c Call) ([]byte, bool, error) {
	f.events = append(f.events, c.Function+" "+string(c.Event))
	if f.gate != nil && c.Function == "gate" {
		return f.gate.Invoke(ctx, scope, c)
	}
	if f.hang {
		<-ctx.Done()
		return nil, false, ctx.Err()
	}
	return []byte(f.answer), f.failed, f.err
}

func (f *fake) URL(id string) (FunctionURL, bool) {
	if f.url == nil || id != f.url.ID {
		return FunctionURL{}, false
	}
	return *f.url, true
}

func (f *fake) Sole() (FunctionURL, bool) {
	if f.url == nil {
		return FunctionURL{}, false
	}
	return *f.url, true
}

func open(t *testing.T, fs vfs.FS, f Functions) (*Service, *store.Store) {
	t.Helper()
	st, err := store.Open(store.Options{FS: fs, Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Store: st, Functions: f, Endpoint: func() string { return "http://127.0.0.1:8001" },
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s, st
}

var requestID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// latency is the one time in an event that is measured.
var latency = regexp.MustCompile(`("integrationLatency": )[0-9]+`)

// TestHandler runs testdata/handler: requests, the events that functions get, and
// the answers. Commands:
//
//	api                an API's document, as JSON
//	url [signed]       a function URL, with its CORS settings as JSON
//	answer [failed|busy|unreached|hangs]   what functions answer from now on
//	gate [failed|busy|unreached|hangs]     what the function gate answers, an authorizer
//	request [event]    a request as it is sent; prints the answer, and the event that the function got
//
// IDs of requests and what an authorizer took are masked; long:N in a body stands for so many bytes.
func TestHandler(t *testing.T) {
	datadriven.Walk(t, "testdata/handler", func(t *testing.T, path string) {
		f := &fake{}
		s, st := open(t, vfs.NewMem(), f)
		defer st.Close()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "api":
				var a API
				if err := json.Unmarshal([]byte(d.Input), &a); err != nil {
					t.Fatal(err)
				}
				kept, err := s.Put(scope, a)
				if err != nil {
					return err.Error() + "\n"
				}
				return kept.URL + "\n"
			case "url":
				f.url = &FunctionURL{ID: "u234567u234567u234567u234567u234", Scope: scope, Function: "hello", Signed: d.HasArg("signed")}
				if d.Input != "" {
					if err := json.Unmarshal([]byte(d.Input), &f.url.CORS); err != nil {
						t.Fatal(err)
					}
				}
				return ""
			case "answer", "gate":
				one := fake{url: f.url, answer: d.Input, failed: d.HasArg("failed"), hang: d.HasArg("hangs")}
				if d.HasArg("busy") {
					one.err = &Busy{Wait: 1200 * time.Millisecond}
				}
				if d.HasArg("unreached") {
					one.err = errors.New("no such function")
				}
				if d.Cmd == "gate" {
					f.gate = &one
					return ""
				}
				one.gate = f.gate
				*f = one
				return ""
			case "request":
				head, body, _ := strings.Cut(d.Input+"\n", "\n\n")
				body = strings.TrimSuffix(body, "\n")
				var n int
				if _, err := fmt.Sscanf(body, "long:%d", &n); err == nil {
					body = strings.Repeat("x", n)
				}
				r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(strings.TrimSuffix(head, "\n"), "\n", "\r\n") + "\r\n\r\n")))
				if err != nil {
					t.Fatal(err)
				}
				r.Body, r.ContentLength, r.RemoteAddr = io.NopCloser(strings.NewReader(body)), int64(len(body)), "127.0.0.1:4711"
				f.events = nil
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				var b strings.Builder
				fmt.Fprintf(&b, "%d\n", w.Code)
				var names []string
				for name := range w.Header() {
					names = append(names, name)
				}
				slices.Sort(names)
				for _, name := range names {
					fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(w.Header()[name], " | "))
				}
				if w.Body.Len() > 0 {
					fmt.Fprintf(&b, "%q\n", w.Body.String())
				}
				for _, event := range f.events {
					function, document, _ := strings.Cut(event, " ")
					if !d.HasArg("event") {
						fmt.Fprintf(&b, "called %s\n", function)
						continue
					}
					var pretty bytes.Buffer
					if err := json.Indent(&pretty, []byte(document), "", " "); err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&b, "%s %s\n", function, pretty.String())
				}
				return latency.ReplaceAllString(requestID.ReplaceAllString(b.String(), "<id>"), "$1<ms>")
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

// APIs are there after a crash when Put has answered, and gone when Delete has.
func TestAPIsAreDurable(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, _ := open(t, fs, &fake{})
	for _, name := range []string{"one", "two", "three"} {
		if _, err := s.Put(scope, API{Name: name, Routes: []Route{{Path: "/" + name, Function: "f"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(scope, "two"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(scope, API{Name: "three", Routes: []Route{{Path: "/other", Function: "f"}}}); err != nil {
		t.Fatal(err)
	}
	after, st := open(t, fs.CrashClone(vfs.CrashCloneCfg{}), &fake{})
	defer st.Close()
	want, _ := json.Marshal(s.List(scope))
	got, _ := json.Marshal(after.List(scope))
	if !bytes.Equal(want, got) || len(after.List(scope)) != 2 || after.List(scope)[1].Routes[0].Path != "/one" && after.List(scope)[0].Routes[0].Path != "/one" {
		t.Fatalf("after the crash %s, before %s", got, want)
	}
	if len(after.List(schema.Scope{Account: "000000000000", Region: "eu-west-1"})) != 0 {
		t.Fatal("another account sees them")
	}
	var e *Error
	if err := after.Delete(scope, "two"); !errors.As(err, &e) || !e.NotFound {
		t.Fatal(err)
	}
}

// FuzzAnswer: whatever a function answers becomes an HTTP answer, or a failure.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"statusCode":200,"body":"x"}`, `"text"`, `null`, `{"statusCode":"204","headers":{"a":1}}`, `{"multiValueHeaders":{"Set-Cookie":["a","b"]}}`, `{"isBase64Encoded":true,"body":"eA=="}`, `{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		for form := formHTTP; form <= formURL; form++ {
			for _, payload := range []string{"1.0", "2.0"} {
				if r, ok := form.read(answer, payload); ok {
					r.write(httptest.NewRecorder(), http.MethodGet)
				}
			}
		}
	})
}
