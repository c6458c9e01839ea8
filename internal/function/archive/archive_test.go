package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

type entry struct {
	name string
	mode fs.FileMode
	body string
}

func makeZip(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// target is a folder inside another one, in which nothing else may appear. The
// package's folders may not be written to, so they are opened up at the end.
func target(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "task")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(path, 0o755)
			}
			return err
		})
	})
	return dir
}

func TestUnpack(t *testing.T) {
	dir := target(t)
	zip := makeZip(t,
		entry{"a/", fs.ModeDir | 0o755, ""}, entry{"a/b/run", 0o6755, "#!"}, entry{"a/data", 0, "data"},
		entry{"a/link", fs.ModeSymlink | 0o777, "b/run"}, entry{"up", fs.ModeSymlink | 0o777, "./a/../a/data"},
		entry{"a/data", 0o644, "newer"}, entry{"dangling", fs.ModeSymlink | 0o777, "a/none"},
	)
	if err := Unpack(zip, dir, true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a/b/run": "#!", "a/data": "newer", "a/link": "#!", "up": "newer"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]fs.FileMode{"a": fs.ModeDir | 0o500, "a/b/run": 0o500, "a/data": 0o400} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
}

func TestHostileZipsAreRefused(t *testing.T) {
	const link = fs.ModeSymlink | 0o777
	for name, entries := range map[string][]entry{
		"climbs":                  {{"../evil", 0o644, "x"}},
		"climbs from inside":      {{"a/../../evil", 0o644, "x"}},
		"absolute":                {{"/tmp/evil", 0o644, "x"}},
		"backslash":               {{`..\evil`, 0o644, "x"}},
		"NUL":                     {{"a\x00b", 0o644, "x"}},
		"link out":                {{"l", link, "../evil"}},
		"absolute link":           {{"l", link, "/etc/passwd"}},
		"link out of a folder":    {{"a/l", link, "../../evil"}},
		"out through two links":   {{"d/e/f", 0o644, ""}, {"l", link, "d/e"}, {"m", link, "l/../../../evil"}},
		"links that run in rings": {{"l", link, "m"}, {"m", link, "l"}},
		"write through a link":    {{"l", link, "."}, {"l/evil", 0o644, "x"}},
		"empty link":              {{"l", link, ""}},
		"long link":               {{"l", link, strings.Repeat("a", 5000)}},
		"device":                  {{"d", fs.ModeDevice | 0o644, ""}},
		"pipe":                    {{"d", fs.ModeNamedPipe | 0o644, ""}},
		"socket":                  {{"d", fs.ModeSocket | 0o644, ""}},
		"file and folder":         {{"a", 0o644, "x"}, {"a/b", 0o644, "x"}},
		"folder and file":         {{"a/b", 0o644, "x"}, {"a", 0o644, "x"}},
		"long name":               {{strings.Repeat("n", 300), 0o644, "x"}},
		"deep":                    {{strings.Repeat("d/", 2000) + "f", 0o644, "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := target(t)
			if err := Unpack(makeZip(t, entries...), dir, false); !errors.Is(err, ErrNotZip) {
				t.Errorf("got %v", err)
			}
			around, err := os.ReadDir(filepath.Dir(dir))
			if err != nil || len(around) != 1 {
				t.Errorf("beside the target: %v, %v", around, err)
			}
		})
	}
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "many headers": bytes.Repeat([]byte("PK\x01\x02"), maxEntries+1),
		"cut": makeZip(t, entry{"a", 0o644, strings.Repeat("x", 1000)})[:60],
	} {
		t.Run(name, func(t *testing.T) {
			if err := Unpack(data, target(t), false); !errors.Is(err, ErrNotZip) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("damaged data", func(t *testing.T) {
		data := makeZip(t, entry{"a", 0o644, strings.Repeat("hello", 1000)})
		data[40] ^= 0xff
		if err := Unpack(data, target(t), false); !errors.Is(err, ErrNotZip) {
			t.Errorf("got %v", err)
		}
	})
}

// zeros is a file of n zeros, well packed.
func bomb(t *testing.T, files int, each int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	block := make([]byte, 1<<20)
	for i := range files {
		f, err := w.Create(fmt.Sprint("f", i))
		if err != nil {
			t.Fatal(err)
		}
		for n := each; n > 0; n -= int64(len(block)) {
			if _, err := f.Write(block[:min(n, int64(len(block)))]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZipBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 250 MB")
	}
	for name, data := range map[string][]byte{
		"one file":   bomb(t, 1, MaxUnzipped+1),
		"many files": bomb(t, 26, 10<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if err := Unpack(data, target(t), false); !errors.Is(err, ErrTooLarge) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a header that lies", func(t *testing.T) {
		// The directory says one byte; the data go on.
		data := bomb(t, 1, 64<<20)
		i := bytes.LastIndex(data, []byte("PK\x01\x02"))
		binary.LittleEndian.PutUint32(data[i+24:], 1)
		if err := Unpack(data, target(t), false); !errors.Is(err, ErrNotZip) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCheckBootstrap(t *testing.T) {
	elfFor := func(machine uint16) string {
		h := make([]byte, 64)
		copy(h, "\x7fELF\x02\x01\x01")
		binary.LittleEndian.PutUint16(h[16:], 2)
		binary.LittleEndian.PutUint16(h[18:], machine)
		binary.LittleEndian.PutUint32(h[20:], 1)
		binary.LittleEndian.PutUint16(h[52:], 64)
		binary.LittleEndian.PutUint16(h[54:], 56)
		binary.LittleEndian.PutUint16(h[58:], 64)
		return string(h)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	here := runtime.GOOS + "/" + runtime.GOARCH
	cure := ", this machine is " + here + ": build with GOOS=" + runtime.GOOS + " GOARCH=" + runtime.GOARCH
	for _, c := range []struct{ name, body, built string }{
		{"script", "#!/bin/sh\n", ""},
		{"own", string(own), ""},
		{"riscv", elfFor(243), "linux/riscv64"},
		{"arm64 or amd64", elfFor(map[string]uint16{"amd64": 183, "arm64": 62}[runtime.GOARCH]), "linux/" + map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]},
		{"mac", "\xcf\xfa\xed\xfe\x0c\x00\x00\x01" + strings.Repeat("\x00", 56), "darwin/arm64"},
		{"windows", "MZ\x90", "windows"},
		{"damaged", "\x7fELF", "no machine (a damaged ELF file)"},
		{"text", "echo hi", "no machine (neither an executable nor a script that begins with #!)"},
		{"empty", "", "no machine (neither an executable nor a script that begins with #!)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte(c.body), 0o755); err != nil {
				t.Fatal(err)
			}
			err := CheckBootstrap(dir)
			if c.built == "" || c.built == here {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if want := "bootstrap is built for " + c.built + cure; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
	if err := CheckBootstrap(t.TempDir()); err != nil {
		t.Errorf("no bootstrap: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(makeZip(f, entry{"a/b", 0o755, "x"}, entry{"l", fs.ModeSymlink | 0o777, "a/b"}))
	f.Add(makeZip(f, entry{"../b", 0o755, "x"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		dir := target(t)
		_ = Unpack(data, dir, false)
		around, err := os.ReadDir(filepath.Dir(dir))
		if err != nil || len(around) != 1 {
			t.Fatalf("beside the target: %v, %v", around, err)
		}
	})
}
