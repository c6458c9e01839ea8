package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// ParkedSource is what the protocol needs of records that are set aside. An unknown
// trigger or record is an *Error with code NotFound.
type ParkedSource interface {
	// AsideRecords lists records that a trigger has set aside, from the place of an earlier
	// page's Next on, at most limit.
	AsideRecords(ctx context.Context, uuid string, f wire.AsideFilter, from string, limit int) (wire.AsideRecords, error)
	// AsideRecord returns one whole.
	AsideRecord(ctx context.Context, uuid, id string) (wire.AsideRecord, error)
	// Redrive gives parked records back to a function, or drops them.
	Redrive(ctx context.Context, uuid string, q RedriveQuery) (wire.Redriven, error)
}

// RedriveQuery says what becomes of which parked records.
type RedriveQuery struct {
	wire.AsideFilter
	Drop     bool
	Function string  // name or ARN of another function
	Rate     float64 // records a second; 0: as fast as it goes
	Limit    int     // 0: all
}

const maxAsidePage = 1000

func (h *handler) parkedOperations(document func(string, func(*http.Request) (any, error))) {
	document("GET "+Prefix+"parked", h.parked)
	document("GET "+Prefix+"parked/record", func(r *http.Request) (any, error) {
		q := r.URL.Query()
		return h.Source.AsideRecord(r.Context(), q.Get("trigger"), q.Get("id"))
	})
	document("POST "+Prefix+"parked/redrive", func(r *http.Request) (any, error) { return h.redrive(r, false) })
	document("POST "+Prefix+"parked/drop", func(r *http.Request) (any, error) { return h.redrive(r, true) })
}

func (h *handler) parked(r *http.Request) (any, error) {
	f, err := asideFilter(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	f.Kind = q.Get("kind")
	switch f.Kind {
	case "", "held", "telling", "parked":
	default:
		return nil, wire.BadRequest("kind=" + f.Kind + ": want held, telling or parked")
	}
	limit := maxAsidePage
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxAsidePage {
			return nil, wire.BadRequest("limit=" + text + ": want a number from 1 to " + strconv.Itoa(maxAsidePage))
		}
	}
	page, err := h.Source.AsideRecords(r.Context(), q.Get("trigger"), f, q.Get("from"), limit)
	if page.Records == nil {
		page.Records = []wire.AsideRecord{}
	}
	return page, err
}

func asideFilter(r *http.Request) (f wire.AsideFilter, err error) {
	q := r.URL.Query()
	if q.Get("trigger") == "" {
		return f, wire.BadRequest("trigger= is missing")
	}
	f = wire.AsideFilter{ID: q.Get("id"), Key: q.Get("key")}
	for name, to := range map[string]*time.Time{"after": &f.After, "before": &f.Before} {
		if text := q.Get(name); text != "" {
			if *to, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return f, wire.BadRequest(name + "=" + text + ": want a time such as 2026-01-02T15:04:05Z")
			}
		}
	}
	return f, nil
}

func (h *handler) redrive(r *http.Request, drop bool) (any, error) {
	f, err := asideFilter(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	query := RedriveQuery{AsideFilter: f, Drop: drop, Function: q.Get("function")}
	if text := q.Get("rate"); text != "" {
		if query.Rate, err = strconv.ParseFloat(text, 64); err != nil || !(query.Rate > 0 && query.Rate <= 1e6) {
			return nil, wire.BadRequest("rate=" + text + ": want records a second, above 0")
		}
	}
	if text := q.Get("limit"); text != "" {
		if query.Limit, err = strconv.Atoi(text); err != nil || query.Limit < 1 {
			return nil, wire.BadRequest("limit=" + text + ": want a number above 0")
		}
	}
	return h.Source.Redrive(r.Context(), q.Get("trigger"), query)
}
