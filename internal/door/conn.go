package door

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// phase is what a connection is doing, and since when; one word, so that the watch ends a connection only while it is still
// doing what it was seen doing.
type phase int64

const (
	cut     phase = iota // ended by the watch
	waiting              // for the next request
	heading              // for the rest of a head, or for the first one
	sending              // the peer sends a body
	working              // a request is being answered
	taking               // the peer takes an answer
	handed               // net/http serves it
	resting              // net/http waits for the next request

	phases phase = 7 // mask
)

// at makes a phase that began at a time, which is counted from the door's beginning.
func (p phase) at(now time.Duration) int64 { return int64(now)&^int64(phases) | int64(p) }

func (p phase) since() time.Duration { return time.Duration(p &^ phases) }

// conn is a connection. Its goroutine answers what is ours, until net/http has it.
type conn struct {
	net.Conn
	door  *Door
	phase atomic.Int64
	peer  Peer

	in    []byte // what has been read
	r, w  int    // the part of in that has not been used
	least int    // bytes of a next request, below which the end of the connection is no mistake; net/http has it so
	req   Request
	left  sync.Once

	// The watch's own: how far the peer had come when it was last seen to come on.
	moved   int64
	movedAt time.Duration
}

// leastNext is the value of conn.least behind a first request.
const leastNext = 4

// inSize is the size of in: larger heads are net/http's.
const inSize = 4 << 10

// to changes the phase; it returns false when the watch has ended the connection.
func (c *conn) to(next phase, now time.Duration) bool {
	old := c.phase.Load()
	return phase(old)&phases != cut && c.phase.CompareAndSwap(old, next.at(now))
}

// end ends a connection that is still in the phase in which it was seen.
func (c *conn) end(seen phase) bool {
	if !c.phase.CompareAndSwap(int64(seen), int64(cut)) {
		return false
	}
	_ = c.Conn.Close() // its goroutine meets that, and gives its place back
	return true
}

// close ends a connection and gives its place back.
func (c *conn) close() {
	_ = c.Conn.Close()
	c.leaves()
}

// serve answers requests one after the other.
func (c *conn) serve() {
	defer func() {
		// The handler has taken note of a panic; this is its way to break the connection off.
		if value := recover(); value != nil {
			c.close()
			if value != http.ErrAbortHandler {
				panic(value)
			}
		}
	}()
	if c.door.handler == nil {
		c.handOver()
		return
	}
	c.in = make([]byte, inSize)
	for c.one() {
	}
}

// one answers a request; it returns false when there will be no further one here.
func (c *conn) one() bool {
	n, ok := c.readHead()
	if !ok {
		return false
	}
	began := time.Now()
	c.least = leastNext
	now := began.Sub(c.door.began)
	if !c.to(working, now) {
		c.close()
		return false
	}
	switch entry, refusal := c.door.handler.Enter(&c.req); entry {
	case Elsewhere:
		c.handOver()
		return false
	case Refused:
		return c.refuse(&refusal, n, now)
	}
	body, ok := c.readBody(n, now)
	if !ok {
		c.door.handler.Leave(&c.req, nil, began)
		return false
	}
	out := getBuffer(headRoom)
	reply := c.door.handler.Answer(&c.req, (*out)[:headRoom])
	putBuffer(body)
	reply.Close = reply.Close || !c.door.running()
	ok = c.write(&reply, time.Now())
	c.door.handler.Leave(&c.req, &reply, began)
	if cap(reply.Body) == pageBuffer {
		putBuffer(&reply.Body)
	} else {
		*out = reply.Body
	}
	putBuffer(out)
	if ok && reply.Close {
		c.linger() // its next request may be there already
	}
	if !ok || reply.Close || !c.to(waiting, c.door.now()) {
		c.close()
		return false
	}
	return true
}

// readHead reads a request's head, n bytes at c.r. ok is false when the connection has ended here.
func (c *conn) readHead() (n int, ok bool) {
	for {
		if c.r < c.w {
			n, v := c.req.read(c.in[c.r:c.w])
			if v == over && c.leavesOut() {
				continue
			}
			switch {
			case v == ours:
				c.req.Peer = &c.peer
				return n, true
			case v == over && c.w-c.r >= c.least, c.w-c.r == len(c.in):
				c.handOver()
				return 0, false
			}
			if phase(c.phase.Load())&phases == waiting {
				c.to(heading, c.door.now())
			}
		}
		if c.r > 0 {
			c.w = copy(c.in, c.in[c.r:c.w])
			c.r = 0
		}
		got, err := c.Conn.Read(c.in[c.w:])
		c.w += got
		if err != nil && got == 0 {
			if err == io.EOF && c.w > 0 && c.w >= c.least {
				c.handOver() // half a head: net/http says what it says to that
			} else {
				c.close()
			}
			return 0, false
		}
	}
}

