package bucket

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/afero"
)

// private makes files and folders that only the owner reads, as all of the data's are. A file that is written anew stands under
// its name once it is closed, whole and synced: until then, and when its writing fails, what was there stays. Folders are synced
// when a file or a folder was made in them, so that a loss of power takes nothing back.
type private struct {
	afero.Fs
	spool string // where such files are written
}

func (p private) Create(name string) (afero.File, error) {
	return p.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0)
}

func (p private) OpenFile(name string, flag int, _ os.FileMode) (afero.File, error) {
	if flag&os.O_TRUNC == 0 {
		return p.Fs.OpenFile(name, flag, 0o600)
	}
	file, err := afero.TempFile(p.Fs, p.spool, "new-") // for the owner only
	if err != nil {
		return nil, err
	}
	return &replacement{File: file, fs: p.Fs, name: name}, nil
}

func (p private) Mkdir(name string, _ os.FileMode) error {
	if err := p.Fs.Mkdir(name, 0o700); err != nil {
		return err
	}
	return syncFolder(p.Fs, filepath.Dir(name))
}

func (p private) MkdirAll(name string, mode os.FileMode) error {
	if info, err := p.Fs.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(name); parent != name {
		if err := p.MkdirAll(parent, mode); err != nil {
			return err
		}
	}
	err := p.Mkdir(name, mode)
	if errors.Is(err, fs.ErrExist) { // made by another meanwhile, unless it is a file
		err = p.Fs.MkdirAll(name, 0o700)
	}
	return err
}

// syncFolder brings a folder's list of names to the disk.
func syncFolder(fs afero.Fs, name string) error {
	folder, err := fs.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// replacement is a file that gets its name when it is closed.
type replacement struct {
	afero.File
	fs     afero.Fs
	name   string
	err    error // of a write
	closed bool
}

func (r *replacement) Write(p []byte) (int, error) {
	n, err := r.File.Write(p)
	if err != nil {
		r.err = err
	}
	return n, err
}

func (r *replacement) Close() error {
	if r.closed {
		return os.ErrClosed
	}
	r.closed = true
	err := r.err
	if err == nil {
		err = r.File.Sync()
	}
	err = errors.Join(err, r.File.Close())
	if err == nil {
		err = r.fs.Rename(r.File.Name(), r.name)
	}
	if err != nil {
		return errors.Join(err, r.fs.Remove(r.File.Name()))
	}
	return syncFolder(r.fs, filepath.Dir(r.name))
}
