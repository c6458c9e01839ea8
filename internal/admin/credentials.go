package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// AccessKey is one of the server's access keys.
type AccessKey = wire.AccessKey

// AccessKeys lists the access keys of all accounts.
func (c *Client) AccessKeys(ctx context.Context) (all []AccessKey, err error) {
	err = c.document(ctx, http.MethodGet, "credentials", nil, nil, &all)
	return all, err
}

// CreateKey makes an access key; its secret is in the answer and nowhere else. account: empty for the server's own.
func (c *Client) CreateKey(ctx context.Context, account, name string, operator bool) (k AccessKey, err error) {
	q := url.Values{"name": {name}, "operator": {strconv.FormatBool(operator)}}
	if account != "" {
		q.Set("account", account)
	}
	err = c.document(ctx, http.MethodPost, "credentials", q, nil, &k)
	return k, err
}

// DisableKey has a key sign nothing any more, or with false sign again.
func (c *Client) DisableKey(ctx context.Context, id string, disabled bool) error {
	return c.document(ctx, http.MethodPost, "credentials/change", url.Values{"id": {id}, "disabled": {strconv.FormatBool(disabled)}}, nil, &struct{}{})
}

// DeleteKey removes a key for good.
func (c *Client) DeleteKey(ctx context.Context, id string) error {
	return c.document(ctx, http.MethodPost, "credentials/delete", url.Values{"id": {id}}, nil, &struct{}{})
}
