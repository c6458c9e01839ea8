package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// quarantineFile, in the data folder, lists the key ranges that were lost to damage.
// It is a file and not rows of the database, since it says what of those may be believed.
const quarantineFile = "QUARANTINE"

// quarantinedPath is the folder, in the data folder, of what lay in those ranges: for each a
// part of the database as it was, made of links, with the damaged file in it.
const quarantinedPath = "quarantined"

// Quarantined is a range of keys, From included and To not, of which damage has left
// nothing that may be answered. Every read that meets it fails with ErrDamaged.
// Writes into it are kept, and cannot be read either.
type Quarantined struct {
	From, To []byte
	File     string // the damaged one, below the data folder
	Copy     string // the folder with what was there, below the data folder
	Since    time.Time
	// Removed: the engine no longer has what lay in the range. A crash may come before.
	Removed bool
	// Row: it is so because a row says it, which Enclose has made. Without the row it is so no more.
	Row bool
}

// hexBytes are keys in the file, which people may read.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type quarantineForm struct {
	Version int         `json:"version"`
	Ranges  []rangeForm `json:"ranges"`
}

type rangeForm struct {
	From    hexBytes  `json:"from"`
	To      hexBytes  `json:"to"`
	File    string    `json:"file"`
	Copy    string    `json:"copy"`
	Since   time.Time `json:"since"`
	Removed bool      `json:"removed"`
	Row     bool      `json:"row,omitempty"`
}

const quarantineVersion = 1

