package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// manifestVersion is the form of manifests; a later one is refused.
const manifestVersion = 1

// Manifest is a backup: what was in a data folder.
type Manifest struct {
	Version int       `json:"version"`
	ID      string    `json:"id"` // see newID
	Made    time.Time `json:"made"`
	Program string    `json:"program"` // the release that made it
	// Lineage is the folder's: while it is the same, a table of the same name and size
	// is the same.
	Lineage string `json:"lineage"`
	Bytes   int64  `json:"bytes"`
	// Chain is a segment of the place's chain (see package chain): what it and later ones have makes of this backup what came after it. It
	// is set when Chained.
	Chain   uint64 `json:"chain,omitempty"`
	Chained bool   `json:"chained,omitempty"`
	// Quarantined: the folder had ranges of keys that were lost to damage, and so has this.
	Quarantined bool `json:"quarantined,omitempty"`
	// Damaged: some file is one of those that Options.Check found damaged.
	Damaged bool     `json:"damaged,omitempty"`
	Files   []File   `json:"files"`
	Folders []string `json:"folders,omitempty"` // without any file in them, such as a bucket without objects
}

// File is a file of a backup.
type File struct {
	Name string `json:"name"` // below the data folder, with slashes
	Size int64  `json:"size"`
	Sum  string `json:"sum"` // SHA-256, hexadecimal
	// Damaged: what the folder had was damaged already. The sum is that of the damaged content.
	Damaged bool `json:"damaged,omitempty"`
	// Copy is behind the sum in the name of the content's object, where the object without it was about to be removed (see Sweep).
	Copy string `json:"copy,omitempty"`
}

// object is where the content of a file is; empty without a sum.
func (f *File) object() string {
	if f.Sum == "" {
		return ""
	}
	name := objectName(f.Sum)
	if f.Copy != "" {
		name += "-" + f.Copy
	}
	return name
}

func objectName(sum string) string { return "objects/" + sum[:2] + "/" + sum }

// basePath is where manifests are.
const basePath = "base"

