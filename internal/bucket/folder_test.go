package bucket

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/afero"
)

// losing is a disk that tells which names a loss of power would take: those made in a folder that was not synced since, and which it would
// bring back.
type losing struct {
	afero.Fs
	owed map[string]bool // by the names that are not safe yet
}

func (d *losing) owe(name string) {
	if filepath.Base(filepath.Dir(name)) != spoolDir { // it is emptied anyway
		d.owed[name] = true
	}
}

type folder struct {
	afero.File
	disk *losing
}

func (f folder) Sync() error {
	for name := range f.disk.owed {
		if filepath.Dir(name) == f.Name() {
			delete(f.disk.owed, name)
		}
	}
	return f.File.Sync()
}

func (d *losing) Open(name string) (afero.File, error) {
	file, err := d.Fs.Open(name)
	return folder{file, d}, err
}

func (d *losing) Mkdir(name string, mode os.FileMode) error {
	err := d.Fs.Mkdir(name, mode)
	if err == nil {
		d.owed[name] = true
	}
	return err
}

func (d *losing) Rename(from, to string) error {
	err := d.Fs.Rename(from, to)
	if err == nil {
		d.owe(from)
		d.owe(to)
	}
	return err
}

func (d *losing) Remove(name string) error {
	err := d.Fs.Remove(name)
	if err == nil {
		for below := range d.owed {
			if filepath.Dir(below) == name {
				delete(d.owed, below)
			}
		}
		if filepath.Base(name) != adoptingFile { // should it come back, the next start removes it
			d.owe(name)
		}
	}
	return err
}

// An object that was answered for outlives a loss of power, with the folders it lies in.
func TestLossOfPower(t *testing.T) {
	root := t.TempDir()
	disk := &losing{afero.NewOsFs(), map[string]bool{}}
	b, err := openBackend(afero.NewBasePathFs(private{disk}, root), func() error { return nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{backend: b}
	for _, err := range []error{s.Create("", "things"), s.Put("things", "a/b/c", []byte("1")), s.Put("things", "a/b/c", []byte("2"))} {
		if err != nil {
			t.Fatal(err)
		}
		if len(disk.owed) > 0 {
			t.Errorf("a loss of power would take %v", disk.owed)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (private{Fs: disk}).MkdirAll(filepath.Join(root, "file", "below"), 0); err == nil {
		t.Error("a folder was made in a file")
	}
}
