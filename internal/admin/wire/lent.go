package wire

import "encoding/json"

// What a server keeps for a trigger of nodes that begins with the items there are (serve --tables): they are its clients.

// LendItems asks for the items of a stream's table as they are now, for a trigger that nodes are about to make.
type LendItems struct {
	Trigger string `json:"trigger"`
	Stream  string `json:"stream"`
	// Account, Region and Table are of the nodes' control table: once that has no row of the trigger the items are given up.
	Account string `json:"account"`
	Region  string `json:"region"`
	Table   string `json:"table"`
}

// LentItems are the items, and where the stream goes on behind them.
type LentItems struct {
	Items  uint64      `json:"items"`
	Last   string      `json:"last"` // the number of the last one
	AtMS   int64       `json:"atMs"`
	Shards []LentPlace `json:"shards"`
}

// LentPlace is where a shard goes on: behind a number, or nowhere, since it had ended.
type LentPlace struct {
	Shard string `json:"shard"`
	After string `json:"after"`
	Done  bool   `json:"done,omitempty"`
}

// Codes of errors beside NotFound, which says that the items are not kept: there is no such stream, and the stream is not one whose table has items to begin with.
const (
	NoStream = "NoStream"
	NoItems  = "NoItems"
)

// LentPage has items as records of GetRecords. The lower half of their numbers counts them from 1.
type LentPage struct {
	Records []json.RawMessage `json:"records"`
	End     bool              `json:"end,omitempty"` // there are no more
}
