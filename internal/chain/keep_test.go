package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
)

// TestRetire: what may go is what no restore to a moment within the time needs.
func TestRetire(t *testing.T) {
	now, day := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), 24*time.Hour
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		var all []backup.Manifest
		at := now.Add(-20 * day)
		segment := uint64(0)
		for i := range r.IntN(12) {
			at = at.Add(time.Duration(r.IntN(60)) * time.Hour)
			segment += uint64(r.IntN(100))
			if at.After(now) {
				break
			}
			all = append(all, backup.Manifest{ID: fmt.Sprintf("%02d", i), Made: at, Chain: segment, Chained: r.IntN(4) > 0, Damaged: r.IntN(8) == 0, Quarantined: r.IntN(8) == 0})
		}
		keep := day * time.Duration(1+r.IntN(15))
		gone, below, oldest := retire(all, now, keep)
		left := slices.DeleteFunc(slices.Clone(all), func(m backup.Manifest) bool { return slices.Contains(gone, m.ID) })
		begin := func(all []backup.Manifest, to time.Time, whole bool) (found *backup.Manifest) {
			for i := range all {
				if m := &all[i]; m.Chained && !m.Made.After(to) && (!whole || !m.Damaged && !m.Quarantined) {
					found = m
				}
			}
			return found
		}
		for to := now.Add(-keep); !to.After(now); to = to.Add(7 * time.Hour) {
			for _, whole := range []bool{false, true} {
				was, is := begin(all, to, whole), begin(left, to, whole)
				if (was == nil) != (is == nil) || was != nil && was.ID != is.ID {
					t.Fatalf("%+v without %v: to %s with %v, not %v", all, gone, to, is, was)
				}
				if is != nil && (is.Chain < below || is.Made.Before(oldest)) {
					t.Fatalf("%+v: the segment %d is below %d, or %s before %s", all, is.Chain, below, is.Made, oldest)
				}
			}
		}
		for _, m := range all {
			if slices.Contains(gone, m.ID) && (!m.Chained || m.Made.After(now.Add(-day))) {
				t.Fatalf("%+v: %s goes", all, m.ID)
			}
		}
		n := 0
		for i := range left {
			if m := &left[i]; m.Chained && !m.Damaged && !m.Quarantined && !m.Made.After(now.Add(-keep)) {
				n++
			}
		}
		if n > 1 {
			t.Fatalf("%+v without %v: %d of before are kept", all, gone, n)
		}
	}
}

// days lives for an hour of each of some days, in which it makes a backup, and returns moments, a backup that was made by hand on the
// first, and the last life, which has ended. (While a store is open, each second of a simulated day costs real time.)
func days(t *testing.T, place *faulty, n int, keep time.Duration) (l *life, moments []moment, hand backup.Manifest) {
	dir := filepath.Join(t.TempDir(), "data")
	for day := range n {
		l = beginWith(t, dir, place, l, func(o *Options) { o.Keep = keep })
		for i := range 6 {
			l.write(i%writers, 1000)
			l.shipped()
			at, acked, begun := l.moment()
			moments = append(moments, moment{at, acked, begun})
			time.Sleep(10 * time.Minute)
		}
		if day == 0 {
			hand = byHand(t, l, place)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		if day < n-1 {
			time.Sleep(24 * time.Hour)
		}
	}
	return l, moments, hand
}

func byHand(t *testing.T, l *life, place backup.Place) backup.Manifest {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hand")
	if err := l.store.Stage(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for range 10 { // as a person who is told that it failed
		if m, _, err := backup.Take(t.Context(), backup.Folder(dir), patient{Place: place}, backup.Options{}); err == nil {
			return m
		} else if !errors.Is(err, errFault) {
			t.Fatal(err)
		}
	}
	t.Fatal("ten backups failed")
	return backup.Manifest{}
}

// kept restores moments, and fails unless all after one are there, and those long before it are told to be gone.
func (l *life) kept(place backup.Place, moments []moment, after, goneBefore time.Time, every int) {
	l.t.Helper()
	for i, m := range moments {
		switch {
		case i%every > 0 && i != len(moments)-1:
		case !m.at.Before(after):
			has, r := restored(l.t, place, m.at)
			within(l.t, fmt.Sprintf("%s (%s)", m.at, r.Short), has, m.acked, m.begun)
		case m.at.Before(goneBefore):
			if _, err := Restore(l.t.Context(), place, m.at, filepath.Join(l.t.TempDir(), "gone"), backup.Options{}); err == nil || !strings.Contains(err.Error(), "no backup with a chain from before") {
				l.t.Errorf("%s can still be restored: %v", m.at, err)
			}
		}
	}
}

// TestKeep: after days with a place that fails now and then, every moment within the time that is kept can be restored, what only earlier ones need is
// gone, and a backup that was made by hand is whole.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(3)
		place.fail(9, false)
		const keep = 40 * time.Hour
		l, moments, hand := days(t, place, 6, keep)
		status := l.shipper.Status()
		_, acked, begun := l.moment()
		place.quietly()
		now := time.Now()
		l.kept(place, moments, now.Add(-keep), now.Add(-keep-36*time.Hour), 4)
		has, _ := restored(t, place, time.Time{})
		within(t, "latest", has, acked, begun)
		if faults, err := backup.Verify(t.Context(), place, hand, backup.Options{}); err != nil || len(faults) > 0 {
			t.Error("by hand:", err, faults)
		}
		all, _, err := backup.List(t.Context(), place)
		if err != nil || len(all) < 3 || len(all) > 6 { // the newest from before, one each day since, and the one by hand; faults delay them
			t.Errorf("%d backups, %v", len(all), err)
		}
		if status.Oldest.After(now.Add(-keep)) || status.Oldest.Before(now.Add(-keep-36*time.Hour)) {
			t.Errorf("the first moment is %s, now is %s", status.Oldest, now)
		}
		segments, objects := 0, 0
		for name := range place.objects {
			if strings.HasPrefix(name, "chain/") {
				segments++
			}
			if strings.HasPrefix(name, "objects/") {
				objects++
			}
		}
		if segments > 4*10 {
			t.Errorf("%d segments", segments)
		}
		named := map[string]bool{}
		for _, m := range all {
			for _, f := range m.Files {
				named[f.Sum+f.Copy] = true
			}
		}
		if objects < len(named) || objects > 2*len(named)+20 { // a day of what was condemned
			t.Errorf("%d objects, and %d are named", objects, len(named))
		}
	})
}

