package trigger

import (
	"context"
	"maps"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// TagsOf returns the tags of a mapping, which is known by its ARN also in errors. They must not be changed.
func (e *Engine) TagsOf(scope schema.Scope, arn, uuid string) (map[string]string, error) {
	m, err := e.find(scope, uuid)
	if err != nil {
		return nil, awserr.MappingOfTagsNotFound(arn)
	}
	return m.definition().Tags, nil
}

// Retag changes the tags of a mapping. Those that are Millstream's own take effect at once, but for where the mapping
// begins: it has begun.
func (e *Engine) Retag(ctx context.Context, scope schema.Scope, arn, uuid string, change func(tags map[string]string)) error {
	m, err := e.find(scope, uuid)
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
	if err := checkTags(def.Tags); err != nil {
		return err
	}
	if err := e.checkDefinition(def); err != nil {
		return err
	}
	if m.gone() {
		return awserr.MappingOfTagsNotFound(arn)
	}
	if err := e.opts.Backend.UpdateMapping(ctx, def); err != nil {
		return err
	}
	m.mu.Lock()
	m.def = def
	m.mu.Unlock()
	m.retag()
	return nil
}
