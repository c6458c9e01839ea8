package trigger

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// Settings are what Create and Update have in common; nil means absent. The fields
// have AWS's names, so that the door can decode a request straight into them. Members of other event sources are given by name only, because their
// values do not matter.
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

// CreateRequest is CreateEventSourceMapping.
type CreateRequest struct {
	Settings
	EventSourceArn               *string
	StartingPosition             *string
	HasStartingPositionTimestamp bool `json:"-"`
	Tags                         map[string]string
}

// Defaults of a new mapping.
const (
	defaultBatchSize = 100
	endless          = -1
)

var startingPositions = []string{"LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"}

// check is everything about a CreateRequest that needs no state.
func (r *CreateRequest) check() error {
	bad := r.constraints()
	if r.FunctionName == nil {
		bad = append(bad, awserr.NotNull("functionName"))
	}
	if r.StartingPosition != nil && !slices.Contains(startingPositions, *r.StartingPosition) {
		bad = append(bad, awserr.InEnum(*r.StartingPosition, "startingPosition", startingPositions))
	}
	if len(bad) > 0 {
		return awserr.Constraints(bad)
	}
	if r.EventSourceArn == nil || !isStream(*r.EventSourceArn) {
		return awserr.EventSourceUnrecognized()
	}
	if r.StartingPosition == nil {
		return awserr.StartingPositionMissing()
	}
	if *r.StartingPosition == "AT_TIMESTAMP" {
		return awserr.StartingPositionUnsupported(*r.EventSourceArn)
	}
	if r.HasStartingPositionTimestamp {
		return awserr.MappingParameterForeign("StartingPositionTimestamp")
	}
	if err := checkTags(r.Tags); err != nil {
		return err
	}
	return r.Settings.check()
}

// constraints are the violations of the API model's ranges and sets.
func (s *Settings) constraints() []string {
	var bad []string
	within := func(member string, v *int, lowest, highest int) {
		switch {
		case v == nil:
		case *v < lowest:
			bad = append(bad, awserr.AtLeast(strconv.Itoa(*v), member, strconv.Itoa(lowest)))
		case *v > highest:
			bad = append(bad, awserr.AtMost(strconv.Itoa(*v), member, strconv.Itoa(highest)))
		}
	}
	within("batchSize", s.BatchSize, 1, 10000)
	within("maximumBatchingWindowInSeconds", s.MaximumBatchingWindowInSeconds, 0, 300)
	within("parallelizationFactor", s.ParallelizationFactor, 1, lane.MaxFactor)
	within("maximumRetryAttempts", s.MaximumRetryAttempts, endless, 10000)
	within("maximumRecordAgeInSeconds", s.MaximumRecordAgeInSeconds, endless, 604800)
	within("tumblingWindowInSeconds", s.TumblingWindowInSeconds, 0, 900)
	if n := len(s.FunctionResponseTypes); n > 1 {
		bad = append(bad, awserr.AtMostLong(bracketed(s.FunctionResponseTypes), "functionResponseTypes", "1"))
	}
	for _, t := range s.FunctionResponseTypes {
		if t != reportItemFailures {
			bad = append(bad, awserr.InEnum(t, "functionResponseTypes", []string{reportItemFailures}))
		}
	}
	if f := s.FilterCriteria; f != nil {
		for i, p := range f.Filters {
			if p.Pattern != nil && utf8.RuneCountInString(*p.Pattern) > pattern.MaxLength {
				bad = append(bad, awserr.AtMostLong(*p.Pattern, "filterCriteria.filters."+strconv.Itoa(i+1)+".member.pattern", strconv.Itoa(pattern.MaxLength)))
			}
		}
	}
	if d := s.DestinationConfig; d != nil && d.OnFailure != nil && d.OnFailure.Destination != nil && len(*d.OnFailure.Destination) > maxDestination {
		bad = append(bad, awserr.AtMostLong(*d.OnFailure.Destination, "destinationConfig.onFailure.destination", strconv.Itoa(maxDestination)))
	}
	if m := s.MetricsConfig; m != nil {
		if len(m.Metrics) > len(metricGroups) {
			bad = append(bad, awserr.AtMostLong(bracketed(m.Metrics), "metricsConfig.metrics", strconv.Itoa(len(metricGroups))))
		}
		for _, g := range m.Metrics {
			if !slices.Contains(metricGroups, g) {
				bad = append(bad, awserr.InEnum(g, "metricsConfig.metrics", metricGroups))
			}
		}
	}
	return bad
}

