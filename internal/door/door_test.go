package door

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

var testLimits = Limits{Connections: 1000, HeaderTime: time.Minute, BodyTime: time.Minute, IdleTime: time.Minute, WriteTime: time.Minute}

// refusing is a handler that refuses everything.
type refusing struct{ Handler }

func (refusing) Enter(*Request) (Entry, Reply) {
	return Refused, Reply{Status: http.StatusBadRequest, Body: []byte("no")}
}

// A refused request has no place, so its body is thrown away as it comes, and not gathered.
func TestRefusedBodiesTakeNoMemory(t *testing.T) {
	const callers, size = 64, 60_000
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := New(ln, refusing{}, testLimits)
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, &http.Server{}, time.Second, func() {}) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	var conns []net.Conn
	for range callers {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprint(c, strings.Replace(plain, "Length: 2", fmt.Sprint("Length: ", size), 1)+"x")
		conns = append(conns, c)
	}
	for began, n := time.Now(), 0; n < callers; time.Sleep(time.Millisecond) {
		n = 0
		d.mu.Lock()
		for c := range d.conns {
			if phase(c.phase.Load())&phases == sending {
				n++
			}
		}
		d.mu.Unlock()
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%d of %d are sending", n, callers)
		}
	}
	if took := int64(heap()) - int64(before); took > callers*size/3 {
		t.Errorf("%d callers of %d bytes take %d", callers, size, took)
	}
	// The connection is kept for who sends all, and the answer is there for who does not.
	for i, c := range conns {
		rest, wantClose := strings.Repeat("x", size-1)+plain+"{}", 0
		if i%2 == 1 {
			rest, wantClose = rest[:size/2], 1
		}
		fmt.Fprint(c, rest)
		_ = c.(*net.TCPConn).CloseWrite()
		all, err := io.ReadAll(c)
		if text := string(all); err != nil || strings.Count(text, "HTTP/1.1 400") != 2-wantClose || strings.Count(text, "Connection: close") != wantClose {
			t.Fatalf("%d: %q, %v", i, text, err)
		}
	}
}

// net/http runs no request of a connection that was ended for a newcomer while the request arrived.
func TestEndedConnectionRunsNothing(t *testing.T) {
	d := New(nil, nil, testLimits)
	ran := make(chan struct{}, 2)
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran <- struct{}{} })}
	hook(s)
	served := make(chan error, 1)
	go func() { served <- s.Serve(onlyPassed{passed{d}}) }()
	for _, ended := range []bool{true, false} {
		here, there := net.Pipe()
		c := &conn{Conn: there, door: d}
		d.conns[c] = struct{}{}
		c.phase.Store(resting.at(d.now()))
		if ended && !c.end(phase(c.phase.Load())) {
			t.Fatal("not ended")
		}
		d.over <- &httpConn{conn: c, prefix: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")}
		_, _ = here.Read(make([]byte, 1)) // an answer begins, or the connection is at its end
		_ = here.Close()
		if ended {
			for began := time.Now(); ; time.Sleep(time.Millisecond) { // until net/http is done with it
				d.mu.Lock()
				n := len(d.conns)
				d.mu.Unlock()
				if n == 0 {
					break
				}
				if time.Since(began) > 20*time.Second {
					t.Fatal("its place is kept")
				}
			}
		}
		if got := len(ran) > 0; got == ended {
			t.Errorf("ended %v, ran %v", ended, got)
		}
	}
	_ = s.Close()
	<-served
}

// onlyPassed is passed where no listener is behind the door.
type onlyPassed struct{ passed }

func (onlyPassed) Addr() net.Addr { return &net.TCPAddr{} }