// leavesOut leaves out ends of lines behind a request: some clients send one behind the body of a POST, and net/http
// forgives them as many as there are in the next four bytes. It returns false when there is none.
func (c *conn) leavesOut() bool {
	if c.least == 0 || c.w-c.r < c.least {
		return false
	}
	n := 0
	for n < c.least && (c.in[c.r+n] == '\r' || c.in[c.r+n] == '\n') {
		n++
	}
	if n == 0 {
		return false
	}
	c.r, c.least = c.r+n, 0 // what follows is read like a first request
	return true
}

// readBody reads the body behind the n bytes of the head. whole is the buffer that holds it if it is not c.in. ok is false
// when the connection has ended here.
func (c *conn) readBody(n int, now time.Duration) (whole *[]byte, ok bool) {
	start, length := c.r+n, c.req.length
	if c.w-start >= length {
		c.req.Body = c.in[start : start+length]
		c.r = start + length
		return nil, true
	}
	whole = getBuffer(n + length) // with the head, for net/http if the body ends early
	have := copy(*whole, c.in[c.r:c.w])
	c.to(sending, now)
	c.peer.exchanging.Store(true)
	defer c.peer.exchanging.Store(false)
	for have < len(*whole) {
		got, err := c.Conn.Read((*whole)[have:min(len(*whole), have+piece)])
		have += got
		c.peer.moved.Add(int64(got))
		switch {
		case got > 0 || err == nil:
		case err == io.EOF:
			c.in, c.r, c.w = *whole, 0, have
			c.handOver()
			return nil, false
		default:
			putBuffer(whole)
			c.close()
			return nil, false
		}
	}
	c.r, c.w = 0, 0 // what the head was read from stays as it is until the next read
	c.req.Body = (*whole)[n:]
	if !c.to(working, now) {
		c.close()
		return nil, false
	}
	return whole, true
}

// discardBody throws away the body behind the n bytes of the head, by the piece, since a refused request has no place and is
// not to take memory. whole is false when the peer has ended it early. ok is false when the connection has ended here.
func (c *conn) discardBody(n int, now time.Duration) (whole, ok bool) {
	end := c.r + n + c.req.length
	if end <= c.w {
		c.r = end
		return true, true
	}
	left := end - c.w
	c.r, c.w = 0, 0
	c.to(sending, now)
	for left > 0 {
		got, err := c.Conn.Read(c.in[:min(left, len(c.in))])
		left -= got
		switch {
		case got > 0 || err == nil:
		case err == io.EOF:
			return false, true
		default:
			c.close()
			return false, false
		}
	}
	return true, true
}

// piece is how much is read and written at once: progress is seen by the piece.
const piece = 64 << 10

// write writes a reply, whose body begins at headRoom.
func (c *conn) write(reply *Reply, now time.Time) bool {
	var room [headRoom]byte
	head := reply.appendHead(room[:0], now, len(reply.Body)-headRoom)
	rest := reply.Body
	if len(head) <= headRoom {
		rest = rest[headRoom-len(head):]
		copy(rest, head)
	} else {
		rest = append(head, rest[headRoom:]...)
	}
	if !c.to(taking, now.Sub(c.door.began)) {
		return false
	}
	if len(rest) > piece || reply.Held != nil {
		c.peer.exchanging.Store(true)
		defer c.peer.exchanging.Store(false)
	}
	for len(rest) > 0 {
		n, err := c.Conn.Write(rest[:min(len(rest), piece)])
		if err != nil {
			return false
		}
		if rest = rest[n:]; len(rest) > 0 {
			c.peer.moved.Add(int64(n))
		}
	}
	return true
}

// lingerTime is how long a caller who is still sending is listened to, after the answer, before the connection ends. A
// connection that is closed with unread bytes is reset, which takes the answer back from who has not read it yet.
const lingerTime = 2 * time.Second

// linger says that nothing more will be sent, and reads what still comes.
func (c *conn) linger() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	if c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.Copy(io.Discard, c.Conn) // an end, a reset or the deadline
	}
}

// refuse answers a request whose body is not looked at.
func (c *conn) refuse(reply *Reply, n int, now time.Duration) bool {
	reply.Body = append(make([]byte, headRoom, headRoom+len(reply.Body)), reply.Body...)
	if c.req.length <= SmallBody { // it is thrown away, and the connection kept
		whole, ok := c.discardBody(n, now)
		if !ok {
			return false
		}
		reply.Close = !whole
	} else {
		reply.Close = true
	}
	ok := c.write(reply, time.Now())
	if ok && reply.Close {
		c.linger()
	}
	if !ok || reply.Close || !c.to(waiting, c.door.now()) {
		c.close()
		return false
	}
	return true
}
