package admin

import (
	"context"
	"encoding/json"
	"time"
)

// Activity is something that the server did: it has ended.
type Activity struct {
	Kind   string    `json:"kind"` // request (to the front door), call (of a function) or write (to a table)
	ID     string    `json:"id"`   // of a request, or a call's request id
	By     string    `json:"by"`   // ID of what caused it; empty: somebody outside
	Name   string    `json:"name"` // METHOD /path, the function's, or the operation
	Began  time.Time `json:"began"`
	Millis float64   `json:"millis"`
	Status int       `json:"status"` // of a request or a write
	Error  string    `json:"error"`
	// Log is what the function printed in the call, at most the last 4 KB; Answer its error document.
	Log     string          `json:"log"`
	Answer  json.RawMessage `json:"answer"`
	Changes []CalledFor     `json:"changes"` // records that a trigger's call was given
	Body    json.RawMessage `json:"body"`    // of a write's request
}

// CalledFor is a stream record that a function was called for.
type CalledFor struct {
	Table string          `json:"table"`
	Event string          `json:"event"` // INSERT, MODIFY or REMOVE
	Keys  json.RawMessage `json:"keys"`
}

// Activity calls each for what the server does, until ctx ends (nil) or each fails. ready, unless nil, is called when nothing
// will be missed.
func (c *Client) Activity(ctx context.Context, ready func(), each func(Activity) error) error {
	return lines(ctx, c, "activity", nil, ready, each)
}
