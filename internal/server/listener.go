package server

import (
	"net"
	"sync"
	"time"
)

// limitedListener accepts at most so many connections at once; a further one
// waits in the kernel's queue until one of them closes.
type limitedListener struct {
	net.Listener
	places    chan struct{}
	closed    chan struct{}
	closeOnce sync.Once
	writeTime time.Duration
}

func limitListener(ln net.Listener, connections int, writeTime time.Duration) *limitedListener {
	return &limitedListener{
		Listener:  ln,
		places:    make(chan struct{}, connections),
		closed:    make(chan struct{}),
		writeTime: writeTime,
	}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitedConn{Conn: conn, listener: l}, nil
}

func (l *limitedListener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitedConn gives its place back when it is closed, and gives up on a caller
// who takes nothing for writeTime. The limit is on each write, not on the answer,
// so that a stream of records may go on for days.
type limitedConn struct {
	net.Conn
	listener *limitedListener
	release  sync.Once
}

// How net/http refuses a header that is too large, all of it in one write, and how AWS
// does. No handler's answer is the former: it would have a date.
const (
	headerTooLarge = "HTTP/1.1 431 Request Header Fields Too Large" + plainClosing + "431 Request Header Fields Too Large"
	badRequest     = "HTTP/1.1 400 Bad Request\r\nContent-Length: 15" + plainClosing + "400 Bad Request"
	plainClosing   = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
)

func (c *limitedConn) Write(b []byte) (int, error) {
	if len(b) == len(headerTooLarge) && string(b) == headerTooLarge {
		_, err := c.write([]byte(badRequest))
		return len(b), err
	}
	return c.write(b)
}

func (c *limitedConn) write(b []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.listener.writeTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// CloseWrite lets net/http end an answer before it closes on a caller who is still
// sending, who else might lose the answer to a reset.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release.Do(func() { <-c.listener.places })
	return err
}
