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
	if err := writeFile(f, s.witness.dir, lossFile, []byte("writes are given up, as --accept-loss accepts\n")); err != nil {
		return fmt.Errorf("store: write %s: %w", lossFile, err)
	}
	s.lossy = true
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
	to, err := unused(f, f.PathJoin(aside, base))
	if err != nil {
		return fmt.Errorf("store: set %s aside: %w", path, err)
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

// lossFile is in a folder from before --accept-loss gives up a part of its log until all that opens after that has compared its files with its
// rows: a file whose row is not there may be one whose row was lost, and is not to be removed.
const lossFile = "LOSS"

// RemoveStray removes a file or folder, by its path below the data folder, that no row names. After a loss that was accepted it is moved to
// the folder damaged instead: what it is may be whole, and wanted. It is for the sweeps of a start.
func (s *Store) RemoveStray(path ...string) error {
	f := s.space.fs
	from := f.PathJoin(append([]string{s.space.dir}, path...)...)
	if !s.lossy {
		if err := f.RemoveAll(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: remove %s: %w", from, err)
		}
		return nil
	}
	to := f.PathJoin(append([]string{s.space.dir, damagedPath}, path...)...)
	if err := makeFolder(f, f.PathDir(to)); err != nil {
		return fmt.Errorf("store: make %s: %w", f.PathDir(to), err)
	}
	to, err := unused(f, to)
	if err == nil {
		err = errors.Join(f.Rename(from, to), syncFolder(f, f.PathDir(to)), syncFolder(f, f.PathDir(from)))
	}
	if err != nil {
		return fmt.Errorf("store: set %s aside: %w", from, err)
	}
	s.log.Warn("files have no row that names them, which may be a row that was lost: they are set aside, and not removed", "files", from, "set_aside_in", to)
	return nil
}

// Lossy says whether a loss was accepted, and not everything has compared its files with its rows since.
func (s *Store) Lossy() bool { return s.lossy }

// LossSettled says that everything has compared its files with its rows. After an error before it the next start does so again.
func (s *Store) LossSettled() error {
	if !s.lossy {
		return nil
	}
	if err := s.space.fs.Remove(s.space.fs.PathJoin(s.space.dir, lossFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: remove %s: %w", lossFile, err)
	}
	return syncFolder(s.space.fs, s.space.dir)
}

// unused returns a path, with a number behind it when there is something there.
func unused(f vfs.FS, path string) (string, error) {
	to := path
	for n := 1; ; n++ {
		if _, err := f.Stat(to); errors.Is(err, fs.ErrNotExist) {
			return to, nil
		} else if err != nil {
			return "", err
		}
		to = path + "." + strconv.Itoa(n)
	}
}

func logNumber(base string) (wal.NumWAL, error) {
	n, err := strconv.ParseUint(strings.TrimSuffix(base, ".log"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("store: the number of the log %s: %w", base, err)
	}
	return wal.NumWAL(n), nil
}
