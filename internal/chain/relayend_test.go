package chain

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/store"
)

// still is a server that keeps what it commits only when it is asked for its end, and what a standby of it says that has all up to then.
type still struct {
	t     *testing.T
	store *store.Store
	relay *Relay
	over  Overtaking
}

func stand(t *testing.T, o store.Options) *still {
	t.Helper()
	o.FS, o.Dir, o.Changes = unsynced{vfs.Default}, filepath.Join(t.TempDir(), "data"), 1<<20
	st, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	s := &still{t: t, store: st, relay: NewRelay(RelayOptions{Store: st, Dir: o.Dir, Logger: slog.New(slog.DiscardHandler)})}
	if err := errors.Join(s.relay.begin(), s.relay.cut()); err != nil {
		t.Fatal(err)
	}
	s.ask()
	return s
}

// ask has the standby have all that is kept.
func (s *still) ask() {
	s.t.Helper()
	here, err := s.relay.Begin("standby", "host")
	if err != nil {
		s.t.Fatal(err)
	}
	s.over = Overtaking{Name: "another", Incarnation: here.Incarnation + 1000}
	s.over.Asked = Asked{Standby: "standby", Number: here.Number, Any: here.Number > 0, Previous: s.relay.previous, Lineage: here.Lineage, Database: here.Database, Next: s.store.Changes().Applied()}
}

func (s *still) write(key ...byte) error {
	b := s.store.NewBatch()
	defer b.Close()
	b.Set(key, []byte{1})
	return s.store.Write(b)
}

// lives checks that the server goes on, and so will its folder.
func (s *still) lives() {
	s.t.Helper()
	if err := s.write('z'); err != nil {
		s.t.Errorf("it has ended: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.relay.o.Dir, "OVERTAKEN")); !errors.Is(err, os.ErrNotExist) {
		s.t.Errorf("its folder is refused from now on: %v", err)
	}
}

// TestEndOfPeriodic: what was acknowledged and is not on the disk is handed over, too.
func TestEndOfPeriodic(t *testing.T) {
	for _, d := range []store.Durability{store.Sync, store.Periodic} {
		s := stand(t, store.Options{Durability: d, SyncInterval: time.Hour})
		if err := s.write('w', 1); err != nil {
			t.Fatal(err)
		}
		rest, err := s.relay.Overtake(t.Context(), s.over)
		if err != nil || len(rest) != 1 {
			t.Errorf("%d segments are handed over of what was acknowledged, %v", len(rest), err)
		}
		for _, segment := range rest {
			_, _, changes, err := decode(segment)
			if err != nil || len(changes) != 1 || !changes[0].Touches('w') {
				t.Errorf("%v: %+v, %v", d, changes, err)
			}
		}
		if err := s.write('w', 2); !errors.Is(err, ErrFenced) {
			t.Errorf("it answers: %v", err)
		}
		again, err := s.relay.Overtake(t.Context(), s.over)
		if err != nil || len(again) != len(rest) {
			t.Errorf("asked again it hands over %d of %d, %v", len(again), len(rest), err)
		}
	}
}

// TestNoEndWithoutAll: a server that cannot hand over what it has acknowledged goes on.
func TestNoEndWithoutAll(t *testing.T) {
	t.Run("a segment cannot be written", func(t *testing.T) {
		s := stand(t, store.Options{})
		if err := errors.Join(s.write('w', 1), os.Mkdir(s.relay.path(s.over.Number)+".tmp", 0o700)); err != nil {
			t.Fatal(err)
		}
		if rest, err := s.relay.Overtake(t.Context(), s.over); err == nil {
			t.Errorf("it ends, and hands over %d segments", len(rest))
		}
		s.lives()
		for range 3 { // the gap is no way around it
			if rest, err := s.relay.Overtake(t.Context(), s.over); err == nil {
				t.Fatalf("it ends, and hands over %d segments", len(rest))
			}
		}
		s.lives()
	})
	t.Run("nor what comes at the last moment", func(t *testing.T) {
		s := stand(t, store.Options{Durability: store.Periodic, SyncInterval: time.Hour}) // not on the disk before the end
		if err := errors.Join(s.write('w', 1), os.Mkdir(s.relay.path(s.over.Number)+".tmp", 0o700)); err != nil {
			t.Fatal(err)
		}
		if rest, err := s.relay.Overtake(t.Context(), s.over); err == nil {
			t.Errorf("it ends, and hands over %d segments", len(rest))
		}
		s.lives()
	})
	t.Run("more than may wait", func(t *testing.T) {
		s := stand(t, store.Options{})
		if err := s.write('w', 1); err != nil {
			t.Fatal(err)
		}
		s.store.Changes().Lose()
		if rest, err := s.relay.Overtake(t.Context(), s.over); err == nil {
			t.Errorf("it ends, and hands over %d segments", len(rest))
		}
		s.lives()
		if _, err := s.relay.Next(t.Context(), s.over.Asked); !errors.Is(err, ErrBeginAnew) {
			t.Errorf("the standby goes on: %v", err)
		}
	})
}

// TestFilesBeforeTheEnd: a file that what is left names is fetched while the server lives.
func TestFilesBeforeTheEnd(t *testing.T) {
	for _, d := range []store.Durability{store.Sync, store.Periodic} {
		s := stand(t, store.Options{Durability: d, SyncInterval: time.Hour})
		path := filepath.Join(s.relay.o.Dir, "code", "1", "package.zip")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("code"), 0o600), s.write(store.SpaceFunction, 1)); err != nil {
			t.Fatal(err)
		}
		if rest, err := s.relay.Overtake(t.Context(), s.over); !errors.Is(err, ErrMore) {
			t.Fatalf("it hands over %d segments, %v", len(rest), err)
		}
		s.lives()
		segment, err := s.relay.Next(t.Context(), s.over.Asked)
		if err != nil {
			t.Fatal(err)
		}
		h, _, _, err := decode(segment)
		if err != nil || len(h.Files) != 1 {
			t.Fatalf("%+v, %v", h, err)
		}
		file, err := s.relay.File(h.Number, h.Files[0].Sum)
		if err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
		for _, sum := range []string{"", ".", "../" + h.Files[0].Sum} {
			if file, err := s.relay.File(h.Number, sum); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the sum %q opens %v, %v", sum, file, err)
			}
		}
	}
}

