package keep

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// ExportTableToPointInTime begins an export of a table, as it is now or, with point-in-time recovery, as it was at a moment.
func (s *Service) ExportTableToPointInTime(ctx context.Context, scope schema.Scope, r *request.Export) (*Export, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	print := sha256.Sum256(body)
	s.control.Lock()
	defer s.control.Unlock()
	now := s.Now()
	if r.Scope != scope {
		return nil, s.durable(ctx, awserr.TableNotThere(r.TableARN))
	}
	e := &Export{ID: s.nextID(now), Request: *r, Fingerprint: hex.EncodeToString(print[:]), Status: InProgress, AtMS: now.UnixMilli()}
	e.ARN = r.TableARN + "/export/" + e.ID
	switch {
	case r.Token == "":
		e.Request.Token = uuid.NewString() // as AWS makes one
	case r.Unsupported == nil: // before the table is looked for: it may be gone when a client tries again
		same := values(s, s.exports, func(o *Export) bool {
			return o.Request.Token == r.Token && o.Request.Scope == scope && o.AtMS > s.Believed()-tokenFor.Milliseconds()
		})
		if len(same) > 0 && same[0].Fingerprint == e.Fingerprint {
			return same[0], nil
		}
		if len(same) > 0 {
			return nil, awserr.ExportConflict()
		}
	}
	switch there, err := s.Tables.Exists(ctx, scope, r.Table); {
	case err != nil:
		return nil, err
	case !there:
		return nil, awserr.TableNotThere(r.TableARN)
	case r.Unsupported != nil:
		return nil, r.Unsupported
	}
	if s.saving() >= maxSaves {
		return nil, awserr.BackupsFull()
	}
	if err := s.forget(); err != nil {
		return nil, err
	}
	switch {
	case r.Incremental():
		err = s.freezeWindow(ctx, e)
	case r.Time.IsZero():
		e.Saved, err = s.Tables.Freeze(ctx, scope, r.Table, r.TableARN, frozenName(e.ID))
	default:
		e.Saved, e.PastMS, err = s.Tables.FreezePast(ctx, scope, r.Table, r.TableARN, frozenName(e.ID), func(c *table.ContinuousBackups) (from, at time.Time, err error) {
			switch {
			case r.Time.After(c.Latest):
				return from, at, awserr.ExportTimeAhead()
			case r.Time.Before(c.Earliest):
				return from, at, awserr.ExportTimeInvalid()
			}
			return from, r.Time, nil
		})
	}
	if err != nil {
		return nil, err
	}
	d, _, err := e.Saved.Describe()
	if err == nil {
		if e.TableID = d.ID; e.PastMS == 0 {
			e.Bytes = e.Saved.Bytes
		}
		err = put(s, s.exports, kindExport, e.ARN, e)
	}
	if err != nil {
		return nil, errors.Join(err, s.Store.Thaw(frozenName(e.ID)))
	}
	wake(s.saves)
	return e, nil
}

// An incremental export is of some minutes at least, and a day at most.
const shortestWindow, longestWindow = 15 * time.Minute, 24 * time.Hour

// freezeWindow keeps the table for an export of what was changed in a stretch of time.
func (s *Service) freezeWindow(ctx context.Context, e *Export) (err error) {
	r := &e.Request
	e.Saved, e.PastMS, err = s.Tables.FreezePast(ctx, r.Scope, r.Table, r.TableARN, frozenName(e.ID), func(c *table.ContinuousBackups) (from, at time.Time, err error) {
		to := r.To
		if to.IsZero() {
			to = c.Latest
		}
		switch {
		case to.After(c.Latest), r.From.After(c.Latest):
			return from, at, awserr.ExportTimeAhead()
		case to.Sub(r.From) < shortestWindow, to.Sub(r.From) > longestWindow:
			return from, at, awserr.ExportPeriod()
		case r.From.Before(c.Earliest):
			return from, at, awserr.ExportTimeInvalid()
		}
		e.FromMS, e.ToMS = r.From.UnixMilli(), to.UnixMilli()
		return r.From, to, nil
	})
	return err
}

// DescribeExport shows an export.
func (s *Service) DescribeExport(ctx context.Context, scope schema.Scope, r *request.DescribeExport) (*Export, error) {
	if e := get(s, s.exports, r.ARN); e != nil && e.Request.Scope == scope {
		return e, nil
	}
	return nil, s.durable(ctx, awserr.ExportNotFound(r.ARN))
}

