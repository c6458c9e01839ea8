package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// APIs lists the HTTP APIs of the scope, by name.
func (c *Client) APIs(ctx context.Context) ([]API, error) {
	var answer struct {
		APIs []API `json:"apis"`
	}
	err := c.document(ctx, http.MethodGet, "apis", nil, nil, &answer)
	return answer.APIs, err
}

// PutAPI makes an HTTP API, or replaces the one of its name as a whole.
func (c *Client) PutAPI(ctx context.Context, api API) (kept API, err error) {
	body, err := json.Marshal(api)
	if err != nil {
		return API{}, err
	}
	err = c.document(ctx, http.MethodPut, "apis/"+url.PathEscape(api.Name), nil, body, &kept)
	return kept, err
}

// DeleteAPI removes an HTTP API.
func (c *Client) DeleteAPI(ctx context.Context, name string) error {
	var none struct{}
	return c.document(ctx, http.MethodDelete, "apis/"+url.PathEscape(name), nil, nil, &none)
}
