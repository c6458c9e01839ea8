package iam

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
)

// Policy is a policy of a customer's as it is kept.
type Policy struct {
	Name, Path, ID   string
	Created, Updated time.Time
	Description      string
	Versions         []Version // the newest last
	Default          string
	Last             int   // the number that was given last
	Tags             []Tag `json:",omitempty"`
}

// Version is one version of a policy.
type Version struct {
	ID, Document string
	Created      time.Time
}

// ARN is the policy's.
func (p *Policy) ARN(account string) string {
	return arn.Scope{Account: account}.Global("iam", "policy"+p.Path+p.Name)
}

// Version returns a version of the policy.
func (p *Policy) Version(id string) (Version, error) {
	if i := slices.IndexFunc(p.Versions, func(v Version) bool { return v.ID == id }); i >= 0 {
		return p.Versions[i], nil
	}
	return Version{}, missing("Policy version %s of policy %s was not found.", id, p.Name)
}

// add makes a version the newest one.
func (p *Policy) add(document string, now time.Time, isDefault bool) Version {
	p.Last++
	v := Version{"v" + strconv.Itoa(p.Last), document, now}
	p.Versions = append(p.Versions, v)
	if isDefault {
		p.Default = v.ID
	}
	return v
}

func checkPolicy(text string) error {
	if err := checkDocument(text); err != nil {
		return err
	}
	if size(text) > maxPolicy {
		return limit("Cannot exceed quota for PolicySize: %d", maxPolicy)
	}
	return nil
}

// count is how many of an account's there are.
func count(ids iter.Seq[id], account string) (n int) {
	for i := range ids {
		if i.account == account {
			n++
		}
	}
	return n
}

// CreatePolicy makes a policy of a text. p has its name, path, description and tags.
func (s *Service) CreatePolicy(account string, p Policy, document string) (*Policy, error) {
	if p.Path == "" {
		p.Path = "/"
	}
	for _, err := range []error{checkName("policyName", p.Name, maxPolicyName), checkPath(p.Path), checkPolicy(document), checkTags(p.Tags)} {
		if err != nil {
			return nil, err
		}
	}
	if len(p.Description) > 1000 {
		return nil, invalid("1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 1000")
	}
	i := idOf(account, p.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.policies[i] != nil {
		return nil, exists("A policy called %s already exists. Duplicate names are not allowed.", p.Name)
	}
	if n := count(maps.Keys(s.policies), account); n >= maxEntities {
		return nil, limit("Cannot exceed quota for PoliciesPerAccount: %d", maxEntities)
	}
	p.ID, p.Created = newID("ANPA"), s.now()
	p.Updated = p.Created
	p.add(document, p.Created, true)
	if err := s.put('p', i, &p); err != nil {
		return nil, err
	}
	s.policies[i] = &p
	return &p, nil
}

// Policy returns a policy by its ARN.
func (s *Service) Policy(account, policy string) (*Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy(account, policy)
}

// policy is Policy. s.mu is held.
func (s *Service) policy(account, policy string) (*Policy, error) {
	a, ok := arn.Parse(policy)
	if !ok {
		return nil, &Error{"InvalidInput", "ARN " + policy + " is not valid."}
	}
	p := s.policies[idOf(account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:])]
	switch {
	case ofAWS(policy):
		return nil, missing("Policy %s is one of AWS's own: it may be attached, but Millstream has no copy of its text.", policy)
	case p == nil || p.ARN(account) != policy:
		return nil, missing("Policy %s was not found.", policy)
	}
	return p, nil
}

// attachable refuses an ARN of no policy. s.mu is held.
func (s *Service) attachable(account, policy string) error {
	if ofAWS(policy) {
		return nil
	}
	_, err := s.policy(account, policy)
	if e, ok := err.(*Error); ok && e.Code == "NoSuchEntity" {
		return missing("Policy %s does not exist or is not attachable.", policy)
	}
	return err
}

// Policies are an account's whose paths begin with a prefix, by name.
func (s *Service) Policies(account, prefix string) (all []*Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.policies {
		if i.account == account && strings.HasPrefix(p.Path, prefix) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *Policy) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Uses tells which roles have a policy attached, and how many have it as their boundary.
func (s *Service) Uses(account, policy string) (by []*Role, boundaries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uses(account, policy)
}

// uses is Uses. s.mu is held.
func (s *Service) uses(account, policy string) (by []*Role, boundaries int) {
	for i, r := range s.roles {
		if i.account != account {
			continue
		}
		if slices.Contains(r.Attached, policy) {
			by = append(by, r)
		}
		if r.Boundary == policy {
			boundaries++
		}
	}
	slices.SortFunc(by, func(a, b *Role) int { return strings.Compare(a.Name, b.Name) })
	return by, boundaries
}

func (s *Service) changePolicy(account, policy string, do func(*Policy) error) (*Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is, err := s.policy(account, policy)
	if err != nil {
		return nil, err
	}
	p := *is
	p.Versions, p.Tags = slices.Clone(is.Versions), slices.Clone(is.Tags)
	if err := do(&p); err != nil {
		return nil, err
	}
	i := idOf(account, p.Name)
	if err := s.put('p', i, &p); err != nil {
		return nil, err
	}
	s.policies[i] = &p
	return &p, nil
}

// CreatePolicyVersion gives a policy another text.
func (s *Service) CreatePolicyVersion(account, policy, document string, isDefault bool) (p *Policy, v Version, err error) {
	if err := checkPolicy(document); err != nil {
		return nil, v, err
	}
	p, err = s.changePolicy(account, policy, func(p *Policy) error {
		if len(p.Versions) >= maxVersions {
			return limit("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		v, p.Updated = p.add(document, s.now(), isDefault), s.now()
		return nil
	})
	return p, v, err
}

// SetDefaultPolicyVersion says which version counts.
func (s *Service) SetDefaultPolicyVersion(account, policy, version string) error {
	_, err := s.changePolicy(account, policy, func(p *Policy) error {
		p.Default, p.Updated = version, s.now()
		_, err := p.Version(version)
		return err
	})
	return err
}

// DeletePolicyVersion removes a version that does not count.
func (s *Service) DeletePolicyVersion(account, policy, version string) error {
	_, err := s.changePolicy(account, policy, func(p *Policy) error {
		if _, err := p.Version(version); err != nil {
			return err
		}
		if p.Default == version {
			return conflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.DeleteFunc(p.Versions, func(v Version) bool { return v.ID == version })
		return nil
	})
	return err
}

// TagPolicy sets some of a policy's tags, UntagPolicy removes some.
func (s *Service) TagPolicy(account, policy string, tags []Tag) error {
	_, err := s.changePolicy(account, policy, func(p *Policy) (err error) { p.Tags, err = tagged(p.Tags, tags); return err })
	return err
}

func (s *Service) UntagPolicy(account, policy string, keys []string) error {
	_, err := s.changePolicy(account, policy, func(p *Policy) error { p.Tags = untagged(p.Tags, keys); return nil })
	return err
}

// DeletePolicy removes a policy that nothing uses, and that has one version.
func (s *Service) DeletePolicy(account, policy string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.policy(account, policy)
	if err != nil {
		return err
	}
	by, boundaries := s.uses(account, policy)
	switch {
	case len(by)+boundaries > 0:
		return conflict("Cannot delete a policy attached to entities.")
	case len(p.Versions) > 1:
		return conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	i := idOf(account, p.Name)
	if err := s.drop('p', i); err != nil {
		return err
	}
	delete(s.policies, i)
	return nil
}
