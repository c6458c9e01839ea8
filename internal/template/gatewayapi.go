package template

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/admin"
)

// An API of API Gateway that a template writes out is many resources: the API, and parts
// that name it. Here it is one document with all of its routes. The API itself is made
// first, without routes, so that functions may name it; the routes follow when the
// functions are there, in a step of their own (apiRoutes) that takes the parts in.

// apiRoutes is the type of the step that gives an API its routes.
const apiRoutes = "AWS::ApiGateway routes"

// partTypes are parts of APIs that are taken in, or make no difference. Others are lacking.
var partTypes = []string{
	"AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Stage", "AWS::ApiGatewayV2::Deployment",
	"AWS::ApiGatewayV2::RouteResponse", "AWS::ApiGatewayV2::IntegrationResponse", "AWS::ApiGatewayV2::Model", "AWS::ApiGatewayV2::Authorizer",
	"AWS::ApiGateway::Resource", "AWS::ApiGateway::Method", "AWS::ApiGateway::Stage", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Model",
	"AWS::ApiGateway::RequestValidator", "AWS::ApiGateway::GatewayResponse", "AWS::ApiGateway::Authorizer",
}

// apiTypes are the types whose resources have parts.
var apiTypes = []string{"AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi", "AWS::Serverless::HttpApi", "AWS::Serverless::Api"}

// apiOf is the logical id of the API of which a resource is a part; empty when it is none.
func apiOf(r *resource) (id string) {
	if !slices.Contains(partTypes, r.typ) {
		return ""
	}
	for _, member := range []string{"ApiId", "RestApiId"} {
		mentions(r.props.get(member), func(_ int, name string) { id = name })
	}
	return id
}

// parts gives each part to its API, and makes the steps that take them in.
func (x *expansion) parts() {
	of := map[*resource][]*resource{}
	for _, r := range x.all {
		id := apiOf(r)
		if id == "" {
			continue
		}
		api := x.find(id)
		switch {
		case api == nil:
		case api.typ == "AWS::ApiGatewayV2::Api" && strings.EqualFold(scalarOf(api.props.get("ProtocolType")), "WEBSOCKET"):
			r.missing = true // told of by its API
		case slices.Contains(apiTypes, api.typ):
			r.partOf = api.id
			of[api] = append(of[api], r)
		}
	}
	for _, api := range slices.Clone(x.all) {
		written := api.typ == "AWS::ApiGatewayV2::Api" || api.typ == "AWS::ApiGateway::RestApi"
		if !written && len(of[api]) == 0 {
			continue
		}
		if !written {
			api.parts = of[api]
			continue
		}
		step := &resource{id: api.id + "Routes", typ: apiRoutes, line: api.line, condition: api.condition, props: api.props, parts: of[api], needs: []string{api.id},
			routesOf: api.id}
		x.add(step)
		// The API's own step needs nothing that the routes need.
		api.later = true
	}
}

// writtenAPI are the properties of AWS::ApiGatewayV2::Api.
type writtenAPI struct {
	Name, ProtocolType, Target, RouteKey    string
	CorsConfiguration, Body, BodyS3Location apart
	BasePath                                ignored
	CredentialsArn, Description, DisableExecuteApiEndpoint, DisableSchemaValidation, FailOnWarnings, IpAddressType,
	RouteSelectionExpression, ApiKeySelectionExpression, Tags, Version ignored
}

// writtenREST are the properties of AWS::ApiGateway::RestApi.
type writtenREST struct {
	Name                 string
	BinaryMediaTypes     []string
	Body, BodyS3Location apart
	ApiKeySourceType, CloneFrom, Description, DisableExecuteApiEndpoint, EndpointConfiguration, FailOnWarnings, MinimumCompressionSize,
	Mode, Parameters, Policy, SecurityPolicy, EndpointAccessMode, Tags ignored
}

