package iam

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/api/query"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/iam"
)

// Options of New.
type Options struct {
	Authenticate func(*http.Request) (arn.Scope, *awserr.Error)
	Logger       *slog.Logger
}

// call is one request.
type call struct {
	*query.Call
	iam     *iam.Service
	account string
}

// operation is one that is there.
type operation struct {
	serve  func(*call) error
	silent bool // its answer has no result
}

// operations by their names.
var operations = map[string]operation{
	"CreateRole": {createRole, false}, "GetRole": {getRole, false}, "ListRoles": {listRoles, false}, "UpdateRole": {updateRole, false},
	"UpdateRoleDescription": {updateRoleDescription, false}, "UpdateAssumeRolePolicy": {updateTrust, true}, "DeleteRole": {deleteRole, true},
	"PutRolePermissionsBoundary": {putBoundary, true}, "DeleteRolePermissionsBoundary": {deleteBoundary, true},
	"TagRole": {tagRole, true}, "UntagRole": {untagRole, true}, "ListRoleTags": {listRoleTags, false},
	"PutRolePolicy": {putRolePolicy, true}, "GetRolePolicy": {getRolePolicy, false}, "ListRolePolicies": {listRolePolicies, false}, "DeleteRolePolicy": {deleteRolePolicy, true},
	"AttachRolePolicy": {attachRolePolicy, true}, "DetachRolePolicy": {detachRolePolicy, true}, "ListAttachedRolePolicies": {listAttached, false},
	"ListInstanceProfilesForRole": {listInstanceProfiles, false},

	"CreatePolicy": {createPolicy, false}, "GetPolicy": {getPolicy, false}, "ListPolicies": {listPolicies, false}, "DeletePolicy": {deletePolicy, true},
	"CreatePolicyVersion": {createVersion, false}, "GetPolicyVersion": {getVersion, false}, "ListPolicyVersions": {listVersions, false},
	"SetDefaultPolicyVersion": {setDefaultVersion, true}, "DeletePolicyVersion": {deleteVersion, true}, "ListEntitiesForPolicy": {listEntities, false},
	"TagPolicy": {tagPolicy, true}, "UntagPolicy": {untagPolicy, true}, "ListPolicyTags": {listPolicyTags, false},

	"GetUser": {getUser, false}, "ListAccountAliases": {listAliases, false},
}

// New returns the handler.
func New(service *iam.Service, o Options) http.Handler {
	s := &query.Service{Name: "IAM", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/", Operations: map[string]query.Operation{},
		Authenticate: o.Authenticate, Refused: refused, Logger: o.Logger}
	for name, op := range operations {
		s.Operations[name] = query.Operation{Serve: func(c *query.Call) error { return op.serve(&call{c, service, c.Scope.Account}) }, Silent: op.silent}
	}
	return s
}

// statuses of the codes that are not answered with 400.
var statuses = map[string]int{
	"NoSuchEntity": http.StatusNotFound, "EntityAlreadyExists": http.StatusConflict, "DeleteConflict": http.StatusConflict, "LimitExceeded": http.StatusConflict,
}

func refused(err error) (r query.Refusal, ok bool) {
	var e *iam.Error
	if !errors.As(err, &e) {
		return r, false
	}
	r = query.Refusal{Status: http.StatusBadRequest, Code: e.Code, Message: e.Message}
	if status := statuses[e.Code]; status != 0 {
		r.Status = status
	}
	return r, true
}

func invalid(message string) error { return &iam.Error{Code: "ValidationError", Message: message} }

// number is a member's; nil when it was not sent.
func (c *call) number(name string) (*int, error) {
	if !c.Form.Has(name) {
		return nil, nil
	}
	n, err := strconv.Atoi(c.Get(name))
	if err != nil {
		return nil, &iam.Error{Code: "MalformedInput", Message: "could not parse request body: " + name + " is no number"}
	}
	return &n, nil
}

// text is a member's; nil when it was not sent.
func (c *call) text(name string) *string {
	if !c.Form.Has(name) {
		return nil
	}
	s := c.Get(name)
	return &s
}

// tags are those that a request sets.
func (c *call) tags() (all []iam.Tag) {
	for _, at := range c.Structures("Tags", "Key") {
		all = append(all, iam.Tag{Key: c.Get(at + "Key"), Value: c.Get(at + "Value")})
	}
	return all
}

func (c *call) writeTags(all []iam.Tag) {
	query.List(c.Out, "Tags", all, func(t iam.Tag) { c.Out.Must("Key", t.Key); c.Out.Must("Value", t.Value) })
}

// time writes a moment to the second, as IAM does.
func (c *call) time(name string, t time.Time) { c.Out.Must(name, t.UTC().Format(time.RFC3339)) }

// encoded is a policy as it is answered: as in an address.
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

// page writes one page of a list, and how to go on. key tells the items, which are in its
// order or in another that stays, apart.
func page[T any](c *call, name string, all []T, key func(T) string, one func(T)) error {
	size := 100
	n, err := c.number("MaxItems")
	if err != nil {
		return err
	}
	if n != nil {
		if size = *n; size < 1 || size > 1000 {
			return invalid("1 validation error detected: Value '" + strconv.Itoa(size) + "' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and 1000, inclusive")
		}
	}
	if marker := c.Get("Marker"); marker != "" {
		after, err := base64.RawURLEncoding.DecodeString(marker)
		if err != nil {
			return invalid("Invalid Marker.")
		}
		skip := 0
		for skip < len(all) && key(all[skip]) <= string(after) {
			skip++
		}
		all = all[skip:]
	}
	more := len(all) > size
	if more {
		all = all[:size]
	}
	query.List(c.Out, name, all, one)
	c.Out.Yes("IsTruncated", more)
	if more {
		c.Out.Must("Marker", base64.RawURLEncoding.EncodeToString([]byte(key(all[size-1]))))
	}
	return nil
}

func same(s string) string { return s }

func (c *call) prefix() string {
	if p := c.Get("PathPrefix"); p != "" {
		return p
	}
	return "/"
}
