package chain

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// faulty is a place in memory that fails, now and then, in all the ways that object storage has.
type faulty struct {
	mu      sync.Mutex
	objects map[string][]byte
	r       *rand.Rand
	rate    int // one call in so many fails; 0: none
	late    sync.WaitGroup
	down    bool
	pause   time.Duration // of each put
	parting bool          // the next object is stored, and the answer comes only once it is too late
}

func newFaulty(seed uint64) *faulty {
	return &faulty{objects: map[string][]byte{}, r: rand.New(rand.NewPCG(seed, 1))}
}

func (f *faulty) String() string { return "faulty" }

var errFault = errors.New("a fault of the place")

// fault says what goes wrong with a call: 0 nothing, 1 before, 2 after, 3 it comes to pass later, 4 slow.
func (f *faulty) fault() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return 1
	}
	if f.rate == 0 || f.r.IntN(f.rate) > 0 {
		return 0
	}
	return 1 + f.r.IntN(4)
}

func (f *faulty) set(name string, content []byte, only bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.objects[name]; there && only {
		return fmt.Errorf("%w: %s", backup.ErrExists, name)
	}
	f.objects[name] = content
	return nil
}

func (f *faulty) put(ctx context.Context, name string, content []byte, only bool) error {
	switch f.fault() {
	case 1:
		return errFault
	case 2:
		_ = f.set(name, content, only)
		return errFault
	case 3:
		wait := time.Duration(f.n(90)) * time.Second
		f.late.Go(func() {
			time.Sleep(wait)
			_ = f.set(name, content, only)
		})
		return errFault
	case 4:
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(f.n(20)) * time.Second):
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return f.set(name, content, only)
}

func (f *faulty) n(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.r.IntN(n)
}

func (f *faulty) PutNew(ctx context.Context, name string, content []byte) error {
	f.mu.Lock()
	parting, pause := f.parting, f.pause
	f.parting = false
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
	}
	if parting {
		_ = f.set(name, bytes.Clone(content), true)
		<-ctx.Done()
		return ctx.Err()
	}
	return f.put(ctx, name, bytes.Clone(content), true)
}

func (f *faulty) Put(ctx context.Context, name string, content io.ReadSeeker, _ int64) error {
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return f.put(ctx, name, b, false)
}

