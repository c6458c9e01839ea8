package iam

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
)

// Role is a role as it is kept.
type Role struct {
	Name, Path, ID    string
	Created           time.Time
	Description       string
	Trust             string // who may assume it: a policy
	MaxSessionSeconds int
	Boundary          string            `json:",omitempty"` // ARN of a policy
	Inline            map[string]string `json:",omitempty"` // policies by their names
	Attached          []string          `json:",omitempty"` // ARNs of policies
	Tags              []Tag             `json:",omitempty"`
}

// ARN is the role's.
func (r *Role) ARN(account string) string {
	return arn.Scope{Account: account}.Global("iam", "role"+r.Path+r.Name)
}

// Session durations of roles, in seconds.
const (
	defaultSession = 3600
	longestSession = 43200
)

func checkSession(seconds int) error {
	switch {
	case seconds < defaultSession:
		return invalid("1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to %d", seconds, defaultSession)
	case seconds > longestSession:
		return invalid("1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: Member must have value less than or equal to %d", seconds, longestSession)
	}
	return nil
}

func checkTrust(text string) error {
	if err := checkDocument(text); err != nil {
		return err
	}
	if size(text) > maxTrust {
		return limit("Cannot exceed quota for ACLSizePerRole: %d", maxTrust)
	}
	return nil
}

