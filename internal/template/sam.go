package template

import (
	"fmt"
	"slices"

	"github.com/millstreamdb/millstream/internal/nearest"
)

// dynamoEvent is the type of what SAM makes of a function's DynamoDB event.
const dynamoEvent = "AWS::Serverless::Function DynamoDB"

// The APIs that SAM makes for events that name none.
const (
	implicitREST = "ServerlessRestApi"
	implicitHTTP = "ServerlessHttpApi"
)

// madeEvents are the types of a function's events that are made here; samEvents are SAM's others.
var madeEvents = []string{"DynamoDB", "SQS", "SNS", "Schedule", "ScheduleV2", "HttpApi", "Api"}

// globals are the parts of Globals and the types that they are for.
var globals = map[string]string{
	"AWS::Serverless::Function": "Function", "AWS::Serverless::Api": "Api",
	"AWS::Serverless::HttpApi": "HttpApi", "AWS::Serverless::SimpleTable": "SimpleTable", "AWS::Serverless::LayerVersion": "LayerVersion",
}

// resources reads the section Resources and makes of SAM's resources what SAM
// makes of them: events become event source mappings and routes.
func (t *Template) resources(problems *Problems) []*resource {
	section := t.root.get("Resources")
	if section == nil {
		return nil
	}
	var all []*resource
	for i, id := range section.keys {
		if r := readResource(id, section.vals[i], problems); r != nil {
			if part, ok := globals[r.typ]; ok {
				r.props = merge(t.root.get("Globals").get(part), r.props)
			}
			all = append(all, r)
		}
	}
	x := &expansion{t: t, all: all, problems: problems}
	for _, r := range all {
		switch r.typ {
		case "AWS::Serverless::Function":
			x.function(r)
		case "AWS::SQS::QueuePolicy":
			x.policies(r, "Queues", queuePolicyType, "Queue")
		case "AWS::SNS::TopicPolicy":
			x.policies(r, "Topics", topicPolicyType, "TopicArn")
		}
	}
	x.parts()
	return x.all
}

type expansion struct {
	t        *Template
	all      []*resource
	problems *Problems
}

func (x *expansion) find(id string) *resource {
	if i := slices.IndexFunc(x.all, func(r *resource) bool { return r.id == id }); i >= 0 {
		return x.all[i]
	}
	return nil
}

func (x *expansion) add(r *resource) {
	if x.find(r.id) != nil {
		x.problems.add(r.line, "%s: the template has a resource of the name that SAM gives this one", r.id)
		return
	}
	r.kind = supported[r.typ]
	x.all = append(x.all, r)
}

// function takes the events and the URL out of a function.
func (x *expansion) function(r *resource) {
	x.aliased(r)
	if u := r.props.get("FunctionUrlConfig"); u != nil {
		r.props = r.props.without("FunctionUrlConfig")
		props := u.with("TargetFunctionArn", ref(u.line, r.id))
		if r.alias != "" {
			props = props.with("Qualifier", x.find(r.alias).props.get("Name"))
		}
		x.add(&resource{id: r.id + "Url", typ: "AWS::Lambda::Url", line: u.line, condition: r.condition, props: props, needs: r.published()})
	}
	if config := r.props.get("EventInvokeConfig"); config != nil {
		r.props = r.props.without("EventInvokeConfig")
		props := config.with("FunctionName", ref(config.line, r.id))
		if r.alias != "" {
			props = props.with("Qualifier", x.find(r.alias).props.get("Name"))
		}
		x.add(&resource{id: r.id + "EventInvokeConfig", typ: "AWS::Lambda::EventInvokeConfig", line: config.line, condition: r.condition, props: props, needs: r.published()})
	}
	events := r.props.get("Events")
	if events == nil {
		return
	}
	r.props = r.props.without("Events")
	if events.kind != object {
		x.problems.add(events.line, "%s.Events must be an object", r.id)
		return
	}
	x.checkWhen(r, events)
	for i, name := range events.keys {
		e := events.vals[i]
		typ, props := e.get("Type"), e.get("Properties")
		if typ == nil || typ.kind != scalar {
			x.problems.add(e.line, "%s.Events.%s has no Type", r.id, name)
			continue
		}
		if props == nil {
			props = &node{kind: object, line: e.line}
		}
		switch typ.text {
		case "DynamoDB":
			x.add(&resource{id: r.id + name, typ: dynamoEvent, line: typ.line, condition: r.condition, props: props.with("FunctionName", ref(e.line, r.target())), needs: r.published(),
				when: r.metadata.get("Millstream").get("When").get(name)})
		case "SQS":
			x.add(&resource{id: r.id + name, typ: "AWS::Lambda::EventSourceMapping", line: typ.line, condition: r.condition,
				props: props.without("Queue").with("EventSourceArn", props.get("Queue")).with("FunctionName", ref(e.line, r.target())), needs: r.published()})
		case "Schedule", "ScheduleV2":
			x.scheduled(r, name, typ.text, typ.line, props)
		case "SNS":
			x.subscribed(r, name, typ.line, props)
		case "HttpApi":
			x.route(r, name, typ.line, props, "ApiId", implicitHTTP, "AWS::Serverless::HttpApi")
		case "Api":
			x.route(r, name, typ.line, props, "RestApiId", implicitREST, "AWS::Serverless::Api")
		default:
			what := fmt.Sprintf("%s.Events.%s: events of type %s are not supported", r.id, name, typ.text)
			if !slices.Contains(samEvents, typ.text) {
				x.problems.add(typ.line, "%s%s", what, nearest.Hint(typ.text, slices.Concat(madeEvents, samEvents)))
				continue
			}
			if x.problems.skip {
				what = fmt.Sprintf("%s.Events.%s (%s)", r.id, name, typ.text)
			}
			x.problems.lack(typ.line, r.id+" is not called by it", what)
		}
	}
}

