package backup

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Source is a data folder that does not change while it is read.
type Source interface {
	List(ctx context.Context) ([]File, error) // without sums
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Names of files of a data folder that are not copied as they are.
const (
	lineageFile    = "LINEAGE"
	restoredFile   = "RESTORED"
	restoringFile  = "RESTORING" // there while a restore is under way: a folder that has it does not open
	versionFile    = "VERSION"
	quarantineFile = "QUARANTINE"
)

// Options of Take, Verify and Restore.
type Options struct {
	Rate     int64  // bytes a second; 0: as fast as it goes
	Program  string // the release
	Progress func(Progress)
	Warn     func(error) // takes what is wrong and does not end a Take
}

func (o *Options) warn(err error) {
	if o.Warn != nil {
		o.Warn(err)
	}
}

// Progress is how far a copy has come, in bytes.
type Progress struct {
	Done, Total int64
	Copied      int64 // of Done: what was not there already
}

// Take makes a backup. Contents that the place has already, from an earlier backup, are
// not read again: tables of the same lineage by name and size, and code, whose folder is
// named by its content.
func Take(ctx context.Context, src Source, p Place, o Options) (Manifest, Progress, error) {
	var done Progress
	files, err := src.List(ctx)
	if err != nil {
		return Manifest{}, done, err
	}
	earlier, faults, err := List(ctx, p)
	if err != nil {
		return Manifest{}, done, err
	}
	for _, f := range faults { // what it had is copied again
		o.warn(fmt.Errorf("an earlier backup cannot be used: %w", f))
	}
	now := time.Now().UTC()
	m := Manifest{Version: manifestVersion, ID: now.Format("20060102T150405.000Z") + "-" + rand.Text()[:4], Made: now, Program: o.Program}
	if m.Lineage, err = readLineage(ctx, src, files); err != nil {
		return m, done, err
	}
	type key struct {
		name string
		size int64
	}
	known := map[key]string{}
	for _, e := range earlier {
		for _, f := range e.Files {
			if m.Lineage != "" && e.Lineage == m.Lineage && immutable(f.Name) {
				known[key{f.Name, f.Size}] = f.Sum
			}
		}
	}
	for _, f := range files {
		done.Total += f.Size
	}
	pace := newPace(o.Rate)
	for _, f := range files {
		if f.Name == lineageFile || f.Name == restoredFile {
			done.Done += f.Size
			continue
		}
		m.Quarantined = m.Quarantined || f.Name == quarantineFile
		sum := known[key{f.Name, f.Size}]
		there := false
		if sum != "" {
			if there, err = p.Has(ctx, objectName(sum), f.Size); err != nil {
				return m, done, fmt.Errorf("look into %s: %w", p, err)
			}
		}
		if !there {
			var copied int64
			if sum, copied, err = send(ctx, src, p, f, pace); err != nil {
				return m, done, fmt.Errorf("back up %s: %w", f.Name, err)
			}
			done.Copied += copied
		}
		if hash, ok := packageOf(f.Name); ok && hash != sum {
			o.warn(fmt.Errorf("the package %s is damaged in the data folder, and so it is in this backup: deploy its function again, then back up again", f.Name))
		}
		f.Sum = sum
		m.Files = append(m.Files, f)
		m.Bytes += f.Size
		done.Done += f.Size
		if o.Progress != nil {
			o.Progress(done)
		}
	}
	if err := m.put(ctx, p); err != nil {
		return m, done, fmt.Errorf("write the manifest to %s: %w", p, err)
	}
	return m, done, nil
}

// packageOf returns the hash that a package of code has by its name.
func packageOf(name string) (hash string, ok bool) {
	hash, ok = strings.CutPrefix(name, "code/")
	if ok {
		hash, ok = strings.CutSuffix(hash, "/package.zip")
	}
	return hash, ok && len(hash) == 2*sha256.Size
}

// immutable says whether a file of this name is never written again.
func immutable(name string) bool {
	return strings.HasPrefix(name, "db/") && strings.HasSuffix(name, ".sst") || strings.HasPrefix(name, "code/")
}

func readLineage(ctx context.Context, src Source, files []File) (string, error) {
	for _, f := range files {
		if f.Name != lineageFile {
			continue
		}
		r, err := src.Open(ctx, f.Name)
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(r)
		return strings.TrimSpace(string(text)), errors.Join(err, r.Close())
	}
	return "", nil
}

// send copies a file to the place, by way of a temporary one, since its sum is its name.
func send(ctx context.Context, src Source, p Place, f File, pace *pace) (sum string, copied int64, err error) {
	spool, err := os.CreateTemp("", "millstream-backup-*")
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, spool.Close(), os.Remove(spool.Name())) }()
	r, err := src.Open(ctx, f.Name)
	if err != nil {
		return "", 0, err
	}
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(spool, digest), pace.reader(ctx, r))
	if err := errors.Join(err, r.Close()); err != nil {
		return "", 0, err
	}
	if n != f.Size {
		return "", 0, fmt.Errorf("%d bytes came of %d", n, f.Size)
	}
	sum = hex.EncodeToString(digest.Sum(nil))
	there, err := p.Has(ctx, objectName(sum), n)
	if err != nil || there {
		return sum, 0, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	return sum, n, p.Put(ctx, objectName(sum), spool, n)
}

// pace keeps a copy to a rate.
type pace struct {
	rate  int64
	began time.Time
	n     int64
}

func newPace(rate int64) *pace { return &pace{rate: rate, began: time.Now()} }

func (p *pace) reader(ctx context.Context, r io.Reader) io.Reader { return &paced{p, ctx, r} }

type paced struct {
	*pace
	ctx context.Context
	r   io.Reader
}

// Read waits until what has been read so far was due.
func (p *paced) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b[:min(len(b), 256<<10)])
	p.n += int64(n)
	if p.rate > 0 {
		due := time.Duration(float64(p.n) / float64(p.rate) * float64(time.Second))
		timer := time.NewTimer(due - time.Since(p.began))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			return n, p.ctx.Err()
		}
	}
	return n, err
}
