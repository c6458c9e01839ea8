package admin

import (
	"context"
	"net/http"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Schedule is the document of a rule or a schedule.
type Schedule = wire.Schedule

// Schedules lists the rules and schedules of the client's account and region.
func (c *Client) Schedules(ctx context.Context) (all []Schedule, err error) {
	err = c.document(ctx, http.MethodGet, "schedules", nil, nil, &all)
	return all, err
}
