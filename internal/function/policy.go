package function

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxPolicy is AWS's limit of a policy, in bytes of its text.
const maxPolicy = 20480

// policy is that of a function, version or alias. AddPermission adds to it statement by
// statement, PutResourcePolicy replaces it. It is kept and given back; nobody is refused for it.
type policy struct {
	policyHead
	Statement []statement
}

// policyHead is what a policy has beside its statements.
type policyHead struct {
	Version string
	ID      string `json:"Id,omitempty"`
}

// ordinaryHead is that of a policy that AddPermission has begun.
var ordinaryHead = policyHead{Version: "2012-10-17", ID: "default"}

// statement is one of a policy, with AWS's member names; it is stored as it is.
type statement struct {
	Sid          string          `json:"Sid,omitempty"`
	Effect       string          `json:"Effect"`
	Principal    json.RawMessage `json:"Principal,omitempty"`
	NotPrincipal json.RawMessage `json:"NotPrincipal,omitempty"`
	Action       json.RawMessage `json:"Action,omitempty"`
	NotAction    json.RawMessage `json:"NotAction,omitempty"`
	Resource     json.RawMessage `json:"Resource,omitempty"`
	NotResource  json.RawMessage `json:"NotResource,omitempty"`
	Condition    json.RawMessage `json:"Condition,omitempty"`
}

// document renders a policy.
func (p *policy) document() (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(p)
	return string(bytes.TrimSuffix(b.Bytes(), []byte{'\n'})), err
}

// parsePolicy takes a policy apart that a caller has written.
func parsePolicy(text string) (policy, error) {
	bad := func(why string) (policy, error) {
		return policy{}, awserr.LambdaInvalidParameter("The provided policy is not valid: " + why + ". Please check the policy and try again.")
	}
	var p struct {
		policyHead
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return bad("it is not a JSON document of a policy")
	}
	found := policy{policyHead: p.policyHead}
	if len(p.Statement) > 0 && p.Statement[0] == '{' { // one may stand without its list
		p.Statement = slices.Concat([]byte{'['}, p.Statement, []byte{']'})
	}
	if len(p.Statement) == 0 || json.Unmarshal(p.Statement, &found.Statement) != nil || len(found.Statement) == 0 {
		return bad("it has no Statement")
	}
	switch found.Version {
	case "":
		found.Version = "2008-10-17" // what a policy that does not say it is
	case "2008-10-17", "2012-10-17":
	default:
		return bad("its Version is neither 2012-10-17 nor 2008-10-17")
	}
	sids := map[string]bool{}
	for i := range found.Statement {
		s := &found.Statement[i]
		switch {
		case s.Effect != "Allow" && s.Effect != "Deny":
			return bad("the Effect of a statement is neither Allow nor Deny")
		case (s.Principal == nil) == (s.NotPrincipal == nil):
			return bad("a statement has one of Principal and NotPrincipal")
		case (s.Action == nil) == (s.NotAction == nil):
			return bad("a statement has one of Action and NotAction")
		case (s.Resource == nil) == (s.NotResource == nil):
			return bad("a statement has one of Resource and NotResource")
		case s.Sid != "" && sids[s.Sid]:
			return bad("the Sid " + s.Sid + " is there twice")
		}
		sids[s.Sid] = true
	}
	return found, nil
}

// policyOf returns the policy of a qualifier; it has no statements when there is none.
func (d *definition) policyOf(qualifier string) policy {
	p := policy{policyHead: ordinaryHead, Statement: d.Policies[qualifier]}
	if head, is := d.PolicyHeads[qualifier]; is {
		p.policyHead = head
	}
	return p
}

// setPolicy sets it; one without statements is removed.
func (d *definition) setPolicy(qualifier string, p policy) {
	d.Policies, d.PolicyHeads = maps.Clone(d.Policies), maps.Clone(d.PolicyHeads)
	delete(d.Policies, qualifier)
	delete(d.PolicyHeads, qualifier)
	if len(p.Statement) == 0 {
		return
	}
	if d.Policies == nil {
		d.Policies = map[string][]statement{}
	}
	d.Policies[qualifier] = p.Statement
	if p.policyHead == ordinaryHead {
		return
	}
	if d.PolicyHeads == nil {
		d.PolicyHeads = map[string]policyHead{}
	}
	d.PolicyHeads[qualifier] = p.policyHead
}

