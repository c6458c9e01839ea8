package stack

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/template"
)

// Options of Open.
type Options struct {
	Store *store.Store
	// Seals seals templates, the parameters that they hide, and Parameter Store's SecureStrings in the store; nil: they are kept as they are.
	Seals *seal.Keys
	// Target is where the stacks of a scope are deployed.
	Target func(arn.Scope) (*template.Target, error)
	// Object reads an object of S3 for an account: templates and code.
	Object func(ctx context.Context, account, bucket, key string) ([]byte, error)
	Now    func() time.Time
	Logger *slog.Logger
}

// Service holds the stacks of all scopes. Its methods may be called by many goroutines at once.
type Service struct {
	opts Options

	mu         sync.Mutex // guards the following; held over the write of a row
	stacks     map[string]*Stack
	texts      map[string]map[string]string // the templates that have rows, by stack and sum
	parameters map[named]Parameter
	deployed   map[named][]wire.Deployed
	held       map[named]chan struct{} // clients' stacks that somebody deploys: closed when the last who came has done
	running    map[string]bool         // stacks with an operation that somebody runs
	rested     chan struct{}           // closed, and made anew, when a stack has come to rest

	work chan string // ids of stacks with an operation to run
}

// named is a parameter, or a stack of a client's.
type named struct {
	scope arn.Scope
	name  string
}

func newService(o Options) *Service {
	return &Service{opts: o, stacks: map[string]*Stack{}, texts: map[string]map[string]string{}, parameters: map[named]Parameter{}, deployed: map[named][]wire.Deployed{}, held: map[named]chan struct{}{},
		running: map[string]bool{}, rested: make(chan struct{}), work: make(chan string, 64)}
}

// Open brings the stacks up from the store. Nothing is run until Run.
func Open(o Options) (*Service, error) {
	s := newService(o)
	if err := o.Store.Each([]byte{store.SpaceStack}, s.load); err != nil {
		return nil, err
	}
	for id, st := range s.stacks {
		if err := st.join(s.texts[id], o.Seals); err != nil {
			return nil, err
		}
	}
	s.tellLocked()
	return s, nil
}

func (s *Service) load(key, value []byte) error {
	name := string(key[2:])
	of := func() named {
		parts := strings.SplitN(name, "\x00", 3)
		return named{arn.Scope{Account: parts[0], Region: parts[1]}, parts[2]}
	}
	switch key[1] {
	case 'p':
		var p Parameter
		if err := decodeRow(value, sealedVersion, &p); err != nil {
			return err
		}
		if value[0] == sealedVersion {
			text, err := s.opts.Seals.Open(seal.Parameter, key, p.Sealed)
			if err != nil {
				p.Locked = true
			} else {
				p.Value, p.Sealed = string(text), nil
			}
		}
		s.parameters[of()] = p
	case 'd':
		var d []wire.Deployed
		if err := decodeRow(value, rowVersion, &d); err != nil {
			return err
		}
		s.deployed[of()] = d
	case 't':
		id, sum, _ := strings.Cut(name, "\x00")
		var text string
		switch {
		case len(value) > 0 && value[0] == sealedVersion:
			if plain, err := s.opts.Seals.Open(seal.Parameter, key, value[1:]); err == nil { // else it is empty
				text = string(plain)
			}
		default:
			if err := decodeRow(value, rowVersion, &text); err != nil {
				return err
			}
		}
		if s.texts[id] == nil {
			s.texts[id] = map[string]string{}
		}
		s.texts[id][sum] = text
	case 's':
		st := &Stack{}
		if err := decodeRow(value, stackSealed, st); err != nil {
			return err
		}
		if st.Sets == nil {
			st.Sets = map[string]*ChangeSet{}
		}
		s.stacks[st.ID] = st
	default:
		return fmt.Errorf("stack: a row has an unknown kind: it was written by a newer release")
	}
	return nil
}

// putStack writes a stack's row, and of its templates what has changed, in one batch. s.mu is
// held.
func (s *Service) putStack(st *Stack) error {
	row, version, texts, err := st.split(s.opts.Seals)
	if err != nil {
		return err
	}
	b := s.opts.Store.NewBatch()
	defer b.Close()
	if err := set(b, stackKey(st.ID), version, row); err != nil {
		return err
	}
	is := s.texts[st.ID]
	for sum, text := range texts {
		if was, there := is[sum]; text != "" && (!there || was == "") { // or it was there, and could not be opened
			if err := s.setTemplate(b, templateKey(st.ID, sum), text); err != nil {
				return err
			}
		}
	}
	for sum := range is {
		if _, wanted := texts[sum]; !wanted {
			b.Delete(templateKey(st.ID, sum))
		}
	}
	if err := s.opts.Store.Write(b); err != nil {
		return err
	}
	s.texts[st.ID] = texts
	return nil
}

func (s *Service) setTemplate(b *store.Batch, key []byte, text string) error {
	if s.opts.Seals == nil {
		return set(b, key, rowVersion, text)
	}
	sealed, err := s.opts.Seals.Seal(seal.Parameter, key, []byte(text))
	if err != nil {
		return fmt.Errorf("a template cannot be sealed: %w", err)
	}
	b.Set(key, append([]byte{sealedVersion}, sealed...))
	return nil
}

// locked are the ARNs of what cannot be opened.
func (s *Service) locked() (stacks, parameters []string) {
	for _, st := range s.stacks {
		if st.Status != deleted && slices.ContainsFunc(st.versions(), func(v *Version) bool { return v.locked != "" }) {
			stacks = append(stacks, st.ID)
		}
	}
	for id, p := range s.parameters {
		if p.Locked {
			parameters = append(parameters, id.scope.ARN("ssm", "parameter/"+strings.TrimPrefix(id.name, "/")))
		}
	}
	slices.Sort(stacks)
	slices.Sort(parameters)
	return stacks, parameters
}

