package function

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// AddLayerPermission adds a statement to the policy of a layer's version and returns it, and the
// policy's revision.
func (s *Service) AddLayerPermission(scope schema.Scope, text string, version int, r PermissionRequest) (st, revision string, err error) {
	if r.Action != "lambda:GetLayerVersion" {
		return "", "", constraint(r.Action, "action", "Member must satisfy regular expression pattern: lambda:GetLayerVersion")
	}
	var made statement
	revision, err = s.changeLayerPolicy(scope, text, version, r.RevisionID, func(v *layerVersion) ([]statement, error) {
		if made, err = r.statement(v.arn()); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(v.Policy, func(o statement) bool { return o.Sid == made.Sid }) {
			return nil, statementExists(made.Sid)
		}
		return append(slices.Clone(v.Policy), made), nil
	})
	if err != nil {
		return "", "", err
	}
	body, err := json.Marshal(made)
	return string(body), revision, err
}

// RemoveLayerPermission removes a statement.
func (s *Service) RemoveLayerPermission(scope schema.Scope, text string, version int, sid string, revision *string) error {
	_, err := s.changeLayerPolicy(scope, text, version, revision, func(v *layerVersion) ([]statement, error) {
		return removeStatement(v.Policy, sid)
	})
	return err
}

func (s *Service) changeLayerPolicy(scope schema.Scope, text string, version int, revision *string, change func(v *layerVersion) ([]statement, error)) (string, error) {
	old, err := s.policyLayer(scope, text, version)
	if err != nil {
		return "", err
	}
	s.layers.mu.Lock()
	defer s.layers.mu.Unlock()
	l := s.layers.found[id{scope, old.Name}]
	if old = l.versions[version]; old == nil {
		return "", awserr.NotThere()
	}
	v := *old
	if v.Policy, err = change(old); err != nil {
		return "", err
	}
	if revision != nil && *revision != "" && *revision != old.PolicyID {
		return "", &awserr.Error{Code: "PreconditionFailedException", Message: "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id", Status: http.StatusPreconditionFailed}
	}
	v.PolicyID = newID()
	if err := s.rows.admit(true); err != nil {
		return "", err
	}
	if err := s.keepLayer(l, &v, l.last); err != nil {
		return "", err
	}
	l.versions[version] = &v
	return v.PolicyID, nil
}

// LayerPolicy returns the policy of a layer's version and its revision.
func (s *Service) LayerPolicy(scope schema.Scope, layer string, version int) (text, revision string, err error) {
	v, err := s.policyLayer(scope, layer, version)
	if err != nil {
		return "", "", err
	}
	if len(v.Policy) == 0 {
		return "", "", awserr.LambdaNotFound("No policy is associated with the given resource.")
	}
	p := policy{ordinaryHead, v.Policy}
	text, err = p.document()
	return text, v.PolicyID, err
}

func (s *Service) policyLayer(scope schema.Scope, text string, version int) (*layerVersion, error) {
	v, err := s.layerVersionOf(scope, text, version)
	if err == nil && v == nil {
		name, _, _ := layerName(scope, text) // it has been looked at
		missing := layerVersion{Scope: scope, Name: name, Version: version}
		err = awserr.LambdaNotFound("Layer version " + missing.arn() + " does not exist.")
	}
	return v, err
}
