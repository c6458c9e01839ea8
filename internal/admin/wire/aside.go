package wire

import (
	"encoding/json"
	"time"
)

// AsideFilter chooses records that a trigger has set aside; members that are zero do
// not choose.
type AsideFilter struct {
	ID            string
	Kind          string // held, telling or parked
	Key           string // of the item, as JSON, or the text of one of its attributes
	Error         string // a part of why it is set aside
	After, Before time.Time
}

// SetAside is what a trigger has set aside now.
type SetAside struct {
	Held    int   `json:"held"`    // wait for retries of their own
	Telling int   `json:"telling"` // the on-failure destination is to be told of them again
	Parked  int   `json:"parked"`  // wait for a person
	Bytes   int64 `json:"bytes"`
	Full    bool  `json:"full"` // there is no room for more: the trigger blocks
	// Blocked is the oldest trouble of a held record.
	Blocked *Blocked `json:"blocked,omitempty"`
}

// AsideRecord is one record that is set aside.
type AsideRecord struct {
	ID             string          `json:"id"`
	Kind           string          `json:"kind"` // held, telling or parked
	Shard          string          `json:"shard"`
	SequenceNumber string          `json:"sequenceNumber"`
	Keys           json.RawMessage `json:"keys,omitempty"` // of the item
	Written        time.Time       `json:"written"`        // the item was
	Since          time.Time       `json:"since"`          // it is what it is
	Attempts       int             `json:"attempts"`
	Reason         string          `json:"reason,omitempty"` // why it was given up
	Error          string          `json:"error,omitempty"`
	Function       string          `json:"function,omitempty"` // ARN to which it was redriven
	Bytes          int             `json:"bytes"`
	Record         json.RawMessage `json:"record,omitempty"` // as a Lambda event carries it; not in lists
}

// AsideRecords is a page of them; Next is where the next one begins, empty on the last.
type AsideRecords struct {
	Records []AsideRecord `json:"records"`
	Next    string        `json:"next,omitempty"`
}

// Redriven counts records that were given back, or dropped.
type Redriven struct {
	Records int    `json:"records"`
	Next    string `json:"next,omitempty"` // where to go on behind a limit; absent: there is no more
}
