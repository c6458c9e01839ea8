package backup

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	ID      string    `json:"id"` // rises with time
	Made    time.Time `json:"made"`
	Program string    `json:"program"` // the release that made it
	// Lineage is the folder's: while it is the same, a table of the same name and size
	// is the same.
	Lineage string `json:"lineage"`
	Bytes   int64  `json:"bytes"`
	// Quarantined: the folder had ranges of keys that were lost to damage, and so has this.
	Quarantined bool   `json:"quarantined,omitempty"`
	Files       []File `json:"files"`
}

// File is a file of a backup.
type File struct {
	Name string `json:"name"` // below the data folder, with slashes
	Size int64  `json:"size"`
	Sum  string `json:"sum"` // SHA-256, hexadecimal
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
		if err != nil || len(sum) != 32 || f.Size < 0 || !filepath.IsLocal(filepath.FromSlash(f.Name)) || strings.Contains(f.Name, `\`) {
			return fmt.Errorf("the manifest of backup %s is damaged: the file %q cannot be one of a backup", m.ID, f.Name)
		}
	}
	return nil
}

// List returns the backups of a place, the oldest first, and why others cannot be used, which hides none of the rest.
func List(ctx context.Context, p Place) (all []Manifest, faults []error, err error) {
	names, err := manifests(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		m, err := read(ctx, p, name)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil:
			faults = append(faults, err)
		default:
			all = append(all, m)
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
		m, err := read(ctx, p, basePath+"/"+id+".json")
		if errors.Is(err, ErrAbsent) {
			return m, fmt.Errorf("there is no backup %s in %s; `millstream backups ls --at %s` lists those that are", id, p, p)
		}
		return m, err
	}
	names, err := manifests(ctx, p)
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("there is no backup in %s", p)
	}
	if err != nil {
		return Manifest{}, err
	}
	m, err := read(ctx, p, names[len(names)-1])
	if err != nil {
		err = fmt.Errorf("the newest backup cannot be used: %w (name an older one with --backup; `millstream backups ls --at %s` lists them)", err, p)
	}
	return m, err
}

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
	return p.Put(ctx, basePath+"/"+m.ID+".json", bytes.NewReader(text), int64(len(text)))
}
