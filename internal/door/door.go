package door

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Entry is what a handler decides on a request when its head is there.
type Entry byte

const (
	Taken     Entry = iota
	Elsewhere       // net/http is to serve this connection
	Refused         // the answer is there
)

// Handler answers requests of the door's kind. Its methods are called by many connections at once.
type Handler interface {
	// Enter lets a request in, whose head is there. Of what is refused the reply has its body only, and no head room.
	Enter(*Request) (Entry, Reply)
	// Answer answers a request that was let in. The body of the reply is appended to dst, which may be grown.
	Answer(r *Request, dst []byte) Reply
	// Leave ends a request that was let in: its answer has been written as far as the caller takes it. reply is nil when the body
	// has not arrived.
	Leave(r *Request, reply *Reply, began time.Time)
}

// Limits bound what connections may do; all must be set.
type Limits struct {
	Connections int
	HeaderTime  time.Duration // for a head
	BodyTime    time.Duration // for a body
	IdleTime    time.Duration // between requests
	WriteTime   time.Duration // without a piece of an answer being taken
}

// Door serves the connections of one listener.
type Door struct {
	listener net.Listener
	handler  Handler
	limits   Limits
	began    time.Time
	over     chan net.Conn // to net/http
	freed    chan struct{} // a connection has ended; holds one

	stopped atomic.Bool
	ended   chan struct{} // net/http takes no more
	endOnce sync.Once

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// New returns a door on a listener. Without a handler, net/http has all connections.
func New(ln net.Listener, h Handler, l Limits) *Door {
	return &Door{
		listener: ln, handler: h, limits: l, began: time.Now(),
		over: make(chan net.Conn), freed: make(chan struct{}, 1), ended: make(chan struct{}), conns: make(map[*conn]struct{}),
	}
}

// Connections is how many stand now.
func (d *Door) Connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

func (d *Door) now() time.Duration { return time.Since(d.began) }

func (d *Door) running() bool { return !d.stopped.Load() }

// Serve serves the listener's connections until ctx ends, with s for what is not ours. Then it calls ending, waits until the
// requests under way have ended, for at most grace, and returns: with nil, or context.DeadlineExceeded when some have not.
// Nobody's requests wait for another's: net/http begins none from then on, while ours end.
func (d *Door) Serve(ctx context.Context, s *http.Server, grace time.Duration, ending func()) error {
	hook(s)
	failed := make(chan error, 2)
	var all sync.WaitGroup
	watch, stopWatch := context.WithCancel(context.Background())
	all.Go(func() { d.watch(watch) })
	all.Go(func() { failed <- d.accept() })
	all.Go(func() { failed <- s.Serve(passed{d}) })
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		ending()
	}
	d.stopped.Store(true)
	closeErr := d.listener.Close()
	graced, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- d.drain(graced) }()
	late := s.Shutdown(graced)
	if late != nil {
		late = errors.Join(late, s.Close())
	}
	late = errors.Join(late, <-drained)
	_ = passed{d}.Close() // always nil
	d.closeAll()
	stopWatch()
	all.Wait()
	switch {
	case err != nil:
		return err
	case errors.Is(late, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return errors.Join(late, closeErr)
}

// sendBuffer is what the kernel is asked to keep at most of an answer that has not been taken, in bytes; Linux takes twice
// that. It tells of progress only when a third of its buffer has become free. It would let the buffer grow to 4 MB, so that
// somebody who reads 400 KB each second would be seen to take nothing for three seconds.
const sendBuffer = 64 << 10

// accept takes connections until the listener is closed.
func (d *Door) accept() error {
	for pause := time.Duration(0); ; {
		nc, err := d.listener.Accept()
		if err != nil {
			var passing interface{ Temporary() bool }
			if !errors.As(err, &passing) || !passing.Temporary() {
				return err
			}
			// No descriptor is free: who has been idle longest gives up its own.
			d.mu.Lock()
			idle, seen := d.idlest()
			d.mu.Unlock()
			if idle != nil && idle.end(seen) {
				idle.leaves()
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			time.Sleep(pause)
			continue
		}
		pause = 0
		if b, ok := nc.(interface{ SetWriteBuffer(int) error }); ok {
			_ = b.SetWriteBuffer(sendBuffer) // it is broken: its first read says so
		}
		c := &conn{Conn: nc, door: d}
		c.phase.Store(heading.at(d.now()))
		c.peer.cut = func() { _ = nc.Close() }
		if from, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
			c.peer.addr = from.Addr()
		}
		if !d.enter(c) {
			_ = nc.Close()
			return net.ErrClosed
		}
		go c.serve()
	}
}

// leastIdle is for how long a connection must have been idle to make room for another.
const leastIdle = time.Second

// enter gives a connection a place. When all are taken, the one that has been idle longest gives up its own; when none has,
// the newcomer waits.
func (d *Door) enter(c *conn) bool {
	for d.running() {
		d.mu.Lock()
		if len(d.conns) < d.limits.Connections {
			d.conns[c] = struct{}{}
			d.mu.Unlock()
			return true
		}
		oldest, seen := d.idlest()
		d.mu.Unlock()
		if oldest != nil && oldest.end(seen) {
			oldest.leaves()
			continue
		}
		again := time.NewTimer(leastIdle / 10)
		select {
		case <-d.freed:
		case <-again.C:
		}
		again.Stop()
	}
	return false
}

// idlest returns the connection that has been without a request longest; the lock is held.
func (d *Door) idlest() (oldest *conn, seen phase) {
	latest := d.now() - leastIdle
	for c := range d.conns {
		p := phase(c.phase.Load())
		switch p & phases {
		case waiting, heading, resting:
			if since := p.since(); since <= latest {
				oldest, seen, latest = c, p, since
			}
		}
	}
	return oldest, seen
}

// leaves gives a connection's place back, once.
func (c *conn) leaves() {
	c.left.Do(func() {
		d := c.door
		d.mu.Lock()
		delete(d.conns, c)
		d.mu.Unlock()
		select {
		case d.freed <- struct{}{}:
		default:
		}
	})
}

// watch ends connections that take too long, until ctx ends.
func (d *Door) watch(ctx context.Context) {
	every := min(time.Second, max(min(d.limits.HeaderTime, d.limits.BodyTime, d.limits.IdleTime, d.limits.WriteTime)/4, 5*time.Millisecond))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.look()
		}
	}
}

func (d *Door) look() {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		p := phase(c.phase.Load())
		since := p.since()
		limit := d.limits.IdleTime
		switch p & phases {
		case waiting:
		case heading:
			limit = d.limits.HeaderTime
		case sending:
			limit = d.limits.BodyTime
		case taking:
			limit = d.limits.WriteTime
			if moved := c.peer.moved.Load(); moved != c.moved {
				c.moved, c.movedAt = moved, now
			}
			since = max(since, c.movedAt)
		default: // it is worked for, or net/http's
			continue
		}
		if now-since > limit {
			c.end(p)
		}
	}
}

// drain ends the connections that wait for a request, and waits until the others of ours have ended.
func (d *Door) drain(ctx context.Context) error {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		busy := 0
		d.mu.Lock()
		for c := range d.conns {
			p := phase(c.phase.Load())
			switch p & phases {
			case waiting, heading:
				if c.end(p) {
					continue
				}
				busy++
			case sending, working, taking:
				busy++
			}
		}
		d.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}

// closeAll ends all connections.
func (d *Door) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		_ = c.Conn.Close()
	}
}