// ReadQuarantine returns the ranges that a data folder lists, none when it has no such file.
func ReadQuarantine(f vfs.FS, dir string) ([]Quarantined, error) {
	text, err := readFile(f, f.PathJoin(dir, quarantineFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: read %s: %w", quarantineFile, err)
	}
	var form quarantineForm
	if err := json.Unmarshal(text, &form); err != nil {
		return nil, fmt.Errorf("%w: the file %s cannot be read (%w): without it, what was lost to damage would look as if it had never been there. Restore it, or the folder, from a backup",
			ErrDamaged, quarantineFile, err)
	}
	if form.Version > quarantineVersion {
		return nil, newerError("list of quarantined ranges", form.Version, quarantineVersion)
	}
	list := make([]Quarantined, 0, len(form.Ranges))
	for _, r := range form.Ranges {
		list = append(list, Quarantined{From: r.From, To: r.To, File: r.File, Copy: r.Copy, Since: r.Since, Removed: r.Removed, Row: r.Row})
	}
	return list, nil
}

// writeQuarantine replaces the list of a data folder, whole or not at all, durably. An
// empty list is no file.
func writeQuarantine(f vfs.FS, dir string, list []Quarantined) error {
	if len(list) == 0 {
		if err := f.Remove(f.PathJoin(dir, quarantineFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: remove %s: %w", quarantineFile, err)
		}
		return syncFolder(f, dir)
	}
	form := quarantineForm{Version: quarantineVersion}
	for _, q := range list {
		form.Ranges = append(form.Ranges, rangeForm{q.From, q.To, q.File, q.Copy, q.Since, q.Removed, q.Row})
	}
	text, err := json.MarshalIndent(form, "", "  ")
	if err == nil {
		err = writeFile(f, dir, quarantineFile, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("store: write %s: %w", quarantineFile, err)
	}
	return nil
}

// Quarantine lists the ranges that are lost to damage, in the order of their discovery.
func (s *Store) Quarantine() []Quarantined {
	if p := s.quarantine.Load(); p != nil {
		return slices.Clone(*p)
	}
	return nil
}

// enclose makes a list of ranges the one that reads are held against, once it is durable.
func (s *Store) enclose(list []Quarantined) error {
	if err := writeQuarantine(s.space.fs, s.space.dir, list); err != nil {
		return err
	}
	s.quarantine.Store(&list)
	return nil
}

// metaEnclosed begins the names of rows of what Enclose has put into quarantine. Copies that are made of changes have them, and not the list.
const metaEnclosed = "enclosed "

func (q *Quarantined) row() []byte {
	return metaKey(fmt.Sprintf("%s%x %x", metaEnclosed, q.From, q.To))
}

// Enclose puts a range into quarantine, durably, of which nothing is there: it was lost elsewhere, to the damage of file, and what is put here is made of the
// rest. A crash before the end leaves the range as it was, or in quarantine.
func (s *Store) Enclose(from, to []byte, file string) error {
	s.excising.Lock()
	defer s.excising.Unlock()
	q := Quarantined{From: bytes.Clone(from), To: bytes.Clone(to), File: file, Since: time.Now().UTC(), Removed: true, Row: true}
	text, err := json.Marshal(rangeForm{From: q.From, To: q.To, File: q.File, Since: q.Since, Removed: true})
	if err != nil {
		return err
	}
	b := s.NewBatch()
	defer b.Close()
	b.Set(q.row(), append([]byte{metaVersion}, text...))
	if err := errors.Join(s.Write(b), s.MakeDurable()); err != nil {
		return err
	}
	return s.encloseAll([]Quarantined{q})
}

// encloseAll adds to the list what no range in it has whole.
func (s *Store) encloseAll(more []Quarantined) error {
	list := s.Quarantine()
	n := len(list)
	for _, q := range more {
		if !slices.ContainsFunc(list, func(has Quarantined) bool {
			return bytes.Compare(has.From, q.From) <= 0 && bytes.Compare(q.To, has.To) <= 0
		}) {
			list = append(list, q)
		}
	}
	if len(list) == n {
		return nil
	}
	return s.enclose(list)
}

// followRows makes the list the one that the rows of what Enclose has put into quarantine tell, at the open. The folder may be a copy to which rows were
// added and removed by changes, or a crash may have come between a row and the list.
func (s *Store) followRows() error {
	rows, err := s.enclosed(nil, nil)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(s.Quarantine(), func(q Quarantined) bool {
		return q.Row && !slices.ContainsFunc(rows, func(r Quarantined) bool { return bytes.Equal(q.From, r.From) && bytes.Equal(q.To, r.To) })
	})
	if len(list) < len(s.Quarantine()) {
		if err := s.enclose(list); err != nil {
			return err
		}
	}
	return s.encloseAll(rows)
}

// enclosed reads the rows of what Enclose has put into quarantine within [lower, upper); nil is no bound.
func (s *Store) enclosed(lower, upper []byte) (list []Quarantined, err error) {
	err = s.Each(metaKey(metaEnclosed), func(_, v []byte) error {
		var r rangeForm
		if len(v) == 0 || v[0] != metaVersion || json.Unmarshal(v[1:], &r) != nil {
			return fmt.Errorf("%w: a row of what was lost elsewhere cannot be read", ErrDamaged)
		}
		if bytes.Compare(lower, r.From) <= 0 && (upper == nil || bytes.Compare(r.To, upper) <= 0) {
			list = append(list, Quarantined{From: r.From, To: r.To, File: r.File, Since: r.Since, Removed: true, Row: true})
		}
		return nil
	})
	return list, err
}

// DropRange removes a range of keys, for good, with what Enclose has put into quarantine of it. The list has that until Gone, or the next open.
func (s *Store) DropRange(b *Batch, lower, upper []byte) {
	b.DeleteRange(lower, upper)
	if len(s.Quarantine()) == 0 { // then there are no rows
		return
	}
	rows, err := s.enclosed(lower, upper) // not the list: that lacks those that lie within another range
	for _, q := range rows {
		b.Delete(q.row())
	}
	if err != nil {
		s.log.Error("ranges that are gone come back into quarantine with the next start", "error", err)
	}
}

// Gone takes what Enclose has put into quarantine of [lower, upper) out of it: all that was there has been removed for good, with what its keys are of.
// What stays in the list when that fails is only ever in the way of people, and so the log is told.
func (s *Store) Gone(lower, upper []byte) {
	of := func(q Quarantined) bool {
		return q.Removed && q.Copy == "" && bytes.Compare(lower, q.From) <= 0 && bytes.Compare(q.To, upper) <= 0
	}
	if !slices.ContainsFunc(s.Quarantine(), of) {
		return
	}
	rows, err := s.enclosed(lower, upper)
	if err == nil {
		b := s.NewBatch()
		defer b.Close()
		for _, q := range rows {
			b.Delete(q.row())
		}
		err = s.Write(b)
	}
	if err == nil {
		err = s.MakeDurable() // else a crash brings back what was removed, and not the list
	}
	if err == nil {
		s.excising.Lock()
		defer s.excising.Unlock()
		err = s.enclose(slices.DeleteFunc(s.Quarantine(), of))
	}
	if err != nil {
		s.log.Error("ranges of a table that is gone stay listed as in quarantine", "error", err)
	}
}

// err is what a read that meets the range is answered with.
func (q *Quarantined) err() error {
	return fmt.Errorf("%w: what was asked for lies in a range of keys that is in quarantine, since %s was damaged", ErrDamaged, q.File)
}

// lost returns why a key cannot be read, nil when it can. It is asked after the engine: what
// the engine has found then, or not found, it found in a database that the list is true of.
func (s *Store) lost(key []byte) error {
	p := s.quarantine.Load()
	if p == nil {
		return nil
	}
	for i := range *p {
		if q := &(*p)[i]; bytes.Compare(q.From, key) <= 0 && bytes.Compare(key, q.To) < 0 {
			return q.err()
		}
	}
	return nil
}

// fence holds an iterator against the ranges that its bounds meet. What lies between two of
// its positions was passed as absent; when a range lies there that is no answer.
type fence struct {
	ranges       []Quarantined
	lower, upper []byte
	at           []byte // the current key
	hit          error  // for good: the iterator is at its end
}

// fenceOf returns nil when there is nothing to hold against.
func fenceOf(list *[]Quarantined, lower, upper []byte) *fence {
	if list == nil {
		return nil
	}
	var met []Quarantined
	for _, q := range *list {
		if (upper == nil || bytes.Compare(q.From, upper) < 0) && (lower == nil || bytes.Compare(lower, q.To) < 0) {
			met = append(met, q)
		}
	}
	if met == nil {
		return nil
	}
	return &fence{ranges: met, lower: bytes.Clone(lower), upper: bytes.Clone(upper)}
}

// forward takes a move that began at from (nil: before all) and has come to key, or to the end.
func (f *fence) forward(from, key []byte, ok bool) bool {
	if !ok {
		key = f.upper
	}
	if f.hit == nil {
		for i := range f.ranges {
			if q := &f.ranges[i]; (from == nil || bytes.Compare(from, q.To) < 0) && (key == nil || bytes.Compare(q.From, key) <= 0) {
				f.hit = q.err()
			}
		}
	}
	return f.land(key, ok)
}

// backward takes a move down from to (nil: after all) to key, or to the beginning.
func (f *fence) backward(to, key []byte, ok bool) bool {
	if !ok {
		key = f.lower
	}
	if f.hit == nil {
		for i := range f.ranges {
			if q := &f.ranges[i]; (to == nil || bytes.Compare(q.From, to) < 0) && (key == nil || bytes.Compare(key, q.To) < 0) {
				f.hit = q.err()
			}
		}
	}
	return f.land(key, ok)
}

func (f *fence) land(key []byte, ok bool) bool {
	f.at = append(f.at[:0], key...)
	return ok && f.hit == nil
}
