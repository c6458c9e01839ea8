package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// Damage: a folder as a killed process leaves it, then one file cut, removed or with
// a byte changed. Whatever comes of it, an acknowledged row is never absent and never
// has another value: Open refuses with ErrDamaged and names the file, or the read of
// the row fails, or the row is whole.

const damagedDir = "data"

// valueOf is the row of number n in a folder of values of this size; the first bytes are its own. Nobody changes it.
func valueOf(n uint64, size int) []byte {
	name := [2]uint64{n, uint64(size)}
	if v, made := values.Load(name); made {
		return v.([]byte)
	}
	v := make([]byte, size)
	rng := rand.New(rand.NewPCG(n, 7))
	for i := 0; i+8 <= size; i += 8 {
		binary.BigEndian.PutUint64(v[i:], rng.Uint64())
	}
	values.Store(name, v)
	return v
}

// values are those that valueOf has made: to make one takes longer than to read it.
var values sync.Map

func rowKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{store.SpaceItem}, n) }

// killed makes a folder of rows of this size, some of them in tables and the rest in
// the log only, and returns its disk as a kill leaves it.
func killed(t testing.TB, seed uint64, size, rows int) *crashtest.Disk {
	t.Helper()
	disk := crashtest.New()
	s := open(t, store.Options{FS: disk.FS(), Dir: damagedDir})
	if err := s.Flush(); err != nil { // the store's own rows in a table of their own
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for writer := range 2 {
		wg.Go(func() {
			for n := writer; n < rows; n += 2 {
				b := s.NewBatch()
				b.Set(rowKey(uint64(n)), valueOf(uint64(n), size))
				if err := s.Write(b); err != nil {
					t.Error(err)
				}
				b.Close()
				if n == rows/2 {
					if err := s.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	clone := disk.CloneKeeping(100, seed)
	closeStore(t, s)
	return clone
}

// judge opens a damaged disk and says what became of it: "refused", "read fails" or
// "whole".
func judge(t testing.TB, disk *crashtest.Disk, size, rows int, mustName string) (string, error) {
	s, err := store.Open(store.Options{FS: disk.FS(), Dir: damagedDir})
	if err != nil {
		if !errors.Is(err, store.ErrDamaged) {
			return "", fmt.Errorf("refused, and not for damage: %w", err)
		}
		if mustName != "" && !strings.Contains(err.Error(), mustName) {
			return "", fmt.Errorf("the refusal does not name %s: %w", mustName, err)
		}
		return "refused", nil
	}
	defer closeStore(t, s)
	verdict := "whole"
	for n := range uint64(rows) {
		v, found, err := s.Get(nil, rowKey(n))
		switch {
		case err != nil:
			verdict = "read fails"
		case !found:
			return "", fmt.Errorf("row %d of %d is absent", n, rows)
		case !bytes.Equal(v, valueOf(n, size)):
			return "", fmt.Errorf("row %d has another value", n)
		}
	}
	// A scan meets each row, or fails.
	it, err := s.NewIter([]byte{store.SpaceItem}, []byte{store.SpaceItem + 1})
	if err != nil {
		return "", err
	}
	count := 0
	for ok := it.First(); ok; ok = it.Next() {
		count++
	}
	if err := it.Close(); err == nil && count != rows {
		return "", fmt.Errorf("a scan met %d of %d rows", count, rows)
	}
	return verdict, nil
}

// files lists the database's files with this in their names.
func files(t testing.TB, disk *crashtest.Disk, part string) (names []string) {
	t.Helper()
	all, err := disk.Mem().List(damagedDir + "/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.Contains(name, part) {
			names = append(names, damagedDir+"/db/"+name)
		}
	}
	return names
}

func content(t testing.TB, disk *crashtest.Disk, name string) []byte {
	t.Helper()
	data, err := disk.Mem().UnsafeGetFileDataBuffer(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func overwrite(t testing.TB, disk *crashtest.Disk, name string, data []byte) {
	t.Helper()
	f, err := disk.Mem().Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// largest is the file with most bytes.
func largest(t testing.TB, disk *crashtest.Disk, names []string) (name string) {
	for _, n := range names {
		if name == "" || len(content(t, disk, n)) > len(content(t, disk, name)) {
			name = n
		}
	}
	return name
}

// newest is the file with the highest number: of the logs, the one in which rows are that no table holds yet.
func newest(names []string) (name string) {
	for _, n := range names {
		name = max(name, n)
	}
	return name
}

// damages are the ways, each at a random place. They return the file.
var damages = map[string]struct {
	do   func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string
	want string // the only verdict that is right; "" for any
}{
	"a byte of the log": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := newest(files(t, disk, ".log"))
		flip(promised(t, disk, name), rng)
		return name
	}, "refused"},
	"the log cut": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := newest(files(t, disk, ".log"))
		overwrite(t, disk, name, bytes.Clone(promised(t, disk, name)[:rng.IntN(len(promised(t, disk, name)))]))
		return name
	}, "refused"},
	"the log missing": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := newest(files(t, disk, ".log"))
		remove(t, disk, name)
		return name
	}, "refused"},
	"a byte of the manifest": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := manifest(t, disk)
		flip(content(t, disk, name), rng)
		return name
	}, "refused"},
	"the manifest cut": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := manifest(t, disk)
		cut(t, disk, name, rng)
		return name
	}, "refused"},
	"the manifest missing": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := manifest(t, disk)
		remove(t, disk, name)
		return name
	}, "refused"},
	"the marker of the manifest missing": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		for _, name := range files(t, disk, "marker.manifest.") {
			remove(t, disk, name)
		}
		return "db/marker.manifest."
	}, "refused"},
	"the whole database missing": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		if err := disk.Mem().RemoveAll(damagedDir + "/db"); err != nil {
			t.Fatal(err)
		}
		return ""
	}, "refused"},
	"a byte of a table": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := largest(t, disk, files(t, disk, ".sst"))
		flip(content(t, disk, name), rng)
		return ""
	}, ""},
	"a table cut": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := largest(t, disk, files(t, disk, ".sst"))
		cut(t, disk, name, rng)
		return name
	}, "refused"},
	"a table missing": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		name := largest(t, disk, files(t, disk, ".sst"))
		remove(t, disk, name)
		return name
	}, "refused"},
	"OPTIONS missing": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		for _, name := range files(t, disk, "OPTIONS-") {
			remove(t, disk, name)
		}
		return ""
	}, "whole"},
	"WITNESS missing": {func(t testing.TB, disk *crashtest.Disk, rng *rand.Rand) string {
		remove(t, disk, damagedDir+"/WITNESS")
		return ""
	}, "whole"},
}

