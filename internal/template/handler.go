package template

import (
	"archive/zip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/nearest"
)

// language is how the functions of a language are found by their Handler.
type language struct {
	extensions []string // of files that it runs
	sources    []string // of files that are built first; see bundle.go
	// module and export take a Handler apart: the file without its extension, and the name in it.
	split func(handler string) (module, export string)
	// comments are left out of account; exports find the names that a file gives away, in their first group that is
	// not empty; open tells that it gives away more than can be read.
	comments, open *regexp.Regexp
	exports        []*regexp.Regexp
}

var languages = map[string]*language{
	"nodejs": {
		extensions: []string{".js", ".mjs", ".cjs"},
		sources:    []string{".ts", ".mts", ".cts", ".tsx", ".jsx"},
		split: func(handler string) (string, string) { // the first dot of the file's name ends it
			folder, file := path.Split(handler)
			name, export, _ := strings.Cut(file, ".")
			export, _, _ = strings.Cut(export, ".")
			return folder + name, export
		},
		comments: regexp.MustCompile(`(?s)/\*.*?\*/|(?m:(?:^|[\s;{}()])//[^\n]*$)`),
		open:     regexp.MustCompile(`export\s*\*|exports\s*\[|(?:module\.)?exports\s*=\s*[^\s{]|__export|Object\.(?:assign|definePropert)`),
		exports: []*regexp.Regexp{
			regexp.MustCompile(`exports\.([\w$]+)\s*=`),
			regexp.MustCompile(`export\s+(?:async\s+)?(?:function\s*\*?|const|let|var|class)\s+([\w$]+)`),
			regexp.MustCompile(`(?:export|exports\s*=)\s*\{([^}]*)\}`),
		},
	},
	"python": {
		extensions: []string{".py"},
		split: func(handler string) (string, string) { // the last dot ends the module's name
			i := strings.LastIndexByte(handler, '.')
			if i < 0 {
				return handler, ""
			}
			return strings.ReplaceAll(handler[:i], ".", "/"), handler[i+1:]
		},
		comments: regexp.MustCompile(`(?m)#[^\n]*$`),
		open:     regexp.MustCompile(`import\s*\*|\bglobals\(|\bsetattr\(|__getattr__`),
		exports:  []*regexp.Regexp{regexp.MustCompile(`(?m)^(?:async\s+)?(?:def|class)\s+(\w+)`), regexp.MustCompile(`(?m)^(\w+)\s*(?::[^=\n]*)?=[^=]`)},
	},
}

func languageOf(runtime string) *language {
	for name, l := range languages {
		if strings.HasPrefix(runtime, name) {
			return l
		}
	}
	return nil
}

// checkHandler finds the file and the name that a function's Handler says, as far as the language lets them be
// found without being run.
func (f *function) checkHandler(c *preparation) {
	l, n := languageOf(f.Runtime), c.props.get("Handler")
	if l == nil || n == nil || f.image != "" || f.strayEntry {
		return
	}
	module, export := l.split(f.Handler)
	if export == "" || module == "" {
		c.problems.add(n.line, "%s: Handler %s: want the file without its extension, a dot, and the name of the function in it, such as index.handler", f.id, f.Handler)
		return
	}
	text := f.inline
	switch info, err := os.Stat(f.source); {
	case f.inline != "":
		if module != "index" {
			c.problems.add(n.line, "%s: Handler %s: code in the template is in a file index: say index.%s", f.id, f.Handler, export)
			return
		}
	case f.source == "" || err != nil:
		return // told of elsewhere
	case !info.IsDir():
		if in := deeper(f.source, module, l.extensions); in != "" {
			c.problems.add(n.line, "%s: Handler %s: %s has no %s%s, but %s: zip what is in the folder, not the folder", f.id, f.Handler, f.source, module, path.Ext(in), in)
		}
		return
	default:
		file, modules := l.find(f.source, module, l.extensions), l.modules(f.source)
		if f.bundle != nil {
			file, modules = f.entryOf(module)
		}
		if file == "" {
			hint := nearest.Hint(module+"."+export, withExport(modules, export))
			c.problems.add(n.line, "%s: Handler %s: there is no file %s%s in %s%s", f.id, f.Handler, module, strings.Join(slices.Concat(l.extensions, l.sources[:min(1, len(l.sources))]), " or "), f.source, hint)
			return
		}
		body, err := os.ReadFile(file)
		if err != nil {
			c.problems.add(n.line, "%s: Handler %s: %v", f.id, f.Handler, err)
			return
		}
		f.file, text = file, string(body)
	}
	if known := l.names(text); l.lacks(text, export, known) {
		c.problems.add(n.line, "%s: Handler %s: %s exports no %s%s", f.id, f.Handler, module, export, nearest.Hint(module+"."+export, within(module, known)))
	}
}

