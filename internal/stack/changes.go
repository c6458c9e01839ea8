package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/template"
)

// Request is what a stack is to be deployed with.
type Request struct {
	Stack            string // name or ID
	Template         string
	PreviousTemplate bool
	Parameters       map[string]string
	Previous         []string // parameters whose value stays
	Tags             []Tag
	KeepTags         bool // none were given: those of before stay
	Capabilities     []string
	KeepFailed       bool
	DeleteFailed     bool
	Protected        bool
}

// SkipTag is the tag of a stack with which what Millstream has none of is left out.
const SkipTag = "millstream:skip-unsupported"

var stackName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// version fills in what a request takes over from a stack; st may be nil.
func (r *Request) version(st *Stack) (Version, error) {
	v := Version{Template: r.Template, Parameters: maps.Clone(r.Parameters), Tags: r.Tags, Capabilities: r.Capabilities}
	if v.Parameters == nil {
		v.Parameters = map[string]string{}
	}
	if st == nil {
		if len(r.Previous) > 0 || r.PreviousTemplate {
			return v, invalid("UsePreviousValue and UsePreviousTemplate are for stacks that are there")
		}
		return v, nil
	}
	if st.Now.locked != "" && (r.PreviousTemplate || len(r.Previous) > 0) {
		return v, invalid("What the stack " + st.Name + " was deployed with cannot be used again: " + st.Now.locked + ".")
	}
	if r.PreviousTemplate {
		v.Template = st.Now.Template
	}
	if r.KeepTags {
		v.Tags = st.Now.Tags
	}
	for _, name := range r.Previous {
		if value, ok := st.Now.Parameters[name]; ok {
			v.Parameters[name] = value
		}
	}
	return v, nil
}

// plan makes a plan of a version; imports are the exports that it names.
func (s *Service) plan(ctx context.Context, st *Stack, v Version) (p *template.Plan, t *template.Target, imports []string, err error) {
	if v.locked != "" {
		return nil, nil, nil, invalid("A version of the stack " + st.Name + " cannot be deployed: " + v.locked + ".")
	}
	tpl, err := template.New("template", []byte(v.Template))
	if err != nil {
		return nil, nil, nil, invalid("Template format error: " + strings.TrimPrefix(err.Error(), "template:"))
	}
	if t, err = s.opts.Target(st.Scope); err != nil {
		return nil, nil, nil, err
	}
	exports := map[string]string{}
	for _, e := range s.Exports(st.Scope) {
		if e.StackID != st.ID {
			exports[e.Name] = e.Value
		}
	}
	o := template.Options{Stack: st.Name, Parameters: v.Parameters}
	o.SkipUnsupported = slices.Contains(v.Tags, Tag{SkipTag, "true"})
	o.Export = func(name string) (string, bool) {
		value, ok := exports[name]
		if ok && !slices.Contains(imports, name) {
			imports = append(imports, name)
		}
		return value, ok
	}
	o.Stored = func(name string) (string, bool) {
		p, ok := s.Parameter(st.Scope, name)
		if p.Locked { // planned as missing, and told of as such
			return "", false
		}
		return p.Value, ok
	}
	o.Object = func(ctx context.Context, bucket, key, _ string) ([]byte, error) {
		return s.opts.Object(ctx, st.Scope.Account, bucket, key)
	}
	if err := t.Fill(ctx, &o); err != nil {
		return nil, nil, nil, err
	}
	p, err = tpl.Plan(o)
	var problems *template.Problems
	switch {
	case errors.As(err, &problems):
		text := problems.Error()
		if n := problems.Lacking(); n > 0 {
			text += fmt.Sprintf("\n(the tag %s=true of the stack leaves out %d of these)", SkipTag, n)
		}
		return nil, nil, nil, invalid(text)
	case err != nil:
		return nil, nil, nil, invalid(err.Error())
	}
	return p, t, imports, nil
}

// noUpdates is what CloudFormation says when a template changes nothing.
const noUpdates = "No updates are to be performed."

