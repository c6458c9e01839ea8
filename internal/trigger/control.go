package trigger

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// State is a mapping's state as AWS spells it. Changes take effect before they
// are answered, so the transitional states occur in the answers of changes only.
type State string

// The states.
const (
	Creating  State = "Creating"
	Enabling  State = "Enabling"
	Enabled   State = "Enabled"
	Disabling State = "Disabling"
	Disabled  State = "Disabled"
	Updating  State = "Updating"
	Deleting  State = "Deleting"
)

// View is a mapping as the API shows it.
type View struct {
	Mapping
	State State
	// LastProcessingResult is one of AWS's texts.
	LastProcessingResult string
}

// maxPage is the most mappings in one page of List.
const maxPage = 100

// ListRequest is ListEventSourceMappings; empty members do not filter.
type ListRequest struct {
	EventSourceArn string
	FunctionName   string
	Marker         string
	MaxItems       *int
}

// Create makes a mapping. When it has returned, a LATEST mapping will get every
// record acknowledged from then on.
func (e *Engine) Create(ctx context.Context, scope schema.Scope, r CreateRequest) (View, error) {
	if err := r.check(); err != nil {
		return View{}, err
	}
	arn, err := e.resolve(ctx, scope, *r.FunctionName)
	if err != nil {
		return View{}, err
	}
	stream, err := e.opts.Backend.ResolveStream(ctx, *r.EventSourceArn)
	if errors.Is(err, ErrNoStream) || err == nil && stream.Scope != scope {
		return View{}, awserr.MappingStreamMissing(*r.EventSourceArn)
	}
	if err != nil {
		return View{}, err
	}
	now := e.stamp()
	def := Mapping{
		UUID: e.opts.NewUUID(), Scope: scope, StreamARN: stream.ARN, FunctionARN: arn,
		Enabled: true, Generation: 1, Start: StartingPosition(*r.StartingPosition), Created: now, Modified: now,
		BatchSize: defaultBatchSize, ParallelizationFactor: 1, MaximumRetryAttempts: endless, MaximumRecordAgeSeconds: endless,
		Tags: maps.Clone(r.Tags),
	}
	r.apply(&def)
	if err := e.checkDefinition(def); err != nil {
		return View{}, err
	}
	def.StartAt, def.Snapshot = e.startOf(def)
	key := pair{arn, stream.ARN}
	if err := e.reserve(key, def.UUID); err != nil {
		return View{}, err
	}
	rows, err := e.opts.Backend.CreateMapping(ctx, def)
	if err != nil {
		e.mu.Lock()
		delete(e.pairs, key)
		e.mu.Unlock()
		switch {
		case errors.Is(err, ErrNoStream):
			err = awserr.MappingStreamMissing(stream.ARN)
		case errors.Is(err, ErrNoSnapshot):
			err = awserr.MappingSnapshot(stream.ARN)
		}
		return View{}, err
	}
	m := newMapping(e, def, rows)
	e.mu.Lock()
	e.mappings[def.UUID] = m
	e.mu.Unlock()
	e.warnOfFilters(def)
	if e.active() {
		e.watch(m)
		m.begin()
	}
	return m.view(Creating), nil
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
func (e *Engine) Get(_ context.Context, scope schema.Scope, uuid string) (View, error) {
	m, err := e.find(scope, uuid)
	if err != nil {
		return View{}, err
	}
	return m.view(""), nil
}

// List returns a page of mappings in the order of their creation, and the marker
// of the next page, empty on the last.
func (e *Engine) List(_ context.Context, scope schema.Scope, r ListRequest) ([]View, string, error) {
	size := maxPage
	if n := r.MaxItems; n != nil {
		switch {
		case *n < 1:
			return nil, "", awserr.Constraints([]string{awserr.AtLeast(strconv.Itoa(*n), "maxItems", "1")})
		case *n > 10000:
			return nil, "", awserr.Constraints([]string{awserr.AtMost(strconv.Itoa(*n), "maxItems", "10000")})
		}
		size = min(size, *n)
	}
	after, err := parseMarker(r.Marker)
	if err != nil {
		return nil, "", err
	}
	function := ""
	if r.FunctionName != "" {
		function = functionARN(scope, r.FunctionName)
	}
	views := []View{}
	for _, m := range e.all() {
		v := m.view("")
		if v.Scope != scope || r.EventSourceArn != "" && v.StreamARN != r.EventSourceArn ||
			function != "" && v.FunctionARN != function || r.Marker != "" && byCreation(v.Mapping, after) <= 0 {
			continue
		}
		if len(views) == size {
			return views, marker(views[size-1].Mapping), nil
		}
		views = append(views, v)
	}
	return views, "", nil
}

// Update changes a mapping. Its position stays, and what is under way goes on,
// unless the mapping is disabled.
func (e *Engine) Update(ctx context.Context, scope schema.Scope, uuid string, s Settings) (View, error) {
	if bad := s.constraints(); len(bad) > 0 {
		return View{}, awserr.Constraints(bad)
	}
	m, err := e.find(scope, uuid)
	if err != nil {
		return View{}, err
	}
	if err := s.check(); err != nil {
		return View{}, err
	}
	m.op.Lock()
	defer m.op.Unlock()
	def := m.definition()
	old := def
	if s.FunctionName != nil {
		if def.FunctionARN, err = e.resolve(ctx, scope, *s.FunctionName); err != nil {
			return View{}, err
		}
	}
	s.apply(&def)
	if err := e.checkDefinition(def); err != nil {
		return View{}, err
	}
	def.Generation++
	def.Modified = e.opts.Now().UTC().Round(0)
	oldKey, key := pair{old.FunctionARN, old.StreamARN}, pair{def.FunctionARN, def.StreamARN}
	if key != oldKey {
		if err := e.reserve(key, uuid); err != nil {
			return View{}, err
		}
	}
	drop := key
	if m.gone() {
		err = awserr.MappingNotFound()
	} else if err = e.opts.Backend.UpdateMapping(ctx, def); err == nil {
		drop = oldKey
	}
	if key != oldKey {
		e.mu.Lock()
		delete(e.pairs, drop)
		e.mu.Unlock()
	}
	if err != nil {
		return View{}, err
	}
	tags := e.extensions(def)
	m.gate.limit(tags.inFlight, tags.rate)
	m.mu.Lock()
	m.def, m.tags = def, tags
	switch {
	case !def.Enabled:
		m.post(lane.Stop{Generation: def.Generation})
	case old.Enabled:
		m.post(lane.Change{Params: m.params()})
	}
	m.mu.Unlock()
	if def.Enabled && !old.Enabled {
		m.begin()
	}
	e.progress.notify()
	if s.FilterCriteria != nil {
		e.warnOfFilters(def)
	}
	switch {
	case def.Enabled && !old.Enabled:
		return m.view(Enabling), nil
	case !def.Enabled && old.Enabled:
		return m.view(Disabling), nil
	}
	return m.view(Updating), nil
}

// Delete removes a mapping. What is under way ends on its own.
func (e *Engine) Delete(ctx context.Context, scope schema.Scope, uuid string) (View, error) {
	m, err := e.find(scope, uuid)
	if err != nil {
		return View{}, err
	}
	m.op.Lock()
	defer m.op.Unlock()
	if m.gone() {
		return View{}, awserr.MappingNotFound()
	}
	def := m.definition()
	m.setDeleted(true)
	m.mu.Lock()
	m.post(lane.Stop{Generation: def.Generation + 1})
	m.mu.Unlock()
	m.gate.wake()
	// From here on the committer makes no row of this mapping; one that it may be
	// writing now must not come back after the delete.
	e.commit.barrier()
	if err := e.opts.Backend.DeleteMapping(ctx, uuid); err != nil && !errors.Is(err, ErrNoMapping) {
		m.setDeleted(false)
		m.begin()
		return View{}, err
	}
	e.mu.Lock()
	delete(e.mappings, uuid)
	delete(e.pairs, pair{def.FunctionARN, def.StreamARN})
	e.mu.Unlock()
	e.unwatch(m)
	m.aside.Load().stopTimer()
	e.progress.notify()
	return m.view(Deleting), nil
}

func (e *Engine) checkDefinition(def Mapping) error {
	if def.Destination != "" && e.opts.Destination == nil {
		return awserr.MappingParameterUnsupported("DestinationConfig")
	}
	return def.checkTogether()
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

func (e *Engine) find(scope schema.Scope, uuid string) (*running, error) {
	e.mu.Lock()
	m := e.mappings[uuid]
	e.mu.Unlock()
	if m == nil || m.definition().Scope != scope {
		return nil, awserr.MappingNotFound()
	}
	return m, nil
}

// reserve takes a function and a stream for one mapping.
func (e *Engine) reserve(key pair, uuid string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if other, ok := e.pairs[key]; ok {
		return awserr.MappingExists(key.stream, functionName(key.function), other)
	}
	e.pairs[key] = uuid
	return nil
}

func (e *Engine) resolve(ctx context.Context, scope schema.Scope, name string) (string, error) {
	arn, err := e.opts.Invoker.Resolve(ctx, scope, name)
	if errors.Is(err, ErrNoFunction) {
		return "", awserr.MappingFunctionMissing()
	}
	return arn, err
}

// view is the mapping as shown; the empty state stands for the stable one.
func (m *running) view(state State) View {
	v := View{Mapping: m.definition(), State: state, LastProcessingResult: lastResult(m.last.Load()).text()}
	if state == "" {
		v.State = Disabled
		if v.Enabled {
			v.State = Enabled
		}
	}
	return v
}

// lastResult tells how a mapping's newest invocation ended.
type lastResult int32

const (
	noResult lastResult = iota
	resultOK
	resultFailed
)

func (r lastResult) text() string {
	switch r {
	case resultOK:
		return "OK"
	case resultFailed:
		return "PROBLEM: Function call failed"
	}
	return "No records processed"
}

func byCreation(a, b Mapping) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.UUID, b.UUID))
}

