package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// readable reads each row in every way there is and returns which fail; one that is
// absent, or has another value, is an error.
func readable(s *store.Store, size, rows int) (fail map[int]bool, err error) {
	fail = map[int]bool{}
	for n := range rows {
		want := valueOf(uint64(n), size)
		for _, read := range []func(dst, key []byte) ([]byte, bool, error){s.Get, s.Probe} {
			v, found, err := read(nil, rowKey(uint64(n)))
			switch {
			case errors.Is(err, store.ErrDamaged):
				fail[n] = true
			case err != nil:
				return nil, err
			case !found:
				return nil, fmt.Errorf("row %d is absent", n)
			case !bytes.Equal(v, want):
				return nil, fmt.Errorf("row %d has another value", n)
			}
		}
	}
	// Walks between chance places, both ways, meet each row or fail.
	rng := rand.New(rand.NewPCG(uint64(rows), 5))
	for range 20 {
		a, b := rng.IntN(rows), rng.IntN(rows+1)
		a, b = min(a, b), max(a, b)
		up := rng.IntN(2) == 0
		it, err := s.NewIter(rowKey(uint64(a)), rowKey(uint64(b)))
		if err != nil {
			return nil, err
		}
		count := 0
		if up {
			for ok := it.First(); ok; ok = it.Next() {
				count++
			}
		} else {
			for ok := it.Last(); ok; ok = it.Prev() {
				count++
			}
		}
		if err := it.Close(); err != nil && !errors.Is(err, store.ErrDamaged) {
			return nil, err
		} else if err == nil && count != b-a {
			return nil, fmt.Errorf("a walk from %d to %d (up: %v) met %d rows", a, b, up, count)
		}
		// A seek for a row finds it, or fails.
		if it, err = s.NewIter([]byte{store.SpaceItem}, []byte{store.SpaceItem + 1}); err != nil {
			return nil, err
		}
		at := rowKey(uint64(a))
		found := it.SeekGE(at)
		same := found && bytes.Equal(it.Key(), at)
		if err := it.Close(); a < rows && err == nil && !same {
			return nil, fmt.Errorf("a seek for row %d missed it", a)
		}
	}
	return fail, nil
}

// quarantineOnce damages a byte of the largest table and follows what comes of it: what
// can be read is right, what is damaged is told and never absent, everything merges,
// and writes go on. It returns how many rows are lost.
func quarantineOnce(t testing.TB, folder *crashtest.Disk, size, rows int, seed uint64) (int, error) {
	disk := folder.CloneKeeping(100, seed)
	flip(content(t, disk, largest(t, disk, files(t, disk, ".sst"))), rand.New(rand.NewPCG(seed, uint64(size))))
	var lost map[int]bool
	for round := range 3 {
		log := &lines{seen: map[string]int{}}
		s, err := store.Open(store.Options{FS: disk.FS(), Dir: damagedDir, Logger: slog.New(log)})
		if errors.Is(err, store.ErrDamaged) && round == 0 {
			return 0, nil // the store's own rows
		}
		if err != nil {
			return 0, fmt.Errorf("round %d: %w", round, err)
		}
		err = func() error {
			if _, err := readable(s, size, rows); err != nil {
				return err
			}
			s.Isolated()
			for _, d := range s.Damages() {
				if !d.Quarantine {
					return fmt.Errorf("not put in quarantine: %+v, %v", d, log.seen)
				}
			}
			if err := s.CompactAll(); err != nil {
				return fmt.Errorf("merge: %w", err)
			}
			s.Isolated()
			put(t, s, "k", "v")
			if err := s.Flush(); err != nil {
				return err
			}
			fail, err := readable(s, size, rows)
			if err != nil {
				return err
			}
			if round > 0 && len(fail) != len(lost) {
				return fmt.Errorf("%d rows failed, and now %d", len(lost), len(fail))
			}
			lost = fail
			if len(fail) > 0 {
				told := s.Damages()
				if len(told) != 1 || !told[0].Quarantine || !strings.HasPrefix(told[0].File, "db/") {
					return fmt.Errorf("told: %+v", told)
				}
				if n := len(log.seen); n != 1 {
					return fmt.Errorf("the log: %v", log.seen)
				}
				if _, err := disk.Mem().Stat(damagedDir + "/" + s.Quarantine()[0].Copy); err != nil {
					return err
				}
			}
			return nil
		}()
		closeStore(t, s)
		if err != nil {
			return 0, fmt.Errorf("round %d: %w", round, err)
		}
	}
	return len(lost), nil
}

