package template

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/bundle"
	"github.com/millstreamdb/millstream/internal/nearest"
	"github.com/millstreamdb/millstream/internal/setting"
)

// Options say what a template leaves open.
type Options struct {
	// Stack begins the names that the template leaves open, and is AWS::StackName.
	// Empty: made of the name of the template's folder.
	Stack           string
	Parameters      map[string]string
	Account, Region string
	// Bundler builds functions from TypeScript; nil: one that keeps nothing for the next time.
	Bundler *bundle.Builder
	// Queues, Topics and HTTP say that the target has SQS, SNS, and Millstream's front
	// door; a template that needs what is not there cannot be deployed.
	Queues, Topics, HTTP bool
	// seen is told of what a type's properties are decoded into, for the page of types. nil: nobody asks.
	seen func(typ string, properties any)
	// SkipUnsupported leaves out what Millstream has none of, instead of refusing the
	// template for it.
	SkipUnsupported bool
	// Runtime tells why functions of a runtime cannot run there; empty: they can. nil:
	// nothing is known of that.
	Runtime func(name string) (why string)
	// Export is the value of another stack's export; nil: there are none.
	Export func(name string) (value string, ok bool)
	// Stored is the value of a parameter in Parameter Store; nil: there is none.
	Stored func(name string) (value string, ok bool)
	// unasked is why Stored could not find out whether there is a parameter, if so; nil: it always can.
	unasked *error
	// Object reads code in S3 for a template that came by itself; nil: it did not, and code is looked for beside it, too.
	Object func(ctx context.Context, bucket, key, version string) ([]byte, error)
	// uploaded reads an object of the server's buckets; nil: there is no server.
	uploaded func(stored) ([]byte, error)
}

func (o *Options) scope() arn.Scope { return arn.Scope{Account: o.Account, Region: o.Region} }

// Plan is a template that was found to be deployable: its resources in the order
// in which they are made.
type Plan struct {
	template  *Template
	opts      Options
	order     []*resource // all, each after those that it needs
	steps     []*resource
	byID      map[string]*resource
	skipped   []Left
	left      []string // types that were accepted and need nothing, with their ids
	values    map[string]*node
	conds     *node
	deployed  map[string]map[string]string // attributes of what is there, by logical id
	endpoints map[string]string            // of APIs by their ids, see rewrite
	named     map[string]string            // the resource that has a name, by kind and name
}

// Plan checks the whole template. The error is a *Problems when something is not
// supported.
func (t *Template) Plan(o Options) (*Plan, error) {
	p, err := t.plan(o)
	if o.unasked != nil && *o.unasked != nil {
		return nil, *o.unasked
	}
	return p, err
}

