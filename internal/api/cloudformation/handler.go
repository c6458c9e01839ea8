package cloudformation

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/millstreamdb/millstream/internal/api/query"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/stack"
)

// Options of New.
type Options struct {
	Authenticate func(*http.Request) (arn.Scope, *awserr.Error)
	Object       func(ctx context.Context, account, bucket, key string) ([]byte, error)
	Logger       *slog.Logger
}

type handler struct {
	Options
	stacks *stack.Service
}

// call is one request.
type call struct {
	*query.Call
	h *handler
}

// New returns the handler.
func New(stacks *stack.Service, o Options) http.Handler {
	h := &handler{o, stacks}
	s := &query.Service{Name: "CloudFormation", Namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/", Operations: map[string]query.Operation{},
		Authenticate: o.Authenticate, Refused: refused, Logger: o.Logger}
	for name, op := range operations {
		s.Operations[name] = query.Operation{Serve: func(c *query.Call) error { return op.serve(&call{c, h}) }, Silent: op.silent}
	}
	return s
}

// operations are those that are there, each with whether its answer has no result.
var operations = map[string]struct {
	serve  func(*call) error
	silent bool
}{
	"CreateStack": {createStack, false}, "UpdateStack": {updateStack, false}, "DeleteStack": {deleteStack, true},
	"CreateChangeSet": {createChangeSet, false}, "DescribeChangeSet": {describeChangeSet, false}, "ExecuteChangeSet": {executeChangeSet, false},
	"DeleteChangeSet": {deleteChangeSet, false}, "ListChangeSets": {listChangeSets, false},
	"DescribeStacks": {describeStacks, false}, "DescribeStackEvents": {describeEvents, false}, "DescribeStackResource": {describeResource, false},
	"DescribeStackResources": {describeResources, false}, "ListStackResources": {listResources, false}, "ListStacks": {listStacks, false},
	"ListExports": {listExports, false}, "ListImports": {listImports, false}, "GetTemplate": {getTemplate, false}, "GetTemplateSummary": {getTemplateSummary, false},
	"ValidateTemplate": {validateTemplate, false}, "UpdateTerminationProtection": {updateProtection, false},
	"SetStackPolicy": {setPolicy, true}, "GetStackPolicy": {getPolicy, false},
}

// refused is how an error of a stack is answered.
func refused(err error) (r query.Refusal, ok bool) {
	var e *stack.Error
	if !errors.As(err, &e) {
		return r, false
	}
	r = query.Refusal{Status: http.StatusBadRequest, Code: e.Code, Message: e.Message}
	if e.Code == "ChangeSetNotFound" {
		r.Status = http.StatusNotFound
	}
	return r, true
}

// has reports whether a list was sent, also an empty one.
func (c *call) has(name string) bool { return c.Form.Has(name) || c.Form.Has(name+".member.1.Key") }

// request reads what stacks and change sets are made with.
func (c *call) request() (stack.Request, error) {
	r := stack.Request{Stack: c.Get("StackName"), Parameters: map[string]string{}, Capabilities: c.Members("Capabilities"), PreviousTemplate: c.Yes("UsePreviousTemplate"),
		KeepFailed:   c.Yes("DisableRollback") || c.Get("OnFailure") == "DO_NOTHING" || c.Get("OnStackFailure") == "DO_NOTHING",
		DeleteFailed: c.Get("OnFailure") == "DELETE" || c.Get("OnStackFailure") == "DELETE",
		Protected:    c.Yes("EnableTerminationProtection")}
	for _, at := range c.Structures("Parameters", "ParameterKey") {
		if c.Yes(at + "UsePreviousValue") {
			r.Previous = append(r.Previous, c.Get(at+"ParameterKey"))
		} else {
			r.Parameters[c.Get(at+"ParameterKey")] = c.Get(at + "ParameterValue")
		}
	}
	r.KeepTags = !c.has("Tags")
	for _, at := range c.Structures("Tags", "Key") {
		r.Tags = append(r.Tags, stack.Tag{Key: c.Get(at + "Key"), Value: c.Get(at + "Value")})
	}
	if r.PreviousTemplate {
		return r, nil
	}
	var err error
	r.Template, err = c.template()
	return r, err
}

func (c *call) template() (string, error) {
	switch body, address := c.Get("TemplateBody"), c.Get("TemplateURL"); {
	case body != "":
		return body, nil
	case address != "":
		bucket, key, ok := objectOf(address)
		if !ok {
			return "", &stack.Error{Code: "ValidationError", Message: "S3 error: " + address + " is no address of an object"}
		}
		text, err := c.h.Object(c.Context, c.Scope.Account, bucket, key)
		if err != nil {
			return "", &stack.Error{Code: "ValidationError", Message: "S3 error: " + err.Error() + " (" + bucket + "/" + key + ")"}
		}
		return string(text), nil
	}
	return "", &stack.Error{Code: "ValidationError", Message: "Either Template URL or Template Body must be specified."}
}

// objectOf finds the bucket and key in an address, whatever host of S3 it names: tools
// write AWS's although they were told of another endpoint. Nothing is asked of that host.
func objectOf(address string) (bucket, key string, ok bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", false
	}
	at := strings.TrimPrefix(u.Path, "/")
	if u.Scheme == "s3" {
		return u.Host, at, at != ""
	}
	host := u.Hostname()
	for _, begin := range []string{".s3.", ".s3-"} {
		if i := strings.Index(host, begin); i > 0 && strings.Contains(host[i:], ".amazonaws.com") {
			return host[:i], at, at != ""
		}
	}
	if b, found := strings.CutSuffix(host, ".localhost"); found {
		return b, at, at != ""
	}
	bucket, key, ok = strings.Cut(at, "/")
	return bucket, key, ok && bucket != "" && key != ""
}