// deaf loses the answers to some questions for the end.
type deaf struct {
	*link
	lose, asked int
}

func (d *deaf) Overtake(ctx context.Context, o Overtaking) ([][]byte, error) {
	rest, err := d.link.Overtake(ctx, o)
	if d.asked++; d.asked <= d.lose {
		return nil, errFault
	}
	return rest, err
}

// TestEndAskedAgain: a server whose answer is lost gives it again, to the same promotion and to the next, and is there until then.
func TestEndAskedAgain(t *testing.T) {
	for _, lose := range []int{1, overtakeTries, overtakeTries + 1} {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
			way := &deaf{link: &link{r: r, t: t, to: l}, lose: lose}
			s := &standby{t: t, dir: filepath.Join(t.TempDir(), "standby"), ended: make(chan error, 1)}
			var err error
			if s.f, err = Follow(FollowOptions{Primary: way, Dir: s.dir, Logger: slog.New(slog.NewTextHandler(&s.log, nil))}); err != nil {
				t.Fatal(err)
			}
			go func() { _, err := s.f.Run(t.Context()); s.ended <- err }()
			s.follows()
			l.busy(2, r)
			_, acked, begun := l.moment()
			_, err = s.f.Promote(t.Context(), How{})
			select {
			case err := <-l.ended:
				if lose >= overtakeTries {
					t.Errorf("the server does not wait for the question: %v", err)
				}
				l.ended <- err
			default:
			}
			if lose >= overtakeTries {
				if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "promote again") {
					t.Fatalf("the answers are lost: %v", err)
				}
				_, err = s.f.Promote(t.Context(), How{})
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := <-s.ended; err != nil {
				t.Error(err)
			}
			began := time.Now()
			if err := l.failed(); !errors.Is(err, ErrFenced) || time.Since(began) > 0 {
				t.Errorf("the server ends after %s: %v", time.Since(began), err)
			}
			within(t, "promoted", has(t, s.dir), acked, begun)
		})
	}
}

