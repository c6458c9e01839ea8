package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// fault is a file of the engine that is not what its last sync has left.
type fault struct {
	name string // below the data folder
	what string
}

// missing is what is wrong with a file that is not there.
const missing = "is missing"

// byNumber orders names of logs by their numbers, which have six digits or more, and manifests behind them.
func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// verify compares the database's files with what the witness knows and returns the
// faults that mean a loss. before is what the engine would take for the database.
func (w *witness) verify(dir string, before *pebble.DBDesc) (faults []fault, err error) {
	if w.incarnation == 0 {
		return nil, nil
	}
	current := ""
	if before.Exists {
		current = w.fs.PathBase(before.ManifestFilename)
		if _, known := w.files[current]; !known {
			faults = append(faults, fault{databasePath + "/marker.manifest.*", "names " + current + ", which is not the current list of the database's files"})
		}
	} else {
		faults = append(faults, fault{databasePath + "/marker.manifest.*", "is missing"})
	}
	for _, name := range slices.SortedFunc(maps.Keys(w.files), byNumber) {
		if name != current && !strings.HasSuffix(name, ".log") {
			continue // a manifest from before, or one that was never put in force
		}
		what, err := w.compare(w.fs.PathJoin(dir, name), w.files[name])
		if err != nil {
			return nil, fmt.Errorf("store: verify %s: %w", name, err)
		}
		if what != "" {
			faults = append(faults, fault{databasePath + "/" + name, what})
		}
	}
	if len(faults) > 0 {
		faults = w.relevant(dir, before, faults)
	}
	return faults, nil
}

// compare returns what is wrong with a file, nothing when it begins as it should.
func (w *witness) compare(path string, want extent) (string, error) {
	file, err := w.fs.Open(path, vfs.SequentialReadsOption)
	if errors.Is(err, fs.ErrNotExist) {
		return missing, nil
	}
	if err != nil {
		return "", err
	}
	digest := xxhash.New()
	n, err := io.Copy(digest, io.LimitReader(file, int64(want.end)))
	if err := errors.Join(err, file.Close()); err != nil {
		return "", err
	}
	switch {
	case uint64(n) < want.end:
		return fmt.Sprintf("ends at byte %d, and %d were synced to disk", n, want.end), nil
	case digest.Sum64() != want.sum:
		return fmt.Sprintf("holds other bytes than were written, somewhere in its first %d", want.end), nil
	}
	return "", nil
}

// relevant drops the faults that mean no loss: logs that the engine would not read,
// since their data is in tables, and all of them when a program without a witness
// has been in the folder since. It opens the database for reading only, which
// changes nothing in it; that takes as long as an open, and is done on suspicion only.
func (w *witness) relevant(dir string, before *pebble.DBDesc, faults []fault) []fault {
	look := lookFS{FS: w.fs, opened: map[string]bool{}}
	incarnation, err := look.database(dir)
	if err != nil { // the engine has found something, too
		first := ""
		for name := range look.opened {
			if strings.HasSuffix(name, ".log") && (first == "" || byNumber(name, first) < 0) {
				first = name
			}
		}
		// It reads the logs in order, from the first that it needs. The log may end where it must end only, so an older one's damage is not to count.
		return slices.DeleteFunc(faults, func(f fault) bool {
			base := w.fs.PathBase(f.name)
			return strings.HasSuffix(base, ".log") && f.what != missing && first != "" && byNumber(base, first) < 0
		})
	}
	if incarnation > w.incarnation {
		w.log.Info("the data folder was last used by a program that keeps no witness of the log: it begins anew")
		w.incarnation = 0
		clear(w.files)
		w.adopt(before)
		return nil
	}
	return slices.DeleteFunc(faults, func(f fault) bool {
		return strings.HasSuffix(f.name, ".log") && f.what != missing && !look.opened[w.fs.PathBase(f.name)]
	})
}

// unreadable tells which log the engine could not read, if that is why it refuses to
// open: it reads one after the other, and stops.
func (w *witness) unreadable(dir string, refusal error) []fault {
	if !pebble.IsCorruptionError(refusal) {
		return nil
	}
	look := lookFS{FS: w.fs, opened: map[string]bool{}}
	_, err := look.database(dir)
	last := ""
	for name := range look.opened {
		if strings.HasSuffix(name, ".log") {
			last = slices.MaxFunc([]string{last, name}, byNumber)
		}
	}
	if last == "" || !pebble.IsCorruptionError(err) {
		return nil
	}
	return []fault{{databasePath + "/" + last, "cannot be read (" + err.Error() + ")"}}
}

// adopt begins a blank witness of a database that is there: its manifest is known to
// be in force, and no more.
func (w *witness) adopt(before *pebble.DBDesc) {
	if w.incarnation == 0 && before.Exists {
		w.files[w.fs.PathBase(before.ManifestFilename)] = extent{sum: xxhash.Sum64(nil)}
	}
}

// lookFS notes which files are read.
type lookFS struct {
	vfs.FS
	opened map[string]bool
}

func (f lookFS) Unwrap() vfs.FS { return f.FS }

func (f lookFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	f.opened[f.PathBase(name)] = true
	return f.FS.Open(name, o...)
}

// database opens the database for reading and returns its incarnation.
func (f lookFS) database(dir string) (incarnation uint64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("store: look at the database: %v", r)
		}
	}()
	db, err := pebble.Open(dir, &pebble.Options{
		FS: f, ReadOnly: true, Logger: quiet{}, FormatMajorVersion: formatVersion, MaxOpenFiles: 64,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	v, closer, err := db.Get(metaKey(metaIncarnation))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(v) == 1+8 {
		incarnation = binary.BigEndian.Uint64(v[1:])
	}
	return incarnation, closer.Close()
}
