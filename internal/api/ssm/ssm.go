// Package ssm answers what deploying tools and functions ask of Systems Manager's Parameter
// Store: parameters by their names and paths, and their tags. It speaks JSON 1.1, by target.
// A SecureString is sealed on the disk, and given back to whoever may read it.
package ssm

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/stack"
)

const maxBody = 1 << 20

// Options of New.
type Options struct {
	Authenticate func(*http.Request) (arn.Scope, *awserr.Error)
	Logger       *slog.Logger
}

type tag struct{ Key, Value string }

// filter is one of ParameterFilters, or of the older Filters, which have no Option.
type filter struct {
	Key, Option string
	Values      []string
}

// request has the members of all operations.
type request struct {
	Name, Type, Value                                  string
	Description, AllowedPattern, DataType, Tier, KeyId *string
	Policies                                           string
	Names                                              []string
	Overwrite                                          bool
	Path                                               string
	Recursive                                          bool
	Filters, ParameterFilters                          []filter
	MaxResults                                         int
	NextToken                                          string
	ResourceType, ResourceId                           string
	Tags                                               []tag
	TagKeys                                            []string
}

// shown is a parameter as it is answered.
type shown struct {
	Name, Type, Value, ARN string
	Version                int
	DataType               string
	LastModifiedDate       float64 // seconds since 1970
}

// described is a parameter as DescribeParameters has it: without its value.
type described struct {
	Name, Type, ARN  string
	KeyId            string `json:",omitempty"`
	Description      string `json:",omitempty"`
	AllowedPattern   string `json:",omitempty"`
	Version          int
	Tier, DataType   string
	Policies         []string
	LastModifiedDate float64
	LastModifiedUser string
}

// New returns the handler.
func New(stacks *stack.Service, o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope, refused := o.Authenticate(r)
		if refused != nil {
			fail(w, refused.HTTPStatus(), refused.Code, refused.Message)
			return
		}
		var in request
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		if err != nil {
			fail(w, http.StatusBadRequest, "SerializationException", "The request could not be read: "+err.Error())
			return
		}
		_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		answer, err := store{stacks, scope}.serve(op, in)
		var e *stack.Error
		switch {
		case errors.As(err, &e):
			fail(w, http.StatusBadRequest, e.Code, e.Message)
		case err != nil:
			o.Logger.Error("a call of Parameter Store failed", "operation", op, "err", err)
			fail(w, http.StatusInternalServerError, "InternalServerError", err.Error())
		default:
			send(w, http.StatusOK, answer)
		}
	})
}

// store is the Parameter Store of a scope.
type store struct {
	stacks *stack.Service
	scope  arn.Scope
}

func (s store) arn(name string) string {
	return s.scope.ARN("ssm", "parameter/"+strings.TrimPrefix(name, "/"))
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / float64(time.Second) }

// find looks a parameter up by its name or its ARN, in which a name has lost its first slash.
func (s store) find(name string) (p stack.NamedParameter, ok bool) {
	if a, is := arn.Parse(name); is {
		name = strings.TrimPrefix(a.Resource, "parameter/")
		if p.Parameter, ok = s.stacks.Parameter(s.scope, "/"+name); ok {
			p.Name = "/" + name
			return p, true
		}
	}
	p.Name = name
	p.Parameter, ok = s.stacks.Parameter(s.scope, name)
	return p, ok
}

func (s store) show(p stack.NamedParameter) shown {
	return shown{Name: p.Name, Type: p.Type, Value: p.Value, Version: p.Version, DataType: cmp.Or(p.DataType, "text"), LastModifiedDate: seconds(p.Modified), ARN: s.arn(p.Name)}
}

func (s store) describe(p stack.NamedParameter) described {
	d := described{
		Name: p.Name, Type: p.Type, ARN: s.arn(p.Name), KeyId: p.KeyId, Description: p.Description, AllowedPattern: p.AllowedPattern, Version: p.Version,
		Tier: cmp.Or(p.Tier, "Standard"), DataType: cmp.Or(p.DataType, "text"), Policies: []string{}, LastModifiedDate: seconds(p.Modified),
		LastModifiedUser: "arn:aws:iam::" + s.scope.Account + ":root",
	}
	if p.Type == "SecureString" {
		d.KeyId = cmp.Or(d.KeyId, "alias/aws/ssm")
	}
	return d
}

func notFound() error { return &stack.Error{Code: "ParameterNotFound"} }