func (t *Template) plan(o Options) (*Plan, error) {
	problems := &Problems{File: t.Path, skip: o.SkipUnsupported}
	if o.Stack == "" {
		o.Stack = cmp.Or(t.Stack, stackName(t.Dir))
	}
	if !stackPattern.MatchString(o.Stack) {
		return nil, fmt.Errorf("stack name %q: want letters, digits and hyphens, at most 128, beginning with a letter", o.Stack)
	}
	t.checkSections(problems)
	p := &Plan{template: t, opts: o, byID: map[string]*resource{}, deployed: map[string]map[string]string{}, endpoints: map[string]string{}, named: map[string]string{}, conds: t.root.get("Conditions")}
	p.values = t.parameters(o, problems)
	for name, value := range map[string]string{
		"AWS::AccountId": o.Account, "AWS::Region": o.Region, "AWS::StackName": o.Stack, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
		"AWS::StackId": o.scope().ARN("cloudformation", "stack/"+o.Stack+"/"+shortHash(o.Stack)),
	} {
		p.values[name] = text(0, value)
	}
	p.values["AWS::NotificationARNs"] = &node{kind: list}
	all, ok := ordered(t.resources(problems), problems)
	if !ok { // what names itself has no value
		return nil, problems.err()
	}
	p.order = all
	for _, r := range all {
		p.byID[r.id] = r
	}
	e := p.within(newBounds(1, problems), problems)
	if p.conds != nil {
		for i, name := range p.conds.keys {
			e.conditions.holds(p.conds.vals[i].line, name)
		}
	}
	for _, r := range all {
		if !e.conditions.holds(r.line, r.condition) {
			delete(p.byID, r.id)
		}
	}
	for _, r := range all {
		if p.byID[r.id] != nil {
			p.checkPolicies(r, e)
		}
		if r.lacks != "" && p.byID[r.id] != nil {
			problems.lack(r.line, effectOf(r.typ), r.lacks)
		}
	}
	type source struct{ function, stream string }
	sources := map[source]string{}
	for _, r := range all {
		switch {
		case p.byID[r.id] == nil || r.missing || r.partOf != "":
		case r.kind == nil:
			p.left = append(p.left, r.id+" ("+r.typ+")")
		default:
			s := p.prepare(r, e)
			if r.missing {
				break
			}
			p.steps = append(p.steps, r)
			if m, ok := s.(*mapping); ok && m.stream != "" && m.FunctionName != "" {
				of := source{m.FunctionName, m.stream}
				if first, found := sources[of]; found {
					problems.add(r.line, "%s and %s give one function the same stream, and Lambda refuses the second: put the filters of both into one FilterCriteria", first, r.id)
				} else {
					sources[of] = r.id
				}
			}
		}
	}
	p.outputs(e)
	if err := problems.err(); err != nil {
		return nil, err
	}
	p.skipped = problems.left
	return p, nil
}

// Exports are what other stacks will import, as far as it is known before it is deployed.
func (p *Plan) Exports() map[string]string {
	exports := map[string]string{}
	for _, o := range p.outputs(p.evaluator(&Problems{})) {
		if o.Export != "" {
			exports[o.Export] = o.Value
		}
	}
	return exports
}

// Stack is the name of the plan's stack.
func (p *Plan) Stack() string { return p.opts.Stack }

// LeftOut lists the resources that make no difference here, such as roles.
func (p *Plan) LeftOut() []string { return slices.Clone(p.left) }

// evaluator sees the attributes of what was deployed, and likely ones of the rest.
func (p *Plan) evaluator(problems *Problems) *evaluator {
	return p.within(newBounds(4, problems), problems)
}

// within is evaluator for a part of what another one works out.
func (p *Plan) within(b *bounds, problems *Problems) *evaluator {
	e := &evaluator{names: p.values, mappings: p.template.root.get("Mappings"), problems: problems, bounds: b, rewrite: p.rewrite,
		exported: p.opts.Export, include: p.include}
	e.attribute = func(line int, id, name string) string { return p.attribute(e, line, id, name) }
	only := &evaluator{names: p.values, mappings: e.mappings, problems: problems, bounds: b, attribute: func(line int, id, _ string) string {
		problems.add(line, "a condition may name parameters only, not %s", id)
		return ""
	}}
	e.conditions = &conditions{section: p.conds, values: only, known: map[string]bool{}, open: map[string]bool{}}
	only.conditions = e.conditions
	return e
}

