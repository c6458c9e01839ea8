package request

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// NoPolicy, as an expected revision, means that no policy is there.
const NoPolicy = "NO_POLICY"

// PolicyResource is a table, or a stream of it, whose policy a request is about.
type PolicyResource struct {
	Resource
	Stream string // the stream's label; empty: the table
}

// PutResourcePolicy gives a resource a policy.
type PutResourcePolicy struct {
	PolicyResource
	Policy   string // in the form in which AWS gives it back
	Expected string // the revision that is to be replaced, or NoPolicy; empty: any
}

// GetResourcePolicy asks for the policy of a resource.
type GetResourcePolicy struct{ PolicyResource }

// DeleteResourcePolicy removes the policy of a resource.
type DeleteResourcePolicy struct {
	PolicyResource
	Expected string // as in PutResourcePolicy
}

// parse takes the ARN of a table or stream apart.
func (r *PolicyResource) parse(text string) *awserr.Error {
	r.ARN = text
	var ok bool
	switch {
	case !arn.Is(text):
		return awserr.NotAnARN(text)
	case strings.Contains(text, "/index/"):
		return awserr.ResourceNotTaggable(text)
	}
	if r.Scope, r.Table, ok = arn.Table(text); !ok {
		if r.Scope, r.Table, r.Stream, ok = arn.Stream(text); !ok {
			return awserr.NoDynamoDBResource(text)
		}
	}
	if a, _ := arn.Parse(text); a.Partition != "aws" {
		return awserr.PolicyElsewhere(text)
	}
	return nil
}

// Elsewhere returns the error of a resource of another account or region than the
// request's own; nil for others.
func (r *PolicyResource) Elsewhere(scope schema.Scope) *awserr.Error {
	switch {
	case r.Scope.Account != scope.Account:
		return awserr.PolicyOfOther()
	case r.Scope.Region != scope.Region:
		return awserr.PolicyElsewhere(r.ARN)
	}
	return nil
}

// wirePolicy is what the three operations have as they came. That the caller
// confirms to lock itself out means nothing where policies are not enforced.
type wirePolicy struct{ arn, policy, expected text }

func (w *wirePolicy) decode(body []byte) error {
	var confirmed flag
	return decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "ResourceArn":
			return w.arn.read(r)
		case "Policy":
			return w.policy.read(r)
		case "ExpectedRevisionId":
			return w.expected.read(r)
		case "ConfirmRemoveSelfResourceAccess":
			return confirmed.read(r)
		}
		return r.Skip()
	})
}

func (w *wirePolicy) check(v *violations, r *PolicyResource) *awserr.Error {
	checkResource(v, &w.arn)
	if w.expected.given {
		v.text(w.expected.s, 1, 255, "expectedRevisionId")
	}
	return firstOf(v.err(), r.parse(w.arn.s))
}

// DecodePutResourcePolicy decodes and checks a PutResourcePolicy request.
func DecodePutResourcePolicy(body []byte) (*PutResourcePolicy, error) {
	var w wirePolicy
	if err := w.decode(body); err != nil {
		return nil, err
	}
	var v violations
	if !w.policy.given {
		v.null("policy")
	}
	op := &PutResourcePolicy{Expected: w.expected.s}
	failure := w.check(&v, &op.PolicyResource)
	if failure == nil {
		op.Policy, failure = policyDocument(w.policy.s)
	}
	if failure != nil {
		return nil, failure
	}
	return op, nil
}

// DecodeGetResourcePolicy decodes and checks a GetResourcePolicy request.
func DecodeGetResourcePolicy(body []byte) (*GetResourcePolicy, error) {
	var w wirePolicy
	if err := w.decode(body); err != nil {
		return nil, err
	}
	w.expected = text{}
	op := new(GetResourcePolicy)
	if failure := w.check(new(violations), &op.PolicyResource); failure != nil {
		return nil, failure
	}
	return op, nil
}

// DecodeDeleteResourcePolicy decodes and checks a DeleteResourcePolicy request.
func DecodeDeleteResourcePolicy(body []byte) (*DeleteResourcePolicy, error) {
	var w wirePolicy
	if err := w.decode(body); err != nil {
		return nil, err
	}
	op := &DeleteResourcePolicy{Expected: w.expected.s}
	if failure := w.check(new(violations), &op.PolicyResource); failure != nil {
		return nil, failure
	}
	return op, nil
}

const maxPolicy = 20 << 10 // bytes, white space included

// document is a policy, its members in the order in which AWS gives them back.
type document struct {
	Version   string      `json:"Version"`
	ID        string      `json:"Id,omitempty"`
	Statement []statement `json:"Statement"`
}

type statement struct {
	Sid          string          `json:"Sid,omitempty"`
	Effect       string          `json:"Effect,omitempty"`
	Principal    oneOrMore       `json:"Principal,omitempty"`
	NotPrincipal oneOrMore       `json:"NotPrincipal,omitempty"`
	Action       oneOrMore       `json:"Action,omitempty"`
	NotAction    oneOrMore       `json:"NotAction,omitempty"`
	Resource     oneOrMore       `json:"Resource,omitempty"`
	NotResource  oneOrMore       `json:"NotResource,omitempty"`
	Condition    json.RawMessage `json:"Condition,omitempty"`
}

