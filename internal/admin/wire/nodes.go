package wire

import "time"

// Node is a server that runs functions and triggers over the tables of another, together with others.
type Node struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`          // machine and port
	URL     string    `json:"url,omitempty"` // as it was told by --advertise
	Version string    `json:"version,omitempty"`
	Began   time.Time `json:"began"`
	State   string    `json:"state"` // alive, draining: it gives its streams up, drained, or over: it has left, or was silent for too long
	Here    bool      `json:"here"`  // it is the one that answers
	Streams []string  `json:"streams"`
}
