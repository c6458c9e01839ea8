package template

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/admin"
)

// httpAPI are the properties of AWS::Serverless::HttpApi.
type httpAPI struct {
	Name, StageName               string
	StageVariables                map[string]string
	CorsConfiguration             apart // an object, or true
	Auth                          apart
	DefinitionBody, DefinitionUri apart
	Domain                        unsupported `effect:"it answers at its address here alone"`
	AccessLogSettings, DefaultRouteSettings, RouteSettings, FailOnWarnings, DisableExecuteApiEndpoint,
	Description, Tags, PropagateTags ignored
}

// restAPI are the properties of AWS::Serverless::Api.
type restAPI struct {
	Name, StageName                          string
	Variables                                map[string]string
	Cors                                     apart // an object, or the origin
	BinaryMediaTypes                         []string
	Auth                                     apart
	DefinitionBody, DefinitionUri            apart
	Domain                                   unsupported `effect:"it answers at its address here alone"`
	GatewayResponses, Models, ApiKeyRequired unsupported
	Mode, Policy, FailOnWarnings             ignored
	AccessLogSetting, AlwaysDeploy, CacheClusterEnabled, CacheClusterSize, CanarySetting, Description, EndpointConfiguration,
	DisableExecuteApiEndpoint, MergeDefinitions, MethodSettings, MinimumCompressionSize, OpenApiVersion, Tags,
	PropagateTags, TracingEnabled, ApiKeySourceType ignored
}

// eventProperties are those of HTTP events.
type eventProperties struct {
	Path, Method         string
	PayloadFormatVersion string // of an HttpApi
	TimeoutInMillis      int
	Auth                 *eventAuth
	RouteSettings, RequestModel, RequestParameters,
	ResponseTransferMode ignored
}

// eventAuth is Auth of an HTTP event.
type eventAuth struct {
	Authorizer                                  string
	ApiKeyRequired                              unsupported `effect:"the route answers who has no key"`
	AuthorizationScopes                         []string
	OverrideApiAuth, ResourcePolicy, InvokeRole ignored
}

func prepareHTTPAPI(c *preparation) step {
	p := httpAPI{StageName: "$default"}
	c.into(&p)
	a := &api{id: c.r.id, doc: admin.API{Kind: "http", Stage: p.StageName, StageVariables: p.StageVariables}}
	if n := c.props.get("CorsConfiguration"); n != nil {
		a.doc.CORS = c.httpCORS(n)
	}
	return a.prepared(c, "2.0")
}

func prepareRESTAPI(c *preparation) step {
	p := restAPI{StageName: "Prod"}
	c.into(&p)
	a := &api{id: c.r.id, doc: admin.API{Kind: "rest", Stage: p.StageName, StageVariables: p.Variables}}
	for _, t := range p.BinaryMediaTypes {
		a.doc.BinaryTypes = append(a.doc.BinaryTypes, strings.ReplaceAll(t, "~1", "/"))
	}
	if n := c.props.get("Cors"); n != nil {
		a.doc.CORS = c.restCORS(n)
	}
	return a.prepared(c, "1.0")
}

// httpCORS reads CorsConfiguration; true allows every origin.
func (c *preparation) httpCORS(n *node) *admin.CORS {
	if n.kind == scalar {
		if on, ok := parseBool(n.text); ok {
			if !on {
				return nil
			}
			return &admin.CORS{AllowOrigins: []string{"*"}}
		}
	}
	var p struct {
		AllowOrigins, AllowMethods, AllowHeaders, ExposeHeaders []string
		MaxAge                                                  *int
		AllowCredentials                                        bool
	}
	c.decode(n, c.r.id+".CorsConfiguration", &p)
	return &admin.CORS{AllowOrigins: p.AllowOrigins, AllowMethods: p.AllowMethods, AllowHeaders: p.AllowHeaders, ExposeHeaders: p.ExposeHeaders,
		MaxAge: p.MaxAge, AllowCredentials: p.AllowCredentials}
}

// restCORS reads Cors, whose values are headers in quotes of their own: "'*'".
func (c *preparation) restCORS(n *node) *admin.CORS {
	var p struct {
		AllowOrigin, AllowMethods, AllowHeaders string
		MaxAge                                  string
		AllowCredentials                        bool
	}
	if n.kind == scalar {
		p.AllowOrigin = n.text
	} else {
		c.decode(n, c.r.id+".Cors", &p)
	}
	one := func(s string) []string {
		if s = strings.Trim(s, "'"); s == "" {
			return nil
		}
		return strings.Split(s, ",")
	}
	cors := &admin.CORS{AllowOrigins: one(p.AllowOrigin), AllowMethods: one(p.AllowMethods), AllowHeaders: one(p.AllowHeaders), AllowCredentials: p.AllowCredentials}
	if p.MaxAge != "" {
		var age int
		c.decode(text(n.line, strings.Trim(p.MaxAge, "'")), c.r.id+".Cors.MaxAge", &age)
		cors.MaxAge = &age
	}
	return cors
}

