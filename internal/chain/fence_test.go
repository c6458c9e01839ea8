package chain

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// failed waits for the end of a life that ends by itself, and returns why.
func (l *life) failed() error {
	l.t.Helper()
	var err error
	select {
	case err = <-l.ended:
		l.ended <- err
	case <-time.After(time.Hour):
		l.t.Errorf("it goes on: %+v", l.shipper.Status())
	}
	_ = l.end()
	return err
}

func snapshot(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "snapshot")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestIdleOwner: a server that writes nothing ends all the same when another has taken the place over, and puts nothing to learn of it. A place that does not
// answer ends nobody.
func TestIdleOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.busy(3, r)
		l.shipped()
		time.Sleep(time.Minute) // the backup is made
		had := len(place.objects)
		time.Sleep(time.Hour)
		if n := len(place.objects); n != had {
			t.Errorf("it has put %d objects", n-had)
		}
		place.fail(0, true)
		time.Sleep(time.Hour)
		place.fail(0, false)
		s := follow(t, filepath.Join(t.TempDir(), "standby"), place)
		s.follows()
		s.promote()
		began := time.Now()
		if err := l.failed(); !errors.Is(err, ErrFenced) || time.Since(began) > lookEvery {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestTwoOwners: of two servers on copies of one folder the one that claimed first fails at its next segment, and counts no more as shipped.
func TestTwoOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		first := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		first.busy(3, r)
		first.shipped()
		second := begin(t, snapshot(t, first.dir), place, first)
		second.busy(3, r)
		second.shipped()
		first.write(0, 1)
		if err := first.failed(); !errors.Is(err, ErrFenced) {
			t.Errorf("the first: %v", err)
		}
		second.busy(3, r)
		second.shipped()
		_, acked, begun := second.moment()
		if err := second.end(); err != nil {
			t.Error(err)
		}
		has, _ := restored(t, place, time.Time{})
		within(t, "latest", has, acked, begun)
		if got := first.shipper.Status().Lag; got == 0 {
			t.Error("what the first wrote last counts as shipped")
		}
	})
}

// TestOlderFolder: a folder that was put back from before what was shipped is refused, however often, and whether or not the server was started
// since then.
func TestOlderFolder(t *testing.T) {
	for name, again := range map[string]bool{"the same run": false, "a later run": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
				l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
				l.busy(3, r)
				l.shipped()
				first := snapshot(t, l.dir)
				old := snapshot(t, first)
				l.busy(3, r)
				l.shipped()
				if again {
					dir := l.dir
					if err := l.end(); err != nil {
						t.Error(err)
					}
					l = begin(t, dir, place, l)
					l.busy(1, r)
					l.shipped()
				}
				_, acked, begun := l.moment()
				if err := l.end(); err != nil {
					t.Error(err)
				}
				place.fail(0, true)
				away := begin(t, old, place, nil)
				time.Sleep(10 * time.Second)
				_ = away.end()
				place.fail(0, false)
				for range 3 { // the opens that are refused do not make it younger
					if err := begin(t, old, place, nil).failed(); !errors.Is(err, ErrOlder) || !strings.Contains(err.Error(), "millstream restore --from") {
						t.Errorf("%v", err)
					}
				}
				if !again { // one without a list, as of an earlier release, has one from its first refusal on
					bare := snapshot(t, first)
					if err := os.Remove(filepath.Join(bare, "REPLICATED")); err != nil {
						t.Error(err)
					}
					for range 2 {
						if err := begin(t, bare, place, nil).failed(); !errors.Is(err, ErrOlder) {
							t.Errorf("without a list: %v", err)
						}
					}
				}
				has, _ := restored(t, place, time.Time{})
				within(t, "latest", has, acked, begun)
			})
		})
	}
}

