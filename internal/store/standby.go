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
	if path, is := strings.CutPrefix(place, "unix:"); is { // a server's socket
		path, err := filepath.Abs(path)
		return "unix:" + path, err
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
	err := s.Elsewhere("")
	if err == nil {
		err = writeFile(f, s.dir, lineageFile, []byte(lineage+"\n"))
	}
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
	was, err := Promoted(dir)
	if err == nil && was != "" {
		of, err = whole(of)
	}
	return err == nil && was != "" && was == of, err
}

// Promoted returns of what a folder was a standby that has been promoted; empty: it was none.
func Promoted(dir string) (of string, err error) {
	text, err := readFile(vfs.Default, filepath.Join(dir, promotedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// seedPath is where a copy grows that Adopt makes the data; it stays when the data is removed.
const seedPath = ".seed"

// Seed is an empty folder, in this one, for a copy that is to take the place of the data.
func (s *Standby) Seed() (dir string, err error) {
	dir = filepath.Join(s.dir, seedPath)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o700)
}

// Adopt makes of what is in Seed's folder the data. What was there before stays until all of the copy is there. VERSION comes last: a folder without
// it has no data.
func (s *Standby) Adopt() error {
	from := filepath.Join(s.dir, seedPath)
	entries, err := os.ReadDir(from)
	if err == nil {
		err = errors.Join(syncFolder(vfs.Default, from), s.Clear())
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != versionFile && err == nil {
			err = os.Rename(filepath.Join(from, e.Name()), filepath.Join(s.dir, e.Name()))
		}
	}
	if err == nil {
		err = syncFolder(vfs.Default, s.dir)
	}
	if err == nil {
		err = os.Rename(filepath.Join(from, versionFile), filepath.Join(s.dir, versionFile))
	}
	if err == nil {
		err = syncFolder(vfs.Default, s.dir)
	}
	return errors.Join(err, os.RemoveAll(from))
}

// elsewhereFile is in a standby's folder when the server that it follows has said that another goes on in its place, and has what it said.
const elsewhereFile = "ELSEWHERE"

// Elsewhere keeps that; empty: it is not so any more.
func (s *Standby) Elsewhere(text string) error {
	if text == "" {
		if err := os.Remove(filepath.Join(s.dir, elsewhereFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return writeFile(privateFS{vfs.Default, s.dir}, s.dir, elsewhereFile, []byte(text+"\n"))
}

// ReadElsewhere returns it.
func (s *Standby) ReadElsewhere() (string, error) {
	text, err := readFile(vfs.Default, filepath.Join(s.dir, elsewhereFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// Overtakes has the folder, before it is promoted, remember what is to be told to the server in whose place it goes on; nil: nothing.
func (s *Standby) Overtakes(text []byte) error {
	if text == nil {
		if err := os.Remove(filepath.Join(s.dir, overtakesFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return writeFile(privateFS{vfs.Default, s.dir}, s.dir, overtakesFile, text)
}

// ToOvertake returns what a folder has to tell to the server in whose place it goes on; nil: nothing.
func ToOvertake(dir string) ([]byte, error) {
	text, err := readFile(vfs.Default, filepath.Join(dir, overtakesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Told says that it has been.
func Told(dir string) error {
	return errors.Join(os.Remove(filepath.Join(dir, overtakesFile)), syncFolder(vfs.Default, dir))
}

// MarkOvertaken has the folder refused from the next open on, since another server goes on in this one's place.
func (s *Store) MarkOvertaken(by string) error {
	return writeFile(s.space.fs, s.space.dir, overtakenFile, []byte(by+"\n"))
}

// OvertakenBy returns what a folder keeps of the one that goes on in its server's place.
func OvertakenBy(dir string) (string, error) {
	text, err := readFile(vfs.Default, filepath.Join(dir, overtakenFile))
	return strings.TrimSpace(string(text)), err
}

// Close releases the folder.
func (s *Standby) Close() error { return s.lock.Close() }