// api is an HTTP API to deploy.
type api struct {
	id   string
	doc  admin.API
	auth authorizers
}

func (a *api) prepared(c *preparation, payload string) step {
	a.doc.Name = c.plan.name(c.r.id, "")
	if !c.plan.opts.HTTP {
		c.problems.add(c.r.line, "%s: HTTP APIs are served by a Millstream, and the endpoint is none", c.r.id)
	}
	doc, where := c.document(a.id, "DefinitionBody", "DefinitionUri")
	a.samAuthorizers(c)
	a.writtenAuthorizers(c)
	a.documentAuthorizers(c, doc, where)
	for _, r := range c.r.routes {
		f := c.plan.byID[r.function]
		if f == nil { // left out by its condition
			continue
		}
		if f.missing {
			if c.problems.skip {
				c.problems.lack(r.line, "", r.name+" of "+r.function)
			}
			continue
		}
		var p eventProperties
		c.decode(c.eval.eval(r.props), r.name, &p)
		route := admin.Route{Method: strings.ToUpper(p.Method), Path: p.Path, Payload: payload, TimeoutMS: p.TimeoutInMillis}
		route.Function = c.eval.attribute(r.line, r.function, "")
		if p.PayloadFormatVersion != "" {
			route.Payload = p.PayloadFormatVersion
		}
		switch {
		case payload == "2.0" && (p.Path == "" || p.Path == "$default"):
			route.Method, route.Path = "ANY", "$default"
		case !strings.HasPrefix(p.Path, "/"):
			c.problems.add(r.line, "%s: Path must begin with /, not %q", r.name, p.Path)
		}
		if route.Method == "" || route.Method == "X-AMAZON-APIGATEWAY-ANY-METHOD" {
			route.Method = "ANY"
		}
		line := r.line
		if p.Auth == nil {
			p.Auth = &eventAuth{}
		} else {
			line = r.props.get("Auth").line
		}
		a.protect(c, &route, line, r.name, p.Auth.Authorizer, p.Auth.AuthorizationScopes)
		same := func(o admin.Route) bool { return o.Method == route.Method && o.Path == route.Path }
		if slices.ContainsFunc(a.doc.Routes, same) {
			c.problems.add(r.line, "%s: another event has %s %s", r.name, route.Method, route.Path)
		}
		a.doc.Routes = append(a.doc.Routes, route)
	}
	if doc != nil {
		a.openAPI(c, doc, where)
	}
	a.takeIn(c)
	return a
}

func (a *api) there(ctx context.Context, d *deployment) (ref string, err error) {
	all, err := d.Front.APIs(ctx)
	if i := slices.IndexFunc(all, func(o admin.API) bool { return o.Name == a.doc.Name }); err == nil && i >= 0 {
		return all[i].ID, nil
	}
	return "", err
}

func (a *api) deploy(ctx context.Context, d *deployment) (outcome, error) {
	all, err := d.Front.APIs(ctx)
	if err != nil {
		return outcome{}, err
	}
	action, kept := Created, admin.API{}
	if i := slices.IndexFunc(all, func(o admin.API) bool { return o.Name == a.doc.Name }); i >= 0 {
		action, kept = Updated, all[i]
		is := kept
		is.ID, is.URL = "", ""
		if reflect.DeepEqual(is, a.doc) {
			action = Unchanged
		}
	}
	if action != Unchanged {
		if kept, err = d.Front.PutAPI(ctx, a.doc); err != nil {
			return outcome{}, err
		}
	}
	d.result.APIs = append(d.result.APIs, kept)
	d.plan.endpoints[kept.ID] = kept.URL
	return a.outcome(kept, action), nil
}

func (a *api) outcome(is admin.API, action Action) outcome {
	return outcome{name: is.URL, action: action, attributes: map[string]string{
		"": is.ID, "ApiId": is.ID, "RestApiId": is.ID, "RootResourceId": "root", "ApiEndpoint": strings.TrimSuffix(is.URL, "/"),
	}}
}
