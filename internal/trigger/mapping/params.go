package mapping

import (
	"time"

	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/setting"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// Params are the machines' view of a definition, with the settings that tags make. The filters were checked
// when the mapping was made.
func (m *Definition) Params(v setting.Values) lane.Params {
	p := lane.Params{
		Generation:     m.Generation,
		FunctionARN:    m.FunctionARN,
		BatchSize:      m.BatchSize,
		Window:         window(v.BatchingWindow, m.BatchingWindowSeconds),
		Factor:         m.ParallelizationFactor,
		MaxRetries:     m.MaximumRetryAttempts,
		MaxAge:         time.Duration(m.MaximumRecordAgeSeconds) * time.Second,
		ReportFailures: m.ReportItemFailures,
		Bisect:         m.BisectOnError,
		Tumbling:       window(v.TumblingWindow, m.TumblingWindowSeconds),
		Destination:    m.Destination,
		OnFailure:      lane.ParseOnFailure(v.OnFailure),
		ExactlyOnce:    v.ExactlyOnce,
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

// window is the tag's, if there is one (which may say 0), else the mapping's own.
func window(tag, own int) time.Duration {
	if tag < 0 {
		tag = own
	}
	return time.Duration(tag) * time.Second
}

// Begin sets where a new mapping begins, when its tags say so: at a moment, or with the items that there are.
func (m *Definition) Begin(v setting.Values) {
	switch {
	case !v.Start.Set:
	case v.Start.At.IsZero():
		m.Snapshot = &Snapshot{}
	default:
		m.StartAt = v.Start.At
	}
}

// FilterWarnings tells which filters can never match, with the reasons: AWS accepts them without a word.
func (m *Definition) FilterWarnings(warn func(filter, why string)) {
	for _, text := range m.Filters {
		f, err := pattern.Parse(text)
		if err != nil {
			continue
		}
		for _, w := range f.Warnings() {
			warn(text, w)
		}
	}
}
