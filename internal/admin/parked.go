package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// asideQuery is a filter as parameters.
func asideQuery(f *AsideFilter, trigger string) url.Values {
	q := url.Values{"trigger": {trigger}}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("id", f.ID)
	set("kind", f.Kind)
	set("key", f.Key)
	set("error", f.Error)
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
	q := asideQuery(&f, trigger)
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
	q := asideQuery(&o.AsideFilter, trigger)
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

// DropParked removes parked records for good. A reason is logged, and kept with the trigger.
func (c *Client) DropParked(ctx context.Context, trigger string, f AsideFilter, reason string) (r Redriven, err error) {
	return c.unset(ctx, "parked/drop", trigger, f, reason)
}

// GiveUp ends the attempts of held records: they are parked, or the on-failure destination is told of them.
func (c *Client) GiveUp(ctx context.Context, trigger string, f AsideFilter, reason string) (r Redriven, err error) {
	return c.unset(ctx, "parked/give-up", trigger, f, reason)
}

func (c *Client) unset(ctx context.Context, path, trigger string, f AsideFilter, reason string) (r Redriven, err error) {
	q := asideQuery(&f, trigger)
	if reason != "" {
		q.Set("reason", reason)
	}
	err = c.document(ctx, http.MethodPost, path, q, nil, &r)
	return r, err
}
