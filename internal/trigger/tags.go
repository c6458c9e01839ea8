package trigger

import (
	"context"
	"maps"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/setting"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// TagsOf returns the tags of a mapping, which is known by its ARN also in errors. They must not be changed.
func (e *Engine) TagsOf(scope schema.Scope, arn, uuid string) (map[string]string, error) {
	m, err := e.findIn(scope, uuid)
	if err != nil {
		return nil, awserr.MappingOfTagsNotFound(arn)
	}
	return m.definition().Tags, nil
}

// Retag changes the tags of a mapping. Those that are Millstream's own take effect at once, but for where the mapping
// begins: it has begun.
func (e *Engine) Retag(ctx context.Context, scope schema.Scope, arn, uuid string, change func(tags map[string]string)) error {
	m, err := e.findIn(scope, uuid)
	if err != nil {
		return awserr.MappingOfTagsNotFound(arn)
	}
	m.op.Lock()
	defer m.op.Unlock()
	def := m.definition()
	if def.Tags = maps.Clone(def.Tags); def.Tags == nil {
		def.Tags = map[string]string{}
	}
	change(def.Tags)
	if len(def.Tags) > awserr.MaxTags {
		return awserr.LambdaTooManyTags()
	}
	if err := mapping.CheckTags(def.Tags); err != nil {
		return err
	}
	if err := e.checkDefinition(def); err != nil {
		return err
	}
	if m.gone() {
		return awserr.MappingOfTagsNotFound(arn)
	}
	if err := e.store(ctx, &def); err != nil {
		return err
	}
	m.redefine(def)
	return nil
}

// values are a mapping's settings: those of its own tags, else of its function's, else of its table's. A value that
// is none counts as absent: functions and tables may have had any tag.
func (e *Engine) values(def mapping.Definition) setting.Values {
	var function, table map[string]string
	if e.opts.Tags != nil {
		function, table = e.opts.Tags(def.FunctionARN, def.StreamARN)
	}
	return setting.Read(table, function, def.Tags)
}

// TagsChanged tells that the tags of a stream's table were changed: they take effect at once.
func (e *Engine) TagsChanged(streamARN string) {
	for _, m := range e.all() {
		if m.definition().StreamARN == streamARN {
			m.retag()
		}
	}
}

// redefine gives a mapping another definition, which is stored.
func (m *running) redefine(def mapping.Definition) {
	m.mu.Lock()
	m.def = def
	m.judge()
	if !def.Enabled {
		m.post(lane.Stop{Generation: def.Generation})
	}
	m.mu.Unlock()
	m.tune(true)
}

// retag looks a mapping's settings up again: the tags of its function or table may have changed.
func (m *running) retag() { m.tune(false) }

// tune looks a mapping's settings up, and tells its machines when these or the definition have changed. Of several
// at once the one that began last has the last word, since what the others saw may be older.
func (m *running) tune(redefined bool) {
	n := m.lookups.Add(1)
	values := m.e.values(m.definition())
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > m.looked {
		m.looked = n
		redefined = redefined || m.values != values
		m.values = values
		m.gate.limit(values.MaxInFlight, values.Rate)
		m.judge()
	}
	if redefined && m.def.Enabled && !m.deleted {
		m.post(lane.Change{Params: m.params()})
	}
}
