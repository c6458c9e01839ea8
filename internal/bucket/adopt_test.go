package bucket

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/fnv"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"
)

var oldTime = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

// oldObject puts an object as earlier builds did; without metadata when meta is nil.
func oldObject(t *testing.T, dir, bucket, key, content string, meta map[string]string) {
	t.Helper()
	write := func(name string, text []byte) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	at := filepath.Join(dir, oldObjects, bucket, key)
	write(at, []byte(content))
	if err := errors.Join(os.Chtimes(at, oldTime, oldTime), os.Chmod(at, 0o644)); err != nil {
		t.Fatal(err)
	}
	if meta == nil {
		return
	}
	h, sum := fnv.New128a(), md5.Sum([]byte(content))
	h.Write([]byte(key))
	text, err := json.Marshal(map[string]any{"File": path.Join(bucket, key), "Size": len(content), "Hash": sum[:], "Meta": meta})
	if err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(dir, oldMetadata, bucket, strings.NewReplacer("/", "_", "\\", "_").Replace(key)+"-"+hex.EncodeToString(h.Sum(nil))), text)
}

// TestAdopt: objects of earlier builds are there under the keys they were put under, with what was sent with them, and so they are when
// the server ends amid the move.
func TestAdopt(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 3 // an object has four changes
	}
	for end := 0; ; end += step {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, oldObjects, "empty"), 0o700); err != nil {
			t.Fatal(err)
		}
		keys := []string{"/lead", "_", "a/", "b//c", "d/_e", "d//_f//", "g\\h", "plain/k"}
		for _, key := range keys {
			oldObject(t, dir, "things", key, "of "+key, map[string]string{"X-Amz-Meta-Key": key})
		}
		oldObject(t, dir, "things", "m//n", "same", map[string]string{})
		oldObject(t, dir, "things", "m/n", "same", map[string]string{})
		oldObject(t, dir, "things", "o//p", "earlier", map[string]string{})
		oldObject(t, dir, "things", "o/p", "later", map[string]string{})
		oldObject(t, dir, "things", "unanswered", "whole", nil)
		disk := &ending{Fs: afero.NewOsFs(), n: end}
		b, err := openBackend(afero.NewBasePathFs(private{disk}, dir), func() error { return nil }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		next, err := openBackend(afero.NewBasePathFs(private{&ending{Fs: afero.NewOsFs(), n: 1000}}, dir), func() error { return nil }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		s := &Service{backend: next}
		for _, key := range keys {
			got, err := s.Get(t.Context(), "", "things", key)
			if err != nil || string(got) != "of "+key {
				t.Errorf("end %d: %q has %q, %v", end, key, got, err)
			}
			if o, err := next.HeadObject("things", key); err != nil || o.Metadata["X-Amz-Meta-Key"] != key {
				t.Errorf("end %d: %q has %v, %v", end, key, o, err)
			}
			if info, err := os.Stat(filepath.Join(dir, place("things", key))); err != nil || info.Mode() != 0o600 {
				t.Errorf("end %d: %q has the mode %v, %v", end, key, info.Mode(), err)
			}
		}
		for key, want := range map[string]string{"m//n": "same", "m/n": "same", "o/p": "later", "unanswered": "whole"} {
			if got, err := s.Get(t.Context(), "", "things", key); err != nil || string(got) != want {
				t.Errorf("end %d: %q has %q, %v", end, key, got, err)
			}
		}
		all, _, err := s.backend.objects("things", "")
		for _, o := range all {
			if !o.At.Equal(oldTime) {
				t.Errorf("end %d: %q is of %v", end, o.Key, o.At)
			}
		}
		if err != nil || len(all) != len(keys)+4 {
			t.Errorf("end %d: %v, %v", end, all, err)
		}
		if is, err := s.Exists("", "empty"); err != nil || !is {
			t.Errorf("end %d: the empty bucket: %v, %v", end, is, err)
		}
		left, err2 := os.ReadDir(dir)
		if names := slices.Collect(func(yield func(string) bool) {
			for _, l := range left {
				if !yield(l.Name()) {
					return
				}
			}
		}); err2 != nil || !slices.Equal(names, []string{objectsDir, spoolDir}) {
			t.Errorf("end %d: the folder has %v, %v", end, names, err2)
		}
		if t.Failed() {
			return
		}
		if b.down == "" {
			return // nothing was ended
		}
	}
}

