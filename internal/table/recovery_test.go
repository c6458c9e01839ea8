package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
)

// undone counts the rows of all recovery logs.
func (w *world) undone(t *testing.T) (n int) {
	t.Helper()
	if err := w.store.Each([]byte{store.SpaceUndo}, func(_, _ []byte) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// retaining is a world with a clock that can be set, whose worker of recovery logs runs until the test ends.
func retaining(t *testing.T, limit int64) (w *world, step *atomic.Int64, log *bytes.Buffer) {
	w, step, log = &world{disk: crashtest.New()}, new(atomic.Int64), new(bytes.Buffer)
	now := func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
	var err error
	if w.store, err = store.Open(store.Options{FS: w.disk.FS(), Dir: "data"}); err != nil {
		t.Fatal(err)
	}
	if w.streams, err = stream.Open(w.store, now); err == nil {
		w.db, err = Open(Options{Store: w.store, Streams: w.streams, Now: now})
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- w.db.RetainRecovery(ctx, Recovering{Limit: limit, Log: slog.New(slog.NewTextHandler(log, nil))})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.createTable(t, "tab", 2, "")
	return w, step, log
}

func (w *world) recovery(t *testing.T, days int) *ContinuousBackups {
	t.Helper()
	return w.must(t, "UpdateContinuousBackups", fmt.Sprintf(`{"TableName":"tab","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true,"RecoveryPeriodInDays":%d}}`, days)).(*ContinuousBackups)
}

func (w *world) recovers(t *testing.T) *ContinuousBackups {
	t.Helper()
	return w.must(t, "DescribeContinuousBackups", `{"TableName":"tab"}`).(*ContinuousBackups)
}

// TestWhatIsTooOldGoes: rows go by age, not much later than they may, and never by a clock that is not believed. A longer time brings nothing back.
func TestWhatIsTooOldGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, step, _ := retaining(t, 0)
		put := func(n int) {
			for i := range n {
				w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"k%d"}}}`, i))
				w.must(t, "DeleteItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":"k%d"}}}`, i))
				time.Sleep(time.Millisecond)
			}
		}
		put(5)
		if n := w.undone(t); n != 0 {
			t.Errorf("%d rows of a table without recovery", n)
		}
		on := w.recovery(t, 1)
		put(5)
		if n := w.undone(t); n != 10 {
			t.Errorf("%d rows", n)
		}
		step.Store(int64(40 * 24 * time.Hour))
		time.Sleep(12 * time.Hour)
		if c := w.recovers(t); w.undone(t) != 10 || !c.Earliest.Equal(on.Earliest) || c.Latest.Sub(on.Latest) > 13*time.Hour {
			t.Errorf("with a clock that is not believed: %d rows, %+v", w.undone(t), c)
		}
		step.Store(0)
		time.Sleep(11 * time.Hour)
		put(3)
		if n := w.undone(t); n != 16 {
			t.Errorf("%d rows after 23 hours", n)
		}
		time.Sleep(3 * time.Hour)
		c := w.recovers(t)
		if n := w.undone(t); n != 6 || c.Latest.Sub(c.Earliest) != 24*time.Hour {
			t.Errorf("%d rows after 26 hours, %+v", n, c)
		}
		if longer := w.recovery(t, 35); longer.Earliest.Before(c.Earliest.Add(-time.Hour)) || longer.Days != 35 {
			t.Errorf("%+v, and it was %+v", longer, c)
		}
		w.must(t, "UpdateContinuousBackups", `{"TableName":"tab","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":false}}`)
		if n := w.undone(t); n != 0 {
			t.Errorf("%d rows after it was turned off", n)
		}
		if again := w.recovery(t, 1); again.Earliest.Before(c.Latest) {
			t.Errorf("turned on again: %+v", again)
		}
		put(1)
		w.must(t, "DeleteTable", `{"TableName":"tab"}`)
		if n := w.undone(t); n != 0 {
			t.Errorf("%d rows of a table that is gone", n)
		}
	})
}

