package lane

import (
	"container/heap"
	"sync/atomic"
)

// heldKey is an item key that has held rows. Its budget is that of the first row.
type heldKey struct {
	hash   uint64
	rows   int      // set aside and not ended
	stored int      // of them durable
	next   AsideKey // no held row of the key is before it
	batch  int      // rows in the next attempt, at most
	budget
	busy    bool // a call of it is under way, or was abandoned and has not returned
	lowered bool // next was set back during the call
	waits   int  // Machines that may still have records of it with the function (see Ask)
	turn    uint64
	place   int // in due; -1: not there
}

// passed moves a key on behind a row that has ended.
func (h *heldKey) passed(r *SetAside) {
	h.rows--
	h.stored--
	if !h.lowered {
		h.next = r.AsideKey.After()
	}
}

// key returns the held key of a row, made when there is none. The caller holds mu.
func (a *Aside) key(k AsideKey) *heldKey {
	h := a.keys[k.Hash]
	if h == nil {
		h = &heldKey{hash: k.Hash, next: k, batch: 1, place: -1}
		a.keys[k.Hash] = h
		a.holds.Store(int64(len(a.keys)))
		a.keyAdded(k.Hash)
	}
	if k.Compare(h.next) < 0 {
		h.next, h.lowered = k, h.busy
	}
	return h
}

// takes reports whether the records of a key are to go aside. Every record that is read is asked
// for, so most keys are told free without the lock.
func (a *Aside) takes(hash uint64) bool {
	v := a.sieve.Load()
	if v == nil {
		return false
	}
	if word, bit := v.place(hash); word.Load()&bit == 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keys[hash] != nil || a.slow[hash]
}

// takesAny reports whether records of some key are to go aside.
func (a *Aside) takesAny() bool { return a.sieve.Load() != nil }

// sieve has bits set for the keys that are held or slow, and perhaps for others. Bits are not
// cleared before no key is.
type sieve [1 << 10]atomic.Uint64

func (v *sieve) place(hash uint64) (word *atomic.Uint64, bit uint64) {
	return &v[hash>>54], 1 << (hash >> 48 & 63)
}

// keyAdded notes that a key was added to keys or to slow. The caller holds mu.
func (a *Aside) keyAdded(hash uint64) {
	v := a.sieve.Load()
	if v == nil {
		v = new(sieve)
		a.sieve.Store(v)
	}
	word, bit := v.place(hash)
	word.Or(bit)
	a.gains.Add(1) // last: whoever sees the new number sees the bit
}

// keyGone notes that a key was removed from keys or from slow. The caller holds mu.
func (a *Aside) keyGone() {
	a.holds.Store(int64(len(a.keys)))
	if len(a.keys) == 0 && len(a.slow) == 0 {
		a.sieve.Store(nil)
	}
}

// enqueue puts a key into the queue of those that may be tried, if it may. The caller
// holds mu.
func (a *Aside) enqueue(h *heldKey) {
	if h.place >= 0 || h.busy || h.waits > 0 || h.stored == 0 {
		return
	}
	a.turn++
	h.turn = a.turn
	heap.Push(&a.due, h)
}

// keyQueue is a heap of keys by the moment of their next attempt, then by turn.
type keyQueue []*heldKey

func (q keyQueue) Len() int { return len(q) }
func (q keyQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].turn < q[j].turn
}
func (q keyQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *keyQueue) Push(x any) {
	h := x.(*heldKey)
	h.place = len(*q)
	*q = append(*q, h)
}
func (q *keyQueue) Pop() any {
	old := *q
	h := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	h.place = -1
	return h
}
