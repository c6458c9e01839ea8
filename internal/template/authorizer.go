package template

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/nearest"
)

// Authorizers are written in three ways: in Auth of SAM's APIs, in resources of API Gateway, and
// in the security schemes of an OpenAPI document. Those that a function answers, and JWT ones of
// HTTP APIs, go to the front door. IAM's, Cognito's and certificates there are none of.

// openRoutes is what it means to leave an authorizer out.
const openRoutes = "the routes answer everyone"

// defaultTTL is how long an authorizer's answer counts where nothing is said, in seconds.
const defaultTTL = 300

// authorizers are those of an API while it is read.
type authorizers struct {
	names    map[string]string   // of the front door's, by the name or the logical id in the template
	lacking  map[string]bool     // those that there is none of, which was told
	scopes   map[string][]string // of all routes of one
	fallback string              // of routes that name none
}

// written is an authorizer as all three ways have it.
type written struct {
	id, name, kind, function string // kind is API Gateway's word, in capitals
	identity                 []string
	pattern, payload         string
	simple                   bool
	ttl                      *int
	issuer                   string
	audience                 []string
	line                     int
}

// authorizer takes one in.
func (a *api) authorizer(c *preparation, w written) {
	if a.auth.names == nil {
		a.auth.names, a.auth.lacking, a.auth.scopes = map[string]string{}, map[string]bool{}, map[string][]string{}
	}
	one := admin.Authorizer{Name: cmp.Or(w.name, w.id), Identity: w.identity}
	lack := func(what string) {
		a.auth.lacking[w.id] = true
		c.problems.lack(w.line, openRoutes, w.id+": "+what)
	}
	rest := a.doc.Kind == "rest"
	switch {
	case w.kind == "TOKEN" && rest:
		one.Kind, one.Pattern = "token", w.pattern
		if len(one.Identity) == 0 {
			one.Identity = []string{"method.request.header.Authorization"}
		}
	case w.kind == "REQUEST":
		one.Kind, one.Payload, one.Simple = "request", "1.0", w.simple
		if !rest {
			one.Payload = cmp.Or(w.payload, "2.0")
		}
	case w.kind == "JWT" && !rest:
		one.Kind, one.Issuer, one.Audience = "jwt", w.issuer, w.audience
		if len(one.Identity) == 0 {
			one.Identity = []string{"$request.header.Authorization"}
		}
		if one.Issuer == "" || len(one.Audience) == 0 {
			c.problems.add(w.line, "%s: an authorizer of JWTs has an issuer and at least one audience", w.id)
			return
		}
	default:
		lack("authorizers of type " + w.kind + " are not supported")
		return
	}
	if one.Kind != "jwt" {
		m := invoked.FindStringSubmatch(w.function)
		if m == nil {
			lack("an authorizer with " + w.function + " is not supported")
			return
		}
		if f := c.plan.leftOutFunction(m[1]); f != "" {
			a.auth.lacking[w.id] = true
			if c.problems.skip {
				c.problems.lack(w.line, openRoutes, w.id+" of "+f)
			}
			return
		}
		if _, err := regexp.Compile(one.Pattern); err != nil {
			c.problems.add(w.line, "%s: the expression for its tokens: %v", w.id, err)
			return
		}
		one.Function = m[1]
		if len(one.Identity) > 0 {
			one.TTLSeconds = defaultTTL
		}
		if w.ttl != nil {
			one.TTLSeconds = *w.ttl
		}
	}
	if slices.ContainsFunc(a.doc.Authorizers, func(o admin.Authorizer) bool { return o.Name == one.Name }) {
		c.problems.add(w.line, "%s: there is another authorizer called %s", w.id, one.Name)
		return
	}
	a.auth.names[w.id] = one.Name
	a.doc.Authorizers = append(a.doc.Authorizers, one)
}

// protect gives a route the authorizer of an id, and scopes. An empty id is the API's default;
// NONE is none.
func (a *api) protect(c *preparation, route *admin.Route, line int, of, id string, scopes []string) {
	id = cmp.Or(id, a.auth.fallback)
	name, known := a.auth.names[id]
	switch {
	case id == "" || id == "NONE" || a.auth.lacking[id]:
		return
	case id == "AWS_IAM":
		c.problems.lack(line, openRoutes, of+": authorization by AWS_IAM is not supported")
		return
	case !known:
		c.problems.add(line, "%s: its API has no authorizer %s%s", of, id, nearest.Hint(id, sortedKeys(a.auth.names)))
		return
	}
	if route.Authorizer = name; len(scopes) == 0 {
		scopes = a.auth.scopes[id]
	}
	if i := slices.IndexFunc(a.doc.Authorizers, func(o admin.Authorizer) bool { return o.Name == name }); a.doc.Authorizers[i].Kind == "jwt" {
		route.Scopes = scopes
	}
}

