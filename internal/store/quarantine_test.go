package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
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
