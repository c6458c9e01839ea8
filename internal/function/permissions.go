package function

import (
	"encoding/json"
	"regexp"
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

var actionPattern = regexp.MustCompile(`^(lambda:[*]|lambda:[a-zA-Z]+|[*])$`)

// statement checks a request and makes a policy's statement of it.
func (r *PermissionRequest) statement(resource string) (statement, error) {
	v := &constraints{}
	if !isName(r.StatementID, 100) {
		v.fail(r.StatementID, "statementId", "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)")
	}
	if r.Action == "" {
		v.texts = append(v.texts, "Value null at 'action' failed to satisfy constraint: Member must not be null")
	} else if !actionPattern.MatchString(r.Action) {
		v.fail(r.Action, "action", "Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])")
	}
	if r.Principal == "" {
		v.texts = append(v.texts, "Value null at 'principal' failed to satisfy constraint: Member must not be null")
	}
	if err := v.err(); err != nil {
		return statement{}, err
	}
	text := func(v any) json.RawMessage {
		b, _ := json.Marshal(v) // strings always marshal
		return b
	}
	principal := func(kind, who string) json.RawMessage { return text(map[string]string{kind: who}) }
	st := statement{Sid: r.StatementID, Effect: "Allow", Action: text(r.Action), Resource: text(resource)}
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
	condition := map[string]map[string]string{}
	if len(equals) > 0 {
		condition["StringEquals"] = equals
	}
	if r.InvokedViaURL != nil {
		condition["Bool"] = map[string]string{"lambda:InvokedViaFunctionUrl": strconv.FormatBool(*r.InvokedViaURL)}
	}
	if r.SourceArn != "" {
		condition["ArnLike"] = map[string]string{"AWS:SourceArn": r.SourceArn}
	}
	if len(condition) > 0 {
		st.Condition = text(condition)
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
		return "", noPolicyOfLatest()
	}
	st, err := r.statement(arn)
	if err != nil {
		return "", err
	}
	_, err = s.changePolicy(scope, name, t.qualifier, r.RevisionID, func(p *policy) error {
		if slices.ContainsFunc(p.Statement, func(o statement) bool { return o.Sid == st.Sid }) {
			return statementExists(st.Sid)
		}
		p.Statement = append(slices.Clone(p.Statement), st)
		return nil
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
	_, err = s.changePolicy(scope, name, t.qualifier, revision, func(p *policy) (err error) {
		p.Statement, err = removeStatement(p.Statement, sid)
		return err
	})
	return err
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