// tellLocked tells of what cannot be opened.
func (s *Service) tellLocked() {
	if stacks, parameters := s.locked(); len(stacks)+len(parameters) > 0 {
		s.opts.Logger.Warn("stacks and parameters are sealed with a key that this server does not have; bring the file of the key back and start again, or deploy the stacks with their whole templates and put the parameters anew",
			"stacks", stacks, "parameters", parameters, "because", s.opts.Seals.Why())
	}
}

// dropStack removes a stack's rows. s.mu is held.
func (s *Service) dropStack(id string) error {
	b := s.opts.Store.NewBatch()
	defer b.Close()
	b.Delete(stackKey(id))
	for sum := range s.texts[id] {
		b.Delete(templateKey(id, sum))
	}
	if err := s.opts.Store.Write(b); err != nil {
		return err
	}
	delete(s.texts, id)
	delete(s.stacks, id)
	return nil
}

func set(b *store.Batch, key []byte, version byte, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b.Set(key, append([]byte{version}, body...))
	return nil
}

// put writes a row. s.mu is held.
func (s *Service) put(key []byte, version byte, v any) error {
	b := s.opts.Store.NewBatch()
	defer b.Close()
	if err := set(b, key, version, v); err != nil {
		return err
	}
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
	if err := s.putStack(next); err != nil {
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
	if err := s.putStack(st); err != nil {
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
		if err := s.dropStack(st.ID); err != nil {
			return err
		}
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

// Deployed lists what the deployments of a client's stack have made. What another stack has made since, or uses, is not
// this one's to remove, and is left out.
func (s *Service) Deployed(scope arn.Scope, stack string) wire.Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.deployed[named{scope, stack}]
	return wire.Deployment{Version: versionOf(all), Resources: slices.DeleteFunc(slices.Clone(all), func(d wire.Deployed) bool {
		return !d.Used && s.othersHave(scope, stack, d)
	})}
}

// Made lists what the stacks of a scope have made, of clients and of CloudFormation, by name. What a stack has only found is
// another's.
func (s *Service) Made(scope arn.Scope) []wire.Stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []wire.Stack{}
	for id, list := range s.deployed {
		if id.scope != scope {
			continue
		}
		st := wire.Stack{Name: id.name, Resources: []wire.StackPart{}}
		for _, d := range list {
			if !d.Gone && !d.Used {
				st.Resources = append(st.Resources, wire.StackPart{Type: d.Type, Ref: d.Ref})
			}
		}
		all = append(all, st)
	}
	for _, own := range s.stacks {
		if own.Scope != scope || own.Status == deleted {
			continue
		}
		st := wire.Stack{Name: own.Name, Resources: []wire.StackPart{}}
		for _, r := range own.Resources {
			if r.Made {
				st.Resources = append(st.Resources, wire.StackPart{Type: r.Own, Ref: r.Ref})
			}
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b wire.Stack) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// versionOf tells a list from every other; an empty one has none.
func versionOf(all []wire.Deployed) string {
	if len(all) == 0 {
		return ""
	}
	body, err := json.Marshal(all)
	if err != nil { // a list of texts and flags has a form
		panic(err)
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}

// Hold returns when nobody else holds a client's stack; waiting is called once before it waits. Whoever comes first is first.
func (s *Service) Hold(ctx context.Context, scope arn.Scope, stack string, waiting func() error) (release func(), err error) {
	id, mine := named{scope, stack}, make(chan struct{})
	s.mu.Lock()
	before := s.held[id] // closed when that one, and so all before it, have done
	s.held[id] = mine
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		if s.held[id] == mine { // nobody waits
			delete(s.held, id)
		}
		s.mu.Unlock()
		close(mine)
	}
	if before == nil {
		return leave, nil
	}
	select {
	case <-before:
		return leave, nil
	default:
		err = waiting()
	}
	if err == nil {
		select {
		case <-before:
			return leave, nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	go func() { <-before; leave() }() // who waits for this one waits for those before it
	return nil, err
}

// othersHave reports whether another client's stack, or one of CloudFormation's, has a thing.
func (s *Service) othersHave(scope arn.Scope, stack string, is wire.Deployed) bool {
	for id, list := range s.deployed {
		if id.scope == scope && id.name != stack && slices.ContainsFunc(list, func(d wire.Deployed) bool {
			return !d.Gone && template.SameResource(d.Type, d.Ref, is.Type, is.Ref)
		}) {
			return true
		}
	}
	for _, st := range s.stacks {
		if st.Scope == scope && st.Status != deleted && slices.ContainsFunc(st.Resources, func(r Resource) bool {
			return r.Made && template.SameResource(r.Own, r.Ref, is.Type, is.Ref)
		}) {
			return true
		}
	}
	return false
}

// PutDeployed replaces the list of that version, and no other; an empty one removes it. It is durable on return, and what is
// returned is its version.
func (s *Service) PutDeployed(scope arn.Scope, stack string, d wire.Deployment) (version string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, key, all := named{scope, stack}, namedKey('d', scope, stack), d.Resources
	if d.Version != versionOf(s.deployed[id]) {
		return "", wire.Conflict("the stack " + stack + " was deployed by somebody else meanwhile: deploy it again")
	}
	if len(all) == 0 {
		if err := s.drop(key); err != nil {
			return "", err
		}
		delete(s.deployed, id)
		return "", nil
	}
	if err := s.put(key, rowVersion, all); err != nil {
		return "", err
	}
	s.deployed[id] = all
	return versionOf(all), nil
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
