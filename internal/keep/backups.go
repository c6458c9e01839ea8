package keep

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// CreateBackup begins a backup of a table as it is now.
func (s *Service) CreateBackup(ctx context.Context, scope schema.Scope, r *request.CreateBackup) (*Backup, error) {
	s.control.Lock()
	defer s.control.Unlock()
	if s.saving() >= maxSaves {
		return nil, awserr.BackupsFull()
	}
	now := s.Now()
	b := &Backup{ID: s.nextID(now), Name: r.Name, Scope: scope, Table: r.TableName, Status: Creating, CreatedMS: now.UnixMilli()}
	b.ARN = scope.TableARN(b.Table) + "/backup/" + b.ID
	err := s.forget()
	if err != nil {
		return nil, err
	}
	if b.Saved, err = s.Tables.Freeze(ctx, scope, b.Table, r.Requested, frozenName(b.ID)); err != nil {
		return nil, err
	}
	if err := put(s, s.backups, kindBackup, b.ARN, b); err != nil {
		return nil, errors.Join(err, s.Store.Thaw(frozenName(b.ID)))
	}
	wake(s.saves)
	return b, nil
}

// saving counts the backups and exports under way.
func (s *Service) saving() int {
	return len(values(s, s.backups, func(b *Backup) bool { return b.Status == Creating })) +
		len(values(s, s.exports, func(e *Export) bool { return e.Status == InProgress }))
}

// backup finds a backup of the caller's.
func (s *Service) backup(ctx context.Context, scope schema.Scope, p *request.Part) (*Backup, error) {
	if b := get(s, s.backups, p.ARN); b != nil && b.Scope == scope {
		return b, nil
	}
	return nil, s.durable(ctx, awserr.BackupNotFound(p.ARN))
}

// DescribeBackup shows a backup.
func (s *Service) DescribeBackup(ctx context.Context, scope schema.Scope, r *request.DescribeBackup) (*Backup, error) {
	return s.backup(ctx, scope, &r.Part)
}

// BackupPage is a page of ListBackups.
type BackupPage struct {
	Backups []*Backup
	Last    string // ARN; empty: it was the last page
}

// ListBackups returns one page of backups, oldest first.
func (s *Service) ListBackups(ctx context.Context, scope schema.Scope, r *request.ListBackups) (*BackupPage, error) {
	list := values(s, s.backups, func(b *Backup) bool {
		at := time.UnixMilli(b.CreatedMS)
		return b.Scope == scope && (r.TableName == "" || r.TableName == b.Table) && (r.Type == "ALL" || b.Type() == cmp.Or(r.Type, UserBackup)) &&
			(r.From.IsZero() || !at.Before(r.From)) && (r.To.IsZero() || at.Before(r.To))
	})
	slices.SortFunc(list, func(a, b *Backup) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.ARN, b.ARN)) })
	if r.After != "" {
		_, _, id, _ := arn.Part(r.After, "backup")
		list = slices.DeleteFunc(list, func(b *Backup) bool { return cmp.Or(cmp.Compare(b.ID, id), cmp.Compare(b.ARN, r.After)) <= 0 })
	}
	page := &BackupPage{Backups: list}
	if len(list) > r.Limit {
		page.Backups, page.Last = list[:r.Limit], list[r.Limit-1].ARN
	}
	return page, nil
}

// DeleteBackup removes a backup, and shows it as it was.
func (s *Service) DeleteBackup(ctx context.Context, scope schema.Scope, r *request.DeleteBackup) (*Backup, error) {
	s.control.Lock()
	defer s.control.Unlock()
	b, err := s.backup(ctx, scope, &r.Part)
	if err != nil {
		return nil, err
	}
	if b.ExpiresMS != 0 && !s.mayGiveUp(b) {
		return nil, awserr.SystemBackup(b.ARN, time.UnixMilli(b.ExpiresMS).UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	remove := s.remove
	switch {
	case b.Status == Creating && b.ExpiresMS != 0:
		remove = s.giveUp
	case b.Status == Creating:
		return nil, awserr.BackupInUse()
	case s.restoring(b):
		return nil, awserr.BackupRestoring(b.ARN)
	}
	if err := remove(b); err != nil {
		return nil, err
	}
	gone := *b
	gone.Status = Deleted
	return &gone, nil
}

// restoring reports whether a table is being restored from a backup, whose files are read for that.
func (s *Service) restoring(b *Backup) bool {
	return len(values(s, s.restores, func(r *restore) bool { return r.Backup == b.ARN && !r.read.Load() })) > 0
}

// remove removes a backup with its files. control is held.
func (s *Service) remove(b *Backup) error {
	if err := drop(s, s.backups, kindBackup, b.ARN); err != nil {
		return err
	}
	if err := s.Store.MakeDurable(); err != nil { // else a crash brings back a row without files
		return err
	}
	s.left(b.ID, s.files(b.ID).Remove())
	return nil
}

// RestoreTableFromBackup begins a new table of a backup.
func (s *Service) RestoreTableFromBackup(ctx context.Context, scope schema.Scope, r *request.RestoreTable) (*table.Description, error) {
	s.control.Lock()
	defer s.control.Unlock()
	b, err := s.backup(ctx, scope, &r.Backup)
	switch {
	case err != nil:
		return nil, err
	case b.Status == Creating:
		return nil, awserr.BackupInUse()
	case b.Status == Deleted:
		return nil, awserr.BackupNotFound(b.ARN)
	case s.loading() >= maxLoads:
		return nil, awserr.ImportsFull()
	}
	create, err := b.Saved.Request(r)
	if err != nil {
		return nil, err
	}
	return s.restore(ctx, create, &restore{Scope: scope, Table: create.TableName, Backup: b.ARN, AtMS: s.Now().UnixMilli()},
		&table.Restored{BackupARN: b.ARN, TableARN: scope.TableARN(b.Table), AtMS: b.CreatedMS})
}

// restore makes the table of a restore, which then is under way.
func (s *Service) restore(ctx context.Context, create *request.CreateTable, job *restore, of *table.Restored) (*table.Description, error) {
	d, err := s.Tables.CreateToLoad(ctx, job.Scope, create, table.LoadOptions{
		Restored: of,
		With: func(batch *store.Batch, id string) error {
			job.TableID = id
			return row(batch, kindRestore, job.key(), job)
		},
	})
	if e, ok := errors.AsType[*awserr.Error](err); ok && e.Code == awserr.TableExists("").Code {
		return nil, awserr.TableTaken(create.TableName)
	}
	if err != nil {
		return nil, err
	}
	show(s, s.restores, job.key(), job)
	wake(s.loads)
	return d, nil
}

// loading counts the imports and restores under way.
func (s *Service) loading() int {
	s.mu.Lock()
	n := len(s.restores)
	s.mu.Unlock()
	return n + len(values(s, s.imports, func(i *Import) bool { return i.Status == InProgress }))
}