// ending is a disk that fails from the n-th change on, and that one is made by half.
type ending struct {
	afero.Fs
	n       int
	written int // bytes
}

func (d *ending) spend() error {
	if d.n--; d.n < 0 {
		return errors.New("the server has ended")
	}
	return nil
}

func (d *ending) Remove(name string) error {
	return cmpOr(d.spend(), func() error { return d.Fs.Remove(name) })
}

func (d *ending) Rename(from, to string) error {
	return cmpOr(d.spend(), func() error { return d.Fs.Rename(from, to) })
}

func (d *ending) Mkdir(name string, mode os.FileMode) error {
	if strings.HasSuffix(name, spoolDir) || strings.HasSuffix(name, objectsDir) {
		return d.Fs.Mkdir(name, mode)
	}
	return cmpOr(d.spend(), func() error { return d.Fs.Mkdir(name, mode) })
}

func (d *ending) OpenFile(name string, flag int, mode os.FileMode) (afero.File, error) {
	file, err := d.Fs.OpenFile(name, flag, mode)
	return endingFile{file, d}, err
}

func (d *ending) Open(name string) (afero.File, error) {
	file, err := d.Fs.Open(name)
	return endingFile{file, d}, err
}

type endingFile struct {
	afero.File
	disk *ending
}

func (f endingFile) Write(p []byte) (int, error) {
	if err := f.disk.spend(); err != nil {
		if f.disk.n == -1 {
			_, _ = f.File.Write(p[:len(p)/2])
		}
		return 0, err
	}
	f.disk.written += len(p)
	return f.File.Write(p)
}

// Sync is none: the machine does not end, and the test has some thousand.
func (f endingFile) Sync() error { return nil }

func (f endingFile) Truncate(size int64) error {
	return cmpOr(f.disk.spend(), func() error { return f.File.Truncate(size) })
}

