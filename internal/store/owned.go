package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ownedFile lists the opens of the folder that have had a chain (see the room chain), the oldest first: a line with the name of each, and the number of
// the first change of the open after it, 0 until there is one. So a folder that was put back from before what was copied is known as that, however
// often it has been opened since: the opens themselves change LINEAGE, the incarnation and the numbers. Behind opens that have had one for standbys
// alone, and none in a place, stands ownedHere: of a place they say nothing. It is in no backup.
const ownedFile = "REPLICATED"

const ownedHere = "standbys"

// ownedMost is how many opens are listed.
const ownedMost = 256

type owned struct {
	lineage string
	end     uint64
	here    bool // for standbys alone
}

// line has the name and the number alone, as an earlier release reads it, unless it is for standbys alone.
func (o owned) line() string {
	if o.here {
		return fmt.Sprintln(o.lineage, o.end, ownedHere)
	}
	return fmt.Sprintln(o.lineage, o.end)
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
		o.here = strings.HasSuffix(line, " "+ownedHere+"\n")
		all = append(all, o)
	}
	return all, len(all) == 0 || slices.ContainsFunc(all, inPlace), nil
}

func inPlace(o owned) bool { return !o.here }

func (s *Store) writeOwned(all []owned) error {
	if kept := all[max(0, len(all)-ownedMost):]; len(kept) < len(all) {
		if slices.ContainsFunc(all, inPlace) && !slices.ContainsFunc(kept, inPlace) { // that there was one in a place stays known
			kept[0].here = false
		}
		all = kept
	}
	var text []byte
	for _, o := range all {
		text = append(text, o.line()...)
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

// Owned says whether an open of this folder before this one has had a chain, and the number of the first change after it. known: one has had a chain in
// a place, or was refused there; a folder of which that is not so, or a copy, may go on with another's.
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

// Own says that this open is about to take a chain, in a place or for standbys that follow this server itself.
func (s *Store) Own(place bool) error {
	s.owning.Lock()
	defer s.owning.Unlock()
	all, _, err := s.readOwned()
	if err != nil {
		return err
	}
	return s.own(all, place)
}

// own is Own with what has been read. owning is held.
func (s *Store) own(all []owned, place bool) error {
	switch last := len(all) - 1; {
	case last < 0 || all[last].lineage != s.lineage:
		all = append(all, owned{lineage: s.lineage, here: !place})
	case place && all[last].here:
		all[last].here = false
	default:
		return nil
	}
	return s.writeOwned(all)
}

// Overtaken has the folder keep, from now on, that a place refused it: what is refused once stays so.
func (s *Store) Overtaken() error {
	s.owning.Lock()
	defer s.owning.Unlock()
	all, known, err := s.readOwned()
	if err != nil || known {
		return err
	}
	return s.own(all, true)
}
