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
	"time"
)

// Restore makes a data folder of a backup. The folder is absent or empty; it opens when
// Restore has returned nil, and not before: RESTORING goes last. It is marked as restored, so
// that a server starts with its triggers paused, and has a lineage of its own.
func Restore(ctx context.Context, p Place, m Manifest, dir string, o Options) (err error) {
	if err := m.check(); err != nil {
		return err
	}
	switch entries, err := o.entries(dir); {
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
	restoring, err := claim(&o, dir, "a restore of the backup "+m.ID+" of "+p.String()+" has begun, and has not ended\n")
	if err != nil {
		return err
	}
	done := Progress{Total: m.Bytes}
	pace := newPace(o.Rate)
	for _, f := range versionLast(m.Files) {
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
	for _, name := range m.Folders {
		if err := makeDirs(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		lineageFile:  strings.ToLower(rand.Text()) + "\n",
		restoredFile: "restored from the backup " + m.ID + " of " + p.String() + "\n",
		copiedFile:   fmt.Sprintln(Raise(time.Since(m.Made))),
	} {
		if err := writeWhole(filepath.Join(dir, name), strings.NewReader(text)); err != nil {
			return err
		}
	}
	if o.Finish != nil {
		if err := o.Finish(); err != nil {
			return err
		}
	}
	return errors.Join(os.Remove(restoring), syncDir(dir))
}

// entries are those of a folder that may not be there before a restore.
func (o *Options) entries(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	return slices.DeleteFunc(entries, func(e os.DirEntry) bool { return o.Beside != nil && o.Beside(e.Name()) }), err
}

// Raise is by how much the first open raises the incarnation, from which all numbers are made: above what the folder that was
// lost may have come to, and, since it rises by the minute, above an earlier restore of the same backup.
func Raise(age time.Duration) int { return 1<<10 + min(max(int(age.Minutes()), 0), 1<<16) }

// claim makes the file that keeps servers, and other restores, away from a folder that is not whole yet, and returns its path.
func claim(o *Options, dir, text string) (string, error) {
	name := filepath.Join(dir, restoringFile)
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("another restore to %s has begun just now", dir)
	}
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close(), syncDir(dir)); err != nil {
		return "", err
	}
	entries, err := o.entries(dir)
	if err == nil && len(entries) > 1 { // another restore has begun and ended since it was found empty
		err = errors.Join(fmt.Errorf("%s is not empty any more", dir), os.Remove(name))
	}
	return name, err
}

// versionLast puts VERSION at the end: a folder that has it has all.
func versionLast(files []File) []File {
	at := slices.IndexFunc(files, func(f File) bool { return f.Name == versionFile }) // check has seen it
	return append(slices.Delete(slices.Clone(files), at, at+1), files[at])
}

// retries is how long a content is waited for before it is asked for again, as often as there are. A long copy over a network
// meets an answer that breaks off.
var retries = [...]time.Duration{time.Second, 4 * time.Second, 15 * time.Second}

// fetch copies an object to a file, and checks that it is what its name says.
func fetch(ctx context.Context, p Place, f File, path string, pace *pace) error {
	return again(ctx, func() error {
		return readContent(ctx, p, f, pace, func(r io.Reader) error { return writeWhole(path, r) })
	})
}

// again calls get until it is well, or the fault is none of the way that contents come, or has shown itself often enough.
func again(ctx context.Context, get func() error) (err error) {
	for n := 0; ; n++ {
		err = get()
		if _, ours := errors.AsType[*fetchError](err); !ours || errors.Is(err, ErrAbsent) || n == len(retries) {
			return err
		}
		if errors.Is(err, errDamaged) { // once more, in case it is the way
			if n > 0 {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retries[n]):
		}
	}
}

// readContent has a content read to its end. What fails because of the place is a *fetchError.
func readContent(ctx context.Context, p Place, f File, pace *pace, read func(io.Reader) error) error {
	r, err := p.Get(ctx, f.object())
	if err != nil {
		return &fetchError{fmt.Errorf("fetch %s: %w", f.Name, err)}
	}
	return errors.Join(read(&checked{r: pace.reader(ctx, r), f: f}), r.Close())
}

// fetchError is that of a content that did not come as it was asked for.
type fetchError struct{ error }

func (e *fetchError) Unwrap() error { return e.error }

// errDamaged is under the error of a content that came whole and is another.
var errDamaged = errors.New("damaged")

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
	switch {
	case errors.Is(err, io.EOF):
		if sum := hex.EncodeToString(c.hash.Sum(nil)); c.n != c.f.Size || sum != c.f.Sum {
			return n, &fetchError{fmt.Errorf("the content of %s is %w: %d bytes with the sum %s, want %d with %s", c.f.Name, errDamaged, c.n, sum, c.f.Size, c.f.Sum)}
		}
	case err != nil:
		return n, &fetchError{fmt.Errorf("fetch %s: %w", c.f.Name, err)}
	}
	return n, err
}

// Verify reads every content of a backup and returns what is wrong with each that is missing or not what it was. A content
// that cannot be read for another reason, such as a network that fails, ends it with an error: nothing is known of it then.
func Verify(ctx context.Context, p Place, m Manifest, o Options) (faults []error, err error) {
	if err := m.check(); err != nil {
		return []error{err}, nil
	}
	return VerifyFiles(ctx, p, m.Files, o)
}

// VerifyFiles reads what files have, each content once, and compares it with its sum.
// Each of the faults is a *ContentFault.
func VerifyFiles(ctx context.Context, p Place, files []File, o Options) (faults []error, err error) {
	done := Progress{}
	for _, f := range files {
		done.Total += f.Size
	}
	pace := newPace(o.Rate)
	seen := map[string]bool{}
	for _, f := range files {
		if !seen[f.object()] {
			seen[f.object()] = true
			err := again(ctx, func() error {
				return readContent(ctx, p, f, pace, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
			})
			switch {
			case ctx.Err() != nil:
				return faults, ctx.Err()
			case errors.Is(err, ErrAbsent):
				faults = append(faults, &ContentFault{f, fmt.Errorf("%s: %w (the next backup copies it again if the folder still has it)", f.Name, err)})
			case errors.Is(err, errDamaged):
				faults = append(faults, &ContentFault{f, fmt.Errorf("%s: %w (it is %s in %s: remove that, and the next backup copies it again if the folder still has it)", f.Name, err, f.object(), p)})
			case err != nil:
				return faults, fmt.Errorf("%s could not be read, which says nothing of what it holds: %w", f.object(), err)
			}
		}
		done.Done += f.Size
		if o.Progress != nil {
			o.Progress(done)
		}
	}
	return faults, nil
}

// ContentFault is what is wrong with the content of a file.
type ContentFault struct {
	file File
	err  error
}

func (c *ContentFault) Error() string { return c.err.Error() }
func (c *ContentFault) Unwrap() error { return c.err }

// FaultsOf returns those of VerifyFiles' faults that are of contents that files name.
func FaultsOf(faults []error, files []File) []error {
	named := map[string]bool{}
	for _, f := range files {
		named[f.object()] = true
	}
	return slices.DeleteFunc(faults, func(err error) bool {
		c, ok := errors.AsType[*ContentFault](err)
		return ok && !named[c.file.object()]
	})
}
