package template

import (
	"slices"
	"strings"
)

// resource is one of a template's resources, or one that SAM makes of an event.
type resource struct {
	id, typ            string
	line               int
	props              *node
	metadata           *node
	condition          string
	needs              []string // other resources that must be there first
	deletion, replaced string   // its DeletionPolicy and UpdateReplacePolicy, worked out
	policies           [2]*node // as they are written
	lacks              string   // a type that there is none of: what is told of it
	missing            bool     // there is none of it here, and it is left out
	alias              string   // of a function of SAM's: the logical ids of its alias and version; empty: none
	version            string
	when               *node       // of a mapping: the condition on changes, nil for none
	kind               *support    // nil: accepted, and nothing to do
	routes             []route     // of an API: the events that name it
	partOf             string      // of a part of an API: its API's id
	parts              []*resource // of an API or its routes: its parts
	routesOf           string      // of the routes of an API: its id
	later              bool        // it needs nothing that its properties name: its routes do
}

// route is an HTTP event of a function.
type route struct {
	name     string // of the event, with its function's id
	function string // logical id
	props    *node
	line     int
}

// support tells what can be done with a type of resource.
type support struct {
	attributes []string // names that GetAtt knows
	// prepare decodes the evaluated properties; what cannot be deployed becomes a
	// problem. nil is returned with problems only.
	prepare func(c *preparation) step
}

// supported are the types that are deployed.
var supported map[string]*support

func init() { // prepare functions look types up again
	table := &support{[]string{"Arn", "StreamArn"}, nil}
	function := &support{[]string{"Arn"}, nil}
	*table = support{table.attributes, prepareTable}
	supported = map[string]*support{
		"AWS::DynamoDB::Table":            table,
		"AWS::DynamoDB::GlobalTable":      {append(table.attributes, "TableId"), prepareGlobalTable},
		"AWS::Serverless::SimpleTable":    {table.attributes, prepareSimpleTable},
		"AWS::Lambda::Function":           {function.attributes, prepareLambdaFunction},
		"AWS::Serverless::Function":       {function.attributes, prepareServerlessFunction},
		"AWS::Lambda::EventSourceMapping": {[]string{"Id", "EventSourceMappingArn"}, prepareMapping},
		dynamoEvent:                       {[]string{"Id", "EventSourceMappingArn"}, prepareDynamoEvent},
		"AWS::Lambda::Url":                {[]string{"FunctionArn", "FunctionUrl"}, prepareURL},
		"AWS::Serverless::HttpApi":        {[]string{"ApiEndpoint", "ApiId"}, prepareHTTPAPI},
		"AWS::Serverless::Api":            {[]string{"RootResourceId", "RestApiId"}, prepareRESTAPI},
		"AWS::SQS::Queue":                 {[]string{"Arn", "QueueName", "QueueUrl"}, prepareQueue},
		"AWS::Lambda::Version":            {[]string{"FunctionArn", "Version"}, prepareVersion},
		"AWS::Lambda::Alias":              {[]string{"AliasArn"}, prepareAlias},
		"AWS::Lambda::EventInvokeConfig":  {nil, prepareEventConfig},
		"AWS::Lambda::LayerVersion":       {[]string{"LayerVersionArn"}, prepareLayer},
		"AWS::Serverless::LayerVersion":   {[]string{"LayerVersionArn"}, prepareLayer},
		"AWS::S3::Bucket":                 {[]string{"Arn", "DomainName", "RegionalDomainName", "DualStackDomainName", "WebsiteURL"}, prepareBucket},
		"AWS::SSM::Parameter":             {[]string{"Type", "Value"}, prepareParameter},
		"AWS::ApiGatewayV2::Api":          {[]string{"ApiEndpoint", "ApiId"}, prepareWritten("http")},
		"AWS::ApiGateway::RestApi":        {[]string{"RootResourceId", "RestApiId"}, prepareWritten("rest")},
		apiRoutes:                         {nil, prepareRoutes},
		"AWS::Events::Rule":               {[]string{"Arn"}, prepareRule},
		"AWS::Scheduler::Schedule":        {[]string{"Arn"}, prepareSchedule},
		"AWS::Scheduler::ScheduleGroup":   {[]string{"Arn", "State"}, prepareScheduleGroup},
		"AWS::SNS::Subscription":          {[]string{"Arn"}, prepareSubscription},
		"AWS::SNS::Topic":                 {[]string{"TopicArn", "TopicName"}, prepareTopic},
		queuePolicyType:                   {nil, prepareQueuePolicy},
		topicPolicyType:                   {nil, prepareTopicPolicy},
	}
}

// acceptedTypes and the types of acceptedServices make no difference here: permissions, which are not looked at, and what only
// watches.
var (
	acceptedTypes = []string{
		"AWS::ApiGateway::Account", "AWS::ApplicationInsights::Application", "AWS::CDK::Metadata", "AWS::CloudFormation::WaitConditionHandle",
		"AWS::ECR::Repository", "AWS::Lambda::CodeSigningConfig", "AWS::Lambda::LayerVersionPermission", "AWS::Lambda::Permission",
		"AWS::ResourceGroups::Group", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::Serverless::Connector",
	}
	acceptedServices = []string{"ApplicationAutoScaling", "CloudWatch", "IAM", "Logs", "XRay"}
)

func accepted(typ string) bool {
	if typ == "AWS::Logs::SubscriptionFilter" { // it calls something
		return false
	}
	return slices.Contains(acceptedTypes, typ) ||
		slices.ContainsFunc(acceptedServices, func(service string) bool { return strings.HasPrefix(typ, "AWS::"+service+"::") })
}

// resourceMembers are what may stand beside a resource's Type.
var resourceMembers = []string{"Type", "Properties", "Condition", "DependsOn", "Metadata", "DeletionPolicy", "UpdateReplacePolicy",
	"UpdatePolicy", "CreationPolicy", "Connectors", "Description", "IgnoreGlobals"}

// readResource takes one entry of Resources apart.
func readResource(id string, n *node, problems *Problems) *resource {
	typ := n.get("Type")
	if n.kind != object || typ == nil || typ.kind != scalar {
		problems.add(n.line, "%s has no Type", id)
		return nil
	}
	r := &resource{id: id, typ: typ.text, line: typ.line, props: n.get("Properties"), metadata: n.get("Metadata"), kind: supported[typ.text]}
	if r.props == nil {
		r.props = &node{kind: object, line: n.line}
	}
	for i, name := range n.keys {
		if !slices.Contains(resourceMembers, name) {
			problems.add(n.vals[i].line, "%s: %s is not supported", id, name)
		}
	}
	if r.props.kind != object {
		problems.add(r.props.line, "%s: Properties must be an object", id)
		return nil
	}
	if r.typ == "AWS::Lambda::EventSourceMapping" {
		r.when = r.metadata.get("Millstream").get("When")
	}
	if r.kind == nil && !accepted(r.typ) && apiOf(r) == "" {
		r.checkType(problems)
		if !r.missing {
			return nil
		}
	}
	r.policies = [2]*node{n.get("DeletionPolicy"), n.get("UpdateReplacePolicy")}
	if c := n.get("Condition"); c != nil {
		r.condition = c.text
	}
	if d := n.get("DependsOn"); d != nil {
		if d.kind == scalar {
			r.needs = append(r.needs, d.text)
		}
		for _, item := range d.list {
			r.needs = append(r.needs, item.text)
		}
	}
	return r
}
