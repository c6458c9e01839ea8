package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// standby is one run of a follower.
type standby struct {
	t     *testing.T
	f     *Follower
	dir   string
	log   strings.Builder
	stop  context.CancelFunc
	ended chan error
	done  bool
}

func follow(t *testing.T, dir string, place backup.Place) *standby {
	t.Helper()
	s := &standby{t: t, dir: dir, ended: make(chan error, 1)}
	var err error
	if s.f, err = Follow(FollowOptions{Place: place, Dir: dir, Logger: slog.New(slog.NewTextHandler(&s.log, nil))}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	go func() {
		_, err := s.f.Run(ctx)
		s.ended <- err
	}()
	return s
}

func (s *standby) end() {
	s.t.Helper()
	if s.done {
		return
	}
	s.done = true
	s.stop()
	if err := <-s.ended; err != nil {
		s.t.Error(err)
	}
}

// kill ends it without a word: what is returned is the folder as it was.
func (s *standby) kill() string {
	s.t.Helper()
	to := snapshot(s.t, s.dir)
	s.end()
	return to
}

// follows waits until it has all that the place has.
func (s *standby) follows() {
	s.t.Helper()
	from := time.Now()
	for range 36000 {
		time.Sleep(100 * time.Millisecond)
		s.f.mu.Lock()
		at := s.f.caughtUp
		s.f.mu.Unlock()
		if at.After(from) {
			return
		}
	}
	s.t.Fatalf("it does not follow in an hour: %+v\n%s", s.f.Status(), s.log.String())
}

// promote promotes it, and returns the folder.
func (s *standby) promote() (dir string, p Promoted) {
	s.t.Helper()
	for range 100 {
		var err error
		if p, err = s.f.Promote(s.t.Context(), How{}); err == nil {
			if s.done = true; <-s.ended != nil {
				s.t.Error("it ended with an error")
			}
			return s.dir, p
		}
		time.Sleep(time.Second)
	}
	s.t.Fatalf("it is not promoted: %+v\n%s", s.f.Status(), s.log.String())
	return "", p
}

// has returns how many writes of each writer a folder has, which are a prefix.
func has(t *testing.T, dir string) [writers]uint64 {
	t.Helper()
	n, err := prefix(snapshot(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *faulty) backups() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.objects {
		if strings.HasPrefix(name, "base/") {
			n++
		}
	}
	return n
}

// standbys has servers follow each other over a place that fails: each is followed, by one that is killed now and then, and loses its place to that
// one while it writes. What is promoted is a prefix with all that was shipped, and the place goes on from there without a new backup.
func standbys(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	place := newFaulty(seed)
	rate := []int{0, 8, 4}[r.IntN(3)]
	l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
	lives := []*life{l}
	var moments []moment
	defer func() {
		for _, l := range lives {
			if !l.over {
				_ = l.end()
			}
		}
		place.quietly()
	}()
	l.busy(3, r)
	l.shipped()
	for generation := range 2 + r.IntN(2) {
		s := follow(t, filepath.Join(t.TempDir(), "standby"), place)
		place.fail(rate, false)
		for range 1 + r.IntN(3) {
			l.busy(1+r.IntN(8), r)
			switch r.IntN(3) {
			case 0:
				s.follows()
				s = follow(t, s.kill(), place)
			case 1:
				s = follow(t, s.kill(), place)
			}
		}
		l.shipped()
		at, acked, begun := l.moment()
		moments = append(moments, moment{at, acked, begun})
		time.Sleep(5 * time.Millisecond)
		if r.IntN(2) == 0 { // it is promoted while the other writes
			go l.busy(3, r)
		}
		before := place.backups()
		dir, p := s.promote()
		_, _, begun = l.moment()
		n := has(t, dir)
		within(t, fmt.Sprintf("generation %d, promoted as of %s", generation, p.To), n, acked, begun)
		place.fail(0, false) // a manifest that comes damaged is passed over, which costs a backup
		next := begin(t, dir, place, &life{begun: n, acked: n})
		lives = append(lives, next)
		next.busy(2, r)
		next.shipped()
		if after := place.backups(); after != before {
			t.Errorf("the promotion has cost a backup: %d, and there were %d\n%s", after, before, next.log.String())
		}
		time.Sleep(2 * time.Minute)
		l.write(0, 1)
		if err := l.failed(); !errors.Is(err, ErrFenced) {
			t.Errorf("the old one: %v", err)
		}
		if generation == 0 {
			for range 2 {
				old := begin(t, l.dir, place, l)
				lives = append(lives, old)
				if err := old.failed(); !errors.Is(err, ErrOlder) {
					t.Errorf("the old one, started again: %v", err)
				}
			}
		}
		l = next
	}
	l.shipped()
	_, acked, begun := l.moment()
	if err := l.end(); err != nil {
		t.Error(err)
	}
	place.quietly()
	n, _ := restored(t, place, time.Time{})
	within(t, "latest", n, acked, begun)
	for i, m := range moments {
		n, re := restored(t, place, m.at)
		within(t, fmt.Sprintf("moment %d, %s (%s)", i, m.at, re.Short), n, m.acked, m.begun)
	}
}

// TestStandby: whatever the place does, and whenever the standby is killed, it is a prefix of what was written with all that was shipped, and whoever is
// promoted is the only one that goes on.
func TestStandby(t *testing.T) {
	seeds := 1
	if v := os.Getenv("MILLSTREAM_CRASHES"); v != "" {
		fmt.Sscan(v, &seeds)
		seeds = min(seeds, 500)
	}
	for seed := range seeds {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { standbys(t, uint64(seed)) })
		}) {
			break
		}
	}
}

