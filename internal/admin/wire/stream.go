package wire

import (
	"encoding/json"
	"time"
)

// Change is one stream record.
type Change struct {
	Shard  string          `json:"shard"`
	Record json.RawMessage `json:"record"` // as a Lambda event carries it
}

// Trial is a stream record and whether filters take it; of the first line of an answer, what is suspicious about the filters.
type Trial struct {
	Shard    string          `json:"shard,omitempty"`
	Record   json.RawMessage `json:"record,omitempty"` // as a Lambda event carries it
	Matches  bool            `json:"matches"`
	Warnings []string        `json:"warnings,omitempty"`
}

// LogLine is a line that a function printed, or, with Note, that the server says of it as it was deployed.
type LogLine struct {
	Time     time.Time `json:"time"`
	Function string    `json:"function"`
	Text     string    `json:"text"`
	Note     bool      `json:"note,omitempty"`
}

// Invocation is the answer of a function.
type Invocation struct {
	// Error is AWS's kind of a function error ("Unhandled"), "" for success.
	Error string `json:"error,omitempty"`
	// Payload is the function's answer or its error document, as text when it is
	// not JSON.
	Payload json.RawMessage `json:"payload"`
	// Log is the end of what it printed, at most 4 KB.
	Log       string  `json:"log"`
	RequestID string  `json:"requestId"`
	Millis    float64 `json:"millis"`
}

// Settled is the answer of settle.
type Settled struct {
	Settled  bool      `json:"settled"`
	WaitedMS int64     `json:"waitedMs"`
	Behind   []Trigger `json:"behind,omitempty"`
	// TimeStands says that nothing more is done before the server's manual clock is advanced.
	TimeStands bool `json:"timeStands,omitempty"`
}
