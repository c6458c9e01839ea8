package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/door"
)

// Who operates the server is answered while clients have all connections and all places, and nothing else is answered there.
func TestOwnListenerAnswersWhenAllIsTaken(t *testing.T) {
	entered, release := make(chan struct{}, 8), make(chan struct{})
	c := telling(Config{Admin: answer(200, "admin"), Limits: Limits{Connections: 4, Requests: 4}})
	quick := c.Answer
	c.Answer = func(ctx context.Context, r *door.Request, dst []byte) door.Reply {
		entered <- struct{}{}
		<-release
		return quick(ctx, r, dst)
	}
	s := New(c)
	addr := start(t, s)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.ServeAdmin(ctx, ln) }()
	for range 4 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, post("{}")); err != nil {
			t.Fatal(err)
		}
		<-entered
	}
	client := http.Client{Timeout: 10 * time.Second}
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 200, "/_millstream/v1/status": 200, "/": 404, "/2015-03-31/functions": 404} {
		res, err := client.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, res.StatusCode, want)
		}
	}
	req, err := http.NewRequest("GET", "http://"+ln.Addr().String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	if res, err := client.Do(req); err != nil || res.StatusCode != 403 {
		t.Errorf("another host: %v %v", res, err)
	}
	client.CloseIdleConnections()
	close(release)
	cancel()
	if err := <-served; err != nil && !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
}
