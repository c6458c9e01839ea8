package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/bucket"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/keep"
	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/stack"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Finding is what Check found of one part of a data folder.
type Finding struct {
	Part   string   `json:"part"`
	Looked int64    `json:"looked"` // how much of it there is
	Faults []string `json:"faults,omitempty"`
	Notes  []string `json:"notes,omitempty"` // what is no fault, and good to know
}

// Check looks at a data folder that no server has open, and changes nothing in it; keys is the file of the keys that seal, or empty for the folder's own. An error says
// that it could not look.
func Check(ctx context.Context, dir, keys string, tell func(Finding)) error {
	return look{dir: dir, shown: dir, keys: keyFile(dir, keys)}.check(ctx, tell)
}

// CheckDeep is Check that compares the levels of the database, too.
func CheckDeep(ctx context.Context, dir, keys string, tell func(Finding)) error {
	return look{dir: dir, shown: dir, keys: keyFile(dir, keys), deep: true}.check(ctx, tell)
}

// CheckCopy is Check of a copy that a running server has made of its folder (stages): without the objects of its buckets, which are in no copy. It
// reads rate bytes a second at most; 0: as fast as it goes.
func CheckCopy(ctx context.Context, data, id, keys string, rate int64, deep bool, tell func(Finding)) error {
	if keys == "" {
		keys = keyFile(data, "")
	}
	dir := filepath.Join(data, store.PendingPath, id)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("the server's data folder is not on this machine, or cannot be read here: run this where the server runs, as who runs it (%w)", err)
	}
	return look{dir: dir, shown: data, keys: keys, rate: rate, copied: true, deep: deep}.check(ctx, tell)
}

// look is what a check looks at.
type look struct {
	dir    string
	shown  string // how it is called
	keys   string // the file of the keys that seal secrets
	rate   int64
	copied bool
	deep   bool // the levels of the database, too
}

func (l look) check(ctx context.Context, tell func(Finding)) (err error) {
	dir := l.dir
	st, faults, err := store.InspectAt(dir, l.rate)
	if err != nil {
		return err
	}
	tell(Finding{Part: "folder " + l.shown, Looked: 1, Faults: faults})
	if st == nil {
		return nil
	}
	defer func() { err = errors.Join(err, st.EndInspection()) }()
	var files Finding
	files.Part = "files of the database"
	err = st.CheckTables(ctx, func(name string, _ uint64, fault error) error {
		files.Looked++
		if fault != nil {
			files.Faults = append(files.Faults, name+": "+fault.Error())
		}
		return nil
	})
	if err != nil {
		return err
	}
	tell(files)
	if l.deep {
		levels := Finding{Part: "levels of the database"}
		var fault error
		if levels.Looked, fault = st.CheckLevels(); fault != nil {
			levels.Faults = append(levels.Faults, fault.Error())
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		tell(levels)
	}
	code, err := checkCode(dir)
	if err != nil {
		return err
	}
	tell(code)
	if !l.copied {
		objects := Finding{Part: "objects of buckets"}
		if objects.Looked, objects.Faults, err = bucket.Check(ctx, filepath.Join(dir, "artifacts")); err != nil {
			return err
		}
		tell(objects)
	}
	backups := Finding{Part: "backups of tables"}
	if backups.Looked, backups.Faults, err = keep.Check(ctx, st); err != nil {
		return err
	}
	tell(backups)
	if err := checkSealed(st, l.keys, tell); err != nil {
		return err
	}
	streams, tables, err := openData(st)
	if err != nil {
		tell(Finding{Part: "definitions", Looked: 1, Faults: []string{err.Error()}})
		return nil
	}
	to := func(part string, n int64, faults []string) { tell(Finding{Part: part, Looked: n, Faults: faults}) }
	return errors.Join(tables.Check(ctx, to), streams.Check(ctx, to))
}

// checkSealed reads the rows in which there may be something sealed. What does not open is no damage: its key may be elsewhere.
func checkSealed(st *store.Store, keys string, tell func(Finding)) error {
	seals, err := seal.Open(keys, true)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		look func(*store.Store, *seal.Keys) (int64, []string, []string, error)
	}{{"functions", function.CheckRows}, {"stacks and parameters", stack.CheckRows}} {
		f := Finding{Part: part.name}
		var locked []string
		f.Looked, locked, f.Faults, err = part.look(st, seals)
		if errors.Is(err, store.ErrDamaged) {
			f.Faults, err = append(f.Faults, err.Error()), nil
		}
		if err != nil {
			return err
		}
		for _, arn := range locked {
			f.Notes = append(f.Notes, arn+" is sealed, and does not open: "+seals.Why()+"; the server that serves the folder needs its key")
		}
		tell(f)
	}
	return nil
}

