package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// lineageFile names the line of the folder's life, with 16 random letters or more: a file
// number of the engine's is given once in it. Every open begins a new one, and so does each copy: of a folder that was
// copied, put back or rolled back by other means nobody could tell.
const lineageFile = "LINEAGE"

// PendingPath is the folder, in the data folder, of copies that are being made. An open removes it.
const PendingPath = "pending"

// stageFlush is the size of the log above which it is worth a flush to copy less of it.
const stageFlush = 4 << 20

// beginLineage writes a new LINEAGE, and removes what copies that were cut short have left.
func beginLineage(f vfs.FS, dir string) (was, is string, err error) {
	if err := f.RemoveAll(f.PathJoin(dir, PendingPath)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("store: remove %s: %w", PendingPath, err)
	}
	text, err := readFile(f, f.PathJoin(dir, lineageFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("store: read %s: %w", lineageFile, err)
	}
	if err := NewLineage(f, dir); err != nil {
		return "", "", err
	}
	now, err := readFile(f, f.PathJoin(dir, lineageFile))
	if err != nil {
		return "", "", fmt.Errorf("store: read %s: %w", lineageFile, err)
	}
	return strings.TrimSpace(string(text)), strings.TrimSpace(string(now)), nil
}

// Lineage names this open of the folder, and the one before it: no other open of any copy has the same name.
func (s *Store) Lineage() (was, is string) { return s.lineageWas, s.lineage }

// NewLineage begins a new line of life of a data folder that is not open, or not yet.
func NewLineage(f vfs.FS, dir string) error {
	if err := writeFile(f, dir, lineageFile, []byte(strings.ToLower(rand.Text())+"\n")); err != nil {
		return fmt.Errorf("store: %s: %w", lineageFile, err)
	}
	return nil
}

// Stage puts what the store has now into a new folder, as links where it can: a data folder
// that holds every write acknowledged before the call and opens as after a crash. Writers
// are not held up. All that it holds is durable when it returns.
func (s *Store) Stage(ctx context.Context, dir string) error {
	if err := s.check(); err != nil {
		return err
	}
	f := s.space.fs
	if err := makeFolder(f, dir); err != nil {
		return fmt.Errorf("store: make %s: %w", dir, err)
	}
	if s.db.Metrics().WAL.Size > stageFlush {
		if err := s.guard("flush", s.db.Flush); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// The copy of the list must be true of the copy of the database.
	s.excising.Lock()
	defer s.excising.Unlock()
	if err := s.checkpoint(f.PathJoin(dir, databasePath), pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("store: checkpoint: %w", err)
	}
	// The log was copied while it was written: the copy may hold batches that are not yet
	// durable here, and a copy must never be ahead of what this folder recovers.
	if err := s.syncLog(); err != nil {
		return err
	}
	// After the checkpoint, so that every range it lacks is listed.
	for _, name := range []string{versionFile, lineageFile, databaseFile, quarantineFile} {
		err := copyFile(f, f.PathJoin(s.space.dir, name), f.PathJoin(dir, name), -1)
		if errors.Is(err, fs.ErrNotExist) && name == quarantineFile {
			continue
		}
		if err != nil {
			return fmt.Errorf("store: copy %s: %w", name, err)
		}
	}
	if err := f.RemoveAll(f.PathJoin(f.PathJoin(dir, databasePath), "LOCK")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncFolder(f, dir)
}
