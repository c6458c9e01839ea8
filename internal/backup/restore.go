package backup

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Restore makes a data folder of a backup. The folder is absent or empty; it opens when
// Restore has returned nil, and not before: VERSION comes last. It is marked as restored, so
// that a server starts with its triggers paused, and has a lineage of its own.
func Restore(ctx context.Context, p Place, m Manifest, dir string, o Options) (err error) {
	if err := m.check(); err != nil {
		return err
	}
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("restore to %s: %w", dir, err)
	case slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == restoringFile }):
		return fmt.Errorf("an earlier restore to %s was cut short: remove that folder, and restore again", dir)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: a backup is restored into a new folder, never over one", dir)
	}
	if err := makeDirs(dir); err != nil {
		return err
	}
	// A start in a folder that is not whole yet would take it for a new one.
	restoring := filepath.Join(dir, restoringFile)
	if err := writeWhole(restoring, strings.NewReader("a restore of the backup "+m.ID+" of "+p.String()+" has begun, and has not ended\n")); err != nil {
		return err
	}
	done := Progress{Total: m.Bytes}
	pace := newPace(o.Rate)
	var version *File
	for _, f := range m.Files {
		if f.Name == versionFile {
			version = &f
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := makeDirs(filepath.Dir(path)); err != nil {
			return err
		}
		if err := fetch(ctx, p, f, path, pace); err != nil {
			return err
		}
		done.Done += f.Size
		done.Copied += f.Size
		if o.Progress != nil {
			o.Progress(done)
		}
	}
	if version == nil {
		return fmt.Errorf("the backup %s has no file %s: it is none of a data folder", m.ID, versionFile)
	}
	for name, text := range map[string]string{
		lineageFile:  strings.ToLower(rand.Text()) + "\n",
		restoredFile: "restored from the backup " + m.ID + " of " + p.String() + "\n",
	} {
		if err := writeWhole(filepath.Join(dir, name), strings.NewReader(text)); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Remove(restoring), syncDir(dir)); err != nil { // without VERSION nothing opens a database that is there
		return err
	}
	return fetch(ctx, p, *version, filepath.Join(dir, versionFile), pace)
}

// fetch copies an object to a file, and checks that it is what its name says.
func fetch(ctx context.Context, p Place, f File, path string, pace *pace) error {
	r, err := p.Get(ctx, objectName(f.Sum))
	if err != nil {
		return fmt.Errorf("fetch %s: %w", f.Name, err)
	}
	checked := &checked{r: pace.reader(ctx, r), f: f}
	err = writeWhole(path, checked)
	return errors.Join(err, r.Close())
}

// checked reads a content and ends with an error when it is not the one that was asked for.
type checked struct {
	r    io.Reader
	f    File
	n    int64
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (c *checked) Read(b []byte) (int, error) {
	if c.hash == nil {
		c.hash = sha256.New()
	}
	n, err := c.r.Read(b)
	c.n += int64(n)
	_, _ = c.hash.Write(b[:n]) // never fails
	if errors.Is(err, io.EOF) {
		if sum := hex.EncodeToString(c.hash.Sum(nil)); c.n != c.f.Size || sum != c.f.Sum {
			return n, fmt.Errorf("the content of %s is damaged: %d bytes with the sum %s, want %d with %s", c.f.Name, c.n, sum, c.f.Size, c.f.Sum)
		}
	}
	return n, err
}

// Verify reads every content of a backup and returns what is wrong with each that is not
// what it was.
func Verify(ctx context.Context, p Place, m Manifest, o Options) (faults []error, err error) {
	if err := m.check(); err != nil {
		return []error{err}, nil
	}
	done := Progress{Total: m.Bytes}
	pace := newPace(o.Rate)
	seen := map[string]bool{}
	for _, f := range m.Files {
		if !seen[f.Sum] {
			seen[f.Sum] = true
			r, err := p.Get(ctx, objectName(f.Sum))
			if err == nil {
				_, err = io.Copy(io.Discard, &checked{r: pace.reader(ctx, r), f: f})
				err = errors.Join(err, r.Close())
			}
			if ctx.Err() != nil {
				return faults, ctx.Err()
			}
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w (it is %s in %s: remove that, and the next backup copies it again if the folder still has it)", f.Name, err, objectName(f.Sum), p))
			}
		}
		done.Done += f.Size
		if o.Progress != nil {
			o.Progress(done)
		}
	}
	return faults, nil
}
