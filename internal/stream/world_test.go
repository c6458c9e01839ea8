package stream

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

var (
	scope   = schema.Scope{Account: "000000000000", Region: "us-east-1"}
	keys    = schema.Keys{Hash: schema.Attribute{Name: "pk", Type: item.S}}
	started = time.Date(2026, 5, 11, 21, 21, 33, 291_000_000, time.UTC)
)

// world is the streams of a database, and what package table does with them: one
// writer at a time for each shard, under its lock.
type world struct {
	t       testing.TB
	fs      vfs.FS
	store   *store.Store
	ss      *Streams
	ms      atomic.Int64 // the wall clock
	locks   sync.Map     // of shards
	streams uint64
}

func newWorld(t testing.TB) *world { return newWorldOn(t, crashtest.New(), store.Sync) }

func newWorldOn(t testing.TB, disk *crashtest.Disk, d store.Durability) *world {
	t.Helper()
	w := &world{t: t, fs: disk.FS()}
	w.ms.Store(started.UnixMilli())
	w.open(d)
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

func (w *world) now() time.Time { return time.UnixMilli(w.ms.Load()) }

func (w *world) advance(d time.Duration) { w.ms.Add(d.Milliseconds()) }

func (w *world) open(d store.Durability) {
	w.t.Helper()
	var err error
	if w.store, err = store.Open(store.Options{FS: w.fs, Dir: "data", Durability: d}); err != nil {
		w.t.Fatal(err)
	}
	if w.ss, err = Open(w.store, w.now); err != nil {
		w.t.Fatal(err)
	}
}

// reopen closes the database and opens it again; it returns the stream as it
// is then.
func (w *world) reopen(s *Stream) *Stream {
	w.t.Helper()
	w.check(w.store.Close())
	w.open(store.Sync)
	return w.ss.Get(s.ARN)
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(view ViewType, shards int) *Stream {
	w.t.Helper()
	w.streams++
	b := w.store.NewBatch()
	defer b.Close()
	s, err := w.ss.Create(b, 100+w.streams, scope, "tab", keys, view, shards, 0)
	w.check(err)
	w.check(w.store.Write(b))
	w.ss.Publish(s)
	return s
}

func (w *world) lock(sh *Shard) *sync.Mutex {
	l, _ := w.locks.LoadOrStore(sh, new(sync.Mutex))
	return l.(*sync.Mutex)
}

// applied is a batch of records that is not yet known to be durable.
type applied struct {
	w    *world
	sh   *Shard
	c    *store.Commit
	recs []*Record
}

// apply writes n records as one batch, without waiting for the disk. Each carries
// its ordinal in its key, and pad bytes.
func (w *world) apply(sh *Shard, n, pad int) *applied {
	a := &applied{w: w, sh: sh, c: w.store.Begin()}
	b := w.store.NewBatch()
	defer b.Close()
	l := w.lock(sh)
	l.Lock()
	defer l.Unlock()
	for range n {
		it := itemOf(fmt.Sprint(sh.next.Lo), strings.Repeat("x", pad))
		r := sh.stream.NewRecord(Change{Keys: keys.Extract(it), New: it, KeyHash: sh.next.Lo})
		sh.Append(b, r, w.ms.Load(), int64(sh.next.Lo), 10*int64(sh.next.Lo))
		a.recs = append(a.recs, r)
	}
	if err := w.store.Apply(a.c, b); err != nil {
		w.t.Error(err)
	}
	return a
}

// durable waits for the disk and tells the shard.
func (a *applied) durable() {
	if err := a.w.store.Sync(a.c); err != nil {
		a.w.t.Error(err)
	}
	for _, r := range a.recs {
		a.sh.Committed(r)
	}
}

func (w *world) write(sh *Shard, n int) {
	if n > 0 {
		w.apply(sh, n, 0).durable()
	}
}

// close closes a stream as package table does.
func (w *world) close(s *Stream) {
	w.t.Helper()
	b := w.store.NewBatch()
	defer b.Close()
	change, err := s.Close(b)
	w.check(err)
	w.check(w.store.Write(b))
	change.Durable()
}

func itemOf(key, pad string) item.Item {
	return item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendString(nil, key)}, {Name: "v", Value: item.AppendString(nil, pad)}})
}

func one(*Record) int { return 1 }

// readAll reads a shard from a position on, in pages of at most n, and returns the
// ordinals. It fails on a page that is not in order, or on an item that is
// not the one written under that ordinal.
func (w *world) readAll(sh *Shard, after seqnum.Num, n int) (ordinals []uint64, end bool, missed uint64) {
	w.t.Helper()
	for {
		p, err := sh.Read(after, n, 1<<30, one)
		w.check(err)
		if p.Missed != nil {
			missed += p.Missed.Count
		}
		for _, r := range p.Records {
			if !after.Less(r.Seq()) {
				w.t.Fatalf("%s follows %s", r.Seq(), after)
			}
			if key := r.Keys().Get("pk").Text(); key != strconv.FormatUint(r.Ordinal(), 10) {
				w.t.Fatalf("record %d is of the item %s", r.Ordinal(), key)
			}
			after = r.Seq()
			ordinals = append(ordinals, r.Ordinal())
		}
		if p.End || len(p.Records) == 0 {
			return ordinals, p.End, missed
		}
	}
}

// span is the ordinals from first to last.
func span(first, last uint64) []uint64 {
	var s []uint64
	for o := first; o <= last; o++ {
		s = append(s, o)
	}
	return s
}

func root(s *Stream) *Shard { return s.Shards()[0] }
