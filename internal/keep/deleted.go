package keep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// Of a table that is deleted with point-in-time recovery AWS makes a backup, which it keeps for 35 days. Here the batch that removes
// the table leaves its items and writes the backup's row. Nobody else can reach them, so the worker of backups reads them where they
// are, and the batch that makes the backup AVAILABLE removes them.

// deletedFor is how long such a backup is kept.
const deletedFor = 35 * 24 * time.Hour

// The types of backups.
const (
	UserBackup   = "USER"
	SystemBackup = "SYSTEM"
)

// Type is who wanted the backup.
func (b *Backup) Type() string {
	if b.ExpiresMS != 0 {
		return SystemBackup
	}
	return UserBackup
}

// deleted begins the backup of a table that is being deleted (see table.Deleting).
func (s *Service) deleted(batch *store.Batch, scope schema.Scope, name string, saved *table.Saved) (applied func(), err error) {
	now := s.Now()
	b := &Backup{
		Name: name + "$DeletedTableBackup", Scope: scope, Table: name, Status: Creating, CreatedMS: now.UnixMilli(), ExpiresMS: now.Add(deletedFor).UnixMilli(), Saved: saved,
	}
	taken := true
	for ms := b.CreatedMS; taken; ms++ { // two tables in one millisecond
		b.ID = fmt.Sprintf("%014d-%08x", ms, 0)
		taken = len(values(s, s.backups, func(o *Backup) bool { return o.ID == b.ID })) > 0
	}
	b.ARN = scope.TableARN(name) + "/backup/" + b.ID
	if err := row(batch, kindBackup, b.ARN, b); err != nil {
		return nil, err
	}
	return func() {
		show(s, s.backups, b.ARN, b)
		wake(s.saves)
	}, nil
}

// endDeleted ends the backup of a table that was deleted.
func (s *Service) endDeleted(b *Backup) error {
	if err := s.Store.AdmitDelete(); err != nil {
		return err
	}
	batch := s.Store.NewBatch()
	defer batch.Close()
	if err := errors.Join(row(batch, kindBackup, b.ARN, b), b.Saved.Drop(batch)); err != nil {
		return err
	}
	if err := s.Store.Write(batch); err != nil {
		return err
	}
	show(s, s.backups, b.ARN, b)
	return nil
}

// Expire removes backups of tables that were deleted long ago. The clock can be relied on.
func (s *Service) Expire(context.Context) error {
	s.control.Lock()
	defer s.control.Unlock()
	now := s.Believed()
	for _, b := range values(s, s.backups, func(b *Backup) bool { return b.ExpiresMS != 0 && b.ExpiresMS <= now && b.Status == Available }) {
		if s.restoring(b) {
			continue
		}
		if err := s.remove(b); err != nil {
			return err
		}
	}
	return nil
}
