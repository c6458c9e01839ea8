package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Folder is a data folder that nobody has open. The caller holds its lock.
type Folder string

// List implements Source. WITNESS goes along, as it does not with the copy that a server makes of itself: what it says of the
// logs is as true of the same bytes elsewhere, so that a loss does not pass in silence with the copy.
//
// The folder itself may be a link. A link inside it is an error: what it leads to may be on another disk, in use, or outside of
// what the lock guards, and to pass it over would make a backup that lacks data.
func (d Folder) List(context.Context) (files []File, err error) {
	root, err := filepath.EvalSymlinks(string(d)) // WalkDir looks into no link
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == root {
			return err
		}
		rel, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		switch {
		case leftOut(name) && entry.IsDir():
			return fs.SkipDir
		case leftOut(name):
			return nil
		case entry.IsDir():
			in, err := os.ReadDir(at)
			if err == nil && len(in) == 0 {
				files = append(files, File{Name: name + "/"})
			}
			return err
		case name == standbyFile:
			return fmt.Errorf("%s is the folder of a standby: back up the server that it follows", d)
		case name == restoringFile:
			return fmt.Errorf("%s holds a restore that is not whole: remove it, and restore again", d)
		case entry.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a link, and a backup with --data follows none: put in its place what it leads to", at)
		case !entry.Type().IsRegular(): // a socket, such as that of a server that was killed
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

// leftOut says what no backup has: what belongs to a running program or to one machine, what can be made again, logs of functions, and keys:
// that of the secrets must not lie beside them in a copy. Names that begin with a dot are not ours at the top, and not yet or
// no more code below code; elsewhere they may be a user's, such as the key of an object.
func leftOut(name string) bool {
	switch name {
	case "LOCK", "db/LOCK", "secrets.key", "console.key", "inside.port", "logs", "audit", "pending", "tls", "damaged", "relay", "code/runtime", "artifacts/spool":
		return true
	}
	for _, pattern := range []string{".*", "before-repair-*", "before-rejoin-*", "code/.*", "code/*/.*", "code/*/task"} {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// Open implements Source.
func (d Folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, fs.ErrNotExist
	}
	return os.Open(filepath.Join(string(d), filepath.FromSlash(name)))
}
