package server

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// A function behind the front door never sees a session of the console, and sees all other cookies.
func TestFunctionsDoNotSeeTheConsolesCookies(t *testing.T) {
	for _, c := range []struct{ sent, seen []string }{
		{nil, nil},
		{[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		{[]string{"a=1; millstream-console-8002=secret; b=2"}, []string{"a=1; b=2"}},
		{[]string{"millstream-console-8002=secret"}, nil},
		{[]string{"millstream-console-8002=secret;millstream-console-8005=secret; a=1", "b=2"}, []string{"a=1", "b=2"}},
	} {
		r := &http.Request{Header: http.Header{}}
		if c.sent != nil {
			r.Header["Cookie"] = c.sent
		}
		dropConsoleCookies(r)
		if got := r.Header["Cookie"]; !slices.Equal(got, c.seen) {
			t.Errorf("%q became %q, want %q", c.sent, got, c.seen)
		}
	}
}

// Behind TLS the console's own origin is https, which net/http does not see behind the door by itself: the page may change something, and
// no other origin may.
func TestConsoleBehindTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- New(Config{}).ServeConsole(ctx, tls.NewListener(ln, certified.TLS), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.TLS == nil || !r.TLS.HandshakeComplete {
				t.Error("the handler is not told of TLS")
			}
		}))
	}()
	for origin, want := range map[string]int{"https://": http.StatusOK, "http://": http.StatusForbidden} {
		r, err := http.NewRequest(http.MethodPost, "https://"+ln.Addr().String()+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin+ln.Addr().String())
		answer, err := certified.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("origin %s...: %d, want %d", origin, answer.StatusCode, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
