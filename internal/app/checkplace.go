package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/chain"
)

// CheckPlace looks at a place of backups or of what a server replicates: it reads every content against its sum and every segment against the one before, restores
// the newest state into a new folder in work, which it removes, and checks that; keys is the file of the keys that seal, or empty. An error says that it could
// not look. newest is the backup that was restored; ID is empty when there was none that could be.
func CheckPlace(ctx context.Context, p backup.Place, work, keys string, deep bool, o backup.Options, tell func(Finding)) (newest backup.Manifest, err error) {
	all, bad, err := backup.List(ctx, p)
	if err != nil {
		return newest, err
	}
	if len(all)+len(bad) == 0 {
		return newest, fmt.Errorf("%s has no backup: is it the right place, and there?", p)
	}
	f := Finding{Part: "backups of " + p.String(), Looked: int64(len(all))}
	var files []backup.File
	for _, m := range all {
		files = append(files, m.Files...)
	}
	for _, err := range bad {
		f.Faults = append(f.Faults, err.Error())
	}
	for _, m := range all {
		if d := m.Doubts(); d != "" {
			f.Notes = append(f.Notes, m.ID+": "+d)
		}
	}
	tell(f)
	f = Finding{Part: "segments"}
	var named []backup.File
	if f.Looked, f.Faults, named, err = chain.Check(ctx, p, all); err != nil {
		return newest, err
	}
	tell(f)
	f = Finding{Part: "contents"}
	files = slices.Concat(files, named)
	f.Looked = int64(len(files))
	faults, err := backup.VerifyFiles(ctx, p, files, o)
	if err != nil {
		return newest, err
	}
	if len(faults) > 0 {
		if faults, err = stillNamed(ctx, p, faults); err != nil {
			return newest, err
		}
	}
	for _, err := range faults {
		f.Faults = append(f.Faults, err.Error())
	}
	tell(f)
	if len(all) == 0 {
		return newest, nil
	}
	dir, err := os.MkdirTemp(work, "millstream-check-*")
	if err != nil {
		return newest, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	data := filepath.Join(dir, "data")
	f = Finding{Part: "restore", Looked: 1}
	chained, err := chain.Has(ctx, p)
	m := all[len(all)-1]
	if err == nil && chained {
		var r chain.Restored
		if r, err = chain.Restore(ctx, p, time.Time{}, data, o); err == nil {
			m = r.Backup
			if r.Short != "" {
				f.Notes = append(f.Notes, r.Short)
			}
		}
	} else if err == nil {
		err = backup.Restore(ctx, p, m, data, o)
	}
	if ctx.Err() != nil {
		return newest, ctx.Err()
	}
	if err != nil {
		f.Faults = append(f.Faults, err.Error())
		tell(f)
		return newest, nil
	}
	tell(f)
	return m, look{dir: data, shown: "restored from " + p.String(), keys: keyFile(data, keys), deep: deep}.check(ctx, tell)
}

// stillNamed returns the faults of contents that something in the place names now: a server may have removed old backups while they were looked at.
func stillNamed(ctx context.Context, p backup.Place, faults []error) ([]error, error) {
	all, bad, err := backup.List(ctx, p)
	if err != nil {
		return nil, err
	}
	if len(bad) > 0 { // nobody knows what those name
		return faults, nil
	}
	_, _, files, err := chain.Check(ctx, p, all)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		files = append(files, m.Files...)
	}
	return backup.FaultsOf(faults, files), nil
}
