package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// both is one run of a server that replicates to a place and keeps things for standbys.
func both(t *testing.T, dir string, place *faulty, before *life) *fed {
	t.Helper()
	return bothAs(t, dir, place, before, false)
}

func bothAs(t *testing.T, dir string, place *faulty, before *life, only bool) *fed {
	t.Helper()
	f := &fed{life: &life{t: t, dir: dir, place: place, ended: make(chan error, 1)}}
	if before != nil {
		f.begun, f.acked = before.begun, before.acked
	}
	var err error
	if f.store, err = store.Open(store.Options{FS: unsynced{vfs.Default}, Dir: dir, Changes: 1 << 20, Takers: 2}); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(&f.log, nil))
	f.shipper = New(Options{Store: f.store, Place: place, Dir: dir, Stage: f.store.Stage, Only: only, Logger: logger})
	f.relay = NewRelay(RelayOptions{Store: f.store, Changes: f.store.ChangesOf(1), Place: place.String(), Dir: dir, Logger: logger})
	ctx, stop := context.WithCancel(t.Context())
	f.stop = stop
	ended := make(chan error, 1)
	go func() { ended <- f.relay.Beside(ctx, f.shipper) }()
	go func() { f.ended <- errors.Join(f.relay.Run(ctx), <-ended) }()
	return f
}

// TestPlaceAndStandby: what a server replicates to a place and what a standby takes from itself have all of it, each for itself: over a kill, with a place that
// is away for so long that it has a gap, and with a damaged range taken out, which gives both one.
func TestPlaceAndStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
		way := &link{r: r, t: t, to: l}
		s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
		s.follows()
		l.busy(5, r)
		s.follows()
		l.shipped()
		way.lead(nil)
		l = both(t, l.killed(), place, l.life)
		way.lead(l)
		l.busy(5, r)
		s.follows()
		l.shipped()
		place.fail(0, true)
		for range 300 { // more than may wait
			l.write(0, 4<<10)
			time.Sleep(20 * time.Millisecond)
		}
		s.follows()
		place.fail(0, false)
		l.shipped()
		if way.made != 1 {
			t.Errorf("%d copies were made for the standby, whose way was well", way.made)
		}
		_, acked, begun := l.moment()
		has, re := restored(t, place, time.Time{})
		within(t, "restored", has, acked, begun)
		if re.Backup.Chain == 0 {
			t.Error("the place has no new backup behind its gap")
		}
		for i := range 2 {
			l.store.ChangesOf(i).Lose()
		}
		l.busy(2, r)
		time.Sleep(time.Minute)
		s.follows()
		l.shipped()
		if way.made != 2 {
			t.Errorf("%d copies were made for the standby", way.made)
		}
		_, acked, begun = l.moment()
		has, _ = restored(t, place, time.Time{})
		within(t, "restored again", has, acked, begun)
		dir, _ := s.promoteAs(false)
		n, err := prefix(dir)
		if err != nil {
			t.Fatal(err)
		}
		within(t, "promoted", n, acked, begun)
		_ = l.end()
	})
}

// TestCopyWithStandbysTakesThePlace: a copy that is to go on, which a restore or a promotion made, takes the place over though it keeps things for standbys before it
// has asked the place, now and in a later run. The one before it is refused, whatever it keeps.
func TestCopyWithStandbysTakesThePlace(t *testing.T) {
	for _, how := range []string{"restored", "promoted"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
				l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
				l.busy(2, r)
				l.shipped()
				dir := filepath.Join(t.TempDir(), "next")
				if how == "restored" {
					if _, err := Restore(t.Context(), place, time.Time{}, dir, backup.Options{}); err != nil {
						t.Fatal(err)
					}
				} else {
					s := followServer(t, dir, &link{r: r, t: t, to: l})
					s.follows()
					if _, err := s.f.Promote(t.Context(), How{Lost: true, Only: true}); err != nil {
						t.Fatal(err)
					}
					if err := <-s.ended; err != nil {
						t.Fatal(err)
					}
					alone := feed(t, dir, nil, 0) // once with standbys alone
					time.Sleep(time.Second)
					if err := alone.end(); err != nil {
						t.Fatal(err)
					}
				}
				if err := l.end(); err != nil {
					t.Error(err)
				}
				late := func(dir string, before *life) *fed { // which asks the place after it has begun to keep things for standbys
					t.Helper()
					place.fail(0, true)
					f := both(t, dir, place, before)
					time.Sleep(firstRetry / 2)
					if _, err := f.relay.Begin("", ""); err != nil {
						t.Fatal(err)
					}
					place.fail(0, false)
					return f
				}
				next := late(dir, l.life)
				next.busy(2, r)
				next.shipped()
				if err := next.end(); err != nil {
					t.Fatal(err)
				}
				next = late(dir, next.life)
				next.busy(2, r)
				next.shipped()
				_, acked, begun := next.moment()
				if err := next.end(); err != nil {
					t.Error(err)
				}
				has, _ := restored(t, place, time.Time{})
				within(t, "restored", has, acked, begun)
				for range 2 {
					old := late(l.dir, l.life)
					time.Sleep(time.Minute)
					old.stop()
					if err := old.failed(); !errors.Is(err, ErrOlder) {
						t.Errorf("the one before it: %v", err)
					}
				}
			})
		})
	}
}

