package stream

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// incarnationBase gives every number 26 decimal digits, for more than four
// million openings of one database.
const incarnationBase = 1_000_000

// Retention is how long the records of a stream are kept unless it was made with
// another time, and how long it can be read after it was disabled or its table was
// deleted.
const Retention = 24 * time.Hour

// Streams is the set of all streams of a database. Safe for concurrent use.
type Streams struct {
	store       *store.Store
	now         func() time.Time
	clock       *worker.Clock
	incarnation uint64
	records     atomic.Uint64 // appended since Open
	tails       atomic.Int64  // bytes in the tails of all shards
	heldBytes   atomic.Int64  // see Held
	awaiting    atomic.Int32  // how many are in Await
	waits       *worker.Waits // of requests for records

	retaining Retaining // of Retain; used by its goroutine alone

	mu     sync.RWMutex // guards the maps; never held over I/O
	byARN  map[string]*Stream
	lastMS int64 // newest time given to a label or a shard id
}

// Stream is one enabling of the change log of a table. All exported fields are
// fixed when it is made.
type Stream struct {
	ID      uint64
	ARN     string
	Label   string
	Scope   schema.Scope
	Table   string
	Keys    schema.Keys
	View    ViewType
	Created time.Time
	// Retention is how long its records are kept, at least a day.
	Retention time.Duration

	streams     *Streams
	incarnation uint64
	arnHash     uint64
	arnSalt     [8]byte
	// What is the same in all of its records' JSON: from behind the event's name to the time, and Lambda's end.
	eventMiddle, eventEnd string

	// mu is held while a stored definition is built and applied, so that a later
	// one is never replaced by an earlier one. Not held over a sync.
	mu      sync.Mutex
	pending *Reshaping // the newest change that readers do not know; guarded by mu
	shown   uint64     // number of the newest change that they know; guarded by mu
	nextNo  uint32     // number of the next shard; guarded by mu

	shards   atomic.Pointer[[]*Shard]   // in creation order; replaced as a whole under mu
	closed   atomic.Pointer[time.Time]  // when it was disabled, once that is durable
	watchers atomic.Pointer[[]*watcher] // replaced as a whole
	watchMu  sync.Mutex                 // serialises changes of watchers
	awaiting atomic.Int32               // how many are in Await
	hidden   atomic.Bool                // see Hidden
	removed  atomic.Bool                // see Removed
}

type watcher struct{ wake func() }

// definition is the stored form of a stream: a version byte and this as JSON.
// Fields are only ever added.
type definition struct {
	ID      uint64            `json:"id"`
	Scope   schema.Scope      `json:"scope"`
	Table   string            `json:"table"`
	Label   string            `json:"label"`
	Keys    schema.Keys       `json:"keys"`
	View    ViewType          `json:"view"`
	Created int64             `json:"createdMs"`
	Closed  int64             `json:"closedMs,omitempty"`
	Shards  []shardDefinition `json:"shards"`
	// NextShard is the number of the next shard; numbers are never given twice.
	NextShard uint32 `json:"nextShard,omitempty"`
	// Retention is how long records are kept, in hours; 0: 24.
	Retention int `json:"retentionHours,omitempty"`
}

type shardDefinition struct {
	No     uint32 `json:"no"`
	ID     string `json:"id"`
	Parent string `json:"parent,omitempty"`
	Start  string `json:"start"`
	End    string `json:"end,omitempty"`
	// Last is the ordinal of the last record of a closed shard.
	Last uint64 `json:"last,omitempty"`
	// Closed is when it was closed, in ms since 1970; 0 in shards that were closed
	// with their stream.
	Closed int64 `json:"closedMs,omitempty"`
	// Partition is the table's partition that a child writes for; a root's is its
	// number.
	Partition uint32 `json:"partition,omitempty"`
}

const (
	definitionVersion = 1
	controlStream     = 's' // SpaceControl, 's', stream id
	headShard         = 's' // SpaceHead, stream id, 's', shard number
	headVersion       = 1

	// A head row: version, last trimmed number, last number, its time in ms, and
	// the partition's totals after it.
	headRowSize = 1 + 2*seqnum.Size + 3*8
)

func definitionKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceControl, controlStream}, id)
}

func (sh *Shard) headKey() []byte {
	k := binary.BigEndian.AppendUint64([]byte{store.SpaceHead}, sh.stream.ID)
	k = append(k, headShard)
	return binary.BigEndian.AppendUint32(k, sh.No)
}

// Open loads the streams of a database.
func Open(st *store.Store, now func() time.Time) (*Streams, error) {
	return OpenAt(st, worker.NewClock(now))
}

