package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s *store.Store, key, value string) {
	t.Helper()
	b := s.NewBatch()
	defer b.Close()
	b.Set([]byte(key), []byte(value))
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s *store.Store, key string) (string, bool) {
	t.Helper()
	v, found, err := s.Get(nil, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(v), found
}

func closeStore(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestIdentitySurvivesAndIncarnationRises(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"memory": vfs.NewMem(), "crashable": crashtest.New().FS(), "disk": nil} {
		t.Run(name, func(t *testing.T) {
			dir := "a/b"
			if fs == nil {
				dir = filepath.Join(t.TempDir(), dir)
			}
			s := open(t, store.Options{FS: fs, Dir: dir})
			id, key := s.DatabaseID(), string(s.TokenKey())
			if id == [16]byte{} || len(key) != 32 {
				t.Fatalf("id %x, token key of %d bytes", id, len(key))
			}
			for want := uint64(1); want <= 3; want++ {
				if got := s.Incarnation(); got != want {
					t.Fatalf("incarnation %d, want %d", got, want)
				}
				put(t, s, "k", "v")
				closeStore(t, s)
				s = open(t, store.Options{FS: fs, Dir: dir})
				if s.DatabaseID() != id || string(s.TokenKey()) != key {
					t.Fatal("identity changed")
				}
				if v, _ := get(t, s, "k"); v != "v" {
					t.Fatalf("read %q", v)
				}
			}
			closeStore(t, s)
		})
	}
}

func TestWorksInsideABubble(t *testing.T) {
	for range 2 { // twice: the engine's pools outlive a bubble
		for _, d := range []store.Durability{store.Sync, store.Periodic, store.NoSync} {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, store.Options{FS: vfs.NewMem(), Dir: "data", Durability: d})
				for range 100 {
					put(t, s, "k", "v")
					if err := s.Barrier(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				closeStore(t, s)
			})
		}
	}
}

func TestSecondOpenNamesTheCure(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	defer closeStore(t, s)
	_, err := store.Open(store.Options{Dir: dir})
	if !errors.Is(err, store.ErrLocked) {
		t.Fatalf("got %v", err)
	}
	t.Log(err)
}

// noLock fails to lock.
type noLock struct {
	vfs.FS
	err error
}

func (f noLock) Lock(string) (io.Closer, error) { return nil, f.err }

