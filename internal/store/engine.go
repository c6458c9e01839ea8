package store

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// openEngine opens the database, once the witness has found nothing missing in it.
//
// A database is born in Pebble's oldest format and upgraded at once; its first log,
// or the current one at an upgrade, stays in the old format, in which damage can go
// unseen. So the log is changed before the first write.
func (s *Store) openEngine(o *Options, dir string) error {
	if err := makeFolder(o.FS, dir); err != nil {
		return fmt.Errorf("store: make %s: %w", dir, err)
	}
	before, err := pebble.Peek(dir, o.FS)
	if err != nil {
		return peekFailed(dir, err)
	}
	if v := before.FormatMajorVersion; v > formatVersion {
		return newerError("database format", uint64(v), uint64(formatVersion))
	}
	s.witness.adopt(before)
	if err := s.witness.start(); err != nil {
		return err
	}
	faults, err := s.witness.verify(dir, before)
	if err != nil {
		return err
	}
	if len(faults) > 0 && o.AcceptLoss {
		if err := s.acceptLoss(dir, faults); err != nil {
			return err
		}
		faults = nil
	}
	if len(faults) > 0 {
		return lossError(faults)
	}
	if err := markFormat(o.FS, dir, before); err != nil {
		return err
	}
	refusal, err := s.startEngine(o, dir)
	if refusal != nil {
		// The engine itself tells of a log whose end is damaged in a way that the
		// witness, a second old, could not know.
		faults = s.witness.unreadable(dir, refusal)
		if len(faults) == 0 {
			return refusedByEngine(dir, refusal)
		}
		if !o.AcceptLoss {
			return lossError(faults)
		}
		if err := s.acceptLoss(dir, faults); err != nil {
			return err
		}
		if refusal, err = s.startEngine(o, dir); refusal != nil {
			return refusedByEngine(dir, refusal)
		}
	}
	if err == nil && (!before.Exists || before.FormatMajorVersion < formatVersion) {
		err = s.guard("open", s.db.Flush)
	}
	return err
}

// startEngine keeps apart the engine's refusal of a folder and a failure that has
// poisoned the store.
func (s *Store) startEngine(o *Options, dir string) (refusal, err error) {
	err = s.guard("open", func() error {
		po := engineOptions(o, dir, engineLog{s}, s.flushes.events())
		po.EnsureDefaults()
		s.tables = po.MakeReaderOptions()
		s.db, refusal = pebble.Open(dir, po)
		return nil
	})
	return refusal, err
}

var unknownFormat = regexp.MustCompile(`unknown format major version (\d+)`)

// peekFailed tells a database of a newer engine from one that cannot be read.
func peekFailed(dir string, err error) error {
	if m := unknownFormat.FindStringSubmatch(err.Error()); m != nil {
		v, _ := strconv.ParseUint(m[1], 10, 64) // digits
		return newerError("database format", v, uint64(formatVersion))
	}
	return fmt.Errorf("store: look at %s: %w", dir, err)
}

// The engine names a table that is not what its list of files says by number, and
// marks none of these errors.
var (
	cutTable     = regexp.MustCompile(`(\d+): object size mismatch \(.*?\): (\d+) \(disk\) != (\d+) \(MANIFEST\)`)
	missingTable = regexp.MustCompile(`L\d+: (\d+): .*unknown to the objstorage provider`)
)

// refusedByEngine says what to do about a database that the engine does not open.
func refusedByEngine(dir string, err error) error {
	var faults []fault
	text := err.Error()
	for _, m := range cutTable.FindAllStringSubmatch(text, -1) {
		faults = append(faults, fault{databasePath + "/" + m[1] + ".sst", fmt.Sprintf("has %s bytes and had %s", m[2], m[3])})
	}
	for _, m := range missingTable.FindAllStringSubmatch(text, -1) {
		faults = append(faults, fault{databasePath + "/" + m[1] + ".sst", "is missing"})
	}
	switch {
	case len(faults) > 0:
		return fmt.Errorf("%w: %s. Tables of data are gone. Put the files back, or restore the folder from a backup; "+
			"--accept-loss cannot help here: it is for logs", ErrDamaged, join(faults))
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: %w. Restore the folder from a backup", ErrDamaged, err)
	}
	return fmt.Errorf("store: open the database %s: %w", dir, err)
}

// lossError is what a start is refused with when what was synced is not there.
func lossError(faults []fault) error {
	return fmt.Errorf("%w: %s. What is gone was acknowledged as safe. Restore the folder from a backup; or, to go on without the writes that are lost, "+
		"keep a copy of the folder and start once with --accept-loss", ErrDamaged, join(faults))
}

func join(faults []fault) string {
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = f.name + " " + f.what
	}
	return strings.Join(texts, "; ")
}