func openData(st *store.Store) (*stream.Streams, *table.DB, error) {
	streams, err := stream.OpenAt(st, worker.NewClock(time.Now))
	if err != nil {
		return nil, nil, err
	}
	tables, err := table.Open(table.Options{Store: st, Streams: streams, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	return streams, tables, err
}

// CheckTable says what is wrong with a table of the engine, by the path of its file, or why it could not be read.
func CheckTable(path string) (fault, err error) { return store.CheckTable(path) }

// checkCode compares each package with its sum, which names its folder.
func checkCode(dir string) (f Finding, err error) {
	f.Part = "code of functions"
	names, err := filepath.Glob(filepath.Join(dir, "code", "*", "package.zip"))
	if err != nil {
		return f, err
	}
	for _, name := range names {
		f.Looked++
		b, err := os.ReadFile(name)
		want := filepath.Base(filepath.Dir(name))
		switch sum := sha256.Sum256(b); {
		case err != nil:
			f.Faults = append(f.Faults, err.Error())
		case hex.EncodeToString(sum[:]) != want:
			f.Faults = append(f.Faults, "the package "+want+" is not what its name says: deploy its function again")
		}
	}
	return f, nil
}

// copyRest copies what is in no backup of a server, and is needed to go on with what a repair keeps of before: without RESTORED
// its triggers would run that are paused here, without the key no secret could be opened, and buckets would be empty.
func copyRest(root, to string) error {
	for _, name := range []string{restoredFile, "secrets.key", "tls", "inside.port", "artifacts"} {
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			switch {
			case err != nil:
				return err
			case entry.IsDir():
				return os.MkdirAll(filepath.Join(to, rel), 0o700)
			case !entry.Type().IsRegular():
				return nil
			}
			return copyFile(path, filepath.Join(to, rel))
		})
		if err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	return nil
}

// copyFile copies one file, for its owner alone.
func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Sync(), w.Close())
}

// Repair makes anew what is derived in a data folder that no server has open: entries of indexes
// and of time to live, and counts. It first puts a copy of the folder, of links, into the folder that it
// returns, unless there is nothing to mend. A repair that was cut short leaves a folder that no server opens, and is
// taken up by the next one.
func Repair(ctx context.Context, dir string) (mended []string, kept string, err error) {
	wrong := false
	if err := Check(ctx, dir, "", func(f Finding) { wrong = wrong || len(f.Faults) > 0 }); err != nil || !wrong {
		return nil, "", err
	}
	st, err := store.Open(store.Options{Dir: dir, Repair: true})
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	cut, err := store.ReadRepairing(vfs.Default, dir)
	if err != nil {
		return nil, "", err
	}
	if kept = cut; cut == "" {
		kept = filepath.Join(dir, "before-repair-"+time.Now().UTC().Format("20060102T150405.000Z"))
		err := st.Stage(ctx, kept)
		if err == nil {
			err = errors.Join(linkFiles(st, dir, kept), copyRest(dir, kept))
		}
		if err == nil {
			err = errors.Join(store.NewLineage(vfs.Default, kept), store.MarkCopied(vfs.Default, kept)) // both may go on
		}
		if err != nil {
			return nil, "", fmt.Errorf("keep a copy: %w", err)
		}
	}
	_, tables, err := openData(st)
	if err != nil {
		return nil, kept, err
	}
	mended, left, err := tables.Repair(ctx, func() error { return st.BeginRepair(kept) })
	if err == nil && (cut == "" || len(left) == 0) {
		err = st.EndRepair()
	}
	return mended, kept, errors.Join(append(left, err)...)
}
