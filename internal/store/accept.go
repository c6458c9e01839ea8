package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// damagedPath is the folder, in the data folder, of files that could not be read and were accepted as lost.
const damagedPath = "damaged"

// trailerBytes is what the engine writes at the end of a log that it closes.
const trailerBytes = 11

// acceptLoss makes a folder whose logs have faults one that opens without what is lost: at the first gap the log
// ends. What comes after it is whole, but later, and a log is a prefix of what was written, always. Nothing is
// removed: the files are moved or copied to the folder damaged. When it is cut short it can be done again.
func (s *Store) acceptLoss(dir string, faults []fault) error {
	for _, f := range faults {
		if !strings.HasSuffix(f.name, ".log") {
			return fmt.Errorf("%w; --accept-loss cannot help here: it is for logs", lossError(faults))
		}
	}
	f := s.witness.fs
	logs, err := wal.Scan(wal.Dir{FS: f, Dirname: dir})
	if err != nil {
		return fmt.Errorf("store: list the logs: %w", err)
	}
	aside := f.PathJoin(s.witness.dir, damagedPath)
	if err := makeFolder(f, aside); err != nil {
		return fmt.Errorf("store: make %s: %w", aside, err)
	}
	for _, fault := range faults { // in the order of their numbers
		base := f.PathBase(fault.name)
		number, err := logNumber(base)
		if err != nil {
			return err
		}
		keep := int64(-1) // the log is missing
		if i := slices.IndexFunc(logs, func(l wal.LogicalLog) bool { return l.Num == number }); i >= 0 {
			var whole bool
			if keep, whole, err = readable(logs[i]); err != nil {
				return fmt.Errorf("store: read %s: %w", fault.name, err)
			}
			if whole && uint64(keep)+trailerBytes >= s.witness.files[base].end {
				if err := s.witness.forget(base); err != nil { // other bytes than those of records: nothing is lost
					return err
				}
				continue
			}
		}
		for _, later := range slices.Backward(logs) {
			if later.Num > number {
				_, path := later.SegmentLocation(0)
				if err := s.setAside(path, aside, -1); err != nil {
					return err
				}
			}
		}
		if keep >= 0 {
			if err := s.setAside(f.PathJoin(dir, base), aside, keep); err != nil {
				return err
			}
		} else if err := s.witness.forget(base); err != nil {
			return err
		}
		s.log.Warn("acknowledged writes are lost, as --accept-loss accepts: the log ends here", "file", fault.name, "kept_bytes", max(keep, 0),
			"damage", fault.what, "set_aside_in", aside)
		return nil
	}
	return nil
}

// readable returns where a log's last whole record ends, and whether the log goes on as if it ended there on purpose.
func readable(log wal.LogicalLog) (end int64, whole bool, err error) {
	r := log.OpenForRead()
	for {
		record, at, err := r.NextRecord()
		if err == nil {
			_, err = io.Copy(io.Discard, record)
		}
		if err != nil {
			return at.Physical, errors.Is(err, io.EOF), r.Close()
		}
	}
}

// setAside moves a log to the folder aside; with keep at or above 0 so many bytes of it stay where they are.
func (s *Store) setAside(path, aside string, keep int64) error {
	f := s.witness.fs
	base := f.PathBase(path)
	to := f.PathJoin(aside, base)
	for n := 1; ; n++ {
		if _, err := f.Stat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = f.PathJoin(aside, base+"."+strconv.Itoa(n))
	}
	move := func() error { return f.Rename(path, to) }
	if keep >= 0 {
		cut := path + temporarySuffix
		if err := errors.Join(copyFile(f, path, to, -1), copyFile(f, path, cut, keep)); err != nil {
			return fmt.Errorf("store: set %s aside: %w", path, err)
		}
		move = func() error { return f.Rename(cut, path) }
	}
	if err := s.witness.forget(base); err != nil {
		return err
	}
	if err := errors.Join(move(), syncFolder(f, aside), syncFolder(f, f.PathDir(path))); err != nil {
		return fmt.Errorf("store: set %s aside: %w", path, err)
	}
	return nil
}

// copyFile copies n bytes, or all below 0, durably.
func copyFile(f vfs.FS, from, to string, n int64) error {
	src, err := f.Open(from)
	if err != nil {
		return err
	}
	dst, err := f.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	var r io.Reader = src
	if n >= 0 {
		r = io.LimitReader(src, n)
	}
	_, err = io.Copy(dst, r)
	return errors.Join(err, dst.Sync(), dst.Close(), src.Close())
}

func logNumber(base string) (wal.NumWAL, error) {
	n, err := strconv.ParseUint(strings.TrimSuffix(base, ".log"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("store: the number of the log %s: %w", base, err)
	}
	return wal.NumWAL(n), nil
}
