package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrNotStandby says that a folder holds data of its own, and so does not become a standby's.
var ErrNotStandby = errors.New("store: the data folder holds data of its own")

// apart are what may lie in a standby's folder beside its data, and stays when that is made anew: keys, which no copy has, and what a server
// keeps beside its database.
var apart = map[string]bool{
	lockFile: true, standbyFile: true, "admin.sock": true, "secrets.key": true, "console.key": true, "tls": true, "inside.port": true, "artifacts": true, "audit": true, "logs": true, "lost+found": true,
}

// IsApart says whether a name in a data folder is one of those.
func IsApart(name string) bool {
	return apart[name] || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "before-rejoin-")
}

// Standby is a data folder that follows the server that another has, by its lock.
type Standby struct {
	dir  string
	lock io.Closer
}

// BecomeStandby locks a folder, which is made if it is not there, and marks it. It is refused with ErrNotStandby when it has data of another kind.
func BecomeStandby(dir, of string) (*Standby, error) {
	f := privateFS{vfs.Default, dir}
	lock, err := lockFolder(f, dir)
	if err != nil {
		return nil, err
	}
	s := &Standby{dir, lock}
	if of, err = whole(of); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	switch text, err := readFile(f, f.PathJoin(dir, standbyFile)); {
	case err == nil:
		was := strings.TrimSpace(string(text))
		if was == of {
			return s, nil
		}
		// It may be the last copy that is left. Nothing is removed for a name.
		return nil, errors.Join(fmt.Errorf("%w: %s is that of a standby of %s, and not of %s; if that is the same place by another name, write it into %s; to follow another place, name an empty or new folder with --data",
			ErrNotStandby, dir, was, of, filepath.Join(dir, standbyFile)), lock.Close())
	case !errors.Is(err, fs.ErrNotExist):
		return nil, errors.Join(err, lock.Close())
	default:
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if !IsApart(e.Name()) {
				err = errors.Join(err, fmt.Errorf("%w (such as %s): name an empty or new folder with --data, or make one of %s with `millstream rejoin`", ErrNotStandby, e.Name(), dir))
				break
			}
		}
		if err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	tightenFolder(dir, slog.New(slog.DiscardHandler))
	if err := writeFile(f, dir, standbyFile, []byte(of+"\n")); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// whole returns a place with the whole path of its folder: a name alone is another folder's elsewhere.
func whole(place string) (string, error) {
	if strings.Contains(place, "://") {
		return place, nil
	}
	return filepath.Abs(place)
}

// HasData says whether the folder has data that can be opened by OpenStandby.
func (s *Standby) HasData() (bool, error) {
	f := vfs.Default
	restoring, err := there(f, f.PathJoin(s.dir, restoringFile))
	if err != nil || restoring {
		return false, err
	}
	return there(f, f.PathJoin(s.dir, versionFile))
}

// Clear removes the data, so that it can be made anew.
func (s *Standby) Clear() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.dir, versionFile)); err != nil && !errors.Is(err, fs.ErrNotExist) { // first: without it there is no data
		return err
	}
	for _, e := range entries {
		if !IsApart(e.Name()) {
			if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return syncFolder(vfs.Default, s.dir)
}

// Promote makes of the folder one that Open takes, which goes on in a line of life of the name lineage, with an incarnation that is raised by so
// much. Its Replay is closed.
func (s *Standby) Promote(lineage string, raise uint64) error {
	f := privateFS{vfs.Default, s.dir}
	err := writeFile(f, s.dir, lineageFile, []byte(lineage+"\n"))
	if err == nil {
		err = markCopied(f, s.dir, raise)
	}
	if err == nil {
		err = f.Rename(f.PathJoin(s.dir, standbyFile), f.PathJoin(s.dir, promotedFile)) // last
	}
	if err == nil {
		err = syncFolder(f, s.dir)
	}
	return err
}

// PromotedFrom says whether a folder was a standby of a place, and has been promoted.
func PromotedFrom(dir, of string) (bool, error) {
	text, err := readFile(vfs.Default, filepath.Join(dir, promotedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		of, err = whole(of)
	}
	return err == nil && strings.TrimSpace(string(text)) == of, err
}

// Close releases the folder.
func (s *Standby) Close() error { return s.lock.Close() }
