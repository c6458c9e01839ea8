package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

// Options say what is built. The members from Minify on are esbuild's options of the same names, with esbuild's values;
// see https://esbuild.github.io/api.
type Options struct {
	Dir     string   // of the source, absolute
	Entries []string // paths within Dir
	// Base is the folder within Dir to which the names of results are relative; "": the deepest that holds all entries.
	Base string
	// Node is the major version of Node.js that the result is for; "": that of Target.
	Node string

	Minify, KeepNames, SourcesContent bool
	Target                            string // es2022, node20, or several with commas
	Format                            string // cjs or esm; "": as the source is
	External, MainFields              []string
	Loader, OutExtension              map[string]string
	Define, Banner, Footer            map[string]string
}

// File is one file of a build's result. Its name has slashes and is relative.
type File struct {
	Name string
	Body []byte
}

// Result is what a build made.
type Result struct {
	Files    []File
	Warnings []string // each with its file and line
}

// Builder builds, and keeps what it has parsed, so that a build after a change is quick. Its methods may be called by
// several goroutines at once.
type Builder struct {
	mu       sync.Mutex
	contexts map[string]api.BuildContext // by the options
}

// Build makes the files of some entry points. The error is one for a person: it lists what is wrong by file and line, or
// what of the options is.
func (b *Builder) Build(o Options) (Result, error) {
	ctx, err := b.context(o)
	if err != nil {
		return Result{}, err
	}
	return resultOf(o, ctx.Rebuild())
}

// context returns that of a build's options, an old one when there is one.
func (b *Builder) context(o Options) (api.BuildContext, error) {
	options, err := o.esbuild()
	if err != nil {
		return nil, err
	}
	key, err := json.Marshal(struct {
		Options
		Format api.Format // depends on files, too
	}{o, options.Format})
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if ctx := b.contexts[string(key)]; ctx != nil {
		return ctx, nil
	}
	ctx, failed := api.Context(options)
	if failed != nil {
		return nil, messages(o.Dir, failed.Errors)
	}
	if b.contexts == nil {
		b.contexts = map[string]api.BuildContext{}
	}
	b.contexts[string(key)] = ctx
	return ctx, nil
}

// Close frees what was kept.
func (b *Builder) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ctx := range b.contexts {
		ctx.Dispose()
	}
	b.contexts = nil
}

// out is a folder within the source that is never made: the names of results are relative to it.
func (o *Options) out() string { return filepath.Join(o.Dir, ".millstream-build") }

func resultOf(o Options, built api.BuildResult) (r Result, err error) {
	if len(built.Errors) > 0 {
		return r, messages(o.Dir, built.Errors)
	}
	for _, m := range built.Warnings {
		r.Warnings = append(r.Warnings, message(o.Dir, m))
	}
	for _, f := range built.OutputFiles {
		name, err := filepath.Rel(o.out(), f.Path)
		if err != nil {
			return r, err
		}
		body := f.Contents
		if strings.HasSuffix(name, ".map") {
			if body, err = absolute(body, filepath.Dir(f.Path)); err != nil {
				return r, err
			}
		}
		r.Files = append(r.Files, File{filepath.ToSlash(name), body})
	}
	return r, nil
}

// absolute names the sources of a map, which are relative to the map's folder, as files that an editor opens: the package
// runs elsewhere.
func absolute(body []byte, folder string) ([]byte, error) {
	var m struct {
		Version        int       `json:"version"`
		Sources        []string  `json:"sources"`
		SourcesContent []*string `json:"sourcesContent,omitempty"`
		Mappings       string    `json:"mappings"`
		Names          []string  `json:"names"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("a source map of esbuild's is none: %w", err)
	}
	for i, s := range m.Sources {
		if !strings.Contains(s, ":") { // of a plugin or a data URL
			file := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(folder, filepath.FromSlash(s)))}
			m.Sources[i] = file.String()
		}
	}
	return json.Marshal(m)
}

// Module is the name of the file that an entry point becomes, without its extension.
func (o *Options) Module(entry string) string {
	base := o.Base
	if base == "" {
		base = path.Dir(filepath.ToSlash(o.Entries[0]))
		for _, e := range o.Entries[1:] {
			for base != "." && !strings.HasPrefix(path.Clean(filepath.ToSlash(e)), base+"/") {
				base = path.Dir(base)
			}
		}
	}
	name := path.Clean(filepath.ToSlash(entry))
	if base != "." {
		name = strings.TrimPrefix(name, base+"/")
	}
	return strings.TrimSuffix(name, path.Ext(name))
}

func messages(dir string, all []api.Message) error {
	var texts []string
	for _, m := range all {
		texts = append(texts, message(dir, m))
	}
	return errors.New(strings.Join(texts, "\n"))
}

// message is one of esbuild's, as compilers print them: file:line:column: text, and the line.
func message(dir string, m api.Message) string {
	text := m.Text
	if name, ok := strings.CutPrefix(text, "Could not resolve "); ok {
		text += ": is it installed? Run npm install in " + dir + ", or name " + name + " in External when it is there at run time"
	}
	l := m.Location
	if l == nil {
		return text
	}
	file := l.File
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, filepath.FromSlash(file))
	}
	return fmt.Sprintf("%s:%d:%d: %s\n    %s", file, l.Line, l.Column+1, text, strings.TrimSpace(l.LineText))
}

// isModule reports whether the source is of ES modules, as Node.js and tsc decide it: by the file's name, or by the type
// in the nearest package.json.
func (o *Options) isModule() bool {
	for _, entry := range o.Entries {
		switch filepath.Ext(entry) {
		case ".mts", ".mjs":
			return true
		case ".cts", ".cjs":
			return false
		}
		for dir := filepath.Dir(filepath.Join(o.Dir, entry)); ; dir = filepath.Dir(dir) {
			body, err := os.ReadFile(filepath.Join(dir, "package.json"))
			var is struct{ Type string }
			if err == nil && json.Unmarshal(body, &is) == nil {
				return is.Type == "module"
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return false
}
