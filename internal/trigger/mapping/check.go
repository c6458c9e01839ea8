package mapping

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/setting"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// Defaults of a new mapping.
const (
	defaultBatchSize = 100
	endless          = -1
)

var startingPositions = []string{"LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"}

// Check is everything about a CreateRequest that needs no state.
func (r *CreateRequest) Check() error {
	bad := r.Constraints()
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
	if err := CheckTags(r.Tags); err != nil {
		return err
	}
	return r.Settings.Check()
}

// Constraints are the violations of the API model's ranges and sets.
func (s *Settings) Constraints() []string {
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

// Check is the rest. What this version does not act upon is refused, unless it
// is given with the value that switches it off.
func (s *Settings) Check() error {
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
		if arn := d.onFailure(); arn != "" && DestinationService(arn) == "" {
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

// CheckTags refuses tags of a mapping that look like Millstream's own and are not, or have no
// value of theirs.
func CheckTags(tags map[string]string) error {
	if f := setting.CheckAll(setting.Mapping, tags); f != nil {
		return awserr.LambdaInvalidParameter(f.Error())
	}
	return nil
}

// CheckTogether is about members that must fit each other, in the definition as
// it will be.
func (m *Definition) CheckTogether() error {
	tumbling := m.TumblingWindowSeconds > 0
	if n := setting.Read(m.Tags).TumblingWindow; n >= 0 {
		tumbling = n > 0
	}
	if tumbling && m.ParallelizationFactor > 1 {
		return awserr.TumblingWithFactor()
	}
	return nil
}
