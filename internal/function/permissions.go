package function

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// PermissionRequest is the body of AddPermission and of AddLayerVersionPermission.
type PermissionRequest struct {
	StatementID         string `json:"StatementId"`
	Action              string
	Principal           string
	SourceArn           string
	SourceAccount       string
	EventSourceToken    string
	FunctionURLAuthType string  `json:"FunctionUrlAuthType"`
	PrincipalOrgID      string  // of functions
	InvokedViaURL       *bool   `json:"InvokedViaFunctionUrl"`
	OrganizationID      string  `json:"OrganizationId"` // of layers
	RevisionID          *string `json:"RevisionId"`
}

// statement is one of a policy, with AWS's member names; it is stored as it is.
type statement struct {
	Sid       string                       `json:"Sid"`
	Effect    string                       `json:"Effect"`
	Principal json.RawMessage              `json:"Principal"`
	Action    string                       `json:"Action"`
	Resource  string                       `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition,omitempty"`
}

// policyDocument renders the policy of some statements.
func policyDocument(statements []statement) (string, error) {
	text, err := json.Marshal(struct {
		Version   string
		ID        string `json:"Id"`
		Statement []statement
	}{"2012-10-17", "default", statements})
	return string(text), err
}

// statement checks a request and makes a policy's statement of it.
func (r *PermissionRequest) statement(resource string) (statement, error) {
	v := &constraints{}
	if !isName(r.StatementID, 100) {
		v.fail(r.StatementID, "statementId", "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)")
	}
	if r.Action == "" {
		v.texts = append(v.texts, "Value null at 'action' failed to satisfy constraint: Member must not be null")
	}
	if r.Principal == "" {
		v.texts = append(v.texts, "Value null at 'principal' failed to satisfy constraint: Member must not be null")
	}
	if err := v.err(); err != nil {
		return statement{}, err
	}
	st := statement{Sid: r.StatementID, Effect: "Allow", Action: r.Action, Resource: resource}
	principal := func(kind, who string) json.RawMessage {
		text, _ := json.Marshal(map[string]string{kind: who}) // strings always marshal
		return text
	}
	switch {
	case strings.HasSuffix(r.Principal, ".amazonaws.com"), strings.HasSuffix(r.Principal, ".amazon.com"): // Alexa has the second
		st.Principal = principal("Service", r.Principal)
	case arn.IsAccount(r.Principal):
		st.Principal = principal("AWS", arn.Scope{Account: r.Principal}.Global("iam", "root"))
	case arn.Service(r.Principal) == "iam":
		st.Principal = principal("AWS", r.Principal)
	case r.Principal == "*":
		st.Principal = json.RawMessage(`"*"`)
	default:
		return statement{}, awserr.LambdaInvalidParameter("The provided principal was invalid. Please check the principal and try again.")
	}
	equals := map[string]string{}
	for key, value := range map[string]string{
		"lambda:FunctionUrlAuthType": r.FunctionURLAuthType, "aws:PrincipalOrgID": r.PrincipalOrgID + r.OrganizationID,
		"AWS:SourceAccount": r.SourceAccount, "lambda:EventSourceToken": r.EventSourceToken,
	} {
		if value != "" {
			equals[key] = value
		}
	}
	st.Condition = map[string]map[string]string{}
	if len(equals) > 0 {
		st.Condition["StringEquals"] = equals
	}
	if r.InvokedViaURL != nil {
		st.Condition["Bool"] = map[string]string{"lambda:InvokedViaFunctionUrl": strconv.FormatBool(*r.InvokedViaURL)}
	}
	if r.SourceArn != "" {
		st.Condition["ArnLike"] = map[string]string{"AWS:SourceArn": r.SourceArn}
	}
	return st, nil
}

// AddPermission adds a statement to the policy of a function, version or alias and returns
// it. Policies are kept and given back; nobody is refused for one.
func (s *Service) AddPermission(scope schema.Scope, name, qualifier string, r PermissionRequest) (string, error) {
	t, arn, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return "", err
	}
	if t.qualifier == runner.Latest {
		return "", awserr.LambdaInvalidParameter("We currently do not support adding policies for $LATEST.")
	}
	st, err := r.statement(arn)
	if err != nil {
		return "", err
	}
	err = s.changePolicy(scope, name, t.qualifier, r.RevisionID, func(now []statement) ([]statement, error) {
		if slices.ContainsFunc(now, func(o statement) bool { return o.Sid == st.Sid }) {
			return nil, statementExists(st.Sid)
		}
		return append(slices.Clone(now), st), nil
	})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(st)
	return string(text), err
}

func statementExists(sid string) error {
	return awserr.LambdaConflict("The statement id (" + sid + ") provided already exists. Please provide a new statement id, or remove the existing statement.")
}

// RemovePermission removes a statement.
func (s *Service) RemovePermission(scope schema.Scope, name, qualifier, sid string, revision *string) error {
	t, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return err
	}
	return s.changePolicy(scope, name, t.qualifier, revision, func(now []statement) ([]statement, error) {
		return removeStatement(now, sid)
	})
}

func removeStatement(now []statement, sid string) ([]statement, error) {
	if len(now) == 0 {
		return nil, awserr.LambdaNotFound("No policy is associated with the given resource.")
	}
	i := slices.IndexFunc(now, func(o statement) bool { return o.Sid == sid })
	if i < 0 {
		return nil, awserr.LambdaNotFound("Statement " + sid + " is not found in resource policy.")
	}
	return slices.Delete(slices.Clone(now), i, i+1), nil
}

func (s *Service) changePolicy(scope schema.Scope, name, qualifier string, revision *string, change func([]statement) ([]statement, error)) error {
	q := orLatest(qualifier)
	_, err := s.update(scope, name, func(d *definition) error {
		next, err := change(d.Policies[q])
		if err != nil {
			return err
		}
		if revision != nil && *revision != "" && *revision != s.policyRevision(d, q) {
			return awserr.PolicyRevisionMismatch()
		}
		d.Policies = maps.Clone(d.Policies)
		if d.Policies == nil {
			d.Policies = map[string][]statement{}
		}
		if d.Policies[q] = next; len(next) == 0 {
			delete(d.Policies, q)
		}
		if a, is := d.Aliases[q]; is {
			a.Revision = newID()
			d.setAlias(q, &a)
		} else if !isNumber(q) {
			d.Revision = newID()
		}
		return nil
	})
	return err
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
func (s *Service) Policy(scope schema.Scope, name, qualifier string) (policy, revision string, err error) {
	t, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return "", "", err
	}
	d, q := t.live.def.Load(), orLatest(t.qualifier)
	if len(d.Policies[q]) == 0 {
		return "", "", awserr.LambdaNotFound("The resource you requested does not exist.")
	}
	policy, err = policyDocument(d.Policies[q])
	return policy, s.policyRevision(d, q), err
}