// aliased makes the version and the alias that AutoPublishAlias asks for.
func (x *expansion) aliased(r *resource) {
	name := r.props.get("AutoPublishAlias")
	description, concurrency := r.props.get("VersionDescription"), r.props.get("ProvisionedConcurrencyConfig")
	r.props = r.props.without("AutoPublishAlias").without("VersionDescription").without("ProvisionedConcurrencyConfig")
	if name == nil {
		if concurrency != nil {
			x.problems.add(concurrency.line, "%s: ProvisionedConcurrencyConfig needs AutoPublishAlias", r.id)
		}
		return
	}
	known := name.text // of the alias's logical id; a name that is worked out has it all the same
	if call, arg := name.call(); call == "Ref" && arg.kind == scalar {
		if d := x.t.root.get("Parameters").get(arg.text).get("Default"); d != nil {
			known = d.text
		}
	}
	r.version, r.alias = r.id+"Version", r.id+"Alias"+known
	function := ref(name.line, r.id)
	version := &node{kind: object, line: name.line, keys: []string{"FunctionName"}, vals: []*node{function}}
	if description != nil {
		version = version.with("Description", description)
	}
	x.add(&resource{id: r.version, typ: "AWS::Lambda::Version", line: name.line, condition: r.condition, props: version})
	alias := &node{kind: object, line: name.line, keys: []string{"FunctionName", "Name"}, vals: []*node{function, name}}
	alias = alias.with("FunctionVersion", &node{kind: object, line: name.line, keys: []string{"Fn::GetAtt"}, vals: []*node{text(name.line, r.version+".Version")}})
	if concurrency != nil {
		alias = alias.with("ProvisionedConcurrencyConfig", concurrency)
	}
	x.add(&resource{id: r.alias, typ: "AWS::Lambda::Alias", line: name.line, condition: r.condition, props: alias})
}

// part is the logical id of the resource that SAM makes of a part of another one, such
// as F.Alias; the resource's own id when there is none.
func (r *resource) part(name string) string {
	switch {
	case name == "Alias" && r.alias != "":
		return r.alias
	case name == "Version" && r.version != "":
		return r.version
	}
	return r.id
}

// target is the logical id of what the events of a function call: its alias, or itself.
func (r *resource) target() string {
	if r.alias != "" {
		return r.alias
	}
	return r.id
}

// published are the resources that must be there before a function's alias is called.
func (r *resource) published() []string {
	if r.alias != "" {
		return []string{r.alias}
	}
	return nil
}

// checkWhen refuses conditions of a function's Metadata that are of none of its events.
func (x *expansion) checkWhen(r *resource, events *node) {
	when := r.metadata.get("Millstream").get("When")
	if when == nil {
		return
	}
	if when.kind != object {
		x.problems.add(when.line, "%s: Metadata.Millstream.When must be an object: a condition for each event of type DynamoDB", r.id)
		return
	}
	var known []string
	for i, name := range events.keys {
		if typ := events.vals[i].get("Type"); typ != nil && typ.text == "DynamoDB" {
			known = append(known, name)
		}
	}
	for i, name := range when.keys {
		if !slices.Contains(known, name) {
			x.problems.add(when.vals[i].line, "%s: Metadata.Millstream.When names %s, which is no event of type DynamoDB%s", r.id, name, nearest.Hint(name, known))
		}
	}
}

// route gives an HTTP event to its API, which is made when the event names none.
func (x *expansion) route(r *resource, name string, line int, props *node, member, implicit, typ string) {
	id := implicit
	if named := props.get(member); named != nil {
		if call, arg := named.call(); call == "Ref" && arg.kind == scalar {
			id = arg.text
		} else {
			x.problems.add(named.line, "%s.Events.%s: %s must be a Ref to an API of this template", r.id, name, member)
			return
		}
	}
	api := x.find(id)
	switch {
	case api == nil && id == implicit:
		api = &resource{id: id, typ: typ, line: line, props: &node{kind: object, line: line}}
		if g := x.t.root.get("Globals").get(globals[typ]); g != nil {
			api.props = g
		}
		if typ == "AWS::Serverless::Api" { // the stage's name that SAM gives
			api.props = api.props.with("StageName", text(line, "Prod"))
		}
		x.add(api)
	case api == nil || api.typ != typ:
		x.problems.add(line, "%s.Events.%s: the template has no %s %s", r.id, name, typ, id)
		return
	}
	api.routes = append(api.routes, route{name: r.id + "." + name, function: r.target(), props: props.without(member), line: line})
}

func ref(line int, id string) *node {
	return &node{kind: object, line: line, keys: []string{"Ref"}, vals: []*node{text(line, id)}}
}
