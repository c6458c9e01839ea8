package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/worker"
)

// TestShares: sources whose receivers never answer leave room for every other one, by count and by bytes, and what is over gives its room back.
func TestShares(t *testing.T) {
	for _, size := range []int{1, 256 << 10} {
		b := newOutbox(Options{})
		fill := func(source string) (n int) {
			for b.fits(source, size) {
				of := b.shares[source]
				if of == nil {
					of = &share{source: source}
					b.shares[source] = of
				}
				of.count, of.bytes, b.count, b.bytes = of.count+1, of.bytes+size, b.count+1, b.bytes+size
				n++
			}
			return n
		}
		all, least := min(maxCount, maxBytes/size), min(sourceCount, sourceBytes/size)
		if n, want := fill("first"), all/(sourcePart+1); n < want-1 || n > want+1 {
			t.Errorf("the first source with payloads of %d bytes owes %d, want some %d", size, n, want)
		}
		for i := range 700 {
			if n := fill(fmt.Sprint(i)); n < least {
				t.Fatalf("after %d sources whose receivers never answer the next one with payloads of %d bytes may owe %d", i+1, size, n)
			}
			if b.count > maxCount*9/8 || b.bytes > maxBytes*9/8 {
				t.Fatalf("%d deliveries of %d bytes are owed", b.count, b.bytes)
			}
			if size > 1 && i == 200 {
				break
			}
		}
		if n := fill("first"); n != 0 {
			t.Error("the first source has taken ", n, " of the room that is left for others")
		}
	}
	b := newOutbox(Options{})
	b.hold(&Delivery{ID: 1, Source: "a", Size: 7})
	if b.count != 1 || b.bytes != 7 {
		t.Error("counted are ", b.count, b.bytes)
	}
	if b.drop(1); b.count != 0 || b.bytes != 0 || len(b.shares) != 0 {
		t.Error("nothing is owed, and counted are ", b.count, " of ", b.bytes, " bytes of ", len(b.shares), " sources")
	}
}

// TestWeight: attributes and headers count as the payload does, and a reservation that does not fit holds nothing.
func TestWeight(t *testing.T) {
	d := &Delivery{Attributes: []Attribute{{Name: "ab", Type: "String", Value: make([]byte, 100)}}, Headers: map[string]string{"x": "yz"}}
	if d.Weigh(1000); d.Size != 1000+2+6+100+3 {
		t.Error("it weighs ", d.Size)
	}
	b := newOutbox(Options{})
	some := []*Delivery{{Source: "a", Size: 1}, {Source: "b", Size: maxBytes}}
	if err := b.Reserve(some...); err != ErrFull || len(b.owed) != 0 || b.bytes != 0 {
		t.Errorf("reserved with %v: %d of %d bytes", err, len(b.owed), b.bytes)
	}
}

