package server

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	listed := []string{"millstream", "DB.example.com:8000", "*.internal"}
	for _, c := range []struct {
		host           string
		loopback, wide bool // allowed when listening on loopback, and beyond
	}{
		{"127.0.0.1:8000", true, true},
		{"127.0.0.1", true, true},
		{"127.1.2.3:8000", true, true},
		{"localhost:8000", true, true},
		{"LOCALHOST", true, true},
		{"localhost.:8000", true, true},
		{"orders.localhost:8000", true, true},
		{"[::1]:8000", true, true},
		{"[::1]", true, true},
		{"millstream:8000", true, true},
		{"Millstream", true, true},
		{"db.example.com", true, true},
		{"a.b.internal:1", true, true},
		{"10.0.0.7:8000", false, true},
		{"[fe80::1]:8000", false, true},
		{"0.0.0.0:8000", false, true},
		{"evil.example", false, false},
		{"evil.example:8000", false, false},
		{"localhost.evil.example:8000", false, false},
		{"127.0.0.1.evil.example", false, false},
		{"127.0.0.1.nip.io:8000", false, false},
		{"evillocalhost", false, false},
		{"internal", false, false},
		{"evilinternal", false, false},
		{"", false, false},
	} {
		narrow, wide := newHosts(listed, false), newHosts(listed, true)
		if got := narrow.allow(c.host); got != c.loopback {
			t.Errorf("%q on loopback: %v", c.host, got)
		}
		if got := wide.allow(c.host); got != c.wide {
			t.Errorf("%q beyond loopback: %v", c.host, got)
		}
	}
	every := newHosts([]string{"*"}, false)
	if !every.allow("evil.example") {
		t.Error("a listed * allows every name")
	}
}

// A page that another site serves cannot reach the port: not by its own name
// rebound to 127.0.0.1, not across origins, not from another port of this machine.
func TestWebPagesAreRefused(t *testing.T) {
	reached := 0
	s := New(Config{
		DynamoDB: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }),
		Lambda:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }),
		Admin:    http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }),
		Services: map[string]http.Handler{"s3": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ })},
	})
	const signed = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260101/us-east-1/s3/aws4_request&X-Amz-Signature=x&X-Amz-SignedHeaders=host&X-Amz-Date=20260101T000000Z"
	const here = "http://127.0.0.1:8000"
	for _, c := range []struct {
		name, method, path, host string
		header                   map[string]string
		allowed                  bool
	}{
		{"an SDK", "POST", "/", "127.0.0.1:8000", nil, true},
		{"a rebound name", "POST", "/", "evil.example:8000", nil, false},
		{"a rebound name, metrics", "GET", "/metrics", "evil.example:8000", nil, false},
		{"a rebound name that says it is the origin", "POST", "/", "evil.example:8000", map[string]string{"Origin": "http://evil.example:8000"}, false},
		{"another site", "POST", "/", "127.0.0.1:8000", map[string]string{"Origin": "https://evil.example"}, false},
		{"a sandboxed frame", "POST", "/", "127.0.0.1:8000", map[string]string{"Origin": "null"}, false},
		{"another port", "POST", "/", "127.0.0.1:8000", map[string]string{"Origin": "http://127.0.0.1:3000"}, false},
		{"a preflight", "OPTIONS", "/2015-03-31/functions", "127.0.0.1:8000", map[string]string{"Origin": "https://evil.example"}, false},
		{"its own page", "POST", "/", "127.0.0.1:8000", map[string]string{"Origin": here}, true},
		{"an image", "GET", "/_millstream/v1/logs", "127.0.0.1:8000", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, false},
		{"a form", "POST", "/", "127.0.0.1:8000", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, false},
		{"a followed link", "GET", "/", "127.0.0.1:8000", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, true},
		{"a followed link to a service", "GET", "/b/k" + signed, "127.0.0.1:8000", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, false},
		{"a link to a service from another port", "GET", "/" + signed, "127.0.0.1:8000", map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, false},
		{"a service's address that was typed", "GET", "/b/k" + signed, "127.0.0.1:8000", map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, true},
		{"an admin read", "GET", "/_millstream/v1/status", "localhost:8000", nil, true},
		{"an admin change without the header", "POST", "/_millstream/v1/invoke", "localhost:8000", nil, false},
		{"an admin change", "POST", "/_millstream/v1/invoke", "localhost:8000", map[string]string{"X-Millstream": "1"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			reached = 0
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Host = c.host
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if (reached == 1) != c.allowed {
				t.Fatalf("reached a handler %d times, status %d", reached, w.Code)
			}
			if !c.allowed && (w.Code != 403 || !strings.Contains(w.Body.String(), "AccessDeniedException")) {
				t.Fatalf("status %d, body %s", w.Code, w.Body)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Fatal("a CORS header was sent")
			}
		})
	}
}

func TestListeningBeyondLoopback(t *testing.T) {
	for addr, loopback := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:0": true, "[::1]:0": true,
		":0": false, "0.0.0.0:0": false, "[::]:0": false, "192.168.1.2:0": false,
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkListener(tcp, false); (err == nil) != loopback || err != nil && !strings.Contains(err.Error(), "--insecure-listen") {
			t.Errorf("%s: %v", addr, err)
		}
		if err := checkListener(tcp, true); err != nil {
			t.Errorf("%s, asked for: %v", addr, err)
		}
	}
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := New(Config{}).Serve(t.Context(), ln); err == nil {
		t.Fatal("it served every machine")
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("the listener is open: %v", err)
	}
}
