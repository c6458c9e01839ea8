// Package ssm answers what deploying tools ask of Systems Manager's Parameter Store:
// parameters by their names. It speaks JSON 1.1, by target.
package ssm

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
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

// request has the members of all operations.
type request struct {
	Name, Type, Value, Description string
	Names                          []string
	Overwrite                      bool
}

// shown is a parameter as it is answered.
type shown struct {
	Name, Type, Value, ARN string
	Version                int
	DataType               string
	LastModifiedDate       float64 // seconds since 1970
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
		answer, err := serve(stacks, scope, op, in)
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

func serve(stacks *stack.Service, scope arn.Scope, op string, in request) (any, error) {
	show := func(name string) (shown, bool) {
		p, ok := stacks.Parameter(scope, name)
		return shown{Name: name, Type: p.Type, Value: p.Value, Version: p.Version, DataType: "text", LastModifiedDate: float64(p.Modified.UnixNano()) / float64(time.Second),
			ARN: scope.ARN("ssm", "parameter/"+strings.TrimPrefix(name, "/"))}, ok
	}
	switch op {
	case "GetParameter":
		p, ok := show(in.Name)
		if !ok {
			return nil, &stack.Error{Code: "ParameterNotFound"}
		}
		return map[string]any{"Parameter": p}, nil
	case "GetParameters":
		found, none := []shown{}, []string{}
		for _, name := range in.Names {
			if p, ok := show(name); ok {
				found = append(found, p)
			} else {
				none = append(none, name)
			}
		}
		return map[string]any{"Parameters": found, "InvalidParameters": none}, nil
	case "PutParameter":
		kind := in.Type
		if is, ok := stacks.Parameter(scope, in.Name); ok && kind == "" {
			kind = is.Type
		}
		switch {
		case in.Name == "" || in.Value == "":
			return nil, &stack.Error{Code: "ValidationException", Message: "A parameter needs a Name and a Value."}
		case kind != "String" && kind != "StringList" && kind != "SecureString":
			return nil, &stack.Error{Code: "ValidationException", Message: "A parameter's Type is String, StringList or SecureString."}
		}
		version, err := stacks.PutParameter(scope, in.Name, stack.Parameter{Type: kind, Value: in.Value, Description: in.Description}, in.Overwrite)
		return map[string]any{"Version": version, "Tier": "Standard"}, err
	case "DeleteParameter":
		there, err := stacks.DeleteParameter(scope, in.Name)
		if err == nil && !there {
			err = &stack.Error{Code: "ParameterNotFound"}
		}
		return map[string]any{}, err
	}
	return nil, &stack.Error{Code: "UnsupportedOperationException", Message: "Of Systems Manager, Millstream has GetParameter, GetParameters, PutParameter and DeleteParameter, not " + op + "."}
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
