package template

import (
	"cmp"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/nearest"
)

// Left is something that a template holds and Millstream has none of, and that a
// plan with Options.SkipUnsupported leaves out.
type Left struct {
	Line   int
	What   string
	Effect string // what that means; may be empty
}

// unsupported is the type of a property that AWS has and Millstream does not act on,
// though it makes a difference. Its tag effect says what it means to leave it out.
type unsupported struct{}

// lack tells of something that there is none of: a problem, or with skip something
// that is left out.
func (p *Problems) lack(line int, effect, what string) {
	if !p.skip {
		one := Problem{Line: line, Text: what, Lacking: true}
		if !slices.Contains(p.List, one) {
			p.List = append(p.List, one)
		}
		return
	}
	one := Left{line, strings.TrimSuffix(what, " is not supported"), effect}
	if !slices.Contains(p.left, one) {
		p.left = append(p.left, one)
	}
}

// Skippable reports whether all problems are things that Options.SkipUnsupported
// would leave out.
func (p *Problems) Skippable() bool {
	return len(p.List) > 0 && !slices.ContainsFunc(p.List, func(one Problem) bool { return !one.Lacking })
}

// Lacking counts the problems that Options.SkipUnsupported would leave out.
func (p *Problems) Lacking() (n int) {
	for _, one := range p.List {
		if one.Lacking {
			n++
		}
	}
	return n
}

// leave marks the resource as one that is not deployed.
func (c *preparation) leave(line int, effect, what string) {
	c.r.missing = true
	c.problems.lack(line, effect, c.r.id+": "+what)
}

// withoutFunction leaves a resource out whose function is left out, and reports it.
// Nothing is told of it as a problem: the function was.
func (c *preparation) withoutFunction(members ...string) bool {
	for _, member := range members {
		mentions(c.r.props.get(member), func(line int, name string) {
			id, _, _ := strings.Cut(name, ".")
			if f := c.plan.byID[id]; f != nil && f.missing && !c.r.missing {
				c.r.missing = true
				if c.problems.skip {
					c.problems.lack(line, "", c.r.id+" of "+id)
				}
			}
		})
	}
	return c.r.missing
}

// Unsupported lists what the plan leaves out, by line.
func (p *Plan) Unsupported() []Left {
	all := slices.Clone(p.skipped)
	slices.SortStableFunc(all, func(a, b Left) int { return cmp.Compare(a.Line, b.Line) })
	return all
}

// closedServices are those whose types are known here, so that another name that is
// close to one of them is a slip, and not something to leave out.
var closedServices = map[string][]string{
	"AWS::DynamoDB::": {"Table", "GlobalTable"},
	"AWS::Lambda::": {"Function", "Version", "Alias", "LayerVersion", "LayerVersionPermission", "Permission", "EventInvokeConfig",
		"EventSourceMapping", "Url", "CodeSigningConfig", "CapacityProvider"},
	"AWS::Serverless::": {"Function", "Api", "HttpApi", "WebSocketApi", "GraphQLApi", "LayerVersion", "SimpleTable", "StateMachine",
		"Application", "Connector", "CapacityProvider"},
}

// checkType tells of a type that is not supported; one that AWS has may be left out.
func (r *resource) checkType(problems *Problems) {
	what := r.id + ": " + r.typ + " is not supported"
	for service, types := range closedServices {
		name, ok := strings.CutPrefix(r.typ, service)
		if !ok || slices.Contains(types, name) {
			continue
		}
		if hint := nearest.Hint(r.typ, sortedKeys(supported)); hint != "" {
			problems.add(r.line, "%s%s", what, hint)
			return
		}
	}
	if parts := strings.Split(r.typ, "::"); len(parts) < 2 || len(parts) == 2 && parts[0] != "Custom" {
		problems.add(r.line, "%s%s", what, nearest.Hint(r.typ, sortedKeys(supported)))
		return
	}
	r.missing, r.lacks = true, what // told of when its condition holds
}