func cmpOr(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// TestAdoptNeedsNoRoom: a disk that has no room for a second copy of an object does not stop its move.
func TestAdoptNeedsNoRoom(t *testing.T) {
	dir := t.TempDir()
	content := strings.Repeat("x", 1<<20)
	oldObject(t, dir, "things", "k", content, map[string]string{})
	disk := &ending{Fs: afero.NewOsFs(), n: 1000}
	b, err := openBackend(afero.NewBasePathFs(private{disk}, dir), func() error { return nil }, slog.New(slog.DiscardHandler))
	if err != nil || b.down != "" {
		t.Fatal(err, b.down)
	}
	if disk.written > 1024 {
		t.Errorf("%d bytes were written", disk.written)
	}
	if got, err := (&Service{backend: b}).Get(t.Context(), "", "things", "k"); err != nil || string(got) != content {
		t.Errorf("the object has %d bytes, %v", len(got), err)
	}
}

// TestAdoptIsSynced: a loss of power after the move brings nothing back.
func TestAdoptIsSynced(t *testing.T) {
	dir := t.TempDir()
	oldObject(t, dir, "things", "a/b", "content", map[string]string{})
	if err := os.WriteFile(filepath.Join(dir, oldObjects, ".DS_Store"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disk := &losing{afero.NewOsFs(), map[string]bool{}}
	b, err := openBackend(afero.NewBasePathFs(private{disk}, dir), func() error { return nil }, slog.New(slog.DiscardHandler))
	if err != nil || b.down != "" {
		t.Fatal(err, b.down)
	}
	if len(disk.owed) > 0 {
		t.Errorf("a loss of power would take or bring back %v", disk.owed)
	}
}

// TestAdoptCannot: when objects of earlier builds cannot be moved, the server starts, and every call for a bucket says why it is not there.
func TestAdoptCannot(t *testing.T) {
	dir := t.TempDir()
	oldObject(t, dir, "things", "k", "content", map[string]string{})
	list := filepath.Join(dir, adoptingFile)
	if err := os.WriteFile(list, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	s, err := Open(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&told, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(told.String(), "could not be moved"); n != 1 {
		t.Errorf("the log is %s", &told)
	}
	for _, c := range [][2]string{{"GET", "/"}, {"GET", "/things"}, {"GET", "/things/k"}, {"PUT", "/things/k"}, {"PUT", "/others"}, {"POST", "/things/k?uploads"}} {
		if got := expect(t, s, 500, c[0], c[1], ""); !strings.Contains(got, "could not be moved") {
			t.Errorf("%v: %s", c, got)
		}
	}
	_, errGet := s.Get(t.Context(), "", "things", "k")
	_, errKeys := s.Keys("things", "")
	for _, err := range []error{errGet, errKeys, s.Put("things", "k", nil), s.Create("", "others"), s.Delete("things")} {
		if err == nil || !strings.Contains(err.Error(), "could not be moved") || strings.Contains(err.Error(), "does not exist") {
			t.Errorf("a call has %v", err)
		}
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, dir).Get(t.Context(), "", "things", "k"); err != nil || string(got) != "content" {
		t.Errorf("after the mending: %q, %v", got, err)
	}
}

// TestAdoptKeepsLater: what was put since stays, should a file of before come back.
func TestAdoptKeepsLater(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := errors.Join(s.Create("", "things"), s.Put("things", "k", []byte("later"))); err != nil {
		t.Fatal(err)
	}
	oldObject(t, dir, "things", "k", "before", map[string]string{})
	oldObject(t, dir, "things", "other", "before", map[string]string{})
	s = open(t, dir)
	for key, want := range map[string]string{"k": "later", "other": "before"} {
		if got, err := s.Get(t.Context(), "", "things", key); err != nil || string(got) != want {
			t.Errorf("%q is %q, %v", key, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, oldObjects)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old folder: %v", err)
	}
}

// TestForeignFiles: files that are no objects stop neither a start, nor a listing, and stay; the deletion of a bucket that has one
// names it. A damaged object is named, too, and hides no other.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	oldObject(t, dir, "things", "k", "content", map[string]string{})
	oldObject(t, dir, "things", "other", "content", map[string]string{})
	foreign := []string{
		oldObjects + "/.DS_Store", oldObjects + "/stray", oldObjects + "/.hidden/x", oldMetadata + "/.DS_Store",
		objectsDir + "/.DS_Store", objectsDir + "/stray-too", objectsDir + "/things/.DS_Store",
	}
	for _, name := range foreign {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, []byte("of others"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	link := filepath.Join(dir, oldObjects, "things", "link")
	if err := errors.Join(os.WriteFile(outside, []byte("of others"), 0o600), os.Symlink(outside, link)); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	var s *Service
	for range 2 { // starts
		told.Reset()
		var err error
		if s, err = Open(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&told, nil))}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(told.String(), "\n"); n != 1 || !strings.Contains(told.String(), "first=artifacts/buckets/.DS_Store") {
			t.Errorf("the log is %s", &told)
		}
		if got := expect(t, s, 200, "GET", "/", ""); strings.Count(got, "<Name>") != 1 || !strings.Contains(got, "<Name>things<") {
			t.Errorf("the buckets are %s", got)
		}
		if got, err := s.Keys("things", ""); err != nil || !slices.Equal(got, []string{"k", "other"}) {
			t.Errorf("the keys are %q, %v", got, err)
		}
	}

	if err := os.WriteFile(filepath.Join(dir, place("things", "k")), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	told.Reset()
	if got := expect(t, s, 200, "GET", "/things", ""); strings.Count(got, "<Key>") != 1 || !strings.Contains(got, "<Key>other<") || !strings.Contains(told.String(), "is damaged") {
		t.Errorf("beside a damaged object the listing is %s, the log %s", got, &told)
	}
	if keys, err := s.Keys("things", "o"); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("an import would have %q, %v", keys, err)
	}
	if got := expect(t, s, 409, "DELETE", "/things", ""); strings.Contains(got, "artifacts/") {
		t.Errorf("a bucket with an object: %s", got)
	}
	expect(t, s, 204, "DELETE", "/things/other", "")
	if got := expect(t, s, 409, "DELETE", "/things", ""); !strings.Contains(got, "is damaged") {
		t.Errorf("a bucket with a damaged object: %s", got)
	}
	expect(t, s, 204, "DELETE", "/things/k", "")
	if got := expect(t, s, 409, "DELETE", "/things", ""); !strings.Contains(got, "artifacts/objects/things/.DS_Store is no object") {
		t.Errorf("a bucket with a file of others: %s", got)
	}

	for _, name := range append(foreign, oldObjects+"/things/link") {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "of others" {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, objectsDir, "things", ".DS_Store")); err != nil {
		t.Fatal(err)
	}
	expect(t, s, 204, "DELETE", "/things", "")
}
