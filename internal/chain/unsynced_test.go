package chain

import (
	"github.com/cockroachdb/pebble/v2/vfs"
)

// unsynced is the machine's disk without its syncs, which take most of the time of these tests: what ends here are processes, not
// machines, and a killed one's folder is copied as the system has it. (crash_test.go of package store has disks that forget.)
type unsynced struct{ vfs.FS }

func (u unsynced) Unwrap() vfs.FS { return u.FS }

func (u unsynced) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return lazy(u.FS.Create(name, c))
}

func (u unsynced) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return lazy(u.FS.ReuseForWrite(from, to, c))
}

func (u unsynced) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return lazy(u.FS.OpenReadWrite(name, c, o...))
}

func (u unsynced) OpenDir(name string) (vfs.File, error) { return lazy(u.FS.OpenDir(name)) }

func lazy(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return lazyFile{f}, nil
}

type lazyFile struct{ vfs.File }

func (lazyFile) Sync() error                           { return nil }
func (lazyFile) SyncData() error                       { return nil }
func (lazyFile) SyncTo(int64) (fullSync bool, _ error) { return false, nil }
func (lazyFile) Preallocate(int64, int64) error        { return nil }
