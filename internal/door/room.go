package door

import (
	"context"
	"crypto/tls"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// SmallBody is the size in bytes up to which bodies and answers hold no room: the bound on requests bounds them.
const SmallBody = 64 << 10

// Those who hold room while others wait for it must send or take leastRate bytes a second, over leastWindow. The window is
// shorter than others wait, and longer than the kernel takes to tell of what a reader of 96 KB a second has taken: it tells
// by some 110 KB (see sendBuffer).
const (
	leastRate   = 32 << 10
	leastWindow = 1500 * time.Millisecond
	lookEvery   = 100 * time.Millisecond
)

// Peer is the other end of a connection, as far as it holds room. Its methods may be called on nil, which is a caller
// without a connection.
type Peer struct {
	moved      atomic.Int64 // bytes sent and taken of what is large
	exchanging atomic.Bool  // the peer is waited for
	cut        func()       // ends the connection
	addr       netip.Addr   // zero: it has none, as a socket of the file system

	tls *tls.Conn // nil: it speaks none, or net/http has not been given the connection
}

// Addr is the peer's address; the zero one when it has none.
func (p *Peer) Addr() netip.Addr {
	if p == nil {
		return netip.Addr{}
	}
	return p.addr
}

// Exchange says that the peer is waited for from now on, to send or to take, and returns what ends that.
func (p *Peer) Exchange() (end func()) {
	if p == nil {
		return func() {}
	}
	p.exchanging.Store(true)
	return func() { p.exchanging.Store(false) }
}

// Room is a budget of bytes. Its methods may be called by many goroutines at once, and on nil, which has room for all.
type Room struct {
	size int64
	wait time.Duration

	mu      sync.Mutex
	free    int64 // below 0 when something turned out larger than what was taken for it
	queue   []*waiter
	holders map[*Held]struct{}
	looking bool // look will be called
}

type waiter struct {
	held  *Held
	ready chan struct{}
}

// Held is a part of a room. The zero of *Held holds nothing.
type Held struct {
	room  *Room
	peer  *Peer
	bytes int64

	marked time.Time // since when, and from which count on, the peer's rate is measured
	mark   int64
}

// NewRoom returns a room of so many bytes; who finds none free waits for it at most so long.
func NewRoom(bytes int64, wait time.Duration) *Room {
	return &Room{size: bytes, wait: wait, free: bytes, holders: make(map[*Held]struct{})}
}

// Take takes n bytes, or all of the room when it is smaller, on behalf of peer. When nothing became free in time, or ctx
// ended, ok is false.
func (r *Room) Take(ctx context.Context, peer *Peer, n int64) (h *Held, ok bool) {
	if r == nil || n <= 0 {
		return nil, true
	}
	h = &Held{room: r, peer: peer, bytes: min(n, r.size)}
	r.mu.Lock()
	if len(r.queue) == 0 && r.free >= h.bytes {
		r.admit(h)
		r.mu.Unlock()
		return h, true
	}
	w := &waiter{h, make(chan struct{})}
	r.queue = append(r.queue, w)
	r.watch()
	r.mu.Unlock()

	enough := time.NewTimer(r.wait)
	defer enough.Stop()
	select {
	case <-w.ready:
		return h, true
	case <-enough.C:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.queue, w)
	if i < 0 { // it was admitted at this moment
		return h, true
	}
	r.queue = slices.Delete(r.queue, i, i+1)
	r.serve() // those behind may need less
	return nil, false
}

// TakeNow is Take for what is there already and cannot wait: ok is false when too little is free, unless it is owed, which
// takes what is not there. It passes those who wait. What is larger than the room has it when all of it is free.
func (r *Room) TakeNow(peer *Peer, n int64, owed bool) (h *Held, ok bool) {
	if r == nil || n <= 0 {
		return nil, true
	}
	h = &Held{room: r, peer: peer, bytes: n}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !owed && r.free < min(n, r.size) {
		return nil, false
	}
	r.admit(h)
	r.watch()
	return h, true
}

// wanted reports whether more is asked for than there is; the lock is held.
func (r *Room) wanted() bool { return len(r.queue) > 0 || r.free < 0 }

// watch has look called from now on when room is wanted; the lock is held.
func (r *Room) watch() {
	if r.looking || !r.wanted() {
		return
	}
	r.looking = true
	for h := range r.holders { // how they did while nobody wanted it does not count
		h.markNow()
	}
	time.AfterFunc(lookEvery, r.look)
}

// markNow measures the peer's rate from now on.
func (h *Held) markNow() {
	h.marked = time.Now()
	if h.peer != nil {
		h.mark = h.peer.moved.Load()
	}
}

// admit makes h a holder; the lock is held.
func (r *Room) admit(h *Held) {
	r.free -= h.bytes
	h.markNow()
	r.holders[h] = struct{}{}
}

// serve admits those at the head of the queue for whom there is room; the lock is held.
func (r *Room) serve() {
	for len(r.queue) > 0 && r.free >= r.queue[0].held.bytes {
		w := r.queue[0]
		r.queue = r.queue[1:]
		r.admit(w.held)
		close(w.ready)
	}
}

// look ends the connections of those who hold room and do not come up to the least rate, again and again while more is wanted
// than there is.
func (r *Room) look() {
	r.mu.Lock()
	if r.looking = r.wanted(); !r.looking {
		r.mu.Unlock()
		return
	}
	time.AfterFunc(lookEvery, r.look)
	now := time.Now()
	var slow []*Peer
	for h := range r.holders {
		if h.peer == nil || h.peer.cut == nil {
			continue
		}
		if !h.peer.exchanging.Load() {
			h.markNow()
			continue
		}
		window := now.Sub(h.marked)
		if window < leastWindow {
			continue
		}
		if float64(h.peer.moved.Load()-h.mark) < leastRate*window.Seconds() {
			slow = append(slow, h.peer)
		}
		h.markNow()
	}
	r.mu.Unlock()
	for _, p := range slow {
		if p.exchanging.Load() { // it may have ended just now
			p.cut()
		}
	}
}

// Resize makes what is held n bytes, whether there is room for more or not: it is known only now how much it is.
func (h *Held) Resize(n int64) {
	if h == nil {
		return
	}
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	h.room.free += h.bytes - n
	h.bytes = n
	h.room.serve()
	h.room.watch()
}

// Release gives back what is held.
func (h *Held) Release() {
	if h == nil {
		return
	}
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	delete(h.room.holders, h)
	h.room.free += h.bytes
	h.bytes = 0
	h.room.serve()
}