// prepareWritten reads an API that is written out: kind is http or rest.
func prepareWritten(kind string) func(c *preparation) step {
	return func(c *preparation) step {
		a := &api{id: c.r.id, doc: admin.API{Kind: kind}}
		told := *c
		if c.r.routesOf != "" {
			a.id = c.r.routesOf
			if owner := c.plan.byID[a.id]; owner == nil || owner.missing {
				c.r.missing = true
				return nil
			}
			told.decoder = decoder{&Problems{}} // of its properties the API's own step has told
		}
		a.doc.Name = c.plan.name(a.id, "")
		var target string
		if kind == "http" {
			p := writtenAPI{}
			told.into(&p)
			a.doc.Stage, target = "$default", p.Target
			if strings.EqualFold(p.ProtocolType, "WEBSOCKET") {
				c.leave(c.r.line, "nobody connects to it", "WebSocket APIs are not supported")
				return nil
			}
			if n := c.props.get("CorsConfiguration"); n != nil {
				a.doc.CORS = told.httpCORS(n)
			}
		} else {
			p := writtenREST{}
			told.into(&p)
			for _, t := range p.BinaryMediaTypes {
				a.doc.BinaryTypes = append(a.doc.BinaryTypes, strings.ReplaceAll(t, "~1", "/"))
			}
		}
		if !c.plan.opts.HTTP {
			c.problems.add(c.r.line, "%s: HTTP APIs are served by a Millstream, and the endpoint is none", a.id)
		}
		if c.r.routesOf == "" {
			return &emptyAPI{a}
		}
		doc, where := c.document(a.id, "Body", "BodyS3Location")
		a.writtenAuthorizers(c)
		a.documentAuthorizers(c, doc, where)
		if target != "" {
			a.add(c, c.r.line, a.id, "ANY", "$default", integration{kind: "AWS_PROXY", uri: target, payload: "2.0"})
		}
		if doc != nil {
			a.openAPI(c, doc, where)
		}
		a.takeIn(c)
		if a.doc.Stage == "" {
			a.doc.Stage = "$default"
		}
		if len(a.doc.Routes) == 0 {
			a.doc.Routes = []admin.Route{}
		}
		return a
	}
}

func prepareRoutes(c *preparation) step {
	kind := "rest"
	if api := c.plan.byID[c.r.routesOf]; api != nil && api.typ == "AWS::ApiGatewayV2::Api" {
		kind = "http"
	}
	return prepareWritten(kind)(c)
}

// emptyAPI makes an API without routes, so that it has an address.
type emptyAPI struct{ *api }

func (a *emptyAPI) deploy(ctx context.Context, d *deployment) (outcome, error) {
	all, err := d.Front.APIs(ctx)
	if err != nil {
		return outcome{}, err
	}
	i := slices.IndexFunc(all, func(o admin.API) bool { return o.Name == a.doc.Name })
	action, is := Unchanged, admin.API{}
	if i >= 0 {
		is = all[i]
	} else {
		action = Created
		a.doc.Routes = []admin.Route{}
		if is, err = d.Front.PutAPI(ctx, a.doc); err != nil {
			return outcome{}, err
		}
	}
	d.plan.endpoints[is.ID] = is.URL
	return a.outcome(is, action), nil
}

