package backup

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// data makes a folder with files as a data folder has.
func data(t *testing.T, dir string, extra map[string]string) Folder {
	t.Helper()
	files := map[string]string{
		"VERSION": "1\n", "LINEAGE": "line\n", "LOCK": "", "WITNESS": "x", "db/LOCK": "", "db/000001.log": "log", "db/000004.sst": strings.Repeat("table", 1000),
		"db/MANIFEST-000002": "manifest", "code/aa/package.zip": "zip", "code/aa/task/index.js": "unpacked", "code/runtime/node.mjs": "shim", "logs/f.log": "log",
		"pending/x/db/1": "p", "frozen/m/1.sst": "frozen", "secrets.key": "secret", "inside.port": "8001", "tls/ca-key.pem": "secret",
	}
	for name, text := range extra {
		files[name] = text
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return Folder(dir)
}

func take(t *testing.T, src Source, p Place) (Manifest, Progress) {
	t.Helper()
	m, done, err := Take(t.Context(), src, p, Options{Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return m, done
}

// places are a folder and a bucket.
func places(t *testing.T, test func(t *testing.T, p Place)) {
	t.Run("folder", func(t *testing.T) { test(t, folder(filepath.Join(t.TempDir(), "backups"))) })
	t.Run("bucket", func(t *testing.T) {
		server := httptest.NewServer(&fakeS3{objects: map[string][]byte{}})
		t.Cleanup(server.Close)
		t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
		t.Setenv("AWS_ACCESS_KEY_ID", "key")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
		t.Setenv("AWS_REGION", "eu-central-1")
		p, err := Open(t.Context(), "s3://bucket/some/prefix")
		if err != nil {
			t.Fatal(err)
		}
		test(t, p)
	})
}

// fakeS3 is as much of S3 as is used.
type fakeS3 struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (s *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, found := s.objects[r.URL.Path]
	switch {
	case r.Method == "PUT" && found && r.Header.Get("If-None-Match") == "*":
		w.WriteHeader(http.StatusPreconditionFailed)
		_, _ = io.WriteString(w, `<Error><Code>PreconditionFailed</Code></Error>`)
	case r.Method == "PUT":
		b, _ := io.ReadAll(r.Body)
		if strings.Contains(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING") {
			b = unchunk(b)
		}
		s.objects[r.URL.Path] = b
	case r.URL.Query().Get("list-type") == "2":
		type object struct{ Key string }
		var list struct {
			XMLName  xml.Name `xml:"ListBucketResult"`
			Contents []object
		}
		for path := range s.objects {
			if key := strings.TrimPrefix(path, "/bucket/"); strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
				list.Contents = append(list.Contents, object{key})
			}
		}
		_ = xml.NewEncoder(w).Encode(list)
	case r.Method == "DELETE":
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case !found:
		w.WriteHeader(http.StatusNotFound)
		if r.Method == "GET" {
			_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
		}
	default:
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if r.Method == "GET" {
			_, _ = w.Write(body)
		}
	}
}

// unchunk reads aws-chunked bodies.
func unchunk(b []byte) (out []byte) {
	for {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		var n int
		if _, err := fmt.Sscanf(string(line), "%x", &n); !ok || err != nil || n == 0 {
			return out
		}
		out, b = append(out, rest[:n]...), rest[n+2:]
	}
}

func TestBackupAndRestore(t *testing.T) {
	places(t, func(t *testing.T, p Place) {
		src := data(t, t.TempDir(), map[string]string{"QUARANTINE": "{}"})
		first, done := take(t, src, p)
		if !first.Quarantined || done.Copied == 0 {
			t.Errorf("%+v %+v", first, done)
		}
		if _, done := take(t, src, p); done.Copied != 0 {
			t.Errorf("%d bytes of a folder that has not changed were copied again", done.Copied)
		}
		data(t, string(src), map[string]string{"db/000005.sst": "new table", "db/MANIFEST-000002": "manifest, longer"})
		last, done := take(t, src, p)
		if want := int64(len("new table") + len("manifest, longer")); done.Copied != want {
			t.Errorf("copied %d bytes, want %d", done.Copied, want)
		}
		all, _, err := List(t.Context(), p)
		if err != nil || len(all) != 3 || all[0].ID != first.ID || all[2].ID != last.ID {
			t.Fatalf("%v, %v", all, err)
		}
		to := filepath.Join(t.TempDir(), "new")
		if err := Restore(t.Context(), p, first, to, Options{}); err != nil {
			t.Fatal(err)
		}
		if err := Restore(t.Context(), p, last, to, Options{}); err == nil || !strings.Contains(err.Error(), "is not empty") {
			t.Errorf("over a folder: %v", err)
		}
		for name, want := range map[string]string{
			"VERSION": "1\n", "db/000001.log": "log", "db/000004.sst": strings.Repeat("table", 1000), "db/MANIFEST-000002": "manifest", "code/aa/package.zip": "zip",
			"frozen/m/1.sst": "frozen", "QUARANTINE": "{}", "WITNESS": "x", "LOCK": "", "code/aa/task/index.js": "", "db/000005.sst": "", "logs/f.log": "", "pending/x/db/1": "", "secrets.key": "", "inside.port": "", "tls/ca-key.pem": "",
		} {
			got, err := os.ReadFile(filepath.Join(to, name))
			if string(got) != want || (err == nil) != (want != "") {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if got, _ := os.ReadFile(filepath.Join(to, "LINEAGE")); string(got) == "line\n" || len(got) < 16 {
			t.Errorf("lineage %q", got)
		}
		if got, _ := os.ReadFile(filepath.Join(to, "RESTORED")); !strings.Contains(string(got), first.ID) {
			t.Errorf("mark %q", got)
		}
		if _, err := Find(t.Context(), p, "none"); err == nil || !strings.Contains(err.Error(), "backups ls") {
			t.Error(err)
		}
	})
}

// TestAnotherLineage: a table of the same name and size is read again when the folder has
// another line of life.
func TestAnotherLineage(t *testing.T) {
	p := folder(t.TempDir())
	take(t, data(t, t.TempDir(), nil), p)
	m, done := take(t, data(t, t.TempDir(), map[string]string{"LINEAGE": "other\n", "db/000004.sst": strings.Repeat("TABLE", 1000)}), p)
	if done.Copied != 5000 {
		t.Errorf("%+v", done)
	}
	to := filepath.Join(t.TempDir(), "new")
	if err := Restore(t.Context(), p, m, to, Options{}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(to, "db/000004.sst")); !bytes.HasPrefix(got, []byte("TABLE")) {
		t.Errorf("%.10q", got)
	}
}

// faulty fails one of its operations, before or after it was done, and all later ones.
type faulty struct {
	Place
	left  int
	after bool
}

var errCut = errors.New("cut")

func (f *faulty) Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error {
	if f.left--; f.left < 0 {
		if f.left == -1 && f.after {
			_ = f.Place.Put(ctx, name, content, size)
		}
		return errCut
	}
	return f.Place.Put(ctx, name, content, size)
}

// TestCutBackups: wherever a backup is cut, what is listed afterwards is whole, and the next
// one succeeds.
func TestCutBackups(t *testing.T) {
	if err := cutBackups(t); err != nil {
		t.Error(err)
	}
}

func cutBackups(t *testing.T) error {
	src := data(t, t.TempDir(), nil)
	for _, after := range []bool{false, true} {
		for n, ended := 0, false; !ended; n++ {
			p := folder(t.TempDir())
			_, _, err := Take(t.Context(), src, &faulty{p, n, after}, Options{})
			if err != nil && !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			ended = err == nil
			for range 2 {
				all, _, err := List(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range all {
					if faults, err := Verify(t.Context(), p, m, Options{}); len(faults) > 0 || err != nil {
						return fmt.Errorf("cut at put %d (after: %v): a backup is listed that is not whole: %v, %w", n, after, faults, err)
					}
				}
				take(t, src, p)
			}
		}
	}
	return nil
}

// TestDamagedBackups: each kind of damage of a place is told by Verify and refused by Restore,
// which leaves a folder that does not open.
func TestDamagedBackups(t *testing.T) { synctest.Test(t, damagedBackups) }

func damagedBackups(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"flipped": func(path string) error {
			b, err := os.ReadFile(path)
			b[rand.IntN(len(b))] ^= 4
			return errors.Join(err, os.WriteFile(path, b, 0o600))
		},
		"cut":     func(path string) error { return os.Truncate(path, 1) },
		"missing": os.Remove,
		"longer": func(path string) error {
			b, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, append(b, 1), 0o600))
		},
	} {
		p := folder(t.TempDir())
		m, _ := take(t, data(t, t.TempDir(), nil), p)
		for _, f := range m.Files {
			if f.Name == "db/000004.sst" {
				if err := damage(p.path(objectName(f.Sum))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if faults, err := Verify(t.Context(), p, m, Options{}); err != nil || len(faults) != 1 || !strings.Contains(faults[0].Error(), "db/000004.sst") {
			t.Errorf("%s: %v, %v", name, faults, err)
		}
		to := filepath.Join(t.TempDir(), "new")
		if err := Restore(t.Context(), p, m, to, Options{}); err == nil || !strings.Contains(err.Error(), "db/000004.sst") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(to, "VERSION")); err == nil {
			t.Errorf("%s: the folder would open", name)
		}
	}
}

// TestHostileManifests: a manifest names no file outside the folder.
func TestHostileManifests(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for _, f := range []File{{Name: "../x", Size: 1, Sum: sum}, {Name: "/etc/x", Size: 1, Sum: sum}, {Name: "a/../../x", Size: 1, Sum: sum}, {Name: "", Size: 1, Sum: sum}, {Name: `..\x`, Size: 1, Sum: sum}, {Name: "x", Size: -1, Sum: sum}, {Name: "x", Size: 1, Sum: "ab"}, {Name: "x", Size: 1, Sum: "../../" + sum[6:]}} {
		m := Manifest{Version: 1, Files: []File{{Name: "VERSION", Size: 1, Sum: sum}, {Name: "db/1", Size: 1, Sum: sum}, f}}
		if err := Restore(t.Context(), folder(t.TempDir()), m, filepath.Join(t.TempDir(), "new"), Options{}); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if err := Restore(t.Context(), folder(t.TempDir()), Manifest{Version: 2}, t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "newer release") {
		t.Error(err)
	}
}

func TestRate(t *testing.T) {
	src := data(t, t.TempDir(), map[string]string{"db/000009.sst": strings.Repeat("x", 100_000)})
	began := time.Now()
	if _, _, err := Take(t.Context(), src, folder(t.TempDir()), Options{Rate: 500_000}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("105 KB at 500 KB/s took %s", took)
	}
}

// cutGets fails every Get from some on.
type cutGets struct {
	Place
	left int
}

func (c *cutGets) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if c.left--; c.left < 0 {
		return nil, errCut
	}
	return c.Place.Get(ctx, name)
}

// TestCutRestores: wherever a restore is cut, the folder is marked as one that does not open.
func TestCutRestores(t *testing.T) { synctest.Test(t, cutRestores) }

func cutRestores(t *testing.T) {
	p := folder(t.TempDir())
	m, _ := take(t, data(t, t.TempDir(), map[string]string{"QUARANTINE": "{}"}), p)
	for n := range m.Files {
		to := filepath.Join(t.TempDir(), "new")
		if err := Restore(t.Context(), &cutGets{p, n}, m, to, Options{}); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(to, restoringFile)); err != nil {
			t.Errorf("cut at %d: the folder would open", n)
		}
		if err := Restore(t.Context(), p, m, to, Options{}); err == nil {
			t.Error("restored over a part of a restore")
		}
	}
}

// TestUnreadableManifest: a manifest that cannot be read, or is a newer release's, hides no other, and is told.
func TestUnreadableManifest(t *testing.T) {
	p := folder(t.TempDir())
	src := data(t, t.TempDir(), map[string]string{"code/" + strings.Repeat("ab", 32) + "/package.zip": "rotten"})
	take(t, src, p)
	for name, text := range map[string]string{"8": "{", "9": `{"version":9,"id":"9"}`} {
		if err := os.WriteFile(p.path("base/"+name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	last, _, err := Take(t.Context(), src, p, Options{Warn: func(err error) { told = append(told, err.Error()) }})
	if err != nil || len(told) != 3 || !strings.Contains(told[2], "package.zip is damaged") {
		t.Fatalf("%q, %v", told, err)
	}
	if m, err := Find(t.Context(), p, last.ID); err != nil || m.ID != last.ID {
		t.Errorf("%v, %v", m.ID, err)
	}
	if all, faults, err := List(t.Context(), p); err != nil || len(all) != 2 || len(faults) != 2 {
		t.Errorf("%d, %v, %v", len(all), faults, err)
	}
	if _, err := Find(t.Context(), p, ""); err == nil || !strings.Contains(err.Error(), "--backup") {
		t.Error(err)
	}
}
