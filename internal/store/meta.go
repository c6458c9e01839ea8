package store

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The rows of SpaceMeta: SpaceMeta ‖ name → version byte ‖ content.
const (
	metaFormat      = "format"      // layoutVersion, 8 bytes big-endian
	metaDatabase    = "database-id" // 16 random bytes
	metaIncarnation = "incarnation" // 8 bytes big-endian
	metaTokenKey    = "token-key"   // 32 random bytes

	metaVersion = 1
)

type meta struct {
	database    [16]byte
	incarnation uint64
	tokenKey    [32]byte
}

func metaKey(name string) []byte { return append([]byte{SpaceMeta}, name...) }

func (s *Store) readMeta(name string, size int) (content []byte, found bool, err error) {
	v, found, err := s.Get(nil, metaKey(name))
	if errors.Is(err, ErrDamaged) {
		return nil, false, fmt.Errorf("%w. The store's own rows cannot be read: restore the folder from a backup", err)
	}
	if err != nil || !found {
		return nil, false, err
	}
	if len(v) != 1+size || v[0] != metaVersion {
		return nil, false, fmt.Errorf("%w: the row %s of its database cannot be read", ErrDamaged, name)
	}
	return v[1:], true, nil
}

// enter reads the meta rows, or makes them in a new database, and raises the
// incarnation. All is durable when it returns, whatever the durability of commits:
// sequence numbers are made from the incarnation, and no two runs may share one.
func (s *Store) enter() error {
	raise, err := readCopied(s.space.fs, s.space.dir)
	if err != nil {
		return err
	}
	format, found, err := s.readMeta(metaFormat, 8)
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }()
	set := func(name string, content []byte) {
		_ = b.Set(metaKey(name), append([]byte{metaVersion}, content...), nil) // only an indexed batch can fail
	}

	if found {
		if v := binary.BigEndian.Uint64(format); v > layoutVersion {
			return newerError("layout", v, layoutVersion)
		}
		for _, row := range []struct {
			name string
			into func(content []byte)
			size int
		}{
			{metaDatabase, func(c []byte) { copy(s.meta.database[:], c) }, len(s.meta.database)},
			{metaTokenKey, func(c []byte) { copy(s.meta.tokenKey[:], c) }, len(s.meta.tokenKey)},
			{metaIncarnation, func(c []byte) { s.meta.incarnation = binary.BigEndian.Uint64(c) }, 8},
		} {
			content, found, err := s.readMeta(row.name, row.size)
			if err != nil {
				return err
			}
			if !found {
				return fmt.Errorf("%w: its database has no row %s", ErrDamaged, row.name)
			}
			row.into(content)
		}
	} else {
		if err := s.mustBeEmpty(); err != nil {
			return err
		}
		_, _ = rand.Read(s.meta.database[:]) // never fails
		_, _ = rand.Read(s.meta.tokenKey[:])
		set(metaFormat, binary.BigEndian.AppendUint64(nil, layoutVersion))
		set(metaDatabase, s.meta.database[:])
		set(metaTokenKey, s.meta.tokenKey[:])
	}
	// The row may have gone with what --accept-loss has given up; the witness knows of it.
	s.meta.incarnation = max(s.meta.incarnation, s.witness.incarnation) + 1 + raise
	if err := s.witness.enter(s.meta.incarnation); err != nil {
		return err
	}
	set(metaIncarnation, binary.BigEndian.AppendUint64(nil, s.meta.incarnation))
	repr := s.repr(b)
	if err := s.guard("open", func() error { return s.db.Apply(b, pebble.Sync) }); err != nil {
		return err
	}
	for _, c := range s.changes {
		c.opened(repr)
	}
	if err := s.openedOwned(uint64(b.SeqNum())); err != nil {
		return err
	}
	if raise > 0 { // after a crash before this it is raised once more, which does no harm
		return s.space.fs.Remove(s.space.fs.PathJoin(s.space.dir, copiedFile))
	}
	return nil
}

// copiedFile is in a folder that is a copy of another, until its first open, and has by how much that open raises the
// incarnation: the other one may have gone on, and what it has given numbers to since must not be met here under the same ones.
const copiedFile = "COPIED"

// copyRaise is by how much at least; maxRaise keeps a file that is damaged, or made by hand, from using up the room for numbers.
const copyRaise, maxRaise = 1 << 10, 1 << 17

// MarkCopied makes that file in a folder that is not open.
func MarkCopied(f vfs.FS, dir string) error { return markCopied(f, dir, copyRaise) }

func markCopied(f vfs.FS, dir string, raise uint64) error {
	if err := writeFile(f, dir, copiedFile, fmt.Appendln(nil, raise)); err != nil {
		return fmt.Errorf("store: write %s: %w", copiedFile, err)
	}
	return nil
}

// readCopied returns what the file says; 0: there is none.
func readCopied(f vfs.FS, dir string) (raise uint64, err error) {
	text, err := readFile(f, f.PathJoin(dir, copiedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store: read %s: %w", copiedFile, err)
	}
	raise, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || raise < 1 || raise > maxRaise {
		return 0, fmt.Errorf("%w: %s holds %q, not a number from 1 to %d", ErrDamaged, f.PathJoin(dir, copiedFile), text, maxRaise)
	}
	return raise, nil
}

// mustBeEmpty refuses a database that has data but lost its meta rows: they were
// written first, so no crash leaves that behind.
func (s *Store) mustBeEmpty() error {
	it, err := s.NewIter(nil, nil)
	if err != nil {
		return err
	}
	any := it.First()
	if err := it.Close(); err != nil {
		return err
	}
	if any {
		return fmt.Errorf("%w: its database has data but no row %s", ErrDamaged, metaFormat)
	}
	return nil
}

// databaseFile has the database's id, so that those who only copy files know whose they are.
const databaseFile = "DATABASE"

// nameDatabase writes the id to its file, unless it is there.
func (s *Store) nameDatabase(dir string) error {
	f := s.space.fs
	text := fmt.Sprintf("%x\n", s.meta.database)
	switch is, err := readFile(f, f.PathJoin(dir, databaseFile)); {
	case err == nil && string(is) == text:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store: read %s: %w", databaseFile, err)
	}
	if err := writeFile(f, dir, databaseFile, []byte(text)); err != nil {
		return fmt.Errorf("store: write %s: %w", databaseFile, err)
	}
	return nil
}

// Incarnation is raised and synced by every Open, so it is unique to this run of
// this database. It is at least 1.
func (s *Store) Incarnation() uint64 { return s.meta.incarnation }

// DatabaseID is 16 random bytes made with the database.
func (s *Store) DatabaseID() [16]byte { return s.meta.database }

// TokenKey is a 32-byte secret for signing tokens handed to clients. It survives
// restarts. The caller may keep the slice but not change it.
func (s *Store) TokenKey() []byte { return s.meta.tokenKey[:] }
