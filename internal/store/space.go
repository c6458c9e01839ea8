package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrDiskFull is under the error of Admit while the disk is nearly full.
var ErrDiskFull = errors.New("store: disk space is under the reserve")

// A full disk is worse than refused writes: on the log it poisons the store, on a
// flush the engine retries for ever while every apply hangs. So writes are refused
// while a reserve is still free. Asking the file system costs about a microsecond;
// it is asked once a second, and once in each spaceCheckBytes written, by the
// writer that comes by then. An idle store asks nothing.
const (
	spaceCheckEvery   = time.Second
	spaceCheckBytes   = 4 << 20
	defaultReserve    = 256 << 20
	defaultReservePer = 20        // of a small disk, a part in so many is enough
	leastReserve      = 128 << 20 // but so much that three quarters of it, down to which deletes go on, hold what the next start takes, and a merge on the way
)

type space struct {
	fs      vfs.FS
	dir     string
	log     *slog.Logger
	reserve uint64 // 0: the default
	start   time.Time

	next  atomic.Int64  // nanoseconds after start of the next check by time
	spent atomic.Uint64 // bytes applied since the last check
	full  atomic.Pointer[error]
	dire  atomic.Bool // what deletes may take of the reserve is gone, too
	last  atomic.Bool // and half of the reserve
}

func (d *space) spend(n uint64) { d.spent.Add(n) }

// Admit refuses writes while disk space is under the reserve, with an error over
// ErrDiskFull for the log, and while damage would soon have them wait for ever. It is cheap enough for every write, takes no lock, and
// is called before any.
func (s *Store) Admit() error { return s.admit(func(d *space) bool { return true }) }

// AdmitDelete is Admit for writes that remove something: they go on under the reserve, until a quarter of it is gone, since space
// comes back by them only.
func (s *Store) AdmitDelete() error {
	return s.admit(func(d *space) bool { return d.dire.Load() })
}

// AdmitRelief is Admit for the rare write that is small and lets go of much, as of a log of changes or a backup: it goes on until half of the
// reserve is gone. What many deletes write may have taken the rest.
func (s *Store) AdmitRelief() error {
	return s.admit(func(d *space) bool { return d.last.Load() })
}

// admit refuses a write on a full disk, when refuses says so.
func (s *Store) admit(refuses func(*space) bool) error {
	if err := s.check(); err != nil {
		return err
	}
	d := &s.space
	next := d.next.Load()
	if now := int64(time.Since(d.start)); now >= next || d.spent.Load() >= spaceCheckBytes {
		if d.next.CompareAndSwap(next, now+int64(spaceCheckEvery)) {
			d.measure()
			s.checkStall()
		}
	}
	if err := d.full.Load(); err != nil && refuses(d) {
		return *err
	}
	if err := s.stalled.Load(); err != nil {
		return *err
	}
	return nil
}

// startNeeds is what an open writes beside the contents of the logs: lists of files, a new log.
const startNeeds = 2 * logStep

// roomToStart refuses an open for which the disk has no room. The engine flushes what
// the log holds before it serves, and would try that for ever.
func (d *space) roomToStart(db string) error {
	usage, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		return nil // see measure
	}
	if least := d.reserveOf(usage) + startNeeds; usage.TotalBytes > 0 && usage.TotalBytes < least {
		return fmt.Errorf("%w: the disk of %s has %d MB in all, and %d MB are the least with which any write would be accepted; name a folder on a larger disk with --data",
			ErrDiskFull, d.dir, usage.TotalBytes>>20, least>>20)
	}
	names, err := d.fs.List(db)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a new folder has none
		return fmt.Errorf("store: list %s: %w", db, err)
	}
	var logs uint64
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		info, err := d.fs.Stat(d.fs.PathJoin(db, name))
		if err != nil {
			return fmt.Errorf("store: look at %s: %w", name, err)
		}
		logs += uint64(info.Size())
	}
	// Logs that are used again are as long as ever, but no more waits in them than memtables hold.
	need := startNeeds + min(logs, memTables*memTableSize)
	if usage.AvailBytes < need {
		return fmt.Errorf("%w: the disk of %s has %d MB free, and a start takes %d MB, for what is in the log; free some space and start again",
			ErrDiskFull, d.dir, usage.AvailBytes>>20, need>>20)
	}
	return nil
}

// Space returns how many bytes are free on the disk, and below how many writes are refused. known is false when the file system
// cannot tell.
func (s *Store) Space() (free, reserve uint64, known bool) {
	usage, err := s.space.fs.GetDiskUsage(s.space.dir)
	return usage.AvailBytes, s.space.reserveOf(usage), err == nil
}

func (d *space) reserveOf(usage vfs.DiskUsage) uint64 {
	if d.reserve != 0 {
		return d.reserve
	}
	return min(defaultReserve, max(leastReserve, usage.TotalBytes/defaultReservePer))
}

func (d *space) measure() {
	d.spent.Store(0)
	usage, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		// A file system that cannot tell (the one in memory) is never full; any
		// other failure of the question says nothing about the space.
		if !errors.Is(err, vfs.ErrUnsupported) {
			d.log.Warn("cannot read the free disk space", "error", err)
		}
		return
	}
	reserve := d.reserveOf(usage)
	d.dire.Store(usage.AvailBytes < reserve-reserve/4)
	d.last.Store(usage.AvailBytes < reserve/2)
	was := d.full.Load()
	if usage.AvailBytes >= reserve {
		if was != nil && d.full.CompareAndSwap(was, nil) {
			d.log.Info("disk space is back: writes are accepted", "free", usage.AvailBytes, "reserve", reserve)
		}
		return
	}
	full := fmt.Errorf("%w: %d bytes free, %d kept in reserve (free some space on the disk of %s)",
		ErrDiskFull, usage.AvailBytes, reserve, d.dir)
	if d.full.CompareAndSwap(was, &full) && was == nil {
		d.log.Error("writes are refused", "error", full)
	}
}
