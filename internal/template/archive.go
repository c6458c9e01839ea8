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
	"path"
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
	w := walk{above: map[string]bool{}}
	err := w.in(dir, "")
	return w.files, err
}

type walk struct {
	files []file
	above map[string]bool // the folders that are being walked, without links: a link to one is a circle
}

func (w *walk) in(dir, name string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if w.above[real] {
		return fmt.Errorf("%s is a link to a folder that holds it", dir)
	}
	w.above[real] = true
	defer delete(w.above, real)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		at, in := filepath.Join(dir, e.Name()), path.Join(name, e.Name())
		info, err := os.Stat(at) // of what a link leads to
		switch {
		case err != nil:
			return err
		case info.IsDir() && slices.Contains(never, e.Name()):
		case info.IsDir():
			if err := w.in(at, in); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			mode := fs.FileMode(0o644)
			if info.Mode()&0o111 != 0 {
				mode = 0o755
			}
			w.files = append(w.files, file{in, mode, func() (io.ReadCloser, error) { return os.Open(at) }})
		}
	}
	return nil
}

// strays are the links below dir that lead out of project.
func strays(dir, project string) (links []string) {
	project, err := filepath.EvalSymlinks(project)
	if err != nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error { // what cannot be read is told of when it is packed
		if err != nil || e.Type()&fs.ModeSymlink == 0 {
			return nil
		}
		if real, err := filepath.EvalSymlinks(at); err == nil {
			if rel, err := filepath.Rel(project, real); err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
				links = append(links, at)
			}
		}
		return nil
	})
	return links
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
		hint := ""
		if strings.HasPrefix(f.Runtime, "java") || strings.HasPrefix(f.Runtime, "dotnet") || strings.Contains(f.source, "/target/") {
			hint = ": build it first"
		}
		c.problems.add(line, "%s: there is no folder or file %s%s", c.r.id, f.source, hint)
		return
	case !info.IsDir():
		return
	}
	if f.method != "" && f.method != "esbuild" && !f.needsGo() && !f.isBuilt() {
		c.problems.add(c.r.metadata.get("BuildMethod").line, "%s: the build method %s is not run here, and %s does not hold what it builds: build it first, and give CodeUri the folder with what was built",
			c.r.id, f.method, f.source)
	}
}

// isBuilt reports whether the code's folder holds what is run: it is one that
// `sam build` made, has the program, or has the file that Handler names.
func (f *function) isBuilt() bool {
	if strings.Contains(filepath.ToSlash(f.source), "/.aws-sam/build/") {
		return true
	}
	if _, err := os.Stat(filepath.Join(f.source, "bootstrap")); err == nil {
		return true
	}
	l := languageOf(f.Runtime)
	if l == nil {
		return false
	}
	module, _ := l.split(f.Handler)
	return l.find(f.source, module, l.extensions) != ""
}

// archive makes a function's zip of what its template names.
func (f *function) archive(ctx context.Context, p *Plan) (*archive, error) {
	if f.inline != "" {
		name := "index.js"
		if strings.HasPrefix(f.Runtime, "python") {
			name = "index.py"
		}
		return pack(single(name, f.inline))
	}
	switch {
	case f.object != nil:
		return p.fetch(ctx, f.object)
	case f.bundle != nil:
		return f.bundled(p)
	case f.needsGo():
		return f.buildGo(ctx)
	}
	return packed(f.source)
}

// packed makes a zip of a folder or a file; one that is a zip is taken as it is.
func packed(source string) (*archive, error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if strings.HasSuffix(source, ".zip") || strings.HasSuffix(source, ".jar") {
			body, err := os.ReadFile(source)
			if err != nil {
				return nil, err
			}
			return newArchive(body), nil
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return pack([]file{{filepath.Base(source), mode, func() (io.ReadCloser, error) { return os.Open(source) }}})
	}
	files, err := folder(source)
	if err != nil {
		return nil, err
	}
	return pack(files)
}