// changePolicy changes the policy of a qualifier, and returns the new revision of what it belongs to.
func (s *Service) changePolicy(scope schema.Scope, name, qualifier string, revision *string, change func(p *policy) error) (string, error) {
	q, next := orLatest(qualifier), ""
	_, err := s.updateOf(scope, name, q, func(d *definition) error {
		p := d.policyOf(q)
		before, err := p.document()
		if err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		if revision != nil && *revision != "" && *revision != s.policyRevision(d, q) {
			return awserr.PolicyRevisionMismatch()
		}
		text, err := p.document()
		if err != nil {
			return err
		}
		if len(text) > maxPolicy && len(text) > len(before) { // older releases took longer ones, which may be made shorter
			return &awserr.Error{Code: "PolicyLengthExceededException", Status: http.StatusBadRequest,
				Message: fmt.Sprintf("The final policy size (%d) is bigger than the limit (%d).", len(text), maxPolicy)}
		}
		d.setPolicy(q, p)
		if a, is := d.Aliases[q]; is {
			a.Revision = newID()
			d.setAlias(q, &a)
		} else if !isNumber(q) {
			d.Revision = newID()
		}
		next = s.policyRevision(d, q)
		return nil
	})
	return next, err
}

// policyRevision is the revision of what a policy belongs to.
func (s *Service) policyRevision(d *definition, qualifier string) string {
	if a, is := d.Aliases[qualifier]; is {
		return a.Revision
	}
	if e := s.lookup(d.Scope, d.Name).versionOf(qualifier); e != nil && isNumber(qualifier) {
		return e.def.Load().Revision
	}
	return d.Revision
}

// Policy returns the policy of a function, version or alias, and the revision of that.
func (s *Service) Policy(scope schema.Scope, name, qualifier string) (text, revision string, err error) {
	t, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return "", "", err
	}
	d, q := t.live.def.Load(), orLatest(t.qualifier)
	p := d.policyOf(q)
	if len(p.Statement) == 0 {
		return "", "", awserr.NotThere()
	}
	text, err = p.document()
	return text, s.policyRevision(d, q), err
}

// ResourcePolicy is Policy of what a whole ARN names.
func (s *Service) ResourcePolicy(scope schema.Scope, resource string) (text, revision string, err error) {
	if err := functionResource(resource); err != nil {
		return "", "", err
	}
	return s.Policy(scope, resource, "")
}

// PutResourcePolicy replaces the policy of what a whole ARN names, and returns it with its revision.
func (s *Service) PutResourcePolicy(scope schema.Scope, resource, document string, revision *string) (text, next string, err error) {
	if err := functionResource(resource); err != nil {
		return "", "", err
	}
	t, _, err := s.resolve(scope, resource, "")
	if err != nil {
		return "", "", err
	}
	if t.qualifier == runner.Latest {
		return "", "", noPolicyOfLatest()
	}
	put, err := parsePolicy(document)
	if err != nil {
		return "", "", err
	}
	if next, err = s.changePolicy(scope, resource, t.qualifier, revision, func(p *policy) error { *p = put; return nil }); err != nil {
		return "", "", err
	}
	text, err = put.document()
	return text, next, err
}

// DeleteResourcePolicy removes the policy of what a whole ARN names.
func (s *Service) DeleteResourcePolicy(scope schema.Scope, resource string, revision *string) error {
	if err := functionResource(resource); err != nil {
		return err
	}
	t, _, err := s.resolve(scope, resource, "")
	if err != nil {
		return err
	}
	_, err = s.changePolicy(scope, resource, t.qualifier, revision, func(p *policy) error {
		if len(p.Statement) == 0 {
			return awserr.NotThere()
		}
		p.Statement = nil
		return nil
	})
	return err
}

// functionResource refuses what is not the whole ARN of a function.
func functionResource(text string) error {
	if f, ok := arn.ParseFunction(text); !ok || !arn.Is(text) || f.Region == "" || f.Account == "" {
		return constraint(text, "resourceArn", "Member must satisfy regular expression pattern: "+resourcePattern)
	}
	return nil
}

const resourcePattern = `arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:function:[a-zA-Z0-9-_]+(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_])+)?`

func noPolicyOfLatest() error {
	return awserr.LambdaInvalidParameter("We currently do not support adding policies for $LATEST.")
}