// takeIn makes routes of the parts of an API.
func (a *api) takeIn(c *preparation) {
	part := func(id string) *resource {
		i := slices.IndexFunc(c.r.parts, func(r *resource) bool { return r.id == id })
		if i < 0 || c.plan.byID[id] == nil {
			return nil
		}
		return c.r.parts[i]
	}
	named := func(n *node) (found string) {
		mentions(n, func(_ int, name string) {
			if found == "" || part(name) != nil {
				found = name
			}
		})
		return found
	}
	for _, r := range c.r.parts {
		if c.plan.byID[r.id] == nil {
			continue
		}
		p := c.eval.eval(r.props)
		get := func(name string) string { return scalarOf(p.get(name)) }
		switch r.typ {
		case "AWS::ApiGatewayV2::Stage", "AWS::ApiGateway::Stage", "AWS::ApiGateway::Deployment":
			if name := get("StageName"); name != "" && (a.doc.Stage == "" || a.doc.Stage == "$default") {
				a.doc.Stage = name
			}
			for _, member := range []string{"StageVariables", "Variables"} {
				variables := map[string]string{}
				c.decode(p.get(member), r.id+"."+member, &variables)
				if len(variables) > 0 && a.doc.StageVariables == nil {
					a.doc.StageVariables = map[string]string{}
				}
				maps.Copy(a.doc.StageVariables, variables)
			}
		case "AWS::ApiGatewayV2::Route":
			target := part(named(r.props.get("Target")))
			if target == nil || target.typ != "AWS::ApiGatewayV2::Integration" {
				c.problems.add(r.line, "%s: Target must name an integration of this template", r.id)
				continue
			}
			ip := c.eval.eval(target.props)
			in := integration{kind: scalarOf(ip.get("IntegrationType")), uri: scalarOf(ip.get("IntegrationUri")), payload: scalarOf(ip.get("PayloadFormatVersion"))}
			c.decode(ip.get("TimeoutInMillis"), target.id+".TimeoutInMillis", &in.timeout)
			method, path, both := strings.Cut(get("RouteKey"), " ")
			if !both {
				method, path = "ANY", method
			}
			a.authorized(c, r, p, a.add(c, r.line, r.id, method, path, in), named(r.props.get("AuthorizerId")))
		case "AWS::ApiGateway::Method":
			path, ok := "", true
			for at := r.props.get("ResourceId"); ; {
				id := named(at)
				up := part(id)
				if up == nil || up.typ != "AWS::ApiGateway::Resource" {
					ok = id == a.id || id != "" && up == nil // RootResourceId of the API
					break
				}
				path = "/" + scalarOf(c.eval.eval(up.props.get("PathPart"))) + path
				at = up.props.get("ParentId")
				if len(path) > 4096 { // parents in a circle, told of by their order
					ok = false
					break
				}
			}
			if !ok {
				c.problems.add(r.line, "%s: ResourceId must name a resource of its API in this template", r.id)
				continue
			}
			if path == "" {
				path = "/"
			}
			n := p.get("Integration")
			if n == nil {
				c.problems.lack(r.line, "the route is not there", fmt.Sprintf("%s (%s %s) has no Integration", r.id, get("HttpMethod"), path))
				continue
			}
			in := integration{kind: scalarOf(n.get("Type")), uri: scalarOf(n.get("Uri"))}
			c.decode(n.get("TimeoutInMillis"), r.id+".Integration.TimeoutInMillis", &in.timeout)
			if get("HttpMethod") == "OPTIONS" && strings.EqualFold(in.kind, "MOCK") {
				a.cors(n)
			}
			a.authorized(c, r, p, a.add(c, r.line, r.id, get("HttpMethod"), path, in), named(r.props.get("AuthorizerId")))
		}
	}
}

// authorized gives a route its authorizer; a nil route is not there.
func (a *api) authorized(c *preparation, r *resource, p *node, route *admin.Route, id string) {
	switch kind := scalarOf(p.get("AuthorizationType")); {
	case route == nil || kind == "" || kind == "NONE":
	case kind != "CUSTOM" && kind != "JWT":
		c.problems.lack(p.get("AuthorizationType").line, "the route answers everyone", r.id+": AuthorizationType "+kind+" is not supported")
	case id == "":
		c.problems.add(r.line, "%s: AuthorizerId must name an authorizer of this template", r.id)
	default:
		var scopes []string
		c.decode(p.get("AuthorizationScopes"), r.id+".AuthorizationScopes", &scopes)
		a.protect(c, route, r.line, r.id, id, scopes)
	}
	if key := scalarOf(p.get("ApiKeyRequired")); key == "true" {
		c.problems.lack(p.get("ApiKeyRequired").line, "the route answers who has no key", r.id+": ApiKeyRequired is not supported")
	}
}
