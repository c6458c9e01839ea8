package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	// ErrLocked says that another process (or another Store of this one) has the
	// folder open.
	ErrLocked = errors.New("store: the data folder is in use")
	// ErrNewer says that a later release has written to the folder.
	ErrNewer = errors.New("store: the data folder was written by a newer release")
	// ErrNotOurs says that the folder is in use for something else.
	ErrNotOurs = errors.New("store: not a data folder")
	// ErrDamaged says that the folder is not what a crash could have left.
	ErrDamaged = errors.New("store: the data folder is damaged")
	// ErrOvertaken says that a standby goes on in the place of the folder's server.
	ErrOvertaken = errors.New("store: another server goes on in this one's place")
	// ErrStalled is under the error of Admit while damage keeps new data from being merged with old.
	ErrStalled = errors.New("writes are refused")
)

// layoutVersion is the version of the folder and of what the rooms write in it.
// It is kept in VERSION, where a person and an older release can read it before
// any database is opened, and again in the database, so that neither can be mixed
// with the other's.
const layoutVersion = 1

const (
	versionFile  = "VERSION"
	lockFile     = "LOCK"
	databasePath = "db"
	// restoringFile is in a folder from the first moment of a restore until just before VERSION: what it has is not all.
	restoringFile = "RESTORING"

	// standbyFile is in a folder that follows a chain, and says which; with the promotion it becomes promotedFile.
	standbyFile  = "STANDBY"
	promotedFile = "PROMOTED"

	// overtakenFile is in the folder of a server in whose place a standby goes on, and says which; overtakesFile in that one's, until the other
	// server has been told.
	overtakenFile = "OVERTAKEN"
	overtakesFile = "OVERTAKES"

	// repairingFile is in a folder while a repair changes it, and says where the copy of before is: until the end, what is
	// derived from items may lack parts, which reads would answer as absent.
	repairingFile = "REPAIRING"

	temporarySuffix = ".tmp" // of a file that is not whole yet
)

// lockFolder makes the folder when it is absent and takes its lock. The lock ends
// with the process at the latest.
func lockFolder(f vfs.FS, dir string) (io.Closer, error) {
	if err := makeFolder(f, dir); err != nil {
		return nil, cannotUse(dir, err)
	}
	lock, err := f.Lock(f.PathJoin(dir, lockFile))
	if err != nil {
		return nil, cannotUse(dir, err)
	}
	return lock, nil
}

// cannotUse says why the data folder cannot be made or locked, and what to do. A lock
// that is held is told by the call that locks an open file; all else is told of a path.
func cannotUse(dir string, err error) error {
	var path *fs.PathError
	switch {
	case !errors.As(err, &path):
		return fmt.Errorf("%w: %s is open in another process; stop that one, or give this one another folder with --data (%w)",
			ErrLocked, dir, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("store: the data folder %s is on a file system that is mounted read-only: mount it for writing "+
			"(Linux does this to a disk that fails: look at dmesg), or name another folder with --data (%w)", dir, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("store: no permission to write to the data folder %s: run the server as the user that owns it, or name another folder with --data (%w)", dir, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("store: the data folder %s is, or lies below, a file: name a folder with --data (%w)", dir, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: no space is left on the disk of the data folder %s: make room, or name a folder on another disk with --data (%w)", ErrDiskFull, dir, err)
	}
	return fmt.Errorf("store: open the data folder %s: %w", dir, err)
}

// makeFolder makes dir and its parents, each durable in the one above it.
func makeFolder(f vfs.FS, dir string) error {
	if _, err := f.Stat(dir); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := f.PathDir(dir)
	if parent != dir && parent != "." {
		if err := makeFolder(f, parent); err != nil {
			return err
		}
	}
	if err := f.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncFolder(f, parent)
}

func syncFolder(f vfs.FS, dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkVersion reads VERSION, or writes it into a new folder. It is durable before
// there is a database, so a database without one is not ours.
func checkVersion(f vfs.FS, dir string) error {
	if text, err := readFile(f, f.PathJoin(dir, standbyFile)); err == nil {
		return fmt.Errorf("store: %s is the folder of a standby of %s: serve it with --standby-of, and let it go on in that server's place with `millstream promote`",
			dir, strings.TrimSpace(string(text)))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: look for %s: %w", standbyFile, err)
	}
	if _, err := f.Stat(f.PathJoin(dir, restoringFile)); err == nil {
		return fmt.Errorf("%w: the restore to %s was cut short, and the folder is not whole: remove it, and restore again", ErrDamaged, dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: look for %s: %w", restoringFile, err)
	}
	if text, err := readFile(f, f.PathJoin(dir, overtakenFile)); err == nil {
		return fmt.Errorf("%w: %s; make a standby of it with `millstream rejoin`; to look at what it has, copy the folder and remove %s from the copy",
			ErrOvertaken, strings.TrimSpace(string(text)), overtakenFile)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: look for %s: %w", overtakenFile, err)
	}
	name := f.PathJoin(dir, versionFile)
	switch text, err := readFile(f, name); {
	case err == nil:
		version, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || version < 1 {
			return fmt.Errorf("%w: %s holds %q, not a version number", ErrDamaged, name, text)
		}
		if version > layoutVersion {
			return newerError("layout", version, layoutVersion)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store: read %s: %w", name, err)
	}
	names, err := f.List(dir)
	if err != nil {
		return fmt.Errorf("store: list %s: %w", dir, err)
	}
	for _, other := range names {
		switch {
		case other == databasePath:
			return fmt.Errorf("%w: %s has a %s folder but no %s file; name an empty or new folder with --data",
				ErrDamaged, dir, databasePath, versionFile)
		case other != lockFile && other != versionFile+temporarySuffix && other != "lost+found" && !strings.HasPrefix(other, "."):
			return fmt.Errorf("%w: %s holds other things (such as %s); name an empty or new folder with --data", ErrNotOurs, dir, other)
		}
	}
	if err := writeFile(f, dir, versionFile, fmt.Appendln(nil, layoutVersion)); err != nil {
		return fmt.Errorf("store: write %s: %w", name, err)
	}
	return nil
}

// newerError is what a folder of a later release is refused with.
func newerError[N ~int | ~uint64](what string, has, known N) error {
	return fmt.Errorf("%w of Millstream: its %s is %d, and this one knows up to %d; start the release that wrote it, or a later one",
		ErrNewer, what, has, known)
}

func there(f vfs.FS, name string) (bool, error) {
	_, err := f.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: look for %s: %w", name, err)
	}
	return true, nil
}

func readFile(f vfs.FS, name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(file)
	return text, errors.Join(err, file.Close())
}

// writeFile makes a file whole or not at all, and durable.
func writeFile(f vfs.FS, dir, name string, text []byte) error {
	temporary := f.PathJoin(dir, name+temporarySuffix)
	file, err := f.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.Rename(temporary, f.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncFolder(f, dir)
}
