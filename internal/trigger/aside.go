package trigger

import (
	"bytes"
	"cmp"
	"container/heap"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// What is set aside. A record leaves the sequence of its shard when its key waits for
// retries of its own (held), when an on-failure destination that fails is to be told of it
// later (telling), or when it was given up and waits for a person (parked). It is stored whole
// in the batch that stores the position behind it, so at every moment a record
// that the position covers has ended or has a row.
//
// An Aside is all of it for one mapping: a pure state machine like the lane machine, with
// which it shares what a lock guards. The lane machines of the mapping's shards put
// records in; this machine brings them to an end. Three rules keep the order of a key:
//
//   - While a key has a held row, lane machines put the key's later records behind it, whatever
//     shard they are in. They look and put under the lock under which the last row ends.
//   - A row is tried only once it is stored, and read back for it; so a removal is
//     always stored after the row.
//   - The removal of a row is stored no later than a position behind a record that was
//     delivered because the key was free (see committer).
//
// Memory: a few words for each held key and each row that is to be told, no record; while a key is held, 8 KB.

// AsideKey names a record that is set aside, in the order in which they are kept: the records of
// a key together, by the age of their shards, then in their order.
type AsideKey struct {
	Hash  uint64
	Shard string
	Seq   seqnum.Num
}

// Compare returns -1, 0 or +1.
func (k AsideKey) Compare(o AsideKey) int {
	return cmp.Or(cmp.Compare(k.Hash, o.Hash), strings.Compare(k.Shard, o.Shard), k.Seq.Compare(o.Seq))
}

// after is the place behind a record.
func (k AsideKey) after() AsideKey {
	k.Seq = k.Seq.Next()
	return k
}

// AsideKind says why a record is set aside.
type AsideKind byte

// The kinds; they are stored.
const (
	Held    AsideKind = 1 // waits for its turn; later records of its key wait behind it
	Telling AsideKind = 2 // given up; the on-failure destination is still to be told
	Parked  AsideKind = 3 // given up; waits for a person
)

// SetAside is a record that is set aside.
type SetAside struct {
	AsideKey
	Kind     AsideKind
	Since    int64 // when it became what it is, ms since 1970
	Attempts int   // calls with it that failed, for MaximumRetryAttempts
	Error    string
	// Of what was given up, as in Loss.
	Reason             DropReason
	RequestID, Version string
	Unhandled          bool
	// Group is the number of the first record that was given up with it in this shard: a
	// destination is told of them together.
	Group seqnum.Num
	// Function is the ARN to which a person has sent it; empty: the mapping's.
	Function string

	Time    int64 // of the record, ms since 1970
	Ordinal uint64
	Cause   int
	Keys    string // the item's key, as the event has it
	Size    int    // of Event
	Event   []byte // nil when only the rest was read, or is to be stored
}

// AsideChange is a change of what is stored: a row that is put whole, a row whose head
// (all but the event) is replaced, or, with a nil Put, one that is removed.
type AsideChange struct {
	Key AsideKey
	Put *SetAside
	// New: the row has only now become of its kind.
	New bool
}

// AsideRows are changes of one mapping, in their order.
type AsideRows struct {
	UUID    string
	Changes []AsideChange
}

// asideLimits bound what a mapping may set aside.
type asideLimits struct {
	records int
	bytes   int64
	age     time.Duration // of held and parked records
	// unsaved bounds, in bytes, what one lane machine has put aside and is not stored.
	unsaved int
}

var defaultAsideLimits = asideLimits{records: 100_000, bytes: 1 << 30, age: 14 * 24 * time.Hour, unsaved: 8 << 20}

const (
	// asideOverhead is what a row takes beside its event.
	asideOverhead = 256
	// maxAsideError bounds the stored text of an error.
	maxAsideError = 1024
	// MaxCause is the depth of function-made writes at which a record is parked, as AWS
	// stops loops of functions.
	MaxCause = 16
)

func (r *SetAside) cost() int64 { return int64(r.Size) + asideOverhead }

// Aside is what one mapping has set aside.
type Aside struct {
	holds atomic.Int64          // len(keys), to be looked at without the lock
	gains atomic.Uint32         // how often a key was added to keys or to slow
	sieve atomic.Pointer[sieve] // of both, likewise; nil while both are empty

	// mu guards what follows. It is taken inside a lane machine's step, and held for
	// moments only.
	mu      sync.Mutex
	p       Params
	jitter  func() float64
	limits  asideLimits
	running bool
	drain   bool

	keys  map[uint64]*heldKey
	slow  map[uint64]bool // items whose records go aside, by hash
	tempo tempo
	due   keyQueue // those that wait for their next attempt, and may have one
	turn  uint64
	pause time.Duration // no attempt before, after one has failed
	count [4]int        // rows by kind
	bytes int64
	full  bool // somebody was refused for lack of room

	tell      []*told // rows of kind Telling, the next ones first
	tellAt    time.Duration
	tellFails int
	loading   map[AsideKey]*told // by group; nil once the machine has started

	sweepAt  time.Duration
	calls    map[uint64]*asideCall
	lastCall uint64
	timerAt  time.Duration

	changes  []AsideChange
	unstored map[AsideKey]int // changes of what a row is that are not known to be stored
	counters Counters
}

// heldKey is an item key that has held rows.
type heldKey struct {
	hash     uint64
	rows     int      // set aside and not ended
	stored   int      // of them durable
	next     AsideKey // no held row of the key is before it
	batch    int      // rows in the next attempt, at most
	attempts int      // of the first row
	fails    int      // in a row, for the backoff
	at       time.Duration
	since    int64
	err      string
	busy     bool // a call of it is under way, or was abandoned and has not returned
	lowered  bool // next was set back during the call
	waits    int  // lane machines that have yet to let go of it (see hold)
	turn     uint64
	place    int // in due; -1: not there
}

// told are the rows of kind Telling of one group. They are stored together.
type told struct {
	group AsideKey // its shard and number
	keys  []AsideKey
	since int64
}

// addTold takes a row of kind Telling in. Rows of a group are stored together, and come one after the
// other; but not when they are loaded.
func (a *Aside) addTold(r *SetAside) {
	group := AsideKey{Shard: r.Shard, Seq: r.Group}
	t := a.loading[group]
	if n := len(a.tell); t == nil && a.loading == nil && n > 0 && a.tell[n-1].group == group {
		t = a.tell[n-1]
	}
	if t == nil {
		t = &told{group: group, since: r.Since}
		a.tell = append(a.tell, t)
		if a.loading != nil {
			a.loading[group] = t
		}
	}
	t.keys = append(t.keys, r.AsideKey)
}

func newAside(limits asideLimits, jitter func() float64) *Aside {
	return &Aside{
		jitter: jitter, limits: limits, keys: map[uint64]*heldKey{}, slow: map[uint64]bool{}, calls: map[uint64]*asideCall{},
		unstored: map[AsideKey]int{}, loading: map[AsideKey]*told{}, timerAt: never, sweepAt: never,
	}
}

// load takes stored rows in, at start-up; events are not looked at.
func (a *Aside) load(rows []SetAside) {
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
			a.addTold(r)
		}
	}
}

