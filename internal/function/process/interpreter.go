package process

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

//go:embed shim
var shims embed.FS

// probeTimeout bounds how long an interpreter may take to tell its version.
const probeTimeout = 30 * time.Second

// interpreters finds the machine's node and python and writes the shims, each
// once. A failed search is repeated at the next call: the user may have
// installed what was missing.
type interpreters struct {
	dir, project string

	mu      sync.Mutex // guards what follows, and is held while one is probed
	found   map[string]interpreter
	written map[string]bool // the shims
}

// interpreter is a program that runs the shim of a language.
type interpreter struct {
	path    string // of the real program, not of a version switcher's wrapper
	version string
	flags   []string
	shim    string
	modules []string // where to look for what a package lacks, first to last
	abi     string   // of Ruby: what the folders of its gems are called
	boto3   string   // of Python: the version of boto3 that it has, or ""
}

// command returns how to start a function. MILLSTREAM_MODULES tells the shim where
// to look, in order, for modules that the package itself lacks.
func (i interpreter) command() command {
	return command{
		path:  i.path,
		args:  append(append([]string{i.path}, i.flags...), i.shim),
		env:   []string{"MILLSTREAM_MODULES=" + strings.Join(i.modules, string(os.PathListSeparator))},
		needs: append(sandbox.Around(i.path), i.modules...),
	}
}

// find returns the interpreter of a runtime, such as nodejs22.x or python3.13.
func (s *interpreters) find(runtime string) (interpreter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.found[runtime]; ok {
		return i, nil
	}
	var i interpreter
	var err error
	switch {
	case strings.HasPrefix(runtime, "nodejs"):
		i, err = s.node()
		if err != nil {
			err = fmt.Errorf("%s needs Node.js on this machine, and no working node was found in PATH: install it from https://nodejs.org (%w)", runtime, err)
		}
	case strings.HasPrefix(runtime, "python"):
		i, err = s.python(runtime)
		if err != nil {
			err = fmt.Errorf("%s needs Python on this machine, and no working python3 was found in PATH: install it from https://www.python.org (%w)", runtime, err)
		}
	case strings.HasPrefix(runtime, "java"):
		i, err = s.java(runtime)
	case strings.HasPrefix(runtime, "ruby"):
		i, err = s.ruby(runtime)
	case strings.HasPrefix(runtime, "dotnet"):
		i, err = s.dotnet(runtime)
	case strings.HasPrefix(runtime, "provided"):
		return interpreter{}, nil
	default:
		return interpreter{}, fmt.Errorf("runtime %s does not run here", runtime)
	}
	if err != nil {
		return interpreter{}, err
	}
	if s.found == nil {
		s.found = map[string]interpreter{}
	}
	s.found[runtime] = i
	return i, nil
}

func (s *interpreters) node() (interpreter, error) {
	out, err := probe("node", "-e", "console.log(process.execPath); console.log(process.version)")
	if err != nil {
		return interpreter{}, err
	}
	shim, err := s.write("node/main.mjs")
	if err != nil {
		return interpreter{}, err
	}
	i := interpreter{path: out[0], version: strings.TrimPrefix(out[1], "v"), shim: shim}
	if s.project != "" {
		i.modules = append(i.modules, filepath.Join(s.project, "node_modules"))
	}
	i.modules = append(i.modules, filepath.SplitList(os.Getenv("NODE_PATH"))...)
	// npm's global folder stands beside the program; those of the usual prefixes
	// are asked for too.
	prefix := filepath.Dir(filepath.Dir(i.path))
	for _, p := range []string{prefix, "/usr/local", "/usr", "/opt/homebrew"} {
		i.modules = append(i.modules, filepath.Join(p, "lib", "node_modules"))
	}
	return i, nil
}

// pythonProbe tells where Python is, its version, and that of its boto3.
const pythonProbe = `
import sys
assert sys.version_info >= (3, 8)
print(sys.executable)
print('%d.%d.%d' % sys.version_info[:3])
try:
    from importlib.metadata import version
    print(version('boto3'))
except Exception:
    pass
`

func (s *interpreters) python(runtime string) (interpreter, error) {
	roots := []string{os.Getenv("VIRTUAL_ENV")}
	if s.project != "" {
		roots = append(roots, filepath.Join(s.project, ".venv"), filepath.Join(s.project, "venv"))
	}
	// The packages of a virtual environment are for its own python, which is another
	// than the runtime's where several are installed.
	var names []string
	for _, r := range roots {
		if r == "" {
			continue
		}
		own := filepath.Join(r, "bin", "python")
		if _, err := os.Stat(own); err == nil {
			names = append(names, own)
		}
	}
	var out []string
	var err error
	for _, name := range append(names, runtime, "python3", "python") {
		out, err = probe(name, "-c", pythonProbe)
		if err == nil {
			break
		}
	}
	if err != nil {
		return interpreter{}, err
	}
	shim, err := s.write("python.py")
	if err != nil {
		return interpreter{}, err
	}
	i := interpreter{path: out[0], version: out[1], shim: shim, flags: []string{"-u"}}
	if len(out) > 2 {
		i.boto3 = out[2]
	}
	minor := strings.Join(strings.Split(i.version, ".")[:2], ".")
	for _, r := range roots {
		if r != "" {
			i.modules = append(i.modules, filepath.Join(r, "lib", "python"+minor, "site-packages"))
		}
	}
	return i, nil
}

// probe runs a program that prints two lines or more.
func probe(name string, args ...string) ([]string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) < 2 {
		return nil, fmt.Errorf("%s: unexpected output %q", path, b)
	}
	return lines, nil
}

// write puts a shim, and the files that stand beside it in a folder of its own, where
// interpreters can read them, and returns its path. It does so once: the runtimes of a language share
// them, and a process that starts meanwhile must not find half of one. mu is held.
func (s *interpreters) write(name string) (string, error) {
	if s.written[name] {
		return filepath.Join(s.dir, name), nil
	}
	files := []string{name}
	if folder := path.Dir(name); folder != "." {
		all, err := fs.Glob(shims, path.Join("shim", folder, "*"))
		if err != nil {
			return "", err
		}
		files = files[:0]
		for _, f := range all {
			files = append(files, strings.TrimPrefix(f, "shim/"))
		}
	}
	for _, f := range files {
		body, err := shims.ReadFile("shim/" + f)
		if err != nil {
			return "", err
		}
		to := filepath.Join(s.dir, f)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, body, 0o600); err != nil {
			return "", err
		}
	}
	if s.written == nil {
		s.written = map[string]bool{}
	}
	s.written[name] = true
	return filepath.Join(s.dir, name), nil
}
