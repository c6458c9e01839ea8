package lane

import (
	"sync"
	"sync/atomic"
	"time"
)

// A record goes aside when its key waits for attempts of its own (held), when it was given up and the
// on-failure destination could not be told at once (telling), or when it was given up and waits for
// a person (parked). It is stored whole, in the batch that stores the position behind it. So at
// every moment a record that the position covers has ended or has a row.
//
// The Machines of a mapping's shards put records in; the Aside brings them to an end. Three rules
// keep the order of a key:
//
//   - While a key has a held row, Machines put the key's later records behind it, whatever
//     shard they are in. They look and put under the lock under which the last row ends.
//   - A row is tried only once it is stored, and read back for it. So a removal is
//     always stored after the row.
//   - The removal of a row is stored no later than a position behind a record that was
//     delivered because the key was free. Whoever stores takes the positions first (TakeChanges
//     of the Machines), then what the Aside has to store.
//
// Memory: a few words for each held key and each row that a destination is to be told of, but no
// record; and 8 KB while any key is held.

// asideLimits bound what a mapping may set aside.
type asideLimits struct {
	records int
	bytes   int64
	age     time.Duration // of held and parked records
	// unsaved bounds, in bytes, what one Machine has put aside and is not stored.
	unsaved int
}

var defaultAsideLimits = asideLimits{records: 100_000, bytes: 1 << 30, age: 14 * 24 * time.Hour, unsaved: 8 << 20}

// MaxCause is the depth of function-made writes at which a record is parked, as AWS
// stops loops of functions.
const MaxCause = 16

// Aside is what one mapping has set aside: a pure state machine. Its methods may be called at once.
type Aside struct {
	// These three are looked at without the lock.
	holds atomic.Int64          // len(keys)
	gains atomic.Uint32         // how often a key was added to keys or to slow
	sieve atomic.Pointer[sieve] // of both; nil while both are empty

	// mu guards what follows. It is taken inside a Machine's step, and held for moments only.
	mu      sync.Mutex
	p       Params
	jitter  func() float64
	limits  asideLimits
	running bool
	drain   bool
	shared  bool // another may have changed rows, see Share

	keys  map[uint64]*heldKey
	slow  map[uint64]bool // items whose records go aside, by hash
	tempo tempo
	due   keyQueue // keys that wait for their next attempt, and may have one
	turn  uint64
	pause time.Duration // no attempt before, after one has failed
	count [4]int        // rows by kind
	bytes int64
	full  bool // somebody was refused for lack of room

	tell      []*group // rows of kind Telling, the next ones first
	tellAt    time.Duration
	tellFails int
	loading   map[AsideKey]*group // by the group's key; nil once the machine has started

	sweepAt  time.Duration
	calls    map[uint64]*asideCall
	lastCall uint64
	timerAt  time.Duration

	changes  []AsideChange
	unstored map[AsideKey]int // changes of what a row is that are not known to be stored
	waiting  []waitingStored
	counters Counters
}

// NewAside returns one with nothing in it, which does nothing until Start. jitter returns random
// numbers in [0, 1).
func NewAside(jitter func() float64) *Aside { return newAside(defaultAsideLimits, jitter) }

func newAside(limits asideLimits, jitter func() float64) *Aside {
	return &Aside{
		jitter: jitter, limits: limits, keys: map[uint64]*heldKey{}, slow: map[uint64]bool{}, calls: map[uint64]*asideCall{},
		unstored: map[AsideKey]int{}, loading: map[AsideKey]*group{}, timerAt: never, sweepAt: never,
	}
}

// Load adds stored rows, before the first Start. Their events are not looked at.
func (a *Aside) Load(rows []SetAside) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range rows {
		r := &rows[i]
		a.add(r, 1)
		switch r.Kind {
		case Held:
			h := a.key(r.AsideKey)
			if h.rows == 0 {
				h.attempts, h.fails, h.since, h.err = r.Attempts, r.Attempts, r.Since, r.Error
			}
			h.rows++
			h.stored++
			a.enqueue(h)
		case Telling:
			a.toTell(r)
		}
	}
}

// Share has the machine look out for rows that somebody else has changed: the owner before this one, whose last changes may be stored after the rows
// were loaded. It asks for a Vanished then, to be made anew.
func (a *Aside) Share() { a.shared = true }

// add counts a row, or with n -1 no longer.
func (a *Aside) add(r *SetAside, n int) {
	a.count[r.Kind] += n
	a.bytes += int64(n) * r.cost()
}

// put sets records of a shard aside. It is refused when the limits do not allow it. The changes
// are the caller's to store, with its position.
func (a *Aside) put(now Instant, shard string, entries []entry, kind AsideKind, l *Loss) (changes []AsideChange, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := int64(0)
	for i := range entries {
		size += int64(len(entries[i].rec.Event())) + asideOverhead
	}
	if n := a.count[Held] + a.count[Telling] + a.count[Parked]; n+len(entries) > a.limits.records || a.bytes+size > a.limits.bytes {
		a.full = true
		return nil, false
	}
	for i := range entries {
		r := newSetAside(entries[i].rec, shard, kind, now.stamp(), l)
		a.add(r, 1)
		a.unstored[r.AsideKey]++
		switch kind {
		case Held:
			a.counters.Held++
			h := a.key(r.AsideKey)
			if h.rows == 0 && r.Attempts > 0 {
				h.budget = budget{r.Attempts, trouble{fails: 1, since: now.Wall, err: r.Error, at: now.Mono + backoff(1, maxBackoff, a.jitter)}}
			} else if h.rows == 0 {
				h.since, h.err = now.Wall, "calls with this item take much longer than others"
			}
			h.rows++
		case Parked:
			a.counters.Parked++
		}
		changes = append(changes, AsideChange{Key: r.AsideKey, Put: r, New: true})
	}
	return changes, true
}

// Asked tells how many Machines are asked to have a key go aside.
func (a *Aside) Asked(hash uint64, machines int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.keys[hash]; h != nil {
		h.waits += machines
	}
}

// granted tells that one of them has no record of the key with the function (any more).
func (a *Aside) granted(hash uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.keys[hash]; h != nil && h.waits > 0 {
		h.waits--
		a.enqueue(h)
	}
}

// TakeChanges returns what is to be stored. It is the caller's: it calls Step with Stored when it is
// stored, or else PutBack.
func (a *Aside) TakeChanges() []AsideChange {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.changes
	a.changes = nil
	return c
}

// PutBack returns changes that could not be stored.
func (a *Aside) PutBack(c []AsideChange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changes = append(c, a.changes...)
}

// Stage returns the removals of the rows that a Transact or a Deliver is about, to be stored with its writes. ok is
// false when the call was abandoned.
func (a *Aside) Stage(batch uint64) (removed []AsideChange, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.calls[batch]
	if c == nil || c.abandoned {
		return nil, false
	}
	for i := range c.rows {
		removed = append(removed, AsideChange{Key: c.rows[i].AsideKey})
	}
	return removed, true
}

// Apply notes that the rows of a staged call are removed: the writes and the removals are made.
func (a *Aside) Apply(batch uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.calls[batch]
	c.applied = true
	for i := range c.rows {
		a.add(&c.rows[i], -1)
		if c.key != nil {
			c.key.passed(&c.rows[i])
		}
	}
}
