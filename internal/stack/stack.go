package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/template"
)

// Version is what a stack is deployed with. A stack's row has the sum of the template, whose
// text is a row of its own; rows of older releases have the text.
type Version struct {
	Template     string            `json:",omitempty"`
	Sum          string            `json:",omitempty"`
	Parameters   map[string]string `json:",omitempty"`
	Tags         []Tag             `json:",omitempty"`
	Capabilities []string          `json:",omitempty"`
}

// Tag is one of a stack's.
type Tag struct{ Key, Value string }

// Resource is one of a stack's resources.
type Resource struct {
	ID, Type, Own  string // Own is the type that template.Remove takes
	Ref            string // template.Change.Ref
	Status, Reason string
	Time           time.Time
	Sum            string `json:",omitempty"`
	Made           bool   `json:",omitempty"`
	Fresh          bool   `json:",omitempty"` // made by the operation under way
	// Making: nothing of its name was there when its deployment began, so what is there now is the stack's.
	Making bool `json:",omitempty"`

	Retain, RetainExceptOnCreate, RetainReplaced bool `json:",omitempty"`
}

// Event is one of DescribeStackEvents.
type Event struct {
	ID, Logical, Physical, Type, Status, Reason string
	Time                                        time.Time
}

// ChangeSet is a change that was proposed.
type ChangeSet struct {
	ID, Name, Type, Status, Reason, Description string
	Created                                     time.Time
	Version                                     Version
	Changes                                     []ResourceChange
}

// ResourceChange is one change of a change set.
type ResourceChange struct {
	Action, Logical, Physical, Type, Replacement string
	Properties                                   bool // they differ
}

// Stack is a stack as it is kept. Members are only ever added.
type Stack struct {
	ID, Name                  string
	Scope                     arn.Scope
	Status, Reason            string
	Created, Updated, Deleted time.Time
	Now                       Version
	Before                    *Version `json:",omitempty"` // what a roll-back goes to
	Values                    map[string]string
	Description               string
	Resources                 []Resource
	Gone                      []Resource            `json:",omitempty"` // to be removed when the operation has succeeded
	Outputs                   []template.Output     `json:",omitempty"`
	Imports                   []string              `json:",omitempty"`
	Events                    []Event               // the oldest first
	Sets                      map[string]*ChangeSet `json:",omitempty"`
	Protected, KeepFailed     bool                  `json:",omitempty"` // KeepFailed: no roll-back
	DeleteFailed              bool                  `json:",omitempty"` // a creation that failed is deleted
	Policy                    string                `json:",omitempty"`
}

// The states of a stack.
const (
	review           = "REVIEW_IN_PROGRESS"
	creating         = "CREATE_IN_PROGRESS"
	created          = "CREATE_COMPLETE"
	createFailed     = "CREATE_FAILED"
	rollingBack      = "ROLLBACK_IN_PROGRESS"
	rolledBack       = "ROLLBACK_COMPLETE"
	rollbackFailed   = "ROLLBACK_FAILED"
	updating         = "UPDATE_IN_PROGRESS"
	cleaning         = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
	updated          = "UPDATE_COMPLETE"
	updateFailed     = "UPDATE_FAILED"
	updateBack       = "UPDATE_ROLLBACK_IN_PROGRESS"
	updateBackClean  = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
	updateRolledBack = "UPDATE_ROLLBACK_COMPLETE"
	updateBackFailed = "UPDATE_ROLLBACK_FAILED"
	deleting         = "DELETE_IN_PROGRESS"
	deleted          = "DELETE_COMPLETE"
	deleteFailed     = "DELETE_FAILED"
)

// Busy reports whether an operation is under way.
func (s *Stack) Busy() bool { return strings.HasSuffix(s.Status, "_IN_PROGRESS") && s.Status != review }

// Bounds of what is kept.
const (
	maxEvents  = 1000
	maxDeleted = 100
	maxSets    = 20 // of a stack: each holds its template
)

// stackType is that of a stack in its own events.
const stackType = "AWS::CloudFormation::Stack"

func newStack(scope arn.Scope, name string, now time.Time) *Stack {
	return &Stack{ID: scope.ARN("cloudformation", "stack/"+name+"/"+uuid.NewString()), Name: name, Scope: scope, Created: now, Sets: map[string]*ChangeSet{}}
}

// event notes what has happened to a resource, or to the stack itself. Times rise
// strictly: tools take an event that is not later than the last one for one they know.
func (s *Stack) event(now time.Time, logical, physical, typ, status, reason string) {
	now = now.UTC().Truncate(time.Millisecond)
	if n := len(s.Events); n > 0 && !now.After(s.Events[n-1].Time) {
		now = s.Events[n-1].Time.Add(time.Millisecond)
	}
	s.Events = append(s.Events, Event{ID: uuid.NewString(), Logical: logical, Physical: template.Physical(typ, physical), Type: typ, Status: status, Reason: reason, Time: now})
	if len(s.Events) > maxEvents {
		s.Events = slices.Delete(s.Events, 0, len(s.Events)-maxEvents)
	}
}

