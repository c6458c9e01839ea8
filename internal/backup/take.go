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
	"path/filepath"
	"strings"
	"time"
)

// Source is a data folder that does not change while it is read.
type Source interface {
	// List returns files without sums. A name that ends in a slash is a folder in which there is none.
	List(ctx context.Context) ([]File, error)
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Names of files of a data folder that are not copied as they are.
const (
	lineageFile    = "LINEAGE"
	databaseFile   = "DATABASE"
	restoredFile   = "RESTORED"
	standbyFile    = "STANDBY"    // a folder that has it follows a chain
	promotedFile   = "PROMOTED"   // it did so once
	ownedFile      = "REPLICATED" // the opens that had a chain: a copy is none of them
	copiedFile     = "COPIED"     // by how much the first open raises the incarnation; goes with it
	overtakenFile  = "OVERTAKEN"  // another server goes on in this one's place
	overtakesFile  = "OVERTAKES"  // the other way round
	restoringFile  = "RESTORING"  // there while a restore is under way: a folder that has it does not open
	versionFile    = "VERSION"
	quarantineFile = "QUARANTINE"
)

// Options of Take, Verify and Restore.
type Options struct {
	Rate     int64  // bytes a second; 0: as fast as it goes
	Program  string // the release
	Progress func(Progress)
	Warn     func(error) // takes what is wrong and does not end a Take
	Chain    *uint64     // see Manifest
	// Before is asked when all contents of a Take are there, and its manifest is not: an error ends it.
	Before func() error
	// Finish does what is left to do of a Restore before its folder can be opened.
	Finish func() error
	// Beside says which names may be in the folder before a Restore; nil: none.
	Beside func(name string) bool
	// Check says what is wrong with a table of the engine, a file whose name ends in .sst, before Take copies it; nil: nothing is looked at.
	// err: it could not be read, which ends Take.
	Check func(path string) (fault, err error)
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
	if !isDataFolder(files) {
		return Manifest{}, done, fmt.Errorf("nothing is backed up: this is no data folder, it lacks %s or the database", versionFile)
	}
	began := time.Now()
	leaving, err := readCondemned(ctx, p)
	if err != nil {
		return Manifest{}, done, err
	}
	m, known, err := begin(ctx, src, files, p, &o)
	if err != nil {
		return m, done, err
	}
	for _, f := range files {
		done.Total += f.Size
	}
	pace := newPace(o.Rate)
	for _, f := range files {
		if name, folder := strings.CutSuffix(f.Name, "/"); folder {
			m.Folders = append(m.Folders, name)
			continue
		}
		if f.Name == lineageFile || f.Name == restoredFile || f.Name == copiedFile || f.Name == promotedFile || f.Name == ownedFile || f.Name == overtakenFile || f.Name == overtakesFile {
			done.Done += f.Size
			continue
		}
		m.Quarantined = m.Quarantined || f.Name == quarantineFile
		is := known[f]
		if hash, ok := packageOf(f.Name); ok && hash != is.Sum { // it was damaged then, and may have been mended
			is.Sum = ""
		}
		there := false
		if _, leaves := leaving[is.object()]; is.Sum != "" && !leaves {
			if there, err = p.Has(ctx, is.object(), f.Size); err != nil {
				return m, done, fmt.Errorf("look into %s: %w", p, err)
			}
		}
		if !there {
			var s sent
			if s, err = send(ctx, src, p, f, pace, leaving, o.Check); err != nil {
				return m, done, fmt.Errorf("back up %s: %w", f.Name, err)
			}
			is.Sum, is.Copy = s.sum, s.copy
			done.Copied += s.copied
			if s.fault != nil {
				f.Damaged, m.Damaged = true, true
				o.warn(fmt.Errorf("the table %s is damaged in the data folder, and so it is in this backup: keep the backups from before it (%w)", f.Name, s.fault))
			}
		}
		if hash, ok := packageOf(f.Name); ok && hash != is.Sum {
			o.warn(fmt.Errorf("the package %s is damaged in the data folder, and so it is in this backup: deploy its function again, then back up again", f.Name))
		}
		f.Sum, f.Copy = is.Sum, is.Copy
		m.Files = append(m.Files, f)
		m.Bytes += f.Size
		done.Done += f.Size
		if o.Progress != nil {
			o.Progress(done)
		}
	}
	ids, err := newestFirst(ctx, p) // another server may have begun beside this one
	if err == nil {
		err = alone(p, ids, databaseOf(m.ID))
	}
	if err != nil {
		return m, done, err
	}
	if o.Before != nil {
		if err := o.Before(); err != nil {
			return m, done, err
		}
	}
	if took := since(began); took > takeMost {
		return m, done, fmt.Errorf("the backup took %s, and what it found in %s at its start may be removed after %s: back up at a higher rate", took.Round(time.Minute), p, grace)
	}
	if err := m.put(ctx, p); err != nil {
		return m, done, fmt.Errorf("write the manifest to %s: %w", p, err)
	}
	if err := Tidy(ctx, p); err != nil { // the backup is there all the same
		o.warn(err)
	}
	return m, done, nil
}

// alone refuses a place with backups of another database than this one; an empty name is that of none that is known.
func alone(p Place, ids []string, database string) error {
	if database == "" {
		return nil
	}
	for _, id := range ids {
		if of := databaseOf(id); of != "" && of != database {
			return fmt.Errorf("%s holds a backup of another server (%s; its database is %s, and this one is %s), so no restore could know which backup is the newest: give each server a place of its own, or move the manifests of that server out of it",
				p, nameOf(id), of, database)
		}
	}
	return nil
}

// begin makes the manifest of a new backup, without its files, and tells what contents the place has of the same lineage: the
// sums of files, by name and size. They stand in the newest backup that can be read; what an older one has besides is gone from
// the folder.
func begin(ctx context.Context, src Source, files []File, p Place, o *Options) (m Manifest, known map[File]File, err error) {
	m = Manifest{Version: manifestVersion, Made: time.Now().UTC(), Program: o.Program}
	if o.Chain != nil {
		m.Chain, m.Chained = *o.Chain, true
	}
	if m.Lineage, err = readLine(ctx, src, files, lineageFile); err != nil {
		return m, nil, err
	}
	database, err := readLine(ctx, src, files, databaseFile)
	if err != nil {
		return m, nil, err
	}
	if _, err := hex.DecodeString(database); err != nil || len(database) < databaseDigits {
		database = "" // of an earlier release, or damaged: it tells nothing
	} else {
		database = database[:databaseDigits]
	}
	ids, err := newestFirst(ctx, p)
	if err != nil {
		return m, nil, err
	}
	last := ""
	for _, id := range ids { // a name that is none of ours may be before those that are
		if _, ok := timeOf(id); ok {
			last = id
			break
		}
	}
	var ahead time.Duration
	if m.ID, ahead = newID(m.Made, last, database); ahead > time.Second {
		o.warn(fmt.Errorf("the backup %s is from %s later than this machine's clock says it is now: one of the two clocks was wrong, and this backup counts as made just after that one", last, ahead.Round(time.Second)))
	}
	if err := alone(p, ids, database); err != nil {
		return m, nil, err
	}
	known = map[File]File{}
	for _, id := range ids {
		if of := databaseOf(id); of != "" && of != database {
			continue
		}
		e, err := read(ctx, p, nameOf(id))
		switch {
		case ctx.Err() != nil:
			return m, nil, ctx.Err()
		case err != nil: // what it had is copied again
			o.warn(fmt.Errorf("an earlier backup cannot be used: %w", err))
			continue
		}
		for _, f := range e.Files {
			if m.Lineage != "" && e.Lineage == m.Lineage && immutable(f.Name) && !f.Damaged {
				known[File{Name: f.Name, Size: f.Size}] = f
			}
		}
		break
	}
	return m, known, nil
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

// readLine reads a file of one line; empty: it is not there.
func readLine(ctx context.Context, src Source, files []File, name string) (string, error) {
	for _, f := range files {
		if f.Name != name {
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

// sent is what became of a file.
type sent struct {
	sum    string
	copy   string // see File
	copied int64  // bytes; 0: the place had it
	fault  error  // what is wrong with it, and was before it was copied
}

// PutFile copies a file into a place, unless its content is there, and returns its sum.
func PutFile(ctx context.Context, p Place, path string) (File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return File{}, err
	}
	leaving, err := readCondemned(ctx, p)
	if err != nil {
		return File{}, err
	}
	s, err := send(ctx, Folder(filepath.Dir(path)), p, File{Name: filepath.Base(path), Size: info.Size()}, newPace(0), leaving, nil)
	return File{Name: filepath.Base(path), Size: info.Size(), Sum: s.sum, Copy: s.copy}, err
}

// WriteFile makes a file whole or not at all, durable with its folder, which is made when it is missing.
func WriteFile(path string, content io.Reader) error {
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	return writeWhole(path, content)
}

// SumFile returns the sum of a file.
func SumFile(path string) (File, error) {
	file, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	digest := sha256.New()
	n, err := io.Copy(digest, file)
	return File{Name: filepath.Base(path), Size: n, Sum: hex.EncodeToString(digest.Sum(nil))}, errors.Join(err, file.Close())
}

// GetFile copies the content of a file out of a place, and checks it.
func GetFile(ctx context.Context, p Place, f File, path string) error {
	if m := (Manifest{Files: []File{f, {Name: versionFile, Sum: f.Sum}, {Name: "db/x", Sum: f.Sum}}}); m.check() != nil {
		return m.check()
	}
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	return fetch(ctx, p, f, path, newPace(0))
}

// send copies a file to the place, by way of a temporary one, since its sum is its name.
func send(ctx context.Context, src Source, p Place, f File, pace *pace, leaving condemned, check func(path string) (fault, err error)) (s sent, err error) {
	spool, err := os.CreateTemp("", "millstream-backup-*")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, spool.Close(), os.Remove(spool.Name())) }()
	r, err := src.Open(ctx, f.Name)
	if err != nil {
		return s, err
	}
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(spool, digest), pace.reader(ctx, r))
	if err := errors.Join(err, r.Close()); err != nil {
		return s, err
	}
	if n != f.Size {
		return s, fmt.Errorf("%d bytes came of %d", n, f.Size)
	}
	s.sum = hex.EncodeToString(digest.Sum(nil))
	if check != nil && isTable(f.Name) {
		if s.fault, err = check(spool.Name()); err != nil {
			return s, err
		}
	}
	if _, leaves := leaving[objectName(s.sum)]; leaves {
		s.copy = rand.Text()
	}
	to := (&File{Sum: s.sum, Copy: s.copy}).object()
	there, err := p.Has(ctx, to, n)
	if err != nil || there {
		return s, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return s, err
	}
	s.copied = n
	return s, p.Put(ctx, to, spool, n)
}

// isTable says whether a file is a table of the engine. What lies in quarantined/ is known to be damaged.
func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") && (strings.HasPrefix(name, "db/") || strings.HasPrefix(name, "frozen/"))
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
