package keep

import (
	"context"
	"errors"
	"fmt"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
)

// Check reads every file of every backup of a table against its sum, and returns how many backups there are and what is wrong. An
// error says that it could not look.
func Check(ctx context.Context, st *store.Store) (looked int64, faults []string, err error) {
	backups := map[string]*Backup{}
	err = st.Each([]byte{store.SpaceKeep, kindBackup}, func(key, value []byte) error {
		if len(value) == 0 || value[0] < rowVersion || value[0] > newestVersion {
			faults = append(faults, fmt.Sprintf("the row of the backup %s was written by a newer release, or is damaged", key[2:]))
			return nil
		}
		if err := loadInto(backups, string(key[2:]), value[1:]); err != nil {
			faults = append(faults, err.Error())
		}
		return nil
	})
	if errors.Is(err, store.ErrDamaged) {
		return 0, append(faults, "the list of backups cannot be read: "+err.Error()), nil
	}
	if err != nil {
		return 0, nil, err
	}
	for _, b := range backups {
		if b.Status != Available {
			continue
		}
		looked++
		for _, l := range b.Lost {
			faults = append(faults, fmt.Sprintf("the backup %s of the deleted table %s lacks a range of its items, lost to damage of %s", b.ARN, b.Table, l.File))
		}
		folder := st.Files(store.BackupsPath, b.ID)
		files, err := b.files(folder)
		if err != nil {
			faults = append(faults, fmt.Sprintf("the backup %s of table %s cannot be restored: %v", b.ARN, b.Table, err))
			continue
		}
		for _, f := range files {
			if ctx.Err() != nil {
				return looked, faults, ctx.Err()
			}
			if err := b.read(folder, f, func(item.Item) error { return nil }); err != nil {
				faults = append(faults, fmt.Sprintf("the backup %s of table %s cannot be restored: %v", b.ARN, b.Table, err))
			}
		}
	}
	return looked, faults, nil
}
