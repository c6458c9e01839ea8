package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/stack"
)

// Options of New.
type Options struct {
	Authenticate func(*http.Request) (arn.Scope, *awserr.Error)
	Object       func(ctx context.Context, bucket, key string) ([]byte, error)
	Logger       *slog.Logger
}

type handler struct {
	Options
	stacks *stack.Service
}

const (
	namespace = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
	maxBody   = 2 << 20
)

// call is one request.
type call struct {
	h     *handler
	ctx   context.Context
	scope arn.Scope
	form  url.Values
	out   *document
}

// operations are those that are there, each with whether its answer has a result.
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

// New returns the handler.
func New(stacks *stack.Service, o Options) http.Handler { return &handler{o, stacks} }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := uuid.NewString()
	if r.Method != http.MethodPost { // AWS takes GET: but a link can be followed by whom nobody asked
		h.fail(w, id, http.StatusMethodNotAllowed, "MethodNotAllowed", "Millstream takes calls of CloudFormation by POST only, as SDKs send them")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		h.fail(w, id, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is too large or was cut off")
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		h.fail(w, id, http.StatusBadRequest, "MalformedQueryString", "The form could not be read: "+err.Error())
		return
	}
	for name, values := range r.URL.Query() {
		form[name] = append(form[name], values...)
	}
	scope, refused := h.Authenticate(r)
	if refused != nil {
		h.fail(w, id, http.StatusForbidden, strings.TrimSuffix(refused.Code, "Exception"), refused.Message)
		return
	}
	action := form.Get("Action")
	op, ok := operations[action]
	if !ok {
		h.fail(w, id, http.StatusBadRequest, "InvalidAction", "Could not find operation "+action+" for version "+form.Get("Version")+": Millstream has "+strings.Join(names(), ", "))
		return
	}
	c := &call{h, r.Context(), scope, form, &document{}}
	if err := op.serve(c); err != nil {
		var e *stack.Error
		switch {
		case !errors.As(err, &e):
			h.Logger.Error("a call of CloudFormation failed", "action", action, "err", err)
			h.fail(w, id, http.StatusInternalServerError, "InternalFailure", err.Error())
		case e.Code == "ChangeSetNotFound":
			h.fail(w, id, http.StatusNotFound, e.Code, e.Message)
		default:
			h.fail(w, id, http.StatusBadRequest, e.Code, e.Message)
		}
		return
	}
	var d document
	d.WriteString("<" + action + `Response xmlns="` + namespace + `">`)
	if !op.silent {
		d.in(action+"Result", func() { d.WriteString(c.out.String()) })
	}
	d.in("ResponseMetadata", func() { d.must("RequestId", id) })
	d.WriteString("</" + action + "Response>")
	h.write(w, http.StatusOK, id, d.String())
}

func names() (all []string) {
	for name := range operations {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func (h *handler) fail(w http.ResponseWriter, id string, status int, code, message string) {
	var d document
	d.WriteString(`<ErrorResponse xmlns="` + namespace + `">`)
	d.in("Error", func() { d.must("Type", "Sender"); d.must("Code", code); d.must("Message", message) })
	d.must("RequestId", id)
	d.WriteString("</ErrorResponse>")
	h.write(w, status, id, d.String())
}

func (h *handler) write(w http.ResponseWriter, status int, id, body string) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("x-amzn-RequestId", id)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the caller has gone: there is nobody to tell
}

func (c *call) get(name string) string { return c.form.Get(name) }
func (c *call) yes(name string) bool   { return c.form.Get(name) == "true" }

// members are a list's values. An empty list is sent as one empty value under its name.
func (c *call) members(name string) (all []string) {
	for i := 1; c.form.Has(fmt.Sprintf("%s.member.%d", name, i)); i++ {
		all = append(all, c.form.Get(fmt.Sprintf("%s.member.%d", name, i)))
	}
	return all
}

// has reports whether a list was sent, also an empty one.
func (c *call) has(name string) bool { return c.form.Has(name) || c.form.Has(name+".member.1.Key") }

// request reads what stacks and change sets are made with.
func (c *call) request() (stack.Request, error) {
	r := stack.Request{Stack: c.get("StackName"), Parameters: map[string]string{}, Capabilities: c.members("Capabilities"), PreviousTemplate: c.yes("UsePreviousTemplate"),
		KeepFailed:   c.yes("DisableRollback") || c.get("OnFailure") == "DO_NOTHING" || c.get("OnStackFailure") == "DO_NOTHING",
		DeleteFailed: c.get("OnFailure") == "DELETE" || c.get("OnStackFailure") == "DELETE",
		Protected:    c.yes("EnableTerminationProtection")}
	for i := 1; ; i++ {
		at := "Parameters.member." + strconv.Itoa(i) + "."
		if !c.form.Has(at + "ParameterKey") {
			break
		}
		if c.yes(at + "UsePreviousValue") {
			r.Previous = append(r.Previous, c.get(at+"ParameterKey"))
		} else {
			r.Parameters[c.get(at+"ParameterKey")] = c.get(at + "ParameterValue")
		}
	}
	r.KeepTags = !c.has("Tags")
	for i := 1; c.form.Has("Tags.member." + strconv.Itoa(i) + ".Key"); i++ {
		at := "Tags.member." + strconv.Itoa(i) + "."
		r.Tags = append(r.Tags, stack.Tag{Key: c.get(at + "Key"), Value: c.get(at + "Value")})
	}
	if r.PreviousTemplate {
		return r, nil
	}
	var err error
	r.Template, err = c.template()
	return r, err
}

func (c *call) template() (string, error) {
	switch body, address := c.get("TemplateBody"), c.get("TemplateURL"); {
	case body != "":
		return body, nil
	case address != "":
		bucket, key, ok := objectOf(address)
		if !ok {
			return "", &stack.Error{Code: "ValidationError", Message: "S3 error: " + address + " is no address of an object"}
		}
		text, err := c.h.Object(c.ctx, bucket, key)
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
