package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// The engine's contract, first part: a batch is visible when Apply returns, before
// any sync; the order of applies is the order of the log.
// Second part: it is durable when Sync returns, and not necessarily before.
func TestVisibleAtApplyDurableAtSync(t *testing.T) {
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
	defer closeStore(t, s)

	release := make(chan struct{})
	disk.Fail(func(op, file string) error {
		if op == "sync" && strings.HasSuffix(file, ".log") {
			<-release
		}
		return nil
	})
	var commits []*store.Commit
	for i := range 5 {
		b := s.NewBatch()
		b.Set(logKey(uint64(i+1)), []byte("v"))
		b.Set(copyKey(uint64(i+1)), []byte("v"))
		c := s.Begin()
		if err := s.Apply(c, b); err != nil {
			t.Fatal(err)
		}
		b.Close()
		if _, found := get(t, s, string(logKey(uint64(i+1)))); !found {
			t.Fatal("applied and not visible")
		}
		if c.Done() {
			t.Fatal("done without a sync")
		}
		commits = append(commits, c)
	}
	if held, err := reopened(t, disk.CloneKeeping(0, 0), 0); held != 0 || err != nil {
		t.Fatalf("%d batches are durable before a sync (%v)", held, err)
	}
	for seed := range uint64(20) {
		if _, err := reopened(t, disk.Clone(seed), 0); err != nil {
			t.Fatal(err)
		}
	}

	// The third is synced; the log being a prefix, so are those before it.
	close(release)
	if err := s.Sync(commits[2]); err != nil {
		t.Fatal(err)
	}
	if _, err := reopened(t, disk.CloneKeeping(0, 0), 3); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{4, 0, 3, 1} {
		if err := s.Sync(commits[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := reopened(t, disk.CloneKeeping(0, 0), 5); err != nil {
		t.Fatal(err)
	}
}

func reopened(t *testing.T, disk *crashtest.Disk, acked uint64) (held uint64, err error) {
	t.Helper()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
	defer closeStore(t, s)
	return check(s, acked)
}

// A wait is answered by the commit's own end, whatever that is.
func TestWait(t *testing.T) {
	s := open(t, store.Options{FS: crashtest.New().FS(), Dir: "data"})
	defer closeStore(t, s)
	for name, end := range map[string]func(c *store.Commit) error{
		"abandoned": func(c *store.Commit) error { s.Abandon(c); return nil },
		"empty":     func(c *store.Commit) error { return errors.Join(s.Apply(c, s.NewBatch()), s.Sync(c)) },
		"synced": func(c *store.Commit) error {
			b := s.NewBatch()
			b.Set([]byte("k"), nil)
			return errors.Join(s.Apply(c, b), s.Sync(c))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.Begin()
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if err := c.Wait(); err != nil {
						t.Error(err)
					}
					if !c.Done() {
						t.Error("waited for and not done")
					}
				})
			}
			if err := end(c); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
		})
	}
}

// P1: one sequential writer costs at least one sync of the log per commit.
func TestEveryCommitOfOneWriterIsASync(t *testing.T) {
	const commits = 200
	for d, want := range map[store.Durability]int64{store.Sync: commits, store.NoSync: 0} {
		disk := crashtest.New()
		began := time.Now()
		s := open(t, store.Options{FS: disk.FS(), Dir: "data", Durability: d})
		before := disk.LogSyncs()
		for i := range commits {
			put(t, s, fmt.Sprint(i), "v")
		}
		got := disk.LogSyncs() - before
		if got < want || d == store.NoSync && got != 0 {
			t.Errorf("%v: %d commits, %d syncs", d, commits, got)
		}
		if m := s.Metrics(); m.Commits != commits || d == store.Sync && m.Syncs < commits {
			t.Errorf("%v: metrics %+v", d, m)
		} else if d == store.Sync && (m.SyncTime <= 0 || m.SyncTime > time.Since(began)) {
			t.Errorf("%v: %d syncs, one after another, took %v of %v", d, m.Syncs, m.SyncTime, time.Since(began))
		}
		closeStore(t, s)
	}
}

// P3: after a Barrier, everything applied before it survives, though no Sync has
// been called; and it does not return before that.
func TestBarrierCoversAppliesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashtest.New()
		s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
		defer closeStore(t, s)
		for n := uint64(1); n <= 20; n++ {
			release := make(chan struct{})
			disk.Fail(func(op, file string) error {
				if op == "sync" && strings.HasSuffix(file, ".log") {
					<-release
				}
				return nil
			})
			b := s.NewBatch()
			b.Set(logKey(n), []byte("v"))
			b.Set(copyKey(n), []byte("v"))
			c := s.Begin()
			if err := s.Apply(c, b); err != nil {
				t.Fatal(err)
			}
			var returned atomic.Int32
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if err := s.Barrier(t.Context()); err != nil {
						t.Error(err)
					}
					returned.Add(1)
				})
			}
			synctest.Wait()
			if returned.Load() != 0 {
				t.Fatal("a barrier returned before the sync")
			}
			close(release)
			wg.Wait()
			if _, err := reopened(t, disk.CloneKeeping(0, 0), n); err != nil {
				t.Fatal(err)
			}
			if err := s.Sync(c); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestBarrierIsFreeWhenNothingIsInFlight(t *testing.T) {
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
	defer closeStore(t, s)
	put(t, s, "k", "v")
	before := disk.LogSyncs()
	for range 100 {
		if err := s.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := disk.LogSyncs() - before; n != 0 {
		t.Fatalf("%d syncs", n)
	}
}

func TestBarriersShareSyncsAndCanBeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashtest.New()
		s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
		defer closeStore(t, s)
		release := make(chan struct{})
		disk.Fail(func(op, file string) error {
			if op == "sync" && strings.HasSuffix(file, ".log") {
				<-release
			}
			return nil
		})
		b := s.NewBatch()
		b.Set([]byte("k"), []byte("v"))
		c := s.Begin()
		if err := s.Apply(c, b); err != nil {
			t.Fatal(err)
		}
		before := disk.LogSyncs()
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := s.Barrier(gone); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if err := s.Barrier(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if err := s.Sync(c); err != nil {
			t.Fatal(err)
		}
		// The commit, two rounds that were under way, and the one that gathered.
		if n := disk.LogSyncs() - before; n > 4 {
			t.Fatalf("%d syncs for 100 barriers", n)
		}
	})
}

// Damage in the middle of the log must not silently take what follows: the format
// with sync chunks is in force from the first write of a new database.
func TestDamagedLogIsNoticed(t *testing.T) {
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
	const batches = 200
	for n := uint64(1); n <= batches; n++ {
		b := s.NewBatch()
		b.Set(logKey(n), bytes.Repeat([]byte("v"), 1000))
		b.Set(copyKey(n), nil)
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	clone := disk.CloneKeeping(0, 0)
	closeStore(t, s)

	mem := clone.Mem()
	names, err := mem.List("data/db")
	if err != nil {
		t.Fatal(err)
	}
	flipped := false
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		data, err := mem.UnsafeGetFileDataBuffer("data/db/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 100_000 {
			data[len(data)/2] ^= 0xff
			flipped = true
		}
	}
	if !flipped {
		t.Fatal("no log to damage")
	}
	s, err = store.Open(store.Options{FS: clone.FS(), Dir: "data"})
	if err == nil {
		held, err := check(s, batches)
		closeStore(t, s)
		t.Fatalf("opened with %d of %d batches (%v)", held, batches, err)
	}
	if !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("got %v", err)
	}
}
