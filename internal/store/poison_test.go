package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

var errDisk = errors.New("input/output error")

// onLog fails operations of one kind on logs.
func onLog(kind string, err error) crashtest.Fault {
	return func(op, file string) error {
		if op == kind && strings.HasSuffix(file, ".log") {
			return err
		}
		return nil
	}
}

// mustBePoisoned checks that every method refuses.
func mustBePoisoned(t *testing.T, s *store.Store) {
	t.Helper()
	<-s.Poisoned() // closed once the cause is logged, a moment after calls are refused
	b := s.NewBatch()
	b.Set([]byte("k"), []byte("v"))
	fresh := s.Begin()
	abandoned := s.Begin()
	s.Abandon(abandoned)
	_, _, getErr := s.Get(nil, []byte("before"))
	_, _, probeErr := s.Probe(nil, []byte("before"))
	_, iterErr := s.NewIter(nil, nil)
	for name, err := range map[string]error{
		"Err": s.Err(), "Admit": s.Admit(), "Write": s.Write(b), "Apply": s.Apply(fresh, b), "Sync": s.Sync(fresh),
		"Wait": fresh.Wait(), "Wait of an abandoned one": abandoned.Wait(), "Barrier": s.Barrier(t.Context()),
		"Get": getErr, "Probe": probeErr, "NewIter": iterErr, "Close": s.Close(),
	} {
		if !errors.Is(err, store.ErrPoisoned) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if m := s.Metrics(); m != (store.Metrics{}) {
		t.Errorf("metrics %+v", m)
	}
}

// P1: the first failed sync is the end, and stays so when the disk is well again.
func TestFirstFailedSyncPoisons(t *testing.T) {
	for name, fault := range map[string]crashtest.Fault{
		"sync": onLog("sync", errDisk), "write": onLog("write", errDisk), "full disk": onLog("write", syscall.ENOSPC),
	} {
		t.Run(name, func(t *testing.T) {
			disk := crashtest.New()
			s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
			put(t, s, "before", "v")
			it, err := s.NewIter(nil, nil)
			if err != nil {
				t.Fatal(err)
			}

			disk.Fail(fault)
			b := s.NewBatch()
			b.Set([]byte("lost"), []byte("v"))
			c := s.Begin()
			waited := make(chan error)
			go func() { waited <- c.Wait() }()
			if err := s.Apply(c, b); err != nil {
				t.Fatalf("apply: %v", err)
			}
			if err := s.Sync(c); !errors.Is(err, store.ErrPoisoned) {
				t.Fatalf("sync: %v", err)
			}
			if err := <-waited; !errors.Is(err, store.ErrPoisoned) {
				t.Fatalf("the waiter: %v", err)
			}
			if c.Done() {
				t.Fatal("done")
			}
			disk.Fail(nil)
			if it.First() || it.Valid() {
				t.Error("an iterator from before still reads")
			}
			if err := it.Close(); !errors.Is(err, store.ErrPoisoned) {
				t.Errorf("iterator: %v", err)
			}
			mustBePoisoned(t, s)

			again := open(t, store.Options{FS: disk.Clone(0).FS(), Dir: "data"})
			if v, _ := get(t, again, "before"); v != "v" {
				t.Fatal("acknowledged data is lost")
			}
			closeStore(t, again)
		})
	}
}

// Writers and barriers under way when the disk fails all get the error, and what
// was acknowledged is there after a restart.
func TestFailureUnderLoadHangsNobody(t *testing.T) {
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
	var acked atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				b := s.NewBatch()
				b.Set([]byte("k"), make([]byte, 100))
				if err := s.Write(b); err != nil {
					if !errors.Is(err, store.ErrPoisoned) {
						t.Error(err)
					}
					return
				}
				if acked.Add(1) == 500 {
					disk.Fail(onLog("sync", errDisk))
				}
			}
		})
		wg.Go(func() {
			for {
				if err := s.Barrier(t.Context()); err != nil {
					if !errors.Is(err, store.ErrPoisoned) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	mustBePoisoned(t, s)
}

// In Periodic mode nobody waits for the sync that fails.
func TestFailedPeriodicSyncPoisons(t *testing.T) {
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data", Durability: store.Periodic, SyncInterval: 1})
	put(t, s, "before", "v")
	disk.Fail(onLog("sync", errDisk))
	b := s.NewBatch()
	b.Set([]byte("k"), []byte("v"))
	_ = s.Write(b) // may or may not meet the poison already
	<-s.Poisoned()
	mustBePoisoned(t, s)
}

// Failures that end in a panic of the engine, with its commit lock held, or in
// Logger.Fatalf, must not answer with data or let a write return nil. They run in a
// child process, since the engine is left in an unknown state: one of them ends the
// process itself, with the poison logged before.
func TestEnginePanicsPoison(t *testing.T) {
	const variable = "MILLSTREAM_TEST_CHILD"
	faults := map[string]crashtest.Fault{
		// The rotation makes a new log and finds that it cannot.
		"log cannot be made": func(op, file string) error {
			if op == "create" && strings.HasSuffix(file, ".log") {
				return errDisk
			}
			return nil
		},
		// The flush that follows a rotation cannot record its tables: Fatalf in a
		// goroutine of the engine.
		"manifest cannot be synced": func(op, file string) error {
			if op == "sync" && strings.Contains(file, "MANIFEST") {
				return errDisk
			}
			return nil
		},
	}
	if name := os.Getenv(variable); name != "" {
		disk := crashtest.New()
		s := open(t, store.Options{FS: disk.FS(), Dir: "data", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
		put(t, s, "before", "v")
		disk.Fail(faults[name])
		// More than the largest memtable: a rotation is due in any case.
		for range 1000 {
			b := s.NewBatch()
			b.Set([]byte("k"), make([]byte, 100_000))
			if err := s.Write(b); err != nil {
				if !errors.Is(err, store.ErrPoisoned) {
					t.Fatal(err)
				}
				mustBePoisoned(t, s)
				return
			}
		}
		t.Fatal("writes go on")
	}
	for name := range faults {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEnginePanicsPoison$", "-test.timeout=30s")
			cmd.Env = append(os.Environ(), variable+"="+name)
			out, err := cmd.CombinedOutput()
			if !bytes.Contains(out, []byte("store poisoned")) || !bytes.Contains(out, []byte(errDisk.Error())) {
				t.Errorf("the cause was not logged")
			}
			if err != nil && !bytes.Contains(out, []byte("fatal error: sync: unlock of unlocked mutex")) {
				t.Errorf("%v", err)
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}
