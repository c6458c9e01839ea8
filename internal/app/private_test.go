//go:build unix

package app

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
)

// TestFolderIsPrivate: with a umask that keeps nothing back, no file or folder that
// is made in use, by whichever room, can be read by another user; and a folder that
// an earlier release left open is closed by the next start.
func TestFolderIsPrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(t.TempDir(), "above", "data")
	useFolder(t, dir)
	if info, err := os.Stat(filepath.Dir(dir)); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the folder above: %v, %v", info.Mode(), err)
	}
	seen := mustBePrivate(t, dir)
	wanted := []string{"VERSION", "LOCK", ".log", ".sst", "MANIFEST-", "OPTIONS-", "marker.", "frozen", "package.zip", "bootstrap", "logs/"}
	if hasNode() {
		wanted = append(wanted, "index.js", "runtime/")
	}
	for _, name := range wanted {
		if !strings.Contains(seen, name) {
			t.Errorf("nothing like %s was made:\n%s", name, seen)
		}
	}

	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()|0o055)
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustBePrivate(t, dir)
}

func hasNode() bool {
	_, err := exec.LookPath("node")
	return err == nil
}

func useFolder(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(Options{Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if status, body := send(t, s.Handler(), "CreateTable", makeTable); status != http.StatusOK {
		t.Fatal(status, body)
	}
	for _, f := range []struct{ name, runtime, file, code string }{
		{"shell", "provided.al2023", "bootstrap", "#!/bin/sh\necho hello\nexit 1\n"},
		{"node", "nodejs22.x", "index.js", "exports.handler = async () => { console.log('hello') }\n"},
	} {
		if f.name == "node" && !hasNode() {
			continue // such a function is refused here
		}
		body := fmt.Sprintf(`{"FunctionName":%q,"Runtime":%q,"Handler":"index.handler","Role":"arn:aws:iam::000000000000:role/r","Code":{"ZipFile":%q}}`,
			f.name, f.runtime, zipped(t, f.file, f.code))
		if status, answer := callLambda(s, "POST", "/2015-03-31/functions", body); status != http.StatusCreated {
			t.Fatal(status, answer)
		}
		// Whether it can be run here does not matter, only what that leaves.
		_, _ = callLambda(s, "POST", "/2015-03-31/functions/"+f.name+"/invocations", `{}`)
	}
	for i := range 2 {
		if status, body := send(t, s.Handler(), "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"}}}`, i)); status != http.StatusOK {
			t.Fatal(status, body)
		}
		if err := s.store.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.store.Freeze("f", store.Span{Lower: []byte{store.SpaceItem}, Upper: []byte{store.SpaceItem + 1}}); err != nil {
		t.Fatal(err)
	}
}

func callLambda(s *App, method, path, body string) (int, string) {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func zipped(t *testing.T, name, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: name}
	h.SetMode(0o777)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// mustBePrivate returns the paths that it has looked at.
func mustBePrivate(t *testing.T, dir string) string {
	t.Helper()
	var seen strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&seen, path)
		if mode := info.Mode().Perm(); mode&0o077 != 0 || mode&0o400 == 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen.String()
}