// TestPlaceTakenOver: of a standby of a server and one of the place that it replicates to as well one goes on. When the place is taken over the server ends with its
// next write, and tells its own standby; a person says that none has when the server could tell nobody.
func TestPlaceTakenOver(t *testing.T) {
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
			l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
			way := &link{r: r, t: t, to: l}
			own := followServer(t, filepath.Join(t.TempDir(), "own"), way)
			l.busy(2, r)
			own.follows()
			l.shipped()
			other := follow(t, filepath.Join(t.TempDir(), "other"), place)
			other.follows()
			other.promote()
			want := "replicated to faulty as well"
			if !lost {
				want = ErrFenced.Error()
				if !l.try(0, 1) { // the place hears of it a second later
					t.Error("it has ended before")
				}
				began := time.Now()
				select {
				case <-l.relay.Handed():
				case <-time.After(time.Hour):
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("its standby was told after %s", took)
				}
				if l.try(0, 1) {
					t.Fatal("it answers")
				}
				if err := l.failed(); !errors.Is(err, ErrFenced) {
					t.Error(err)
				}
			} else {
				_ = l.end()
			}
			way.lead(nil)
			synctest.Wait()
			own = followServer(t, own.kill(), way) // it keeps that
			if _, err := own.f.Promote(t.Context(), How{Lost: true}); err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("%v, want %q", err, want)
			}
			if _, err := own.f.Promote(t.Context(), How{Lost: true, Only: true}); err != nil {
				t.Fatal(err)
			}
			if err := <-own.ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPlaceIsTold: when a standby of a server goes on, the place that the server replicates to is told, and so who follows that is not promoted, now and after a
// start, unless a person says that all is to go on there. When the other replicates to that place it is followed there, and may be taken over.
func TestPlaceIsTold(t *testing.T) {
	for _, only := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
			l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
			own := followServer(t, filepath.Join(t.TempDir(), "own"), &link{r: r, t: t, to: l})
			l.busy(2, r)
			own.follows()
			l.shipped()
			other := follow(t, filepath.Join(t.TempDir(), "other"), place)
			other.follows()
			l.busy(1, r) // the place has it at the end, too
			_, acked, begun := l.moment()
			dir, _ := own.promoteAs(false)
			within(t, "promoted", has(t, dir), acked, begun)
			other.follows()
			for range 2 {
				if _, err := other.f.Promote(t.Context(), How{}); err == nil || !strings.Contains(err.Error(), "goes on in its place") || !strings.Contains(err.Error(), "--only") {
					t.Fatalf("it is not told: %v", err)
				}
				synctest.Wait()
				other = follow(t, other.kill(), place)
				other.follows()
			}
			synctest.Wait()
			l.stop()
			if err := l.failed(); !errors.Is(err, ErrFenced) {
				t.Error(err)
			}
			if only {
				if _, err := other.f.Promote(t.Context(), How{Only: true}); err != nil {
					t.Fatal(err)
				}
				if err := <-other.ended; err != nil {
					t.Error(err)
				}
				within(t, "the place's", has(t, other.dir), acked, begun)
				return
			}
			re, err := Restore(t.Context(), place, time.Time{}, filepath.Join(t.TempDir(), "restored"), backup.Options{})
			if err != nil || !strings.Contains(re.Over, "goes on in its place") {
				t.Errorf("a restore does not say so: %+v, %v", re, err)
			}
			next := both(t, dir, place, l.life)
			next.busy(2, r)
			next.shipped()
			if log := next.log.String(); strings.Contains(log, "as well") {
				t.Errorf("it is told of itself: %s", log)
			}
			time.Sleep(10 * time.Minute) // the standby begins anew with a backup of it
			other.follows()
			_, acked, begun = next.moment()
			dir, _ = other.promote()
			within(t, "promoted at the place", has(t, dir), acked, begun)
			next.try(0, 1)
			next.stop()
			_ = next.failed()
		})
	}
}