func (p *Plan) attribute(e *evaluator, line int, id, name string) string {
	problems := e.problems
	if name == "" {
		id, name, _ = strings.Cut(id, ".") // Ref of F.Alias and the like, which SAM has
	}
	r := p.byID[id]
	if r != nil && name != "" {
		if other := r.part(name); other != id && p.byID[other] != nil {
			r, id, name = p.byID[other], other, ""
		}
	}
	if r == nil {
		owner, isRole := strings.CutSuffix(id, "Role")
		if f := p.byID[owner]; isRole && f != nil && strings.HasPrefix(f.typ, "AWS::Serverless::") {
			return p.unmade("AWS::IAM::Role", id, name)
		}
		if p.template.root.get("Resources").get(id) != nil {
			problems.add(line, "%s is named here, and left out by its condition", id)
		} else {
			if !e.bounds.spend(line, len(p.values)+len(p.byID), 0) {
				return ""
			}
			problems.add(line, "there is no parameter and no resource %s%s", id, nearest.Hint(id, slices.Concat(sortedKeys(p.values), sortedKeys(p.byID))))
		}
		return ""
	}
	switch {
	case r.missing:
		return p.madeUp(r.typ, id, name)
	case name == "" && strings.HasSuffix(r.typ, "::Stage") && r.props.get("StageName") != nil:
		leave := e.bounds.enter(line, id)
		if leave == nil {
			return ""
		}
		defer leave()
		return e.text(r.props.get("StageName"), "StageName")
	case r.kind == nil:
		return p.unmade(r.typ, id, name)
	}
	if name != "" && !slices.Contains(r.kind.attributes, name) {
		problems.add(line, "the attribute %s of %s (%s) is not supported%s", name, id, r.typ, nearest.Hint(name, r.kind.attributes))
		return ""
	}
	if v, ok := p.deployed[id]; ok {
		return v[name]
	}
	return p.likely(e, line, r, name)
}

// unmade is an attribute of a resource that is accepted and not made.
func (p *Plan) unmade(typ, id, name string) string {
	switch {
	case name == "":
		return p.name(id, "")
	case strings.HasSuffix(name, "Arn") && typ == "AWS::IAM::Role":
		return p.role(id)
	}
	service := strings.ToLower(strings.Split(typ, "::")[1])
	return p.opts.scope().ARN(service, p.name(id, ""))
}

// likely has the form of an attribute that only the deployment will tell.
func (p *Plan) likely(e *evaluator, line int, r *resource, name string) string {
	physical := p.name(r.id, "")
	scope := p.opts.scope()
	switch {
	case r.typ == "AWS::S3::Bucket":
		bucket := bucketName(physical)
		if n := r.props.get("BucketName"); n != nil {
			leave := e.bounds.enter(line, r.id)
			if leave == nil {
				return ""
			}
			defer leave()
			bucket = p.within(e.bounds, &Problems{}).text(n, "BucketName") // its problems are told of with the bucket
		}
		if name == "Arn" {
			return arn.Scope{}.ARN("s3", bucket)
		}
		return bucket
	case r.typ == "AWS::Lambda::Version" && name != "Version":
		return scope.ARN("lambda", "function:"+physical+":1")
	case r.typ == "AWS::Lambda::Alias":
		return scope.ARN("lambda", "function:"+physical+":alias")
	case strings.HasSuffix(r.typ, "::LayerVersion"):
		return scope.ARN("lambda", "layer:"+physical+":1")
	case name == "StreamArn" && r.typ == "AWS::DynamoDB::Table" && r.props.get("StreamSpecification") == nil:
		return "" // there will be none
	case name == "StreamArn":
		return scope.ARN("dynamodb", "table/"+physical+"/stream/2000-01-01T00:00:00.000")
	case name == "FunctionUrl" || name == "ApiEndpoint" || name == "QueueUrl":
		return "http://127.0.0.1/" + physical
	case name == "Arn" && strings.HasPrefix(r.typ, "AWS::Events::"):
		return scope.ARN("events", "rule/"+physical)
	case name == "Arn" && strings.HasPrefix(r.typ, "AWS::Scheduler::"):
		return scope.ARN("scheduler", "schedule/default/"+physical)
	case r.typ == "AWS::SNS::Topic" && name != "TopicName":
		return scope.ARN("sns", physical)
	case name == "Arn" && r.typ == "AWS::SQS::Queue":
		return scope.ARN("sqs", physical)
	case name == "Arn" && strings.HasSuffix(r.typ, "Table"):
		return scope.ARN("dynamodb", "table/"+physical)
	case strings.HasSuffix(name, "Arn"):
		return scope.ARN("lambda", "function:"+physical)
	}
	return physical
}

func (p *Plan) role(id string) string {
	return p.opts.scope().Global("iam", "role/"+p.name(id, ""))
}