// box is an outbox over a store in memory.
func box(t *testing.T, disk *crashtest.Disk, clock *worker.Clock, log *slog.Logger, send func(ctx context.Context, d *Delivery) error) (b *Outbox, s *store.Store, done func()) {
	var err error
	s, err = store.Open(store.Options{FS: disk.FS(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	b, err = Open(Options{Store: s, Clock: clock, Logger: log, Send: func(ctx context.Context, d *Delivery, _ []byte, _ func(*store.Batch)) error { return send(ctx, d) }})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	done = func() {
		if closed {
			return
		}
		closed = true
		b.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(done)
	return b, s, done
}

// owe has deliveries owed.
func owe(t *testing.T, b *Outbox, s *store.Store, all ...*Delivery) {
	t.Helper()
	batch := s.NewBatch()
	defer batch.Close()
	for _, d := range all {
		if err := b.Add(batch, d, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Write(batch); err != nil {
		t.Fatal(err)
	}
	b.Release(all...)
}

func url(i int) *Delivery {
	return &Delivery{Source: fmt.Sprint("silent", i), Target: fmt.Sprint("http://silent/", i), Retry: Retry{Attempts: 100, Delays: []int{1}}}
}

// TestSilentReceivers: URLs that do not answer hold up no other, and what is made at once, with its payloads in memory, is bounded whatever is owed.
func TestSilentReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		made, now, most := map[string]time.Time{}, 0, 0
		b, s, _ := box(t, crashtest.New(), worker.NewClock(time.Now), nil, func(ctx context.Context, d *Delivery) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			defer func() { mu.Lock(); now--; mu.Unlock() }()
			if strings.HasPrefix(d.Target, "http://silent/") {
				select {
				case <-time.After(15 * time.Second):
				case <-ctx.Done():
				}
				return errors.New("no answer")
			}
			mu.Lock()
			made[d.Target] = time.Now()
			mu.Unlock()
			return nil
		})
		b.Start()
		for i := range 100 {
			for range 8 {
				owe(t, b, s, url(i))
			}
		}
		time.Sleep(time.Minute) // they are known by now
		for i := range 20 {
			owe(t, b, s, &Delivery{Source: fmt.Sprint("quick", i), Target: fmt.Sprint("http://quick/", i)})
		}
		began := time.Now()
		time.Sleep(3 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for i := range 20 {
			if at, ok := made[fmt.Sprint("http://quick/", i)]; !ok || at.Sub(began) > slowAfter {
				t.Errorf("quick receiver %d was reached after %v (%v)", i, at.Sub(began), ok)
			}
		}
		if most > farWidth+slowWidth {
			t.Error(most, " deliveries were made at once")
		}
		if most <= farWidth {
			t.Error("only ", most, " deliveries were made at once: slow ones hold up others")
		}
	})
}

// TestTurns: a source that owes much does not have others wait until all of it is made.
func TestTurns(t *testing.T) {
	var mu sync.Mutex
	var order []string
	clock := worker.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	b, s, _ := box(t, crashtest.New(), clock, nil, func(_ context.Context, d *Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, d.Source)
		return nil
	})
	b.own.width = 1 // so that the order is one
	for range 50 {
		owe(t, b, s, &Delivery{Source: "much", Target: "q"})
	}
	owe(t, b, s, &Delivery{Source: "little", Target: "q"})
	b.Start()
	if err := clock.Advance(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, source := range order {
		if source == "little" {
			if i > 2 {
				t.Error("its turn was after ", i, " of another")
			}
			return
		}
	}
	t.Error("it was not made")
}

type counting struct{ n atomic.Int64 }

func (c *counting) Write(p []byte) (int, error) {
	c.n.Add(1)
	return len(p), nil
}

// TestNearlyFullDisk: while the disk is nearly full what is owed is not read again and again: one look a second is for all of it.
func TestNearlyFullDisk(t *testing.T) {
	disk, log := crashtest.New(), &counting{}
	clock := worker.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	made := atomic.Int64{}
	b, s, done := box(t, disk, clock, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), func(context.Context, *Delivery) error {
		made.Add(1)
		return nil
	})
	for i := range 1000 {
		owe(t, b, s, &Delivery{Source: fmt.Sprint(i), Target: "q"})
	}
	done()
	disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100 << 20, TotalBytes: 1 << 40})
	again, _, _ := box(t, disk, clock, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), func(context.Context, *Delivery) error {
		made.Add(1)
		return nil
	})
	again.Start()
	if err := clock.Advance(t.Context(), 10*time.Second, nil); err != nil {
		t.Fatal(err)
	}
	if n := log.n.Load(); n > 11*ownWidth || made.Load() != 0 {
		t.Error(n, " looks in ten seconds, and ", made.Load(), " were made")
	}
}

