package function

import (
	"archive/zip"
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestDamagedPackageHoldsNobodyUp: a package that is not what its name says is no reason not to start, and is there again when it
// is deployed again.
func TestDamagedPackageHoldsNobodyUp(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	_, err := w.Create("index.js")
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	c, err := newCodeStore(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	hash := hashOf(b.Bytes())
	for _, name := range []string{hash, ".new-1"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(c.dir, name), 0o700), os.WriteFile(filepath.Join(c.dir, name, zipFile), []byte("rotten"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	if err := c.whole(slog.New(slog.NewTextHandler(&log, nil))); err != nil || bytes.Count(log.Bytes(), []byte("deployed again")) != 1 {
		t.Fatal(err, log.String())
	}
	if _, err := c.add(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.task(hash), "index.js")); err != nil {
		t.Error(err)
	}
	// One that was damaged after it had been unpacked is mended, too: backups have the package only.
	name := filepath.Join(c.dir, hash, zipFile)
	for _, damage := range []func() error{func() error { return os.WriteFile(name, []byte("rotten"), 0o600) }, func() error { return os.Remove(name) }} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.add(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		if is, err := os.ReadFile(name); err != nil || !bytes.Equal(is, b.Bytes()) {
			t.Errorf("%q, %v", is, err)
		}
	}
}
