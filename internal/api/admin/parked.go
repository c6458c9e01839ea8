package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ParkedSource is what the protocol needs of records that are set aside. An unknown
// trigger or record is an *Error with code NotFound.
type ParkedSource interface {
	// AsideRecords lists records that a trigger has set aside, from the place of an earlier
	// page's Next on, at most limit.
	AsideRecords(ctx context.Context, uuid string, f AsideFilter, from string, limit int) (AsideRecords, error)
	// AsideRecord returns one whole.
	AsideRecord(ctx context.Context, uuid, id string) (AsideRecord, error)
	// Redrive gives parked records back to a function, or drops them.
	Redrive(ctx context.Context, uuid string, q RedriveQuery) (Redriven, error)
}

// AsideFilter chooses records; zero members do not.
type AsideFilter struct {
	ID            string
	Kind          string
	Key           string // of the item, as JSON, or the text of one of its attributes
	After, Before time.Time
}

// RedriveQuery says what becomes of which parked records.
type RedriveQuery struct {
	AsideFilter
	Drop     bool
	Function string  // name or ARN of another function
	Rate     float64 // records a second; 0: as fast as it goes
	Limit    int     // 0: all
}

// SetAside is what a trigger has set aside now.
type SetAside struct {
	Held    int   `json:"held"`    // wait for retries of their own
	Telling int   `json:"telling"` // the on-failure destination is to be told of them again
	Parked  int   `json:"parked"`  // wait for a person
	Bytes   int64 `json:"bytes"`
	Full    bool  `json:"full"` // there is no room for more: the trigger blocks
	// Blocked is the oldest trouble of a held record.
	Blocked *Blocked `json:"blocked,omitempty"`
}

// AsideRecord is one record that is set aside.
type AsideRecord struct {
	ID             string          `json:"id"`
	Kind           string          `json:"kind"` // held, telling or parked
	Shard          string          `json:"shard"`
	SequenceNumber string          `json:"sequenceNumber"`
	Keys           json.RawMessage `json:"keys,omitempty"` // of the item
	Written        time.Time       `json:"written"`        // the item was
	Since          time.Time       `json:"since"`          // it is what it is
	Attempts       int             `json:"attempts"`
	Reason         string          `json:"reason,omitempty"` // why it was given up
	Error          string          `json:"error,omitempty"`
	Function       string          `json:"function,omitempty"` // ARN to which it was redriven
	Bytes          int             `json:"bytes"`
	Record         json.RawMessage `json:"record,omitempty"` // as a Lambda event carries it; not in lists
}

// AsideRecords is a page of them; Next is where the next one begins, empty on the last.
type AsideRecords struct {
	Records []AsideRecord `json:"records"`
	Next    string        `json:"next,omitempty"`
}

// Redriven counts records that were given back, or dropped.
type Redriven struct {
	Records int `json:"records"`
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
		return nil, BadRequest("kind=" + f.Kind + ": want held, telling or parked")
	}
	limit := maxAsidePage
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxAsidePage {
			return nil, BadRequest("limit=" + text + ": want a number from 1 to " + strconv.Itoa(maxAsidePage))
		}
	}
	page, err := h.Source.AsideRecords(r.Context(), q.Get("trigger"), f, q.Get("from"), limit)
	if page.Records == nil {
		page.Records = []AsideRecord{}
	}
	return page, err
}

func asideFilter(r *http.Request) (f AsideFilter, err error) {
	q := r.URL.Query()
	if q.Get("trigger") == "" {
		return f, BadRequest("trigger= is missing")
	}
	f = AsideFilter{ID: q.Get("id"), Key: q.Get("key")}
	for name, to := range map[string]*time.Time{"after": &f.After, "before": &f.Before} {
		if text := q.Get(name); text != "" {
			if *to, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return f, BadRequest(name + "=" + text + ": want a time such as 2026-01-02T15:04:05Z")
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
			return nil, BadRequest("rate=" + text + ": want records a second, above 0")
		}
	}
	if text := q.Get("limit"); text != "" {
		if query.Limit, err = strconv.Atoi(text); err != nil || query.Limit < 1 {
			return nil, BadRequest("limit=" + text + ": want a number above 0")
		}
	}
	return h.Source.Redrive(r.Context(), q.Get("trigger"), query)
}
