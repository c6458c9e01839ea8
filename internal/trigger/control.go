package trigger

import (
	"context"
	"errors"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Create makes a mapping. When it has returned, a LATEST mapping will get every
// record acknowledged from then on.
func (e *Engine) Create(ctx context.Context, scope schema.Scope, r mapping.CreateRequest) (mapping.View, error) {
	if err := r.Check(); err != nil {
		return mapping.View{}, err
	}
	arn, err := e.resolve(ctx, scope, *r.FunctionName)
	if err != nil {
		return mapping.View{}, err
	}
	stream, err := e.opts.Backend.ResolveStream(ctx, *r.EventSourceArn)
	if errors.Is(err, backend.ErrNoStream) || err == nil && stream.Scope != scope {
		return mapping.View{}, awserr.MappingStreamMissing(*r.EventSourceArn)
	}
	if err != nil {
		return mapping.View{}, err
	}
	def := mapping.New(r)
	def.UUID, def.Scope, def.StreamARN, def.FunctionARN = e.opts.NewUUID(), scope, stream.ARN, arn
	def.Created = e.stamp()
	def.Modified = def.Created
	def.Begin(e.values(def)) // before the check: not every backend can begin anywhere
	if err := e.checkDefinition(def); err != nil {
		return mapping.View{}, err
	}
	key := pair{arn, stream.ARN}
	if err := e.reserve(key, def.UUID); err != nil {
		return mapping.View{}, err
	}
	rows, err := e.opts.Backend.CreateMapping(ctx, def)
	if err != nil {
		e.mu.Lock()
		if e.mappings[def.UUID] == nil { // else it was made, and this node has been told of it
			delete(e.pairs, key)
		}
		e.mu.Unlock()
		taken, found := errors.AsType[*backend.Taken](err)
		switch {
		case found:
			err = exists(key, taken.UUID)
		case errors.Is(err, backend.ErrNoStream):
			err = awserr.MappingStreamMissing(stream.ARN)
		case errors.Is(err, backend.ErrNoSnapshot):
			err = awserr.MappingSnapshot(stream.ARN)
		case errors.Is(err, backend.ErrLacks):
			err = awserr.LambdaInvalidParameter(err.Error())
		}
		return mapping.View{}, err
	}
	if e.shared != nil {
		def.Revision = 1
		e.warnOfFilters(def)
		return e.defined(def).view(mapping.Creating), nil
	}
	m := newMapping(e, def, rows)
	e.mu.Lock()
	e.mappings[def.UUID] = m
	e.mu.Unlock()
	m.retag() // tags may have changed just before it could be told
	e.warnOfFilters(def)
	if e.active() {
		e.watch(m)
		m.begin()
	}
	return m.view(mapping.Creating), nil
}

// stamp is the creation time of a new mapping: now, but after every earlier one's.
func (e *Engine) stamp() time.Time {
	now := e.opts.Now().UTC().Round(0)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !now.After(e.newest) {
		now = e.newest.Add(1)
	}
	e.newest = now
	return now
}

// Get returns a mapping.
func (e *Engine) Get(_ context.Context, scope schema.Scope, uuid string) (mapping.View, error) {
	m, err := e.findIn(scope, uuid)
	if err != nil {
		return mapping.View{}, err
	}
	return m.view(""), nil
}

// List returns a page of mappings in the order of their creation, and the marker
// of the next page, empty on the last.
func (e *Engine) List(_ context.Context, scope schema.Scope, r mapping.ListRequest) ([]mapping.View, string, error) {
	if err := r.Check(); err != nil {
		return nil, "", err
	}
	var all []mapping.View
	for _, m := range e.all() {
		all = append(all, m.view(""))
	}
	views, next := r.Page(scope, all)
	return views, next, nil
}

// Update changes a mapping. Its position stays, and what is under way goes on,
// unless the mapping is disabled.
func (e *Engine) Update(ctx context.Context, scope schema.Scope, uuid string, s mapping.Settings) (mapping.View, error) {
	if bad := s.Constraints(); len(bad) > 0 {
		return mapping.View{}, awserr.Constraints(bad)
	}
	m, err := e.findIn(scope, uuid)
	if err != nil {
		return mapping.View{}, err
	}
	if err := s.Check(); err != nil {
		return mapping.View{}, err
	}
	m.op.Lock()
	defer m.op.Unlock()
	def := m.definition()
	old := def
	if s.FunctionName != nil {
		if def.FunctionARN, err = e.resolve(ctx, scope, *s.FunctionName); err != nil {
			return mapping.View{}, err
		}
	}
	s.Apply(&def)
	if err := e.checkDefinition(def); err != nil {
		return mapping.View{}, err
	}
	def.Generation++
	def.Modified = e.opts.Now().UTC().Round(0)
	oldKey, key := pair{old.FunctionARN, old.StreamARN}, pair{def.FunctionARN, def.StreamARN}
	if key != oldKey {
		if e.shared != nil {
			return mapping.View{}, awserr.LambdaInvalidParameter("FunctionName cannot be changed while the tables are at another endpoint: delete the mapping and make another")
		}
		if err := e.reserve(key, uuid); err != nil {
			return mapping.View{}, err
		}
	}
	drop := key
	if m.gone() {
		err = awserr.MappingNotFound()
	} else if err = e.store(ctx, &def); err == nil {
		drop = oldKey
	}
	if key != oldKey {
		e.mu.Lock()
		delete(e.pairs, drop)
		e.mu.Unlock()
	}
	if err != nil {
		return mapping.View{}, err
	}
	m.redefine(def)
	if def.Enabled && !old.Enabled {
		m.begin()
	}
	e.progress.notify()
	if s.FilterCriteria != nil {
		e.warnOfFilters(def)
	}
	switch {
	case def.Enabled && !old.Enabled:
		return m.view(mapping.Enabling), nil
	case !def.Enabled && old.Enabled:
		return m.view(mapping.Disabling), nil
	}
	return m.view(mapping.Updating), nil
}

// Delete removes a mapping. What is under way ends on its own.
func (e *Engine) Delete(ctx context.Context, scope schema.Scope, uuid string) (mapping.View, error) {
	m, err := e.findIn(scope, uuid)
	if err != nil {
		return mapping.View{}, err
	}
	m.op.Lock()
	defer m.op.Unlock()
	if m.gone() {
		return mapping.View{}, awserr.MappingNotFound()
	}
	def := m.definition()
	m.setDeleted(true)
	m.mu.Lock()
	m.post(lane.Stop{Generation: def.Generation + 1})
	m.mu.Unlock()
	m.gate.wake()
	// From here on the committer makes no row of this mapping; one that it may be
	// writing now must not come back after the delete.
	m.committer().barrier()
	if err := e.opts.Backend.DeleteMapping(ctx, uuid); err != nil && !errors.Is(err, backend.ErrNoMapping) {
		m.setDeleted(false)
		m.begin()
		return mapping.View{}, err
	}
	e.forget(m)
	return m.view(mapping.Deleting), nil
}

func (e *Engine) checkDefinition(def mapping.Definition) error {
	if def.Destination != "" && e.opts.Destination == nil {
		return awserr.MappingParameterUnsupported("DestinationConfig")
	}
	if lacks := e.lacks(def, e.values(def)); lacks != "" {
		return awserr.LambdaInvalidParameter(lacks)
	}
	return def.CheckTogether()
}

func (m *running) gone() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deleted
}

