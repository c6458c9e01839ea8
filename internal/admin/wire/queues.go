package wire

import "time"

// Queue is one of GET queues.
type Queue struct {
	Name string `json:"name"`
	ARN  string `json:"arn"`
	FIFO bool   `json:"fifo"`
	// Visible messages can be received, InFlight ones were and are not deleted, Delayed ones are not yet to be.
	Visible  int `json:"visible"`
	InFlight int `json:"inFlight"`
	Delayed  int `json:"delayed"`
	// DeadLetters is the ARN of its dead-letter queue; Sources are those whose dead-letter queue it is.
	DeadLetters string   `json:"deadLetters,omitempty"`
	Sources     []string `json:"sources,omitempty"`
}

// QueueMessage is one of GET queues/messages.
type QueueMessage struct {
	ID       string    `json:"id"`
	Body     string    `json:"body"`
	Sent     time.Time `json:"sent"`
	Received int       `json:"received"` // how often
	Visible  bool      `json:"visible"`
	Group    string    `json:"group,omitempty"`
	Source   string    `json:"source,omitempty"` // ARN of the queue from which it came to a dead-letter queue
}

// QueueRedrive is the answer of POST queues/redrive: how many messages are to be moved.
type QueueRedrive struct {
	Messages int `json:"messages"`
}