func (a *Aside) add(r *SetAside, n int) {
	a.count[r.Kind] += n
	a.bytes += int64(n) * r.cost()
}

// key returns the held key of a row, made when there is none. The caller holds mu.
func (a *Aside) key(k AsideKey) *heldKey {
	h := a.keys[k.Hash]
	if h == nil {
		h = &heldKey{hash: k.Hash, next: k, batch: 1, place: -1}
		a.keys[k.Hash] = h
		a.holds.Store(int64(len(a.keys)))
		a.gained(k.Hash)
	}
	if k.Compare(h.next) < 0 {
		h.next, h.lowered = k, h.busy
	}
	return h
}

// sieve tells most keys that are neither held nor slow, without the lock: bits are set for those that are, and
// not cleared before there are none. Every record that is read is asked for.
type sieve [1 << 10]atomic.Uint64

func (v *sieve) place(hash uint64) (word *atomic.Uint64, bit uint64) {
	return &v[hash>>54], 1 << (hash >> 48 & 63)
}

// gained notes that a key was added to keys or to slow. The caller holds mu.
func (a *Aside) gained(hash uint64) {
	v := a.sieve.Load()
	if v == nil {
		v = new(sieve)
		a.sieve.Store(v)
	}
	word, bit := v.place(hash)
	word.Or(bit)
	a.gains.Add(1) // last: who knows the new number sees the bit
}

