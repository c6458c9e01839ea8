package template

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/bundle"
)

// buildProperties are the BuildProperties of SAM's build method esbuild. Those that are pairs are read apart.
type buildProperties struct {
	EntryPoints, External, MainFields []string
	Minify, KeepNames, SourcesContent bool
	Target, Format                    string
	Sourcemap                         ignored // there always is one
	Loader, OutExtension              ignored
	Define, Banner, Footer            ignored
	UseNpmCi                          ignored // nothing is installed
}

var nodeMajor = regexp.MustCompile(`^nodejs(\d+)`)

// bundling finds out whether a function is to be built from TypeScript or modern JavaScript, and how: when its Metadata
// says so, as SAM has it, or when its Handler's file is one that Node.js does not run.
func (f *function) bundling(c *preparation) {
	info, err := os.Stat(f.source)
	major := nodeMajor.FindStringSubmatch(f.Runtime)
	if f.source == "" || err != nil || !info.IsDir() || major == nil || strings.Contains(filepath.ToSlash(f.source), "/.aws-sam/build/") {
		return
	}
	dir, err := filepath.Abs(f.source)
	if err != nil {
		return
	}
	l := languageOf(f.Runtime)
	module, _ := l.split(f.Handler)
	file := l.find(dir, module, l.extensions)
	o := &bundle.Options{Dir: dir, Node: major[1]}
	switch {
	case f.method == "esbuild":
		if f.buildProperties(c, o); f.strayEntry {
			return
		}
		if len(o.Entries) > 0 {
			break
		}
		if file != "" {
			return // the folder holds what was built
		}
		file = l.find(dir, module, l.sources)
	case f.method == "" && file == "":
		file = l.find(dir, module, l.sources)
	default:
		return
	}
	if len(o.Entries) == 0 {
		rel, err := filepath.Rel(dir, file)
		if file == "" || err != nil {
			return // checkHandler says so
		}
		o.Entries, o.Base = []string{rel}, "."
	}
	f.bundle = o
}

// buildProperties reads a function's BuildProperties.
func (f *function) buildProperties(c *preparation, o *bundle.Options) {
	n := c.r.metadata.get("BuildProperties")
	if n == nil {
		return
	}
	var p buildProperties
	what := c.r.id + ".Metadata.BuildProperties"
	if fields := n.get("MainFields"); fields != nil && fields.kind == scalar { // `sam build` hands esbuild such a text as it is
		names := &node{kind: list, line: fields.line}
		for name := range strings.SplitSeq(fields.text, ",") {
			names.list = append(names.list, text(fields.line, strings.TrimSpace(name)))
		}
		n = n.with("MainFields", names)
	}
	decoder{c.problems}.decode(n, what, &p)
	o.External, o.MainFields, o.Minify, o.KeepNames, o.SourcesContent, o.Target, o.Format = p.External, p.MainFields, p.Minify, p.KeepNames, p.SourcesContent, p.Target, p.Format
	for name, to := range map[string]*map[string]string{
		"Loader": &o.Loader, "OutExtension": &o.OutExtension, "Define": &o.Define, "Banner": &o.Banner, "Footer": &o.Footer,
	} {
		if at := n.get(name); at != nil {
			*to = c.pairs(at, what+"."+name)
		}
	}
	for _, entry := range p.EntryPoints {
		file := f.entry(o.Dir, entry)
		if file == "" {
			if f.strayEntry = !f.isBuilt(); f.strayEntry {
				c.problems.add(n.get("EntryPoints").line, "%s.EntryPoints: there is no file %s in %s", what, entry, f.source)
			}
			o.Entries = nil // the folder holds what was built, or nothing of use
			return
		}
		o.Entries = append(o.Entries, file)
	}
}

// entry is the file of an entry point, which may lack its extension; empty when there is none.
func (f *function) entry(dir, name string) string {
	name = filepath.Clean(filepath.FromSlash(name))
	l := languageOf(f.Runtime)
	for _, ext := range slices.Concat([]string{""}, l.sources, l.extensions) {
		if info, err := os.Stat(filepath.Join(dir, name+ext)); err == nil && info.Mode().IsRegular() {
			return name + ext
		}
	}
	return ""
}

// pairs reads key=value pairs, which SAM has as a list or as an object.
func (c *preparation) pairs(n *node, what string) map[string]string {
	pairs := map[string]string{}
	if n.kind == object {
		decoder{c.problems}.decode(n, what, &pairs)
		return pairs
	}
	var list []string
	decoder{c.problems}.decode(n, what, &list)
	for _, text := range list {
		key, value, found := strings.Cut(text, "=")
		if !found {
			c.problems.add(n.line, "%s: %q: want KEY=VALUE", what, text)
		}
		pairs[key] = value
	}
	return pairs
}

// entryOf is the entry point that becomes a module, empty when none does, and what all become.
func (f *function) entryOf(module string) (file string, modules []string) {
	for _, entry := range f.bundle.Entries {
		is := f.bundle.Module(entry)
		if is == module {
			file = filepath.Join(f.bundle.Dir, entry)
		}
		modules = append(modules, is)
	}
	return file, modules
}

// bundled builds a function's code from its source.
func (f *function) bundled(p *Plan) (*archive, error) {
	builder := p.opts.Bundler
	if builder == nil {
		builder = &bundle.Builder{}
		defer builder.Close()
	}
	built, err := builder.Build(*f.bundle)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, b := range built.Files {
		files = append(files, file{b.Name, 0o644, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Body)), nil }})
	}
	return pack(files)
}