// mortal is a place that is cut off after so many changes.
type mortal struct {
	*faulty
	mu   sync.Mutex
	left int
}

var errCut = errors.New("cut off")

func (m *mortal) change() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left--; m.left < 0 {
		return errCut
	}
	return nil
}

func (m *mortal) Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error {
	if err := m.change(); err != nil {
		return err
	}
	return m.faulty.Put(ctx, name, content, size)
}

func (m *mortal) PutNew(ctx context.Context, name string, content []byte) error {
	if err := m.change(); err != nil {
		return err
	}
	return m.faulty.PutNew(ctx, name, content)
}

// Remove removes one after the other.
func (m *mortal) Remove(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := m.change(); err != nil {
			return err
		}
		if err := m.faulty.Remove(ctx, []string{name}); err != nil {
			return err
		}
	}
	return nil
}

// TestCutRemoval: a removal that is cut off anywhere leaves a place from which every moment within the time can be restored, and the next one
// leaves the same as one that was not cut off.
func TestCutRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := newFaulty(1)
		l, moments, hand := days(t, whole, 4, 0)
		now := time.Now()
		remove := func(p backup.Place) error {
			o := l.shipper.o
			o.Place, o.Keep = p, KeepLeast
			_, err := o.remove(t.Context())
			return err
		}
		copied := func() *mortal {
			return &mortal{faulty: &faulty{objects: maps.Clone(whole.objects), r: rand.New(rand.NewPCG(1, 1))}, left: 1 << 30}
		}
		clean := copied()
		for range 2 { // contents go at the second time
			if err := remove(clean); err != nil {
				t.Fatal(err)
			}
			time.Sleep(25 * time.Hour)
		}
		begun := 1<<30 - clean.left
		if begun < 30 || len(clean.objects) > len(whole.objects)-20 {
			t.Fatalf("%d changes, %d objects of %d are left", begun, len(clean.objects), len(whole.objects))
		}
		step := 1 + begun/4
		if os.Getenv("MILLSTREAM_CRASHES") != "" {
			step = 1
		}
		for cut := 0; cut < begun; cut += step {
			p := copied()
			p.left = cut
			for range 2 {
				if err := remove(p); err != nil && !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				time.Sleep(25 * time.Hour)
			}
			l.kept(p, moments, now.Add(-KeepLeast), time.Time{}, 8)
			p.left = 1 << 30
			for range 3 {
				if err := remove(p); err != nil {
					t.Fatal(err)
				}
				time.Sleep(25 * time.Hour)
			}
			l.kept(p, moments, now.Add(-KeepLeast), time.Time{}, 100)
			if faults, err := backup.Verify(t.Context(), p, hand, backup.Options{}); err != nil || len(faults) > 0 {
				t.Error("by hand:", err, faults)
			}
			for name := range p.objects {
				if _, there := clean.objects[name]; !there && name != "condemned.json" {
					t.Errorf("cut off after %d changes: %s is left", cut, name)
				}
			}
		}
	})
}

