package function

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// alias is the stored form of one. Fields are only ever added.
type alias struct {
	Version     string             `json:"version"`
	Description string             `json:"description,omitempty"`
	Weights     map[string]float64 `json:"weights,omitempty"` // of at most one other version
	Revision    string             `json:"revision"`
}

func (d *definition) aliasDocument(name string) AliasDocument {
	a := d.Aliases[name]
	doc := AliasDocument{AliasArn: d.arn() + ":" + name, Name: name, FunctionVersion: a.Version, Description: a.Description, RevisionID: a.Revision}
	if len(a.Weights) > 0 {
		doc.RoutingConfig = &RoutingConfig{a.Weights}
	}
	return doc
}

// setAlias changes an alias; nil removes it.
func (d *definition) setAlias(name string, a *alias) {
	d.Aliases = maps.Clone(d.Aliases)
	switch {
	case a == nil:
		delete(d.Aliases, name)
	case d.Aliases == nil:
		d.Aliases = map[string]alias{name: *a}
	default:
		d.Aliases[name] = *a
	}
}

func (r *AliasRequest) check(v *constraints) {
	if r.FunctionVersion != nil && *r.FunctionVersion != runner.Latest && !isNumber(*r.FunctionVersion) {
		v.fail(*r.FunctionVersion, "functionVersion", `Member must satisfy regular expression pattern: (\$LATEST|[0-9]+)`)
	}
	v.atMost(r.Description, "description", 256)
	if r.RoutingConfig == nil {
		return
	}
	for version, share := range r.RoutingConfig.AdditionalVersionWeights {
		text := "{" + version + "=" + jsonNumber(share) + "}"
		if !isNumber(version) {
			v.fail(text, "routingConfig.additionalVersionWeights", "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]")
		}
		if share < 0 || share > 1 {
			v.fail(text, "routingConfig.additionalVersionWeights", "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]")
		}
	}
}

func jsonNumber(f float64) string {
	text, err := json.Marshal(f)
	if err != nil {
		return "NaN"
	}
	return string(text)
}

// checkWeights holds an alias against the versions that there are.
func (f *live) checkWeights(a *alias) error {
	d := f.def.Load()
	if f.versionOf(a.Version) == nil {
		return awserr.FunctionNotFound(d.arn() + ":" + a.Version)
	}
	if len(a.Weights) > 1 {
		return awserr.LambdaInvalidParameter("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	for version := range a.Weights {
		switch {
		case version == a.Version:
			return awserr.LambdaInvalidParameter("Invalid function version " + version + ". Function version " + version + " is already included in routing configuration.")
		case a.Version == runner.Latest:
			return awserr.LambdaInvalidParameter("$LATEST is not supported for an alias pointing to more than 1 version")
		case f.versionOf(version) == nil:
			return awserr.FunctionNotFound(d.arn() + ":" + version)
		}
	}
	return nil
}

// CreateAlias gives a version a name.
func (s *Service) CreateAlias(scope schema.Scope, name string, r AliasRequest) (AliasDocument, error) {
	v := &constraints{}
	if !isName(r.Name, 128) || isNumber(r.Name) {
		v.fail(r.Name, "name", "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)")
	}
	if r.FunctionVersion == nil {
		v.texts = append(v.texts, "Value null at 'functionVersion' failed to satisfy constraint: Member must not be null")
	}
	r.check(v)
	if err := v.err(); err != nil {
		return AliasDocument{}, err
	}
	return s.changeAlias(scope, name, r.Name, func(f *live, d *definition) error {
		a := alias{Version: *r.FunctionVersion, Revision: newID()}
		set(&a.Description, r.Description)
		if r.RoutingConfig != nil {
			a.Weights = r.RoutingConfig.AdditionalVersionWeights
		}
		if f.versionOf(a.Version) == nil {
			return awserr.FunctionNotFound(d.arn() + ":" + a.Version)
		}
		if _, there := d.Aliases[r.Name]; there {
			return awserr.LambdaConflict("Alias already exists: " + d.arn() + ":" + r.Name)
		}
		if err := f.checkWeights(&a); err != nil {
			return err
		}
		d.setAlias(r.Name, &a)
		return nil
	})
}

// UpdateAlias changes what is given of an alias. Calls that have begun go on.
func (s *Service) UpdateAlias(scope schema.Scope, name, aliasName string, r AliasRequest) (AliasDocument, error) {
	v := &constraints{}
	r.check(v)
	if err := v.err(); err != nil {
		return AliasDocument{}, err
	}
	return s.changeAlias(scope, name, aliasName, func(f *live, d *definition) error {
		a, there := d.Aliases[aliasName]
		if !there {
			return awserr.LambdaNotFound("Alias not found: " + d.arn() + ":" + aliasName)
		}
		if r.RevisionID != nil && *r.RevisionID != "" && *r.RevisionID != a.Revision {
			return awserr.RevisionMismatch()
		}
		set(&a.Version, r.FunctionVersion)
		set(&a.Description, r.Description)
		if r.RoutingConfig != nil {
			a.Weights = r.RoutingConfig.AdditionalVersionWeights
		}
		if err := f.checkWeights(&a); err != nil {
			return err
		}
		a.Revision = newID()
		d.setAlias(aliasName, &a)
		return nil
	})
}

func (s *Service) changeAlias(scope schema.Scope, name, aliasName string, change func(f *live, d *definition) error) (AliasDocument, error) {
	d, err := s.update(scope, name, func(d *definition) error { return change(s.lookup(d.Scope, d.Name), d) })
	if err != nil {
		return AliasDocument{}, err
	}
	s.changed(scope, d.Name)
	return d.aliasDocument(aliasName), nil
}

// Alias returns an alias.
func (s *Service) Alias(scope schema.Scope, name, aliasName string) (AliasDocument, error) {
	f, _, err := s.resolve(scope, name, "")
	if err != nil {
		return AliasDocument{}, err
	}
	d := f.live.def.Load()
	if _, there := d.Aliases[aliasName]; !there {
		return AliasDocument{}, awserr.NoAlias(d.arn() + ":" + aliasName)
	}
	return d.aliasDocument(aliasName), nil
}

// DeleteAlias removes an alias and what it had of its own; one that is not there is fine.
func (s *Service) DeleteAlias(scope schema.Scope, name, aliasName string) error {
	_, err := s.changeAlias(scope, name, aliasName, func(_ *live, d *definition) error {
		d.setAlias(aliasName, nil)
		d.forgetQualifier(aliasName)
		return nil
	})
	return err
}

// Aliases returns a page of a function's aliases by name; version, unless empty, keeps those of
// one version.
func (s *Service) Aliases(scope schema.Scope, name, version, marker string, maxItems int) (AliasesPage, error) {
	f, _, err := s.resolve(scope, name, "")
	if err != nil {
		return AliasesPage{}, err
	}
	d := f.live.def.Load()
	var found []string
	for _, alias := range slices.Sorted(maps.Keys(d.Aliases)) {
		if version == "" || d.Aliases[alias].Version == version {
			found = append(found, alias)
		}
	}
	names, next, err := pageOf(found, marker, maxItems, defaultPage)
	if err != nil {
		return AliasesPage{}, err
	}
	page := AliasesPage{Aliases: []AliasDocument{}, NextMarker: next}
	for _, alias := range names {
		page.Aliases = append(page.Aliases, d.aliasDocument(alias))
	}
	return page, nil
}