// promised is what the witness knows to be synced of a log. What lies behind it, in a file that is used again, is old, and nobody misses it.
func promised(t testing.TB, disk *crashtest.Disk, name string) []byte {
	t.Helper()
	end := uint64(0)
	mark := []byte(strings.TrimPrefix(name, damagedDir+"/db/"))
	for rest := content(t, disk, damagedDir+"/WITNESS"); ; {
		_, after, found := bytes.Cut(rest, mark)
		if !found {
			break
		}
		end, rest = max(end, binary.BigEndian.Uint64(after)), after
	}
	if all := content(t, disk, name); end > 0 && end <= uint64(len(all)) {
		return all[:end]
	}
	t.Fatalf("the witness says %d of %s", end, name)
	return nil
}

func flip(data []byte, rng *rand.Rand) { data[rng.IntN(len(data))] ^= byte(1 << rng.IntN(8)) }

func cut(t testing.TB, disk *crashtest.Disk, name string, rng *rand.Rand) {
	data := bytes.Clone(content(t, disk, name))
	overwrite(t, disk, name, data[:rng.IntN(len(data))])
}

func remove(t testing.TB, disk *crashtest.Disk, name string) {
	if err := disk.Mem().Remove(name); err != nil {
		t.Fatal(err)
	}
}

// manifest is the current one.
func manifest(t testing.TB, disk *crashtest.Disk) string {
	return newest(slices.DeleteFunc(files(t, disk, "MANIFEST-"), func(n string) bool { return strings.Contains(n, "marker.") }))
}

// sizes of rows, and how many: the engine's own detection of damage in a log fails
// for large ones.
var damageSizes = []struct{ size, rows int }{{500, 600}, {20_000, 60}, {60_000, 40}, {300_000, 16}, {4 << 20, 5}}