// maxName is the longest name that all the services take that are named here.
const maxName = 64

// name is a resource's own name: the template's, or one made of the stack's and
// the logical id.
func (p *Plan) name(id, given string) string {
	if given != "" {
		return given
	}
	name := p.opts.Stack + "-" + id
	if len(name) > maxName {
		name = name[:maxName-9] + "-" + shortHash(name)
	}
	return name
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

var stackPattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{0,127}$`)

// stackName makes a stack's name of a folder's.
func stackName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = built(abs)
	}
	name := strings.Trim(regexp.MustCompile(`[^a-zA-Z0-9]+`).ReplaceAllString(filepath.Base(dir), "-"), "-")
	if name == "" || !stackPattern.MatchString(name[:1]) {
		name = "app-" + name
	}
	return strings.TrimRight(name[:min(len(name), 40)], "-")
}

var gatewayURL = regexp.MustCompile(`https://([a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com(/?)`)

// rewrite turns the address that an API would have on AWS, which templates put
// together by themselves, into the one that it has.
func (p *Plan) rewrite(s string) string {
	if len(p.endpoints) == 0 || !strings.Contains(s, ".execute-api.") {
		return s
	}
	return gatewayURL.ReplaceAllStringFunc(s, func(found string) string {
		m := gatewayURL.FindStringSubmatch(found)
		if url, ok := p.endpoints[m[1]]; ok {
			return strings.TrimSuffix(url, "/") + m[2]
		}
		return found
	})
}

// Output is one of a template's outputs.
type Output struct {
	Name, Value, Description string
	Export                   string // by which other stacks import it; empty: they do not
}

func (p *Plan) outputs(e *evaluator) []Output {
	section := p.template.root.get("Outputs")
	if section == nil {
		return nil
	}
	var all []Output
	for i, name := range section.keys {
		n := section.vals[i]
		if c := n.get("Condition"); c != nil && !e.conditions.holds(c.line, c.text) {
			continue
		}
		if n.get("Value") == nil {
			e.problems.add(n.line, "the output %s has no Value", name)
			continue
		}
		o := Output{Name: name, Value: e.text(n.get("Value"), "an output")}
		o.Description = scalarOf(n.get("Description"))
		if export := n.get("Export").get("Name"); export != nil {
			o.Export = e.text(export, "the name of an export")
		}
		all = append(all, o)
	}
	return all
}

// preparation is what a type's prepare function works on.
type preparation struct {
	decoder
	plan  *Plan
	r     *resource
	props *node // evaluated
	eval  *evaluator
}

// into decodes the resource's properties.
func (c *preparation) into(properties any) {
	if c.plan.opts.seen != nil {
		c.plan.opts.seen(c.r.typ, properties)
	}
	c.decode(c.props, c.r.id, properties)
}

func (p *Plan) prepare(r *resource, e *evaluator) step {
	return r.kind.prepare(&preparation{decoder: decoder{e.problems}, plan: p, r: r, props: p.resolved(e, e.eval(r.props)), eval: e})
}

// tags are written as a list by most resources, and as an object by SAM's.
type tag struct{ Key, Value string }

func tagMap(tags []tag) map[string]string {
	if tags == nil {
		return nil
	}
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// checkTags refuses tags that look like Millstream's own settings and are not, or have no
// value of theirs.
func (c *preparation) checkTags(level setting.Level) {
	tags := c.props.get("Tags")
	if tags == nil {
		return
	}
	check := func(line int, key, value *node) {
		if key == nil || value == nil || value.kind != scalar {
			return // told of when the properties are decoded
		}
		if f := setting.Check(level, key.text, value.text); f != nil {
			c.problems.add(line, "%s: %s", c.r.id, f.Error())
		}
	}
	for _, one := range tags.list {
		check(one.line, one.get("Key"), one.get("Value"))
	}
	for i, key := range tags.keys {
		check(tags.vals[i].line, text(tags.vals[i].line, key), tags.vals[i])
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
