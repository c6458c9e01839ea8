package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// BackupsPath is the folder, beside the database, of the backups of tables: a folder of files for each.
const BackupsPath = "backups"

// FrozenTable begins the names under which tables are frozen for a backup or an export; other names are of snapshots of
// triggers.
const FrozenTable = "table-"

// Files is a folder of files beside the database, each of which is there whole and durable or not at all.
type Files struct {
	s   *Store
	dir string
}

// Files returns a folder, which may not be there yet. The parts of path are names.
func (s *Store) Files(path ...string) *Files {
	return &Files{s, s.space.fs.PathJoin(append([]string{s.space.dir}, path...)...)}
}

// Put writes a file, in place of the one that there may be. The caller may not use content
// again: the file system may have changed it.
func (f *Files) Put(name string, content []byte) error {
	if err := f.s.check(); err != nil {
		return err
	}
	err := makeFolder(f.s.space.fs, f.dir)
	if err == nil {
		err = writeFile(f.s.space.fs, f.dir, name, content)
	}
	if err != nil {
		return fmt.Errorf("store: write %s: %w", f.s.space.fs.PathJoin(f.dir, name), err)
	}
	return nil
}

// Get reads a file of at most limit bytes. One that is not there, or is longer, is ErrDamaged: who asks knows what was put.
func (f *Files) Get(name string, limit int64) ([]byte, error) {
	path := f.s.space.fs.PathJoin(f.dir, name)
	file, err := f.s.space.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, path)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("store: read %s: %w", path, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrDamaged, path, limit)
	}
	return content, nil
}

// Names lists what is in the folder; nothing when it is not there.
func (f *Files) Names() ([]string, error) {
	names, err := f.s.space.fs.List(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: list %s: %w", f.dir, err)
	}
	return names, nil
}

// KeepFiles has Thaw and Remove wait until release is called. Rows name files beside the database. A copy of both is whole only when
// what the copied rows name is still there to be copied after them.
func (s *Store) KeepFiles() (release func()) {
	s.leaving.Lock()
	return s.leaving.Unlock
}

// Remove removes the folder with all that is in it; nothing happens when it is not there.
func (f *Files) Remove() error {
	f.s.leaving.RLock()
	defer f.s.leaving.RUnlock()
	if err := f.s.space.fs.RemoveAll(f.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: remove %s: %w", f.dir, err)
	}
	return nil
}