// TestDamageIsTold makes each damage at chance places; MILLSTREAM_DAMAGES says how
// many of each kind and size of rows.
func TestDamageIsTold(t *testing.T) {
	places := 2
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
		folder := killed(t, 1, c.size, c.rows)
		for name := range damages {
			once := func(t *testing.T) {
				for seed := range uint64(places) {
					if err := damageOnce(t, folder, name, c.size, c.rows, seed); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
			}
			if name == "a byte of a table" { // the engine's work rests where it meets one
				once = bubble(once)
			}
			t.Run(fmt.Sprintf("%d bytes/%s", c.size, name), once)
		}
	}
}

// damageOnce makes one damage of a copy of folder, at a place that the seed chooses,
// and says what is wrong with what comes of it.
func damageOnce(t testing.TB, folder *crashtest.Disk, name string, size, rows int, seed uint64) error {
	t.Helper()
	damage := damages[name]
	disk := folder.CloneKeeping(100, seed)
	file := damage.do(t, disk, rand.New(rand.NewPCG(seed, uint64(size))))
	verdict, err := judge(t, disk, size, rows, strings.TrimPrefix(file, damagedDir+"/"))
	if err == nil && damage.want != "" && verdict != damage.want {
		err = fmt.Errorf("%s, want %s", verdict, damage.want)
	}
	return err
}

// TestAcceptLoss: what is refused opens on demand, with a prefix of what each writer
// wrote; what cannot be read is set aside, and the next start asks for nothing.
func TestAcceptLoss(t *testing.T) {
	const size, rows = 20_000, 60
	for _, name := range []string{"a byte of the log", "the log cut", "the log missing"} {
		t.Run(name, func(t *testing.T) {
			folder := killed(t, 1, size, rows)
			opened := 0
			for seed := range uint64(10) {
				disk := folder.CloneKeeping(100, seed)
				damages[name].do(t, disk, rand.New(rand.NewPCG(seed, 3)))
				options := store.Options{FS: disk.FS(), Dir: damagedDir}
				s, err := store.Open(options)
				if err == nil { // the cut was behind the last record: nothing may be gone
					for n := range rows {
						if v, found, err := s.Get(nil, rowKey(uint64(n))); err != nil || !found || !bytes.Equal(v, valueOf(uint64(n), size)) {
							t.Fatalf("seed %d: opened in silence, and row %d is gone: %v", seed, n, err)
						}
					}
					closeStore(t, s)
					opened++
					continue
				}
				if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "--accept-loss") {
					t.Fatalf("seed %d: %v", seed, err)
				}
				options.AcceptLoss = true
				held := [2]int{rows, rows}
				for range 2 {
					s := open(t, options)
					for n := range rows {
						v, found, err := s.Get(nil, rowKey(uint64(n)))
						if err != nil {
							t.Fatal(err)
						}
						if !found {
							held[n%2] = min(held[n%2], n)
							continue
						}
						if n > held[n%2] || !bytes.Equal(v, valueOf(uint64(n), size)) {
							t.Fatalf("seed %d: row %d is there without %d, or is wrong", seed, n, held[n%2])
						}
					}
					closeStore(t, s)
					options.AcceptLoss = false
				}
				if held[0] <= rows/2 {
					t.Errorf("seed %d: only %v rows are left, though half of them were in tables", seed, held)
				}
				if kept, err := disk.Mem().List(damagedDir + "/damaged"); name != "the log missing" && (err != nil || len(kept) == 0) {
					t.Errorf("seed %d: nothing was set aside: %v, %v", seed, kept, err)
				}
			}
			if opened == 10 {
				t.Error("no damage lost a row: the test does not reach what it is about")
			}
		})
	}
}

