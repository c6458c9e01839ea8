package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Inspect opens a data folder that no process has open, to look at it: nothing in it is changed,
// and the store takes no writes. Faults are what would have Open refuse it, or lose something;
// the store is nil when so much is damaged that nothing can be read. An error says that the
// folder could not be looked at.
func Inspect(dir string) (s *Store, faults []string, err error) { return InspectAt(dir, 0) }

// InspectAt is Inspect that reads so many bytes a second at most; 0: as fast as it goes.
func InspectAt(dir string, rate int64) (s *Store, faults []string, err error) {
	o := Options{FS: vfs.Default, Dir: dir, CacheBytes: defaultCacheBytes}
	if rate > 0 {
		o.FS = pacedFS{vfs.Default, &pace{rate: rate}}
	}
	f := o.FS
	if _, err := f.Stat(f.PathJoin(dir, versionFile)); err != nil {
		return nil, nil, fmt.Errorf("store: there is no data folder %s: name the one that the server was started with by --data (%w)", dir, err)
	}
	s = &Store{
		log: slog.New(slog.DiscardHandler), poisonedCh: make(chan struct{}), closingCh: make(chan struct{}), openedCh: make(chan struct{}),
		space: space{fs: f, dir: dir, start: time.Now()}, readOnly: true,
	}
	s.flushes.s = s
	s.batches.New = func() any { return new(Batch) } // who opens a room makes one, and leaves it empty
	if s.lock, err = lockFolder(f, dir); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil || s == nil {
			return
		}
		if s.db == nil {
			err, s = s.lock.Close(), nil
		}
	}()
	give := func(err error) (*Store, []string, error) { return nil, nil, errors.Join(err, s.lock.Close()) }
	if err := checkVersion(f, dir); err != nil {
		return give(err)
	}
	if err := refuseRepairing(f, dir); errors.Is(err, ErrDamaged) {
		faults = append(faults, err.Error())
	} else if err != nil {
		return give(err)
	}
	list, err := ReadQuarantine(f, dir)
	switch {
	case errors.Is(err, ErrDamaged):
		return s, append(faults, err.Error()), nil
	case err != nil:
		return give(err)
	}
	for _, q := range list {
		faults = append(faults, fmt.Sprintf("the keys from %x to %x are in quarantine, since %s was damaged; what was there is kept in %s", q.From, q.To, q.File, q.Copy))
	}
	if list != nil {
		s.quarantine.Store(&list)
	}
	db := f.PathJoin(dir, databasePath)
	before, err := pebble.Peek(db, f)
	if err != nil {
		return s, append(faults, peekFailed(db, err).Error()), nil
	}
	if v := before.FormatMajorVersion; v > formatVersion {
		return give(newerError("database format", uint64(v), uint64(formatVersion)))
	}
	if s.witness, err = openWitness(f, dir, s.log); err != nil {
		return s, append(faults, err.Error()), nil
	}
	lost, err := s.witness.verify(db, before)
	if err != nil {
		return give(err)
	}
	for _, l := range lost {
		faults = append(faults, l.name+" "+l.what)
	}
	po := engineOptions(&o, db, engineLog{s}, onlyErrors())
	po.FS, po.ReadOnly = inspectFS{f}, true
	po.EnsureDefaults()
	s.tables = po.MakeReaderOptions()
	if s.db, err = pebble.Open(db, po); err != nil {
		s.db = nil
		return s, append(faults, refusedByEngine(db, err).Error()), nil
	}
	return s, faults, nil
}

// onlyErrors are the events of a database that is only read: damage is the error of the read that
// meets it. Without a listener the engine takes it for the program's end.
func onlyErrors() *pebble.EventListener {
	return &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}
}

// inspectFS checks large blocks as engineFS does.
type inspectFS struct{ vfs.FS }

func (f inspectFS) Unwrap() vfs.FS { return f.FS }

func (f inspectFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err != nil || !isTable(name) {
		return file, err
	}
	return tableFile{file}, nil
}

// ReadOnly says that the store was opened by Inspect, and takes no writes.
func (s *Store) ReadOnly() bool { return s.readOnly }

// EndInspection closes what Inspect has opened.
func (s *Store) EndInspection() error { return errors.Join(s.db.Close(), s.lock.Close()) }

// CheckTables reads every block of every table of the database and compares it with its
// checksum. each is told of each file, with what is wrong with it, if anything.
func (s *Store) CheckTables(ctx context.Context, each func(name string, size uint64, fault error) error) error {
	levels, err := s.db.SSTables()
	if err != nil {
		return fmt.Errorf("store: list the tables: %w", err)
	}
	seen := map[string]bool{}
	for _, tables := range levels {
		for _, t := range tables {
			name := databasePath + "/" + t.BackingSSTNum.String() + ".sst"
			if seen[name] || ctx.Err() != nil {
				continue
			}
			seen[name] = true
			r, fault := s.openTable(s.space.fs.PathJoin(s.space.fs.PathJoin(s.space.dir, databasePath), t.BackingSSTNum.String()+".sst"))
			if fault == nil {
				fault = errors.Join(r.ValidateBlockChecksums(), r.Close())
			}
			if err := each(name, t.Size, fault); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}
