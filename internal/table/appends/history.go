package appends

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Outcome is what is known of a transaction.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"      // it was answered with success
	Failed  Outcome = "failed"  // it was answered that nothing was done
	Unknown Outcome = "unknown" // nobody was told: it happened as a whole or not at all
)

// Op is an append, or a read of a whole list.
type Op struct {
	Key    string `json:"key"`
	Append int    `json:"append,omitempty"` // the value, above 0; 0: a read
	Read   []int  `json:"read,omitempty"`
}

// Txn is a transaction: its operations happen at one moment between its call and its return.
type Txn struct {
	Kind string  `json:"kind"` // the API's operation; for people
	Ops  []Op    `json:"ops"`
	Is   Outcome `json:"is"`
	// Call and Return are moments of one clock that counts events. Of a transaction without an answer the return is Never.
	Call   int64 `json:"call"`
	Return int64 `json:"return"`
}

// Never is later than everything.
const Never = math.MaxInt64

// History is transactions in any order.
type History []Txn

// Write writes a history, one transaction a line.
func (h History) Write(w io.Writer) error {
	out := json.NewEncoder(w)
	for i := range h {
		if err := out.Encode(&h[i]); err != nil {
			return err
		}
	}
	return nil
}

// Read reads what Write wrote.
func Read(r io.Reader) (h History, err error) {
	in := json.NewDecoder(bufio.NewReader(r))
	for {
		var t Txn
		if err := in.Decode(&t); err == io.EOF {
			return h, nil
		} else if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", len(h)+1, err)
		}
		h = append(h, t)
	}
}