// deeper is the file of a module in a folder of a zip file that has nothing of its name
// where it is looked for: the folder was zipped, and not what is in it. It is empty when
// the file is in its place, or nowhere.
func deeper(archive, module string, extensions []string) (in string) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return "" // the server tells
	}
	defer func() { _ = z.Close() }() // it was only read
	for _, file := range z.File {
		switch folder, rest, ok := strings.Cut(file.Name, "/"); {
		case strings.HasPrefix(file.Name, module+".") || strings.HasPrefix(file.Name, module+"/"):
			return ""
		case ok && folder != "node_modules" && slices.ContainsFunc(extensions, func(ext string) bool { return rest == module+ext }):
			in = file.Name
		}
	}
	return in
}

// find is a module's file in a folder, empty when there is none.
func (l *language) find(folder, module string, extensions []string) string {
	at := filepath.Join(folder, filepath.FromSlash(module))
	for _, ext := range extensions {
		for _, file := range []string{at + ext, filepath.Join(at, "__init__"+ext)} {
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
				return file
			}
		}
	}
	return ""
}

// modules are those at the top of a folder.
func (l *language) modules(folder string) (names []string) {
	entries, _ := os.ReadDir(folder) // none: there is nothing to propose
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); slices.Contains(l.extensions, ext) || slices.Contains(l.sources, ext) {
			names = append(names, strings.TrimSuffix(e.Name(), ext))
		}
	}
	return names
}

// names are those that a file's text gives away, as far as they can be read.
func (l *language) names(text string) (names []string) {
	text = l.comments.ReplaceAllString(text, " ")
	for _, pattern := range l.exports {
		for _, found := range pattern.FindAllStringSubmatch(text, -1) {
			for one := range strings.SplitSeq(found[1], ",") {
				if i := strings.LastIndex(one, " as "); i >= 0 {
					one = one[i+4:]
				}
				one, _, _ = strings.Cut(strings.TrimSpace(one), ":")
				names = append(names, strings.TrimSpace(one))
			}
		}
	}
	return names
}

// lacks reports that a file certainly does not give a name away: it gives others, none that cannot be read, and the
// name is nowhere in it.
func (l *language) lacks(text, name string, known []string) bool {
	if len(known) == 0 || slices.Contains(known, name) {
		return false
	}
	text = l.comments.ReplaceAllString(text, " ")
	word := regexp.MustCompile(`(?:^|[^\w$])` + regexp.QuoteMeta(name) + `(?:[^\w$]|$)`)
	return !l.open.MatchString(text) && !word.MatchString(text)
}

func withExport(modules []string, export string) []string {
	for i := range modules {
		modules[i] += "." + export
	}
	return modules
}

func within(module string, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = module + "." + name
	}
	return out
}

// Function is a function that a plan deploys.
type Function struct {
	ID, Name, Runtime string
	File              string // that its Handler names; empty when it is not one of a folder
	Folder            string // that its code is in; empty when it is not in one
	Bundled           bool   // it is built from TypeScript or modern JavaScript
}

// Functions lists the plan's functions.
func (p *Plan) Functions() (all []Function) {
	e := p.evaluator(&Problems{})
	for _, r := range p.steps {
		if f, ok := p.prepare(r, e).(*function); ok {
			one := Function{ID: r.id, Name: f.FunctionName, Runtime: f.Runtime, File: f.file, Bundled: f.bundle != nil}
			if info, err := os.Stat(f.source); err == nil && info.IsDir() {
				one.Folder = f.source
			}
			all = append(all, one)
		}
	}
	return all
}