func (m *running) setDeleted(v bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deleted = v
}

// reserve takes a function and a stream for one mapping.
func (e *Engine) reserve(key pair, uuid string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if other, ok := e.pairs[key]; ok {
		return exists(key, other)
	}
	e.pairs[key] = uuid
	return nil
}

// exists is the answer when a function reads a stream already.
func exists(key pair, uuid string) error {
	f, _ := arn.ParseFunction(key.function)
	return awserr.MappingExists(key.stream, f.Name, uuid)
}

// store stores a changed definition.
func (e *Engine) store(ctx context.Context, def *mapping.Definition) error {
	err := e.opts.Backend.UpdateMapping(ctx, *def)
	switch {
	case errors.Is(err, backend.ErrStale):
		return awserr.MappingChanging(def.UUID)
	case err == nil && e.shared != nil:
		def.Revision++
	}
	return err
}

// forget is for a mapping that has been deleted.
func (e *Engine) forget(m *running) {
	def := m.definition()
	e.mu.Lock()
	delete(e.mappings, m.uuid)
	delete(e.pairs, pair{def.FunctionARN, def.StreamARN})
	e.mu.Unlock()
	e.unwatch(m)
	m.aside.Load().stopTimer()
	e.progress.notify()
}

func (e *Engine) resolve(ctx context.Context, scope schema.Scope, name string) (string, error) {
	arn, err := e.opts.Invoker.Resolve(ctx, scope, name)
	if errors.Is(err, ErrNoFunction) {
		return "", awserr.MappingFunctionMissing()
	}
	return arn, err
}

// view is the mapping as shown; the empty state stands for the stable one.
func (m *running) view(state mapping.State) mapping.View {
	v := mapping.View{Definition: m.definition(), State: state, LastProcessingResult: mapping.LastResult(m.last.Load()).Text()}
	if lacks := m.cannot(); lacks != "" {
		v.LastProcessingResult = "PROBLEM: " + lacks
	}
	if state == "" {
		v.State = mapping.Disabled
		if v.Enabled {
			v.State = mapping.Enabled
		}
	}
	return v
}

// warnOfFilters logs which filters can never match.
func (e *Engine) warnOfFilters(def mapping.Definition) {
	def.FilterWarnings(func(filter, why string) {
		e.log.Warn("a filter of a mapping may not mean what it seems to", "mapping", def.UUID, "filter", filter, "why", why)
	})
}
