package store

import (
	"fmt"
	"slices"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
)

// frozenPath is the folder, beside the database, of stretches of it as they were at some moment. Their files are
// links to the database's own, which take room of their own only once the database has no more use for them.
const frozenPath = "frozen"

// frozenCacheBytes is the block cache of an open Frozen, which is read once, in order.
const frozenCacheBytes = 1 << 20

// Frozen is a stretch of the database as it was when it was frozen. It outlives restarts until Thaw. Its methods may be
// called at once, except Close, which comes after all else.
type Frozen struct {
	s     *Store
	db    *pebble.DB
	cache *pebble.Cache
}

func (s *Store) frozenDir(name string) string {
	fs := s.space.fs
	return fs.PathJoin(fs.PathJoin(s.space.dir, frozenPath), name)
}

// Flush writes what is in memory to tables, so that a Freeze that follows has little of the log to take along.
func (s *Store) Flush() error {
	if err := s.check(); err != nil {
		return err
	}
	return s.guard("flush", s.db.Flush)
}

// FlushSoon begins what Flush does, and does not wait for it.
func (s *Store) FlushSoon() error {
	if err := s.check(); err != nil {
		return err
	}
	return s.guard("flush", func() error {
		_, err := s.db.AsyncFlush()
		return err
	})
}

// Span is a range of keys.
type Span struct {
	Lower []byte // included
	Upper []byte // not included
}

// Freeze keeps the keys of some spans as they are now, at one moment, under a name that is none yet, durably. All that has been applied
// is in it, and is durable when Freeze has returned. After an error Thaw removes what there is of it. (Keys beyond the bounds may be there too, and mean nothing.)
func (s *Store) Freeze(name string, spans ...Span) error {
	if err := s.check(); err != nil {
		return err
	}
	// Of the log's sync an error poisons; of the rest it does no harm to what is there, such as for want of room.
	if err := s.syncLog(); err != nil {
		return err
	}
	var only []pebble.CheckpointSpan
	for _, x := range spans {
		only = append(only, pebble.CheckpointSpan{Start: x.Lower, End: x.Upper})
	}
	s.freezing.Store(name, nil)
	defer s.freezing.Delete(name)
	var failed error
	err := s.guard("freeze", func() error {
		failed = s.checkpoint(s.frozenDir(name), pebble.WithRestrictToSpans(only))
		return nil
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("store: freeze: %w", failed)
	}
	return err
}

// OpenFrozen opens what was frozen under a name.
func (s *Store) OpenFrozen(name string) (*Frozen, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	f := &Frozen{s: s, cache: pebble.NewCache(frozenCacheBytes)}
	db, err := pebble.Open(s.frozenDir(name), &pebble.Options{
		FS: s.space.fs, ReadOnly: true, Cache: f.cache, Logger: quiet{}, EventListener: onlyErrors(), FormatMajorVersion: formatVersion, MaxOpenFiles: 64,
	})
	if err != nil {
		f.cache.Unref()
		return nil, fmt.Errorf("store: open what was frozen as %s: %w", name, err)
	}
	f.db = db
	return f, nil
}

// NewIter makes an iterator, as Store.NewIter does. It may be kept: it holds nothing of the database.
func (f *Frozen) NewIter(lower, upper []byte) (*Iter, error) {
	return f.s.iter(f.db, lower, upper)
}

// Close lets go of the files. Iterators are closed before.
func (f *Frozen) Close() error {
	err := f.db.Close()
	f.cache.Unref()
	return err
}

// Thaw removes what was frozen under a name, which is not open; nothing happens when there is none.
func (s *Store) Thaw(name string) error {
	s.leaving.RLock()
	defer s.leaving.RUnlock()
	if err := s.space.fs.RemoveAll(s.frozenDir(name)); err != nil {
		return fmt.Errorf("store: remove what was frozen: %w", err)
	}
	return nil
}

// ThawStray is RemoveStray of what was frozen under a name.
func (s *Store) ThawStray(name string) error { return s.RemoveStray(frozenPath, name) }

// FrozenNames lists what is frozen; what a Freeze has not yet ended with is not.
func (s *Store) FrozenNames() ([]string, error) {
	fs := s.space.fs
	dir := fs.PathJoin(s.space.dir, frozenPath)
	names, err := fs.List(dir)
	if oserror.IsNotExist(err) {
		return nil, nil // nothing ever was
	}
	if err != nil {
		return nil, fmt.Errorf("store: list what is frozen: %w", err)
	}
	// After the listing: what is under way now may have been under way then.
	return slices.DeleteFunc(names, func(name string) bool {
		_, making := s.freezing.Load(name)
		return making
	}), nil
}

// quiet is a logger of an engine that only reads: what fails is returned as an error, and a Fatalf,
// of which such an engine has none, ends the goroutine.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
