package gateway

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Kinds of API.
const (
	kindHTTP = "http"
	kindREST = "rest"
)

// API, Route and CORS are described in package wire. Fields are only ever added: an
// API's document is also its stored form.
type (
	API        = wire.API
	Route      = wire.Route
	Authorizer = wire.Authorizer
	CORS       = wire.CORS
)

// Error is a refusal, with what to do about it.
type Error struct {
	Text     string
	NotFound bool
}

func (e *Error) Error() string { return e.Text }

func refuse(format string, args ...any) error { return &Error{Text: fmt.Sprintf(format, args...)} }

const (
	defaultPath = "$default"
	anyMethod   = "ANY"

	maxRoutes = 1000
	maxName   = 255
	maxPath   = 2048
)

var methods = []string{anyMethod, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// check fills in what was left out and refuses what makes no sense.
func check(a *API) error {
	a.Kind = cmp.Or(a.Kind, kindHTTP)
	a.Stage = cmp.Or(a.Stage, defaultPath)
	switch {
	case a.Name == "" || len(a.Name) > maxName || strings.ContainsAny(a.Name, "\x00/"):
		return refuse("an API's name has 1 to %d characters and no slash", maxName)
	case a.Kind != kindHTTP && a.Kind != kindREST:
		return refuse("kind %q: want http or rest", a.Kind)
	case strings.ContainsAny(a.Stage, "/?#"):
		return refuse("stage %q: it is one part of a path", a.Stage)
	case len(a.Authorizers) > maxAuthorizers:
		return refuse("an API has at most %d authorizers", maxAuthorizers)
	case len(a.Routes) > maxRoutes:
		return refuse("an API has at most %d routes", maxRoutes)
	}
	authorizers := map[string]bool{}
	for i := range a.Authorizers {
		one := &a.Authorizers[i]
		if _, err := newAuthorizer(one, a.Kind); err != nil {
			return err
		}
		if authorizers[one.Name] {
			return refuse("the authorizer %s is there twice", one.Name)
		}
		authorizers[one.Name] = true
	}
	seen := map[string]bool{}
	for i := range a.Routes {
		r := &a.Routes[i]
		r.Method = cmp.Or(strings.ToUpper(r.Method), anyMethod)
		if r.Payload == "" {
			r.Payload = "2.0"
			if a.Kind == kindREST {
				r.Payload = "1.0"
			}
		}
		key := r.Method + " " + r.Path
		switch {
		case !slices.Contains(methods, r.Method):
			return refuse("method %q: want one of %s", r.Method, strings.Join(methods, ", "))
		case r.Payload != "1.0" && r.Payload != "2.0" || a.Kind == kindREST && r.Payload != "1.0":
			return refuse("payload format %q of %s: want 1.0 or 2.0, and 1.0 for a REST API", r.Payload, key)
		case r.Function == "":
			return refuse("the route %s leads to no function", key)
		case r.Authorizer != "" && !authorizers[r.Authorizer]:
			return refuse("the route %s names the authorizer %s, and there is none", key, r.Authorizer)
		case r.TimeoutMS < 0:
			return refuse("timeout of %s: want milliseconds", key)
		case seen[key]:
			return refuse("the route %s is there twice", key)
		}
		seen[key] = true
		if _, err := compile(r); err != nil {
			return err
		}
	}
	return nil
}

// apiID is what an API is called in addresses: ten characters, the same for the
// same name at all times.
func apiID(scope schema.Scope, name string) string {
	sum := sha256.Sum256([]byte(scope.Account + "\x00" + scope.Region + "\x00" + name))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:10]
}
