package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

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

// AsideFilter chooses records that a trigger has set aside; zero members do not.
type AsideFilter struct {
	ID            string
	Kind          string // held, telling or parked
	Key           string // of the item, as JSON, or the text of one of its attributes
	After, Before time.Time
}

func (f *AsideFilter) query(trigger string) url.Values {
	q := url.Values{"trigger": {trigger}}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("id", f.ID)
	set("kind", f.Kind)
	set("key", f.Key)
	for name, t := range map[string]time.Time{"after": f.After, "before": f.Before} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	return q
}

// AsideRecords calls each for every record that a trigger has set aside and the filter
// chooses, without its Record.
func (c *Client) AsideRecords(ctx context.Context, trigger string, f AsideFilter, each func(AsideRecord) error) error {
	q := f.query(trigger)
	for {
		var page AsideRecords
		if err := c.document(ctx, http.MethodGet, "parked", q, nil, &page); err != nil {
			return err
		}
		for _, r := range page.Records {
			if err := each(r); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Set("from", page.Next)
	}
}

// AsideRecord returns a record that a trigger has set aside, whole.
func (c *Client) AsideRecord(ctx context.Context, trigger, id string) (r AsideRecord, err error) {
	err = c.document(ctx, http.MethodGet, "parked/record", url.Values{"trigger": {trigger}, "id": {id}}, nil, &r)
	return r, err
}

// RedriveOptions say which parked records go where, and how fast.
type RedriveOptions struct {
	AsideFilter
	Function string  // name or ARN of another function
	Rate     float64 // records a second; 0: as fast as it goes
	Limit    int     // 0: all
}

// Redrive gives parked records back to their function, or to another one, and returns
// when all have been handed over, which takes as long as Rate has it.
func (c *Client) Redrive(ctx context.Context, trigger string, o RedriveOptions) (r Redriven, err error) {
	q := o.query(trigger)
	if o.Function != "" {
		q.Set("function", o.Function)
	}
	if o.Rate > 0 {
		q.Set("rate", strconv.FormatFloat(o.Rate, 'f', -1, 64))
	}
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	err = c.document(ctx, http.MethodPost, "parked/redrive", q, nil, &r)
	return r, err
}

// DropParked removes parked records for good.
func (c *Client) DropParked(ctx context.Context, trigger string, f AsideFilter) (r Redriven, err error) {
	err = c.document(ctx, http.MethodPost, "parked/drop", f.query(trigger), nil, &r)
	return r, err
}