// TestQuarantine: MILLSTREAM_DAMAGES says at how many places of a table, for each size of rows.
func TestQuarantine(t *testing.T) {
	places := 3
	if testing.Short() {
		places = 1
	}
	if v := os.Getenv("MILLSTREAM_DAMAGES"); v != "" {
		var err error
		if places, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range damageSizes {
		t.Run(fmt.Sprintf("%d bytes", c.size), bubble(func(t *testing.T) {
			folder := killed(t, 1, c.size, c.rows)
			lost, most := 0, 0
			for seed := range uint64(places) {
				n, err := quarantineOnce(t, folder, c.size, c.rows, seed)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				lost, most = lost+n, max(most, n)
			}
			t.Logf("%d places: %.1f rows of %d lost at each, %d at most", places, float64(lost)/float64(places), c.rows, most)
		}))
	}
}

// bubble has the rests of the engine's work take no time.
func bubble(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

// noRoom is a disk on which no copy of a damaged range can be made.
type noRoom struct{ vfs.FS }

func (f noRoom) Unwrap() vfs.FS { return f.FS }
func (f noRoom) MkdirAll(dir string, mode os.FileMode) error {
	if strings.Contains(dir, "/quarantined") {
		return errors.New("no room for a copy")
	}
	return f.FS.MkdirAll(dir, mode)
}

// TestWritesAreRefusedBeforeTheyHang: damage that cannot be put in quarantine has writes
// refused, with the file and the reason, before the engine would have them wait for ever.
// Reads go on, and the next start, on a disk with room, takes writes again.
func TestWritesAreRefusedBeforeTheyHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := killed(t, 1, 500, 400)
		name := largest(t, disk, files(t, disk, ".sst"))
		content(t, disk, name)[3000] ^= 1
		name = strings.TrimPrefix(name, damagedDir+"/")
		log := &lines{seen: map[string]int{}}
		s := open(t, store.Options{FS: noRoom{disk.FS()}, Dir: damagedDir, Logger: slog.New(log)})
		var refused error
		for n := 0; refused == nil; n++ {
			put(t, s, string(rowKey(5)), strconv.Itoa(n)) // in the damaged block: it is merged with it
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if refused = s.Admit(); s.UpperLevel() > store.WritesStopAt {
				t.Fatalf("%d parts in the upper level, and no refusal", s.UpperLevel())
			}
		}
		if !errors.Is(refused, store.ErrDamaged) || !strings.Contains(refused.Error(), name) || !strings.Contains(refused.Error(), "restore the folder") {
			t.Errorf("refused with: %v", refused)
		}
		if _, found, err := s.Get(nil, rowKey(399)); !found || err != nil {
			t.Errorf("a row elsewhere: %v, %v", found, err)
		}
		closeStore(t, s)
		t.Logf("%v; log: %v", refused, log.seen)
		s = open(t, store.Options{FS: disk.FS(), Dir: damagedDir})
		defer closeStore(t, s)
		for range 5 {
			_, _, _ = s.Get(nil, rowKey(7))
			s.Isolated()
			time.Sleep(2 * time.Second)
		}
		if err := s.Admit(); err != nil {
			t.Errorf("with room: %v", err)
		}
	})
}

// TestDamageAfterQuarantineStops: damage that is met in a file of which so much is in quarantine that no more is put there
// stands in the way of merging, as any does that was not solved.
func TestDamageAfterQuarantineStops(t *testing.T) {
	s := open(t, store.Options{FS: crashtest.New().FS(), Dir: damagedDir})
	defer closeStore(t, s)
	if !s.MeetsAtTheLimit(damagedDir + "/db/000008.sst") {
		t.Error("it is taken for solved")
	}
}

// switched is a disk on which links are slow at some time, or hang.
type switched struct {
	vfs.FS
	slow atomic.Bool
	hang chan struct{}
}

func (f *switched) Unwrap() vfs.FS { return f.FS }
func (f *switched) Link(from, to string) error {
	if f.slow.Load() {
		time.Sleep(20 * time.Millisecond) // two at once meet for sure
	}
	if f.hang != nil && strings.Contains(to, "/quarantined") {
		<-f.hang
	}
	return f.FS.Link(from, to)
}

