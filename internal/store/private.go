package store

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A data folder holds what people and functions entrusted to it, secrets of
// functions among them. It is for the user of the server alone: folders have mode
// 0700 and files 0600, whatever the umask of the process. (Unpacked code is 0400,
// and 0500 where it is run.)
const (
	folderMode fs.FileMode = 0o700
	fileMode   fs.FileMode = 0o600
)

// privateFS is the machine's disk, on which every file is made private. The engine
// makes its files with mode 0666 less the umask, so each is tightened as soon as it
// is there. Nobody can open it in between: the data folder is closed to others
// before a database is made in it.
type privateFS struct {
	vfs.FS
	root string // the data folder
}

func (f privateFS) Unwrap() vfs.FS { return f.FS }

func (f privateFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return made(name, file, err)
}

func (f privateFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, o...)
	return made(name, file, err)
}

func (f privateFS) Lock(name string) (io.Closer, error) {
	lock, err := f.FS.Lock(name)
	return made(name, lock, err)
}

func (f privateFS) MkdirAll(dir string, mode fs.FileMode) error {
	if strings.HasPrefix(dir, f.root) { // and not a folder above it
		mode = folderMode
	}
	return f.FS.MkdirAll(dir, mode)
}

func made[F io.Closer](name string, file F, err error) (F, error) {
	if err != nil {
		return file, err
	}
	if err := os.Chmod(name, fileMode); err != nil {
		var none F
		return none, errors.Join(err, file.Close())
	}
	return file, nil
}

// tightenFolder closes the data folder to other users, and what an earlier release
// has made in it under the umask. VERSION comes last, so that a folder in which it
// is private has been tightened whole. A folder that belongs to another user, as a
// mounted volume may, is left as it is: that is said, and no reason not to serve.
func tightenFolder(dir string, log *slog.Logger) {
	loose := func(path string, err error) {
		log.Warn("the data folder can be read by other users of this machine, and its mode cannot be changed: change it (chmod -R go= "+dir+")",
			"path", path, "error", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return // the next one to need it tells why
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, folderMode); err != nil {
			loose(dir, err)
			return
		}
	}
	version := filepath.Join(dir, versionFile)
	if info, err := os.Stat(version); err != nil || info.Mode().Perm()&0o077 == 0 {
		return
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 || path == version {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Mode().Perm()&0o077 == 0 {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&0o700)
	})
	if err == nil {
		err = os.Chmod(version, fileMode)
	}
	if err != nil {
		loose(dir, err)
	}
}
