package admin

import (
	"net/http"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// schedules lists the rules and schedules of an account and region by ascending ARN.
func (h *handler) schedules(r *http.Request) (any, error) {
	out := []wire.Schedule{}
	at := func(ms int64) *time.Time {
		if ms == 0 {
			return nil
		}
		t := time.UnixMilli(ms).UTC()
		return &t
	}
	for _, d := range h.Schedules.All(h.scope(r)) {
		shown := wire.Schedule{
			Name: d.Name, ARN: d.ARN(), Group: d.Group, Expression: d.Expression, Timezone: d.Timezone, Enabled: !d.Disabled, Targets: []string{}, Next: at(d.NextMS), Last: at(d.LastMS),
		}
		for _, t := range d.Targets {
			shown.Targets = append(shown.Targets, t.ARN)
		}
		out = append(out, shown)
	}
	return out, nil
}
