package mapping

import "slices"

// Settings are what Create and Update have in common; nil means absent. The fields
// have AWS's names, so that the door can decode a request straight into them. Of members that belong to
// other event sources only the names are kept, because their values do not matter.
type Settings struct {
	FunctionName                   *string
	Enabled                        *bool
	BatchSize                      *int
	MaximumBatchingWindowInSeconds *int
	ParallelizationFactor          *int
	MaximumRetryAttempts           *int
	MaximumRecordAgeInSeconds      *int
	BisectBatchOnFunctionError     *bool
	TumblingWindowInSeconds        *int
	FunctionResponseTypes          []string
	FilterCriteria                 *FilterCriteria
	DestinationConfig              *DestinationConfig
	KMSKeyArn                      *string
	MetricsConfig                  *MetricsConfig
	// ScalingConfig and ProvisionedPollerConfig are those of queues.
	ScalingConfig           *ScalingConfig
	ProvisionedPollerConfig *PollerConfig
	// Foreign names the members given that belong to other kinds of event source.
	Foreign []string `json:"-"`
}

// FilterCriteria chooses records.
type FilterCriteria struct {
	Filters []struct{ Pattern *string }
}

// DestinationConfig says where given-up records are reported.
type DestinationConfig struct {
	OnSuccess, OnFailure *struct{ Destination *string }
}

// MetricsConfig switches AWS's metrics of a mapping on.
type MetricsConfig struct{ Metrics []string }

// ScalingConfig bounds the calls of a mapping on a queue.
type ScalingConfig struct{ MaximumConcurrency *int }

// PollerConfig is how many pollers AWS keeps for a mapping on a queue; it is kept and given back.
type PollerConfig struct {
	MinimumPollers  *int    `json:",omitempty"`
	MaximumPollers  *int    `json:",omitempty"`
	PollerGroupName *string `json:",omitempty"`
}

// CreateRequest is CreateEventSourceMapping.
type CreateRequest struct {
	Settings
	EventSourceArn               *string
	StartingPosition             *string
	HasStartingPositionTimestamp bool `json:"-"`
	Tags                         map[string]string
}

// patterns are the texts of the filters; one without a pattern has the empty
// text, which is none.
func (f *FilterCriteria) patterns() []string {
	texts := make([]string, len(f.Filters))
	for i, p := range f.Filters {
		if p.Pattern != nil {
			texts[i] = *p.Pattern
		}
	}
	return texts
}

// onFailure is the destination, empty for none.
func (d *DestinationConfig) onFailure() string {
	if d.OnFailure == nil || d.OnFailure.Destination == nil {
		return ""
	}
	return *d.OnFailure.Destination
}

// Apply sets what is given.
func (s *Settings) Apply(m *Definition) {
	set(&m.Enabled, s.Enabled)
	set(&m.BatchSize, s.BatchSize)
	set(&m.BatchingWindowSeconds, s.MaximumBatchingWindowInSeconds)
	set(&m.ParallelizationFactor, s.ParallelizationFactor)
	set(&m.MaximumRetryAttempts, s.MaximumRetryAttempts)
	set(&m.MaximumRecordAgeSeconds, s.MaximumRecordAgeInSeconds)
	set(&m.BisectOnError, s.BisectBatchOnFunctionError)
	set(&m.TumblingWindowSeconds, s.TumblingWindowInSeconds)
	if s.FunctionResponseTypes != nil {
		m.ReportItemFailures = len(s.FunctionResponseTypes) > 0
	}
	if s.FilterCriteria != nil {
		m.Filters = s.FilterCriteria.patterns()
	}
	if s.DestinationConfig != nil {
		m.Destination = s.DestinationConfig.onFailure()
	}
	if s.MetricsConfig != nil {
		m.Metrics = slices.Clone(s.MetricsConfig.Metrics)
	}
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}