// check refuses what a restore must not act on.
func (m *Manifest) check() error {
	if m.Version > manifestVersion {
		return fmt.Errorf("the backup %s was made by a newer release: its form is %d, and this one knows %d", m.ID, m.Version, manifestVersion)
	}
	for _, f := range m.Files {
		sum, err := hex.DecodeString(f.Sum)
		if err != nil || len(sum) != 32 || f.Size < 0 || !filepath.IsLocal(filepath.FromSlash(f.Name)) || strings.Contains(f.Name, `\`) ||
			strings.Trim(f.Copy, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			return fmt.Errorf("the manifest of backup %s is damaged: the file %q cannot be one of a backup", m.ID, f.Name)
		}
	}
	for _, name := range m.Folders {
		if !filepath.IsLocal(filepath.FromSlash(name)) || strings.Contains(name, `\`) {
			return fmt.Errorf("the manifest of backup %s is damaged: the folder %q cannot be one of a backup", m.ID, name)
		}
	}
	if !isDataFolder(m.Files) {
		return fmt.Errorf("the backup %s is none of a data folder: it lacks %s or the database", m.ID, versionFile)
	}
	return nil
}

// isDataFolder says whether files can be those of a data folder.
func isDataFolder(files []File) bool {
	return slices.ContainsFunc(files, func(f File) bool { return f.Name == versionFile }) &&
		slices.ContainsFunc(files, func(f File) bool { return strings.HasPrefix(f.Name, "db/") && f.Name != "db/" })
}

// databaseDigits is how much of a database's name is in the ids of its backups: enough to tell some servers apart.
const databaseDigits = 8

const idTime = "20060102T150405.000Z"

// newID returns the id of a backup that is made now, beside others of which the newest has the id last: its time, of which
// database it is, and something random. Ids rise also when the machine's clock does not: with a clock that was ahead once, that
// backup would be the newest for ever. ahead is by how much last is ahead of the clock.
func newID(now time.Time, last, database string) (id string, ahead time.Duration) {
	now = now.Truncate(time.Millisecond)
	if at, ok := timeOf(last); ok && !at.Before(now) {
		ahead = at.Sub(now)
		now = at.Add(time.Millisecond)
	}
	if database != "" {
		database += "-"
	}
	return now.Format(idTime) + "-" + database + rand.Text()[:4], ahead
}

// timeOf is the time that an id begins with.
func timeOf(id string) (time.Time, bool) {
	text, _, _ := strings.Cut(id, "-")
	at, err := time.Parse(idTime, text)
	return at, err == nil
}

// DatabaseOf returns the first digits of the name of the database whose backup an id names; empty: it does not say.
func DatabaseOf(id string) string { return databaseOf(id) }

// databaseOf returns what an id says of whose backup it is; empty: nothing, as those of early releases.
func databaseOf(id string) string {
	if parts := strings.Split(id, "-"); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

// Doubts says why a backup should not take the place of an older one; empty: nothing is wrong with it.
func (m *Manifest) Doubts() string {
	switch {
	case m.Damaged:
		return "damaged tables"
	case m.Quarantined:
		return "ranges in quarantine"
	}
	return ""
}

// List returns the backups of a place, the oldest first, and why others cannot be used, which hides none of the rest. What is removed
// meanwhile is neither.
func List(ctx context.Context, p Place) (all []Manifest, faults []error, err error) {
	names, err := manifests(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	absent := map[string]error{}
	for _, name := range names {
		m, err := read(ctx, p, name)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case errors.Is(err, ErrAbsent):
			absent[name] = err
		case err != nil:
			faults = append(faults, err)
		default:
			all = append(all, m)
		}
	}
	if len(absent) > 0 {
		if names, err = manifests(ctx, p); err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			if err := absent[name]; err != nil {
				faults = append(faults, err)
			}
		}
	}
	slices.SortFunc(all, func(a, b Manifest) int { return strings.Compare(a.ID, b.ID) })
	return all, faults, nil
}

// manifests are the names of the manifests of a place, the oldest first, since ids rise with time.
func manifests(ctx context.Context, p Place) ([]string, error) {
	names, err := p.List(ctx, basePath)
	if err != nil {
		return nil, fmt.Errorf("list the backups of %s: %w", p, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".json") })
	slices.Sort(names)
	return names, nil
}

// Find returns a backup of a place; of an empty id the newest. No other is read.
func Find(ctx context.Context, p Place, id string) (Manifest, error) {
	if id != "" {
		m, err := read(ctx, p, nameOf(id))
		if errors.Is(err, ErrAbsent) {
			return m, fmt.Errorf("there is no backup %s in %s; `millstream backups ls --at %s` lists those that are", id, p, p)
		}
		return m, err
	}
	ids, err := newestFirst(ctx, p)
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("there is no backup in %s", p)
	}
	if err != nil {
		return Manifest{}, err
	}
	if of := databases(ids); len(of) > 1 {
		return Manifest{}, fmt.Errorf("%s holds backups of %d servers (%s, in the middle of the ids): name one with --backup; `millstream backups ls --at %s` lists them", p, len(of), strings.Join(of, ", "), p)
	}
	m, err := read(ctx, p, nameOf(ids[0]))
	if err != nil {
		err = fmt.Errorf("the newest backup cannot be used: %w (name an older one with --backup; `millstream backups ls --at %s` lists them)", err, p)
	}
	return m, err
}

// EachNewest calls f with the backups of a place, the newest first, until it returns false. Those that cannot be read are passed over.
func EachNewest(ctx context.Context, p Place, f func(Manifest) bool) error {
	ids, err := newestFirst(ctx, p)
	if err != nil {
		return err
	}
	for _, id := range ids {
		m, err := read(ctx, p, nameOf(id))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, damaged := errors.AsType[*json.SyntaxError](err); err != nil && !damaged && !errors.Is(err, ErrAbsent) && m.Version == 0 {
			return err // of the way: an older one must not be taken for the newest
		}
		if err == nil && !f(m) {
			break
		}
	}
	return nil
}

// newestFirst returns the ids of the backups of a place. No manifest is read.
func newestFirst(ctx context.Context, p Place) ([]string, error) {
	names, err := manifests(ctx, p)
	for i, name := range names {
		names[i] = strings.TrimSuffix(path.Base(name), ".json")
	}
	slices.Reverse(names)
	return names, err
}

// databases are those that ids name.
func databases(ids []string) (of []string) {
	for _, id := range ids {
		if d := databaseOf(id); d != "" {
			of = append(of, d)
		}
	}
	slices.Sort(of)
	return slices.Compact(of)
}

// nameOf is where the manifest of a backup is.
func nameOf(id string) string { return basePath + "/" + id + ".json" }

func read(ctx context.Context, p Place, name string) (m Manifest, err error) {
	r, err := p.Get(ctx, name)
	if err != nil {
		return m, err
	}
	text, err := io.ReadAll(r)
	err = errors.Join(err, r.Close())
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("read %s of %s: %w", name, p, err)
	}
	return m, m.check()
}

func (m *Manifest) put(ctx context.Context, p Place) error {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	return p.Put(ctx, nameOf(m.ID), bytes.NewReader(text), int64(len(text)))
}
