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