// Only a lock that is held is called in use; all else says what it is.
func TestRefusalsSayWhatToDo(t *testing.T) {
	on := func(op string, err error) error { return &fs.PathError{Op: op, Path: "data/LOCK", Err: err} }
	for _, c := range []struct {
		err    error
		locked bool
		want   string
	}{
		{syscall.EAGAIN, true, "open in another process"},
		{on("open", syscall.EACCES), false, "no permission"},
		{on("chmod", syscall.EPERM), false, "no permission"},
		{on("open", syscall.EROFS), false, "mounted read-only"},
		{on("open", syscall.ENOSPC), false, "no space is left"},
		{on("open", syscall.ENOTDIR), false, "a file"},
		{on("open", syscall.EIO), false, "input/output error"},
	} {
		_, err := store.Open(store.Options{FS: noLock{vfs.NewMem(), c.err}, Dir: "data"})
		if err == nil || errors.Is(err, store.ErrLocked) != c.locked || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.err, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	if _, err := store.Open(store.Options{Dir: filepath.Join(file, "data")}); err == nil || !strings.Contains(err.Error(), "a file") {
		t.Error(err)
	}
}

func TestRefusesFoldersItDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string)
		want    error
	}{
		"newer": {func(t *testing.T, dir string) {
			closeStore(t, open(t, store.Options{Dir: dir}))
			write(t, filepath.Join(dir, "VERSION"), "2\n")
		}, store.ErrNewer},
		"newer engine": {func(t *testing.T, dir string) {
			closeStore(t, open(t, store.Options{Dir: dir}))
			marker, err := filepath.Glob(filepath.Join(dir, "db", "marker.format-version.*"))
			if err == nil {
				err = os.Rename(marker[0], filepath.Join(dir, "db", "marker.format-version.000099.099"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}, store.ErrNewer},
		"garbage": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "VERSION"), "PostgreSQL\n")
		}, store.ErrDamaged},
		"foreign": {func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "db"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, store.ErrDamaged},
		"a home folder": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "letters.txt"), "")
		}, store.ErrNotOurs},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.prepare(t, dir)
			if _, err := store.Open(store.Options{Dir: dir}); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			// The refusal has let go of the lock.
			if _, err := store.Open(store.Options{Dir: dir}); !errors.Is(err, c.want) {
				t.Fatalf("again: got %v, want %v", err, c.want)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestIteratorClosedTwice: the engine pools its iterators, so that a second Close
// must not reach one that somebody else has got by then.
func TestIteratorClosedTwice(t *testing.T) {
	s, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := s.NewBatch()
	b.Set([]byte("k"), []byte("v"))
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	first, err := s.NewIter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := s.NewIter([]byte("k"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if !second.First() || string(second.Key()) != "k" {
		t.Fatal("closing another iterator again closed this one")
	}
}

// TestBlocksAreCached: the engine takes its memtables out of the cache's room, and
// a cache of their size holds nothing.
func TestBlocksAreCached(t *testing.T) {
	s, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "data", Durability: store.NoSync})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	value := make([]byte, 64<<10)
	for i := range 1500 { // 94 MB: the first of it has been flushed
		b := s.NewBatch()
		b.Set([]byte{store.SpaceItem, byte(i >> 8), byte(i)}, value)
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		b.Close()
	}
	for range 2 {
		if _, found, err := s.Get(nil, []byte{store.SpaceItem, 0, 0}); err != nil || !found {
			t.Fatal(found, err)
		}
	}
	if got := s.Metrics().CacheBytes; got < uint64(len(value)) {
		t.Fatalf("%d bytes in the cache after a block of %d was read", got, len(value))
	}
}

// TestEveryOpenBeginsALineage: a folder that was copied or rolled back forks from then on.
func TestEveryOpenBeginsALineage(t *testing.T) {
	disk, seen := crashtest.New(), map[string]bool{}
	for range 3 {
		closeStore(t, open(t, store.Options{FS: disk.FS(), Dir: damagedDir}))
		seen[string(content(t, disk, damagedDir+"/LINEAGE"))] = true
	}
	if len(seen) != 3 {
		t.Error(seen)
	}
}

// TestCopiesGoOnElsewhere: the first open of a copy raises the incarnation far, once, and a file that cannot say by how much is told.
func TestCopiesGoOnElsewhere(t *testing.T) {
	mem := vfs.NewMem()
	closeStore(t, open(t, store.Options{FS: mem, Dir: "data"}))
	if err := store.MarkCopied(mem, "data"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{1026, 1027} {
		s := open(t, store.Options{FS: mem, Dir: "data"})
		if got := s.Incarnation(); got != want {
			t.Errorf("incarnation %d, want %d", got, want)
		}
		id := s.DatabaseID()
		closeStore(t, s)
		if text := readAll(t, mem, "data/DATABASE"); text != fmt.Sprintf("%x\n", id) {
			t.Errorf("DATABASE holds %q", text)
		}
	}
	for _, text := range []string{"", "x", "0", "-1", "99999999"} {
		writeAll(t, mem, "data/COPIED", text)
		if _, err := store.Open(store.Options{FS: mem, Dir: "data"}); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func readAll(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeAll(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte(text))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestCheckTable: a table file is read whole, by its path alone.
func TestCheckTable(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	for i := range 2000 {
		b.Set(fmt.Appendf(nil, "key %d", i), bytes.Repeat([]byte{byte(i)}, 100))
	}
	if err := errors.Join(s.Write(b), s.Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if fault, err := store.CheckTable(name); fault != nil || err != nil {
			t.Error(fault, err)
		}
		for _, part := range []int{0, 3, 8} {
			damaged := bytes.Clone(whole)
			damaged[len(damaged)*part/10] ^= 1
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if fault, err := store.CheckTable(name); fault == nil || err != nil {
				t.Errorf("%s with a flipped byte at %d tenths is taken as whole", name, part)
			}
		}
		if err := os.WriteFile(name, whole[:len(whole)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if fault, err := store.CheckTable(name); fault == nil || err != nil {
			t.Errorf("the half of %s is taken as whole", name)
		}
	}
}
