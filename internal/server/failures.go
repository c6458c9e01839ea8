package server

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// maxFailures is how many requests a second that are not signed right an address beyond this machine may send. Who sends more is
// turned away unchecked until it has been quiet, so that keys cannot be tried at the speed of the server.
const maxFailures = 20

// failures counts them: a bucket of maxFailures for each address, an address of version 6 by the 64 bits that are a network's. There is a fixed
// number of buckets, by hash; of two addresses that meet in one the later takes it, anew. The zero value is ready for use, by
// many goroutines at once.
type failures struct {
	some    atomic.Bool // there was one ever: as a rule there was none, and this is all that is looked at
	buckets [1024]failureBucket
}

// retryFailures is what an address is told to wait that has none left.
const retryFailures = time.Second

type failureBucket struct {
	mu   sync.Mutex // guards what follows
	from netip.Addr
	left float64 // as of at
	at   time.Time
}

var failureSeed = maphash.MakeSeed()

// of is the bucket of an address, locked; nil for one on this machine, or none: a proxy there speaks for many.
func (f *failures) of(from netip.Addr, now time.Time) *failureBucket {
	from = from.Unmap()
	if !from.IsValid() || from.IsLoopback() {
		return nil
	}
	if from.Is6() {
		network, err := from.WithZone("").Prefix(64)
		if err != nil {
			return nil
		}
		from = network.Addr()
	}
	b := &f.buckets[maphash.Comparable(failureSeed, from)%uint64(len(f.buckets))]
	b.mu.Lock()
	if b.from != from {
		b.from, b.left, b.at = from, maxFailures, now
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.left, b.at = min(maxFailures, b.left+passed.Seconds()*maxFailures), now
	}
	return b
}

// failed counts one.
func (f *failures) failed(from netip.Addr, now time.Time) {
	if b := f.of(from, now); b != nil {
		b.left = max(b.left-1, 0)
		b.mu.Unlock()
		f.some.Store(true)
	}
}

// over reports whether an address has no more left.
func (f *failures) over(from netip.Addr, now func() time.Time) bool {
	if !f.some.Load() {
		return false
	}
	b := f.of(from, now())
	if b == nil {
		return false
	}
	defer b.mu.Unlock()
	return b.left < 1
}
