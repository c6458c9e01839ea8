package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// maxAsidePage is how many records a page has at most.
const maxAsidePage = 1000

var asideKinds = map[lane.AsideKind]string{lane.Held: "held", lane.Telling: "telling", lane.Parked: "parked"}

// parked lists records that a trigger has set aside, a page at a time.
func (h *handler) parked(r *http.Request) (any, error) {
	q := r.URL.Query()
	uuid := q.Get("trigger")
	filter, err := asideFilter(r)
	if err != nil {
		return nil, err
	}
	if kind := q.Get("kind"); kind != "" {
		for k, name := range asideKinds {
			if name == kind {
				filter.Kind = k
			}
		}
		if asideKinds[filter.Kind] != kind {
			return nil, wire.BadRequest("kind=" + kind + ": want held, telling or parked")
		}
	}
	limit := maxAsidePage
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxAsidePage {
			return nil, wire.BadRequest("limit=" + text + ": want a number from 1 to " + strconv.Itoa(maxAsidePage))
		}
	}
	var at lane.AsideKey
	if from := q.Get("from"); from != "" {
		var ok bool
		if at, ok = lane.ParseAsideKey(from); !ok {
			return nil, wire.BadRequest("from=" + from + " is no place of a page")
		}
	}
	rows, next, more, err := h.Engine.ListAside(r.Context(), uuid, filter, at, limit)
	if err != nil {
		return nil, asideError(uuid, err)
	}
	page := wire.AsideRecords{Records: []wire.AsideRecord{}}
	for i := range rows {
		page.Records = append(page.Records, asideRecord(&rows[i]))
	}
	if more {
		page.Next = next.String()
	}
	return page, nil
}

// parkedRecord shows one record whole.
func (h *handler) parkedRecord(r *http.Request) (any, error) {
	uuid, id := r.URL.Query().Get("trigger"), r.URL.Query().Get("id")
	key, ok := lane.ParseAsideKey(id)
	if !ok {
		return nil, wire.BadRequest("id " + id + " is none; `millstream parked ls` shows them")
	}
	record, err := h.Engine.AsideRecord(r.Context(), uuid, key)
	if err != nil {
		return nil, asideError(uuid, err)
	}
	return asideRecord(&record), nil
}

// redrive gives parked records back to a function, and answers when all have been handed over.
func (h *handler) redrive(r *http.Request) (any, error) {
	q := r.URL.Query()
	to := trigger.Redrive{Function: q.Get("function")}
	if text := q.Get("rate"); text != "" {
		var err error
		if to.Rate, err = strconv.ParseFloat(text, 64); err != nil || !(to.Rate > 0 && to.Rate <= 1e6) {
			return nil, wire.BadRequest("rate=" + text + ": want records a second, above 0")
		}
	}
	if text := q.Get("limit"); text != "" {
		var err error
		if to.Limit, err = strconv.Atoi(text); err != nil || to.Limit < 1 {
			return nil, wire.BadRequest("limit=" + text + ": want a number above 0")
		}
	}
	return h.redriven(r, to)
}

// maxReason bounds the reason for what is dropped or given up, in bytes.
const maxReason = 500

func reasonOf(r *http.Request) (string, error) {
	reason := strings.TrimSpace(r.URL.Query().Get("reason"))
	if len(reason) > maxReason || !utf8.ValidString(reason) {
		return "", wire.BadRequest("reason=: want a text of at most " + strconv.Itoa(maxReason) + " bytes")
	}
	return reason, nil
}

// drop removes parked records for good.
func (h *handler) drop(r *http.Request) (any, error) {
	reason, err := reasonOf(r)
	if err != nil {
		return nil, err
	}
	return h.redriven(r, trigger.Redrive{Discard: true, Reason: reason})
}

// giveUp ends the attempts of held records.
func (h *handler) giveUp(r *http.Request) (any, error) {
	reason, err := reasonOf(r)
	if err != nil {
		return nil, err
	}
	return h.redriven(r, trigger.Redrive{GiveUp: true, Reason: reason})
}

func (h *handler) redriven(r *http.Request, to trigger.Redrive) (any, error) {
	var err error
	if to.AsideFilter, err = asideFilter(r); err != nil {
		return nil, err
	}
	uuid := r.URL.Query().Get("trigger")
	if from := r.URL.Query().Get("from"); from != "" {
		var ok bool
		if to.From, ok = lane.ParseAsideKey(from); !ok {
			return nil, wire.BadRequest("from=" + from + " is no place to go on")
		}
	}
	n, next, err := h.Engine.Redrive(r.Context(), uuid, to)
	done := wire.Redriven{Records: n}
	if next != (lane.AsideKey{}) {
		done.Next = next.String()
	}
	return done, asideError(uuid, err)
}

// asideFilter reads which records are meant.
func asideFilter(r *http.Request) (f trigger.AsideFilter, err error) {
	q := r.URL.Query()
	if q.Get("trigger") == "" {
		return f, wire.BadRequest("trigger= is missing")
	}
	f.Key, f.Error = q.Get("key"), q.Get("error")
	if id := q.Get("id"); id != "" {
		var ok bool
		if f.ID, ok = lane.ParseAsideKey(id); !ok {
			return f, wire.BadRequest("id " + id + " is none; `millstream parked ls` shows them")
		}
	}
	for name, to := range map[string]*int64{"after": &f.After, "before": &f.Before} {
		if text := q.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return f, wire.BadRequest(name + "=" + text + ": want a time such as 2026-01-02T15:04:05Z")
			}
			*to = t.UnixMilli()
		}
	}
	return f, nil
}

// asideError turns an error of the engine into one of the protocol: what a person can do something about is no internal
// error.
func asideError(uuid string, err error) error {
	var e *awserr.Error
	switch {
	case errors.Is(err, backend.ErrNoMapping):
		return noTrigger(uuid)
	case errors.Is(err, trigger.ErrMoved):
		return &wire.Error{Code: "Moved", Message: err.Error(), Status: http.StatusConflict}
	case errors.Is(err, backend.ErrNobody), errors.Is(err, backend.ErrUnknown):
		return &wire.Error{Code: "Moved", Message: err.Error(), Status: http.StatusConflict}
	case errors.Is(err, trigger.ErrUnderWay):
		return &wire.Error{Code: "UnderWay", Message: err.Error(), Status: http.StatusConflict}
	case errors.Is(err, trigger.ErrNotAside):
		return wire.NotFound("that record is not set aside (any more); `millstream parked ls` shows those that are")
	case errors.As(err, &e):
		return wire.BadRequest(e.Message)
	}
	return err
}

func asideRecord(r *lane.SetAside) wire.AsideRecord {
	return wire.AsideRecord{
		ID: r.AsideKey.String(), Kind: asideKinds[r.Kind], Shard: r.Shard, SequenceNumber: r.Seq.String(), Keys: json.RawMessage(r.Keys),
		Written: time.UnixMilli(r.Time).UTC(), Since: time.UnixMilli(r.Since).UTC(), Attempts: r.Attempts,
		Reason: string(r.Reason), Error: r.Error, Function: r.Function, Bytes: r.Size, Record: r.Event,
	}
}
