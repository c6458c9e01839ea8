package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Limits of a package, as AWS sets them, and those that only guard this machine.
const (
	// MaxZipped is the largest zip sent inline.
	MaxZipped = 52428800
	// MaxUnzipped is the largest package once unpacked.
	MaxUnzipped = 262144000
	// maxEntries bounds files, folders and links of one package.
	maxEntries = 100_000
	// maxLink is the longest target of a symbolic link.
	maxLink = 4096
)

// ErrNotZip: not a zip, a damaged one, or one with entries that may not be made.
// ErrTooLarge: over MaxUnzipped once unpacked.
var (
	ErrNotZip   = errors.New("archive: not a zip that can be unpacked")
	ErrTooLarge = errors.New("archive: too large once unpacked")
)

// Unpack writes the package in data below dir, which must exist and be empty.
// With sync every file and folder is synced to disk before it returns. After an
// error dir may hold a part of the package; the caller removes it.
//
// Files get mode 0400, or 0500 when the zip marks them executable, and folders
// 0500: a function must not change the code that other invocations run, and no other
// user of the machine has anything to look for in it.
func Unpack(data []byte, dir string, sync bool) error {
	// The reader makes a struct for every header it finds, whatever the count at
	// the end says, so headers are counted before it sees them.
	if bytes.Count(data, []byte("PK\x01\x02")) > maxEntries {
		return fmt.Errorf("%w: more than %d entries", ErrNotZip, maxEntries)
	}
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotZip, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("archive: open target: %w", err)
	}
	defer root.Close()

	u := unpacker{root: root, left: MaxUnzipped, kinds: map[string]kind{".": folder}}
	for _, f := range zr.File {
		if err := u.entry(f); err != nil {
			return err
		}
	}
	return u.finish(sync)
}

type kind byte

const (
	file kind = iota
	folder
	link
)

// unpacker makes entries in the zip's order, links last: nothing is ever written
// through a link of the same package.
type unpacker struct {
	root  *os.Root
	left  int64 // bytes that may still be unpacked
	kinds map[string]kind
	links []symlink
	files []string // in order made
	dirs  []string // every parent before its children
}

type symlink struct{ name, target string }

func (u *unpacker) entry(f *zip.File) error {
	name := strings.TrimSuffix(f.Name, "/")
	if strings.ContainsAny(name, "\x00\\") || path.IsAbs(name) {
		return fmt.Errorf("%w: entry name %q", ErrNotZip, f.Name)
	}
	name = path.Clean(name)
	if name == ".." || strings.HasPrefix(name, "../") {
		return fmt.Errorf("%w: entry %q climbs out", ErrNotZip, f.Name)
	}
	if u.left--; u.left < 0 { // an entry costs something even when it is empty
		return ErrTooLarge
	}
	mode := f.Mode()
	switch {
	case mode.IsDir() || strings.HasSuffix(f.Name, "/"):
		return u.mkdir(name)
	case mode&fs.ModeSymlink != 0:
		return u.link(f, name)
	case mode&fs.ModeType != 0:
		return fmt.Errorf("%w: entry %q is a %v", ErrNotZip, f.Name, mode.Type())
	}
	return u.file(f, name, mode)
}

// mkdir makes a folder and its parents.
func (u *unpacker) mkdir(name string) error {
	if k, ok := u.kinds[name]; ok {
		if k == folder {
			return nil
		}
		return fmt.Errorf("%w: %q is a file and a folder", ErrNotZip, name)
	}
	if strings.Count(name, "/") > 256 {
		return fmt.Errorf("%w: %q is too deep", ErrNotZip, name[:64])
	}
	if err := u.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if len(u.kinds) > maxEntries {
		return fmt.Errorf("%w: more than %d entries", ErrNotZip, maxEntries)
	}
	if err := u.root.Mkdir(name, 0o700); err != nil {
		return entryError(err)
	}
	u.kinds[name] = folder
	u.dirs = append(u.dirs, name)
	return nil
}

