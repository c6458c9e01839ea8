package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Stacks lists the stacks of the scope with what they have made, by name.
func (c *Client) Stacks(ctx context.Context) ([]Stack, error) {
	var s wire.Stacks
	err := c.document(ctx, http.MethodGet, "deployments", nil, nil, &s)
	return s.Stacks, err
}

// Deployed lists what the deployments of a stack have made, in the order in which they did.
func (c *Client) Deployed(ctx context.Context, stack string) (d Deployment, err error) {
	err = c.document(ctx, http.MethodGet, "deployments/"+url.PathEscape(stack), nil, nil, &d)
	return d, err
}

// PutDeployed replaces the list of that version, and no other, by d's; an empty one removes it. It is durable on return, and
// what is returned is its version.
func (c *Client) PutDeployed(ctx context.Context, stack string, d Deployment) (version string, err error) {
	body, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	var answer Deployment
	err = c.document(ctx, http.MethodPut, "deployments/"+url.PathEscape(stack), nil, body, &answer)
	return answer.Version, err
}

// HoldDeployment returns when nobody else deploys a stack, and keeps others waiting until release, or until this process or the
// connection to the server is gone. Before it waits for somebody it calls waiting, once.
func (c *Client) HoldDeployment(ctx context.Context, stack string, waiting func()) (release func(), err error) {
	// The hold outlives ctx: what is ended still finishes its resource under the hold.
	holding, end := context.WithCancel(context.WithoutCancel(ctx))
	giveUp := context.AfterFunc(ctx, end)
	res, err := c.call(holding, http.MethodPost, "deployments/"+url.PathEscape(stack)+"/hold", nil, nil)
	if err != nil {
		end()
		return nil, err
	}
	held := false
	defer func() {
		if !held {
			_ = res.Body.Close() // what it said was read
			end()
		}
	}()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		switch line := lines.Bytes(); {
		case len(line) == 0: // the server is alive
		case bytes.HasPrefix(line, []byte(`{"error":`)):
			return nil, readError(res.StatusCode, line)
		default:
			var is wire.Hold
			if err := json.Unmarshal(line, &is); err != nil {
				return nil, fmt.Errorf("%s sent something unreadable: %w", c.endpoint, err)
			}
			if held = is.Held && giveUp(); held {
				return func() { _ = res.Body.Close(); end() }, nil
			}
			if is.Held { // ctx has ended
				return nil, ctx.Err()
			}
			waiting()
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("the connection to %s broke off while the stack %s was being deployed by somebody else: deploy again", c.endpoint, stack)
}