// TestStandbyOverGap: where the chain has a gap a standby waits for a new backup, is not promoted meanwhile, and begins anew with it.
func TestStandbyOverGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		dir := filepath.Join(t.TempDir(), "data")
		l := begin(t, dir, place, nil)
		l.busy(2, r)
		l.shipped()
		s := follow(t, filepath.Join(t.TempDir(), "standby"), place)
		if err := os.WriteFile(filepath.Join(s.dir, "secrets.key"), []byte("key"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.follows()
		if err := l.end(); err != nil {
			t.Error(err)
		}
		without, err := store.Open(store.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		w := &life{t: t, store: without, begun: l.begun, acked: l.acked}
		w.write(1, 1)
		if err := without.Close(); err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		l = beginWith(t, dir, place, w, func(o *Options) {
			stage := o.Stage
			o.Stage = func(ctx context.Context, dir string) error { <-hold; return stage(ctx, dir) }
		})
		time.Sleep(5 * time.Second)
		if st := s.f.Status(); !strings.Contains(st.Failing, "there is a gap before the segment") || st.Lag < 1 {
			t.Errorf("%+v", st)
		}
		if _, err := s.f.Promote(t.Context(), How{}); err == nil || !strings.Contains(err.Error(), "there is a gap before the segment") {
			t.Errorf("it is promoted: %v", err)
		}
		close(hold)
		l.busy(2, r)
		l.shipped()
		time.Sleep(2 * time.Minute)
		s.follows()
		_, acked, begun := l.moment()
		promoted, _ := s.promote()
		within(t, "promoted", has(t, promoted), acked, begun)
		if key, err := os.ReadFile(filepath.Join(promoted, "secrets.key")); string(key) != "key" {
			t.Error("the key has gone", err)
		}
		_ = l.end()
	})
}

// TestStandbyTooOld: a standby that was away for longer than segments are kept begins anew.
func TestStandbyTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.busy(2, r)
		l.shipped()
		s := follow(t, filepath.Join(t.TempDir(), "standby"), place)
		s.follows()
		s.end()
		for range 3 {
			dir := l.dir
			if err := l.end(); err != nil {
				t.Error(err)
			}
			time.Sleep(25 * time.Hour)
			l = beginWith(t, dir, place, l, func(o *Options) { o.Keep = KeepLeast })
			l.busy(2, r)
			l.shipped()
			time.Sleep(15 * time.Minute)
			l.shipped()
		}
		if low, err := floor(t.Context(), place); err != nil || low < s.f.pos.Segment {
			t.Errorf("nothing that it needs is gone: %d, %v", low, err)
		}
		s = follow(t, s.dir, place)
		s.follows()
		_, acked, begun := l.moment()
		dir, _ := s.promote()
		within(t, "promoted", has(t, dir), acked, begun)
		if !strings.Contains(s.log.String(), "is too old, and was removed") {
			t.Error(s.log.String())
		}
		_ = l.end()
	})
}

