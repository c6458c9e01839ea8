package stack

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/seal"
)

// Parameter is one of Parameter Store's.
type Parameter struct {
	Type, Value string
	Version     int
	Modified    time.Time

	Description, AllowedPattern, DataType, Tier, KeyId string            `json:",omitempty"`
	Tags                                               map[string]string `json:",omitempty"`

	// Sealed is the Value of a SecureString as it is on the disk. In memory it is empty, or could not be opened: then it is Locked.
	Sealed []byte `json:",omitempty"`
	Locked bool   `json:"-"`
}

// ParameterChange is what a call puts. What is nil stays as it was.
type ParameterChange struct {
	Type, Value                                        string // Type may be empty for one that is there
	Description, AllowedPattern, DataType, Tier, KeyId *string
	Tags                                               map[string]string // of a new one
	Overwrite                                          bool
}

// Parameter returns a parameter.
func (s *Service) Parameter(scope arn.Scope, name string) (Parameter, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.parameters[named{scope, name}]
	return p, ok
}

// NamedParameter is a parameter with its name.
type NamedParameter struct {
	Name string
	Parameter
}

// Parameters lists a scope's parameters by name.
func (s *Service) Parameters(scope arn.Scope) []NamedParameter {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []NamedParameter
	for id, p := range s.parameters {
		if id.scope == scope {
			all = append(all, NamedParameter{id.name, p})
		}
	}
	slices.SortFunc(all, func(a, b NamedParameter) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// PutParameter makes a parameter, or its next version. It is durable on return.
func (s *Service) PutParameter(scope arn.Scope, name string, c ParameterChange) (p Parameter, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, there := s.parameters[named{scope, name}]
	if there && !c.Overwrite {
		return p, &Error{"ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."}
	}
	if c.Type != "" {
		p.Type = c.Type
	}
	if p.Type != "String" && p.Type != "StringList" && p.Type != "SecureString" {
		return p, &Error{"ValidationException", "A parameter's Type is String, StringList or SecureString."}
	}
	set := func(into *string, value *string) {
		if value != nil {
			*into = *value
		}
	}
	set(&p.Description, c.Description)
	set(&p.AllowedPattern, c.AllowedPattern)
	set(&p.DataType, c.DataType)
	set(&p.Tier, c.Tier)
	set(&p.KeyId, c.KeyId)
	if !there {
		p.Tags = c.Tags
	}
	if p.AllowedPattern != "" {
		pattern, err := regexp.Compile("^(?:" + p.AllowedPattern + ")$")
		if err != nil {
			return p, &Error{"InvalidAllowedPatternException", "The AllowedPattern is not one that Millstream reads: " + err.Error()}
		}
		if !pattern.MatchString(c.Value) {
			return p, &Error{"ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: " + p.AllowedPattern}
		}
	}
	if err := s.opts.Store.Admit(); err != nil {
		return p, err
	}
	p.Value, p.Version, p.Modified = c.Value, p.Version+1, s.opts.Now().UTC()
	p.Sealed, p.Locked = nil, false
	return p, s.keepParameter(scope, name, p)
}

// keepParameter brings a parameter to the disk. The caller holds mu.
func (s *Service) keepParameter(scope arn.Scope, name string, p Parameter) error {
	key, row, version := namedKey('p', scope, name), p, byte(rowVersion)
	if p.Type == "SecureString" && s.opts.Seals != nil && !p.Locked {
		var err error
		if row.Sealed, err = s.opts.Seals.Seal(seal.Parameter, key, []byte(p.Value)); err != nil {
			return fmt.Errorf("the parameter %s cannot be sealed: %w", name, err)
		}
		row.Value = ""
	}
	if row.Sealed != nil {
		version = sealedVersion
	}
	if err := s.put(key, version, row); err != nil {
		return err
	}
	s.parameters[named{scope, name}] = p
	return nil
}

// TagParameter sets and removes tags of a parameter, and reports whether it is there. They are durable on return.
func (s *Service) TagParameter(scope arn.Scope, name string, set map[string]string, remove []string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, there := s.parameters[named{scope, name}]
	if !there {
		return false, nil
	}
	if err := s.opts.Store.Admit(); err != nil {
		return true, err
	}
	tags := maps.Clone(p.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, set)
	for _, key := range remove {
		delete(tags, key)
	}
	p.Tags = tags
	return true, s.keepParameter(scope, name, p)
}

// DeleteParameter removes a parameter, and reports whether it was there.
func (s *Service) DeleteParameter(scope arn.Scope, name string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := named{scope, name}
	if _, there := s.parameters[id]; !there {
		return false, nil
	}
	if err := s.drop(namedKey('p', scope, name)); err != nil {
		return false, err
	}
	delete(s.parameters, id)
	return true, nil
}