// effects are what it means to leave a resource out, by the beginning of its type.
var effects = []struct{ typ, effect string }{
	{"AWS::Events::Rule", "nothing is called by it"},
	{"AWS::Logs::SubscriptionFilter", "nothing is called by it"},
	{"AWS::Pipes::", "nothing is carried by it"},
	{"AWS::Serverless::StateMachine", "it is never run"},
	{"AWS::StepFunctions::StateMachine", "it is never run"},
	{"AWS::CloudFormation::CustomResource", "its function is not called, and its attributes are made up"},
	{"Custom::", "its function is not called, and its attributes are made up"},
	{"AWS::SQS::Queue", "what is sent to it gets nowhere"},
	{"AWS::SNS::Topic", "what is sent to it gets nowhere"},
	{"AWS::Cognito", "nobody signs in there"},
	{"AWS::EC2::", "functions reach the network of this machine"},
}

func effectOf(typ string) string {
	for _, e := range effects {
		if strings.HasPrefix(typ, e.typ) {
			return e.effect
		}
	}
	return ""
}

// samEvents are the types of events of SAM's functions that nothing here fires.
var samEvents = []string{"S3", "Kinesis", "CloudWatchEvent", "EventBridgeRule", "CloudWatchLogs",
	"IoTRule", "AlexaSkill", "Cognito", "MQ", "MSK", "DocumentDB", "SelfManagedKafka"}

// madeUp has the form of an attribute of a resource that is not there.
func (p *Plan) madeUp(typ, id, name string) string {
	physical := p.name(id, "")
	parts := strings.Split(typ, "::")
	service := strings.ToLower(parts[min(1, len(parts)-1)])
	scope := p.opts.scope()
	small := strings.ToLower(physical)
	whole := map[string]string{
		"AWS::Kinesis::Stream":                 scope.ARN("kinesis", "stream/"+physical),
		"AWS::Events::EventBus":                scope.ARN("events", "event-bus/"+physical),
		"AWS::Events::Rule":                    scope.ARN("events", "rule/"+physical),
		"AWS::StepFunctions::StateMachine":     scope.ARN("states", "stateMachine:"+physical),
		"AWS::Serverless::StateMachine":        scope.ARN("states", "stateMachine:"+physical),
		"AWS::S3::Bucket":                      arn.Scope{}.ARN("s3", small),
		"AWS::SQS::Queue":                      scope.ARN("sqs", physical),
		"AWS::SNS::Topic":                      scope.ARN("sns", physical),
		"AWS::SecretsManager::Secret":          scope.ARN("secretsmanager", "secret:"+physical+"-000000"),
		"AWS::Cognito::UserPool":               scope.ARN("cognito-idp", "userpool/"+p.opts.Region+"_"+shortHash(id)),
		"AWS::KinesisFirehose::DeliveryStream": scope.ARN("firehose", "deliverystream/"+physical),
		"AWS::KMS::Key":                        scope.ARN("kms", "key/"+physical),
		"AWS::AppSync::GraphQLApi":             scope.ARN("appsync", "apis/"+shortHash(id)),
		"AWS::Lambda::Function":                scope.ARN("lambda", "function:"+physical),
		"AWS::Serverless::Function":            scope.ARN("lambda", "function:"+physical),
	}[typ]
	refIsARN := []string{"AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine", "AWS::SNS::Topic", "AWS::SecretsManager::Secret",
		"AWS::ElasticLoadBalancingV2::LoadBalancer"}
	switch {
	case name == "" && slices.Contains(refIsARN, typ):
		return cmp.Or(whole, scope.ARN(service, physical))
	case name == "" && typ == "AWS::SQS::Queue", name == "QueueUrl":
		return "https://sqs." + p.opts.Region + ".amazonaws.com/" + p.opts.Account + "/" + physical
	case name == "" && typ == "AWS::S3::Bucket":
		return small
	case name == "" && typ == "AWS::Cognito::UserPool":
		return p.opts.Region + "_" + shortHash(id)
	case strings.HasSuffix(name, "Arn"), strings.HasSuffix(name, "ARN"):
		return cmp.Or(whole, scope.ARN(service, physical))
	case strings.HasSuffix(name, "DomainName"):
		return small + "." + service + ".amazonaws.com"
	case strings.HasSuffix(name, "Url"), strings.HasSuffix(name, "URL"), strings.HasSuffix(name, "Endpoint"), strings.HasSuffix(name, "Uri"):
		return "https://" + small + "." + service + "." + p.opts.Region + ".amazonaws.com"
	}
	return physical
}
