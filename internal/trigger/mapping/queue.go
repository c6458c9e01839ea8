package mapping

import (
	"maps"
	"slices"
	"strconv"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/setting"
)

// Limits of mappings on queues.
const (
	queueBatchSize = 10 // when none is given; also the most without a window, and of a FIFO queue
	minConcurrency = 2
	maxConcurrency = 1000
)

// IsQueue reports whether an event source is a queue.
func IsQueue(source string) bool {
	_, _, ok := arn.Queue(source)
	return ok
}

// CheckQueue is Check for a request whose source is a queue.
func (r *CreateRequest) CheckQueue() error {
	bad := append(r.Constraints(), r.queueConstraints()...)
	if r.FunctionName == nil {
		bad = append(bad, awserr.NotNull("functionName"))
	}
	if len(bad) > 0 {
		return awserr.Constraints(bad)
	}
	if r.StartingPosition != nil {
		return awserr.StartingPositionUnsupported(*r.EventSourceArn)
	}
	if r.HasStartingPositionTimestamp {
		return awserr.MappingParameterForeign("StartingPositionTimestamp")
	}
	if err := CheckQueueTags(r.Tags); err != nil {
		return err
	}
	return r.Settings.CheckQueue()
}

// CheckQueueTags is CheckTags for a mapping on a queue, for which the settings of streams mean nothing.
func CheckQueueTags(tags map[string]string) error {
	if err := CheckTags(tags); err != nil {
		return err
	}
	for name := range tags {
		if len(name) > len(setting.Prefix) && name[:len(setting.Prefix)] == setting.Prefix && name != setting.MaxInFlight && name != setting.Rate {
			return awserr.LambdaInvalidParameter("The tag " + name + " is for streams: a mapping on a queue has " + setting.MaxInFlight + " and " + setting.Rate + " only.")
		}
	}
	return nil
}

func (s *Settings) queueConstraints() (bad []string) {
	if c := s.ScalingConfig; c != nil && c.MaximumConcurrency != nil {
		switch n := *c.MaximumConcurrency; {
		case n < minConcurrency:
			bad = append(bad, awserr.AtLeast(strconv.Itoa(n), "scalingConfig.maximumConcurrency", strconv.Itoa(minConcurrency)))
		case n > maxConcurrency:
			bad = append(bad, awserr.AtMost(strconv.Itoa(n), "scalingConfig.maximumConcurrency", strconv.Itoa(maxConcurrency)))
		}
	}
	return bad
}

// CheckQueue is Check for the settings of a mapping on a queue.
func (s *Settings) CheckQueue() error {
	for _, foreign := range []struct {
		given bool
		name  string
	}{
		{s.ParallelizationFactor != nil, "ParallelizationFactor"}, {s.MaximumRetryAttempts != nil, "MaximumRetryAttempts"},
		{s.MaximumRecordAgeInSeconds != nil, "MaximumRecordAgeInSeconds"}, {s.BisectBatchOnFunctionError != nil, "BisectBatchOnFunctionError"},
		{s.TumblingWindowInSeconds != nil, "TumblingWindowInSeconds"}, {s.DestinationConfig != nil, "DestinationConfig"},
	} {
		if foreign.given {
			return awserr.MappingParameterForeign(foreign.name)
		}
	}
	general := *s
	general.Foreign = nil
	for _, name := range s.Foreign {
		if name != "ScalingConfig" && name != "ProvisionedPollerConfig" {
			return awserr.MappingParameterForeign(name)
		}
	}
	return general.Check()
}

// QueueConstraints are all violations of the API model's ranges by the settings of a mapping on a queue.
func (s *Settings) QueueConstraints() []string {
	return append(s.Constraints(), s.queueConstraints()...)
}

// CheckQueueTogether is about members of a mapping on a queue that must fit each other, in the definition as it will be.
func (m *Definition) CheckQueueTogether(fifo bool) error {
	switch {
	case fifo && m.BatchSize > queueBatchSize:
		return awserr.QueueBatchOfFIFO()
	case fifo && m.BatchingWindowSeconds > 0:
		return awserr.QueueWindowOfFIFO()
	case m.BatchSize > queueBatchSize && m.BatchingWindowSeconds == 0:
		return awserr.QueueBatchWithoutWindow()
	}
	return nil
}

// NewOnQueue is New for a mapping on a queue. The request has been checked.
func NewOnQueue(r CreateRequest) Definition {
	m := Definition{Enabled: true, Generation: 1, BatchSize: queueBatchSize, Tags: maps.Clone(r.Tags)}
	r.ApplyToQueue(&m)
	return m
}

// ApplyToQueue sets what is given.
func (s *Settings) ApplyToQueue(m *Definition) {
	s.Apply(m)
	if c := s.ScalingConfig; c != nil {
		m.MaximumConcurrency = 0
		set(&m.MaximumConcurrency, c.MaximumConcurrency)
	}
	if s.ProvisionedPollerConfig != nil {
		m.Pollers = s.ProvisionedPollerConfig
	}
}

// Merge puts the mappings on queues into a page of those on streams, whose marker of the next page is next. Both are in the order of
// their creation.
func Merge(scope arn.Scope, r ListRequest, page []View, next string, onQueues []View) ([]View, string) {
	queues, nextQueue := r.Page(scope, onQueues)
	// Behind the end of a page that was cut, the other page knows nothing of what comes between.
	cut := func(views []View, last View) []View {
		for i, v := range views {
			if ByCreation(v.Definition, last.Definition) > 0 {
				return views[:i]
			}
		}
		return views
	}
	more := ""
	if next != "" {
		if kept := cut(queues, page[len(page)-1]); len(kept) < len(queues) || nextQueue == "" {
			queues, nextQueue = kept, ""
		}
		more = next
	}
	if nextQueue != "" {
		page = cut(page, queues[len(queues)-1])
		more = nextQueue
	}
	all := append(slices.Clone(page), queues...)
	slices.SortFunc(all, func(a, b View) int { return ByCreation(a.Definition, b.Definition) })
	views, further := r.Page(scope, all)
	if further != "" {
		return views, further
	}
	if more != "" && len(views) > 0 {
		more = marker(views[len(views)-1].Definition)
	}
	return views, more
}
