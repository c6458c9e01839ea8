package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// readError is the error of a read; of damaged data it is over ErrDamaged.
func readError(op string, err error) error {
	if pebble.IsCorruptionError(err) {
		return &readDamage{op, err}
	}
	return fmt.Errorf("store: %s: %w", op, err)
}

// readDamage is the error of a read of damaged data. It tells which file is damaged; the engine's own text is of more lines.
type readDamage struct {
	op  string
	err error
}

func (d *readDamage) Error() string {
	what, _, _ := strings.Cut(d.err.Error(), "\n")
	if i := pebble.ExtractDataCorruptionInfo(d.err); i != nil && i.Path != "" {
		dir, file := filepath.Split(i.Path)
		what = filepath.Base(dir) + "/" + file + ": " + what
	}
	return fmt.Sprintf("%v: %s: %s", ErrDamaged, d.op, what)
}

func (d *readDamage) Unwrap() []error { return []error{ErrDamaged, d.err} }

// Get appends the value under key to dst; found reports whether there is one.
// It sees everything that has been applied, durable or not.
func (s *Store) Get(dst, key []byte) (value []byte, found bool, err error) {
	seen, found, err := s.View(key)
	if err != nil || !found {
		return dst, false, err
	}
	dst = append(dst, seen.Value...)
	if err := seen.Close(); err != nil {
		return dst[:len(dst)-len(seen.Value)], false, err
	}
	return dst, true, nil
}

// Seen is a value where the store has it, until Close. What has been overwritten meanwhile is kept for it, so it is closed soon.
type Seen struct {
	Value  []byte
	s      *Store
	closer io.Closer // nil: Value is nobody else's
}

// Close lets go of the value. Its error says that the value is not to be believed.
func (v *Seen) Close() error {
	if v.closer != nil {
		if err := v.closer.Close(); err != nil {
			return readError("get", err)
		}
	}
	if v.s == nil {
		return nil
	}
	return v.s.Err()
}

// View is Get without a copy.
func (s *Store) View(key []byte) (_ Seen, found bool, err error) {
	if err := s.check(); err != nil {
		return Seen{}, false, err
	}
	v, closer, err := s.db.Get(key)
	if lost := s.lost(key); lost != nil {
		if err == nil {
			_ = closer.Close()
		}
		return Seen{}, false, lost
	}
	switch {
	case err == nil:
		return Seen{v, s, closer}, true, nil
	case errors.Is(err, pebble.ErrNotFound):
		return Seen{}, false, s.Err()
	}
	v, found, err = s.getAround(nil, key, err)
	return Seen{Value: v}, found, err
}

// getAround gets a key that failed to be got, because of damage, without the parts of tables
// that only make that quicker: an iterator asks no filter. cause is returned when it was not that.
func (s *Store) getAround(dst, key []byte, cause error) (value []byte, found bool, err error) {
	if !pebble.IsCorruptionError(cause) {
		return dst, false, readError("get", cause)
	}
	it, err := s.NewIter(key, append(bytes.Clone(key), 0))
	if err != nil {
		return dst, false, err
	}
	before := len(dst)
	if found = it.First(); found {
		var v []byte
		if v, err = it.Value(); err == nil {
			dst = append(dst, v...)
		}
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return dst[:before], false, err
	}
	return dst, found, nil
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
	if err == nil {
		err = closer.Close()
	}
	if lost := s.lost(key); lost != nil {
		return false, lost
	}
	if errors.Is(err, pebble.ErrNotFound) {
		return false, s.Err()
	}
	if err != nil {
		_, found, err := s.getAround(nil, key, err)
		return found, err
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
	p, err := s.NewProbes()
	if err != nil {
		return dst, false, err
	}
	defer p.Close()
	return p.Get(dst, key)
}

// Iter walks [lower, upper) and sees what was applied when it was made. It is
// used by one goroutine at a time, holds memory and files of the engine, and is
// to be closed soon: it must not be kept over a wait for a client or a function.
//
// When a move returns false, Close tells whether that was the end or an error.
type Iter struct {
	s    *Store
	it   *pebble.Iterator
	lost *[]Quarantined // the ranges that its moments' database lacks
	f    *fence         // nil: none of them is near
}

// Each calls f with the rows whose keys begin with prefix, in their order, until it returns an error, which is Each's. A key and
// a value hold until f returns.
func (s *Store) Each(prefix []byte, f func(key, value []byte) error) (err error) {
	it, err := s.NewIter(prefix, PrefixEnd(prefix))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		if err := f(it.Key(), v); err != nil {
			return err
		}
	}
	return nil
}

// NewIter makes an iterator. A nil bound is no bound. The bounds are copied.
func (s *Store) NewIter(lower, upper []byte) (*Iter, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return s.iter(s.db, lower, upper)
}

// iter makes an iterator of a database that s has, its own or one that is frozen.
func (s *Store) iter(db *pebble.DB, lower, upper []byte) (*Iter, error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, readError("iterate", err)
	}
	lost := s.quarantine.Load() // after the moment that the iterator sees
	return &Iter{s: s, it: it, lost: lost, f: fenceOf(lost, lower, upper)}, nil
}

// Clone makes an iterator over other bounds that sees the same moment.
func (it *Iter) Clone(lower, upper []byte) (*Iter, error) {
	inner, err := it.it.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: lower, UpperBound: upper}})
	if err != nil {
		return nil, readError("iterate", err)
	}
	return &Iter{s: it.s, it: inner, lost: it.lost, f: fenceOf(it.lost, lower, upper)}, nil
}

// up is the end of each move towards higher keys, which began at from; down of each other.
func (it *Iter) up(from []byte, ok bool) bool {
	if it.f != nil {
		ok = it.f.forward(from, it.it.Key(), ok)
	}
	return it.well(ok)
}

func (it *Iter) down(to []byte, ok bool) bool {
	if it.f != nil {
		ok = it.f.backward(to, it.it.Key(), ok)
	}
	return it.well(ok)
}

// well turns every position of a poisoned store into an end.
func (it *Iter) well(ok bool) bool { return ok && it.s.poisoned.Load() == nil }

func (it *Iter) First() bool {
	ok := it.it.First()
	if it.f == nil {
		return it.well(ok)
	}
	return it.up(it.f.lower, ok)
}

func (it *Iter) Last() bool {
	ok := it.it.Last()
	if it.f == nil {
		return it.well(ok)
	}
	return it.down(it.f.upper, ok)
}

func (it *Iter) SeekGE(key []byte) bool { return it.up(key, it.it.SeekGE(key)) }
func (it *Iter) SeekLT(key []byte) bool { return it.down(key, it.it.SeekLT(key)) }

func (it *Iter) Next() bool {
	ok := it.it.Next()
	if it.f == nil {
		return it.well(ok)
	}
	return it.up(it.f.at, ok)
}

func (it *Iter) Prev() bool {
	ok := it.it.Prev()
	if it.f == nil {
		return it.well(ok)
	}
	return it.down(it.f.at, ok)
}

func (it *Iter) Valid() bool { return it.well(it.it.Valid() && (it.f == nil || it.f.hit == nil)) }

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
	if it.f != nil && it.f.hit != nil {
		return it.f.hit
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

// Holds says what lies in the key spaces but those that are named, in words.
func (s *Store) Holds(but ...byte) (all []string, err error) {
	for _, space := range slices.Sorted(maps.Keys(spaces)) {
		if slices.Contains(but, space) {
			continue
		}
		it, err := s.NewIter([]byte{space}, []byte{space + 1})
		if err != nil {
			return nil, err
		}
		if it.First() {
			all = append(all, spaces[space].what)
		}
		if err := it.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}