// TestLimitOfALogThatIsGone: the table may be deleted while its log is about to be cut, whose bytes the engine counts for a while.
func TestLimitOfALogThatIsGone(t *testing.T) {
	w, _, log := retaining(t, 0)
	w.recovery(t, 35)
	for i := range 20 {
		w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"k"},"n":{"S":"%0900d"}}}`, i))
		for m := w.db.present(); w.db.present() == m; {
			runtime.Gosched()
		}
	}
	if err := w.store.Flush(); err != nil {
		t.Fatal(err)
	}
	tab := w.db.find(scope, "tab")
	r := tab.desc.Load().def.Recovery
	w.must(t, "DeleteTable", `{"TableName":"tab"}`)
	if n, err := w.store.DiskUsage(r.prefix(), store.PrefixEnd(r.prefix())); n == 0 || err != nil {
		t.Skip("the engine counts what is dropped no more")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := w.db.limitUndo(ctx, []*Table{tab}, time.Now().UnixMilli()+1, Recovering{Limit: 1, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil || log.Len() > 0 {
		t.Errorf("%v, %.300s", err, log.String())
	}
}

// TestExpiryGoesOnWithoutRetention: that the logs cannot be cut keeps nothing else longer than it is to be kept.
func TestExpiryGoesOnWithoutRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, w := vfs.NewMem(), &world{}
		disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40})
		var err error
		if w.store, err = store.Open(store.Options{FS: disk, Dir: "data", DiskReserve: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		defer w.store.Close()
		if w.streams, err = stream.Open(w.store, time.Now); err == nil {
			w.db, err = Open(Options{Store: w.store, Streams: w.streams})
		}
		if err != nil {
			t.Fatal(err)
		}
		w.createTable(t, "tab", 2, "")
		w.recovery(t, 1)
		tab := w.db.find(scope, "tab")
		d := *tab.desc.Load()
		old := *d.def.Recovery
		old.FromMS -= 2 * day.Milliseconds()
		d.def.Recovery = &old
		tab.desc.Store(&d)
		disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 10, TotalBytes: 1 << 40})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		called := 0
		var log bytes.Buffer
		err = w.db.RetainRecovery(ctx, Recovering{Log: slog.New(slog.NewTextHandler(&log, nil)), Each: func(context.Context) error { called++; return nil }})
		if err != nil || called < 3 || !strings.Contains(log.String(), "cannot be removed") {
			t.Errorf("%v, called %d times: %s", err, called, log.String())
		}
	})
}

// TestRecoveryLimit: what passes the limit goes from the oldest on, and is told.
func TestRecoveryLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, log := retaining(t, 1<<20)
		rng := rand.New(rand.NewPCG(1, 2))
		on := w.recovery(t, 35)
		for i := range 400 {
			text := make([]byte, 10_000)
			for n := range text {
				text[n] = byte('A' + rng.IntN(58)) // nothing that could be packed well
				if text[n] == '\\' {
					text[n] = 'x'
				}
			}
			w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"k%d"},"text":{"S":%q}}}`, i%3, text))
			time.Sleep(time.Second)
			if i%50 == 49 {
				if err := w.store.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(2 * time.Minute)
		c := w.recovers(t)
		r := w.db.find(scope, "tab").desc.Load().def.Recovery
		n, err := w.store.DiskUsage(r.prefix(), store.PrefixEnd(r.prefix()))
		if err != nil || !strings.Contains(log.String(), "a recovery log has no room") || !c.Earliest.After(on.Earliest) {
			t.Errorf("%d bytes, %+v, %v: %s", n, c, err, log.String())
		}
		if left := w.undone(t); left == 0 || left > 399 {
			t.Errorf("%d rows are left", left)
		}
		if said := strings.Count(log.String(), "a recovery log has no room"); said > 8 {
			t.Errorf("told %d times", said)
		}
	})
}