// TestTwoPromotions: of two standbys that are promoted at once one goes on, with all that was shipped.
func TestTwoPromotions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.busy(2, r)
		l.shipped()
		a, b := follow(t, filepath.Join(t.TempDir(), "a"), place), follow(t, filepath.Join(t.TempDir(), "b"), place)
		a.follows()
		b.follows()
		_, acked, begun := l.moment()
		both := make(chan error, 2)
		for _, s := range []*standby{a, b} {
			go func() {
				_, err := s.f.Promote(t.Context(), How{})
				both <- err
			}()
		}
		if err := errors.Join(<-both, <-both, <-a.ended, <-b.ended); err != nil {
			t.Fatal(err)
		}
		goesOn := 0
		for _, s := range []*standby{a, b} {
			within(t, "promoted", has(t, s.dir), acked, begun)
			next := begin(t, s.dir, place, &life{begun: acked, acked: acked})
			time.Sleep(time.Minute)
			select {
			case err := <-next.ended:
				if next.ended <- err; !errors.Is(err, ErrOlder) {
					t.Error(err)
				}
			default:
				goesOn++
			}
			_ = next.end()
		}
		if goesOn != 1 {
			t.Errorf("%d go on", goesOn)
		}
		_ = l.end()
	})
}

// named is a place by another name.
type named struct {
	*faulty
	name string
}

func (n named) String() string { return n.name }

// TestStandbyFolders: only a new folder, or a standby's of the same place, becomes one, and no server opens it before it is promoted.
func TestStandbyFolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.write(0, 1)
		l.shipped()
		dir := l.dir
		if err := l.end(); err != nil {
			t.Error(err)
		}
		if _, err := Follow(FollowOptions{Place: place, Dir: dir}); !errors.Is(err, store.ErrNotStandby) || !strings.Contains(err.Error(), "millstream rejoin") {
			t.Errorf("a server's: %v", err)
		}
		s := follow(t, filepath.Join(t.TempDir(), "standby"), place)
		s.follows()
		if _, err := Follow(FollowOptions{Place: place, Dir: s.dir}); !errors.Is(err, store.ErrLocked) {
			t.Errorf("twice: %v", err)
		}
		s.end()
		if _, err := Follow(FollowOptions{Place: named{place, "other"}, Dir: s.dir}); !errors.Is(err, store.ErrNotStandby) || !strings.Contains(err.Error(), "same place by another name") {
			t.Errorf("of another place: %v", err)
		}
		s = follow(t, s.dir, named{place, "./" + place.String() + "/"})
		s.follows()
		s.end()
		if strings.Contains(s.log.String(), "begins with a backup") {
			t.Error(s.log.String())
		}
		if _, err := store.Open(store.Options{Dir: s.dir}); err == nil || !strings.Contains(err.Error(), "serve it with --standby-of") {
			t.Errorf("opened: %v", err)
		}
		if _, err := (backup.Folder(s.dir)).List(t.Context()); err == nil {
			t.Error("it can be backed up")
		}
	})
}

// TestStandbyOfEmptiedPlace: a standby whose place is empty, as on a disk that is not mounted, does not count as having caught up, and is not promoted.
func TestStandbyOfEmptiedPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.write(0, 1)
		l.shipped()
		s := follow(t, filepath.Join(t.TempDir(), "standby"), place)
		s.follows()
		place.mu.Lock()
		all := place.objects
		place.objects = map[string][]byte{}
		place.mu.Unlock()
		time.Sleep(time.Minute)
		if st := s.f.Status(); st.Lag < 50 || !strings.Contains(st.Failing, "not mounted") {
			t.Errorf("%+v", st)
		}
		if _, err := s.f.Promote(t.Context(), How{}); err == nil || !strings.Contains(err.Error(), "not mounted") {
			t.Errorf("it is promoted: %v", err)
		}
		if (ofPlace{place}).claim(t.Context(), s.f, s.f.pos.Segment, []byte("claim")) == nil {
			t.Error("it claims an empty place")
		}
		place.mu.Lock()
		if len(place.objects) > 0 {
			t.Error("something was put there")
		}
		place.objects = all
		place.mu.Unlock()
		time.Sleep(2 * time.Minute)
		s.follows()
		_, acked, begun := l.moment()
		dir, _ := s.promote()
		within(t, "promoted", has(t, dir), acked, begun)
		_ = l.end()
	})
}