// lost notes that a key was removed from keys or from slow. The caller holds mu.
func (a *Aside) lost() {
	a.holds.Store(int64(len(a.keys)))
	if len(a.keys) == 0 && len(a.slow) == 0 {
		a.sieve.Store(nil)
	}
}

// has reports whether the records of a key are to go aside.
func (a *Aside) has(hash uint64) bool {
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

// any reports whether records of some key are to go aside.
func (a *Aside) any() bool { return a.sieve.Load() != nil }

// put sets records of a shard aside; it is refused when the limits do not allow it. The changes
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
		rec := entries[i].rec
		r := &SetAside{
			AsideKey: AsideKey{rec.KeyHash(), shard, rec.Seq()}, Kind: kind, Since: now.Wall,
			Time: rec.Time(), Ordinal: rec.Ordinal(), Cause: rec.Cause(), Keys: keysOf(rec), Event: rec.Event(), Size: len(rec.Event()),
		}
		if l != nil {
			r.Reason, r.Attempts, r.Error = l.Reason, l.Attempts, clipError(l.Error)
			r.RequestID, r.Version, r.Unhandled = l.RequestID, l.Version, l.Unhandled
			if len(l.Records) > 0 {
				r.Group = l.Records[0].Seq()
			}
		}
		a.add(r, 1)
		a.unstored[r.AsideKey]++
		switch kind {
		case Held:
			a.counters.Held++
			h := a.key(r.AsideKey)
			if h.rows == 0 && r.Attempts > 0 {
				h.attempts, h.fails, h.since, h.err = r.Attempts, 1, now.Wall, r.Error
				h.at = now.Mono + backoff(1, maxBackoff, a.jitter)
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

// keysOf is the item's key of a record, in the form of its event.
func keysOf(rec Record) string {
	const member = `"Keys":`
	event := rec.Event()
	from := bytes.Index(event, []byte(member))
	if from < 0 {
		return ""
	}
	from += len(member)
	depth, quoted := 0, false
	for i := from; i < len(event); i++ {
		switch c := event[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return string(event[from : i+1])
			}
		}
	}
	return ""
}

func clipError(s string) string {
	if len(s) > maxAsideError {
		return strings.ToValidUTF8(s[:maxAsideError], "") + "..."
	}
	return s
}

// ask notes that lane machines are asked to let go of a key; granted, that one of them
// has none of its records in a batch (any more).
func (a *Aside) ask(hash uint64, machines int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.keys[hash]; h != nil {
		h.waits += machines
	}
}

func (a *Aside) granted(hash uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.keys[hash]; h != nil && h.waits > 0 {
		h.waits--
		a.enqueue(h)
	}
}

// counts are the counters.
func (a *Aside) counts() Counters {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counters
}

// take returns what is to be stored; back puts it back when that failed.
func (a *Aside) take() []AsideChange {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.changes
	a.changes = nil
	return c
}

func (a *Aside) back(c []AsideChange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changes = append(c, a.changes...)
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

// asideRecord is a stored record as functions and destinations are given it. Filters have
// seen it before.
type asideRecord struct{ *SetAside }

var _ pattern.Record = asideRecord{}

func (r asideRecord) Seq() seqnum.Num              { return r.AsideKey.Seq }
func (r asideRecord) Time() int64                  { return r.SetAside.Time }
func (r asideRecord) KeyHash() uint64              { return r.Hash }
func (r asideRecord) Ordinal() uint64              { return r.SetAside.Ordinal }
func (r asideRecord) Event() []byte                { return r.SetAside.Event }
func (r asideRecord) EventSize() int               { return len(r.SetAside.Event) }
func (r asideRecord) Cause() int                   { return r.SetAside.Cause }
func (r asideRecord) Member(string) (string, bool) { return "", false }
func (r asideRecord) Number(string) (int64, bool)  { return 0, false }
func (r asideRecord) Image(string) item.Item       { return nil }
