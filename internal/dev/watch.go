package dev

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// poll is how often files are looked at. Looking costs a system call a file; a notification by the
	// system would cost none, but differs from system to system, misses what editors do behind it, and is bound to
	// limits of watched folders.
	poll = 200 * time.Millisecond
	// rest is how long nothing may change before what was saved is taken as whole: an editor writes a file in a few
	// milliseconds, and several files one after the other.
	rest = 50 * time.Millisecond
	// maxFiles bounds what is looked at.
	maxFiles = 20_000
)

// ignored are folders that hold no source.
var ignored = map[string]bool{
	".git": true, "node_modules": true, "__pycache__": true, ".venv": true, "venv": true, ".aws-sam": true, ".pytest_cache": true, "millstream-data": true,
}

// Watcher tells when files have changed, by looking at them. It does not look at the files
// that this process itself prints to, as in `millstream dev >dev.out`: telling of a change
// would be one.
type Watcher struct {
	roots []string
	own   []os.FileInfo
	seen  map[string]stamp
}

type stamp struct {
	size int64
	time time.Time
}

// NewWatcher watches files, and folders with what is in them, from now on.
func NewWatcher(roots ...string) *Watcher {
	w := &Watcher{roots: roots}
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			w.own = append(w.own, info)
		}
	}
	w.seen = w.look()
	return w
}

// Wait returns the files that were changed, made or removed, once nothing has changed from one look to the next; nil when
// ctx ends.
func (w *Watcher) Wait(ctx context.Context) []string {
	next := time.NewTimer(poll)
	defer next.Stop()
	before := w.seen
	var changed []string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		now := w.look()
		more := differences(w.seen, now)
		w.seen = now
		if len(more) == 0 && len(changed) > 0 {
			if changed = differences(before, now); len(changed) > 0 {
				return changed
			}
		}
		if len(more) > 0 {
			changed = more
			next.Reset(rest)
		} else {
			next.Reset(poll)
		}
	}
}

func differences(a, b map[string]stamp) (files []string) {
	for name, s := range b {
		if a[name] != s {
			files = append(files, name)
		}
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			files = append(files, name)
		}
	}
	return files
}

func (w *Watcher) look() map[string]stamp {
	found := make(map[string]stamp, len(w.seen))
	for _, root := range w.roots {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil // it has just gone
			case len(found) >= maxFiles:
				return filepath.SkipAll
			case d.IsDir():
				if path != root && (ignored[d.Name()] || strings.HasPrefix(d.Name(), ".")) {
					return filepath.SkipDir
				}
				return nil
			}
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(path, "~") && !w.printsTo(info) {
				found[path] = stamp{info.Size(), info.ModTime()}
			}
			return nil
		})
	}
	return found
}

func (w *Watcher) printsTo(file os.FileInfo) bool {
	return slices.ContainsFunc(w.own, func(own os.FileInfo) bool { return os.SameFile(own, file) })
}
