package wire

import "time"

// Schedule is one of GET schedules: a rule of EventBridge with a schedule, or a schedule of EventBridge Scheduler.
type Schedule struct {
	Name       string     `json:"name"`
	ARN        string     `json:"arn"`
	Group      string     `json:"group,omitempty"` // of a schedule
	Expression string     `json:"expression"`
	Timezone   string     `json:"timezone,omitempty"`
	Enabled    bool       `json:"enabled"`
	Targets    []string   `json:"targets"`        // ARNs
	Next       *time.Time `json:"next,omitempty"` // the next start; left out when there is none
	Last       *time.Time `json:"last,omitempty"` // the latest
}