// changes compares a plan with a stack. same: nothing is different.
func changes(st *Stack, p *template.Plan, v Version) (all []ResourceChange, same bool) {
	planned := p.Resources()
	for _, r := range planned {
		is := st.resource(r.ID)
		switch {
		case is == nil:
			all = append(all, ResourceChange{Action: "Add", Logical: r.ID, Type: r.Type})
		case is.Sum != r.Sum:
			replacement := "False"
			if r.Made && is.Made && (strings.HasSuffix(r.Type, "Version") || is.Type != r.Type || r.Named && !template.Same(r.Type, is.Ref, r.Ref)) {
				replacement = "True"
			}
			all = append(all, ResourceChange{Action: "Modify", Logical: r.ID, Physical: template.Physical(is.Type, is.Ref), Type: r.Type, Replacement: replacement, Properties: true})
		}
	}
	for _, is := range st.Resources {
		if !slices.ContainsFunc(planned, func(r template.Resource) bool { return r.ID == is.ID }) {
			all = append(all, ResourceChange{Action: "Remove", Logical: is.ID, Physical: template.Physical(is.Type, is.Ref), Type: is.Type})
		}
	}
	same = len(all) == 0 && sameTags(st.Now.Tags, v.Tags) && maps.Equal(st.Values, p.Values()) && sameOutputs(st, p)
	return all, same
}

func sameTags(a, b []Tag) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(t Tag) bool { return !slices.Contains(b, t) })
}

// sameOutputs compares what the templates say of outputs: their values are known only
// when they were deployed.
func sameOutputs(st *Stack, p *template.Plan) bool {
	now := p.PlannedOutputs()
	if len(now) != len(st.Outputs) {
		return false
	}
	for i, o := range now {
		if is := st.Outputs[i]; is.Name != o.Name || is.Export != o.Export || is.Description != o.Description {
			return false
		}
	}
	return true
}