// A marker is the creation time and UUID of the last mapping of the page before,
// so that it holds when that one is deleted.
func marker(m Mapping) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(m.Created.UnixNano(), 10) + "/" + m.UUID))
}

func parseMarker(s string) (Mapping, error) {
	if s == "" {
		return Mapping{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	at, uuid, ok := strings.Cut(string(raw), "/")
	ns, err2 := strconv.ParseInt(at, 10, 64)
	if err != nil || err2 != nil || !ok {
		return Mapping{}, awserr.BadMarker()
	}
	return Mapping{Created: time.Unix(0, ns), UUID: uuid}, nil
}

// functionARN is the ARN that a function name, partial ARN or full ARN stands for,
// whether the function exists or not.
func functionARN(scope schema.Scope, name string) string {
	parts := strings.Split(name, ":")
	switch {
	case parts[0] == "arn":
		return name
	case len(parts) >= 3 && parts[1] == "function":
		scope.Account = parts[0]
		return scope.FunctionARN(strings.Join(parts[2:], ":"))
	case len(parts) >= 2 && parts[0] == "function":
		return scope.FunctionARN(strings.Join(parts[1:], ":"))
	}
	return scope.FunctionARN(name)
}

// functionName is the name within a function's ARN.
func functionName(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) < 7 {
		return arn
	}
	return parts[6]
}

func isStream(arn string) bool {
	_, _, _, ok := schema.ParseStreamARN(arn)
	return ok
}
