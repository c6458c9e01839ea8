package door

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// An answer of a handler is whole, whatever its text: only net/http's own refusals end the sending.
func TestAnswersThatReadLikeRefusals(t *testing.T) {
	const text = "HTTP/1.1 400 Bad Request" + plainClosing
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			if _, err := io.WriteString(w, text); err != nil {
				t.Error(err)
			}
			_ = http.NewResponseController(w).Flush()
		}
	})}
	go func() {
		ended <- New(ln, nil, Limits{WriteTime: time.Minute, IdleTime: time.Minute, Connections: 10}).Serve(ctx, s, time.Second, func() {})
	}()
	for _, head := range []string{"", "Connection: close\r\n"} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n"+head+"\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != text+text+text {
			t.Errorf("%q: %q, %v", head, body, err)
		}
		_ = c.Close()
	}
	for text, want := range map[string]bool{
		text + "400 Bad Request: missing required Host header":                      true,
		"HTTP/1.1 505 HTTP Version Not Supported" + plainClosing + "505 ...":        true,
		"HTTP/1.1 200 OK" + plainClosing:                                            false,
		"2d\r\n" + text:                                                             false,
		"HTTP/1.1 400 Bad Request\r\nDate: x" + plainClosing + "a handler's answer": false,
	} {
		if isRefusal([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