// TestPlaceIsToldBehindAPut: a segment that is being put when the server ends, and which the place has all the same, does not keep the place from being told.
func TestPlaceIsToldBehindAPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
		own := followServer(t, filepath.Join(t.TempDir(), "own"), &link{r: r, t: t, to: l})
		l.busy(2, r)
		own.follows()
		l.shipped()
		other := follow(t, filepath.Join(t.TempDir(), "other"), place)
		other.follows()
		place.mu.Lock()
		place.parting = true
		place.mu.Unlock()
		l.write(0, 100)
		time.Sleep(2 * time.Second) // it is under way
		own.promoteAs(false)
		synctest.Wait()
		l.stop()
		if err := l.failed(); !errors.Is(err, ErrFenced) {
			t.Error(err)
		}
		other.follows()
		if _, err := other.f.Promote(t.Context(), How{}); err == nil || !strings.Contains(err.Error(), "goes on in its place") {
			t.Fatalf("it is not told: %v, %s", err, l.log.String())
		}
		other.end()
	})
}

// TestRestoredBehindOne: a folder that was restored from a place that is told does not go on there beside the standby that does, unless a person says that this one is
// lost. The one that was promoted does.
func TestRestoredBehindOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		dir, life := restoredBehindOne(t, place)
		for range 2 {
			if err := refusedBehindOne(t, dir, place, life); err != nil {
				t.Fatal(err)
			}
		}
		next := bothAs(t, dir, place, life, true)
		next.busy(1, r)
		next.shipped()
		if err := next.end(); err != nil {
			t.Error(err)
		}
		if log := next.log.String(); !strings.Contains(log, "goes on alone") {
			t.Errorf("it does not say so: %s", log)
		}
		next = both(t, dir, place, next.life) // behind itself
		next.busy(1, r)
		next.shipped()
		if err := next.end(); err != nil {
			t.Error(err)
		}
	})
}

// restoredBehindOne returns a folder that was restored from a place whose server has said there that a standby of its own goes on.
func restoredBehindOne(t *testing.T, place *faulty) (dir string, of *life) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
	own := followServer(t, filepath.Join(t.TempDir(), "own"), &link{r: r, t: t, to: l})
	l.busy(2, r)
	own.follows()
	l.shipped()
	time.Sleep(time.Minute) // there is a backup
	own.promoteAs(false)
	synctest.Wait()
	l.stop()
	_ = l.failed()
	dir = filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(t.Context(), place, time.Time{}, dir, backup.Options{}); err != nil {
		t.Fatal(err)
	}
	return dir, l.life
}

// refusedBehindOne starts a server of such a folder, and returns an error unless it is refused before it has put anything.
func refusedBehindOne(t *testing.T, dir string, place *faulty, of *life) error {
	t.Helper()
	refused := both(t, dir, place, of)
	time.Sleep(time.Minute)
	refused.stop()
	refusal := refused.failed()
	if h, err := Newest(t.Context(), place); err != nil || h.Over == "" {
		return fmt.Errorf("it has put something: %+v, %w", h, err)
	}
	if !errors.Is(refusal, ErrElsewhere) || !strings.Contains(refusal.Error(), "goes on in its place") {
		return fmt.Errorf("it is not refused: %w", refusal)
	}
	return nil
}