// OpenAt is Open with a clock.
func OpenAt(st *store.Store, clock *worker.Clock) (*Streams, error) {
	ss := &Streams{store: st, now: clock.StampTime, clock: clock, incarnation: incarnationBase + st.Incarnation(), byARN: map[string]*Stream{}}
	ss.waits = worker.NewWaits()
	lower := []byte{store.SpaceControl, controlStream}
	it, err := st.NewIter(lower, store.PrefixEnd(lower))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return nil, err
		}
		if err := ss.load(v); err != nil {
			return nil, err
		}
	}
	return ss, it.Close()
}

func (ss *Streams) load(v []byte) error {
	if len(v) == 0 || v[0] != definitionVersion {
		return errors.New("stream: a definition was written by a newer release; open the data with that release")
	}
	var d definition
	if err := json.Unmarshal(v[1:], &d); err != nil {
		return fmt.Errorf("stream: a definition is damaged: %w", err)
	}
	s := ss.newStream(d.ID, d.Scope, d.Table, d.Label, d.Keys, d.View, time.UnixMilli(d.Created))
	s.retain(d.Retention)
	if d.Closed != 0 {
		at := time.UnixMilli(d.Closed)
		s.closed.Store(&at)
	}
	var shards []*Shard
	for _, sd := range d.Shards {
		start, err := seqnum.Parse(sd.Start)
		if err != nil {
			return fmt.Errorf("stream: %s shard %s: %w", s.ARN, sd.ID, err)
		}
		sh := s.newShard(sd.No, sd.ID, sd.Parent, start)
		if sd.Parent != "" {
			sh.Partition = sd.Partition
		}
		if err := sh.recover(); errors.Is(err, store.ErrDamaged) {
			sh.broken = fmt.Errorf("stream: the end of shard %s of %s cannot be found: %w", sh.ID, s.ARN, err)
			sh.resume(start.Prev(), s.incarnation, 0)
		} else if err != nil {
			return err
		}
		for _, p := range shards {
			if p.ID == sh.Parent { // time never decreases along the lineage
				sh.lastMS = max(sh.lastMS, p.lastMS)
			}
		}
		s.nextNo = max(s.nextNo, sd.No+1, d.NextShard)
		if sd.End != "" {
			end, err := seqnum.Parse(sd.End)
			if err != nil {
				return fmt.Errorf("stream: %s shard %s: %w", s.ARN, sd.ID, err)
			}
			sh.end.Store(&ending{end, sd.Last, cmp.Or(sd.Closed, d.Closed)})
		}
		shards = append(shards, sh)
		ss.lastMS = max(ss.lastMS, shardMS(sd.ID))
	}
	s.shards.Store(&shards)
	ss.byARN[s.ARN] = s
	ss.lastMS = max(ss.lastMS, d.Created)
	return nil
}

// recover finds where a shard left off: at the newest record of its log, or,
// when retention has removed them all, at its head row.
func (sh *Shard) recover() error {
	head, lastMS := sh.Start.Prev(), int64(0)
	v, found, err := sh.stream.streams.store.Get(nil, sh.headKey())
	if err != nil {
		return err
	}
	if found {
		if len(v) != headRowSize || v[0] != headVersion {
			return fmt.Errorf("stream: the head row of %s shard %s is damaged", sh.stream.ARN, sh.ID)
		}
		trimmed := seqnum.FromBytes(v[1:])
		sh.trimmed.Store(&trimmed)
		head = seqnum.FromBytes(v[1+seqnum.Size:])
		tail := v[1+2*seqnum.Size:]
		lastMS = int64(binary.BigEndian.Uint64(tail))
		sh.totals = &Totals{int64(binary.BigEndian.Uint64(tail[8:])), int64(binary.BigEndian.Uint64(tail[16:]))}
	}
	r, err := sh.newest()
	if err != nil {
		return err
	}
	if r != nil && head.Less(r.seq) {
		head, lastMS = r.seq, r.Time()
		items, bytes := r.totals()
		sh.totals = &Totals{items, bytes}
	}
	sh.resume(head, sh.stream.incarnation, lastMS)
	return nil
}

func (ss *Streams) newStream(id uint64, scope schema.Scope, table, label string, keys schema.Keys, view ViewType, created time.Time) *Stream {
	s := &Stream{
		ID: id, ARN: scope.StreamARN(table, label), Label: label, Scope: scope, Table: table, Keys: keys,
		View: view, Created: created, streams: ss, incarnation: ss.incarnation,
	}
	db := ss.store.DatabaseID()
	s.arnHash = xxhash.Sum64String(s.ARN)
	copy(s.arnSalt[:], db[:])
	s.eventMiddle = `","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"` + s.Scope.Region + `","dynamodb":{"ApproximateCreationDateTime":`
	s.eventEnd = `,"eventSourceARN":"` + s.ARN + `"}` // holds no character that JSON escapes
	s.shards.Store(&[]*Shard{})
	s.watchers.Store(&[]*watcher{})
	return s
}