// beside is a place that does something before a segment is read.
type beside struct {
	*faulty
	at string
	do func()
}

func (b *beside) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == b.at {
		b.do()
	}
	return b.faulty.Get(ctx, name)
}

// overtaken restores while the segments that it reads are removed.
func overtaken(t *testing.T) error {
	place := newFaulty(1)
	l, moments, _ := days(t, place, 4, 0)
	all, _, err := backup.List(t.Context(), place)
	if err != nil || len(all) < 4 {
		t.Fatal(len(all), err)
	}
	at := nameOf(all[0].Chain + 3)
	b := &beside{faulty: place, at: at, do: func() {
		o := l.shipper.o
		o.Keep = KeepLeast
		if _, err := o.remove(t.Context()); err != nil {
			t.Error(err)
		}
	}}
	_, err = Restore(t.Context(), b, moments[4].at, filepath.Join(t.TempDir(), "overtaken"), backup.Options{})
	if _, there := place.objects[at]; there {
		t.Error("nothing was removed")
	}
	return err
}

// TestRestoreOvertaken: a restore whose segments are removed while it reads them fails, and does not take what is missing for the end.
func TestRestoreOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := overtaken(t); err == nil || !strings.Contains(err.Error(), "too old to be kept") {
			t.Errorf("%v", err)
		}
	})
}

// stalling is a place whose put of a segment waits, whatever its caller says, as that of a process that is suspended.
type stalling struct {
	*faulty
	mu    sync.Mutex
	until chan struct{} // nil: nothing waits
}

func (s *stalling) stall(until chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = until
}

func (s *stalling) PutNew(ctx context.Context, name string, content []byte) error {
	s.mu.Lock()
	until := s.until
	s.mu.Unlock()
	if until != nil && strings.HasPrefix(name, "chain/") {
		<-until
		return s.set(name, content, true)
	}
	return s.faulty.PutNew(ctx, name, content)
}

// stalled suspends an owner in its put until another has taken over, and what it put in that number has been removed. It returns how the
// first one ends, whether it counts its write as shipped, whether it would put a backup meanwhile, and what the other has written.
func stalled(t *testing.T) (place *faulty, counts, backs bool, of moment, err error) {
	place = newFaulty(1)
	slow := &stalling{faulty: place}
	first := begin(t, filepath.Join(t.TempDir(), "data"), slow, nil)
	first.write(0, 1)
	first.shipped()
	until := make(chan struct{})
	slow.stall(until)
	copied, before := snapshot(t, first.dir), &life{begun: first.begun, acked: first.acked}
	first.write(0, 1) // is put into the number that the other's claim takes
	time.Sleep(10 * time.Second)
	number := first.shipper.Status().Segment
	second := begin(t, copied, place, before)
	for range 4 {
		second.write(1, 10)
		second.shipped()
	}
	dir, chain := filepath.Join(t.TempDir(), "staged"), second.shipper.Status().Segment-1
	if err := second.store.Stage(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := backup.Take(t.Context(), backup.Folder(dir), place, backup.Options{Chain: &chain}); err != nil {
		t.Fatal(err)
	}
	_, acked, begun := second.moment()
	if err := second.end(); err != nil {
		t.Error(err)
	}
	age(t, place, KeepLeast+time.Minute) // and not the time, which costs too much while a store is open
	time.Sleep(2 * unsure)
	o := second.shipper.o
	o.Keep = KeepLeast
	if _, err := o.remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, there := place.objects[nameOf(number)]; there {
		t.Fatalf("the segment %d is not removed", number)
	}
	backs = !errors.Is(first.shipper.stillMine(t.Context()), ErrFenced)
	close(until)
	time.Sleep(time.Hour)
	counts = first.shipper.Status().Lag == 0
	select {
	case err = <-first.ended:
		first.ended <- err
	default:
	}
	_ = first.end()
	return place, counts, backs, moment{acked: acked, begun: begun}, err
}

// age has the backups of a place made earlier than they were.
func age(t *testing.T, place *faulty, by time.Duration) {
	t.Helper()
	all, _, err := backup.List(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		m.Made = m.Made.Add(-by)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		_ = place.set("base/"+m.ID+".json", text, false)
	}
}

// TestStalledOwner: an owner whose number was taken by another, and then removed, does not believe in its put.
func TestStalledOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, counts, backs, of, err := stalled(t)
		if !errors.Is(err, ErrFenced) || counts || backs {
			t.Errorf("%v; it counts as shipped: %v; it puts a backup, the newest: %v", err, counts, backs)
		}
		has, _ := restored(t, place, time.Time{})
		within(t, "latest", has, of.acked, of.begun)
	})
}
