package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// readError is the error of a read; of damaged data it is over ErrDamaged.
func readError(op string, err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, op, err)
	}
	return fmt.Errorf("store: %s: %w", op, err)
}

// Get appends the value under key to dst; found reports whether there is one.
// It sees everything that has been applied, durable or not.
func (s *Store) Get(dst, key []byte) (value []byte, found bool, err error) {
	if err := s.check(); err != nil {
		return dst, false, err
	}
	v, closer, err := s.db.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return dst, false, s.Err()
		}
		return dst, false, readError("get", err)
	}
	dst = append(dst, v...)
	if err := closer.Close(); err != nil {
		return dst[:len(dst)-len(v)], false, readError("get", err)
	}
	return dst, true, s.Err()
}

// DiskUsage estimates how many bytes of files the keys in [lower, upper) take. What
// was written in the last moments, and is in memory only, is not counted.
func (s *Store) DiskUsage(lower, upper []byte) (int64, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	n, err := s.db.EstimateDiskUsage(lower, upper)
	if err != nil {
		return 0, fmt.Errorf("store: disk usage: %w", err)
	}
	return int64(n), s.Err()
}

// Has reports whether key is there.
func (s *Store) Has(key []byte) (bool, error) {
	if err := s.check(); err != nil {
		return false, err
	}
	_, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, s.Err()
	}
	if err == nil {
		err = closer.Close()
	}
	if err != nil {
		return false, readError("get", err)
	}
	return true, s.Err()
}

// probing is for one point: no bounds, and the filters of the bottom level too.
var probing = pebble.IterOptions{UseL6Filters: true}

// Probe is Get for a key that is probably absent, as that of a new item. The
// engine's own Get does not ask the bloom filters of the bottom level, where nearly
// all data lies, and so reads a block of it to find nothing. Probe does: it takes
// half the time for an absent key, and a quarter more for one that is there.
func (s *Store) Probe(dst, key []byte) (value []byte, found bool, err error) {
	if err := s.check(); err != nil {
		return dst, false, err
	}
	it, err := s.db.NewIter(&probing)
	if err != nil {
		return dst, false, readError("get", err)
	}
	before := len(dst)
	if found = it.SeekPrefixGE(key); found {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			dst = append(dst, v...)
		}
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return dst[:before], false, readError("get", err)
	}
	return dst, found, s.Err()
}

// Iter walks [lower, upper) and sees what was applied when it was made. It is
// used by one goroutine at a time, holds memory and files of the engine, and is
// to be closed soon: it must not be kept over a wait for a client or a function.
//
// When a move returns false, Close tells whether that was the end or an error.
type Iter struct {
	s  *Store
	it *pebble.Iterator
}

// NewIter makes an iterator. A nil bound is no bound. The bounds are copied.
func (s *Store) NewIter(lower, upper []byte) (*Iter, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, readError("iterate", err)
	}
	return &Iter{s: s, it: it}, nil
}

// Clone makes an iterator over other bounds that sees the same moment.
func (it *Iter) Clone(lower, upper []byte) (*Iter, error) {
	inner, err := it.it.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: lower, UpperBound: upper}})
	if err != nil {
		return nil, readError("iterate", err)
	}
	return &Iter{s: it.s, it: inner}, nil
}

// well turns every position of a poisoned store into an end.
func (it *Iter) well(ok bool) bool { return ok && it.s.poisoned.Load() == nil }

func (it *Iter) First() bool            { return it.well(it.it.First()) }
func (it *Iter) Last() bool             { return it.well(it.it.Last()) }
func (it *Iter) SeekGE(key []byte) bool { return it.well(it.it.SeekGE(key)) }
func (it *Iter) SeekLT(key []byte) bool { return it.well(it.it.SeekLT(key)) }
func (it *Iter) Next() bool             { return it.well(it.it.Next()) }
func (it *Iter) Prev() bool             { return it.well(it.it.Prev()) }
func (it *Iter) Valid() bool            { return it.well(it.it.Valid()) }

// Key returns the current key, valid until the next move.
func (it *Iter) Key() []byte { return it.it.Key() }

// Value returns the current value, valid until the next move.
func (it *Iter) Value() ([]byte, error) {
	v, err := it.it.ValueAndErr()
	if err != nil {
		return nil, readError("iterate", err)
	}
	return v, nil
}

// Close releases the iterator and returns any error met on the way. Closing it
// again does nothing, so that a deferred Close may stand behind one whose error
// is looked at: the engine gives closed iterators out again.
func (it *Iter) Close() error {
	inner := it.it
	if inner == nil {
		return nil
	}
	it.it = nil
	if err := inner.Close(); err != nil {
		return readError("iterate", err)
	}
	return it.s.Err()
}

// PrefixEnd returns the smallest key after all keys that begin with p, and nil,
// which is no bound, when there is none (p is empty or all 0xff).
func PrefixEnd(p []byte) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xff {
			end := append([]byte(nil), p[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}
