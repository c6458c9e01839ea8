package trigger

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/schema"
)

// find returns a mapping of whatever account and region; ErrNoMapping when there is none.
func (e *Engine) find(uuid string) (*running, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m := e.mappings[uuid]; m != nil {
		return m, nil
	}
	return nil, backend.ErrNoMapping
}

// findIn returns a mapping of an account and region, or AWS's error.
func (e *Engine) findIn(scope schema.Scope, uuid string) (*running, error) {
	m, err := e.find(uuid)
	if err != nil || m.definition().Scope != scope {
		return nil, awserr.MappingNotFound()
	}
	return m, nil
}

// lock returns a mapping with its op taken, which the caller releases; ErrNoMapping when it is not there, or was
// deleted meanwhile.
func (e *Engine) lock(uuid string) (*running, error) {
	m, err := e.find(uuid)
	if err != nil {
		return nil, err
	}
	m.op.Lock()
	if m.gone() {
		m.op.Unlock()
		return nil, backend.ErrNoMapping
	}
	return m, nil
}
