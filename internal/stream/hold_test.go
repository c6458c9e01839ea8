package stream

import (
	"log/slog"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// fakeReaders is one reader of one shard, which keeps a row of what it has lost.
type fakeReaders struct {
	after   map[*Shard]seqnum.Num // of shards that it needs
	lost    []Range
	why     Why
	dropped int
}

var fakeRow = []byte{store.SpaceUnread, 'f'}

func (f *fakeReaders) Needed(sh *Shard) (seqnum.Num, bool, error) {
	after, ok := f.after[sh]
	return after, ok, nil
}

func (f *fakeReaders) Unread(b *store.Batch, sh *Shard, from, to seqnum.Num, why Why) ([]Loss, error) {
	low, ok := f.after[sh]
	if low.Less(from) {
		low = from
	}
	if !ok || !low.Less(to) {
		return nil, nil
	}
	r := Range{First: low.Next(), Last: to, Count: to.Lo - low.Lo}
	f.lost, f.why = append(f.lost, r), why
	b.Set(fakeRow, to.Append(nil))
	return []Loss{{Reader: "f", Range: r}}, nil
}

func (f *fakeReaders) Dropped(_ *store.Batch, _ *Stream, shards []*Shard) { f.dropped += len(shards) }

func (w *world) keep(limit int64) *fakeReaders {
	f := &fakeReaders{after: map[*Shard]seqnum.Num{}}
	w.ss.retaining = Retaining{Readers: f, Limit: limit, Log: slog.New(slog.DiscardHandler)}
	return f
}

// TestKeptForReaders: age decides what the API shows, and what nobody needs goes with it;
// the rest is there for the reader until it has got on.
func TestKeptForReaders(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	sh := root(s)
	f := w.keep(1 << 40)
	last := map[*Shard]time.Time{}
	log := w.apply(sh, 20, 0)
	log.durable()
	f.after[sh] = log.recs[4].Seq()
	w.check(w.ss.trim(w.now(), last))
	w.advance(Retention + 2*time.Hour)
	w.write(sh, 3)
	w.check(w.ss.trim(w.now(), last))
	if sh.Trimmed() != log.recs[4].Seq() || sh.Horizon() != log.recs[19].Seq() {
		t.Fatalf("trimmed to %s, horizon %s", sh.Trimmed(), sh.Horizon())
	}
	if got, _, missed := w.readAll(sh, f.after[sh], 7); missed != 0 || len(got) != 18 || got[0] != 6 {
		t.Errorf("the reader reads %v, missed %d", got, missed)
	}
	// A client of the API sees the last three only.
	at := func(kind request.IteratorType, n seqnum.Num) (string, error) {
		return w.ss.GetShardIterator(t.Context(), scope, &request.GetShardIterator{
			Stream: request.StreamName{ARN: s.ARN}, Shard: sh.ID, Type: kind, Sequence: n, TimestampMillis: started.UnixMilli(),
		})
	}
	for _, kind := range []request.IteratorType{request.TrimHorizon, request.AtTimestamp} {
		it, err := at(kind, seqnum.Num{})
		w.check(err)
		page, err := w.ss.GetRecords(t.Context(), scope, &request.GetRecords{Iterator: it, Limit: 1000})
		if err != nil || len(page.Records) != 3 {
			t.Errorf("%v: %d records, %v", kind, len(page.Records), err)
		}
	}
	if _, err := at(request.AfterSequenceNumber, log.recs[10].Seq()); err == nil {
		t.Error("an iterator before what the API shows")
	}
	// Read, so it goes.
	f.after[sh] = sh.Head()
	w.advance(2 * time.Hour)
	w.check(w.ss.trim(w.now(), last))
	if sh.Trimmed() != log.recs[19].Seq() || len(f.lost) != 0 {
		t.Errorf("trimmed to %s, lost %v", sh.Trimmed(), f.lost)
	}
}

// TestLogCap: past the limit the oldest of the largest backlog goes, recorded in the batch
// that removes it; nobody else loses anything.
func TestLogCap(t *testing.T) {
	w := newWorld(t)
	large, small := w.create(NewImage, 1), w.create(NewImage, 1)
	for range 10 {
		w.apply(root(large), 100, 1000).durable()
	}
	w.apply(root(small), 100, 1000).durable()
	w.advance(Retention + 2*time.Hour)
	// What is on the disk counts; opening writes the log out.
	large = w.reopen(large)
	small = w.ss.Get(small.ARN)
	a, b := root(large), root(small)
	f := w.keep(1 << 40)
	f.after[a], f.after[b] = a.kept(), b.kept()
	last := map[*Shard]time.Time{}
	w.check(w.ss.trim(w.now(), last))
	whole := w.ss.Held()
	if whole == 0 || len(f.lost) != 0 {
		t.Fatalf("%d bytes are held, %v lost", whole, f.lost)
	}
	w.ss.retaining.Limit = whole / 2
	w.check(w.ss.trim(w.now(), last))
	if len(f.lost) != 1 || f.why != CapLoss || f.lost[0].First != a.Start || f.lost[0].Last != a.Trimmed() || f.lost[0].Count != a.Trimmed().Lo {
		t.Fatalf("lost %+v (%s), trimmed to %s", f.lost, f.why, a.Trimmed())
	}
	if n := a.Trimmed().Lo; n < 300 || n > 800 || !b.Trimmed().IsZero() {
		t.Errorf("for half of the room %d of 1000 records went, and of the small one up to %s", n, b.Trimmed())
	}
	if got, _, missed := w.readAll(a, a.Start.Prev(), 100); missed != a.Trimmed().Lo || uint64(len(got))+missed != 1000 {
		t.Errorf("%d records can be read, %d missed", len(got), missed)
	}
	w.ss.retaining.Limit = 0
	w.check(w.ss.trim(w.now(), last))
	if a.Trimmed() != a.Head() || b.Trimmed() != b.Head() || w.ss.Held() != 0 || len(f.lost) != 3 || f.lost[1].First != f.lost[0].Last.Next() {
		t.Errorf("with no room: %s of %s, %s of %s, %+v", a.Trimmed(), a.Head(), b.Trimmed(), b.Head(), f.lost)
	}
	row, found, err := w.store.Get(nil, fakeRow)
	if err != nil || !found || seqnum.FromBytes(row) != f.lost[2].Last {
		t.Errorf("the row is %x, %v", row, err)
	}
}

// TestEndedStreamWaitsForReaders: past its retention a stream is gone for the API, and
// goes for good when its readers are done, or have no room.
func TestEndedStreamWaitsForReaders(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(*world, *fakeReaders, *Shard)
		lost int
	}{
		{"read", func(_ *world, f *fakeReaders, sh *Shard) { f.after[sh] = sh.Head() }, 0},
		{"no longer wanted", func(_ *world, f *fakeReaders, sh *Shard) { delete(f.after, sh) }, 0},
		{"no room", func(w *world, _ *fakeReaders, _ *Shard) { w.ss.retaining.Limit = 0 }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.create(NewImage, 1)
			w.apply(root(s), 50, 1000).durable()
			w.close(s)
			w.advance(Retention)
			s = w.reopen(s)
			sh := root(s)
			f := w.keep(1 << 40)
			f.after[sh] = sh.kept()
			last := map[*Shard]time.Time{}
			w.check(w.ss.trim(w.now(), last))
			if _, err := w.ss.DescribeStream(t.Context(), scope, &request.DescribeStream{Stream: request.StreamName{ARN: s.ARN}, Limit: 100}); err == nil {
				t.Error("the API shows a stream past its retention")
			}
			if list, err := w.ss.ListStreams(t.Context(), scope, &request.ListStreams{Limit: 100}); err != nil || len(list.Streams) != 0 {
				t.Errorf("listed: %+v %v", list, err)
			}
			if got, end, missed := w.readAll(sh, f.after[sh], 20); len(got) != 50 || !end || missed != 0 {
				t.Errorf("the reader reads %d records, end %v, missed %d", len(got), end, missed)
			}
			c.then(w, f, sh)
			for range 2 {
				w.check(w.ss.trim(w.now(), last))
			}
			if w.ss.Get(s.ARN) != nil || len(f.lost) != c.lost || f.dropped != 1 || len(last) != 0 {
				t.Errorf("there: %v; lost %+v, %d dropped", w.ss.Get(s.ARN) != nil, f.lost, f.dropped)
			}
		})
	}
}