// TestMomentsThatWereTold: no later change has a moment that was told, however often it is; and asking moves nothing.
func TestMomentsThatWereTold(t *testing.T) {
	var m moments
	if a, b := m.take(10), m.take(10); a != 10 || b != 10 {
		t.Error(a, b)
	}
	if a, b, c := m.tell(10), m.tell(10), m.tell(9); a != 10 || b != 10 || c != 10 {
		t.Error(a, b, c)
	}
	if a, b, c, d := m.take(10), m.take(11), m.tell(5), m.take(5); a != 11 || b != 11 || c != 11 || d != 12 || m.last() != 12 {
		t.Error(a, b, c, d)
	}
}

// TestToldMomentsOutliveRestarts: what was told as the latest moment is the same cut after a restart with a clock that was set back; without a table that
// has a log nothing is left of it.
func TestToldMomentsOutliveRestarts(t *testing.T) {
	w, step, _ := retaining(t, 0)
	w.recovery(t, 1)
	step.Store(int64(time.Minute))
	told := w.recovers(t).Latest
	step.Store(int64(-time.Hour))
	again := func() *DB {
		now := func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
		streams, err := stream.Open(w.store, now)
		if err != nil {
			t.Fatal(err)
		}
		db, err := Open(Options{Store: w.store, Streams: streams, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	if m := again().moment(); m <= told.UnixMilli() {
		t.Errorf("a later change has the moment %d, and %d was told", m, told.UnixMilli())
	}
	w.must(t, "DeleteTable", `{"TableName":"tab"}`)
	if db := again(); db.MomentsAhead() != 0 {
		t.Error(db.MomentsAhead())
	} else if ms, err := db.told(); ms != 0 || err != nil {
		t.Error(ms, err)
	}
}

// TestMomentsAhead: a clock that was ahead is told, also after a restart, until the time has got there or the logs are gone.
func TestMomentsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := retaining(t, 0)
		w.recovery(t, 1)
		if a := w.db.MomentsAhead(); a != 0 {
			t.Error(a)
		}
		w.db.moments.tell(time.Now().Add(72 * time.Hour).UnixMilli())
		w.must(t, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"k"}}}`)
		again := func() time.Duration {
			db, err := Open(Options{Store: w.store, Streams: w.streams})
			if err != nil {
				t.Fatal(err)
			}
			return db.MomentsAhead()
		}
		if a, b := w.db.MomentsAhead(), again(); a < 71*time.Hour || b < 71*time.Hour {
			t.Error(a, b)
		}
		w.must(t, "UpdateContinuousBackups", `{"TableName":"tab","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":false}}`)
		if a := again(); a != 0 {
			t.Errorf("after the cure: %s", a)
		}
	})
}

// TestDamagedScratchIsSwept: what work under way had put down is needed by nobody after a start, and damage there keeps none from serving.
func TestDamagedScratchIsSwept(t *testing.T) {
	disk := vfs.NewMem()
	open := func() (*store.Store, *DB) {
		st, err := store.Open(store.Options{FS: disk, Dir: "data"})
		if err != nil {
			t.Fatal(err)
		}
		streams, err := stream.Open(st, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		db, err := Open(Options{Store: st, Streams: streams})
		if err != nil {
			t.Fatal(err)
		}
		return st, db
	}
	st, _ := open()
	if err := st.Flush(); err != nil { // so that the scratch row has a file of its own
		t.Fatal(err)
	}
	rng, text := rand.New(rand.NewPCG(1, 1)), make([]byte, 200_000)
	for i := range text {
		text[i] = byte(rng.Uint32())
	}
	b := st.NewBatch()
	b.Set([]byte{store.SpacePast, 'x'}, text)
	err := st.Write(b)
	b.Close()
	if err = errors.Join(err, st.Flush(), st.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := disk.List("data/db")
	flipped := false
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, e := disk.OpenReadWrite("data/db/"+name, vfs.WriteCategoryUnspecified)
		info, e2 := f.Stat()
		content := make([]byte, info.Size())
		_, e3 := f.ReadAt(content, 0)
		at := bytes.Index(content, text[50_000:50_100])
		if at >= 0 {
			_, err = f.WriteAt([]byte{content[at] ^ 1}, int64(at))
			flipped = true
		}
		if err = errors.Join(err, e, e2, e3, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if !flipped {
		t.Fatal(names, err)
	}
	st, db := open()
	if err := st.Each([]byte{store.SpacePast}, func(_, _ []byte) error { return nil }); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("not damaged: %v", err)
	}
	if err := db.SweepPast(); err != nil {
		t.Error(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// TestStretchThatLosesItsBeginning: a stretch of time whose first changes are removed between the question and the copy is refused.
func TestStretchThatLosesItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := retaining(t, 0)
		w.recovery(t, 10)
		time.Sleep(time.Hour)
		from := time.Now()
		w.must(t, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"a"}}}`)
		time.Sleep(time.Hour)
		tab := w.db.find(scope, "tab")
		for _, later := range []time.Duration{0, time.Millisecond} {
			_, _, err := w.db.FreezePast(t.Context(), scope, "tab", "tab", "work", func(c *ContinuousBackups) (time.Time, time.Time, error) {
				return from, c.Latest, w.db.forgetUndo(t.Context(), tab, tab.desc.Load().def.Recovery.ID, from.Add(later).UnixMilli())
			})
			if (err != nil) != (later > 0) {
				t.Errorf("removed up to %v after its beginning: %v", later, err)
			}
			names, e := w.store.FrozenNames()
			if e != nil || (len(names) == 0) != (later > 0) {
				t.Error(names, e)
			}
			if e := w.store.Thaw("work"); e != nil {
				t.Error(e)
			}
		}
	})
}