// samAuth is Auth of SAM's APIs.
type samAuth struct {
	DefaultAuthorizer                                                                            string
	Authorizers                                                                                  map[string]samAuthorizer
	ApiKeyRequired                                                                               unsupported `effect:"the routes answer who has no key"`
	ResourcePolicy                                                                               unsupported `effect:"the routes answer everyone"`
	EnableIamAuthorizer                                                                          bool        // makes AWS_IAM a name that routes may use
	InvokeRole, AddDefaultAuthorizerToCorsPreflight, AddApiKeyRequiredToCorsPreflight, UsagePlan ignored
}

// samAuthorizer is one of its authorizers.
type samAuthorizer struct {
	FunctionArn, FunctionPayloadType, AuthorizerPayloadFormatVersion, IdentitySource string
	UserPoolArn                                                                      apart // Cognito's
	JwtConfiguration                                                                 apart // its members are in small letters
	EnableSimpleResponses                                                            bool
	AuthorizationScopes                                                              []string
	Identity                                                                         *struct {
		Header, ValidationExpression                   string
		ReauthorizeEvery                               *int
		Headers, QueryStrings, StageVariables, Context []string
	}
	FunctionInvokeRole, DisableFunctionDefaultPermissions, EnableFunctionDefaultPermissions, AuthType ignored
}

// samAuthorizers takes in those of Auth.
func (a *api) samAuthorizers(c *preparation) {
	n := c.props.get("Auth")
	if n == nil {
		return
	}
	var auth samAuth
	c.decode(n, c.r.id+".Auth", &auth)
	all := n.get("Authorizers")
	for _, name := range sortedKeys(auth.Authorizers) {
		s, at := auth.Authorizers[name], all.get(name)
		w := written{id: name, kind: "REQUEST", function: s.FunctionArn, payload: s.AuthorizerPayloadFormatVersion, simple: s.EnableSimpleResponses, line: at.line}
		header := "$request.header."
		if a.doc.Kind == "rest" {
			header, w.kind = "method.request.header.", cmp.Or(strings.ToUpper(s.FunctionPayloadType), "TOKEN")
		}
		if s.IdentitySource != "" {
			w.identity = []string{s.IdentitySource}
		}
		switch jwt := at.get("JwtConfiguration"); {
		case at.get("UserPoolArn") != nil:
			w.kind = "COGNITO_USER_POOLS"
		case jwt != nil:
			w.jwt(c, jwt, c.r.id+".Auth.Authorizers."+name+".JwtConfiguration")
		}
		if i := s.Identity; i != nil {
			w.pattern, w.ttl = i.ValidationExpression, i.ReauthorizeEvery
			if i.Header != "" && w.kind == "TOKEN" {
				i.Headers = []string{i.Header}
			}
			for _, part := range []struct {
				before string
				names  []string
			}{{header, i.Headers}, {strings.Replace(header, "header", "querystring", 1), i.QueryStrings},
				{prefixOf(a.doc.Kind, "stageVariables."), i.StageVariables}, {prefixOf(a.doc.Kind, "context."), i.Context}} {
				for _, one := range part.names {
					w.identity = append(w.identity, part.before+one)
				}
			}
		}
		a.authorizer(c, w)
		if a.auth.names[name] != "" {
			a.auth.scopes[name] = s.AuthorizationScopes
		}
	}
	a.auth.fallback = auth.DefaultAuthorizer
	if f := auth.DefaultAuthorizer; f == "AWS_IAM" {
		c.problems.lack(n.get("DefaultAuthorizer").line, openRoutes, c.r.id+": authorization by AWS_IAM is not supported")
		a.auth.fallback = ""
	}
}

// prefixOf is what comes before a name of the API's own: HTTP APIs have a dollar.
func prefixOf(kind, text string) string {
	if kind == "http" {
		return "$" + text
	}
	return text
}