// CreateRole makes a role. What is left out of r gets its default.
func (s *Service) CreateRole(account string, r Role) (*Role, error) {
	if r.Path == "" {
		r.Path = "/"
	}
	if r.MaxSessionSeconds == 0 {
		r.MaxSessionSeconds = defaultSession
	}
	if err := checkName("roleName", r.Name, maxRoleName); err != nil {
		return nil, err
	}
	for _, err := range []error{checkPath(r.Path), checkTrust(r.Trust), checkSession(r.MaxSessionSeconds), checkTags(r.Tags)} {
		if err != nil {
			return nil, err
		}
	}
	if len(r.Description) > 1000 {
		return nil, invalid("1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 1000")
	}
	i := idOf(account, r.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roles[i] != nil {
		return nil, exists("Role with name %s already exists.", r.Name)
	}
	if r.Boundary != "" {
		if err := s.attachable(account, r.Boundary); err != nil {
			return nil, err
		}
	}
	if n := count(maps.Keys(s.roles), account); n >= maxEntities {
		return nil, limit("Cannot exceed quota for RolesPerAccount: %d", maxEntities)
	}
	r.ID, r.Created = newID("AROA"), s.now()
	if err := s.put('r', i, &r); err != nil {
		return nil, err
	}
	s.roles[i] = &r
	return &r, nil
}

// Role returns a role.
func (s *Service) Role(account, name string) (*Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role(account, name)
}

// role is Role. s.mu is held.
func (s *Service) role(account, name string) (*Role, error) {
	if r := s.roles[idOf(account, name)]; r != nil {
		return r, nil
	}
	return nil, missing("The role with name %s cannot be found.", name)
}

// Roles are an account's whose paths begin with a prefix, by name.
func (s *Service) Roles(account, prefix string) (all []*Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.roles {
		if i.account == account && strings.HasPrefix(r.Path, prefix) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *Role) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// changeRole changes a role by a function, which gets a copy and runs under s.mu.
func (s *Service) changeRole(account, name string, do func(*Role) error) (*Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is, err := s.role(account, name)
	if err != nil {
		return nil, err
	}
	r := *is
	r.Inline, r.Attached, r.Tags = maps.Clone(is.Inline), slices.Clone(is.Attached), slices.Clone(is.Tags)
	if err := do(&r); err != nil {
		return nil, err
	}
	i := idOf(account, name)
	if err := s.put('r', i, &r); err != nil {
		return nil, err
	}
	s.roles[i] = &r
	return &r, nil
}

// UpdateRole changes what is not nil.
func (s *Service) UpdateRole(account, name string, description *string, session *int) (*Role, error) {
	return s.changeRole(account, name, func(r *Role) error {
		if description != nil {
			if len(*description) > 1000 {
				return invalid("1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 1000")
			}
			r.Description = *description
		}
		if session != nil {
			r.MaxSessionSeconds = *session
			return checkSession(*session)
		}
		return nil
	})
}

// SetTrust says who may assume a role.
func (s *Service) SetTrust(account, name, document string) error {
	_, err := s.changeRole(account, name, func(r *Role) error { r.Trust = document; return checkTrust(document) })
	return err
}

// SetBoundary sets a role's permissions boundary; empty takes it away.
func (s *Service) SetBoundary(account, name, policy string) error {
	_, err := s.changeRole(account, name, func(r *Role) error {
		switch {
		case policy != "":
			if err := s.attachable(account, policy); err != nil {
				return err
			}
		case r.Boundary == "":
			return missing("Role %s does not have a permissions boundary.", name)
		}
		r.Boundary = policy
		return nil
	})
	return err
}

// TagRole sets some of a role's tags, UntagRole removes some.
func (s *Service) TagRole(account, name string, tags []Tag) error {
	_, err := s.changeRole(account, name, func(r *Role) (err error) { r.Tags, err = tagged(r.Tags, tags); return err })
	return err
}

func (s *Service) UntagRole(account, name string, keys []string) error {
	_, err := s.changeRole(account, name, func(r *Role) error { r.Tags = untagged(r.Tags, keys); return nil })
	return err
}

// DeleteRole removes a role that has no policies any more.
func (s *Service) DeleteRole(account, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.role(account, name)
	switch {
	case err != nil:
		return err
	case len(r.Attached) > 0:
		return conflict("Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		return conflict("Cannot delete entity, must delete policies first.")
	}
	i := idOf(account, name)
	if err := s.drop('r', i); err != nil {
		return err
	}
	delete(s.roles, i)
	return nil
}

// PutRolePolicy gives a role an inline policy, or replaces the one of its name.
func (s *Service) PutRolePolicy(account, name, policy, document string) error {
	if err := checkName("policyName", policy, maxPolicyName); err != nil {
		return err
	}
	if err := checkDocument(document); err != nil {
		return err
	}
	_, err := s.changeRole(account, name, func(r *Role) error {
		if r.Inline == nil {
			r.Inline = map[string]string{}
		}
		r.Inline[policy] = document
		all := 0
		for _, text := range r.Inline {
			all += size(text)
		}
		if all > maxInline {
			return limit("Maximum policy size of %d bytes exceeded for role %s", maxInline, r.Name)
		}
		return nil
	})
	return err
}

func noRolePolicy(policy string) error {
	return missing("The role policy with name %s cannot be found.", policy)
}

// RolePolicy returns the text of an inline policy.
func (s *Service) RolePolicy(account, name, policy string) (r *Role, document string, err error) {
	if r, err = s.Role(account, name); err != nil {
		return nil, "", err
	}
	document, ok := r.Inline[policy]
	if !ok {
		return nil, "", noRolePolicy(policy)
	}
	return r, document, nil
}

// DeleteRolePolicy removes an inline policy.
func (s *Service) DeleteRolePolicy(account, name, policy string) error {
	_, err := s.changeRole(account, name, func(r *Role) error {
		if _, ok := r.Inline[policy]; !ok {
			return noRolePolicy(policy)
		}
		delete(r.Inline, policy)
		return nil
	})
	return err
}

// AttachRolePolicy gives a role a policy; one that it has is no error.
func (s *Service) AttachRolePolicy(account, name, policy string) error {
	_, err := s.changeRole(account, name, func(r *Role) error {
		if err := s.attachable(account, policy); err != nil {
			return err
		}
		if slices.Contains(r.Attached, policy) {
			return nil
		}
		if r.Attached = append(r.Attached, policy); len(r.Attached) > maxAttached {
			return limit("Cannot exceed quota for PoliciesPerRole: %d", maxAttached)
		}
		return nil
	})
	return err
}

// DetachRolePolicy takes a policy away from a role.
func (s *Service) DetachRolePolicy(account, name, policy string) error {
	_, err := s.changeRole(account, name, func(r *Role) error {
		n := len(r.Attached)
		if r.Attached = slices.DeleteFunc(r.Attached, func(is string) bool { return is == policy }); len(r.Attached) == n {
			return missing("Policy %s was not found.", policy)
		}
		return nil
	})
	return err
}
