package wire

import "time"

// Shards are those of one stream.
type Shards struct {
	Stream string  `json:"stream"` // its ARN; "" when a table has none
	Table  string  `json:"table"`
	Shards []Shard `json:"shards"`
}

// Shard is a segment of a stream's log.
type Shard struct {
	ID        string    `json:"id"`
	Parent    string    `json:"parent,omitempty"`
	Partition uint32    `json:"partition"`
	Opened    time.Time `json:"opened"`
	Closed    bool      `json:"closed"`
	Start     string    `json:"start"`
	End       string    `json:"end,omitempty"`
	Records   uint64    `json:"records"` // durable and still kept
}