// TestEndIsNotHeldAgainstOneself: a standby for which the server has ended, while the answers were lost, is not refused as one of which another goes on, when the
// server is gone before it is asked again.
func TestEndIsNotHeldAgainstOneself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		way := &deaf{link: &link{r: r, t: t, to: l}, lose: overtakeTries}
		s := &standby{t: t, dir: filepath.Join(t.TempDir(), "standby"), ended: make(chan error, 1)}
		var err error
		if s.f, err = Follow(FollowOptions{Primary: way, Dir: s.dir, Logger: slog.New(slog.NewTextHandler(&s.log, nil))}); err != nil {
			t.Fatal(err)
		}
		go func() { _, err := s.f.Run(t.Context()); s.ended <- err }()
		s.follows()
		l.busy(2, r)
		s.follows()
		_, acked, begun := l.moment()
		if _, err := s.f.Promote(t.Context(), How{}); !errors.Is(err, ErrNoAnswer) {
			t.Fatalf("the answers are lost: %v", err)
		}
		time.Sleep(handFor / 2) // it asks on, and hears that the server is over
		if f := s.f.Status().Failing; !strings.Contains(f, ErrFenced.Error()) {
			t.Errorf("it was not told: %q", f)
		}
		way.lead(nil)
		if _, err := s.f.Promote(t.Context(), How{Lost: true}); err != nil {
			t.Fatal(err)
		}
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
		within(t, "promoted", has(t, s.dir), acked, begun)
		if err := l.failed(); !errors.Is(err, ErrFenced) {
			t.Error(err)
		}
	})
}

// TestEndAskedByAnotherProcess: a standby that asked for the server's end, and was killed before it had the answer, is the same one to it afterwards, and to itself: it gets
// what it was to be handed, and is not refused as one of which another goes on when the server is gone.
func TestEndAskedByAnotherProcess(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
			way := &deaf{link: &link{r: r, t: t, to: l}, lose: overtakeTries}
			s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
			s.follows()
			l.busy(2, r)
			if gone {
				s.follows()
			}
			_, acked, begun := l.moment()
			if _, err := s.f.Promote(t.Context(), How{}); !errors.Is(err, ErrNoAnswer) {
				t.Fatalf("the answers are lost: %v", err)
			}
			synctest.Wait()
			s = followServer(t, s.kill(), way)
			time.Sleep(2 * time.Second) // it asks on, and hears that the server is over
			if f := s.f.Status().Failing; !strings.Contains(f, ErrFenced.Error()) {
				t.Errorf("it was not told: %q", f)
			}
			if gone {
				way.lead(nil)
			}
			if _, err := s.f.Promote(t.Context(), How{Lost: gone}); err != nil {
				t.Fatal(err)
			}
			if err := <-s.ended; err != nil {
				t.Error(err)
			}
			within(t, "promoted", has(t, s.dir), acked, begun)
			if err := l.failed(); !errors.Is(err, ErrFenced) {
				t.Error(err)
			}
		})
	}
}

// mute loses the questions for the end.
type mute struct{ *link }

func (mute) Overtake(context.Context, Overtaking) ([][]byte, error) { return nil, errFault }

// TestEndThatWasNeverAsked: a standby that could not ask for the server's end believes that server again later, when it says that another goes on.
func TestEndThatWasNeverAsked(t *testing.T) {
	for _, again := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
			way := &link{r: r, t: t, to: l}
			first := followServer(t, filepath.Join(t.TempDir(), "first"), mute{way})
			second := followServer(t, filepath.Join(t.TempDir(), "second"), way)
			first.follows()
			second.follows()
			if _, err := first.f.Promote(t.Context(), How{}); !errors.Is(err, ErrNoAnswer) {
				t.Fatal(err)
			}
			if again {
				synctest.Wait()
				first = followServer(t, first.kill(), mute{way})
			}
			time.Sleep(5 * time.Minute)
			first.follows()
			second.promoteAs(false)
			time.Sleep(2 * time.Second)
			_ = l.failed()
			if _, err := first.f.Promote(t.Context(), How{Lost: true}); err == nil || !strings.Contains(err.Error(), "goes on in its place") {
				t.Errorf("%v", err)
			}
			first.end()
		})
	}
}

// TestEndForAnother: a standby that could not ask for the server's end, and is started anew, believes that server all the same when it says that another goes on.
func TestEndForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		way := &link{r: rand.New(rand.NewPCG(1, 1)), t: t, to: l}
		first := followServer(t, filepath.Join(t.TempDir(), "first"), mute{way})
		first.follows()
		if _, err := first.f.Promote(t.Context(), How{}); !errors.Is(err, ErrNoAnswer) {
			t.Fatal(err)
		}
		synctest.Wait()
		dir := first.kill()
		second := followServer(t, filepath.Join(t.TempDir(), "second"), way)
		second.follows()
		second.promoteAs(false)
		first = followServer(t, dir, way)
		synctest.Wait() // it has asked
		way.lead(nil)
		_ = l.failed()
		if _, err := first.f.Promote(t.Context(), How{Lost: true}); err == nil || !strings.Contains(err.Error(), "goes on in its place") {
			t.Errorf("%v", err)
		}
		first.end()
	})
}

