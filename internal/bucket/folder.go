package bucket

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/spf13/afero"
)

// private makes files and folders that only the owner reads, as all of the data's are. Folders are synced when a folder was made in
// them, so that a loss of power takes nothing back.
type private struct{ afero.Fs }

func (p private) Mkdir(name string, _ fs.FileMode) error {
	if err := p.Fs.Mkdir(name, 0o700); err != nil {
		return err
	}
	return syncFolder(p.Fs, filepath.Dir(name))
}

func (p private) MkdirAll(name string, mode fs.FileMode) error {
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

// LstatIfPossible implements afero.Lstater: a walk tells a link from a file.
func (p private) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	if l, ok := p.Fs.(afero.Lstater); ok {
		return l.LstatIfPossible(name)
	}
	info, err := p.Stat(name)
	return info, false, err
}

// syncFolder brings a folder's list of names to the disk.
func syncFolder(fs afero.Fs, name string) error {
	folder, err := fs.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