// TestStrays: after a loss that was accepted, files that no row names are set aside until all is settled, over restarts; else
// they are removed.
func TestStrays(t *testing.T) {
	disk := killed(t, 1, 20_000, 60)
	mem := disk.Mem()
	stray := func() {
		t.Helper()
		if err := mem.MkdirAll(damagedDir+"/backups/one", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	is := func(path string) bool { _, err := mem.Stat(damagedDir + "/" + path); return err == nil }
	remove(t, disk, newest(files(t, disk, ".log")))
	options := store.Options{FS: disk.FS(), Dir: damagedDir, AcceptLoss: true}
	for n, kept := range []string{"damaged/backups/one", "damaged/backups/one.1"} {
		s := open(t, options)
		options.AcceptLoss = false
		stray()
		if err := s.RemoveStray("backups", "one"); err != nil {
			t.Fatal(err)
		}
		if !s.Lossy() || is("backups/one") || !is(kept) {
			t.Errorf("life %d: not set aside", n)
		}
		if n == 1 {
			if err := s.LossSettled(); err != nil {
				t.Fatal(err)
			}
		}
		closeStore(t, s)
	}
	s := open(t, options)
	defer closeStore(t, s)
	stray()
	if err := s.RemoveStray("backups", "one"); err != nil || s.Lossy() || is("backups/one") || is("damaged/backups/one.2") {
		t.Errorf("not removed: %v", err)
	}
}

// TestAcceptLossRaisesTheIncarnation: the row with the incarnation may be in what is given up. No number is given again all the same.
func TestAcceptLossRaisesTheIncarnation(t *testing.T) {
	disk := killed(t, 1, 20_000, 60)
	last := uint64(0)
	for range 3 { // the newest row of each life is in its log only
		s := open(t, store.Options{FS: disk.FS(), Dir: damagedDir})
		last = s.Incarnation()
		put(t, s, "k", "v")
		disk = disk.CloneKeeping(100, 1)
		closeStore(t, s)
	}
	for _, name := range files(t, disk, ".log") {
		remove(t, disk, name)
	}
	s := open(t, store.Options{FS: disk.FS(), Dir: damagedDir, AcceptLoss: true})
	defer closeStore(t, s)
	if got := s.Incarnation(); got <= last {
		t.Errorf("incarnation %d after %d", got, last)
	}
}

// TestProgramWithoutWitness: a folder that an older program has used in between opens,
// although the logs are not those that the witness knows.
func TestProgramWithoutWitness(t *testing.T) {
	disk := killed(t, 1, 500, 100)
	before := bytes.Clone(content(t, disk, damagedDir+"/WITNESS"))
	for range 2 {
		s := open(t, store.Options{FS: disk.FS(), Dir: damagedDir})
		put(t, s, "k", "v")
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
	}
	overwrite(t, disk, damagedDir+"/WITNESS", before)
	if verdict, err := judge(t, disk, 500, 100, ""); verdict != "whole" {
		t.Fatal(verdict, err)
	}
}

// lines counts the lines of a log, by message.
type lines struct {
	mu   sync.Mutex
	seen map[string]int
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Level >= slog.LevelError {
		message := r.Message
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "quarantine" {
				message += fmt.Sprintf(" (%v)", a.Value)
			}
			return true
		})
		l.seen[message]++
	}
	return nil
}
func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lines) WithGroup(string) slog.Handler      { return l }

// TestDamagedTableMakesNoNoise: a table whose footer is damaged fails every read of
// its keys and every background job that meets it. That is told once a file, and once
// a minute for each kind of background error, and the jobs rest in between.
func TestDamagedTableMakesNoNoise(t *testing.T) {
	disk := killed(t, 1, 500, 400)
	name := largest(t, disk, files(t, disk, ".sst"))
	data := content(t, disk, name)
	data[len(data)-1] ^= 1 // the magic number at the end of the footer
	log := &lines{seen: map[string]int{}}
	synctest.Test(t, func(t *testing.T) {
		s := open(t, store.Options{FS: disk.FS(), Dir: damagedDir, Logger: slog.New(log)})
		defer closeStore(t, s)
		s.NameRanges(func(space byte, id uint64) string { return "" })
		failed := 0
		for n := range uint64(400) {
			_, found, err := s.Get(nil, rowKey(n))
			if err != nil && !errors.Is(err, store.ErrDamaged) || err == nil && !found {
				t.Fatalf("row %d: %v, %v", n, found, err)
			}
			if err != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Error("no read failed")
		}
		for range 12 { // a minute of faked time, in which rows are written and flushed
			put(t, s, string(rowKey(1000)), "v")
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		found := s.Damages()
		if len(found) != 1 || found[0].File != strings.TrimPrefix(name, damagedDir+"/") || found[0].Met == 0 {
			t.Errorf("%+v", found)
		}
		t.Logf("%d reads failed; %+v; log %v", failed, found, log.seen)
	})
	total := 0
	for _, n := range log.seen {
		total += n
	}
	if total > 6 {
		t.Errorf("%d lines in a minute: %v", total, log.seen)
	}
}
