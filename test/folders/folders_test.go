package folders

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/millstreamdb/millstream"
)

// TestFoldersOfEarlierReleases: a folder that an earlier release left when it was
// killed opens, holds what that release said it holds, and does so again after a
// clean end and a second start.
func TestFoldersOfEarlierReleases(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.tar.zst")
	if err != nil || len(archives) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, archive := range archives {
		name := strings.TrimSuffix(filepath.Base(archive), ".tar.zst")
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			unpack(t, archive, dir)
			var want struct {
				Made time.Time
				Dump *Dump
			}
			text, err := os.ReadFile("testdata/" + name + ".json.zst")
			if err == nil {
				text, err = inflate(text)
			}
			if err == nil {
				err = json.Unmarshal(text, &want)
			}
			if err != nil {
				t.Fatal(err)
			}
			whole(t, want.Dump)
			for range 2 {
				srv, err := millstream.Open(millstream.Options{Dir: dir, Now: func() time.Time { return want.Made.Add(time.Minute) }})
				if err != nil {
					t.Fatal(err)
				}
				got, err := Read(t.Context(), srv.Config(), func(path string) ([]byte, error) {
					w := httptest.NewRecorder()
					srv.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/_millstream/v1/"+path, nil))
					if w.Code != 200 {
						return nil, errors.New(w.Body.String())
					}
					return w.Body.Bytes(), nil
				})
				if err != nil {
					t.Fatal(err)
				}
				compare(t, got, want.Dump)
				if err := srv.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// whole checks that there is something of every kind to compare.
func whole(t *testing.T, d *Dump) {
	t.Helper()
	records := 0
	for _, r := range d.Records {
		records += len(r)
	}
	for what, n := range map[string]int{
		"tables": len(d.Tables), "items": len(d.Items["orders"]), "index entries": len(d.Items["orders/byState"]), "shards": len(d.Records),
		"records": records, "mappings": len(d.Mappings), "functions": len(d.Functions), "records set aside": len(d.Aside), "positions": len(d.Triggers),
	} {
		if n == 0 {
			t.Errorf("the fixture has no %s", what)
		}
	}
}

// compare checks that all of want is in got. What a later release tells beside it, and
// what the SDK does, is no fault.
func compare(t *testing.T, got, want *Dump) {
	t.Helper()
	plain := func(d *Dump) (v any) {
		b, err := json.Marshal(d)
		if err == nil {
			err = json.Unmarshal(b, &v)
		}
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	contains(t, "", plain(got), plain(want))
}

func contains(t *testing.T, at string, got, want any) {
	t.Helper()
	switch w := want.(type) {
	case nil:
	case map[string]any:
		g, _ := got.(map[string]any)
		for name, v := range w {
			contains(t, at+"."+name, g[name], v)
		}
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			t.Fatalf("%s: %d elements, want %d", at, len(g), len(w))
		}
		for i, v := range w {
			contains(t, fmt.Sprintf("%s[%d]", at, i), g[i], v)
		}
	default:
		if got != want {
			t.Errorf("%s: got %v, want %v", at, got, want)
		}
	}
}

func inflate(packed []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(packed, nil)
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	packed, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > 200<<10 {
		t.Errorf("%s has %d bytes", archive, len(packed))
	}
	z, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, os.FileMode(h.Mode)&0o700))
		if err != nil {
			t.Fatal(err)
		}
	}
}