// TestQuarantineThatHangsStops: writers wait while a range is taken out; when that has no end, the store has one.
func TestQuarantineThatHangsStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := killed(t, 1, 500, 400)
		content(t, disk, largest(t, disk, files(t, disk, ".sst")))[3000] ^= 1
		f := &switched{FS: disk.FS(), hang: make(chan struct{})}
		s := open(t, store.Options{FS: f, Dir: damagedDir})
		for n := range uint64(20) {
			_, _, _ = s.Get(nil, rowKey(n))
		}
		select {
		case <-s.Poisoned():
		case <-time.After(time.Hour):
			t.Error("not poisoned")
		}
		close(f.hang)
		s.Isolated()
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
	})
}

// TestTwoFilesInQuarantine: what two files have lost is listed, though they are looked at at once.
func TestTwoFilesInQuarantine(t *testing.T) {
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: damagedDir})
	for n := range uint64(400) {
		if n%200 == 0 {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		put(t, s, string(rowKey(n)), string(valueOf(n, 500)))
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	damaged := 0
	for _, name := range files(t, disk, ".sst") {
		if data := content(t, disk, name); len(data) > 50_000 {
			data[3000] ^= 1
			damaged++
		}
	}
	f := &switched{FS: disk.FS()}
	f.slow.Store(true)
	s = open(t, store.Options{FS: f, Dir: damagedDir})
	var wg sync.WaitGroup
	for n := range uint64(20) {
		wg.Go(func() { _, _, _ = s.Get(nil, rowKey(n)) })
		wg.Go(func() { _, _, _ = s.Get(nil, rowKey(200+n)) })
	}
	wg.Wait()
	s.Isolated()
	if len(s.Quarantine()) != 2 || damaged != 2 {
		t.Errorf("%d files were damaged; in quarantine: %+v", damaged, s.Quarantine())
	}
	if _, err := readable(s, 500, 400); err != nil {
		t.Error(err)
	}
	closeStore(t, s)
}

// TestResumedQuarantineKeepsACopy: a listed range that is still in the database is taken out at the open only once
// all that is in it has been kept.
func TestResumedQuarantineKeepsACopy(t *testing.T) {
	disk := killed(t, 1, 500, 400)
	list := fmt.Sprintf(`{"version":1,"ranges":[{"from":"%x","to":"%x","file":"db/000001.sst","copy":"quarantined/7","since":"2026-01-01T00:00:00Z","removed":false}]}`, rowKey(10), rowKey(20))
	overwrite(t, disk, damagedDir+"/QUARANTINE", []byte(list))
	closeStore(t, open(t, store.Options{FS: noRoom{disk.FS()}, Dir: damagedDir}))
	remove(t, disk, damagedDir+"/QUARANTINE")
	s := open(t, store.Options{FS: disk.FS(), Dir: damagedDir})
	if fail, err := readable(s, 500, 400); err != nil || len(fail) > 0 {
		t.Errorf("without room for a copy: %v, %v", fail, err)
	}
	closeStore(t, s)
	overwrite(t, disk, damagedDir+"/QUARANTINE", []byte(list))
	closeStore(t, open(t, store.Options{FS: disk.FS(), Dir: damagedDir}))
	if names, err := disk.Mem().List(damagedDir + "/quarantined/1"); err != nil || len(names) == 0 {
		t.Errorf("the copy has %v, %v", names, err)
	}
}

// TestCutRestoreDoesNotOpen: a folder in which a restore has begun is not taken for a new one.
func TestCutRestoreDoesNotOpen(t *testing.T) {
	disk := crashtest.New()
	if err := disk.Mem().MkdirAll(damagedDir, 0o700); err != nil {
		t.Fatal(err)
	}
	overwrite(t, disk, damagedDir+"/RESTORING", nil)
	if _, err := store.Open(store.Options{FS: disk.FS(), Dir: damagedDir}); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "restore again") {
		t.Error(err)
	}
}

// replayed opens a copy of a folder to which changes were added.
func replayed(t *testing.T, base string, changes []store.Change) *store.Store {
	t.Helper()
	to := copyTree(t, base)
	r, err := store.OpenReplay(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		c.Batch = bytes.Clone(c.Batch)
		if err := r.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: to})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEncloseIsCopied: what is in quarantine though nothing of it was here is so in a copy that is made of changes, is there or not after a crash, and
