package keep

import (
	"context"
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// RestoreTableToPointInTime begins a new table of what a table was at a moment. As on AWS its settings are those that the table has now.
func (s *Service) RestoreTableToPointInTime(ctx context.Context, scope schema.Scope, r *request.RestoreToPoint) (*table.Description, error) {
	s.control.Lock()
	defer s.control.Unlock()
	switch {
	case r.Scope == (schema.Scope{}) || r.Scope == scope:
	case r.Scope.Account != scope.Account:
		return nil, awserr.ForeignSource()
	default:
		return nil, s.durable(ctx, awserr.TableNotThere(r.Shown))
	}
	now := s.Now()
	job := &restore{Scope: scope, Table: r.Target.TableName, AtMS: now.UnixMilli(), ID: s.nextID(now)}
	var err error
	job.Saved, job.PastMS, err = s.Tables.FreezePast(ctx, scope, r.Source, r.Shown, frozenName(job.ID), func(c *table.ContinuousBackups) (from, at time.Time, err error) {
		if !r.Time.IsZero() && (r.Time.Before(c.Earliest) || r.Time.After(c.Latest)) {
			form := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
			return from, at, awserr.RestoreTimeOutside(form(r.Time), form(c.Earliest.Add(time.Second-1)), form(c.Latest))
		}
		switch there, err := s.Tables.Exists(ctx, scope, r.Target.TableName); {
		case err != nil:
			return from, at, err
		case there:
			return from, at, awserr.TableTaken(r.Target.TableName)
		case s.loading() >= maxLoads:
			return from, at, awserr.ImportsFull()
		}
		return from, r.Time, s.forget()
	})
	if err != nil {
		return nil, err
	}
	create, err := job.Saved.Request(&r.RestoreTable)
	if err == nil {
		var d *table.Description
		d, err = s.restore(ctx, create, job, &table.Restored{TableARN: scope.TableARN(r.Source), AtMS: job.PastMS})
		if err == nil {
			return d, nil
		}
	}
	s.left(frozenName(job.ID), s.Store.Thaw(frozenName(job.ID)))
	return nil, err
}

// each calls f with the items of what was frozen under a piece of work's name, as they were then, or at a moment before.
func (s *Service) each(ctx context.Context, id string, saved *table.Saved, pastMS int64, f func(item.Item) error) (err error) {
	frozen, err := s.frozen(ctx, id, saved, pastMS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, frozen.Close()) }()
	if pastMS == 0 {
		return saved.Each(ctx, frozen, f)
	}
	return s.Tables.EachAt(ctx, saved, frozen, pastMS, id, f)
}

// eachChange calls f with what was changed in the stretch of time of an export.
func (s *Service) eachChange(ctx context.Context, e *Export, f func(*table.ItemChange) error) (err error) {
	frozen, err := s.frozen(ctx, e.ID, e.Saved, e.FromMS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, frozen.Close()) }()
	return s.Tables.EachChange(ctx, e.Saved, frozen, e.FromMS, e.ToMS, e.ID, f)
}

// frozen opens what was frozen under a piece of work's name, which goes back to a moment.
func (s *Service) frozen(ctx context.Context, id string, saved *table.Saved, pastMS int64) (frozen *store.Frozen, err error) {
	frozen, err = s.Store.OpenFrozen(frozenName(id))
	if err != nil && pastMS != 0 && s.Store.Err() == nil { // a copy of the folder does not have it
		if err = s.Store.Thaw(frozenName(id)); err == nil {
			err = s.Tables.FreezeAgain(ctx, saved, pastMS, frozenName(id))
		}
		if err == nil {
			frozen, err = s.Store.OpenFrozen(frozenName(id))
		}
	}
	return frozen, err
}

// readPast fills a table with what another was at a moment.
func (s *Service) readPast(ctx context.Context, l *table.Loader, r *restore) error {
	p := &piece{to: l}
	if err := s.each(ctx, r.ID, r.Saved, r.PastMS, p.add); err != nil {
		return err
	}
	return errors.Join(p.write(), ctx.Err())
}

// thaw removes what was frozen for a restore that has ended.
func (s *Service) thaw(r *restore) error {
	if r.ID == "" {
		return nil
	}
	if err := s.Store.MakeDurable(); err != nil { // else a crash brings back the row that says it is to be done
		return err
	}
	s.left(frozenName(r.ID), s.Store.Thaw(frozenName(r.ID)))
	return nil
}