// ExportPage and ImportPage are pages of ListExports and ListImports.
type (
	ExportPage struct {
		Exports []*Export
		Next    string // token; empty: it was the last page
	}
	ImportPage struct {
		Imports []*Import
		Next    string
	}
)

// ListExports returns one page of exports: by table, the newest first.
func (s *Service) ListExports(ctx context.Context, scope schema.Scope, r *request.ListParts) (*ExportPage, error) {
	list := values(s, s.exports, func(e *Export) bool {
		return e.Request.Scope == scope && (r.TableARN == "" || r.TableARN == e.Request.TableARN)
	})
	list, next, err := page(list, r, "ListExports", func(e *Export) (string, string) { return e.Request.TableARN, e.ARN })
	return &ExportPage{list, next}, err
}

// ListImports returns one page of imports: by table, the newest first.
func (s *Service) ListImports(ctx context.Context, scope schema.Scope, r *request.ListParts) (*ImportPage, error) {
	list := values(s, s.imports, func(i *Import) bool {
		return i.Scope == scope && (r.TableARN == "" || r.TableARN == i.TableARN())
	})
	list, next, err := page(list, r, "ListImports", func(i *Import) (string, string) { return i.TableARN(), i.ARN })
	return &ImportPage{list, next}, err
}

// page sorts a list and cuts a page out of it. A token is the last one's ARN; it is at least 112 characters long, as AWS's model has it.
func page[T any](list []*T, r *request.ListParts, operation string, names func(*T) (table, arn string)) ([]*T, string, error) {
	order := func(table, arn, otherTable, otherARN string) int {
		return cmp.Or(cmp.Compare(table, otherTable), cmp.Compare(otherARN, arn))
	}
	slices.SortFunc(list, func(a, b *T) int {
		table, arn := names(a)
		otherTable, otherARN := names(b)
		return order(table, arn, otherTable, otherARN)
	})
	if r.Token != "" {
		last, err := hex.DecodeString(r.Token)
		i := max(bytes.LastIndex(last, []byte("/import/")), bytes.LastIndex(last, []byte("/export/")))
		if err != nil || i < 0 {
			return nil, "", awserr.InvalidListToken(operation)
		}
		list = slices.DeleteFunc(list, func(v *T) bool {
			table, arn := names(v)
			return order(table, arn, string(last[:i]), string(last)) <= 0
		})
	}
	if len(list) <= r.Limit {
		return list, "", nil
	}
	list = list[:r.Limit]
	_, arn := names(list[r.Limit-1])
	return list, hex.EncodeToString([]byte(arn)), nil
}

// TableARN is that of the import's table.
func (i *Import) TableARN() string { return i.Scope.TableARN(i.Request.Create.TableName) }

// ImportTable begins a new table of the objects in a bucket.
func (s *Service) ImportTable(ctx context.Context, scope schema.Scope, r *request.Import) (*Import, error) {
	s.control.Lock()
	defer s.control.Unlock()
	now := s.Now()
	// As measured on AWS: the token counts while the import runs, and only the table is compared.
	same := values(s, s.imports, func(o *Import) bool {
		return o.Scope == scope && o.Request.Token == r.Token && o.Status == InProgress && o.StartMS > s.Believed()-tokenFor.Milliseconds()
	})
	if len(same) > 0 && same[0].Request.Create.TableName != r.Create.TableName {
		return nil, awserr.ImportConflict()
	}
	if len(same) > 0 {
		return same[0], nil
	}
	if s.loading() >= maxLoads {
		return nil, awserr.ImportsFull()
	}
	if err := s.forget(); err != nil {
		return nil, err
	}
	i := &Import{Request: *r, Scope: scope, Status: InProgress, StartMS: now.UnixMilli()}
	i.ARN = i.TableARN() + "/import/" + s.nextID(now)
	_, err := s.Tables.CreateToLoad(ctx, scope, &r.Create, table.LoadOptions{With: func(b *store.Batch, id string) error {
		i.TableID = id
		return row(b, kindImport, i.ARN, i)
	}})
	if err != nil {
		return nil, err
	}
	show(s, s.imports, i.ARN, i)
	wake(s.loads)
	return i, nil
}

// DescribeImport shows an import.
func (s *Service) DescribeImport(ctx context.Context, scope schema.Scope, r *request.DescribeImport) (*Import, error) {
	if i := get(s, s.imports, r.ARN); i != nil && i.Scope == scope {
		return i, nil
	}
	return nil, s.durable(ctx, awserr.ImportNotFound(r.ARN))
}
