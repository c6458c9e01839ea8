package door

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// httpConn is a connection that net/http serves.
type httpConn struct {
	*conn
	prefix []byte // what was read before net/http had it
}

func (c *httpConn) Read(b []byte) (int, error) {
	if len(c.prefix) > 0 {
		n := copy(b, c.prefix)
		if c.prefix = c.prefix[n:]; len(c.prefix) == 0 {
			c.in = nil
		}
		return n, nil
	}
	n, err := c.Conn.Read(b)
	c.peer.moved.Add(int64(n))
	return n, err
}

// How net/http refuses a header that is too large, all of it in one write, and how AWS
// does. No handler's answer is the former: it would have a date.
const (
	headerTooLarge = "HTTP/1.1 431 Request Header Fields Too Large" + plainClosing + "431 Request Header Fields Too Large"
	badRequest     = "HTTP/1.1 400 Bad Request\r\nContent-Length: 15" + plainClosing + "400 Bad Request"
	plainClosing   = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
)

// Write gives up on a caller who takes nothing of a piece for WriteTime. The limit is on the piece, not on the answer: a slow
// reader gets it whole, and a stream of records may go on for days.
func (c *httpConn) Write(b []byte) (written int, err error) {
	switch {
	case len(b) == len(headerTooLarge) && string(b) == headerTooLarge:
		_, err := c.write([]byte(badRequest))
		return len(b), err
	case isRefusal(b):
		// net/http closes at once. With more of what it could not read on the way, that would take the refusal back.
		written, err = c.write(b)
		c.to(resting, c.door.now()) // it may be evicted
		c.linger()
		return written, err
	}
	return c.write(b)
}

// isRefusal tells what net/http writes about a request that it could not read from handlers' answers, which have a date.
func isRefusal(b []byte) bool {
	return len(b) < 300 && (bytes.HasPrefix(b, []byte("HTTP/1.1 4")) || bytes.HasPrefix(b, []byte("HTTP/1.1 5"))) && bytes.Contains(b, []byte(plainClosing)) && !bytes.Contains(b, []byte("\r\nDate: "))
}

func (c *httpConn) write(b []byte) (written int, err error) {
	for first := true; first || len(b) > 0; first = false {
		if err := c.SetWriteDeadline(time.Now().Add(c.door.limits.WriteTime)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(b[:min(len(b), piece)])
		written += n
		c.peer.moved.Add(int64(n))
		if err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}

// CloseWrite is called when an answer ends while the caller is still sending: it waits a while for the end of that, since the
// answer might be lost to a reset.
func (c *httpConn) CloseWrite() error {
	c.linger()
	return nil
}

func (c *httpConn) Close() error {
	c.close()
	return nil
}

// passed is the listener of what is handed over.
type passed struct{ *Door }

func (p passed) Accept() (net.Conn, error) {
	select {
	case c := <-p.over:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p passed) Addr() net.Addr { return p.listener.Addr() }

func (p passed) Close() error {
	p.endOnce.Do(func() { close(p.ended) })
	return nil
}

// handOver gives the connection to net/http, with what was read and not used.
func (c *conn) handOver() {
	h := &httpConn{conn: c, prefix: c.in[c.r:c.w]}
	if !c.to(resting, c.door.now()) {
		c.close()
		return
	}
	select {
	case c.door.over <- h:
	case <-c.door.ended:
		c.close()
	}
}

// peerKey is the key of a connection's Peer in the contexts of its requests.
type peerKey struct{}

// PeerOf returns the other end of the connection from which net/http has a request with this context; nil when it came by none.
func PeerOf(ctx context.Context) *Peer {
	p, _ := ctx.Value(peerKey{}).(*Peer)
	return p
}

// hook has net/http tell what its connections are doing, and tells it of TLS, which it does not see behind the door.
func hook(s *http.Server) {
	s.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		c := nc.(*httpConn)
		c.peer.tls, _ = c.Conn.(*tls.Conn)
		return context.WithValue(ctx, peerKey{}, &c.peer)
	}
	handler := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := PeerOf(r.Context()); p != nil && p.tls != nil {
			state := p.tls.ConnectionState()
			r.TLS = &state
		}
		handler.ServeHTTP(w, r)
	})
	s.ConnState = func(nc net.Conn, state http.ConnState) {
		c := nc.(*httpConn).conn
		switch state {
		case http.StateActive:
			if !c.to(handed, c.door.now()) {
				// It was ended for a newcomer just now: to its caller an idle connection was closed, on which nothing ran. net/http
				// calls this on the connection's goroutine before the handler, recovers from this panic, and ends the connection.
				panic(http.ErrAbortHandler)
			}
		case http.StateHijacked:
			c.to(handed, c.door.now())
		case http.StateIdle:
			c.to(resting, c.door.now())
		}
	}
}
