package store

import (
	"errors"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// engineFS is what Pebble sees of the file system. It closes gaps.
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
//
// It tells the witness of each log and manifest that is synced or goes. And it checks
// large blocks of tables before the engine does: see blocks.go.
//
// A checkpoint copies logs while they are written. A log is used again in place, so whoever reads one may find what is old, and then, behind
// it, what has been written since: the engine takes such a copy for damaged. So of a log a checkpoint reads what the witness
// knows to be synced, and no more.
type engineFS struct {
	vfs.FS
	s   *Store
	dir string // of the database; what is copied elsewhere (a freeze) has no witness
}

func (f engineFS) Unwrap() vfs.FS { return f.FS }

func (f engineFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	switch {
	case err != nil:
		return nil, err
	case isTable(name):
		return tableFile{file}, nil
	case f.s.copying.Load() > 0 && strings.HasSuffix(name, ".log") && f.isWitnessed(name):
		return &syncedPart{file, f.s.witness.synced(f.PathBase(name))}, nil
	}
	return file, nil
}

// syncedPart is the beginning of a log.
type syncedPart struct {
	vfs.File
	left uint64
}

func (p *syncedPart) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.File.Read(b[:min(uint64(len(b)), p.left)])
	p.left -= uint64(n)
	return n, err
}

// checkpoint is the engine's, with logs as they are on the disk.
func (s *Store) checkpoint(dir string, opts ...pebble.CheckpointOption) error {
	s.copying.Add(1)
	defer s.copying.Add(-1)
	return s.db.Checkpoint(dir, opts...)
}

func (f engineFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	base := f.PathBase(name)
	if strings.HasPrefix(base, "marker.manifest.") {
		if err := errors.Join(syncFolder(f.FS, f.PathDir(name)), f.s.witness.sync()); err != nil {
			return nil, err
		}
	}
	if err := f.forget(name); err != nil {
		return nil, f.made(name, err)
	}
	file, err := f.FS.Create(name, c)
	return f.witnessed(name, file), f.made(name, err)
}

func (f engineFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := errors.Join(f.forget(from), f.forget(to)); err != nil {
		return nil, f.made(to, err)
	}
	file, err := f.FS.ReuseForWrite(from, to, c)
	return f.witnessed(to, file), f.made(to, err)
}

func (f engineFS) Remove(name string) error {
	if err := f.forget(name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// isWitnessed says whether a path is that of a file whose extent the witness keeps.
func (f engineFS) isWitnessed(name string) bool {
	return isWitnessed(f.PathBase(name)) && f.PathDir(name) == f.dir
}

func (f engineFS) forget(name string) error {
	if !f.isWitnessed(name) {
		return nil
	}
	return f.s.witness.forget(f.PathBase(name))
}

func (f engineFS) witnessed(name string, file vfs.File) vfs.File {
	if file == nil || !f.isWitnessed(name) {
		return file
	}
	return &witnessedFile{File: file, w: f.s.witness, base: f.PathBase(name), digest: xxhash.New()}
}

func (f engineFS) made(name string, err error) error {
	// A copy's log, of a freeze say, is no loss: only the copy fails.
	if err != nil && strings.HasSuffix(name, ".log") && f.PathDir(name) == f.dir {
		return f.s.poison("make a log", err)
	}
	return err
}
