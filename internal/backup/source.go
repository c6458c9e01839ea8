package backup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Folder is a data folder that nobody has open. The caller holds its lock.
type Folder string

// List implements Source. WITNESS goes along, as it does not with the copy that a server makes of itself: what it says of the
// logs is as true of the same bytes elsewhere, so that a loss does not pass in silence with the copy. Left out is what belongs to a running program, what can be made
// again, logs of functions, and keys: that of the secrets must not lie beside them in a copy.
func (d Folder) List(context.Context) (files []File, err error) {
	err = filepath.WalkDir(string(d), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == string(d) {
			return err
		}
		rel, err := filepath.Rel(string(d), path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if entry.IsDir() {
			if name == "logs" || name == "pending" || name == "tls" || name == "audit" || name == "damaged" || strings.HasPrefix(name, "before-repair-") || name == "code/runtime" ||
				strings.HasPrefix(name, "code/") && strings.HasSuffix(name, "/task") || strings.HasPrefix(entry.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if name == "LOCK" || name == "db/LOCK" || name == "secrets.key" || strings.HasPrefix(entry.Name(), ".") || !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			files = append(files, File{Name: name, Size: info.Size()})
		}
		return err
	})
	return files, err
}

// Open implements Source.
func (d Folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, fs.ErrNotExist
	}
	return os.Open(filepath.Join(string(d), filepath.FromSlash(name)))
}
