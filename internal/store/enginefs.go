package store

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// engineFS is what Pebble sees of the file system. It closes two gaps.
//
// Pebble's marker files (marker.manifest.*) name other files; a marker is made
// after the file that it names has been synced, but the folder is synced only
// after both. A file system that does not keep the order of directory entries may
// thus keep the marker and lose the file, and the database does not open again.
// Here the folder is synced before a marker is made, which happens a few times an
// Open and hardly ever later.
//
// When a new log cannot be made at a rotation (a full disk), Pebble panics and
// unlocks a mutex that is not locked, which ends the process at once. No promise is
// broken, but the reason would be hard to tell; so the store is poisoned, and the
// cause logged, before Pebble learns of it.
type engineFS struct {
	vfs.FS
	s *Store
}

func (f engineFS) Unwrap() vfs.FS { return f.FS }

func (f engineFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "marker.manifest.") {
		if err := syncFolder(f.FS, f.PathDir(name)); err != nil {
			return nil, err
		}
	}
	file, err := f.FS.Create(name, c)
	return file, f.made(name, err)
}

func (f engineFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(from, to, c)
	return file, f.made(to, err)
}

func (f engineFS) made(name string, err error) error {
	if err != nil && strings.HasSuffix(name, ".log") {
		return f.s.poison("make a log", err)
	}
	return err
}
