package bucket

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/fnv"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"
)

// oldObject puts an object as earlier builds did; without metadata when meta is nil.
func oldObject(t *testing.T, dir, bucket, key, content string, meta map[string]string) {
	t.Helper()
	write := func(name string, text []byte) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, oldObjects, bucket, key), []byte(content))
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
	for end := 0; ; end += 5 {
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
		disk := &ending{afero.NewOsFs(), end}
		_, err := openBackend(afero.NewBasePathFs(private{disk}, dir), func() error { return nil })
		s := open(t, dir) // the next start
		for _, key := range keys {
			w := do(s, "GET", "/things/"+strings.ReplaceAll(key, "\\", "%5C"), "")
			if w.Body.String() != "of "+key || w.Header().Get("X-Amz-Meta-Key") != key {
				t.Errorf("end %d: %q has %s, %v", end, key, w.Body, w.Header())
			}
		}
		for key, want := range map[string]string{"m//n": "same", "m/n": "same", "o/p": "later", "unanswered": "whole"} {
			if got, err := s.Get(t.Context(), "things", key); err != nil || string(got) != want {
				t.Errorf("end %d: %q has %q, %v", end, key, got, err)
			}
		}
		if all, err := s.Keys("things", ""); err != nil || len(all) != len(keys)+4 {
			t.Errorf("end %d: %q, %v", end, all, err)
		}
		if is, err := s.Exists("empty"); err != nil || !is {
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
		if err == nil {
			return // nothing was ended
		}
	}
}

// ending is a disk that fails from the n-th change on.
type ending struct {
	afero.Fs
	n int
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

func (d *ending) RemoveAll(name string) error {
	return cmpOr(d.spend(), func() error { return d.Fs.RemoveAll(name) })
}

func (d *ending) Rename(from, to string) error {
	return cmpOr(d.spend(), func() error { return d.Fs.Rename(from, to) })
}

func cmpOr(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}