// TestPlaceIsToldLater: what a server that ended could not tell its place is told for its folder, which is refused. Who has taken the place over is not told.
func TestPlaceIsToldLater(t *testing.T) {
	for _, taken := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
			l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
			own := followServer(t, filepath.Join(t.TempDir(), "own"), &link{r: r, t: t, to: l})
			l.busy(2, r)
			own.follows()
			l.shipped()
			other := follow(t, filepath.Join(t.TempDir(), "other"), place)
			other.follows()
			place.fail(0, true)
			own.promoteAs(false)
			synctest.Wait()
			l.stop()
			_ = l.failed()
			place.fail(0, false)
			if taken {
				other.promote()
			}
			by, err := store.OvertakenBy(l.dir)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				Close(t.Context(), Options{Place: place, Dir: l.dir, Logger: slog.New(slog.NewTextHandler(&l.log, nil))}, by)
			}
			if h, err := Newest(t.Context(), place); err != nil || taken != (h.Over == "") || taken != strings.Contains(l.log.String(), "no more its own") {
				t.Errorf("taken over %v: %+v, %v, %s", taken, h, err, l.log.String())
			}
			if taken {
				return
			}
			other.follows()
			if _, err := other.f.Promote(t.Context(), How{}); err == nil || !strings.Contains(err.Error(), "goes on in its place") {
				t.Errorf("it is not told: %v", err)
			}
			other.end()
		})
	}
}

// TestPlaceThatCannotBeTold: a server ends for its standby also when its place cannot be told, and says so.
func TestPlaceThatCannotBeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
		own := followServer(t, filepath.Join(t.TempDir(), "own"), &link{r: r, t: t, to: l})
		l.busy(2, r)
		own.follows()
		l.shipped()
		place.fail(0, true)
		l.write(0, 100)
		own.follows()
		own.promoteAs(false)
		began := time.Now()
		synctest.Wait()
		l.stop()
		if err := l.failed(); !errors.Is(err, ErrFenced) || time.Since(began) > 20*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if !strings.Contains(l.log.String(), "cannot be told") {
			t.Errorf("it does not say so: %s", l.log.String())
		}
		if !strings.Contains(l.log.String(), "does not come there any more") {
			t.Errorf("it does not say that the place lacks something: %s", l.log.String())
		}
	})
}

// TestPlaceIsToldBeforeItIsClaimed: a server that ends before it has claimed its place again tells it all the same, since standbys follow what an earlier run has put
// there: one that was started anew while the place was away, and one that was lost and is told as soon as it is back.
func TestPlaceIsToldBeforeItIsClaimed(t *testing.T) {
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
			l := both(t, filepath.Join(t.TempDir(), "data"), place, nil)
			way := &link{r: r, t: t, to: l}
			own := followServer(t, filepath.Join(t.TempDir(), "own"), way)
			l.busy(2, r)
			own.follows()
			l.shipped()
			other := follow(t, filepath.Join(t.TempDir(), "other"), place)
			other.follows()
			way.lead(nil)
			if lost {
				dir := l.killed()
				if _, err := own.f.Promote(t.Context(), How{Lost: true, Only: true}); err != nil {
					t.Fatal(err)
				}
				if err := <-own.ended; err != nil {
					t.Error(err)
				}
				text, err := store.ToOvertake(own.dir)
				if err != nil || text == nil {
					t.Fatal(err)
				}
				place.slow(2 * time.Second)
				l = both(t, dir, place, l.life)
				way.lead(l)
				for done := false; !done; {
					if done, _, err = Tell(t.Context(), way, text); err != nil {
						t.Fatal(err)
					}
				}
			} else {
				place.fail(0, true)
				l = both(t, l.killed(), place, l.life)
				way.lead(l)
				l.busy(1, r)
				own.follows()
				own.promoteAs(false)
				place.fail(0, false) // it is there again at once
			}
			if st := l.shipper.Status(); st.Segment != 0 {
				t.Fatalf("it has claimed: %+v", st)
			}
			<-l.relay.Handed()
			synctest.Wait()
			l.stop()
			if err := l.failed(); !errors.Is(err, ErrFenced) {
				t.Error(err)
			}
			place.slow(0)
			other.follows()
			if _, err := other.f.Promote(t.Context(), How{}); err == nil || !strings.Contains(err.Error(), "goes on in its place") {
				t.Fatalf("it is not told: %v, %s", err, l.log.String())
			}
			other.end()
		})
	}
}
