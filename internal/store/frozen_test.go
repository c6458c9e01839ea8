package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// What is frozen stays as it was, over later writes and a restart; and a Freeze that fails, for want of room say, takes
// nothing else down.
func TestFreeze(t *testing.T) {
	disk := crashtest.New()
	open := func() *store.Store {
		t.Helper()
		s, err := store.Open(store.Options{FS: disk.FS(), Dir: "data"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	set := func(value string) {
		t.Helper()
		b := s.NewBatch()
		defer b.Close()
		b.Set([]byte("k"), []byte(value))
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	set("one")
	for _, fails := range []func(file string) bool{
		func(file string) bool { return strings.Contains(file, "frozen") },
		func(file string) bool { return strings.Contains(file, "frozen") && strings.HasSuffix(file, ".log") }, // the copy of the log, at the end
	} {
		disk.Fail(func(_, file string) error {
			if fails(file) {
				return errors.New("no room")
			}
			return nil
		})
		if err := s.Freeze("a", store.Span{Lower: []byte("k"), Upper: []byte("l")}); err == nil {
			t.Fatal("frozen on a disk that fails")
		}
		disk.Fail(nil)
		if err := s.Err(); err != nil {
			t.Fatalf("the store is poisoned: %v", err)
		}
		if err := s.Thaw("a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Freeze("a", store.Span{Lower: []byte("k"), Upper: []byte("l")}); err != nil {
		t.Fatal(err)
	}
	set("two")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	f, err := s.OpenFrozen("a")
	if err != nil {
		t.Fatal(err)
	}
	it, err := f.NewIter([]byte("k"), []byte("l"))
	if err != nil {
		t.Fatal(err)
	}
	if !it.First() {
		t.Fatal("nothing is frozen")
	}
	if v, err := it.Value(); err != nil || string(v) != "one" {
		t.Errorf("%s, %v", v, err)
	}
	if err := errors.Join(it.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if names, err := s.FrozenNames(); err != nil || len(names) != 1 || names[0] != "a" {
		t.Error(names, err)
	}
	if err := s.Thaw("a"); err != nil {
		t.Error(err)
	}
	if names, err := s.FrozenNames(); err != nil || len(names) != 0 {
		t.Error(names, err)
	}
}

// TestFrozenNamesAreWhole: what is being frozen is not listed yet, since its files still grow.
func TestFrozenNamesAreWhole(t *testing.T) {
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data"})
	defer closeStore(t, s)
	put(t, s, "k", "v")
	looked, asking := 0, false
	disk.Fail(func(_, file string) error {
		if asking || !strings.Contains(file, "MANIFEST") {
			return nil
		}
		asking = true
		defer func() { asking = false }()
		looked++
		if names, err := s.FrozenNames(); err != nil || len(names) > 0 {
			t.Errorf("%v, %v", names, err)
		}
		return nil
	})
	err := s.Freeze("a", store.Span{Lower: []byte("k"), Upper: []byte("l")})
	disk.Fail(nil)
	if err != nil || looked == 0 {
		t.Fatal(err, looked)
	}
	if names, err := s.FrozenNames(); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}

// TestFilesAreKeptForACopy: while a copy of the folder is made, nothing goes that its rows may name.
func TestFilesAreKeptForACopy(t *testing.T) {
	s, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	files := s.Files(store.BackupsPath, "one")
	if err := errors.Join(s.Freeze("table-one", store.Span{Lower: []byte("a"), Upper: []byte("b")}), files.Put("file", []byte("content"))); err != nil {
		t.Fatal(err)
	}
	for name, remove := range map[string]func() error{"frozen": func() error { return s.Thaw("table-one") }, "files": files.Remove} {
		release := s.KeepFiles()
		done := make(chan error, 1)
		go func() { done <- remove() }()
		select {
		case <-done:
			t.Errorf("%s: removed while a copy is made", name)
			continue
		case <-time.After(50 * time.Millisecond):
		}
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestCopiesUnderWriters: what is frozen, and a copy of the folder, open whatever is written meanwhile, and have what was acknowledged before. (A log is used
// again in place: whoever copies it while it is written may find what is new behind what is old, and the engine takes that for damage.)
func TestCopiesUnderWriters(t *testing.T) {
	disk := crashtest.New()
	s, err := store.Open(store.Options{FS: disk.FS(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged [8]atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for n := range acknowledged {
		wg.Go(func() {
			value := bytes.Repeat([]byte{byte('a' + n)}, 3000)
			for i := int64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				b := s.NewBatch()
				b.Set([]byte{'k', byte(n)}, binary.BigEndian.AppendUint64(nil, uint64(i)))
				b.Set(append([]byte{'v', byte(n)}, byte(i)), value)
				err := s.Write(b)
				b.Close()
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged[n].Store(i)
			}
		})
	}
	for round := range 60 {
		var before [8]int64
		for n := range before {
			before[n] = acknowledged[n].Load()
		}
		if round%2 == 0 {
			if err := s.Flush(); err != nil { // so that logs are used again
				t.Fatal(err)
			}
		}
		if err := s.Freeze("a", store.Span{Lower: []byte("k"), Upper: []byte("l")}); err != nil {
			t.Fatal(err)
		}
		f, err := s.OpenFrozen("a")
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		it, err := f.NewIter([]byte("k"), []byte("l"))
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			v, err := it.Value()
			if err != nil {
				t.Fatal(err)
			}
			if n := it.Key()[1]; int64(binary.BigEndian.Uint64(v)) < before[n] {
				t.Errorf("round %d: %d of %d that were acknowledged", round, binary.BigEndian.Uint64(v), before[n])
			}
		}
		if err := errors.Join(it.Close(), f.Close(), s.Thaw("a")); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// copyAhead says whether a copy of the folder has what the folder itself does not have after a crash: a write comes to the log, and not yet to the disk, while
// it is copied.
func copyAhead(t *testing.T) error {
	t.Helper()
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data", Durability: store.Periodic, SyncInterval: time.Hour})
	put(t, s, "before", "v")
	logs := func() (size int64) {
		names, err := disk.Mem().List("data/db")
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if info, err := disk.Mem().Stat("data/db/" + name); err == nil && strings.HasSuffix(name, ".log") {
				size += info.Size()
			}
		}
		return size
	}
	var once sync.Once
	disk.Fail(func(op, file string) error {
		if op == "create" && strings.HasPrefix(file, "copy/db/") {
			once.Do(func() {
				put(t, s, "meanwhile", "v")
				put(t, s, "large", strings.Repeat("v", 200<<10)) // so that the one before leaves memory
				for logs() < 150<<10 {
					runtime.Gosched()
				}
			})
		}
		return nil
	})
	if err := s.Stage(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	crashed := disk.CloneKeeping(0, 1)
	disk.Fail(nil)
	closeStore(t, s)
	has := func(dir string) bool {
		s := open(t, store.Options{FS: crashed.FS(), Dir: dir})
		defer closeStore(t, s)
		if _, there := get(t, s, "before"); !there {
			t.Errorf("%s lacks what was there before", dir)
		}
		_, there := get(t, s, "meanwhile")
		return there
	}
	if has("copy") && !has("data") {
		return errors.New("the copy has what a crash takes back")
	}
	return nil
}

// TestCopyIsNotAhead: what a crash may still take back is in no copy.
func TestCopyIsNotAhead(t *testing.T) {
	if err := copyAhead(t); err != nil {
		t.Error(err)
	}
}
