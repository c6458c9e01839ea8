package gateway

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/schema"
)

// Kinds of API.
const (
	kindHTTP = "http"
	kindREST = "rest"
)

// API is an HTTP API: what a caller puts, and with ID and URL what it gets back.
// Fields are only ever added: this is also the stored form.
type API struct {
	Name           string            `json:"name"` // unique in its scope
	Kind           string            `json:"kind"` // "http" or "rest"
	Stage          string            `json:"stage"`
	StageVariables map[string]string `json:"stageVariables,omitempty"`
	CORS           *CORS             `json:"cors,omitempty"`
	BinaryTypes    []string          `json:"binaryTypes,omitempty"` // of a REST API
	Routes         []Route           `json:"routes"`

	ID  string `json:"id,omitempty"`
	URL string `json:"url,omitempty"`
}

// Route leads from a method and a path to a function.
type Route struct {
	Method   string `json:"method"` // "ANY" for all
	Path     string `json:"path"`   // "/items/{id}", "/files/{path+}", "$default"
	Function string `json:"function"`
	Payload  string `json:"payload"` // "1.0" or "2.0"
	// TimeoutMS is how long the function may take; 0: as long as on AWS.
	TimeoutMS int `json:"timeoutMs,omitempty"`
}

// CORS is what pages of other origins may do.
type CORS struct {
	AllowOrigins     []string `json:"allowOrigins,omitempty"`
	AllowMethods     []string `json:"allowMethods,omitempty"`
	AllowHeaders     []string `json:"allowHeaders,omitempty"`
	ExposeHeaders    []string `json:"exposeHeaders,omitempty"`
	MaxAge           *int     `json:"maxAge,omitempty"` // seconds
	AllowCredentials bool     `json:"allowCredentials,omitempty"`
}

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
func (a *API) check() error {
	a.Kind = cmp.Or(a.Kind, kindHTTP)
	a.Stage = cmp.Or(a.Stage, defaultPath)
	switch {
	case a.Name == "" || len(a.Name) > maxName || strings.ContainsAny(a.Name, "\x00/"):
		return refuse("an API's name has 1 to %d characters and no slash", maxName)
	case a.Kind != kindHTTP && a.Kind != kindREST:
		return refuse("kind %q: want http or rest", a.Kind)
	case strings.ContainsAny(a.Stage, "/?#"):
		return refuse("stage %q: it is one part of a path", a.Stage)
	case len(a.Routes) > maxRoutes:
		return refuse("an API has at most %d routes", maxRoutes)
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
