package template

import (
	"context"
	"time"
)

// Looks at something that changes come at these distances: here it has changed at
// the first one, on AWS it takes seconds.
const (
	minWait = 5 * time.Millisecond
	maxWait = 5 * time.Second
)

// pause waits between two looks at something that changes.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