// Clock says whether age may remove anything. Whoever else ages records should
// ask the same one, so that a person who accepts a step of the clock does it once.
func (ss *Streams) Clock() *worker.Clock { return ss.clock }

// Records counts the records written since Open.
func (ss *Streams) Records() uint64 { return ss.records.Load() }

// tick returns a time in milliseconds that no label or shard id has had.
func (ss *Streams) tick() int64 {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.lastMS = max(ss.now().UnixMilli(), ss.lastMS+1)
	return ss.lastMS
}

// retain sets the retention in hours; below 24 means 24, as on AWS.
func (s *Stream) retain(hours int) {
	s.Retention = max(Retention, time.Duration(hours)*time.Hour)
}

// Create makes a stream with n root shards, which keeps its records for so many
// hours (0: AWS's 24), and puts its definition into b. It is seen by readers after
// Publish.
func (ss *Streams) Create(b *store.Batch, id uint64, scope schema.Scope, table string, keys schema.Keys, view ViewType, n, hours int) (*Stream, error) {
	ms := ss.tick()
	created := time.UnixMilli(ms).UTC()
	s := ss.newStream(id, scope, table, created.Format("2006-01-02T15:04:05.000"), keys, view, created)
	s.retain(hours)
	shards := make([]*Shard, n)
	for i := range shards {
		start := seqnum.Num{Hi: ss.incarnation, Lo: 1}
		shards[i] = s.newShard(uint32(i), shardID(ss.tick(), id, uint32(i)), "", start)
		shards[i].resume(start.Prev(), ss.incarnation, 0)
	}
	s.shards.Store(&shards)
	s.nextNo = uint32(n)
	return s, s.put(b, &Reshaping{shards: shards})
}

// Publish makes a created stream visible to readers.
func (ss *Streams) Publish(s *Stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.byARN[s.ARN] = s
}

// Get returns the stream of this ARN, nil when there is none.
func (ss *Streams) Get(arn string) *Stream {
	ss.mu.RLock()
	defer ss.mu.RUnlock()
	return ss.byARN[arn]
}

// ByID returns the stream with this internal id, nil when there is none.
func (ss *Streams) ByID(id uint64) *Stream {
	ss.mu.RLock()
	defer ss.mu.RUnlock()
	for _, s := range ss.byARN {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// All returns every stream, ordered by ARN.
func (ss *Streams) All() []*Stream {
	ss.mu.RLock()
	defer ss.mu.RUnlock()
	all := make([]*Stream, 0, len(ss.byARN))
	for _, s := range ss.byARN {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Stream) int { return strings.Compare(a.ARN, b.ARN) })
	return all
}

// Shards returns the shards inside retention, in creation order. Do not change
// the slice.
func (s *Stream) Shards() []*Shard { return *s.shards.Load() }

// Shard returns the shard with this id, nil when there is none.
func (s *Stream) Shard(id string) *Shard {
	for _, sh := range s.Shards() {
		if sh.ID == id {
			return sh
		}
	}
	return nil
}

// Disabled reports when the stream was closed.
func (s *Stream) Disabled() (at time.Time, disabled bool) {
	if p := s.closed.Load(); p != nil {
		return *p, true
	}
	return time.Time{}, false
}

// Watch calls wake after records of the stream became durable, after its shards
// changed, and when it goes away. wake must not block. Calls may be spurious and
// may come from several goroutines at once. After stop has returned, a call that
// was under way may still end.
func (s *Stream) Watch(wake func()) (stop func()) {
	w := &watcher{wake}
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	next := append(slices.Clone(*s.watchers.Load()), w)
	s.watchers.Store(&next)
	return func() {
		s.watchMu.Lock()
		defer s.watchMu.Unlock()
		next := slices.DeleteFunc(slices.Clone(*s.watchers.Load()), func(o *watcher) bool { return o == w })
		s.watchers.Store(&next)
	}
}

func (s *Stream) wake() {
	for _, w := range *s.watchers.Load() {
		w.wake()
	}
}

// shardID is AWS's form; lexical order is creation order because ms never
// repeats.
func shardID(ms int64, stream uint64, no uint32) string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], stream)
	binary.BigEndian.PutUint32(b[8:], no)
	return fmt.Sprintf("shardId-%020d-%08x", ms, uint32(xxhash.Sum64(b[:])))
}

func shardMS(id string) int64 {
	var ms int64
	_, _ = fmt.Sscanf(id, "shardId-%d-", &ms)
	return ms
}
