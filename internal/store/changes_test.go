package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
)

// taken takes all that there is, and holds it against being in order without a gap.
func taken(t *testing.T, s *store.Store, have []store.Change) []store.Change {
	t.Helper()
	have, err := take(s, have)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

func take(s *store.Store, have []store.Change) ([]store.Change, error) {
	for {
		more, err := s.Changes().Take(1 << 20)
		if err != nil || len(more) == 0 {
			return have, err
		}
		for _, c := range more {
			if n := len(have); n > 0 && (have[n-1].End != c.First || have[n-1].AtMS > c.AtMS) {
				return have, fmt.Errorf("%d to %d at %d after %d to %d at %d", c.First, c.End, c.AtMS, have[n-1].First, have[n-1].End, have[n-1].AtMS)
			}
			have = append(have, c)
		}
	}
}

// allTaken says what is wrong when 16 writers at once, and then one with a batch that is larger than half of what the engine keeps in memory, do not have all
// that they commit handed out.
func allTaken(t *testing.T) error {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir(), Changes: 128 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			b := s.NewBatch()
			defer b.Close()
			for i := range 40 {
				b.Set([]byte{store.SpaceItem, byte(w), byte(i)}, make([]byte, 100))
				if err := s.Write(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b := s.NewBatch()
	defer b.Close()
	for _, size := range []int{20 << 20, 1} {
		b.Set([]byte{store.SpaceItem, 100}, make([]byte, size))
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	all, err := take(s, nil)
	if err != nil {
		return err
	}
	end, err := s.Reached()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all); n == 0 || all[n-1].End != end {
		return fmt.Errorf("of what was committed up to %d, %d changes are handed out", end, n)
	}
	return nil
}

// TestChangesAreAll: nothing that is committed is missing, whatever order it comes in.
func TestChangesAreAll(t *testing.T) {
	if err := allTaken(t); err != nil {
		t.Error(err)
	}
}

// copyTree copies a folder as a kill of the process would leave it.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func rows(t *testing.T, dir string) map[string]string {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	err = s.Each([]byte{store.SpaceItem}, func(k, v []byte) error { all[string(k)] = string(v); return nil })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestChangesMakeTheSame: a copy of the folder and the changes that are taken after it make what the folder has, with many writers, large
// batches, deleted ranges, and over a kill: what the first run did not hand over, the second does.
func TestChangesMakeTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(store.Options{Dir: dir, Changes: 128 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Changes().Begin(); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), "base")
	batches := 25 // of a writer, in a round; the large one is among them
	if os.Getenv("MILLSTREAM_CRASHES") != "" {
		batches = 60
	}
	var have []store.Change
	write := func(round int) {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(w), uint64(round)))
				b := s.NewBatch()
				defer b.Close()
				for i := range batches {
					for range 1 + r.IntN(5) {
						b.Set(fmt.Appendf([]byte{store.SpaceItem}, "%d %d", w, r.IntN(50)), bytes.Repeat([]byte{byte(i)}, r.IntN(300)))
					}
					if r.IntN(20) == 0 {
						b.DeleteRange(fmt.Appendf([]byte{store.SpaceItem}, "%d 1", w), fmt.Appendf([]byte{store.SpaceItem}, "%d 3", w))
					}
					if w == 0 && i == 15 && round == 1 { // larger than half of what the engine keeps in memory
						b.Set(fmt.Appendf([]byte{store.SpaceItem}, "large %d", round), bytes.Repeat([]byte("x"), 20<<20))
					}
					if err := s.Write(b); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	write(0)
	if err := s.Stage(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	write(1)
	have = taken(t, s, have)
	last := have[len(have)-1].End
	b := s.NewBatch()
	for i := range 30 {
		b.Set(fmt.Appendf([]byte{store.SpaceItem}, "tail %d", i), []byte("x"))
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	killed := copyTree(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(store.Options{Dir: killed, Changes: 128 << 20}); err != nil {
		t.Fatal(err)
	}
	if !s.Changes().Skip(last) {
		t.Fatal("the log does not reach back")
	}
	write(2)
	have = taken(t, s, have)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := rows(t, killed)

	r, err := store.OpenReplay(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range have {
		if err := r.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got := rows(t, base)
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%q differs", k)
		}
	}
}

// TestTooManyChanges: what nobody takes is dropped and told, and from then on it begins anew.
func TestTooManyChanges(t *testing.T) {
	s, err := store.Open(store.Options{Dir: t.TempDir(), Changes: 1 << 20, Durability: store.Periodic})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := s.NewBatch()
	defer b.Close()
	for range 70 {
		b.Set([]byte{store.SpaceItem, 1}, make([]byte, 16<<10))
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Changes().Take(1); !errors.Is(err, store.ErrGap) {
		t.Fatal(err)
	}
	if err := s.Changes().Begin(); err != nil {
		t.Fatal(err)
	}
	b.Set([]byte{store.SpaceItem, 2}, []byte("x"))
	if err := errors.Join(s.Write(b), s.MakeDurable()); err != nil {
		t.Fatal(err)
	}
	if have := taken(t, s, nil); len(have) != 2 {
		t.Errorf("%d changes, want the mark and the write", len(have))
	}
}

// early says whether a change is handed out before it is durable.
func early(t *testing.T) bool {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir(), Changes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	taken(t, s, nil)
	b := s.NewBatch()
	defer b.Close()
	b.Set([]byte{store.SpaceItem, 1}, []byte("x"))
	c := s.Begin()
	if err := s.Apply(c, b); err != nil {
		t.Fatal(err)
	}
	before := taken(t, s, nil)
	if err := s.Sync(c); err != nil {
		t.Fatal(err)
	}
	if after := taken(t, s, nil); len(before)+len(after) != 1 {
		t.Fatalf("%d changes before the sync, %d after it, of one", len(before), len(after))
	}
	return len(before) > 0
}

// TestChangesAreDurable: what the log may still lose is not handed out.
func TestChangesAreDurable(t *testing.T) {
	if early(t) {
		t.Error("a change was handed out before it was durable")
	}
}