// oneOrMore is a JSON value in which a list of one is as good as its element.
type oneOrMore = json.RawMessage

// policyDocument checks a policy and returns it as AWS gives it back: without white
// space, members in a fixed order, lists of one as their element, accounts by the ARN
// of their root. Two documents that come to the same are the same policy.
func policyDocument(given string) (string, *awserr.Error) {
	if len(given) > maxPolicy {
		return "", awserr.PolicyTooLarge()
	}
	b := bytes.TrimSpace([]byte(given))
	switch {
	case string(b) == "null":
		return "", awserr.InvalidPolicy("This text appears not to be a policy")
	case !json.Valid(b) || b[0] != '{':
		return "", awserr.InvalidPolicy("This policy contains invalid Json")
	}
	syntax := awserr.InvalidPolicy("Syntax error at position (1," + strconv.Itoa(len(given)+1) + ")")
	var outer struct {
		document
		Statement json.RawMessage
	}
	if json.Unmarshal(b, &outer) != nil || len(outer.Statement) == 0 {
		return "", syntax
	}
	d := outer.document
	if outer.Statement[0] == '{' {
		outer.Statement = slices.Concat([]byte{'['}, outer.Statement, []byte{']'})
	}
	if json.Unmarshal(outer.Statement, &d.Statement) != nil {
		return "", syntax
	}
	if len(d.Statement) == 0 {
		return "", awserr.InvalidPolicy("Could not parse the policy: Statement is empty!")
	}
	if d.Version == "" {
		d.Version = "2008-10-17"
	}
	sids := map[string]bool{}
	for i := range d.Statement {
		s := &d.Statement[i]
		if failure := s.check(syntax); failure != nil {
			return "", failure
		}
		if s.Sid != "" && sids[s.Sid] {
			return "", awserr.InvalidPolicy("The Statement Ids in the policy are not unique")
		}
		sids[s.Sid] = true
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(d) != nil {
		return "", syntax
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// check checks a statement and brings it into AWS's form.
func (s *statement) check(syntax *awserr.Error) *awserr.Error {
	missing := func(field string) *awserr.Error { return awserr.InvalidPolicy("Missing required field " + field) }
	switch strings.ToLower(s.Effect) {
	case "allow":
		s.Effect = "Allow"
	case "deny":
		s.Effect = "Deny"
	case "":
		return missing("Effect")
	default:
		return syntax
	}
	switch {
	case s.Principal == nil && s.NotPrincipal == nil:
		return missing("Principal")
	case s.Action == nil && s.NotAction == nil:
		return missing("Action")
	case s.Resource == nil && s.NotResource == nil:
		return missing("Resource")
	}
	for _, list := range []*oneOrMore{&s.Action, &s.NotAction, &s.Resource, &s.NotResource} {
		if !plain(list, nil) {
			return syntax
		}
	}
	everybody := false
	for _, p := range []*oneOrMore{&s.Principal, &s.NotPrincipal} {
		all, ok := principal(p)
		if !ok {
			return syntax
		}
		everybody = everybody || all && p == &s.Principal
	}
	if everybody && s.Effect == "Allow" && s.Condition == nil {
		return awserr.PolicyUnbounded()
	}
	return nil
}

// plain brings a string or a list of strings into AWS's form; change, unless nil,
// is applied to each, and equal ones are kept once then. It is false for other values.
func plain(v *oneOrMore, change func(string) string) bool {
	if *v == nil {
		return true
	}
	var list []string
	var one string
	if json.Unmarshal(*v, &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(*v, &list) != nil || len(list) == 0 {
		return false
	}
	if change != nil {
		var changed []string
		for _, s := range list {
			if s = change(s); !slices.Contains(changed, s) {
				changed = append(changed, s)
			}
		}
		list = changed
	}
	var err error
	if len(list) == 1 {
		*v, err = json.Marshal(list[0])
	} else {
		*v, err = json.Marshal(list)
	}
	return err == nil
}

// principal brings a principal into AWS's form, and says whether it is everybody.
func principal(v *oneOrMore) (everybody, ok bool) {
	if *v == nil {
		return false, true
	}
	if string(*v) == `"*"` {
		return true, true
	}
	var kinds map[string]oneOrMore
	if json.Unmarshal(*v, &kinds) != nil || len(kinds) == 0 {
		return false, false
	}
	for kind, who := range kinds {
		if !plain(&who, rootOf) {
			return false, false
		}
		kinds[kind] = who
		everybody = everybody || kind == "AWS" && bytes.Contains(who, []byte(`"*"`))
	}
	b, err := json.Marshal(kinds)
	*v = b
	return everybody, err == nil
}

// rootOf returns the ARN of the root of an account that is named by its number.
func rootOf(who string) string {
	if len(who) == 12 && strings.Trim(who, "0123456789") == "" {
		return arn.Scope{Account: who}.Global("iam", "root")
	}
	return who
}
