package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Deployed lists what the deployments of a stack have made, in the order in which they did.
func (c *Client) Deployed(ctx context.Context, stack string) ([]Deployed, error) {
	var answer Deployment
	err := c.document(ctx, http.MethodGet, "deployments/"+url.PathEscape(stack), nil, nil, &answer)
	return answer.Resources, err
}

// PutDeployed replaces that list; an empty one removes it. It is durable on return.
func (c *Client) PutDeployed(ctx context.Context, stack string, all []Deployed) error {
	body, err := json.Marshal(Deployment{Resources: all})
	if err != nil {
		return err
	}
	var none struct{}
	return c.document(ctx, http.MethodPut, "deployments/"+url.PathEscape(stack), nil, body, &none)
}
