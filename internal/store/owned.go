package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ownedFile lists the opens of the folder that have had a chain (see the room chain), the oldest first: a line with the name of each, and the number of
// the first change of the open after it, 0 until there is one. So a folder that was put back from before what was copied is known as that, however
// often it has been opened since: the opens themselves change LINEAGE, the incarnation and the numbers. It is in no backup.
const ownedFile = "REPLICATED"

// ownedMost is how many opens are listed.
const ownedMost = 256

type owned struct {
	lineage string
	end     uint64
}

func (s *Store) readOwned() (all []owned, known bool, err error) {
	return readOwned(s.space.fs, s.space.dir)
}

func readOwned(f vfs.FS, dir string) (all []owned, known bool, err error) {
	text, err := readFile(f, f.PathJoin(dir, ownedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("store: read %s: %w", ownedFile, err)
	}
	for line := range strings.Lines(string(text)) {
		var o owned
		if _, err := fmt.Sscan(line, &o.lineage, &o.end); err != nil {
			return nil, false, fmt.Errorf("%w: %s has the line %q", ErrDamaged, ownedFile, line)
		}
		all = append(all, o)
	}
	return all, true, nil
}

func (s *Store) writeOwned(all []owned) error {
	var text []byte
	for _, o := range all[max(0, len(all)-ownedMost):] {
		text = fmt.Appendln(text, o.lineage, o.end)
	}
	if err := writeFile(s.space.fs, s.space.dir, ownedFile, text); err != nil {
		return fmt.Errorf("store: write %s: %w", ownedFile, err)
	}
	return nil
}

// openedOwned says that this open begins with a number.
func (s *Store) openedOwned(first uint64) error {
	all, _, err := s.readOwned()
	if err != nil || len(all) == 0 || all[len(all)-1].end != 0 {
		return err
	}
	for i := range all {
		if all[i].end == 0 {
			all[i].end = first
		}
	}
	return s.writeOwned(all)
}

// Owned says whether an open of this folder before this one has had a chain, and the number of the first change after it. known: the folder keeps
// such a list; one that never had a chain, or is a copy, has none.
func (s *Store) Owned(lineage string) (end uint64, ours, known bool, err error) {
	all, known, err := s.readOwned()
	for _, o := range all {
		if o.lineage == lineage {
			return o.end, true, known, err
		}
	}
	return 0, false, known, err
}

// OwnedUpTo says whether an open of a folder, which nobody has open now, has had a chain, and the folder lacks nothing of it up to a number.
func OwnedUpTo(dir, lineage string, number uint64) (bool, error) {
	all, _, err := readOwned(vfs.Default, dir)
	for _, o := range all {
		if o.lineage == lineage && (o.end == 0 || number <= o.end) {
			return true, err
		}
	}
	return false, err
}

// Own says that this open is about to take a chain.
func (s *Store) Own() error {
	all, _, err := s.readOwned()
	if err != nil || len(all) > 0 && all[len(all)-1].lineage == s.lineage {
		return err
	}
	return s.writeOwned(append(all, owned{lineage: s.lineage}))
}

// Overtaken has the folder keep a list from now on: what is refused once stays so.
func (s *Store) Overtaken() error {
	all, known, err := s.readOwned()
	if err != nil || known {
		return err
	}
	return s.writeOwned(all)
}