// Propose makes a change set. kind is CREATE or UPDATE.
func (s *Service) Propose(ctx context.Context, scope arn.Scope, name, kind, description string, r Request) (stackID, setID string, err error) {
	st, err := s.Get(scope, r.Stack)
	if err != nil {
		st = nil
	}
	switch {
	case kind == "" || kind == "UPDATE":
		kind = "UPDATE"
		switch {
		case st == nil:
			return "", "", invalid("Stack [" + r.Stack + "] does not exist")
		case !st.updatable():
			return "", "", invalid("Stack:" + st.ID + " is in " + st.Status + " state and can not be updated.")
		}
	case kind != "CREATE":
		return "", "", invalid("ChangeSetType " + kind + " is not supported: CREATE and UPDATE are")
	case st != nil && st.Status != review:
		return "", "", &Error{"AlreadyExistsException", "Stack [" + st.Name + "] already exists and cannot be created again with the changeSet [" + name + "]."}
	case st == nil && !stackName.MatchString(r.Stack):
		return "", "", invalid("1 validation error detected: Value '" + r.Stack + "' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*")
	}
	if st != nil && st.Sets[name] != nil {
		return "", "", &Error{"AlreadyExistsException", "ChangeSet " + name + " already exists"}
	}
	if err := s.opts.Store.Admit(); err != nil {
		return "", "", err
	}
	now := s.opts.Now().UTC()
	fresh := st == nil
	if fresh {
		st = newStack(scope, r.Stack, now)
		st.to(now, review, "User Initiated")
	}
	v, err := r.version(st)
	if err != nil {
		return "", "", err
	}
	set := &ChangeSet{ID: scope.ARN("cloudformation", "changeSet/"+name+"/"+uuid.NewString()), Name: name, Type: kind, Status: "CREATE_COMPLETE",
		Description: description, Created: now, Version: v}
	p, _, _, err := s.plan(ctx, st, v)
	if err != nil {
		return "", "", err
	}
	same := false
	if set.Changes, same = changes(st, p, v); same && kind == "UPDATE" {
		set.Status, set.Reason = "FAILED", "The submitted information didn't contain changes. Submit different information to create a change set."
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fresh {
		if s.find(scope, r.Stack) != nil {
			return "", "", &Error{"AlreadyExistsException", "Stack [" + r.Stack + "] already exists"}
		}
		st.Sets[name] = set
		return st.ID, set.ID, s.add(st)
	}
	return st.ID, set.ID, s.changeLocked(st.ID, func(st *Stack) error { return st.propose(set) })
}

// propose adds a change set. The oldest of those that cannot be executed makes room: tools leave
// one behind each time that they find no change.
func (s *Stack) propose(set *ChangeSet) error {
	if s.Sets[set.Name] != nil {
		return &Error{"AlreadyExistsException", "ChangeSet " + set.Name + " already exists"}
	}
	if len(s.Sets) >= maxSets {
		var oldest *ChangeSet
		for _, is := range s.Sets {
			if is.Status == "FAILED" && (oldest == nil || is.Created.Before(oldest.Created)) {
				oldest = is
			}
		}
		if oldest == nil {
			return &Error{"LimitExceededException", fmt.Sprintf("ChangeSet limit exceeded: the stack %s has %d change sets. Delete or execute one of them.", s.Name, len(s.Sets))}
		}
		delete(s.Sets, oldest.Name)
	}
	s.Sets[set.Name] = set
	return nil
}

// Text is the template's; an error when it cannot be opened.
func (s *Stack) Text(v *Version) (string, error) {
	if v.Template == "" && v.locked != "" {
		return "", invalid("The template of the stack " + s.Name + " cannot be shown: " + v.locked + ".")
	}
	return v.Template, nil
}

// Hidden are the parameters whose values are not to be shown: the template says NoEcho.
func (v *Version) Hidden() map[string]bool {
	hidden := map[string]bool{}
	if !strings.Contains(v.Template, "NoEcho") { // most templates need not be read for this
		return hidden
	}
	tpl, err := template.New("template", []byte(v.Template))
	if err != nil { // it was read before it was kept: show nothing that may be meant
		for name := range v.Parameters {
			hidden[name] = true
		}
		return hidden
	}
	for _, p := range tpl.Parameters() {
		if p.NoEcho {
			hidden[p.Name] = true
		}
	}
	return hidden
}

// Set finds a change set by its name and stack, or its ARN.
func (s *Service) Set(scope arn.Scope, stack, name string) (*Stack, *ChangeSet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := &Error{"ChangeSetNotFound", "ChangeSet [" + name + "] does not exist"}
	if arn.Is(name) {
		for _, st := range s.stacks {
			for _, set := range st.Sets {
				if set.ID == name && st.Scope == scope {
					return st, set, nil
				}
			}
		}
		return nil, nil, gone
	}
	st := s.find(scope, stack)
	if st == nil {
		return nil, nil, invalid("Stack [" + stack + "] does not exist")
	}
	if st.Sets[name] == nil {
		return st, nil, gone
	}
	return st, st.Sets[name], nil
}

// DropSet removes a change set; none of that name is no error where the stack is there.
func (s *Service) DropSet(scope arn.Scope, stack, name string) error {
	st, set, err := s.Set(scope, stack, name)
	var e *Error
	if errors.As(err, &e) && e.Code == "ChangeSetNotFound" {
		return nil
	}
	if err != nil {
		return err
	}
	return s.change(st.ID, func(st *Stack) error { delete(st.Sets, set.Name); return nil })
}

// Execute runs a change set; the operation goes on when it has returned.
func (s *Service) Execute(scope arn.Scope, stack, name string, keepFailed bool) error {
	st, set, err := s.Set(scope, stack, name)
	if err != nil {
		return err
	}
	if set.Status != "CREATE_COMPLETE" {
		return &Error{"InvalidChangeSetStatus", "ChangeSet [" + set.ID + "] cannot be executed in its current status of [" + set.Status + "]"}
	}
	return s.begin(st.ID, set, set.Type == "CREATE", set.Version, Request{KeepFailed: keepFailed})
}

// Create makes a stack without a change set; the operation goes on when it has returned.
func (s *Service) Create(ctx context.Context, scope arn.Scope, r Request) (id string, err error) {
	if !stackName.MatchString(r.Stack) {
		return "", invalid("1 validation error detected: Value '" + r.Stack + "' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*")
	}
	v, err := r.version(nil)
	if err != nil {
		return "", err
	}
	if err := s.opts.Store.Admit(); err != nil {
		return "", err
	}
	st := newStack(scope, r.Stack, s.opts.Now().UTC())
	if _, _, _, err := s.plan(ctx, st, v); err != nil {
		return "", err
	}
	s.mu.Lock()
	if is := s.find(scope, r.Stack); is != nil {
		s.mu.Unlock()
		return "", &Error{"AlreadyExistsException", "Stack [" + r.Stack + "] already exists"}
	}
	st.Status = review
	err = s.add(st)
	s.mu.Unlock()
	if err != nil {
		return "", err
	}
	return st.ID, s.begin(st.ID, nil, true, v, r)
}

// Update changes a stack without a change set; the operation goes on when it has returned.
func (s *Service) Update(ctx context.Context, scope arn.Scope, r Request) (id string, err error) {
	st, err := s.Get(scope, r.Stack)
	if err != nil {
		return "", invalid("Stack [" + r.Stack + "] does not exist")
	}
	if !st.updatable() {
		return "", invalid("Stack:" + st.ID + " is in " + st.Status + " state and can not be updated.")
	}
	v, err := r.version(st)
	if err != nil {
		return "", err
	}
	p, _, _, err := s.plan(ctx, st, v)
	if err != nil {
		return "", err
	}
	if _, same := changes(st, p, v); same {
		return "", invalid(noUpdates)
	}
	return st.ID, s.begin(st.ID, nil, false, v, r)
}

// begin puts a stack under an operation and has it run. set, unless nil, is the change set that asks for it: one that
// another operation has made stale meanwhile is not there any more.
func (s *Service) begin(id string, set *ChangeSet, create bool, v Version, r Request) error {
	if err := s.opts.Store.Admit(); err != nil {
		return err
	}
	err := s.change(id, func(st *Stack) error {
		if set != nil && !st.Busy() && (st.Sets[set.Name] == nil || st.Sets[set.Name].ID != set.ID) {
			return &Error{"ChangeSetNotFound", "ChangeSet [" + set.Name + "] does not exist"}
		}
		if create && st.Status != review || !create && !st.updatable() {
			return invalid("Stack:" + st.ID + " is in " + st.Status + " state and can not be updated.")
		}
		now := s.opts.Now()
		st.Sets, st.KeepFailed, st.DeleteFailed = map[string]*ChangeSet{}, r.KeepFailed, r.DeleteFailed
		for i := range st.Resources {
			st.Resources[i].Fresh = false
		}
		if create {
			st.Protected = r.Protected
			st.Now = v
			st.to(now, creating, "User Initiated")
			return nil
		}
		if before := st.Now; st.Status != updateFailed && st.Status != updateBackFailed || st.Before == nil { // one that failed is none to go back to
			st.Before = &before
		}
		st.Now = v
		st.to(now, updating, "User Initiated")
		return nil
	})
	if err == nil {
		s.work <- id
	}
	return err
}

// Delete begins to remove a stack; one that is not there is no error.
func (s *Service) Delete(scope arn.Scope, nameOrID string, retain []string) error {
	s.mu.Lock()
	st := s.find(scope, nameOrID)
	if st == nil || st.Status == deleted {
		s.mu.Unlock()
		return nil
	}
	err := s.changeLocked(st.ID, func(st *Stack) error {
		export, by := s.importer(st)
		switch {
		case st.Protected:
			return invalid("Stack [" + st.Name + "] cannot be deleted while TerminationProtection is enabled")
		case export != "":
			return invalid("Export " + export + " cannot be deleted as it is in use by " + by)
		case st.Busy():
			if st.Status == deleting {
				return nil
			}
			return invalid("Stack:" + st.ID + " is in " + st.Status + " state and can not be deleted.")
		}
		for i := range st.Resources {
			if slices.Contains(retain, st.Resources[i].ID) {
				st.Resources[i].Retain, st.Resources[i].RetainExceptOnCreate = true, false
			}
		}
		st.to(s.opts.Now(), deleting, "User Initiated")
		return nil
	})
	id := st.ID
	s.mu.Unlock()
	if err == nil {
		s.work <- id
	}
	return err
}

// Protect sets a stack's termination protection.
func (s *Service) Protect(scope arn.Scope, nameOrID string, on bool) (id string, err error) {
	st, err := s.Get(scope, nameOrID)
	if err != nil {
		return "", err
	}
	return st.ID, s.change(st.ID, func(st *Stack) error { st.Protected = on; return nil })
}

// SetPolicy keeps a stack's policy, which makes no difference here.
func (s *Service) SetPolicy(scope arn.Scope, nameOrID, policy string) error {
	st, err := s.Get(scope, nameOrID)
	if err != nil {
		return err
	}
	return s.change(st.ID, func(st *Stack) error { st.Policy = policy; return nil })
}
