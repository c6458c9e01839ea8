package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func noFiles(context.Context) ([]File, error) { return nil, nil }

func sweep(t *testing.T, p Place, at time.Time, more func(context.Context) ([]File, error)) Swept {
	t.Helper()
	done, err := Sweep(t.Context(), p, at, more)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func verified(t *testing.T, p Place, m Manifest) {
	t.Helper()
	if faults, err := Verify(t.Context(), p, m, Options{}); err != nil || len(faults) > 0 {
		t.Error(m.ID, err, faults)
	}
}

// TestSweep: contents go a day after they were condemned, when no backup and no file of a segment names them, and not before.
func TestSweep(t *testing.T) {
	places(t, func(t *testing.T, p Place) {
		dir, now := t.TempDir(), time.Now()
		first, _ := take(t, data(t, dir, map[string]string{"db/000007.sst": "old", "db/000008.sst": "segment's"}), p)
		other, _ := take(t, data(t, t.TempDir(), map[string]string{"db/000009.sst": "new", "LINEAGE": "x\n"}), p)
		var segment []File
		for _, f := range first.Files {
			if f.Name == "db/000008.sst" {
				segment = append(segment, f)
			}
		}
		more := func(context.Context) ([]File, error) { return segment, nil }
		if done := sweep(t, p, now.Add(48*time.Hour), more); done != (Swept{}) {
			t.Errorf("of what is named: %+v", done)
		}
		if err := RemoveManifests(t.Context(), p, []string{first.ID}); err != nil {
			t.Fatal(err)
		}
		if done := sweep(t, p, now, more); done != (Swept{Condemned: 1}) {
			t.Errorf("%+v", done)
		}
		if done := sweep(t, p, now.Add(23*time.Hour), more); done != (Swept{}) {
			t.Errorf("too early: %+v", done)
		}
		if done := sweep(t, p, now.Add(25*time.Hour), more); done != (Swept{Removed: 1}) {
			t.Errorf("%+v", done)
		}
		verified(t, p, other)
		if has, err := p.Has(t.Context(), segment[0].object(), segment[0].Size); !has || err != nil {
			t.Error("the segment's is gone", err)
		}
		sweep(t, p, now.Add(50*time.Hour), more)
		if c, err := readCondemned(t.Context(), p); err != nil || len(c) != 0 {
			t.Error(c, err)
		}
	})
}

// TestSweepBesideBackups: a backup that is taken while contents that it needs are condemned, and removed before or after it ends, is whole.
func TestSweepBesideBackups(t *testing.T) {
	for name, steps := range map[string][3]time.Duration{ // when a sweep is made: before the backup begins, before its manifest, after it; 0: none
		"condemned before it":                   {time.Hour, 0, 26 * time.Hour},
		"condemned before it, removed under it": {time.Hour, 26 * time.Hour, 0},
		"condemned under it":                    {0, time.Hour, 26 * time.Hour},
		"condemned and removed before it":       {26 * time.Hour, 0, 52 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			p, now := folder(filepath.Join(t.TempDir(), "place")), time.Now()
			m, _ := take(t, data(t, t.TempDir(), nil), p)
			if err := RemoveManifests(t.Context(), p, []string{m.ID}); err != nil {
				t.Fatal(err)
			}
			at := func(d time.Duration) {
				if d == 26*time.Hour && steps[0] == d { // both
					sweep(t, p, now, noFiles)
				}
				if d > 0 {
					sweep(t, p, now.Add(d), noFiles)
				}
			}
			at(steps[0])
			m, _, err := Take(t.Context(), data(t, t.TempDir(), nil), p, Options{Before: func() error { at(steps[1]); return nil }})
			if err != nil {
				t.Fatal(err)
			}
			at(steps[2])
			verified(t, p, m)
			again, _ := take(t, data(t, t.TempDir(), nil), p)
			sweep(t, p, now.Add(100*time.Hour), noFiles)
			sweep(t, p, now.Add(200*time.Hour), noFiles)
			verified(t, p, again)
			verified(t, p, m)
		})
	}
}

// TestSweepOfUnreadableBackup: while a backup cannot be read, nothing is removed.
func TestSweepOfUnreadableBackup(t *testing.T) {
	p, now := folder(filepath.Join(t.TempDir(), "place")), time.Now()
	m, _ := take(t, data(t, t.TempDir(), nil), p)
	if err := p.Put(t.Context(), nameOf(m.ID), strings.NewReader("{"), 1); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if done, err := Sweep(t.Context(), p, now.Add(time.Duration(i)*30*time.Hour), noFiles); err == nil || done != (Swept{}) {
			t.Error(done, err)
		}
	}
	if err := m.put(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	verified(t, p, m)
}

// TestNoBackupWithoutBefore: what Before refuses leaves no backup.
func TestNoBackupWithoutBefore(t *testing.T) {
	p, refused := folder(filepath.Join(t.TempDir(), "place")), errors.New("refused")
	if _, _, err := Take(t.Context(), data(t, t.TempDir(), nil), p, Options{Before: func() error { return refused }}); !errors.Is(err, refused) {
		t.Error(err)
	}
	if all, _, err := List(t.Context(), p); err != nil || len(all) > 0 {
		t.Error(all, err)
	}
}

// TestTidy: what a killed put leaves is removed by a backup a day later; what is younger, or not ours, stays.
func TestTidy(t *testing.T) {
	dir := t.TempDir()
	long := time.Now().Add(-25 * time.Hour)
	files := map[string]bool{"objects/ab/.part-123": true, ".part-7": true, "log/.part-99": true, "objects/ab/.part-1234": false, "objects/ab/.part-mine": false, "note": false}
	for name := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name != "objects/ab/.part-1234" {
			if err := os.Chtimes(path, long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, _, err := Take(t.Context(), data(t, t.TempDir(), nil), folder(dir), Options{}); err != nil {
		t.Fatal(err)
	}
	for name, gone := range files {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) != gone {
			t.Errorf("%s: %v", name, err)
		}
	}
}
