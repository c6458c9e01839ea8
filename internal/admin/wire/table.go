package wire

// Tables are those of an account and region that were asked for, by name.
type Tables struct {
	Tables []Table `json:"tables"`
	All    int     `json:"all"` // how many there are, of which Tables are the first
}

// Table is a table as a list shows it.
type Table struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Hash    Key    `json:"hash"`
	Range   *Key   `json:"range,omitempty"`
	Items   int64  `json:"items"`
	Bytes   int64  `json:"bytes"`
	Indexes int    `json:"indexes"`
	// Stream is the view type of its stream; absent: it has none. RetentionHours is for how long that keeps records, and Changes counts those
	// that it ever got: of two answers the difference is what was changed meanwhile.
	Stream         string `json:"stream,omitempty"`
	RetentionHours int    `json:"retentionHours,omitempty"`
	Changes        uint64 `json:"changes,omitempty"`
	TTL            string `json:"ttl,omitempty"` // the attribute by which items end
}

// Key is an attribute of a key.
type Key struct {
	Name string `json:"name"`
	Type string `json:"type"` // S, N or B
}
