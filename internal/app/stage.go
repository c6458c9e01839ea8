package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/keep"
	"github.com/millstreamdb/millstream/internal/store"
)

// stages makes copies of the data folder for backups. A copy is made of links, so it costs
// little until the database moves on; the next one, and the next open, remove it.
type stages struct {
	s    *App
	copy func(ctx context.Context, dir string) error // of the database

	making sync.Mutex // held while a copy is made, before mu: it may take long, and nobody else waits for that

	mu sync.Mutex // guards the following
	id string     // of the copy that is there; empty: none
	// idle removes a copy of which nothing has been asked for stageIdle: who asked for it is gone, and it keeps room on the disk.
	idle *time.Timer
}

// stageIdle is longer than a backup over a slow line takes from one file to the next.
const stageIdle = time.Hour

func (g *stages) dir(id string) string { return filepath.Join(g.s.opts.Dir, store.PendingPath, id) }

// Stage implements admin.Stages.
func (g *stages) Stage(r *http.Request) (wire.Stage, error) {
	if g.s.opts.Dir == "" {
		return wire.Stage{}, wire.BadRequest("This server keeps its data in memory: there is no folder to back up.")
	}
	g.making.Lock()
	defer g.making.Unlock()
	g.mu.Lock()
	err := g.remove()
	g.mu.Unlock()
	if err != nil {
		return wire.Stage{}, err
	}
	id := strings.ToLower(rand.Text()[:16])
	st := wire.Stage{ID: id}
	if err := g.make(r.Context(), g.dir(id)); err != nil {
		return st, errors.Join(err, os.RemoveAll(g.dir(id)))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.id = id
	if err := r.Context().Err(); err != nil {
		return st, errors.Join(err, g.remove())
	}
	g.idle = time.AfterFunc(stageIdle, func() {
		if err := g.Remove(id); err != nil {
			g.s.opts.Logger.Error("the copy for a backup that nobody asks for any more cannot be removed", "error", err)
		}
	})
	err = filepath.WalkDir(g.dir(id), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(g.dir(id), path)
		st.Files = append(st.Files, wire.StageFile{Name: filepath.ToSlash(name), Size: info.Size()})
		return err
	})
	return st, err
}

// make links what lies beside the database after it has copied the database: what a row of the copy names was there by then.
// Backups of tables, and what is frozen, are not removed in between. Code may be, so it is linked before, too.
func (g *stages) make(ctx context.Context, dir string) error {
	defer g.s.store.KeepFiles()()
	if err := linkFiles(g.s.store, g.s.opts.Dir, dir); err != nil {
		return err
	}
	if err := g.copy(ctx, dir); err != nil {
		return err
	}
	return linkFiles(g.s.store, g.s.opts.Dir, dir)
}

// linkFiles links what a data folder has beside the database, and cannot be made again from it. What is being frozen at the time is
// left out: no row names it yet, and its files still grow.
func linkFiles(st *store.Store, root, to string) error {
	frozen, err := st.FrozenNames()
	if err != nil {
		return err
	}
	for _, pattern := range []string{"code/*/package.zip", "frozen/*/*", "quarantined/*/*", "backups/*/*"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			path := filepath.Join(to, rel)
			if strings.HasPrefix(pattern, store.BackupsPath) && !keep.IsID(filepath.Base(filepath.Dir(path))) {
				continue // someone's own
			}
			if strings.HasPrefix(pattern, "frozen") && !slices.Contains(frozen, filepath.Base(filepath.Dir(path))) {
				continue
			}
			if filepath.Base(path) == "LOCK" || strings.HasSuffix(path, ".tmp") || strings.HasPrefix(filepath.Base(filepath.Dir(path)), ".") { // not there yet, or no more
				continue
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return err
			}
			if err := os.Link(name, path); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("copy %s: %w", rel, err)
			}
		}
	}
	return nil
}

// Open implements admin.Stages.
func (g *stages) Open(id, name string) (io.ReadCloser, int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id == "" || id != g.id || !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, 0, fs.ErrNotExist
	}
	g.idle.Reset(stageIdle)
	file, err := os.Open(filepath.Join(g.dir(id), filepath.FromSlash(name)))
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, errors.Join(err, file.Close(), fs.ErrNotExist)
	}
	return &asked{file, g.idle}, info.Size(), nil
}

// asked is a file of the copy. While it is read, which may take hours for a large one over a slow line, the copy is in use.
type asked struct {
	io.ReadCloser
	idle *time.Timer // of a copy that is gone it does nothing
}

func (a *asked) Read(p []byte) (int, error) {
	a.idle.Reset(stageIdle)
	return a.ReadCloser.Read(p)
}

// Remove implements admin.Stages.
func (g *stages) Remove(id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id == "" || id != g.id {
		return nil
	}
	return g.remove()
}

func (g *stages) remove() error {
	if g.id == "" {
		return nil
	}
	if g.idle != nil {
		g.idle.Stop()
	}
	err := os.RemoveAll(g.dir(g.id))
	g.id = ""
	return err
}
