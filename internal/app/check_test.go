package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/bucket"
	"github.com/millstreamdb/millstream/internal/store"
)

const checkedTable = `{"TableName":"tab","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"by","AttributeType":"S"}],
"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST","StreamSpecification":{"StreamEnabled":%v%s},
"GlobalSecondaryIndexes":[{"IndexName":"by-it","KeySchema":[{"AttributeName":"by","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}]}`

// checked makes a folder with items, an index, a time to live and, when asked, a stream.
func checked(t *testing.T, stream bool) string {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	view := ""
	if stream {
		view = `,"StreamViewType":"NEW_IMAGE"`
	}
	do := func(op, body string) {
		if status, answer := send(t, s.Handler(), op, body); status != 200 {
			t.Fatal(status, answer)
		}
	}
	do("CreateTable", fmt.Sprintf(checkedTable, stream, view))
	do("UpdateTimeToLive", `{"TableName":"tab","TimeToLiveSpecification":{"AttributeName":"ttl","Enabled":true}}`)
	for i := range 30 {
		do("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"by":{"S":"x%d"},"ttl":{"N":"4102444800"}}}`, i, i%3))
	}
	do("UpdateContinuousBackups", `{"TableName":"tab","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}}`)
	do("PutItem", `{"TableName":"tab","Item":{"pk":{"S":"7"},"by":{"S":"x0"},"ttl":{"N":"4102444801"}}}`)
	for filled := false; !filled; time.Sleep(time.Millisecond) { // what is not yet filled is not compared
		_, answer := send(t, s.Handler(), "DescribeTimeToLive", `{"TableName":"tab"}`)
		filled = strings.Contains(answer, `"ENABLED"`)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// check returns the faults by part.
func check(t *testing.T, dir string) map[string][]string {
	t.Helper()
	faults := map[string][]string{}
	if err := Check(t.Context(), dir, "", func(f Finding) {
		if len(f.Faults) > 0 {
			faults[f.Part] = f.Faults
		}
	}); err != nil {
		t.Fatal(err)
	}
	return faults
}

// edit changes rows of a folder beneath all rules. first is a space's first row.
func edit(t *testing.T, dir string, change func(b *store.Batch, first func(space byte) (key, value []byte))) {
	t.Helper()
	st, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := st.NewBatch()
	change(b, func(space byte) (key, value []byte) {
		it, err := st.NewIter([]byte{space}, []byte{space + 1})
		if err != nil || !it.First() {
			t.Fatal("no row", err)
		}
		v, _ := it.Value()
		key, value = bytes.Clone(it.Key()), bytes.Clone(v)
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		return key, value
	})
	if err := st.Write(b); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

type firstRow = func(space byte) (key, value []byte)

// planted are faults, with the part that is to tell of each, and whether repair mends it.
var planted = []struct {
	name, part string
	mended     bool
	plant      func(b *store.Batch, first firstRow)
}{
	{"an entry of an index is gone", "index tab/by-it", true, func(b *store.Batch, first firstRow) {
		k, _ := first(store.SpaceIndex)
		b.Delete(k)
	}},
	{"an entry of an index has no item", "index tab/by-it", true, func(b *store.Batch, first firstRow) {
		k, v := first(store.SpaceIndex)
		b.Set(append(k, 1), v)
	}},
	{"an entry of an index is an old one", "index tab/by-it", true, func(b *store.Batch, first firstRow) {
		k, v := first(store.SpaceIndex)
		b.Set(k, append(v[:len(v)-1], v[len(v)-1]^1))
	}},
	{"an expiry is gone", "time to live of table tab", true, func(b *store.Batch, first firstRow) {
		k, _ := first(store.SpaceTTL)
		b.Delete(k)
	}},
	{"an expiry is another", "time to live of table tab", true, func(b *store.Batch, first firstRow) {
		k, _ := first(store.SpaceTTL)
		b.Delete(k)
		k[10]++
		b.Set(k, nil)
	}},
	{"an item is gone", "counts of table tab", true, func(b *store.Batch, first firstRow) {
		k, _ := first(store.SpaceItem)
		b.Delete(k)
	}},
	{"an item cannot be read", "items of table tab", false, func(b *store.Batch, first firstRow) {
		k, v := first(store.SpaceItem)
		b.Set(k, v[:len(v)-1])
	}},
	{"a row of the recovery log cannot be read", "recovery log of table tab", false, func(b *store.Batch, first firstRow) {
		k, v := first(store.SpaceUndo)
		b.Set(k, v[:5])
	}},
	{"a row of the recovery log has another's item", "recovery log of table tab", false, func(b *store.Batch, first firstRow) {
		k, v := first(store.SpaceUndo)
		v[2] ^= 1 // of the hash
		b.Set(k, v)
	}},
	{"an item lies under another's key", "items of table tab", false, func(b *store.Batch, first firstRow) {
		k, v := first(store.SpaceItem)
		b.Delete(k)
		b.Set(append(k[:len(k)-3], '~', 0, 1), v)
	}},
}

// TestCheckFindsWhatIsPlanted: a whole folder has no faults; each kind of fault is found, in its part;
// and what is derived is mended, so that the folder checks clean and serves.
func TestCheckFindsWhatIsPlanted(t *testing.T) {
	for _, stream := range []bool{false, true} {
		for _, p := range planted {
			t.Run(fmt.Sprintf("%s, stream %v", p.name, stream), func(t *testing.T) {
				dir := checked(t, stream)
				if faults := check(t, dir); len(faults) > 0 {
					t.Fatalf("a whole folder: %v", faults)
				}
				edit(t, dir, p.plant)
				if faults := check(t, dir); len(faults[p.part]) == 0 {
					t.Fatalf("found: %v", faults)
				}
				mended, kept, err := Repair(t.Context(), dir)
				if err != nil {
					t.Fatal(err)
				}
				faults := check(t, dir)
				if p.mended && (len(faults) > 0 || len(mended) != 1) || !p.mended && len(faults[p.part]) == 0 {
					t.Fatalf("mended %v, then found %v", mended, faults)
				}
				if _, err := os.Stat(filepath.Join(kept, "db")); err != nil {
					t.Error("no copy of before", err)
				}
				s, err := Open(Options{Dir: dir}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if p.mended {
					if status, answer := send(t, s.Handler(), "Scan", `{"TableName":"tab","IndexName":"by-it","Select":"COUNT"}`); status != 200 {
						t.Error(status, answer)
					}
					send(t, s.Handler(), "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"new"},"by":{"S":"x"}}}`)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if faults := check(t, dir); p.mended && len(faults) > 0 {
					t.Errorf("after a write: %v", faults)
				}
			})
		}
	}
}

// TestCheckFindsDamage: of records and files.
func TestCheckFindsDamage(t *testing.T) {
	one := func(pattern string, change func(b []byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(names) == 0 {
				t.Fatal("no file", pattern)
			}
			name := names[len(names)-1]
			b, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(name, change(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		part   string
		damage func(t *testing.T, dir string)
	}{
		"a record is gone": {"records of stream tab/", func(t *testing.T, dir string) {
			edit(t, dir, func(b *store.Batch, first firstRow) {
				k, _ := first(store.SpaceLog)
				b.Delete(k)
			})
		}},
		"a record cannot be read": {"records of stream tab/", func(t *testing.T, dir string) {
			edit(t, dir, func(b *store.Batch, first firstRow) {
				k, v := first(store.SpaceLog)
				b.Set(k, v[:20])
			})
		}},
		"the log is cut": {"folder ", one("db/*.log", func(b []byte) []byte { return b[:len(b)/2] })},
		"a byte of a table": {"files of the database", func(t *testing.T, dir string) {
			st, err := store.Open(store.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			one("db/*.sst", func(b []byte) []byte { b[30] ^= 1; return b })(t, dir)
		}},
		"the list of quarantined ranges": {"folder ", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "QUARANTINE"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"a package": {"code of functions", func(t *testing.T, dir string) {
			name := filepath.Join(dir, "code", strings.Repeat("ab", 32))
			if err := os.MkdirAll(name, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(name, "package.zip"), []byte("other"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"an object": {"objects of buckets", func(t *testing.T, dir string) {
			s, err := bucket.Open(bucket.Options{Dir: filepath.Join(dir, "artifacts")})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Create("", "things"), s.Put("things", "k", []byte("content"))); err != nil {
				t.Fatal(err)
			}
			one("artifacts/objects/things/*", func(b []byte) []byte { b[0] ^= 1; return b })(t, dir)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := checked(t, true)
			c.damage(t, dir)
			found := false
			faults := check(t, dir)
			for part := range faults {
				found = found || strings.HasPrefix(part, c.part)
			}
			if !found {
				t.Errorf("found: %v", faults)
			}
		})
	}
}

// cutAfter is a context that ends when it has been asked so many times.
type cutAfter struct {
	context.Context
	left int
}

func (c *cutAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestRestOfACopy: what a repair keeps of before has what no backup has: the mark that pauses triggers, the key of the secrets, buckets.
func TestRestOfACopy(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	names := []string{"RESTORED", "secrets.key", "artifacts/objects/b/y"}
	for _, name := range names {
		path := filepath.Join(from, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyRest(from, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if is, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(is) != name {
			t.Errorf("%s: %q, %v", name, is, err)
		}
	}
}

// TestCutRepair: wherever a repair is cut, the folder is refused or no entry of an index is missing; the next repair mends it.
func TestCutRepair(t *testing.T) {
	from := checked(t, false)
	s, err := Open(Options{Dir: from}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1100 { // more than a piece
		send(t, s.Handler(), "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"more%d"},"by":{"S":"x"}}}`, i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, from, func(b *store.Batch, first firstRow) {
		k, v := first(store.SpaceIndex)
		b.Set(append(k, 1), v)
	})
	refused := 0
	for n, ended := 0, false; !ended; n += 200 {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		_, _, err := Repair(&cutAfter{t.Context(), n}, dir)
		if ended = err == nil; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		s, err := Open(Options{Dir: dir}, nil)
		if err != nil {
			if refused++; !strings.Contains(err.Error(), "millstream repair") {
				t.Error(err)
			}
			if faults := check(t, dir); len(faults) == 0 {
				t.Error("a half repair is no fault")
			}
			if _, _, err := Repair(t.Context(), dir); err != nil {
				t.Fatal(err)
			}
			if faults := check(t, dir); len(faults) > 0 {
				t.Errorf("repaired again: %v", faults)
			}
			s, err = Open(Options{Dir: dir}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, answer := send(t, s.Handler(), "Scan", `{"TableName":"tab","IndexName":"by-it","Select":"COUNT"}`); !strings.Contains(answer, `"Count":113`) {
			t.Errorf("cut after %d: %s", n, answer)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("no repair was cut in the middle")
	}
}

// TestRepairTakesIndexesOutOfQuarantine: what a repair has made anew can be read again.
func TestRepairTakesIndexesOutOfQuarantine(t *testing.T) {
	dir := checked(t, false)
	var key []byte
	edit(t, dir, func(b *store.Batch, first firstRow) {
		key, _ = first(store.SpaceIndex)
		b.Delete(key)
	})
	list := fmt.Sprintf(`{"version":1,"ranges":[{"from":"%x","to":"%x00","file":"db/000001.sst","copy":"quarantined/1","removed":true}]}`, key, key)
	if err := os.WriteFile(filepath.Join(dir, "QUARANTINE"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Repair(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if faults := check(t, dir); len(faults) > 0 {
		t.Error(faults)
	}
}

// TestCheckWritesNothing: though a policy is there that an open would remove.
func TestCheckWritesNothing(t *testing.T) {
	dir := checked(t, false)
	edit(t, dir, func(b *store.Batch, first firstRow) {
		b.Set(append([]byte{store.SpaceControl, 'p'}, 0, 0, 0, 0, 0, 0, 9, 9), []byte("\x01{}"))
	})
	if faults := check(t, dir); len(faults) > 0 {
		t.Error(faults)
	}
}

// TestCopiesLeaveUnfinishedCodeOut: a deployment may be under way.
func TestCopiesLeaveUnfinishedCodeOut(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	st, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{".new-1", ".old-1", "aa"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "code", name), 0o700), os.WriteFile(filepath.Join(dir, "code", name, "package.zip"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := linkFiles(st, dir, to); err != nil {
		t.Fatal(err)
	}
	if names, _ := filepath.Glob(filepath.Join(to, "code", "*")); len(names) != 1 {
		t.Error(names)
	}
}

// TestCheckOfARunningServer: a copy that a server makes while it is written to has no faults, and tells of what has become damaged in its folder.
func TestCheckOfARunningServer(t *testing.T) {
	dir := checked(t, true)
	s, err := Open(Options{Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if status, answer := send(t, s.Handler(), "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d-%d"},"by":{"S":"x%d"},"ttl":{"N":"4102444800"}}}`, n, i%50, i%7)); status != 200 {
					t.Error(status, answer)
					return
				}
			}
		})
	}
	look := func() map[string][]string {
		t.Helper()
		st, err := s.stages.Stage(httptest.NewRequest("POST", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		faults, parts := map[string][]string{}, 0
		err = CheckCopy(t.Context(), dir, st.ID, "", 1<<30, true, func(f Finding) {
			if parts++; len(f.Faults)+len(f.Notes) > 0 {
				faults[f.Part] = append(f.Faults, f.Notes...)
			}
		})
		if err != nil || parts < 6 {
			t.Fatal(parts, err)
		}
		if err := s.stages.Remove(st.ID); err != nil {
			t.Fatal(err)
		}
		return faults
	}
	for range 10 {
		if faults := look(); len(faults) > 0 {
			t.Fatal(faults)
		}
	}
	close(stop)
	wg.Wait()
	if err := s.store.Flush(); err != nil {
		t.Fatal(err)
	}
	damage := func() (tables []string) {
		t.Helper()
		tables, err := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatal(tables, err)
		}
		for _, name := range tables { // a byte in the first block of each
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) < 8 {
				continue // it is being made, by a merge
			}
			b[7] ^= 1
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt(b[7:8], 7)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return tables
	}
	for {
		damaged := damage()
		if faults := look(); len(faults["files of the database"]) > 0 {
			break
		}
		// A merge that had read them before may have put others in their place.
		if slices.ContainsFunc(damaged, func(name string) bool { _, err := os.Stat(name); return err == nil }) {
			t.Fatalf("nothing is found: %v", damaged)
		}
	}
	if err := CheckCopy(t.Context(), t.TempDir(), "none", "", 0, false, func(Finding) {}); err == nil || !strings.Contains(err.Error(), "run this where the server runs") {
		t.Error(err)
	}
}
