package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// fed is one run of a server that keeps what it commits for standbys.
type fed struct {
	*life
	relay *Relay
}

func feed(t *testing.T, dir string, before *life, most int64) *fed {
	t.Helper()
	f := &fed{life: &life{t: t, dir: dir, ended: make(chan error, 1)}}
	if before != nil {
		f.begun, f.acked = before.begun, before.acked
	}
	var err error
	if f.store, err = store.Open(store.Options{FS: unsynced{vfs.Default}, Dir: dir, Changes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	f.relay = NewRelay(RelayOptions{Store: f.store, Dir: dir, Most: most, Logger: slog.New(slog.NewTextHandler(&f.log, nil))})
	ctx, stop := context.WithCancel(t.Context())
	f.stop = stop
	go func() { f.ended <- f.relay.Run(ctx) }()
	return f
}

// try writes like write, until the server is over.
func (f *fed) try(w, size int) bool {
	f.mu.Lock()
	f.begun[w]++
	n, seen := f.begun[w], f.acked
	f.mu.Unlock()
	b := f.store.NewBatch()
	defer b.Close()
	putWrite(b, w, n, seen, size)
	if err := f.store.Write(b); err != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acked[w] = n
	return true
}

// killed ends the run without a word, and returns its folder as it was.
func (f *fed) killed() string {
	f.t.Helper()
	synctest.Wait()
	to := snapshot(f.t, f.dir)
	_ = f.end()
	return to
}

// link is the way from a standby to a server, which fails now and then.
type link struct {
	mu   sync.Mutex // guards the following
	to   *fed       // nil: it is away
	r    *rand.Rand
	rate int // one call in so many fails; 0: none
	t    *testing.T
	made int // copies
}

func (l *link) String() string { return "http://primary" }

func (l *link) lead(to *fed) { l.mu.Lock(); l.to = to; l.mu.Unlock() }
func (l *link) fail(rate int) {
	l.mu.Lock()
	l.rate = rate
	l.mu.Unlock()
}

// call says what happens to a call: who gets it, nobody, and whether the answer comes back.
func (l *link) call() (to *fed, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to == nil {
		return nil, false
	}
	if l.rate > 0 && l.r.IntN(l.rate) == 0 {
		if l.r.IntN(2) == 0 {
			return nil, false
		}
		return l.to, false
	}
	return l.to, true
}

// through makes a call.
func through[T any](l *link, f func(*fed) (T, error)) (v T, err error) {
	to, answered := l.call()
	if to == nil {
		return v, errFault
	}
	v, err = f(to)
	if !answered {
		var none T
		return none, errFault
	}
	return v, err
}

func (l *link) Head(context.Context) (Here, error) {
	return through(l, func(f *fed) (Here, error) { return f.relay.Begin("", "") })
}

func (l *link) Seed(ctx context.Context, standby, host string) (Copy, error) {
	return through(l, func(f *fed) (Copy, error) {
		here, err := f.relay.Begin(standby, host)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.made++
		dir := filepath.Join(l.t.TempDir(), "copy")
		l.mu.Unlock()
		return &copied{l, here, backup.Folder(dir)}, f.store.Stage(ctx, dir)
	})
}

func (l *link) Next(ctx context.Context, a Asked) ([]byte, error) {
	return through(l, func(f *fed) ([]byte, error) { return f.relay.Next(ctx, a) })
}

func (l *link) File(_ context.Context, number uint64, sum string) (io.ReadCloser, error) {
	return through(l, func(f *fed) (io.ReadCloser, error) {
		file, err := f.relay.File(number, sum)
		if errors.Is(err, os.ErrNotExist) {
			err = backup.ErrAbsent
		}
		return file, err
	})
}

func (l *link) Overtake(ctx context.Context, o Overtaking) ([][]byte, error) {
	return through(l, func(f *fed) ([][]byte, error) { return f.relay.Overtake(ctx, o) })
}

// copied is a copy of a server's folder.
type copied struct {
	l    *link
	here Here
	backup.Folder
}

func (c *copied) Here() Here                 { return c.here }
func (c *copied) Done(context.Context) error { return nil }

func (c *copied) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	to, answered := c.l.call()
	if to == nil {
		return nil, errFault
	}
	file, err := c.Folder.Open(ctx, name)
	if err == nil && !answered { // cut
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(file, 100), file}, nil
	}
	return file, err
}

