package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where a function finds its files, as on AWS.
const (
	TaskDir    = "/var/task"
	LayersDir  = "/opt"
	RuntimeDir = "/var/runtime"
)

// View is what a sandbox shows of the machine.
type View struct {
	Code    string   // is at TaskDir; "": there is none
	Layers  []string // are at LayersDir, a later one before an earlier one
	Runtime string   // is at RuntimeDir
	// Needs are files and folders that are at the places they have on the machine; what is missing is left out.
	Needs []string
	// Hidden are folders that no need may show.
	Hidden []string
	// TmpMB is the size of /tmp, in MiB. DataMB is how much memory a process may have of its own, in MiB; 0: any.
	TmpMB, DataMB int
}

// OfKind is what the views of functions have in common whose interpreter is the same: it shows nothing of any. Of nil it is nil.
func (v *View) OfKind() *View {
	if v == nil {
		return nil
	}
	return &View{Runtime: v.Runtime, Needs: v.Needs, Hidden: v.Hidden}
}

// Inside is a text, of paths of the machine between colons, with those of the view as the function finds them.
func (v *View) Inside(text string) string {
	swap := func(text, from, to string) string {
		for at := 0; from != ""; {
			i := strings.Index(text[at:], from)
			if i < 0 {
				break
			}
			i += at
			end := i + len(from)
			if end < len(text) && text[end] != '/' && text[end] != ':' {
				at = end // another folder, whose name begins so
				continue
			}
			text = text[:i] + to + text[end:]
			at = i + len(to)
		}
		return text
	}
	text = swap(text, v.Code, TaskDir)
	for _, l := range v.Layers {
		text = swap(text, l, LayersDir)
	}
	return swap(text, v.Runtime, RuntimeDir)
}

// Around is what a program needs beside it: the folder that it was installed in, such as that of /opt/node/bin/node, and, where its path is
// a link, also that of the program meant.
func Around(program string) (needs []string) {
	paths := []string{program}
	if real, err := filepath.EvalSymlinks(program); err == nil && real != program {
		paths = append(paths, real)
	}
	for _, p := range paths {
		dir := filepath.Dir(p)
		if filepath.Base(dir) == "bin" {
			dir = filepath.Dir(dir)
		}
		needs = append(needs, dir)
		if dir != filepath.Dir(p) { // what is left where dir may not be shown
			needs = append(needs, filepath.Join(dir, "lib"))
		}
		needs = append(needs, p)
	}
	return needs
}

// within reports whether a path is a folder's, or below it.
func within(path, folder string) bool {
	rest, is := strings.CutPrefix(path, folder)
	return is && (rest == "" || rest[0] == '/' || strings.HasSuffix(folder, "/"))
}

// shown are the needs that are there and may be shown, none inside of another.
func (v *View) shown(system []string) (paths []string) {
	hidden := slices.Clone(v.Hidden)
	if home, err := os.UserHomeDir(); err == nil {
		hidden = append(hidden, home)
	}
	for _, n := range v.Needs {
		n = filepath.Clean(n)
		if !filepath.IsAbs(n) {
			continue
		}
		if within(n, v.Code) && v.Code != "" || slices.ContainsFunc(v.Layers, func(l string) bool { return within(n, l) }) || v.Runtime != "" && within(n, v.Runtime) {
			continue // it is at another place
		}
		if _, err := os.Stat(n); err != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(n)
		if err != nil || slices.ContainsFunc(hidden, func(h string) bool { return within(h, n) || within(h, real) }) {
			continue
		}
		if slices.ContainsFunc(append(system, paths...), func(p string) bool { return within(n, p) }) {
			continue
		}
		paths = append(slices.DeleteFunc(paths, func(p string) bool { return within(p, n) }), n)
	}
	return paths
}
