package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	for i := range 5 { // segments behind the backup
		k.put("orders", 100+i, "later")
		until(k, "it is in the place", func() (bool, bool) {
			lag, ok := k.metric("millstream_replication_lag_seconds")
			return true, ok && lag == 0
		})
	}
	k.close()

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
	if f := copied(func(dir string) { flip(t, filepath.Join(dir, "objects", "*", "*"), 2) }); len(f["contents"]) != 1 || len(f["restore"]) == 0 {
		t.Errorf("of a content with another byte it says %v", f)
	}
}
