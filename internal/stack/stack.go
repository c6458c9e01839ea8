package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/seal"
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
	// Sealed are the parameters that the template hides, as they are on the disk. In memory it is empty, or they could not be opened: see
	// locked.
	Sealed []byte `json:",omitempty"`
	// locked says why Sealed or the template could not be opened. Such a version cannot be deployed.
	locked string
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

	Properties string `json:",omitempty"` // template.Change.Properties, with those of deployments that have failed since
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
	SealedValues              []byte `json:",omitempty"` // as Version.Sealed
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
// stack's row of version 1 has its templates in it. A template of version 2 is sealed, and so is the
// Value of a parameter of version 2; a stack of version 3 has values that are sealed.
const (
	rowVersion    = 1
	sealedVersion = 2
	stackVersion  = 2
	stackSealed   = 3
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

// split takes the templates out of a stack, and seals what they hide: row is what its row has, texts
// are the templates by their sums. A template that could not be opened is an empty text.
func (s *Stack) split(seals *seal.Keys) (row *Stack, version byte, texts map[string]string, err error) {
	row, version, texts = s.clone(), stackVersion, map[string]string{}
	hide := func(values map[string]string, hidden map[string]bool) (rest map[string]string, sealed []byte, err error) {
		secret := map[string]string{}
		rest = maps.Clone(values)
		for name, value := range values {
			if hidden[name] {
				secret[name] = value
				delete(rest, name)
			}
		}
		if len(secret) == 0 || seals == nil {
			return values, nil, nil
		}
		text, err := json.Marshal(secret)
		if err == nil {
			sealed, err = seals.Seal(seal.Parameter, stackKey(s.ID), text)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("the parameters of the stack %s cannot be sealed: %w", s.Name, err)
		}
		return rest, sealed, nil
	}
	all := map[string]bool{} // hidden in any version: the values may be those of another one than Now
	for _, v := range row.versions() {
		hidden := v.Hidden()
		maps.Copy(all, hidden)
		if v.Sealed == nil {
			if v.Parameters, v.Sealed, err = hide(v.Parameters, hidden); err != nil {
				return nil, 0, nil, err
			}
		}
		if v.Sealed != nil {
			version = stackSealed
		}
		if v.Template == "" {
			if _, known := texts[v.Sum]; v.Sum != "" && !known {
				texts[v.Sum] = ""
			}
			continue
		}
		sum := sha256.Sum256([]byte(v.Template))
		v.Sum = hex.EncodeToString(sum[:])
		texts[v.Sum], v.Template = v.Template, ""
	}
	if row.SealedValues == nil {
		if row.Values, row.SealedValues, err = hide(row.Values, all); err != nil {
			return nil, 0, nil, err
		}
	}
	if row.SealedValues != nil {
		version = stackSealed
	}
	return row, version, texts, nil
}

// join puts the templates back, and opens what is sealed.
func (s *Stack) join(texts map[string]string, seals *seal.Keys) error {
	open := func(into map[string]string, sealed []byte) (map[string]string, bool, error) {
		text, err := seals.Open(seal.Parameter, stackKey(s.ID), sealed)
		if err != nil {
			return into, false, nil
		}
		if into == nil {
			into = map[string]string{}
		}
		return into, true, json.Unmarshal(text, &into)
	}
	locked := "it is sealed with a key that the server does not have: " + seals.Why() + ". Bring the file of the key back and start the server again, or deploy the stack with the whole template and all parameters"
	for _, v := range s.versions() {
		if v.Sealed != nil {
			values, opened, err := open(v.Parameters, v.Sealed)
			switch {
			case err != nil:
				return err
			case opened:
				v.Parameters, v.Sealed = values, nil
			default:
				v.locked = locked
			}
		}
		if v.Sum == "" {
			continue
		}
		text, ok := texts[v.Sum]
		switch {
		case !ok:
			return fmt.Errorf("stack: a template of the stack %s is missing", s.Name)
		case text == "":
			v.locked = locked
		default:
			v.Template, v.Sum = text, ""
		}
	}
	if s.SealedValues != nil {
		values, opened, err := open(s.Values, s.SealedValues)
		if err != nil {
			return err
		}
		if opened {
			s.Values, s.SealedValues = values, nil
		}
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
