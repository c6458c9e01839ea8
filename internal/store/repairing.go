package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ReadRepairing returns where a data folder keeps its copy of before a repair that has begun and not ended, empty when
// there is none.
func ReadRepairing(f vfs.FS, dir string) (kept string, err error) {
	text, err := readFile(f, f.PathJoin(dir, repairingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("store: read %s: %w", repairingFile, err)
	}
	if kept = strings.TrimSpace(string(text)); kept == "" {
		kept = "none"
	}
	return kept, nil
}

// refuseRepairing is the error of a folder that a repair has left half done.
func refuseRepairing(f vfs.FS, dir string) error {
	kept, err := ReadRepairing(f, dir)
	if err != nil || kept == "" {
		return err
	}
	return fmt.Errorf("%w: a repair of %s was cut short, and indexes may lack entries: run `millstream repair --data %s --yes` again, or go back to the copy of before, %s",
		ErrDamaged, dir, dir, kept)
}

// BeginRepair marks the folder as one that is being repaired, durably: until EndRepair only an Open with
// Options.Repair takes it. kept names the copy of before.
func (s *Store) BeginRepair(kept string) error {
	if err := writeFile(s.space.fs, s.space.dir, repairingFile, []byte(kept+"\n")); err != nil {
		return fmt.Errorf("store: write %s: %w", repairingFile, err)
	}
	return nil
}

// EndRepair removes the mark, if it is there, durably. All that was written is durable before.
func (s *Store) EndRepair() error {
	err := s.space.fs.Remove(s.space.fs.PathJoin(s.space.dir, repairingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncFolder(s.space.fs, s.space.dir)
	}
	if err != nil {
		return fmt.Errorf("store: remove %s: %w", repairingFile, err)
	}
	return nil
}

// Rebuilt takes the ranges that lie in [lower, upper) out of quarantine, durably. All keys in there have been made
// anew, durably, since their range was taken out of the database.
func (s *Store) Rebuilt(lower, upper []byte) error {
	s.excising.Lock()
	defer s.excising.Unlock()
	list := s.Quarantine()
	left := slices.DeleteFunc(slices.Clone(list), func(q Quarantined) bool {
		return q.Removed && bytes.Compare(lower, q.From) <= 0 && bytes.Compare(q.To, upper) <= 0
	})
	if len(left) == len(list) {
		return nil
	}
	return s.enclose(left)
}