// is out again with what it was of.
func TestEncloseIsCopied(t *testing.T) {
	dir, base := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "base")
	s, err := store.Open(store.Options{Dir: dir, Changes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Changes().Begin(), s.Stage(t.Context(), base)); err != nil {
		t.Fatal(err)
	}
	enclose := func() {
		t.Helper()
		if err := s.Enclose([]byte("b"), []byte("c"), "file"); err != nil {
			t.Fatal(err)
		}
	}
	enclose()
	enclose()
	if n := len(s.Quarantine()); n != 1 {
		t.Errorf("it is listed %d times", n)
	}
	var changes []store.Change
	changes = taken(t, s, changes)
	other := replayed(t, base, changes)
	if _, _, err := other.Get(nil, []byte("b")); !errors.Is(err, store.ErrDamaged) || len(other.Quarantine()) != 1 {
		t.Errorf("in a copy: %v, %+v", err, other.Quarantine())
	}
	closeStore(t, other)
	s.Gone([]byte("b1"), []byte("d"))
	if _, _, err := s.Get(nil, []byte("b")); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a part of it is gone: %v", err)
	}
	s.Gone([]byte("b"), []byte("d"))
	if v, there := get(t, s, "b"); there || len(s.Quarantine()) > 0 {
		t.Errorf("%q, %+v", v, s.Quarantine())
	}
	changes = taken(t, s, changes)
	other = replayed(t, base, changes)
	if n := len(other.Quarantine()); n != 0 {
		t.Errorf("%d ranges are in a copy's list when it is gone", n)
	}
	closeStore(t, other)
	enclose()
	closeStore(t, s)
	s, err = store.Open(store.Options{Dir: dir})
	if err != nil || len(s.Quarantine()) != 1 {
		t.Fatal(err)
	}
	closeStore(t, s)
}

// TestCrashBeforeGone: a range of what was removed, and one within it, is not listed for ever, if the server ends between the removal and Gone.
func TestCrashBeforeGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Enclose([]byte("b"), []byte("c"), "file"), s.Enclose([]byte("ba"), []byte("bb"), "file"), s.Enclose([]byte("d"), []byte("e"), "file")); err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	s.DropRange(b, []byte("a"), []byte("d"))
	if err := errors.Join(s.Write(b), s.MakeDurable()); err != nil {
		t.Fatal(err)
	}
	b.Close()
	closeStore(t, s)
	s, err = store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if list := s.Quarantine(); len(list) != 1 || string(list[0].From) != "d" {
		t.Errorf("%+v", list)
	}
	closeStore(t, s)
}

// TestGoneIsCopied: what was in quarantine when the folder was copied is out of it in the copy, too, once the changes have come with which that was
// removed; a range that damage of its own has made one stays.
func TestGoneIsCopied(t *testing.T) {
	dir, base := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "base")
	s, err := store.Open(store.Options{Dir: dir, Changes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Enclose([]byte("b"), []byte("c"), "file"), s.Enclose([]byte("d"), []byte("e"), "file"), s.Changes().Begin(), s.Stage(t.Context(), base)); err != nil {
		t.Fatal(err)
	}
	s.Gone([]byte("b"), []byte("c"))
	changes := taken(t, s, nil)
	closeStore(t, s)
	name := filepath.Join(base, "QUARANTINE")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(text), `"ranges": [`, `"ranges": [{"from": "66", "to": "67", "file": "own", "removed": true},`, 1)
	if err := os.WriteFile(name, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	other := replayed(t, base, changes)
	if v, there := get(t, other, "b"); there {
		t.Errorf("%q", v)
	}
	for _, key := range []string{"d", "f"} {
		if _, _, err := other.Get(nil, []byte(key)); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", key, err)
		}
	}
	closeStore(t, other)
}

// TestCutEnclose: a crash between the row and the list.
func TestCutEnclose(t *testing.T) {
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: "data", Durability: store.Periodic, SyncInterval: time.Hour})
	cut := errors.New("cut")
	disk.Fail(func(op, file string) error {
		if op == "create" && strings.Contains(file, "QUARANTINE") {
			return cut
		}
		return nil
	})
	if err := s.Enclose([]byte("b"), []byte("c"), "file"); !errors.Is(err, cut) {
		t.Fatal(err)
	}
	crashed := disk.CloneKeeping(0, 1)
	disk.Fail(nil)
	closeStore(t, s)
	s = open(t, store.Options{FS: crashed.FS(), Dir: "data"})
	defer closeStore(t, s)
	if _, _, err := s.Get(nil, []byte("b")); !errors.Is(err, store.ErrDamaged) {
		t.Error(err)
	}
}