// TestStandbyOfAPlaceThatLostASegment: it does not count as having caught up, and is not promoted: its claim would lie where no put of the other meets it.
func TestStandbyOfAPlaceThatLostASegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		for range 5 {
			l.write(0, 10)
			time.Sleep(5 * time.Second)
		}
		l.shipped()
		base, err := newest(t.Context(), place, func(*backup.Manifest) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		name := nameOf(base.Chain + 2)
		place.mu.Lock()
		delete(place.objects, name)
		place.mu.Unlock()
		s := follow(t, filepath.Join(t.TempDir(), "standby"), place)
		defer s.end()
		refused := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := s.f.Promote(ctx, How{}); err == nil || !strings.Contains(err.Error(), "lacks the segment "+name) {
				t.Fatalf("it is promoted: %v", err)
			}
		}
		time.Sleep(30 * time.Second)
		refused()
		time.Sleep(5 * time.Minute)
		if st := s.f.Status(); !strings.Contains(st.Failing, "lacks the segment "+name) {
			t.Errorf("%+v", st)
		}
		refused()
		place.mu.Lock()
		if place.objects[name] != nil {
			t.Error("the gap has a claim")
		}
		place.mu.Unlock()
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestBackupWaits: no backup is there before the chain has all that it has.
func TestBackupWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := &stalling{faulty: newFaulty(1)}
		until, begun := make(chan struct{}), make(chan *life, 1)
		l := beginWith(t, filepath.Join(t.TempDir(), "data"), place, nil, func(o *Options) {
			stage := o.Stage
			o.Stage = func(ctx context.Context, dir string) error {
				place.stall(until)
				(<-begun).write(0, 1)
				return stage(ctx, dir)
			}
		})
		begun <- l
		time.Sleep(20 * time.Second)
		if n := place.backups(); n != 0 {
			t.Errorf("%d backups", n)
		}
		place.stall(nil)
		close(until)
		l.shipped()
		if n := place.backups(); n != 1 {
			t.Errorf("%d backups", n)
		}
		_, low, high := l.moment()
		if err := l.end(); err != nil {
			t.Error(err)
		}
		has, _ := restored(t, place, time.Time{})
		within(t, "latest", has, low, high)
	})
}

// TestPromotionAheadOfTheChain: a standby that began with a backup which has more than the chain goes on behind a gap, so that another standby, which has
// only what the chain has, does not take what comes for what follows.
func TestPromotionAheadOfTheChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		slow := &stalling{faulty: place}
		l := begin(t, filepath.Join(t.TempDir(), "data"), slow, nil)
		l.write(0, 1)
		l.shipped()
		behind := follow(t, filepath.Join(t.TempDir(), "behind"), place)
		behind.follows()
		until := make(chan struct{})
		slow.stall(until)
		l.write(0, 1)
		time.Sleep(10 * time.Second)
		dir, chain := filepath.Join(t.TempDir(), "staged"), l.shipper.Status().Segment-1
		if err := l.store.Stage(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if _, _, err := backup.Take(t.Context(), backup.Folder(dir), place, backup.Options{Chain: &chain}); err != nil {
			t.Fatal(err)
		}
		ahead := follow(t, filepath.Join(t.TempDir(), "ahead"), place)
		ahead.follows()
		dir, _ = ahead.promote()
		n := has(t, dir)
		if n[0] != 2 {
			t.Errorf("the promoted one has %d writes", n[0])
		}
		time.Sleep(10 * time.Second)
		if st := behind.f.Status(); !strings.Contains(st.Failing, "there is a gap before the segment") {
			t.Errorf("%+v", st)
		}
		next := begin(t, dir, place, &life{begun: n, acked: n})
		next.write(0, 1)
		next.shipped()
		behind.follows()
		_, acked, begun := next.moment()
		dir, _ = behind.promote()
		within(t, "the other", has(t, dir), acked, begun)
		latest, _ := restored(t, place, time.Time{})
		within(t, "latest", latest, acked, begun)
		close(until)
		_, _ = next.end(), l.end()
	})
}
