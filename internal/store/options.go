package store

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Durability says when a commit counts as done.
type Durability byte

const (
	Sync     Durability = iota // fdatasync before every answer
	Periodic                   // synced every SyncInterval; a crash may lose that much
	NoSync                     // never synced on purpose; throw-away data
)

// String returns the name that the command line uses.
func (d Durability) String() string {
	switch d {
	case Sync:
		return "sync"
	case Periodic:
		return "periodic"
	default:
		return "none"
	}
}

// Options of Open.
type Options struct {
	FS         vfs.FS // nil: the machine's disk
	Dir        string // made, with its parents, when absent
	Durability Durability
	Logger     *slog.Logger // nil: silent
	// MaxOpenFiles is how many tables are kept open; 0: the engine's default, 1,000.
	MaxOpenFiles int
	CacheBytes   int64 // cap of the block cache, filled by use; 0 means 64 MiB
	// SyncInterval is the longest that Periodic leaves a commit unsynced; 0
	// means 100 ms.
	SyncInterval time.Duration
	// DiskReserve is the free space in bytes below which Admit refuses; 0 means
	// 256 MiB, or a twentieth of a disk smaller than 5 GiB, and at least 96 MiB.
	DiskReserve uint64
	// AcceptLoss opens a folder that has lost acknowledged writes at the end of its
	// log, without them, and sets the files aside from which they cannot be read.
	AcceptLoss bool
	// Changes is how many bytes of what is committed may wait to be taken: see Store.Changes. 0: nothing is collected.
	Changes int
	// Takers is how many take them, each for itself; 0: one.
	Takers int
	// Repair opens a folder that a repair has left half done.
	Repair bool
}

const (
	defaultCacheBytes   = 64 << 20
	defaultSyncInterval = 100 * time.Millisecond

	memTableSize = 32 << 20
	memTables    = 2

	l0Stop = 48 // parts of the upper level at which the engine has every write wait
)

// formatVersion is Pebble's format of this release. It is named and not left to
// the library's default, which is its oldest format: that one writes no sync
// chunks, so that one flipped byte in the middle of the log silently loses
// everything after it. Raising it is a one-way step for every folder opened.
const formatVersion = pebble.FormatValueSeparation

// engineOptions are Pebble's options, each set on purpose.
func engineOptions(o *Options, dir string, logger engineLog, events *pebble.EventListener) *pebble.Options {
	po := &pebble.Options{
		FS:                 engineFS{o.FS, logger.s, dir},
		Logger:             logger,
		EventListener:      events,
		FormatMajorVersion: formatVersion,
		// The engine takes the memtables out of the cache's room: with a cache as
		// large as both of them nothing at all is cached.
		MaxOpenFiles: o.MaxOpenFiles,
		CacheSize:    o.CacheBytes + memTables*memTableSize,

		// Rotating a memtable syncs the old log under the commit lock, so few and
		// large ones; but a restart after a kill replays both of them, so not
		// larger than this. Arenas cost memory only where they have been written.
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: memTables,

		// Retention trims by DeleteRange. Its tombstones are flushed within this
		// delay even if nothing more is written, and whole tables under them are
		// then dropped without being read.
		FlushDelayDeleteRange: 10 * time.Second,

		// Writes stop only when compaction is hopelessly behind: read
		// amplification grows before that, and the memtables bound memory.
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: l0Stop,
		LBaseMaxBytes:         128 << 20,

		// On two cores a second compaction would take the core that serves.
		CompactionConcurrencyRange: func() (lower, upper int) {
			return 1, max(1, min(4, runtime.GOMAXPROCS(0)/2))
		},

		// Background write-back of tables while they are written, so that their
		// final sync, and the log's syncs beside it, stay short.
		BytesPerSync: 1 << 20,
	}
	po.Experimental.EnableDeleteOnlyCompactionExcises = func() bool { return true }
	po.TargetFileSizes[0] = 4 << 20
	for i := range po.Levels {
		// On every level: an insert reads for its absent key first.
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].FilterType = pebble.TableFilter
		// Flushes and merges compress all that is written, twice and more. For that MinLZ takes half of Snappy's time or
		// less (docs/performance.md); where it has no assembly the engine's choice stays Snappy. Tables by either are read.
		po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
	}
	return po
}
