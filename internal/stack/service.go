package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/template"
)

// Options of Open.
type Options struct {
	Store *store.Store
	// Target is where the stacks of a scope are deployed.
	Target func(arn.Scope) (*template.Target, error)
	// Object reads an object of S3: templates and code.
	Object func(ctx context.Context, bucket, key string) ([]byte, error)
	Now    func() time.Time
	Logger *slog.Logger
}

// Service holds the stacks of all scopes. Its methods may be called by many goroutines at once.
type Service struct {
	opts Options

	mu         sync.Mutex // guards the following; held over the write of a row
	stacks     map[string]*Stack
	parameters map[parameterID]Parameter
	running    map[string]bool // stacks with an operation that somebody runs
	rested     chan struct{}   // closed, and made anew, when a stack has come to rest

	work chan string // ids of stacks with an operation to run
}

type parameterID struct {
	scope arn.Scope
	name  string
}

// Open brings the stacks up from the store. Nothing is run until Run.
func Open(o Options) (*Service, error) {
	s := &Service{opts: o, stacks: map[string]*Stack{}, parameters: map[parameterID]Parameter{}, running: map[string]bool{}, rested: make(chan struct{}), work: make(chan string, 64)}
	return s, o.Store.Each([]byte{store.SpaceStack}, s.load)
}

func (s *Service) load(key, value []byte) error {
	if key[1] == 'p' {
		parts := strings.SplitN(string(key[2:]), "\x00", 3)
		var p Parameter
		if err := decodeRow(value, &p); err != nil {
			return err
		}
		s.parameters[parameterID{arn.Scope{Account: parts[0], Region: parts[1]}, parts[2]}] = p
		return nil
	}
	st := &Stack{}
	if err := decodeRow(value, st); err != nil {
		return err
	}
	if st.Sets == nil {
		st.Sets = map[string]*ChangeSet{}
	}
	s.stacks[st.ID] = st
	return nil
}

// put writes a row. s.mu is held.
func (s *Service) put(key []byte, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b := s.opts.Store.NewBatch()
	defer b.Close()
	b.Set(key, append([]byte{rowVersion}, body...))
	return s.opts.Store.Write(b)
}

func (s *Service) drop(key []byte) error {
	b := s.opts.Store.NewBatch()
	defer b.Close()
	b.Delete(key)
	return s.opts.Store.Write(b)
}

// change changes a stack and keeps it. The change is made on a copy, so that nobody sees
// one that could not be kept.
func (s *Service) change(id string, do func(*Stack) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changeLocked(id, do)
}

func (s *Service) changeLocked(id string, do func(*Stack) error) error {
	is := s.stacks[id]
	if is == nil {
		return missing(id)
	}
	next := is.clone()
	if err := do(next); err != nil {
		return err
	}
	if err := s.put(stackKey(id), next); err != nil {
		return err
	}
	s.stacks[id] = next
	if is.Busy() && !next.Busy() {
		close(s.rested)
		s.rested = make(chan struct{})
	}
	return nil
}

// Rest returns when a stack has no operation under way, or ctx has ended.
func (s *Service) Rest(ctx context.Context, id string) {
	for {
		s.mu.Lock()
		st, rested := s.stacks[id], s.rested
		s.mu.Unlock()
		if st == nil || !st.Busy() {
			return
		}
		select {
		case <-rested:
		case <-ctx.Done():
			return
		}
	}
}

// add keeps a new stack. s.mu is held.
func (s *Service) add(st *Stack) error {
	if err := s.put(stackKey(st.ID), st); err != nil {
		return err
	}
	s.stacks[st.ID] = st
	return s.forget(st.Scope)
}

