package admin

import (
	"context"
	"net/http"
	"net/url"
)

// Rewind sets a trigger back: to is HORIZON, a time (RFC 3339 or seconds since 1970), how long ago (2h), or a
// sequence number, whose record is the first that comes again.
func (c *Client) Rewind(ctx context.Context, uuid, to string) (m Moved, err error) {
	err = c.document(ctx, http.MethodPost, "triggers/"+url.PathEscape(uuid)+"/rewind", url.Values{"to": {to}}, nil, &m)
	return m, err
}

// Skip sets a trigger forward: to is LATEST, a time, how long ago, or the sequence number of the last record that is skipped.
func (c *Client) Skip(ctx context.Context, uuid, to string) (m Moved, err error) {
	err = c.document(ctx, http.MethodPost, "triggers/"+url.PathEscape(uuid)+"/skip", url.Values{"to": {to}}, nil, &m)
	return m, err
}

// WouldRewind and WouldSkip tell what would come of it; nothing changes.
func (c *Client) WouldRewind(ctx context.Context, uuid, to string) (m Moved, err error) {
	err = c.document(ctx, http.MethodGet, "triggers/"+url.PathEscape(uuid)+"/rewind", url.Values{"to": {to}}, nil, &m)
	return m, err
}

func (c *Client) WouldSkip(ctx context.Context, uuid, to string) (m Moved, err error) {
	err = c.document(ctx, http.MethodGet, "triggers/"+url.PathEscape(uuid)+"/skip", url.Values{"to": {to}}, nil, &m)
	return m, err
}

// Failures lists the newest calls of a trigger that have failed since the server started, the newest first.
func (c *Client) Failures(ctx context.Context, uuid string) ([]FailedCall, error) {
	var answer struct {
		Failures []FailedCall `json:"failures"`
	}
	err := c.document(ctx, http.MethodGet, "triggers/"+url.PathEscape(uuid)+"/failures", nil, nil, &answer)
	return answer.Failures, err
}

// Passed tells what the triggers of a table's stream have made of the record with a sequence number.
func (c *Client) Passed(ctx context.Context, table, number string) (p Passed, err error) {
	err = c.document(ctx, http.MethodGet, "passed", url.Values{"table": {table}, "number": {number}}, nil, &p)
	return p, err
}

// SetWhen gives a trigger a condition on changes, such as OLD.status <> NEW.status; the empty one takes it away.
func (c *Client) SetWhen(ctx context.Context, uuid, condition string) (t Trigger, err error) {
	err = c.document(ctx, http.MethodPost, "triggers/"+url.PathEscape(uuid)+"/when", url.Values{"condition": {condition}}, nil, &t)
	return t, err
}

// Pause stops a trigger's deliveries; what is under way ends and counts. Resume goes on.
func (c *Client) Pause(ctx context.Context, uuid string) (t Trigger, err error) {
	err = c.document(ctx, http.MethodPost, "triggers/"+url.PathEscape(uuid)+"/pause", nil, nil, &t)
	return t, err
}

// Resume ends a Pause.
func (c *Client) Resume(ctx context.Context, uuid string) (t Trigger, err error) {
	err = c.document(ctx, http.MethodPost, "triggers/"+url.PathEscape(uuid)+"/resume", nil, nil, &t)
	return t, err
}

// GoOn lets a restored folder go on: its triggers run, and what is due by age is removed.
func (c *Client) GoOn(ctx context.Context) (r Resumed, err error) {
	err = c.document(ctx, http.MethodPost, "triggers/resume", nil, nil, &r)
	return r, err
}
