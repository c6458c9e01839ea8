package app

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

// takesNone is an address that takes no connection, and refuses none: as that of a machine that is gone.
func takesNone(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		t.Cleanup(func() { _ = syscall.Close(fd) })
		if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
			err = syscall.Listen(fd, 0)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*syscall.SockaddrInet4).Port))
	for { // until the queue of those that nobody accepts is full
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

// A node whose machine is gone holds up a call for a second, and others not at all.
func TestAMachineThatIsGone(t *testing.T) {
	r := &router{n: &node{Backend: remote.New(remote.Options{}), log: slog.New(slog.DiscardHandler), toPeers: &http.Client{Transport: forPeers(http.DefaultTransport.(*http.Transport))}}}
	r.peers = []remote.NodeInfo{{ID: "gone", Name: "gone", URL: "http://" + takesNone(t)}}
	r.at = time.Now().Add(time.Hour) // of whom it is reached is known
	for n := range 3 {
		began := time.Now()
		_, taken, err := r.Route(t.Context(), schema.Scope{}, "arn", "f", &function.Invocation{Payload: []byte("{}")}, 0, time.Minute)
		if took := time.Since(began); taken || err != nil || n == 0 && took > 20*time.Second || n > 0 && took > peerDial/2 {
			t.Errorf("call %d: %v, %v after %v", n, taken, err, took)
		}
		r.full = nil
	}
}
