package admin

import (
	"context"
)

// Activity calls each for what the server does, until ctx ends (nil) or each fails. ready, unless nil, is called when nothing
// will be missed.
func (c *Client) Activity(ctx context.Context, ready func(), each func(Activity) error) error {
	return lines(ctx, c, "activity", nil, ready, each)
}