func followServer(t *testing.T, dir string, l Primary) *standby {
	t.Helper()
	s := &standby{t: t, dir: dir, ended: make(chan error, 1)}
	var err error
	if s.f, err = Follow(FollowOptions{Primary: l, Dir: dir, Logger: slog.New(slog.NewTextHandler(&s.log, nil))}); err != nil {
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

// promoteAs promotes it, as often as it takes.
func (s *standby) promoteAs(lost bool) (dir string, p Promoted) {
	s.t.Helper()
	for range 100 {
		var err error
		if p, err = s.f.Promote(s.t.Context(), How{Lost: lost}); err == nil {
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

// relays has servers follow each other without a place: over a way that fails, with either side killed or started again, and more written than is
// kept. What is promoted is a prefix: with every write that was acknowledged when the other server was asked, and else with what it had when it
// had all.
func relays(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 9))
	most := []int64{0, 0, 40 << 10}[r.IntN(3)]
	l := feed(t, filepath.Join(t.TempDir(), "data"), nil, most)
	way := &link{r: rand.New(rand.NewPCG(seed, 10)), t: t, to: l}
	defer func() {
		if !l.over {
			_ = l.end()
		}
	}()
	l.busy(3, r)
	for generation := range 2 + r.IntN(2) {
		s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
		rate := []int{0, 20, 6}[r.IntN(3)]
		s.follows()
		for range 2 + r.IntN(4) {
			way.fail(rate)
			l.busy(1+r.IntN(8), r)
			switch r.IntN(6) {
			case 0:
				s.follows()
			case 1:
				synctest.Wait()
				s = followServer(t, s.kill(), way)
			case 2:
				way.lead(nil)
				l = feed(t, l.killed(), l.life, most)
				way.lead(l)
			case 3:
				way.lead(nil)
				if err := l.end(); err != nil {
					t.Error(err)
				}
				l = feed(t, l.dir, l.life, most)
				way.lead(l)
			case 4:
				way.lead(nil)
				l.busy(1+r.IntN(20), r)
				way.lead(l)
			}
		}
		lost := r.IntN(2) == 0
		old := l
		var low [writers]uint64
		var dir string
		if lost {
			s.follows()
			_, low, _ = l.moment()
			s.follows()
			way.lead(nil)
			l.busy(r.IntN(2), r)
			dir, _ = s.promoteAs(true)
		} else {
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for l.try(w, 100) {
						time.Sleep(time.Duration(1+w) * time.Millisecond)
					}
				})
			}
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			way.fail([]int{0, 20}[r.IntN(2)])
			dir, _ = s.promoteAs(false)
			wg.Wait()
			_, low, _ = l.moment()
		}
		_, _, begun := l.moment()
		n := has(t, dir)
		within(t, fmt.Sprintf("generation %d, lost %v", generation, lost), n, low, begun)
		text, err := store.ToOvertake(dir)
		if err != nil || (text != nil) != lost {
			t.Fatalf("it is to tell %s, %v", text, err)
		}
		if lost { // the other comes back
			back := feed(t, old.killed(), old.life, most)
			old = back
			way.lead(back)
			time.Sleep(time.Second)
			if done, younger, err := tell(t, way, text); !done || younger || err != nil {
				t.Fatalf("it is told: %v, %v, %v", done, younger, err)
			}
		}
		if old.try(0, 1) {
			t.Error("the old one answers")
		}
		if err := old.failed(); !errors.Is(err, ErrFenced) {
			t.Errorf("the old one: %v", err)
		}
		if _, err := store.Open(store.Options{Dir: old.dir}); !errors.Is(err, store.ErrOvertaken) {
			t.Errorf("the old one, started again: %v", err)
		}
		l = feed(t, dir, &life{begun: n, acked: n}, most)
		way.lead(l)
		if lost { // it cannot be told that it is over by who was before it
			time.Sleep(time.Second)
			if _, younger, err := tell(t, way, text); !younger {
				t.Errorf("it believes the one before it: %v", err)
			}
		}
		l.busy(2, r)
	}
	s := followServer(t, filepath.Join(t.TempDir(), "last"), way)
	way.fail(0)
	s.follows()
	_, acked, begun := l.moment()
	s.follows()
	dir, _ := s.promoteAs(false)
	within(t, "last", has(t, dir), acked, begun)
	if err := l.failed(); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
}

// tell tells until there is an answer.
func tell(t *testing.T, way *link, text []byte) (done, younger bool, err error) {
	for range 100 {
		if done, younger, err = Tell(t.Context(), way, text); !errors.Is(err, errFault) {
			break
		}
		time.Sleep(time.Second)
	}
	return done, younger, err
}

// TestRelay: whatever the connection does, and whoever is killed when, a standby of a server is a prefix of what was written, and of the two one goes
// on.
func TestRelay(t *testing.T) {
	seeds := 2
	if v := os.Getenv("MILLSTREAM_CRASHES"); v != "" {
		fmt.Sscan(v, &seeds)
		seeds = min(seeds, 500)
	}
	for seed := range seeds {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { relays(t, uint64(seed)) })
		}) {
			break
		}
	}
}

