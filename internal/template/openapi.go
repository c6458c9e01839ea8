package template

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/admin"
)

// Integrations say what a route leads to, in an OpenAPI document or in resources of API
// Gateway. Those that call a function as a proxy become routes; of the others there is
// none here.

// integration is what a route leads to, as both write it.
type integration struct {
	kind, uri, payload string
	subtype            string // of what calls a service with no address, such as SQS-SendMessage
	timeout            int
}

// invoked finds the function in an address of API Gateway's, such as
// arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/ARN/invocations, or in an
// ARN by itself.
var invoked = regexp.MustCompile(`(?:/functions/|^)(arn:aws[a-z-]*:lambda:[^/]+:function:[^/]+)(?:/(?:response-streaming-)?invocations)?$`)

// add makes a route of an integration, or tells why there is none. It returns the route, until
// the next one is added; nil: there is none, or it was there before.
func (a *api) add(c *preparation, line int, name, method, path string, in integration) *admin.Route {
	method = strings.ToUpper(method)
	if method == "X-AMAZON-APIGATEWAY-ANY-METHOD" || method == "" {
		method = "ANY"
	}
	lack := func(why string) {
		c.problems.lack(line, "the route is not there", fmt.Sprintf("%s (%s %s): %s", name, method, path, why))
	}
	m := invoked.FindStringSubmatch(in.uri)
	kind := strings.ToUpper(in.kind)
	switch {
	case kind == "MOCK" && method == "OPTIONS": // answers preflights; see cors
		return nil
	case m == nil && (kind == "AWS_PROXY" || kind == "AWS"):
		lack("an integration with " + cmp.Or(in.uri, in.subtype) + " is not supported")
		return nil
	case m == nil:
		lack("integrations of type " + in.kind + " are not supported")
		return nil
	case kind == "AWS":
		lack("an integration of type AWS, which maps what a function gets and gives, is not supported")
		return nil
	}
	if f := c.plan.leftOutFunction(m[1]); f != "" {
		if c.problems.skip {
			c.problems.lack(line, "", fmt.Sprintf("%s (%s %s) of %s", name, method, path, f))
		}
		return nil
	}
	route := admin.Route{Method: method, Path: path, Function: m[1], Payload: "1.0", TimeoutMS: in.timeout}
	if a.doc.Kind == "http" && in.payload != "" {
		route.Payload = in.payload
	}
	if route.Path == "/$default" || route.Path == "$default" {
		route.Method, route.Path = "ANY", "$default"
	}
	same := func(o admin.Route) bool { return o.Method == route.Method && o.Path == route.Path }
	if i := slices.IndexFunc(a.doc.Routes, same); i >= 0 { // an event and a document may name one; either may protect it
		if a.doc.Routes[i].Authorizer != "" {
			return nil
		}
		return &a.doc.Routes[i]
	}
	a.doc.Routes = append(a.doc.Routes, route)
	return &a.doc.Routes[len(a.doc.Routes)-1]
}

// leftOutFunction is the logical id of a function that is left out, by the ARN that
// was made up for it; empty when the ARN is none such.
func (p *Plan) leftOutFunction(arn string) string {
	for id, r := range p.byID {
		if r.missing && (r.typ == "AWS::Lambda::Function" || r.typ == "AWS::Serverless::Function" || r.typ == "AWS::Lambda::Alias") &&
			nameOf(p.madeUp(r.typ, id, "Arn")) == nameOf(arn) {
			return id
		}
	}
	return ""
}

