package keep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
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

// endDeleted makes the backup b of a table that was deleted what next says, AVAILABLE, and removes the items.
func (s *Service) endDeleted(b, next *Backup) error {
	if err := s.Store.AdmitDelete(); err != nil {
		return err
	}
	s.control.Lock()
	defer s.control.Unlock()
	if get(s, s.backups, b.ARN) != b { // it was given up
		s.left(b.ID, s.files(b.ID).Remove())
		return nil
	}
	batch := s.Store.NewBatch()
	defer batch.Close()
	if err := errors.Join(row(batch, kindBackup, b.ARN, next), b.Saved.Drop(s.Store, batch)); err != nil {
		return err
	}
	if err := s.Store.Write(batch); err != nil {
		return err
	}
	s.gone(b)
	show(s, s.backups, b.ARN, next)
	return nil
}

// gone has nothing listed as lost of the items of a deleted table, which are removed.
func (s *Service) gone(b *Backup) {
	if lower, upper, err := b.Saved.Bounds(); err == nil { // else they could not be removed
		s.Store.Gone(lower, upper)
	}
}

// mayGiveUp reports whether the backup of a deleted table may be removed before its time, which AWS refuses: here the disk may be full
// of it, or it may be that it cannot be made.
func (s *Service) mayGiveUp(b *Backup) bool {
	return s.tries(b.ID) > 0 || errors.Is(s.Store.Admit(), store.ErrDiskFull)
}

// relief admits what lets go of a backup.
func (s *Service) relief() error {
	return awserr.WhenFull(s.Store.AdmitRelief(), store.ErrDiskFull, awserr.Internal().Code)
}

// giveUp removes the backup of a deleted table that is not made yet, and the items. control is held.
func (s *Service) giveUp(b *Backup) error {
	if err := s.relief(); err != nil {
		return err
	}
	batch := s.Store.NewBatch()
	defer batch.Close()
	batch.Delete(rowKey(kindBackup, b.ARN))
	if err := b.Saved.Drop(s.Store, batch); err != nil {
		return err
	}
	if err := s.Store.Write(batch); err != nil {
		return err
	}
	if err := s.Store.MakeDurable(); err != nil { // else a crash brings back what was answered as removed
		return err
	}
	s.gone(b)
	s.mu.Lock()
	delete(s.backups, b.ARN)
	delete(s.pauses, b.ID)
	s.mu.Unlock()
	s.Logger.Warn("the backup of a deleted table was given up, and its items are removed", "backup", b.ARN, "table", b.Table)
	s.left(b.ID, s.files(b.ID).Remove())
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
