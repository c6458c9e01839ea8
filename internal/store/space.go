package store

import (
	"errors"
	"fmt"
	"log/slog"
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
	spaceCheckBytes   = 16 << 20
	defaultReserve    = 256 << 20
	defaultReservePer = 20 // of a small disk, a part in so many is enough
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
}

func (d *space) spend(n uint64) { d.spent.Add(n) }

// Admit refuses writes while disk space is under the reserve, with an error over
// ErrDiskFull for the log, and while damage would soon have them wait for ever. It is cheap enough for every write, takes no lock, and
// is called before any.
func (s *Store) Admit() error {
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
	if err := d.full.Load(); err != nil {
		return *err
	}
	if err := s.stalled.Load(); err != nil {
		return *err
	}
	return nil
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
	reserve := d.reserve
	if reserve == 0 {
		reserve = min(defaultReserve, usage.TotalBytes/defaultReservePer)
	}
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