// TestUnreadableInOrder: an ordered delivery that cannot be read holds up those after it, and is read again.
func TestUnreadableInOrder(t *testing.T) {
	clock := worker.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	var mu sync.Mutex
	var made []string
	b, s, _ := box(t, crashtest.New(), clock, nil, func(_ context.Context, d *Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, d.Group)
		return nil
	})
	since := clock.Wall().UnixMilli()
	one := &Delivery{Source: "a", Ordered: true, Target: "t", Group: "1", SinceMS: since}
	two := &Delivery{Source: "a", Ordered: true, Target: "t", Group: "2", SinceMS: since}
	other := &Delivery{Source: "b", Ordered: true, Target: "t", Group: "3"}
	batch := s.NewBatch()
	defer batch.Close()
	for _, d := range []*Delivery{one, two, other} {
		if err := b.Add(batch, d, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Write(batch); err != nil {
		t.Fatal(err)
	}
	damage := func(version byte) {
		row := s.NewBatch()
		defer row.Close()
		row.Set(key(payloadRow, one.ID), []byte{version, 'x'})
		if err := s.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	damage(rowVersion + 1)
	b.Start()
	b.Release(one, two, other)
	advance := func(d time.Duration, want string) {
		t.Helper()
		if err := clock.Advance(context.Background(), d, nil); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(made, ","); got != want {
			t.Fatalf("made were %q, not %q", got, want)
		}
	}
	advance(time.Hour, "3")
	damage(rowVersion)
	advance(10*time.Minute, "3,1,2")
}

// TestUnreadableForLong: what cannot be read is given up once it is older than it may become, is told in the log and counted, and those after it go
// on. Its age alone is not enough: it must have been read again for a while.
func TestUnreadableForLong(t *testing.T) {
	for name, c := range map[string]struct {
		age   time.Duration // before the start
		limit time.Duration // of its retries
		kept  time.Duration // from the start, at least
	}{
		"young":           {age: letterAge - 3*time.Hour, kept: 3 * time.Hour},
		"of long retries": {age: 2*letterAge - 3*time.Hour, limit: 2 * letterAge, kept: 3 * time.Hour},
		"old":             {age: 3 * letterAge, kept: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			clock := worker.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
			made := atomic.Int64{}
			var log lines
			b, s, done := box(t, crashtest.New(), clock, slog.New(slog.NewTextHandler(&log, nil)), func(context.Context, *Delivery) error {
				made.Add(1)
				return nil
			})
			since := clock.Wall().Add(-c.age).UnixMilli()
			one := &Delivery{Source: "a", Ordered: true, Target: "to", SinceMS: since, Retry: Retry{AgeMS: c.limit.Milliseconds()}}
			owe(t, b, s, one, &Delivery{Source: "a", Ordered: true, Target: "to", SinceMS: clock.Wall().UnixMilli()})
			row := s.NewBatch()
			defer row.Close()
			row.Delete(key(payloadRow, one.ID))
			if err := s.Write(row); err != nil {
				t.Fatal(err)
			}
			b.Start()
			if err := clock.Advance(t.Context(), c.kept, nil); err != nil {
				t.Fatal(err)
			}
			if made.Load() != 0 || b.Len() != 2 || b.GivenUp() != 0 {
				t.Fatalf("after %v %d were made, %d are owed and %d were given up", c.kept, made.Load(), b.Len(), b.GivenUp())
			}
			if err := clock.Advance(t.Context(), 3*maxBackoff, nil); err != nil {
				t.Fatal(err)
			}
			if made.Load() != 1 || b.Len() != 0 || b.GivenUp() != 1 {
				t.Errorf("at the end %d were made, %d are owed and %d were given up", made.Load(), b.Len(), b.GivenUp())
			}
			if text := log.String(); strings.Count(text, "given up and removed") != 1 || !strings.Contains(text, "to=to ") || !strings.Contains(text, "of=a ") {
				t.Errorf("the log does not have what was given up: %.2000s", text)
			}
			if _, found, err := s.Get(nil, key(headRow, one.ID)); found || err != nil {
				t.Error("its row is still there, for the next start ", err)
			}
			done()
		})
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestPerSecond: deliveries with a limit begin that far apart, also when nothing was owed in between, and hold up no other source's.
func TestPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		other, began := time.Duration(-1), time.Now()
		b, s, _ := box(t, crashtest.New(), worker.NewClock(time.Now), nil, func(_ context.Context, d *Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			if d.Source == "other" {
				other = time.Since(began)
			} else {
				at = append(at, time.Since(began))
			}
			return nil
		})
		b.Start()
		limited := func() *Delivery { return &Delivery{Source: "s", Target: "http://there/", PerSecond: 2} }
		owe(t, b, s, limited(), limited(), limited(), &Delivery{Source: "other", Target: "http://elsewhere/"})
		time.Sleep(1250 * time.Millisecond)
		owe(t, b, s, limited())
		time.Sleep(time.Minute)
		owe(t, b, s, limited())
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		ms := time.Millisecond
		if want := []time.Duration{0, 500 * ms, 1000 * ms, 1500 * ms, 61250 * ms}; !slices.Equal(at, want) {
			t.Errorf("deliveries began at %v, not %v", at, want)
		}
		if other != 0 {
			t.Errorf("another source's began after %v", other)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.lines) != 0 {
			t.Errorf("%d lines are kept for nothing", len(b.lines))
		}
	})
}
