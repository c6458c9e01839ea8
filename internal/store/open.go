package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Store is an open data folder. All its methods may be called at once, except
// Close, which comes after all else.
type Store struct {
	db         *pebble.DB
	tables     sstable.ReaderOptions // of the engine's tables
	lock       io.Closer             // of the folder
	log        *slog.Logger
	durability Durability
	meta       meta
	readOnly   bool
	lossy      bool // see RemoveStray; set by Open

	refusal    atomic.Pointer[error] // why calls are refused: the poison or ErrClosed
	poisoned   atomic.Pointer[error]
	ended      atomic.Bool // by End: the engine is well
	poisonedCh chan struct{}
	closing    atomic.Bool
	closingCh  chan struct{} // closed when the engine is about to be closed
	openedCh   chan struct{} // closed when the engine is open, and QUARANTINE read

	commits    atomic.Uint64 // applied since Open
	inflight   atomic.Int64  // begun to be applied, not yet known durable; only under Sync
	barrier    barriers
	periodic   periodic
	space      space
	flushes    flushWatch
	witness    *witness
	changes    []*Changes // one for each who takes them
	lineage    string     // of this open
	lineageWas string     // of the one before; empty: there was none, or the folder is a copy
	owning     sync.Mutex // held while REPLICATED is read and written
	damages    damages
	quarantine atomic.Pointer[[]Quarantined] // nil: none
	leaving    sync.RWMutex                  // see KeepFiles
	freezing   sync.Map                      // names for which a Freeze is under way
	copying    atomic.Int32                  // checkpoints under way
	excising   sync.Mutex                    // held while a range is taken out of the database, and while that and its list are copied; before applying
	applying   sync.RWMutex                  // held for writing while a range is taken out of the database, and by Still
	pauses     atomic.Int64                  // see pause
	stalled    atomic.Pointer[error]         // see checkStall

	batches sync.Pool // of *Batch
}

// Open opens the data folder, or makes it. When it returns, the new incarnation
// and everything found in the log are durable. The errors ErrLocked, ErrNewer and
// ErrDamaged say what to do.
func Open(o Options) (_ *Store, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = privateFS{vfs.Default, o.Dir}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	s := &Store{
		log:        o.Logger,
		durability: o.Durability,
		poisonedCh: make(chan struct{}),
		closingCh:  make(chan struct{}),
		openedCh:   make(chan struct{}),
		space:      space{fs: o.FS, dir: o.Dir, log: o.Logger, reserve: o.DiskReserve, start: time.Now()},
	}
	s.batches.New = func() any { return new(Batch) }
	s.flushes.s = s
	if o.Durability == Periodic {
		s.periodic.interval = o.SyncInterval
		if o.SyncInterval == 0 {
			s.periodic.interval = defaultSyncInterval
		}
	}

	if s.lock, err = lockFolder(o.FS, o.Dir); err != nil {
		return nil, err
	}
	defer func() {
		// After a poisoned open the engine may still be at work in the folder:
		// then the lock stays until the process ends.
		if err != nil && s.Err() == nil {
			close(s.closingCh)
			s.damages.stop()
			if s.db != nil {
				err = errors.Join(err, s.db.Close())
			}
			if s.witness != nil {
				err = errors.Join(err, s.witness.stop())
			}
			err = errors.Join(err, s.lock.Close())
		}
	}()
	// Before anything is written, so that a full disk is told with what it takes.
	if err := s.space.roomToStart(o.FS.PathJoin(o.Dir, databasePath)); err != nil {
		return nil, err
	}
	if err := checkVersion(o.FS, o.Dir); err != nil {
		return nil, err
	}
	if !o.Repair {
		if err := refuseRepairing(o.FS, o.Dir); err != nil {
			return nil, err
		}
	}
	if _, disk := o.FS.(privateFS); disk {
		tightenFolder(o.Dir, o.Logger)
	}
	if s.lineageWas, s.lineage, err = beginLineage(o.FS, o.Dir); err != nil {
		return nil, err
	}
	if s.witness, err = openWitness(o.FS, o.Dir, o.Logger); err != nil {
		return nil, err
	}
	if s.lossy, err = there(o.FS, o.FS.PathJoin(o.Dir, lossFile)); err != nil {
		return nil, err
	}
	if o.Changes > 0 {
		tail, err := logTail(o.FS, o.FS.PathJoin(o.Dir, databasePath), o.Changes/2)
		if err != nil {
			return nil, fmt.Errorf("store: read the log: %w", err)
		}
		for range max(1, o.Takers) {
			s.changes = append(s.changes, newChanges(s, o.Changes, slices.Clone(tail)))
		}
	}
	if err := s.openEngine(&o, o.FS.PathJoin(o.Dir, databasePath)); err != nil {
		return nil, err
	}
	if err := s.resumeQuarantine(); err != nil {
		return nil, err
	}
	close(s.openedCh)
	if err := s.enter(); err != nil {
		return nil, err
	}
	if err := s.nameDatabase(o.Dir); err != nil {
		return nil, err
	}
	s.space.measure() // else those who come together pass while the first of them measures
	return s, nil
}

// Close makes everything applied durable, whatever the durability of commits, and
// releases the folder. Nothing else may run on the store: iterators are closed,
// and the Sync of every applied Commit has been called.
//
// A poisoned store cannot be closed: its engine is left as it is, since it may hang
// or write on, and the folder stays locked until the process ends. Close then
// returns the poison.
func (s *Store) Close() error {
	if s.closing.Swap(true) {
		return ErrClosed
	}
	s.periodic.stop()
	if err := s.Err(); err != nil && !s.ended.Load() {
		return errors.Join(err, s.witness.stop())
	}
	closed := error(ErrClosed)
	s.refusal.CompareAndSwap(nil, &closed)
	s.barrier.idle.Wait()
	close(s.closingCh)
	s.damages.stop()
	if err := s.guard("close", s.db.Close); err != nil {
		return err
	}
	return errors.Join(s.witness.stop(), s.lock.Close())
}
