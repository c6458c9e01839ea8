package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrAbsent says that a place has no object of a name.
var ErrAbsent = errors.New("backup: no such object")

// ErrExists says that a place has an object of a name already.
var ErrExists = errors.New("backup: there is such an object already")

// Place keeps objects by name. Its methods may be called at once.
type Place interface {
	// Put keeps an object whole or not at all, durably.
	Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error
	// PutNew is Put of an object that is not there; else ErrExists, whoever put it: of many who put one name at once it is nil for one.
	// After another error the object may be there, or come to be there later.
	PutNew(ctx context.Context, name string, content []byte) error
	Get(ctx context.Context, name string) (io.ReadCloser, error) // ErrAbsent
	Has(ctx context.Context, name string, size int64) (bool, error)
	List(ctx context.Context, prefix string) ([]string, error)
	// Remove removes objects, those that are not there too, in any order. After an error some may be gone, or go later.
	Remove(ctx context.Context, names []string) error
	String() string
}

// Open returns the place that a text names: s3://BUCKET/PREFIX, or a folder, which is
// made at the first Put.
func Open(ctx context.Context, text string) (Place, error) {
	if rest, ok := strings.CutPrefix(text, "s3://"); ok {
		return openBucket(ctx, rest)
	}
	if strings.Contains(text, "://") {
		return nil, fmt.Errorf("%q: want a folder or s3://BUCKET/PREFIX", text)
	}
	return folder(text), nil
}

type folder string

func (f folder) String() string { return string(f) }

func (f folder) path(name string) string { return filepath.Join(string(f), filepath.FromSlash(name)) }

func (f folder) Put(_ context.Context, name string, content io.ReadSeeker, _ int64) error {
	path := f.path(name)
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	return writeWhole(path, content)
}

func (f folder) PutNew(ctx context.Context, name string, content []byte) error {
	path := f.path(name)
	dir := filepath.Dir(path)
	if err := makeDirs(dir); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, temporary+"*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = ctx.Err() // a process that was suspended may come back when nobody expects it any more
	}
	if err == nil {
		err = os.Link(file.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: %s in %s", ErrExists, name, f)
	}
	return errors.Join(err, os.Remove(file.Name()), syncDir(dir))
}

func (f folder) Get(_ context.Context, name string) (io.ReadCloser, error) {
	file, err := os.Open(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s in %s", ErrAbsent, name, f)
	}
	return file, err
}

func (f folder) Has(_ context.Context, name string, size int64) (bool, error) {
	info, err := os.Stat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() == size, err
}

func (f folder) List(_ context.Context, prefix string) ([]string, error) {
	entries, err := os.ReadDir(f.path(prefix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), temporary) {
			names = append(names, prefix+"/"+e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

func (f folder) Remove(ctx context.Context, names []string) error {
	dirs := map[string]bool{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := f.path(name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		dirs[filepath.Dir(path)] = true
	}
	for dir := range dirs {
		if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// temporary begins the names of files that are not whole yet; digits follow. What a killed put leaves of them is removed by Tidy.
const temporary = ".part-"

func isTemporary(name string) bool {
	digits, ok := strings.CutPrefix(name, temporary)
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// writeWhole makes a private file, whole or not at all, and durable with its folder.
func writeWhole(path string, content io.Reader) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, temporary+"*")
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return syncDir(dir)
}

// makeDirs makes a folder and its parents, each durable in the one above it.
func makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDirs(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
