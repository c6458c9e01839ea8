package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Stage has the server make a copy of its data folder that does not change. Writers are not
// held up. Unstage removes it; so do the next Stage and the next start of the server.
func (c *Client) Stage(ctx context.Context) (st Stage, err error) {
	err = c.document(ctx, http.MethodPost, "stages", nil, nil, &st)
	return st, err
}

// Promote has a standby go on in the place of the server that it follows. It answers as that server's successor soon after.
// lost: the server that it follows itself is lost, and is not asked; only: so is whoever else may go on in its place.
func (c *Client) Promote(ctx context.Context, lost, only bool) (p Promoted, err error) {
	q := url.Values{}
	if lost {
		q.Set("lost", "1")
	}
	if only {
		q.Set("only", "1")
	}
	err = c.document(ctx, http.MethodPost, "promote", q, nil, &p)
	return p, err
}

// Unstage removes a copy.
func (c *Client) Unstage(ctx context.Context, id string) error {
	var nothing struct{}
	return c.document(ctx, http.MethodDelete, "stages/"+url.PathEscape(id), nil, nil, &nothing)
}

// StagedFile reads a file of a copy. Read to its end, it has had size bytes, or an error is returned.
func (c *Client) StagedFile(ctx context.Context, id, name string) (io.ReadCloser, error) {
	res, err := c.call(ctx, http.MethodGet, "stages/"+url.PathEscape(id)+"/file", url.Values{"name": {name}}, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s of the copy: %w", name, err)
	}
	return res.Body, nil
}

// TellBackup tells the server of a backup that was made of it, or found whole: its metrics show how old the newest is.
func (c *Client) TellBackup(ctx context.Context, b Backup) error {
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	var nothing struct{}
	return c.document(ctx, http.MethodPost, "backups", nil, body, &nothing)
}