func (f *faulty) Get(_ context.Context, name string) (io.ReadCloser, error) {
	kind := f.fault()
	if kind == 1 || kind == 3 {
		return nil, errFault
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.objects[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", backup.ErrAbsent, name)
	}
	if kind == 2 { // cut
		b = b[:f.r.IntN(len(b)+1)]
	}
	if kind == 4 && len(b) > 0 {
		b = bytes.Clone(b)
		b[f.r.IntN(len(b))] ^= 1
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (f *faulty) Has(_ context.Context, name string, size int64) (bool, error) {
	if f.fault() != 0 {
		return false, errFault
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.objects[name]
	return ok && int64(len(b)) == size, nil
}

func (f *faulty) List(_ context.Context, prefix string) (names []string, err error) {
	if f.fault() != 0 {
		return nil, errFault
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.objects {
		if strings.HasPrefix(name, prefix+"/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (f *faulty) Remove(ctx context.Context, names []string) error {
	kind := f.fault()
	if kind == 1 {
		return errFault
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, name := range names {
		if kind == 2 && i >= len(names)/2 { // some of them
			return errFault
		}
		delete(f.objects, name)
	}
	if kind == 3 {
		return errFault
	}
	return ctx.Err()
}

// quietly turns faults off, and waits for what comes late.
func (f *faulty) quietly() {
	f.mu.Lock()
	f.rate, f.down = 0, false
	f.mu.Unlock()
	f.late.Wait()
}

func (f *faulty) fail(rate int, down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rate, f.down = rate, down
}

func (f *faulty) slow(pause time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pause = pause
}

const writers = 4

// life is one run of a server: a store, its shipper, and writers. Each write has its number, and what its writer had seen acknowledged
// of the others.
type life struct {
	t       *testing.T
	dir     string
	place   backup.Place
	store   *store.Store
	shipper *Shipper
	log     bytes.Buffer
	stop    context.CancelFunc
	ended   chan error

	over  bool // ended
	mu    sync.Mutex
	begun [writers]uint64 // numbers of the newest writes
	acked [writers]uint64
}

func begin(t *testing.T, dir string, place backup.Place, before *life) *life {
	t.Helper()
	return beginWith(t, dir, place, before, func(*Options) {})
}

func beginWith(t *testing.T, dir string, place backup.Place, before *life, set func(*Options)) *life {
	t.Helper()
	l := &life{t: t, dir: dir, place: place, ended: make(chan error, 1)}
	if before != nil {
		l.begun, l.acked = before.begun, before.acked
	}
	var err error
	if l.store, err = store.Open(store.Options{FS: unsynced{vfs.Default}, Dir: dir, Changes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	o := Options{Store: l.store, Place: place, Dir: dir, Stage: l.store.Stage, Logger: slog.New(slog.NewTextHandler(&l.log, nil))}
	set(&o)
	l.shipper = New(o)
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	go func() { l.ended <- l.shipper.Run(ctx) }()
	return l
}

// TestMuchAtOnceIsShipped: what waits for more to come together is taken before it is more than may wait.
func TestMuchAtOnceIsShipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		place.fail(0, false)
		l := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		l.write(0, 1)
		l.shipped()
		for range 24 { // without a pause: 1.5 MB where 1 MB may wait
			l.write(0, 64<<10)
			synctest.Wait()
		}
		l.shipped()
		_ = l.end() // judged by its log
		if strings.Contains(l.log.String(), "more was written than could wait") {
			t.Error(l.log.String())
		}
	})
}

func key(kind byte, w int, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceItem, kind, byte(w)}, n)
}

func putWrite(b *store.Batch, w int, n uint64, seen [writers]uint64, size int) {
	var value []byte
	for _, s := range seen {
		value = binary.BigEndian.AppendUint64(value, s)
	}
	b.Set(key('w', w, n), append(value, noise(n, size)...))
	b.Set(key('n', w, 0), binary.BigEndian.AppendUint64(nil, n))
}

// noise does not compress.
func noise(seed uint64, size int) []byte {
	text := make([]byte, size)
	r := rand.NewPCG(seed, 0)
	for i := range text {
		text[i] = byte(r.Uint64())
	}
	return text
}

// write writes one row of a writer.
func (l *life) write(w int, size int) {
	l.mu.Lock()
	l.begun[w]++
	n := l.begun[w]
	seen := l.acked
	l.mu.Unlock()
	b := l.store.NewBatch()
	defer b.Close()
	putWrite(b, w, n, seen, size)
	if err := l.store.Write(b); err != nil {
		l.t.Error(err)
	}
	l.mu.Lock()
	l.acked[w] = n
	l.mu.Unlock()
}

// busy writes for a while.
func (l *life) busy(rounds int, r *rand.Rand) {
	var wg sync.WaitGroup
	for w := range writers {
		pauses := make([]int, rounds)
		for i := range pauses {
			pauses[i] = r.IntN(400)
		}
		wg.Go(func() {
			for _, p := range pauses {
				l.write(w, 100+10*p)
				time.Sleep(time.Duration(p) * time.Millisecond)
			}
		})
	}
	wg.Wait()
}

func (l *life) moment() (at time.Time, acked, begun [writers]uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now(), l.acked, l.begun
}

// kill ends a life without a word: the next has the folder as it was.
func (l *life) kill() string {
	l.t.Helper()
	to := filepath.Join(l.t.TempDir(), "killed")
	if err := os.CopyFS(to, os.DirFS(l.dir)); err != nil {
		l.t.Fatal(err)
	}
	l.end()
	return to
}

// end ends a life; what it puts from then on is nobody's.
func (l *life) end() error {
	l.t.Helper()
	l.stop()
	l.over = true
	err := <-l.ended
	if err := l.store.Close(); err != nil {
		l.t.Error(err)
	}
	return err
}

// shipped waits until all is shipped and can be restored.
func (l *life) shipped() { l.t.Helper(); l.shippedUntil(100 * time.Millisecond) }

// shippedUntil is shipped, asked for so often.
func (l *life) shippedUntil(every time.Duration) {
	l.t.Helper()
	for range 36000 {
		time.Sleep(every)
		if st := l.shipper.Status(); st.Lag == 0 && st.Backup != "" && st.Failing == "" {
			return
		}
	}
	l.t.Fatalf("not shipped in an hour: %+v\n%s", l.shipper.Status(), l.log.String())
}

// restored restores and returns how many writes of each writer there are; it fails unless they are a prefix of the commits.
func restored(t *testing.T, p backup.Place, to time.Time) ([writers]uint64, Restored) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	r, err := Restore(t.Context(), p, to, dir, backup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	has, err := prefix(dir)
	if err != nil {
		t.Fatal(err)
	}
	return has, r
}

// prefix returns how many writes of each writer a folder has, with an error unless they are a prefix of the commits.
func prefix(dir string) (has [writers]uint64, err error) {
	s, err := store.Open(store.Options{FS: unsynced{vfs.Default}, Dir: dir})
	if err != nil {
		return has, err
	}
	defer s.Close()
	var last, seen [writers]uint64
	err = s.Each([]byte{store.SpaceItem}, func(k, v []byte) error {
		w, n := int(k[2]), binary.BigEndian.Uint64(k[3:])
		if k[1] == 'n' {
			last[w] = binary.BigEndian.Uint64(v)
			return nil
		}
		if n != has[w]+1 {
			return fmt.Errorf("writer %d: %d follows %d", w, n, has[w])
		}
		has[w] = n
		for i := range seen {
			seen[i] = max(seen[i], binary.BigEndian.Uint64(v[8*i:]))
		}
		return nil
	})
	if err != nil {
		return has, err
	}
	for w := range writers {
		if has[w] != last[w] || has[w] < seen[w] {
			return has, fmt.Errorf("no prefix: writer %d has %d writes, %d by its last row, and another had seen %d", w, has[w], last[w], seen[w])
		}
	}
	return has, nil
}

func within(t *testing.T, what string, has, low, high [writers]uint64) {
	t.Helper()
	for w := range writers {
		if has[w] < low[w] || has[w] > high[w] {
			t.Errorf("%s: writer %d has %d writes, want %d to %d", what, w, has[w], low[w], high[w])
		}
	}
}

type moment struct {
	at           time.Time
	acked, begun [writers]uint64
}

// chains lives some lives over a place that fails, each of which ends by a kill or in order, and holds what is restored against what
// was acknowledged.
func chains(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	place := newFaulty(seed)
	dir := filepath.Join(t.TempDir(), "data")
	var l *life
	var moments []moment
	defer func() {
		if !l.over {
			_ = l.end()
		}
		place.quietly()
	}()
	lives := 2 + r.IntN(3)
	for n := range lives {
		place.fail([]int{0, 8, 3}[r.IntN(3)], false)
		l = begin(t, dir, place, l)
		for range 1 + r.IntN(4) {
			l.busy(1+r.IntN(12), r)
			if r.IntN(2) == 0 {
				l.shipped()
				at, acked, begun := l.moment()
				moments = append(moments, moment{at, acked, begun})
				time.Sleep(5 * time.Millisecond)
			}
		}
		switch {
		case n == lives-1: // the last one is looked at as it is, and then once more
			l.shipped()
			_, acked, begun := l.moment()
			if err := l.end(); err != nil {
				t.Fatal(err)
			}
			place.quietly()
			has, _ := restored(t, place, time.Time{})
			within(t, "latest", has, acked, begun)
		case r.IntN(3) == 0:
			if err := l.end(); err != nil {
				t.Fatal(err)
			}
		default:
			dir = l.kill()
		}
	}
	for i, m := range moments {
		has, re := restored(t, place, m.at)
		within(t, fmt.Sprintf("moment %d, %s (%s)", i, m.at, re.Short), has, m.acked, m.begun)
	}
}

// TestChain: whatever the place does, and however a server ends, what is restored is a prefix with all that was told as shipped, at its end
// and at every moment.
func TestChain(t *testing.T) {
	seeds := 1
	if v := os.Getenv("MILLSTREAM_CRASHES"); v != "" {
		fmt.Sscan(v, &seeds)
		seeds = min(seeds, 2000)
	}
	for seed := range seeds {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chains(t, uint64(seed)) })
		}) {
			break
		}
	}
}

// TestFilesComeAgain: a package that was removed before a backup, and comes again after it, is copied again.
func TestFilesComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, filepath.Join(t.TempDir(), "data"), newFaulty(1), nil)
		l.shipped()
		path := filepath.Join(l.dir, "code", "x", "package.zip")
		again := func(want int) {
			t.Helper()
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // Run sleeps
			if files, err := l.shipper.newFiles(t.Context()); len(files) != want || err != nil {
				t.Errorf("%v, %v; want %d", files, err, want)
			}
		}
		again(1)
		again(0)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		l.shipper.base = nil // one is due
		l.write(0, 1)
		l.shipped()
		time.Sleep(time.Minute)
		again(1)
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}
