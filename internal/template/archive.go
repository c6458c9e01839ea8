package template

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// archive is a function's code as it is sent.
type archive struct {
	zip    []byte
	sha256 string // as CodeSha256 has it
}

func newArchive(body []byte) *archive {
	sum := sha256.Sum256(body)
	return &archive{body, base64.StdEncoding.EncodeToString(sum[:])}
}

// maxZip is how large a zip may be that is sent with a request.
const maxZip = 50 << 20

// file is one entry of an archive to be made.
type file struct {
	name string
	mode fs.FileMode
	open func() (io.ReadCloser, error)
}

// pack makes a zip. The same files give the same bytes, whatever their times, so
// that a function's code is sent again only when it has changed.
func pack(files []file) (*archive, error) {
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	// A program of Go is halved in a fraction of a second; more would cost seconds.
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(f.mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		r, err := f.open()
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(w, r)
		if e := r.Close(); err == nil {
			err = e
		}
		if err != nil {
			return nil, err
		}
		if buf.Len() > maxZip {
			return nil, fmt.Errorf("the code has more than %d MB zipped", maxZip>>20)
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return newArchive(buf.Bytes()), nil
}

func single(name, content string) []file {
	return []file{{name, 0o644, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}}
}

// never are folders that no function needs and that change all the time.
var never = []string{".git", ".aws-sam", "__pycache__", ".pytest_cache", ".venv", "millstream-data"}

// folder lists the files below dir, those behind symbolic links included.
func folder(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			if path != dir && slices.Contains(never, e.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := os.Stat(path) // of what a link leads to
		if err != nil {
			return err
		}
		if info.IsDir() && e.Type()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is a link to a folder: put the folder itself there", path)
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		files = append(files, file{filepath.ToSlash(name), mode, func() (io.ReadCloser, error) { return os.Open(path) }})
		return nil
	})
	return files, err
}

// checkSource finds on the disk what can be found before anything is built.
func (f *function) checkSource(c *preparation) {
	line := c.r.line
	for _, name := range []string{"CodeUri", "Code"} {
		if n := c.props.get(name); n != nil {
			line = n.line
		}
	}
	info, err := os.Stat(f.source)
	switch {
	case err != nil:
		c.problems.add(line, "%s: there is no folder or file %s", c.r.id, f.source)
		return
	case !info.IsDir():
		return
	}
	switch f.method {
	case "", "go1.x", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "nodejs18.x", "nodejs20.x", "nodejs22.x":
	default:
		if _, err := os.Stat(filepath.Join(f.source, "bootstrap")); err != nil {
			c.problems.add(c.r.metadata.get("BuildMethod").line, "%s: the build method %s is not supported: build it first, and give CodeUri the folder with what was built", c.r.id, f.method)
		}
	}
}

// archive makes a function's zip of what its template names.
func (f *function) archive(ctx context.Context) (*archive, error) {
	if f.inline != "" {
		name := "index.js"
		if strings.HasPrefix(f.Runtime, "python") {
			name = "index.py"
		}
		return pack(single(name, f.inline))
	}
	info, err := os.Stat(f.source)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if strings.HasSuffix(f.source, ".zip") || strings.HasSuffix(f.source, ".jar") {
			body, err := os.ReadFile(f.source)
			if err != nil {
				return nil, err
			}
			return newArchive(body), nil
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return pack([]file{{filepath.Base(f.source), mode, func() (io.ReadCloser, error) { return os.Open(f.source) }}})
	}
	if f.needsGo() {
		return f.buildGo(ctx)
	}
	files, err := folder(f.source)
	if err != nil {
		return nil, err
	}
	return pack(files)
}