const (
	reportItemFailures = "ReportBatchItemFailures"
	eventCount         = "EventCount"
	maxDestination     = 350
	// maxFilters is AWS's quota at its highest; accounts begin with 5.
	maxFilters = 10
)

var metricGroups = []string{"EventCount", "ErrorCount", "KafkaMetrics"}

// bracketed prints a list as AWS's texts do.
func bracketed(texts []string) string { return "[" + strings.Join(texts, ", ") + "]" }

// check is the rest. What this version does not act upon is refused, unless it
// is given with the value that switches it off.
func (s *Settings) check() error {
	if age := s.MaximumRecordAgeInSeconds; age != nil && *age >= 0 && *age < 60 {
		return awserr.RecordAgeRange()
	}
	if len(s.Foreign) > 0 {
		return awserr.MappingParameterForeign(s.Foreign[0])
	}
	if d := s.DestinationConfig; d != nil {
		if d.OnSuccess != nil && d.OnSuccess.Destination != nil && *d.OnSuccess.Destination != "" {
			return awserr.OnSuccessUnsupported()
		}
		if arn := d.onFailure(); arn != "" && destinationService(arn) == "" {
			return awserr.DestinationInvalid(arn)
		}
	}
	if s.KMSKeyArn != nil && *s.KMSKeyArn != "" {
		return awserr.MappingParameterUnsupported("KMSKeyArn")
	}
	if m := s.MetricsConfig; m != nil && slices.ContainsFunc(m.Metrics, func(g string) bool { return g != eventCount }) {
		return awserr.MappingParameterForeign("MetricsConfig")
	}
	if f := s.FilterCriteria; f != nil {
		if len(f.Filters) > maxFilters {
			return awserr.TooManyFilters(maxFilters)
		}
		for _, t := range f.patterns() {
			if _, err := pattern.Parse(t); err != nil {
				return awserr.FilterPatternInvalid()
			}
		}
	}
	return nil
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

// checkTogether is about members that must fit each other, in the definition as
// it will be.
func (m *Mapping) checkTogether() error {
	tumbling := m.TumblingWindowSeconds > 0
	if n, ok := number(m.Tags[tagTumbling], maxWindow); ok {
		tumbling = n > 0
	}
	if tumbling && m.ParallelizationFactor > 1 {
		return awserr.TumblingWithFactor()
	}
	return nil
}

// apply sets what is given.
func (s *Settings) apply(m *Mapping) {
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

// params are the machines' view of a definition. Its filters have been checked
// when it was made.
func params(m Mapping, x extensions) lane.Params {
	p := lane.Params{
		Generation:     m.Generation,
		FunctionARN:    m.FunctionARN,
		BatchSize:      m.BatchSize,
		Window:         time.Duration(cmp.Or(x.batching, m.BatchingWindowSeconds)) * time.Second,
		Factor:         m.ParallelizationFactor,
		MaxRetries:     m.MaximumRetryAttempts,
		MaxAge:         time.Duration(m.MaximumRecordAgeSeconds) * time.Second,
		ReportFailures: m.ReportItemFailures,
		Bisect:         m.BisectOnError,
		Tumbling:       time.Duration(cmp.Or(x.tumbling, m.TumblingWindowSeconds)) * time.Second,
		Destination:    m.Destination,
		OnFailure:      x.onFailure,
		ExactlyOnce:    x.exactlyOnce,
	}
	if p.Tumbling > 0 {
		p.Factor = 1 // checked when the mapping is made; but its function's tags may say so later
	}
	for _, text := range m.Filters {
		if f, err := pattern.Parse(text); err == nil {
			p.Filters = append(p.Filters, f)
		}
	}
	if m.When != "" {
		if when, err := expr.ParseTransition(m.When); err == nil {
			p.When = when
		}
	}
	return p
}

// warnOfFilters logs which filters can never match: AWS takes them in silence.
func (e *Engine) warnOfFilters(m Mapping) {
	for _, text := range m.Filters {
		f, err := pattern.Parse(text)
		if err != nil {
			continue
		}
		for _, w := range f.Warnings() {
			e.log.Warn("a filter of a mapping may not mean what it seems to", "mapping", m.UUID, "filter", text, "why", w)
		}
	}
}
