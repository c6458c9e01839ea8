package app

import (
	"context"
	"io"
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

// A place of a replication is looked at whole: a segment that is missing or another, and a content that is, are each told; a whole one is restored and checked.
func TestCheckPlace(t *testing.T) {
	place := filepath.Join(t.TempDir(), "place")
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Replicate: place, ReplicateEvery: time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := clientsOf(t, s, dir)
	k.orders("orders", 20)
	until(k, "all is in the place", func() (bool, bool) {
		lag, ok := k.metric("millstream_replication_lag_seconds")
		return true, ok && lag == 0
	})
	objects := func() []string {
		all, err := filepath.Glob(filepath.Join(place, "objects", "*", "*"))
		k.must(err)
		return all
	}
	based := objects()
	k.available(k.backup("orders", "kept")) // a file that a segment names
	// Segments behind the backup.
	for i := range 5 {
		k.put("orders", 100+i, "later")
		until(k, "it is in the place", func() (bool, bool) {
			lag, ok := k.metric("millstream_replication_lag_seconds")
			return true, ok && lag == 0
		})
	}
	k.close()
	shipped := slices.DeleteFunc(objects(), func(name string) bool { return slices.Contains(based, name) })
	if len(shipped) == 0 {
		t.Fatal("no segment names a file")
	}

	check := func(dir string) map[string][]string {
		t.Helper()
		faults := map[string][]string{}
		p, err := backup.Open(t.Context(), dir)
		k.must(err)
		work := t.TempDir()
		synctest.Test(t, func(t *testing.T) { // what does not come whole is asked for again later
			_, err = CheckPlace(t.Context(), p, work, "", true, backup.Options{}, func(f Finding) {
				part, _, _ := strings.Cut(f.Part, " ")
				faults[part] = append(faults[part], f.Faults...)
				if f.Part == "levels of the database" && f.Looked < 20 {
					t.Errorf("only %d entries of levels", f.Looked)
				}
			})
		})
		k.must(err)
		if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
			t.Errorf("it leaves %v, %v", left, err)
		}
		return faults
	}
	// copied has a copy of the place changed, and looks at that.
	copied := func(change func(dir string)) map[string][]string {
		t.Helper()
		to := filepath.Join(t.TempDir(), "copy")
		k.must(os.CopyFS(to, os.DirFS(place)))
		change(to)
		return check(to)
	}
	whole := copied(func(string) {})
	for part, faults := range whole {
		if len(faults) > 0 {
			t.Errorf("%s: %v", part, faults)
		}
	}
	for _, part := range []string{"backups", "segments", "contents", "restore", "folder", "levels", "items"} {
		if _, looked := whole[part]; !looked {
			t.Errorf("%s were not looked at", part)
		}
	}
	segments, err := filepath.Glob(filepath.Join(place, "chain", "*"))
	k.must(err)
	slices.Sort(segments)
	behind := filepath.Base(segments[len(segments)-3])
	if f := copied(func(dir string) { k.must(os.Remove(filepath.Join(dir, "chain", behind))) }); len(f["segments"]) != 1 || !strings.Contains(f["segments"][0], behind) {
		t.Errorf("of a segment that is missing it says %v", f)
	}
	if f := copied(func(dir string) { flip(t, filepath.Join(dir, "chain", behind), 2) }); len(f["segments"]) == 0 || !strings.Contains(f["segments"][0], behind) || len(f["restore"]) == 0 {
		t.Errorf("of a segment with another byte it says %v", f)
	}
	lost, err := filepath.Rel(place, shipped[0])
	k.must(err)
	if f := copied(func(dir string) { k.must(os.Remove(filepath.Join(dir, lost))) }); len(f["contents"]) != 1 {
		t.Errorf("of a content that only a segment names it says %v", f)
	}
	if f := copied(func(dir string) { flip(t, filepath.Join(dir, "objects", "*", "*"), 2) }); len(f["contents"]) != 1 || len(f["restore"]) == 0 {
		t.Errorf("of a content with another byte it says %v", f)
	}
}

// hooked is a place of which something else is done before the first object is read whose name begins so.
type hooked struct {
	backup.Place
	prefix string
	once   sync.Once
	do     func()
}

func (h *hooked) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if strings.HasPrefix(name, h.prefix) {
		h.once.Do(h.do)
	}
	return h.Place.Get(ctx, name)
}

// An old backup that a server removes while the place is looked at is no fault of it, whenever that is; what the others name is.
func TestCheckPlaceBesideRetention(t *testing.T) {
	dir := t.TempDir()
	k := openKeeping(t, dir)
	k.orders("orders", 20)
	k.close()
	place := filepath.Join(t.TempDir(), "place")
	p, err := backup.Open(t.Context(), place)
	k.must(err)
	old, _, err := backup.Take(t.Context(), backup.Folder(dir), p, backup.Options{})
	k.must(err)
	k = openKeeping(t, dir)
	k.put("orders", 100, "later")
	k.close()
	newer, _, err := backup.Take(t.Context(), backup.Folder(dir), p, backup.Options{})
	k.must(err)
	kept := map[string]bool{}
	for _, f := range newer.Files {
		kept[f.Sum] = true
	}
	for _, test := range []struct {
		name, prefix string
		lost         bool
	}{{"while backups are listed", "base/", false}, {"while contents are read", "objects/", false}, {"and another content is lost", "objects/", true}} {
		t.Run(test.name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "copy")
			k.must(os.CopyFS(to, os.DirFS(place)))
			p, err := backup.Open(t.Context(), to)
			k.must(err)
			removed := 0
			remove := func(sum string) {
				k.must(os.Remove(filepath.Join(to, "objects", sum[:2], sum)))
				removed++
			}
			work := t.TempDir()
			var faults []string
			synctest.Test(t, func(t *testing.T) { // what does not come is asked for again later
				h := &hooked{Place: p, prefix: test.prefix, do: func() {
					k.must(backup.RemoveManifests(t.Context(), p, []string{old.ID}))
					gone := map[string]bool{}
					for _, f := range old.Files {
						if !kept[f.Sum] && !gone[f.Sum] {
							gone[f.Sum] = true
							remove(f.Sum)
						}
					}
					if test.lost {
						last := newer.Files[len(newer.Files)-1]
						remove(last.Sum)
					}
				}}
				_, err = CheckPlace(t.Context(), h, work, "", false, backup.Options{}, func(f Finding) {
					if f.Part != "restore" {
						faults = append(faults, f.Faults...)
					}
				})
			})
			k.must(err)
			want := 0
			if test.lost {
				want = 1
			}
			if len(faults) != want || removed == want {
				t.Errorf("%d contents were removed with the backup, and it says %q", removed-want, faults)
			}
		})
	}
}