// TestNoEndForWhoHasGone: a server does not end for a standby that waits no more for its answer.
func TestNoEndForWhoHasGone(t *testing.T) {
	for _, lost := range []bool{false, true} {
		s := stand(t, store.Options{})
		s.over.Lost = lost
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.relay.Overtake(gone, s.over); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		s.lives()
	}
}

// TestEndNobodyAsksFor: a server that is over does not wait for ever for the one that goes on.
func TestEndNobodyAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		synctest.Wait()
		here, err := l.relay.Begin("standby", "host")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		o := Overtaking{Name: "another", Incarnation: here.Incarnation + 1, Asked: Asked{Number: here.Number, Database: here.Database, Lineage: here.Lineage}}
		if _, err := l.relay.Overtake(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if err := l.failed(); !errors.Is(err, ErrFenced) || time.Since(began) != handFor {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestStandbysOutliveAStart: after a start of the server, what a standby lacks stays though another asks first.
func TestStandbysOutliveAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		way := &link{r: r, t: t, to: l}
		a, b := followServer(t, filepath.Join(t.TempDir(), "a"), way), followServer(t, filepath.Join(t.TempDir(), "b"), way)
		l.busy(2, r)
		a.follows()
		b.follows()
		b.end()
		l.busy(2, r)
		a.follows()
		way.lead(nil)
		if err := l.end(); err != nil {
			t.Error(err)
		}
		l = feed(t, l.dir, l.life, 0)
		way.lead(l)
		l.busy(2, r)
		a.follows()
		l.busy(2, r) // what all have is removed
		a.follows()
		if st := l.relay.Status(); len(st.Standbys) != 2 {
			t.Errorf("%+v", st)
		}
		b = followServer(t, b.dir, way)
		b.follows()
		if way.made != 2 {
			t.Errorf("%d copies were made for two standbys\n%s", way.made, b.log.String())
		}
		a.end()
		b.end()
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestCopyOfWhatWasPutBack: a standby that has a copy, and no segment yet, takes none of a folder that was put back from before that copy.
func TestCopyOfWhatWasPutBack(t *testing.T) {
	s := stand(t, store.Options{})
	older := snapshot(t, s.relay.o.Dir)
	for range 10 {
		if err := s.write('w', 1); err != nil {
			t.Fatal(err)
		}
	}
	asked := s.over.Asked
	asked.Any = false
	early := asked.Next // what the older folder has, too
	st, err := store.Open(store.Options{FS: unsynced{vfs.Default}, Dir: older, Changes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	back := NewRelay(RelayOptions{Store: st, Dir: older, Logger: slog.New(slog.DiscardHandler)})
	if err := errors.Join(back.begin(), back.cut()); err != nil {
		t.Fatal(err)
	}
	asked.Number = back.next
	for _, c := range []struct {
		lineage string
		next    uint64
		want    error
	}{{asked.Lineage, early, nil}, {asked.Lineage, s.store.Changes().Applied(), ErrBehind}, {"another", early, ErrBehind}} {
		a := asked
		a.Lineage, a.Next = c.lineage, c.next
		if _, err := back.Next(t.Context(), a); !errors.Is(err, c.want) {
			t.Errorf("of %s with %d: %v", c.lineage, c.next, err)
		}
	}
}

// slow is a server over a slow line.
type slow struct{ *link }

func (s slow) Next(ctx context.Context, a Asked) ([]byte, error) {
	select {
	case <-time.After(3 * time.Minute):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.link.Next(ctx, a)
}

// TestSlowLine: a segment takes as long as it takes.
func TestSlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		s := &standby{t: t, dir: filepath.Join(t.TempDir(), "standby"), ended: make(chan error, 1)}
		var err error
		if s.f, err = Follow(FollowOptions{Primary: slow{&link{r: rand.New(rand.NewPCG(1, 1)), t: t, to: l}}, Dir: s.dir, Logger: slog.New(slog.NewTextHandler(&s.log, nil))}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { _, err := s.f.Run(ctx); s.ended <- err }()
		l.write(0, 10)
		time.Sleep(10 * time.Minute)
		if st := s.f.Status(); st.Failing != "" || st.Lag < 0 {
			t.Errorf("%+v", st)
		}
		stop()
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
		_ = l.end()
	})
}