// to changes the state of the stack, with its event.
func (s *Stack) to(now time.Time, status, reason string) {
	s.Status, s.Reason = status, reason
	s.event(now, s.Name, s.ID, stackType, status, reason)
}

func (s *Stack) resource(id string) *Resource {
	if i := slices.IndexFunc(s.Resources, func(r Resource) bool { return r.ID == id }); i >= 0 {
		return &s.Resources[i]
	}
	return nil
}

// same reports whether two are one thing.
func (r *Resource) same(o Resource) bool {
	return r.Made && o.Made && r.Type == o.Type && r.Ref != "" && template.Same(r.Type, r.Ref, o.Ref)
}

// owns reports whether the stack has made what Ref gives for one of its resources, now or
// in an operation that has failed.
func (s *Stack) owns(r Resource) bool {
	is := s.resource(r.ID)
	return is != nil && is.same(r) || slices.ContainsFunc(s.Gone, func(g Resource) bool { return g.ID == r.ID && g.same(r) })
}

// has reports whether something is one of the stack's resources.
func (s *Stack) has(r Resource) bool {
	return slices.ContainsFunc(s.Resources, func(is Resource) bool { return is.same(r) })
}

// discard notes that something is to be removed when the operation has succeeded.
func (s *Stack) discard(r Resource) {
	if r.Made && r.Ref != "" {
		s.keep(r)
		s.Gone = append(s.Gone, r)
	}
}

// keep takes something off the list of what is to be removed.
func (s *Stack) keep(r Resource) {
	s.Gone = slices.DeleteFunc(s.Gone, func(g Resource) bool { return g.same(r) })
}

// updatable reports whether an update may begin.
func (s *Stack) updatable() bool {
	return !s.Busy() && !slices.Contains([]string{review, rolledBack, rollbackFailed, deleteFailed, deleted}, s.Status)
}

// clone is a copy that shares nothing that changes.
func (s *Stack) clone() *Stack {
	c := *s
	c.Resources, c.Events, c.Gone, c.Outputs = slices.Clone(s.Resources), slices.Clone(s.Events), slices.Clone(s.Gone), slices.Clone(s.Outputs)
	c.Sets = map[string]*ChangeSet{}
	for name, set := range s.Sets {
		one := *set
		c.Sets[name] = &one
	}
	if s.Before != nil {
		before := *s.Before
		c.Before = &before
	}
	return &c
}

// The rows: SpaceStack ‖ 's' ‖ id of a stack, SpaceStack ‖ 't' ‖ id of a stack ‖ 0 ‖ sum of a
// template that it is deployed with, and SpaceStack ‖ 'p' for a parameter or 'd' for what a
// client's deployments have made ‖ account ‖ 0 ‖ region ‖ 0 ‖ name; a version byte and JSON. A
// stack's row of version 1 has its templates in it.
const (
	rowVersion   = 1
	stackVersion = 2
)

func stackKey(id string) []byte { return append([]byte{store.SpaceStack, 's'}, id...) }

func templateKey(id, sum string) []byte {
	return append([]byte{store.SpaceStack, 't'}, id+"\x00"+sum...)
}

func namedKey(kind byte, scope arn.Scope, name string) []byte {
	return append([]byte{store.SpaceStack, kind}, scope.Account+"\x00"+scope.Region+"\x00"+name...)
}

// versions are all that a stack may be deployed with.
func (s *Stack) versions() (all []*Version) {
	all = append(all, &s.Now)
	if s.Before != nil {
		all = append(all, s.Before)
	}
	for _, set := range s.Sets {
		all = append(all, &set.Version)
	}
	return all
}

// split takes the templates out of a stack: row is what its row has, texts are the templates
// by their sums.
func (s *Stack) split() (row *Stack, texts map[string]string) {
	row, texts = s.clone(), map[string]string{}
	for _, v := range row.versions() {
		if v.Template == "" {
			continue
		}
		sum := sha256.Sum256([]byte(v.Template))
		v.Sum = hex.EncodeToString(sum[:])
		texts[v.Sum], v.Template = v.Template, ""
	}
	return row, texts
}

// join puts the templates back.
func (s *Stack) join(texts map[string]string) error {
	for _, v := range s.versions() {
		if v.Sum == "" {
			continue
		}
		text, ok := texts[v.Sum]
		if !ok {
			return fmt.Errorf("stack: a template of the stack %s is missing", s.Name)
		}
		v.Template, v.Sum = text, ""
	}
	return nil
}

func decodeRow(value []byte, newest byte, into any) error {
	if len(value) == 0 || value[0] == 0 || value[0] > newest {
		return fmt.Errorf("stack: a row has an unknown format: it was written by a newer release")
	}
	if err := json.Unmarshal(value[1:], into); err != nil {
		return fmt.Errorf("stack: decode a row: %w", err)
	}
	return nil
}
