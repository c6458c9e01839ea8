package trigger

import (
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

// StartingPosition of a mapping.
type StartingPosition string

const (
	StartTrimHorizon StartingPosition = "TRIM_HORIZON"
	StartLatest      StartingPosition = "LATEST"
)

// Mapping is the definition of an event source mapping. JSON tags are the stored
// form; fields are only ever added.
type Mapping struct {
	UUID        string           `json:"uuid"`
	Scope       schema.Scope     `json:"scope"`
	StreamARN   string           `json:"streamArn"`
	FunctionARN string           `json:"functionArn"`
	Enabled     bool             `json:"enabled"`
	Paused      bool             `json:"paused,omitempty"` // enabled, and delivers nothing
	Generation  uint64           `json:"generation"`       // raised by every control operation
	Start       StartingPosition `json:"start"`
	// StartAt, if not zero, stands in the place of Start: the first record is the first of this moment or later.
	// Snapshot, if not nil: the items that there were when it was made come first, as inserts.
	Snapshot *Snapshot `json:"snapshot,omitempty"`
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

	Tags map[string]string `json:"tags,omitempty"`
}
