package wire

// Moved is what came of a move: how many records come again or were skipped, at most, and how
// many shards have a new position.
type Moved struct {
	Records uint64 `json:"records"`
	Shards  int    `json:"shards"`
}