// locked refuses to show a SecureString that cannot be opened, as AWS does where the key is gone.
func locked(p stack.NamedParameter) error {
	if !p.Locked {
		return nil
	}
	return &stack.Error{Code: "InvalidKeyId", Message: "The value of the parameter " + p.Name + " is sealed with a key that the server does not have. Bring the file of the key back and start the server again, or put the parameter anew."}
}

func invalid(message string) error {
	return &stack.Error{Code: "ValidationException", Message: message}
}

// put checks PutParameter. A parameter that an earlier release made, which looked at no names, can be written as before.
func (s store) put(in request) (any, error) {
	_, there := s.stacks.Parameter(s.scope, in.Name)
	switch {
	case in.Name == "" || in.Value == "":
		return nil, invalid("A parameter needs a Name and a Value.")
	case !there && (strings.Trim(in.Name, nameCharacters) != "" || len(in.Name) > maxName):
		return nil, invalid(`Invalid parameter name. Please use correct syntax for referencing a version/label  <name>:<version/label>`)
	case in.Overwrite && len(in.Tags) > 0:
		return nil, invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case in.Policies != "" && in.Policies != "[]":
		return nil, &stack.Error{Code: "UnsupportedOperationException", Message: "Millstream has no policies of parameters: nothing expires, and nobody is told."}
	case in.Tier != nil && *in.Tier == "Intelligent-Tiering":
		*in.Tier = "Standard"
	case in.Tier != nil && *in.Tier != "Standard" && *in.Tier != "Advanced":
		return nil, invalid("1 validation error detected: Value '" + *in.Tier + "' at 'tier' failed to satisfy constraint: Member must satisfy enum value set: [Standard, Advanced, Intelligent-Tiering]")
	}
	p, err := s.stacks.PutParameter(s.scope, in.Name, stack.ParameterChange{
		Type: in.Type, Value: in.Value, Description: in.Description, AllowedPattern: in.AllowedPattern, DataType: in.DataType, Tier: in.Tier, KeyId: in.KeyId, Tags: tags(in.Tags), Overwrite: in.Overwrite,
	})
	return map[string]any{"Version": p.Version, "Tier": cmp.Or(p.Tier, "Standard")}, err
}

const (
	maxName        = 2048
	nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/"
)

func tags(list []tag) map[string]string {
	m := map[string]string{}
	for _, t := range list {
		m[t.Key] = t.Value
	}
	return m
}

