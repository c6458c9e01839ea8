package millstream

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/trigger"
)

var asideKinds = map[trigger.AsideKind]string{trigger.Held: "held", trigger.Telling: "telling", trigger.Parked: "parked"}

func (a source) AsideRecords(ctx context.Context, uuid string, f wire.AsideFilter, from string, limit int) (wire.AsideRecords, error) {
	filter, err := asideFilter(f)
	if err != nil {
		return wire.AsideRecords{}, err
	}
	var at trigger.AsideKey
	if from != "" {
		var ok bool
		if at, ok = trigger.ParseAsideKey(from); !ok {
			return wire.AsideRecords{}, wire.BadRequest("from=" + from + " is no place of a page")
		}
	}
	rows, next, more, err := a.s.engine.SetAside(ctx, uuid, filter, at, limit)
	if err != nil {
		return wire.AsideRecords{}, asideError(uuid, err)
	}
	var page wire.AsideRecords
	for i := range rows {
		page.Records = append(page.Records, asideRecord(&rows[i]))
	}
	if more {
		page.Next = next.String()
	}
	return page, nil
}

func (a source) AsideRecord(ctx context.Context, uuid, id string) (wire.AsideRecord, error) {
	key, ok := trigger.ParseAsideKey(id)
	if !ok {
		return wire.AsideRecord{}, wire.BadRequest("id " + id + " is none; `millstream parked ls` shows them")
	}
	r, err := a.s.engine.AsideRecord(ctx, uuid, key)
	if err != nil {
		return wire.AsideRecord{}, asideError(uuid, err)
	}
	return asideRecord(&r), nil
}

func (a source) Redrive(ctx context.Context, uuid string, q admin.RedriveQuery) (wire.Redriven, error) {
	filter, err := asideFilter(q.AsideFilter)
	if err != nil {
		return wire.Redriven{}, err
	}
	n, err := a.s.engine.Redrive(ctx, uuid, trigger.Redrive{
		AsideFilter: filter, Discard: q.Drop, Function: q.Function, Rate: q.Rate, Limit: q.Limit,
	})
	return wire.Redriven{Records: n}, asideError(uuid, err)
}

func asideFilter(f wire.AsideFilter) (trigger.AsideFilter, error) {
	out := trigger.AsideFilter{Key: f.Key}
	if f.ID != "" {
		var ok bool
		if out.ID, ok = trigger.ParseAsideKey(f.ID); !ok {
			return out, wire.BadRequest("id " + f.ID + " is none; `millstream parked ls` shows them")
		}
	}
	for kind, name := range asideKinds {
		if name == f.Kind {
			out.Kind = kind
		}
	}
	if !f.After.IsZero() {
		out.After = f.After.UnixMilli()
	}
	if !f.Before.IsZero() {
		out.Before = f.Before.UnixMilli()
	}
	return out, nil
}

func asideError(uuid string, err error) error {
	var e *awserr.Error
	switch {
	case errors.Is(err, trigger.ErrNoMapping):
		return noTrigger(uuid)
	case errors.Is(err, trigger.ErrMoved):
		return &wire.Error{Code: "Moved", Message: err.Error(), Status: http.StatusConflict}
	case errors.Is(err, trigger.ErrNotAside):
		return wire.NotFound("that record is not set aside (any more); `millstream parked ls` shows those that are")
	case errors.As(err, &e):
		return wire.BadRequest(e.Message)
	}
	return err
}

func asideRecord(r *trigger.SetAside) wire.AsideRecord {
	return wire.AsideRecord{
		ID: r.AsideKey.String(), Kind: asideKinds[r.Kind], Shard: r.Shard, SequenceNumber: r.Seq.String(), Keys: json.RawMessage(r.Keys),
		Written: time.UnixMilli(r.Time).UTC(), Since: time.UnixMilli(r.Since).UTC(), Attempts: r.Attempts,
		Reason: string(r.Reason), Error: r.Error, Function: r.Function, Bytes: r.Size, Record: r.Event,
	}
}