// jwt reads JwtConfiguration, whose members begin with small letters in SAM and in OpenAPI.
func (w *written) jwt(c *preparation, n *node, path string) {
	w.kind, w.issuer = "JWT", cmp.Or(scalarOf(n.get("issuer")), scalarOf(n.get("Issuer")))
	for _, member := range []string{"audience", "Audience"} {
		if one := n.get(member); one != nil && one.kind == scalar {
			w.audience = []string{one.text}
		} else {
			c.decode(one, path+"."+member, &w.audience)
		}
	}
}

// writtenAuthorizers takes in those that are resources.
func (a *api) writtenAuthorizers(c *preparation) {
	for _, r := range c.r.parts {
		if c.plan.byID[r.id] == nil || !strings.HasSuffix(r.typ, "::Authorizer") {
			continue
		}
		p := c.eval.eval(r.props)
		get := func(name string) string { return scalarOf(p.get(name)) }
		w := written{id: r.id, name: get("Name"), kind: strings.ToUpper(cmp.Or(get("AuthorizerType"), get("Type"))), function: get("AuthorizerUri"), line: r.line,
			pattern: get("IdentityValidationExpression"), payload: get("AuthorizerPayloadFormatVersion")}
		c.decode(p.get("EnableSimpleResponses"), r.id+".EnableSimpleResponses", &w.simple)
		c.decode(p.get("AuthorizerResultTtlInSeconds"), r.id+".AuthorizerResultTtlInSeconds", &w.ttl)
		if n := p.get("IdentitySource"); n != nil && n.kind == list {
			c.decode(n, r.id+".IdentitySource", &w.identity)
		} else {
			w.identity = sources(scalarOf(n))
		}
		if n := p.get("JwtConfiguration"); n != nil {
			w.jwt(c, n, r.id+".JwtConfiguration")
		}
		a.authorizer(c, w)
	}
}

// sources are what a text with commas names.
func sources(text string) (all []string) {
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}

// documentAuthorizers takes in those of an OpenAPI document.
func (a *api) documentAuthorizers(c *preparation, doc *node, where string) {
	if doc == nil {
		return
	}
	for _, schemes := range []*node{doc.get("components").get("securitySchemes"), doc.get("securityDefinitions")} {
		if schemes == nil {
			continue
		}
		for i, name := range schemes.keys {
			scheme := schemes.vals[i]
			n := scheme.get("x-amazon-apigateway-authorizer")
			if n == nil {
				continue
			}
			get := func(member string) string { return scalarOf(n.get(member)) }
			w := written{id: name, kind: strings.ToUpper(get("type")), function: get("authorizerUri"), identity: sources(get("identitySource")),
				pattern: get("identityValidationExpression"), payload: get("authorizerPayloadFormatVersion"), line: scheme.line}
			if header := scalarOf(scheme.get("name")); w.kind == "TOKEN" && header != "" {
				w.identity = []string{"method.request.header." + header}
			}
			c.decode(n.get("enableSimpleResponses"), where+"."+name+".enableSimpleResponses", &w.simple)
			c.decode(n.get("authorizerResultTtlInSeconds"), where+"."+name+".authorizerResultTtlInSeconds", &w.ttl)
			if jwt := n.get("jwtConfiguration"); jwt != nil {
				w.jwt(c, jwt, where+"."+name+".jwtConfiguration")
			}
			a.authorizer(c, w)
		}
	}
}

// secured gives a route of an OpenAPI document what its security names.
func (a *api) secured(c *preparation, route *admin.Route, op *node, where string) {
	what := fmt.Sprintf("%s: %s %s", where, route.Method, route.Path)
	s := op.get("security")
	if s == nil || len(s.list) == 0 {
		if s == nil { // an empty list is none on purpose
			a.protect(c, route, op.line, what, "", nil)
		}
		return
	}
	one := s.list[0]
	if len(s.list) > 1 || len(one.keys) != 1 {
		c.problems.lack(s.line, openRoutes, what+": security by several schemes is not supported")
		return
	}
	name := one.keys[0]
	if a.auth.names[name] == "" && !a.auth.lacking[name] {
		c.problems.lack(s.line, openRoutes, what+": security by "+name+" is not supported")
		return
	}
	var scopes []string
	c.decode(one.vals[0], what+".security", &scopes)
	a.protect(c, route, s.line, what, name, scopes)
}