// matches reports whether a parameter is what filters ask for.
func matches(p stack.NamedParameter, filters []filter) (bool, error) {
	for _, f := range filters {
		test := func(is string) (bool, error) {
			for _, want := range f.Values {
				switch f.Option {
				case "", "Equals", "OneLevel", "Recursive":
					if is == want {
						return true, nil
					}
				case "BeginsWith":
					if strings.HasPrefix(is, want) {
						return true, nil
					}
				case "Contains":
					if strings.Contains(is, want) {
						return true, nil
					}
				default:
					return false, &stack.Error{Code: "InvalidFilterOption", Message: "The specified filter option isn't valid. Valid options are Equals and BeginsWith. For Path filter, valid options are Recursive and OneLevel."}
				}
			}
			return false, nil
		}
		var ok bool
		var err error
		key, isTag := strings.CutPrefix(f.Key, "tag:")
		switch {
		case isTag && len(f.Values) == 0:
			_, ok = p.Tags[key]
		case isTag:
			if value, there := p.Tags[key]; there {
				ok, err = test(value)
			}
		case f.Key == "Name":
			ok, err = test(p.Name)
		case f.Key == "Type":
			ok, err = test(p.Type)
		case f.Key == "KeyId":
			ok, err = test(p.KeyId)
		case f.Key == "DataType":
			ok, err = test(cmp.Or(p.DataType, "text"))
		case f.Key == "Tier":
			ok, err = test(cmp.Or(p.Tier, "Standard"))
		case f.Key == "Path":
			ok = slices.ContainsFunc(f.Values, func(path string) bool { return within(p.Name, path, f.Option == "Recursive") })
		default:
			return false, &stack.Error{Code: "InvalidFilterKey", Message: "The specified key isn't valid."}
		}
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// within reports whether a parameter lies below a path: at any depth, or right below it.
func within(name, path string, recursive bool) bool {
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(path, "/")+"/")
	return ok && rest != "" && (recursive || !strings.Contains(rest, "/"))
}

// page lists the parameters that a request asks for, from where its token is: the last name of the page before.
func (s store) page(in request, most int, wanted func(stack.NamedParameter) bool) (list []stack.NamedParameter, next string, err error) {
	switch {
	case in.MaxResults < 0 || in.MaxResults > most:
		return nil, "", invalid(fmt.Sprintf("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to %d", in.MaxResults, most))
	case in.MaxResults > 0:
		most = in.MaxResults
	}
	for _, p := range s.stacks.Parameters(s.scope) {
		if in.NextToken != "" && p.Name <= in.NextToken || !wanted(p) {
			continue
		}
		ok, err := matches(p, slices.Concat(in.ParameterFilters, in.Filters))
		if err != nil {
			return nil, "", err
		}
		if !ok {
			continue
		}
		if len(list) == most {
			return list, list[most-1].Name, nil
		}
		list = append(list, p)
	}
	return list, "", nil
}

// listed is an answer with a page of a list.
func listed(list any, next string) map[string]any {
	answer := map[string]any{"Parameters": list}
	if next != "" {
		answer["NextToken"] = next
	}
	return answer
}

func (s store) serve(op string, in request) (any, error) {
	switch op {
	case "GetParameter":
		p, ok := s.find(in.Name)
		if !ok {
			return nil, notFound()
		}
		return map[string]any{"Parameter": s.show(p)}, locked(p)
	case "GetParameters":
		found, none := []shown{}, []string{}
		for _, name := range in.Names {
			if p, ok := s.find(name); ok {
				if err := locked(p); err != nil {
					return nil, err
				}
				found = append(found, s.show(p))
			} else {
				none = append(none, name)
			}
		}
		return map[string]any{"Parameters": found, "InvalidParameters": none}, nil
	case "GetParametersByPath":
		if !strings.HasPrefix(in.Path, "/") {
			return nil, invalid("The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".")
		}
		list, next, err := s.page(in, 10, func(p stack.NamedParameter) bool { return within(p.Name, in.Path, in.Recursive) })
		all := []shown{}
		for _, p := range list {
			err = cmp.Or(err, locked(p))
			all = append(all, s.show(p))
		}
		return listed(all, next), err
	case "DescribeParameters":
		list, next, err := s.page(in, 50, func(stack.NamedParameter) bool { return true })
		all := []described{}
		for _, p := range list {
			all = append(all, s.describe(p))
		}
		return listed(all, next), err
	case "PutParameter":
		return s.put(in)
	case "DeleteParameter":
		there, err := s.stacks.DeleteParameter(s.scope, in.Name)
		if err == nil && !there {
			err = notFound()
		}
		return map[string]any{}, err
	case "DeleteParameters":
		gone, none := []string{}, []string{}
		for _, name := range in.Names {
			there, err := s.stacks.DeleteParameter(s.scope, name)
			switch {
			case err != nil:
				return nil, err
			case there:
				gone = append(gone, name)
			default:
				none = append(none, name)
			}
		}
		return map[string]any{"DeletedParameters": gone, "InvalidParameters": none}, nil
	case "ListTagsForResource", "AddTagsToResource", "RemoveTagsFromResource":
		return s.tagging(op, in)
	}
	return nil, &stack.Error{Code: "UnsupportedOperationException", Message: "Of Systems Manager, Millstream has Parameter Store: GetParameter, GetParameters, GetParametersByPath, DescribeParameters, PutParameter, DeleteParameter, DeleteParameters and tags, not " + op + "."}
}

// tagging answers for the tags of a parameter.
func (s store) tagging(op string, in request) (any, error) {
	if in.ResourceType != "Parameter" {
		return nil, &stack.Error{Code: "InvalidResourceType", Message: "Of Systems Manager, Millstream has parameters, not " + in.ResourceType + "."}
	}
	p, ok := s.find(in.ResourceId)
	if !ok {
		return nil, &stack.Error{Code: "InvalidResourceId"}
	}
	switch op {
	case "AddTagsToResource":
		_, err := s.stacks.TagParameter(s.scope, p.Name, tags(in.Tags), nil)
		return map[string]any{}, err
	case "RemoveTagsFromResource":
		_, err := s.stacks.TagParameter(s.scope, p.Name, nil, in.TagKeys)
		return map[string]any{}, err
	}
	list := []tag{}
	for _, key := range slices.Sorted(maps.Keys(p.Tags)) {
		list = append(list, tag{key, p.Tags[key]})
	}
	return map[string]any{"TagList": list}, nil
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("x-amzn-ErrorType", code)
	send(w, status, map[string]string{"__type": code, "message": message})
}

func send(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("x-amzn-RequestId", uuid.NewString())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the caller has gone: there is nobody to tell
}