// forget removes the oldest of the stacks that were deleted. s.mu is held.
func (s *Service) forget(scope arn.Scope) error {
	var old []*Stack
	for _, st := range s.stacks {
		if st.Scope == scope && st.Status == deleted {
			old = append(old, st)
		}
	}
	slices.SortFunc(old, func(a, b *Stack) int { return a.Deleted.Compare(b.Deleted) })
	for _, st := range old[:max(0, len(old)-maxDeleted)] {
		if err := s.drop(stackKey(st.ID)); err != nil {
			return err
		}
		delete(s.stacks, st.ID)
	}
	return nil
}

// find is a stack by its name, or by its ID also when it was deleted. s.mu is held.
func (s *Service) find(scope arn.Scope, nameOrID string) *Stack {
	if arn.Is(nameOrID) {
		if st := s.stacks[nameOrID]; st != nil && st.Scope == scope {
			return st
		}
		return nil
	}
	for _, st := range s.stacks {
		if st.Scope == scope && st.Name == nameOrID && st.Status != deleted {
			return st
		}
	}
	return nil
}

// Get returns a stack by its name or ID. What it returns must not be changed.
func (s *Service) Get(scope arn.Scope, nameOrID string) (*Stack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.find(scope, nameOrID)
	if st == nil {
		return nil, missing(nameOrID)
	}
	return st, nil
}

// List returns all stacks of a scope, the newest first.
func (s *Service) List(scope arn.Scope) (all []*Stack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.stacks {
		if st.Scope == scope {
			all = append(all, st)
		}
	}
	slices.SortFunc(all, func(a, b *Stack) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID)) })
	return all
}

// Export is a value that stacks import.
type Export struct{ StackID, Name, Value string }

// Exports lists those of a scope by name.
func (s *Service) Exports(scope arn.Scope) (all []Export) {
	for _, st := range s.List(scope) {
		if st.Status == deleted {
			continue
		}
		for _, o := range st.Outputs {
			if o.Export != "" {
				all = append(all, Export{st.ID, o.Export, o.Value})
			}
		}
	}
	slices.SortFunc(all, func(a, b Export) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// importer is the name of another stack that imports one of a stack's exports. s.mu is held.
func (s *Service) importer(st *Stack) (export, by string) {
	for _, o := range st.Outputs {
		for _, other := range s.stacks {
			if o.Export != "" && other.ID != st.ID && other.Scope == st.Scope && other.Status != deleted && slices.Contains(other.Imports, o.Export) {
				return o.Export, other.Name
			}
		}
	}
	return "", ""
}

// Parameter is one of Parameter Store's.
type Parameter struct {
	Type, Value, Description string
	Version                  int
	Modified                 time.Time
}

// Parameter returns a parameter.
func (s *Service) Parameter(scope arn.Scope, name string) (Parameter, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.parameters[parameterID{scope, name}]
	return p, ok
}

// PutParameter makes a parameter, or with overwrite its next version. It is durable on return.
func (s *Service) PutParameter(scope arn.Scope, name string, p Parameter, overwrite bool) (version int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is, there := s.parameters[parameterID{scope, name}]
	if there && !overwrite {
		return 0, &Error{"ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."}
	}
	p.Version, p.Modified = is.Version+1, s.opts.Now().UTC()
	if err := s.put(parameterKey(scope, name), p); err != nil {
		return 0, err
	}
	s.parameters[parameterID{scope, name}] = p
	return p.Version, nil
}

// DeleteParameter removes a parameter, and reports whether it was there.
func (s *Service) DeleteParameter(scope arn.Scope, name string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := parameterID{scope, name}
	if _, there := s.parameters[id]; !there {
		return false, nil
	}
	if err := s.drop(parameterKey(scope, name)); err != nil {
		return false, err
	}
	delete(s.parameters, id)
	return true, nil
}

// Error is a refusal in CloudFormation's words.
type Error struct{ Code, Message string }

func (e *Error) Error() string { return e.Message }

func invalid(message string) error { return &Error{"ValidationError", message} }

func missing(name string) error {
	if arn.Is(name) {
		return invalid("Stack with id " + name + " does not exist")
	}
	return invalid("Stack with id " + name + " does not exist")
}