func (u *unpacker) file(f *zip.File, name string, mode fs.FileMode) error {
	if err := u.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if k, ok := u.kinds[name]; ok { // the later entry wins, as with unzip
		if k == folder {
			return fmt.Errorf("%w: %q is a file and a folder", ErrNotZip, name)
		}
		if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return entryError(err)
		}
	}
	src, err := f.Open()
	if err != nil {
		return fmt.Errorf("%w: %q: %w", ErrNotZip, name, err)
	}
	defer src.Close()
	dst, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return entryError(err)
	}
	defer dst.Close()
	n, err := io.Copy(dst, io.LimitReader(src, u.left+1))
	if u.left -= n; u.left < 0 {
		return ErrTooLarge
	}
	if err != nil {
		return entryError(err)
	}
	perm := fs.FileMode(0o400)
	if mode&0o111 != 0 {
		perm = 0o500
	}
	if err := dst.Chmod(perm); err != nil {
		return entryError(err)
	}
	if _, again := u.kinds[name]; !again {
		u.files = append(u.files, name)
	}
	u.kinds[name] = file
	return nil
}

func (u *unpacker) link(f *zip.File, name string) error {
	if err := u.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if _, ok := u.kinds[name]; ok {
		return fmt.Errorf("%w: %q appears twice", ErrNotZip, name)
	}
	src, err := f.Open()
	if err != nil {
		return fmt.Errorf("%w: %q: %w", ErrNotZip, name, err)
	}
	defer src.Close()
	target, err := io.ReadAll(io.LimitReader(src, maxLink+1))
	if err != nil || len(target) == 0 || len(target) > maxLink || bytes.IndexByte(target, 0) >= 0 {
		return fmt.Errorf("%w: bad link %q", ErrNotZip, name)
	}
	// The text of a target says where it leads only while no folder on its way is
	// a link itself; finish checks that by following each one below the root.
	if path.IsAbs(string(target)) {
		return fmt.Errorf("%w: link %q is absolute", ErrNotZip, name)
	}
	if to := path.Join(path.Dir(name), string(target)); to == ".." || strings.HasPrefix(to, "../") {
		return fmt.Errorf("%w: link %q climbs out", ErrNotZip, name)
	}
	u.kinds[name] = link
	u.links = append(u.links, symlink{name, string(target)})
	return nil
}

// finish makes the links, checks that none leads out, and syncs.
func (u *unpacker) finish(sync bool) error {
	for _, l := range u.links {
		if err := u.root.Symlink(l.target, l.name); err != nil {
			return entryError(err)
		}
	}
	for _, l := range u.links {
		// Stat follows the link inside the root. A dangling one is harmless, all
		// else (a loop, a way out through another link) is refused.
		if _, err := u.root.Stat(l.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: link %q: %w", ErrNotZip, l.name, err)
		}
	}
	if sync {
		// Side by side, so that the file system's journal can take many at once: a
		// package may hold ten thousand small files.
		var g errgroup.Group
		g.SetLimit(16)
		for _, name := range append(u.files, u.dirs...) {
			g.Go(func() error { return u.sync(name) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	for i := len(u.dirs) - 1; i >= 0; i-- {
		if err := u.root.Chmod(u.dirs[i], 0o500); err != nil {
			return entryError(err)
		}
	}
	if sync {
		return u.sync(".")
	}
	return nil
}

func (u *unpacker) sync(name string) error {
	f, err := u.root.Open(name)
	if err != nil {
		return fmt.Errorf("archive: sync: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("archive: sync: %w", err)
	}
	return nil
}

// entryError tells a fault of the package (damaged data, an impossible name)
// from one of this machine (a full disk).
func entryError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && !isNameError(p.Err) {
		return fmt.Errorf("archive: unpack: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrNotZip, err)
}