// TestSeekReadsLittle where few rows are looked for, and large pieces where most are; what is found is the same.
func TestSeekReadsLittle(t *testing.T) {
	st, err := store.Open(store.Options{FS: crashtest.New().FS(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	const many = 20_000
	key := func(i int) []byte { return fmt.Appendf([]byte{store.SpacePast}, "%08d", i) }
	b := st.NewBatch()
	defer b.Close()
	for i := 0; i < many; i += 2 { // the odd ones are not there
		b.Set(key(i), key(i))
	}
	if err := st.Write(b); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ step, least, most int }{{2, 256, rowsPiece}, {1, 256, rowsPiece}, {997, 1, seekPiece}, {998, 1, seekPiece}} {
		r := &rows{from: st, lower: key(0), upper: key(many)}
		for i := 0; i < many; i += c.step {
			k, v, ok, err := r.seek(key(i))
			there := ok && bytes.Equal(k, key(i))
			if there {
				r.found++
			}
			if err != nil || there != (i%2 == 0) || there && !bytes.Equal(v, key(i)) {
				t.Fatal(i, string(v), there, err)
			}
			if len(r.keys) > c.most || i > many/2 && i < many-rowsPiece*4 && len(r.keys) < c.least {
				t.Fatalf("by %d: a piece at %d has %d rows", c.step, i, len(r.keys))
			}
		}
	}
}

// at is what a table was at a moment: the items' texts by key.
func (w *world) at(t *testing.T, at time.Time) (items map[string]string, err error) {
	t.Helper()
	saved, ms, err := w.db.FreezePast(t.Context(), scope, "tab", "tab", "work", func(*ContinuousBackups) (from, _ time.Time, err error) { return from, at, nil })
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := w.store.OpenFrozen("work")
	if err != nil {
		t.Fatal(err)
	}
	items = map[string]string{}
	err = w.db.EachAt(t.Context(), saved, frozen, ms, "work", func(it item.Item) error {
		items[it.Get("pk").Text()] = string(it.AppendJSON(nil))
		return nil
	})
	if e := errors.Join(frozen.Close(), w.store.Thaw("work")); e != nil {
		t.Fatal(e)
	}
	return items, err
}

// changeOf is what became of an item, its texts, empty for none.
type changeOf struct {
	old, new string
	at       time.Time
}

// between is what was changed after a moment and up to another, by key.
func (w *world) between(t *testing.T, from, to time.Time) map[string]changeOf {
	t.Helper()
	saved, _, err := w.db.FreezePast(t.Context(), scope, "tab", "tab", "work", func(*ContinuousBackups) (_, _ time.Time, err error) { return from, time.Time{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := w.store.OpenFrozen("work")
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string]changeOf{}
	text := func(it item.Item) string {
		if it == nil {
			return ""
		}
		return string(it.AppendJSON(nil))
	}
	err = w.db.EachChange(t.Context(), saved, frozen, from.UnixMilli()+1, to.UnixMilli()+1, "work", func(c *ItemChange) error {
		changed[c.Item().Get("pk").Text()] = changeOf{text(c.Old), text(c.New), time.UnixMilli(c.AtMS)}
		return nil
	})
	if err = errors.Join(err, frozen.Close(), w.store.Thaw("work")); err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestPartsAreUndone: where changes leave most of an item, its rows have little; and what it was is made of them, over several pieces, between rows that have all of it,
// and before and after it was not there. So it is when what was undone is folded again and again.
func TestPartsAreUndone(t *testing.T) {
	for _, foldFrom := range []int{foldFrom, 1} {
		t.Run(fmt.Sprint("fold from ", foldFrom), func(t *testing.T) { testPartsAreUndone(t, foldFrom) })
	}
}

func testPartsAreUndone(t *testing.T, foldFrom int) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := retaining(t, 0)
		w.db.foldFrom = foldFrom
		rng := rand.New(rand.NewPCG(1, 1))
		text := func(n int) string {
			b := make([]byte, n)
			for i := range b {
				b[i] = 'a' + byte(rng.IntN(26))
			}
			return string(b)
		}
		type moment struct {
			at    time.Time
			items map[string]string
		}
		items, moments, writes := map[string]string{}, []moment{}, map[string][]time.Time{}
		w.recovery(t, 10)
		for i := range 200 {
			time.Sleep(time.Second)
			key := fmt.Sprintf("k%d", rng.IntN(3))
			writes[key] = append(writes[key], time.Now())
			switch is, there := items[key]; {
			case there && rng.IntN(20) == 0:
				w.must(t, "DeleteItem", `{"TableName":"tab","Key":{"pk":{"S":"`+key+`"}}}`)
				delete(items, key)
			case there && rng.IntN(20) > 0: // two thirds of it are another
				old, rest, _ := strings.Cut(is[strings.Index(is, `"m":{"S":"`)+10:], `"`)
				is = strings.Replace(is, old+`"`+rest, fmt.Sprint(i, text(60_000))+`"`+rest, 1)
				w.must(t, "PutItem", `{"TableName":"tab","Item":`+is+`}`)
				items[key] = is
			default:
				is = fmt.Sprintf(`{"a":{"S":"%d %s"},"m":{"S":"%d %s"},"pk":{"S":%q},"z":{"N":"%d"}}`, i, text(30_000), i, text(60_000), key, i)
				w.must(t, "PutItem", `{"TableName":"tab","Item":`+is+`}`)
				items[key] = is
			}
			if i%20 == 0 {
				moments = append(moments, moment{w.recovers(t).Latest, maps.Clone(items)})
			}
		}
		size := 0
		if err := w.store.Each([]byte{store.SpaceUndo}, func(_, value []byte) error { size += len(value); return nil }); err != nil {
			t.Fatal(err)
		}
		if size < 2*pastPiece || size > 200*75_000 {
			t.Errorf("%d bytes of rows", size)
		}
		for _, m := range moments {
			if is, err := w.at(t, m.at); err != nil || !maps.Equal(is, m.items) {
				t.Fatalf("%s: %d items, %v", m.at, len(is), err)
			}
		}
		for i, from := range moments[:len(moments)-5] { // of more than a piece
			to := moments[i+5]
			is := w.between(t, from.at, to.at)
			for _, key := range []string{"k0", "k1", "k2"} {
				want := changeOf{old: from.items[key], new: to.items[key]}
				for _, at := range writes[key] {
					if !at.After(to.at) {
						want.at = at
					}
				}
				if c := is[key]; (c.old != want.old || c.new != want.new || !c.at.Equal(want.at)) && want.at.After(from.at) {
					t.Fatalf("from %s to %s: %s was %.60q and became %.60q at %s, want %.60q, %.60q, %s", from.at, to.at, key, c.old, c.new, c.at, want.old, want.new, want.at)
				}
			}
		}
	})
}

// TestRestoreOfACounterTakesLittle: of an item that changes all the time no more is kept, in memory or on the disk, than of one that changed some times.
func TestRestoreOfACounterTakesLittle(t *testing.T) {
	const changes, others, bound = 90_000, 50, 3 * pastPiece / 2
	w := &world{}
	var err error
	if w.store, err = store.Open(store.Options{Dir: t.TempDir(), Durability: store.NoSync, CacheBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	defer w.store.Close()
	if w.streams, err = stream.Open(w.store, time.Now); err == nil {
		w.db, err = Open(Options{Store: w.store, Streams: w.streams})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.db.foldFrom = 1
	r := &recovery{ID: 77}
	rng := rand.New(rand.NewPCG(1, 1))
	counter := func() item.Item {
		return itemOf("counter", fmt.Sprintf("%s%020d%020d%020d%020d", strings.Repeat("words ", 20), rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64()))
	}
	now := counter()
	tails := map[string]item.Item{"counter": now}
	b := w.store.NewBatch()
	defer b.Close()
	put := func(n int, tail string, u undone) {
		key := binary.BigEndian.AppendUint64(r.from(1000), uint64(n))
		value := append(binary.AppendUvarint([]byte{u.version}, uint64(len(tail))), tail...)
		if b.Set(append(key, make([]byte, 8)...), append(value, u.body...)); n%1000 == 0 {
			if err := w.store.Write(b); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	for n := range changes {
		if n%(changes/others) == 0 {
			other := fmt.Sprintf("k%03d", n/(changes/others))
			tails[other] = itemOf("other", other)
			put(2*n+1, other, undone{undoWhole, tails[other]})
		}
		next := counter()
		put(2*n, "counter", partOf(now, next))
		now = next
	}
	if err := errors.Join(w.store.Write(b), w.store.Flush()); err != nil {
		t.Fatal(err)
	}
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	space := []byte{store.SpacePast, 'x'}
	before, memory, disk, looks := held(), int64(0), 0, 0
	measure := func() error {
		size := 0
		memory = max(memory, held()-before)
		err := w.store.Each(space, func(key, value []byte) error { size += len(key) + len(value); return nil })
		disk = max(disk, size)
		return err
	}
	ctx := looking{t.Context(), func() error {
		if looks++; looks%40 == 0 {
			return measure()
		}
		return nil
	}}
	is := func() lookup {
		return func(_ context.Context, tail []byte) (item.Item, error) {
			if string(tail) == "counter" {
				return now, nil
			}
			return nil, nil
		}
	}
	if err := errors.Join(w.db.undo(ctx, r, w.store, 0, space, is), measure()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d looks: %d KB of memory, %d KB of the store", looks, memory>>10, disk>>10)
	if disk == 0 || disk > bound || memory > 8*bound { // under the race detector the engine keeps its own on the heap
		t.Errorf("%d KB of the store, %d KB of memory", disk>>10, memory>>10)
	}
	was := w.db.undoing(space, is())
	for _, tail := range slices.Sorted(maps.Keys(tails)) {
		if it, err := was(t.Context(), []byte(tail)); err != nil || !bytes.Equal(it, tails[tail]) {
			t.Errorf("%s: %d bytes, %v", tail, len(it), err)
		}
	}
}

// TestPartsOfAnotherItem: a difference is not undone from an item that is not the one which came of the change.
func TestPartsOfAnotherItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := retaining(t, 0)
		c := w.recovery(t, 10)
		put := func(n int) string {
			time.Sleep(time.Second)
			it := fmt.Sprintf(`{"pk":{"S":"k"},"text":{"S":%q},"z":{"N":"%d"}}`, strings.Repeat("words ", 30), n)
			w.must(t, "PutItem", `{"TableName":"tab","Item":`+it+`}`)
			return it
		}
		put(1)
		was, at := put(2), w.recovers(t).Latest
		put(3)
		if is, err := w.at(t, at); err != nil || is["k"] != was {
			t.Fatal(is, err)
		}
		if is, err := w.at(t, c.Latest); err != nil || len(is) > 0 {
			t.Fatal(is, err)
		}
		change := func(space byte, f func(value []byte)) {
			b := w.store.NewBatch()
			defer b.Close()
			err := w.store.Each([]byte{space}, func(key, value []byte) error {
				value = bytes.Clone(value)
				f(value)
				b.Set(bytes.Clone(key), value)
				return nil
			})
			if err = errors.Join(err, w.store.Write(b)); err != nil {
				t.Fatal(err)
			}
		}
		change(store.SpaceItem, func(v []byte) { v[bytes.Index(v, []byte("words"))] = 'W' })
		if is, err := w.at(t, at); !errors.Is(err, errUnfit) {
			t.Errorf("%v, %v", is, err)
		}
		change(store.SpaceItem, func(v []byte) { v[bytes.Index(v, []byte("Words"))] = 'w' })
		if is, err := w.at(t, at); err != nil || is["k"] != was {
			t.Fatal(is, err)
		}
		// A row of an earlier build has all of the item; whatever came of that is beside the point.
		parts := 0
		b := w.store.NewBatch()
		defer b.Close()
		var r item.Reader
		r.Reset([]byte(was))
		old, invalid, err := r.Item()
		if invalid != nil || err != nil {
			t.Fatal(invalid, err)
		}
		err = w.store.Each([]byte{store.SpaceUndo}, func(key, value []byte) error {
			tail, u, err := parseUndo(value)
			if u.version == undoPart {
				if parts++; parts == 2 { // of the last change
					b.Set(bytes.Clone(key), append(append(binary.AppendUvarint([]byte{undoWhole}, uint64(len(tail))), tail...), old...))
				}
			}
			return err
		})
		if err = errors.Join(err, w.store.Write(b)); err != nil || parts != 2 {
			t.Fatal(parts, err)
		}
		if is, err := w.at(t, at); err != nil || is["k"] != was {
			t.Fatal("a row of an earlier build:", is, err)
		}
		if is, err := w.at(t, c.Latest); err != nil || len(is) > 0 {
			t.Fatal(is, err)
		}
		change(store.SpaceUndo, func(v []byte) { v[0] = undoPart + 1 })
		if is, err := w.at(t, at); !errors.Is(err, errUndo) {
			t.Errorf("a version that is not known: %v, %v", is, err)
		}
	})
}

// looking is a context of which each look whether it has ended is told to look.
type looking struct {
	context.Context
	look func() error
}

func (c looking) Err() error { return c.look() }

// TestRestoreOfAQueueTakesLittle: of items that were made and removed again nothing is kept in memory but that they were not there.
func TestRestoreOfAQueueTakesLittle(t *testing.T) {
	w := newWorld(t)
	const items, size = 501, 30_000 // the last look is at row 1000
	image := bytes.Repeat([]byte{1}, size)
	r := &recovery{ID: 77}
	for i := range items {
		tail := fmt.Sprintf("k%03d", i)
		b := w.store.NewBatch()
		for n, was := range [][]byte{nil, image} {
			key := binary.BigEndian.AppendUint64(r.from(1000), uint64(2*i+n))
			value := append(binary.AppendUvarint([]byte{undoWhole}, uint64(len(tail))), tail...)
			b.Set(append(key, make([]byte, 8)...), append(value, was...))
		}
		if err := w.store.Write(b); err != nil {
			t.Fatal(err)
		}
		b.Close()
	}
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most, looks := held(), int64(0), 0
	ctx := looking{t.Context(), func() error { looks++; most = max(most, held()-before); return nil }}
	if err := w.db.undo(ctx, r, w.store, 0, []byte{store.SpacePast, 'x'}, nil); err != nil {
		t.Fatal(err)
	}
	if looks < 2 || most > items*size/2 {
		t.Errorf("%d MB are held for %d items that were made and removed; %d looks", most>>20, items, looks)
	}
}

// undoing has the rows of one item as replay puts them, a piece each.
func undoing(pieces ...[]undone) *undoneRows {
	u := &undoneRows{rows: rows{ended: true}}
	for i, piece := range pieces {
		steps := make([]byte, momentSize)
		for _, was := range piece {
			steps = append(binary.AppendUvarint(append(steps, was.version), uint64(len(was.body))), was.body...)
		}
		u.rows.keys = append(u.rows.keys, binary.BigEndian.AppendUint32([]byte("k"), uint32(i)))
		u.rows.values = append(u.rows.values, steps)
	}
	return u
}

// partOf is the row of a change from one item to another.
func partOf(old, now item.Item) undone {
	return undone{undoPart, binary.BigEndian.AppendUint64(item.AppendDifference(nil, now, old), xxhash.Sum64(old))}
}

// TestUndoEndsWithinAPiece: the many changes of one large item in one piece do not keep a restore from ending.
func TestUndoEndsWithinAPiece(t *testing.T) {
	a, b := itemOf("k", "a"+strings.Repeat("words ", 50_000)), itemOf("k", "b"+strings.Repeat("words ", 50_000))
	there, back := partOf(b, a), partOf(a, b)
	var piece []undone
	for range 20 {
		piece = append(piece, there, back)
	}
	looks := 0
	ctx := looking{t.Context(), func() error {
		if looks++; looks > 1 { // the first is at the beginning of the piece
			return context.Canceled
		}
		return nil
	}}
	u := undoing(piece)
	if _, err := u.undo(ctx, []byte("k"), a); !errors.Is(err, context.Canceled) || u.rows.at != 0 {
		t.Errorf("%v, %d pieces done", err, u.rows.at)
	}
}

// TestWholeRowCuresNewerParts: a difference that does not fit is no failure where an older row has all of the item, and one where none has.
func TestWholeRowCuresNewerParts(t *testing.T) {
	a, b, c := itemOf("k", "a"+strings.Repeat("words ", 50)), itemOf("k", "b"+strings.Repeat("words ", 50)), itemOf("k", "c"+strings.Repeat("words ", 50))
	bad := partOf(b, c)
	bad.body[len(bad.body)-1] ^= 1
	newer := []undone{bad, partOf(c, b)}
	for _, pieces := range [][][]undone{{newer, {{undoWhole, c}, partOf(a, c)}}, {newer, {partOf(b, c)}, {{undoWhole, a}}}} {
		if is, err := undoing(pieces...).undo(t.Context(), []byte("k"), c); err != nil || !bytes.Equal(is, a) {
			t.Errorf("%d pieces: %d bytes, %v", len(pieces), len(is), err)
		}
	}
	if _, err := undoing(newer, []undone{partOf(a, c)}).undo(t.Context(), []byte("k"), c); !errors.Is(err, errUnfit) || !errors.Is(err, store.ErrDamaged) {
		t.Error(err)
	}
}
