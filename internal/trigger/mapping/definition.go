package mapping

import (
	"maps"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// StartingPosition of a mapping.
type StartingPosition string

// The starting positions of streams. A mapping may begin at another place by its tags.
const (
	StartTrimHorizon StartingPosition = "TRIM_HORIZON"
	StartLatest      StartingPosition = "LATEST"
)

// Definition is what is stored of an event source mapping. JSON tags are the stored
// form; fields are only ever added.
type Definition struct {
	UUID        string           `json:"uuid"`
	Scope       schema.Scope     `json:"scope"`
	StreamARN   string           `json:"streamArn"`
	FunctionARN string           `json:"functionArn"`
	Enabled     bool             `json:"enabled"`
	Paused      bool             `json:"paused,omitempty"` // enabled, and delivers nothing
	Generation  uint64           `json:"generation"`       // raised by every control operation
	Start       StartingPosition `json:"start"`
	// Snapshot, if not nil: the items that there were when the mapping was made come first, as inserts.
	Snapshot *Snapshot `json:"snapshot,omitempty"`
	// StartAt, if not zero, counts instead of Start: the first record is the first of this moment or later.
	StartAt  time.Time `json:"startAt,omitzero"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`

	BatchSize               int  `json:"batchSize"`
	BatchingWindowSeconds   int  `json:"batchingWindow"`
	ParallelizationFactor   int  `json:"parallelizationFactor"`
	MaximumRetryAttempts    int  `json:"maximumRetryAttempts"`    // -1: endless
	MaximumRecordAgeSeconds int  `json:"maximumRecordAgeSeconds"` // -1: endless
	BisectOnError           bool `json:"bisectOnError"`
	TumblingWindowSeconds   int  `json:"tumblingWindow,omitempty"`
	ReportItemFailures      bool `json:"reportItemFailures,omitempty"`

	Filters     []string `json:"filters,omitempty"`     // patterns; a record passes when one matches
	When        string   `json:"when,omitempty"`        // a condition on the change (expr.Transition) that must hold besides; empty: none
	Destination string   `json:"destination,omitempty"` // ARN for what is given up
	Metrics     []string `json:"metrics,omitempty"`     // groups of AWS's metrics that were asked for

	// Of mappings on queues: calls at once (0: as many as usual), and the pollers that were asked for.
	MaximumConcurrency int           `json:"maximumConcurrency,omitempty"`
	Pollers            *PollerConfig `json:"pollers,omitempty"`

	Tags map[string]string `json:"tags,omitempty"`

	// Notes are the newest of what people have removed or given up of what is set aside, the oldest first.
	Notes []Noted `json:"notes,omitempty"`

	// Revision counts the changes, where several nodes can make them (backend.Shared).
	Revision uint64 `json:"revision,omitempty"`
}

// Snapshot is what the backend knows of the items that a mapping begins with: those of its table
// between two writes. The mapping's positions in the stream are those of the same moment.
type Snapshot struct {
	Items uint64 `json:"items"`
	// Last is the number of the last of them.
	Last seqnum.Num `json:"last"`
	AtMS int64      `json:"atMs"`
	// Lower and Upper are the backend's own.
	Lower []byte `json:"lower"`
	Upper []byte `json:"upper"`
}

// What is noted of records that were set aside.
const (
	Removed = "dropped"
	GaveUp  = "given up"
)

// Noted is what a person has done to records that were set aside.
type Noted struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"` // Removed or GaveUp
	Records int       `json:"records"`
	Reason  string    `json:"reason,omitempty"`
}

// maxNotes is how many are kept.
const maxNotes = 20

// oneNote is for how long what is done for one reason is one note.
const oneNote = time.Minute

// Note adds a note, and forgets the oldest beyond those that are kept. What follows a note of its kind and reason soon is
// counted there.
func (m *Definition) Note(n Noted) {
	all := slices.Clone(m.Notes)
	if i := len(all) - 1; i >= 0 && all[i].What == n.What && all[i].Reason == n.Reason && n.At.Sub(all[i].At).Abs() < oneNote {
		n.Records += all[i].Records
		all = all[:i]
	}
	all = append(all, n)
	m.Notes = all[max(0, len(all)-maxNotes):]
}

// New is the definition that a CreateRequest asks for: AWS's defaults, and what is given. The request has been checked.
func New(r CreateRequest) Definition {
	m := Definition{
		Enabled: true, Generation: 1, Start: StartingPosition(*r.StartingPosition),
		BatchSize: defaultBatchSize, ParallelizationFactor: 1, MaximumRetryAttempts: endless, MaximumRecordAgeSeconds: endless,
		Tags: maps.Clone(r.Tags),
	}
	r.Apply(&m)
	return m
}