// TestRelayResumes: neither a start of the server, nor one of the standby, nor a connection that breaks off costs a new copy; a standby that was
// away for longer than is kept costs one, and the server no more than that.
func TestRelayResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		const most = 64 << 10
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, most)
		way := &link{r: r, t: t, to: l}
		s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
		s.follows()
		l.busy(3, r)
		s.follows()
		synctest.Wait()
		s = followServer(t, s.kill(), way)
		s.follows()
		way.lead(nil)
		l.busy(2, r)
		l = feed(t, l.killed(), l.life, most)
		way.lead(l)
		s.follows()
		s.end()
		l.busy(2, r)
		if err := l.end(); err != nil {
			t.Error(err)
		}
		l = feed(t, l.dir, l.life, most)
		way.lead(l)
		l.busy(2, r)
		s = followServer(t, s.dir, way)
		s.follows()
		if way.made != 1 {
			t.Errorf("%d copies were made", way.made)
		}
		s.end()
		for range 300 {
			l.write(0, 4<<10)
			time.Sleep(100 * time.Millisecond)
		}
		if st := l.relay.Status(); st.Bytes > most+16<<10 || len(st.Standbys) != 1 || st.Standbys[0].Lag == 0 {
			t.Errorf("%+v", st)
		}
		size := int64(0)
		for _, e := range must(os.ReadDir(l.relay.dir))(t) {
			size += must(e.Info())(t).Size()
		}
		if size > most+16<<10 {
			t.Errorf("%d bytes lie there", size)
		}
		s = followServer(t, s.dir, way)
		s.follows()
		if way.made != 2 || !strings.Contains(s.log.String(), "has not kept what comes next") {
			t.Errorf("%d copies were made\n%s", way.made, s.log.String())
		}
		if st := l.relay.Status(); st.Standbys[0].Lag != 0 || st.Standbys[0].Away {
			t.Errorf("%+v", st)
		}
		time.Sleep(time.Second)
		s.end()
		time.Sleep(2 * time.Minute)
		if st := l.relay.Status(); !st.Standbys[0].Away {
			t.Errorf("%+v", st)
		}
		_ = l.end()
	})
}

// TestRelayOfMuchAtOnce: while no standby asks, more may be written within a pause than may wait: it is kept all the same.
func TestRelayOfMuchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		way := &link{r: rand.New(rand.NewPCG(1, 1)), t: t, to: l}
		s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
		s.follows()
		s.end()
		time.Sleep(2 * awayAfter)
		for range 24 { // without a pause: 1.5 MB where 1 MB may wait
			l.write(0, 64<<10)
			synctest.Wait()
		}
		s = followServer(t, s.dir, way)
		s.follows()
		if way.made != 1 {
			t.Errorf("%d copies were made\n%s", way.made, l.log.String())
		}
		s.end()
		_ = l.end()
	})
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestRelayOfAnOlderFolder: a standby that has more than the server loses none of it: it says so, and can be promoted.
func TestRelayOfAnOlderFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		way := &link{r: r, t: t, to: l}
		s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
		l.busy(2, r)
		s.follows()
		synctest.Wait()
		older := snapshot(t, l.dir)
		l.busy(2, r)
		s.follows()
		_, acked, begun := l.moment()
		s.follows()
		way.lead(nil)
		_ = l.end()
		back := feed(t, older, nil, 0)
		for w := range writers {
			n := uint64(0)
			if err := back.store.Each(key('w', w, 0)[:3], func([]byte, []byte) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
			back.begun[w], back.acked[w] = n, n
		}
		way.lead(back)
		time.Sleep(10 * time.Second)
		if st := s.f.Status(); !strings.Contains(st.Failing, "put back from an older copy") {
			t.Errorf("%+v", st)
		}
		back.busy(20, r) // its numbers are as high as the standby's by now
		time.Sleep(10 * time.Second)
		if st := s.f.Status(); !strings.Contains(st.Failing, "put back from an older copy") {
			t.Errorf("%+v", st)
		}
		if _, err := s.f.Promote(t.Context(), How{}); !errors.Is(err, ErrNoAnswer) {
			t.Fatalf("it is promoted as if all were well: %v", err)
		}
		dir, _ := s.promoteAs(true)
		within(t, "promoted", has(t, dir), acked, begun)
		_ = back.end()
	})
}

// TestRelayFiles: files beside the database are in the standby before the row that names them.
func TestRelayFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		way := &link{r: rand.New(rand.NewPCG(1, 1)), t: t, to: l, rate: 4}
		s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
		s.follows()
		for n := range 3 {
			name := filepath.Join("code", fmt.Sprint(n), "package.zip")
			path := filepath.Join(l.dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(name), 0o600)); err != nil {
				t.Fatal(err)
			}
			b := l.store.NewBatch()
			b.Set([]byte{store.SpaceFunction, byte(n)}, []byte{1})
			if err := l.store.Write(b); err != nil {
				t.Fatal(err)
			}
			b.Close()
			time.Sleep(200 * time.Millisecond)
			if err := os.RemoveAll(filepath.Dir(path)); err != nil { // it is still kept for the standby
				t.Fatal(err)
			}
			s.follows()
			if text, err := os.ReadFile(filepath.Join(s.dir, name)); string(text) != name {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
		s.end()
		_ = l.end()
	})
}