// TestOtherDatabase: no two databases in one place.
func TestOtherDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.write(0, 1)
		l.shipped()
		if err := begin(t, filepath.Join(t.TempDir(), "data"), place, nil).failed(); !errors.Is(err, ErrOther) {
			t.Error(err)
		}
		l.write(0, 1)
		l.shipped()
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestRunWithoutReplication: what was written by a run that did not replicate is in the new backup that the next one makes; before and
// after it every moment can be restored, and the gap is told.
func TestRunWithoutReplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		dir := filepath.Join(t.TempDir(), "data")
		l := begin(t, dir, place, nil)
		l.write(0, 1)
		l.shipped()
		before, acked, begun := l.moment()
		if err := l.end(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		s, err := store.Open(store.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		without := &life{t: t, store: s, begun: l.begun, acked: l.acked}
		without.write(1, 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		l = begin(t, dir, place, without)
		l.write(2, 1)
		l.shipped()
		has, r := restored(t, place, time.Time{})
		if within(t, "latest", has, l.acked, l.begun); r.Short != "" {
			t.Error(r.Short)
		}
		has, r = restored(t, place, before.Add(time.Second))
		if within(t, "before", has, acked, begun); !strings.Contains(r.Short, "a gap from") {
			t.Error(r.Short)
		}
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestPlaceThatIsAway: while the place does not answer, writes are answered, and it is told. When more was written than can wait there is a new backup;
// what was shipped before can be restored as before.
func TestPlaceThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.write(0, 1)
		l.shipped()
		before, acked, begun := l.moment()
		time.Sleep(time.Second)
		place.fail(0, true)
		for range 80 {
			l.write(1, 16<<10)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if st := l.shipper.Status(); st.Lag < 60 || !strings.Contains(st.Failing, "a fault of the place") {
			t.Errorf("%+v", st)
		}
		place.fail(0, false)
		l.write(2, 1)
		l.shipped()
		has, r := restored(t, place, time.Time{})
		if within(t, "latest", has, l.acked, l.begun); r.Short != "" {
			t.Error(r.Short)
		}
		has, _ = restored(t, place, before)
		within(t, "before", has, acked, begun)
		if !strings.Contains(l.log.String(), "a new backup is made") {
			t.Error(l.log.String())
		}
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// blind is a place that puts an object where there is one.
type blind struct{ *faulty }

func (b blind) PutNew(ctx context.Context, name string, content []byte) error {
	return b.Put(ctx, name, bytes.NewReader(content), 0)
}

// TestPlaceWithoutConditions: in a place that does not keep what is there, no chain is begun.
func TestPlaceWithoutConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := begin(t, filepath.Join(t.TempDir(), "data"), blind{newFaulty(1)}, nil).failed(); !errors.Is(err, errUnfit) {
			t.Error(err)
		}
	})
}

// TestDamagedSegments: a segment that is not what was written, is missing, or is another's ends a restore with an error that says up to
// when there is something to restore. No damage of a byte passes.
func TestDamagedSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		for range 5 {
			l.write(0, 10)
			time.Sleep(5 * time.Second)
		}
		l.shipped()
		if err := l.end(); err != nil {
			t.Error(err)
		}
		base, err := newest(t.Context(), place, func(*backup.Manifest) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		name := nameOf(base.Chain + 2)
		whole := place.objects[name]
		for i := range whole {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 1 << (i % 8)
			if _, _, _, err := decode(damaged); err == nil {
				t.Errorf("a flipped bit in byte %d passes", i)
			}
			if _, _, _, err := decode(whole[:i]); err == nil {
				t.Errorf("a segment cut at %d passes", i)
			}
		}
		h, _, changes, err := decode(whole)
		if err != nil {
			t.Fatal(err)
		}
		h.Previous++
		foreign, _, err := new(encoder).encode(h, changes)
		if err != nil {
			t.Fatal(err)
		}
		for what, content := range map[string][]byte{"cut": whole[:len(whole)/2], "foreign": foreign, "missing": nil} {
			if place.objects[name] = content; content == nil {
				delete(place.objects, name)
			}
			dir := filepath.Join(t.TempDir(), what)
			_, err := Restore(t.Context(), place, time.Time{}, dir, backup.Options{})
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", what, err)
				continue
			}
			if _, err := store.Open(store.Options{Dir: dir}); err == nil {
				t.Errorf("%s: the folder opens", what)
			}
			text := regexp.MustCompile(`what was written up to (\S+) can be restored with --to-time`).FindStringSubmatch(err.Error())
			if text == nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			to, err := time.Parse(time.RFC3339Nano, text[1])
			if err != nil {
				t.Fatal(err)
			}
			if r, err := Restore(t.Context(), place, to, filepath.Join(t.TempDir(), "again"), backup.Options{}); err != nil || r.Segments < 2 {
				t.Errorf("%s: to %s: %+v, %v", what, to, r, err)
			}
		}
	})
}

// TestPlaceThatIsEmptied: nothing is put behind a segment that is not there any more, as on a disk that is not mounted.
func TestPlaceThatIsEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.write(0, 1)
		l.shipped()
		place.mu.Lock()
		all := place.objects
		place.objects = map[string][]byte{}
		place.mu.Unlock()
		l.write(0, 1)
		time.Sleep(time.Minute)
		if st := l.shipper.Status(); st.Lag < 50 || !strings.Contains(st.Failing, "not mounted") {
			t.Errorf("%+v", st)
		}
		place.mu.Lock()
		if len(place.objects) > 0 {
			t.Error("something was put there")
		}
		place.objects = all
		place.mu.Unlock()
		l.shipped()
		_, acked, begun := l.moment()
		if err := l.end(); err != nil {
			t.Error(err)
		}
		has, _ := restored(t, place, time.Time{})
		within(t, "latest", has, acked, begun)
	})
}