// openAPI makes routes of an OpenAPI document.
func (a *api) openAPI(c *preparation, doc *node, where string) {
	if doc.kind != object {
		c.problems.add(doc.line, "%s must be an object: an OpenAPI document", where)
		return
	}
	paths := doc.get("paths")
	if paths == nil {
		return
	}
	open := false // there is a route that says nothing of who may call it
	for i, path := range paths.keys {
		operations := paths.vals[i]
		for j, method := range operations.keys {
			op := operations.vals[j]
			if !slices.Contains([]string{"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"}, strings.ToLower(method)) {
				continue // parameters and the like
			}
			n := op.get("x-amazon-apigateway-integration")
			if n == nil {
				c.problems.lack(op.line, "the route is not there", fmt.Sprintf("%s: %s %s has no x-amazon-apigateway-integration", where, strings.ToUpper(method), path))
				continue
			}
			in := integration{kind: scalarOf(n.get("type")), uri: scalarOf(n.get("uri")), payload: scalarOf(n.get("payloadFormatVersion")), subtype: scalarOf(n.get("integrationSubtype"))}
			c.decode(n.get("timeoutInMillis"), where+".timeoutInMillis", &in.timeout)
			if strings.EqualFold(method, "options") && strings.EqualFold(in.kind, "mock") {
				a.cors(n)
			}
			if route := a.add(c, n.line, where, method, path, in); route != nil {
				a.secured(c, route, op, where)
				open = open || op.get("security") == nil && route.Authorizer == ""
			}
		}
	}
	if s := doc.get("security"); open && s != nil && len(s.list) > 0 {
		c.problems.lack(s.line, "the routes that have none of their own answer everyone", where+": security at the root of the document is not supported: give it to each operation")
	}
}

// cors reads what a mock of preflights answers: integrations of OPTIONS set the headers
// of CORS by response parameters, whatever they are written in.
func (a *api) cors(n *node) {
	if a.doc.CORS == nil {
		a.doc.CORS = &admin.CORS{}
	}
	var walk func(n *node)
	walk = func(n *node) {
		for i, name := range n.keys {
			value := n.vals[i]
			if value.kind != scalar {
				walk(value)
				continue
			}
			all := strings.Split(strings.Trim(value.text, "'"), ",")
			for j := range all {
				all[j] = strings.TrimSpace(all[j])
			}
			switch strings.ToLower(strings.TrimPrefix(name, "method.response.header.")) {
			case "access-control-allow-origin":
				a.doc.CORS.AllowOrigins = all
			case "access-control-allow-methods":
				a.doc.CORS.AllowMethods = all
			case "access-control-allow-headers":
				a.doc.CORS.AllowHeaders = all
			case "access-control-allow-credentials":
				a.doc.CORS.AllowCredentials = all[0] == "true"
			}
		}
		for _, item := range n.list {
			walk(item)
		}
	}
	walk(n)
	if len(a.doc.CORS.AllowOrigins) == 0 {
		a.doc.CORS = nil
	}
}

func scalarOf(n *node) string {
	if n == nil || n.kind != scalar {
		return ""
	}
	return n.text
}

// document is the OpenAPI document of an API: in the template, or in a file beside it.
func (c *preparation) document(id, inline, file string) (doc *node, where string) {
	if n := c.props.get(inline); n != nil {
		return n, id + "." + inline
	}
	n := c.props.get(file)
	if n == nil {
		return nil, ""
	}
	where = id + "." + file
	path := n.text
	if n.kind == object { // as packagers write what they have put into S3
		path = "s3://" + scalarOf(n.get("Bucket")) + "/" + scalarOf(n.get("Key"))
	}
	if strings.Contains(path, "://") && !(c.plan.sent() && strings.HasPrefix(path, "s3://")) {
		c.problems.lack(n.line, "its routes are not there", where+": a document in S3 is not supported: name a file")
		return nil, ""
	}
	doc, err := c.plan.include(path)
	if err != nil {
		c.problems.add(n.line, "%s: %v", where, err)
		return nil, ""
	}
	return atLineOf(c.eval.eval(doc), n.line), where
}

// atLineOf gives all of a node the line of the place that names its file.
func atLineOf(n *node, line int) *node {
	if n == nil {
		return nil
	}
	out := &node{kind: n.kind, line: line, text: n.text, keys: n.keys}
	for _, item := range n.list {
		out.list = append(out.list, atLineOf(item, line))
	}
	for _, item := range n.vals {
		out.vals = append(out.vals, atLineOf(item, line))
	}
	return out
}
